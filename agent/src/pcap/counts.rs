//! What became of the packets and bytes of a capture. Knows no reasons, only their names.

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Counters of one capture.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Counts {
            /// All of them with their names, in the order in which they are shown.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }
        }
    };
}

counts! {
    /// Packets in the file.
    packets,
    /// Packets that were passed over because of their interface's link type.
    link_type_packets,
    /// Packets of an interface that the file does not describe.
    interface_unknown_packets,
    /// Packets that carry neither IPv4 nor IPv6.
    not_ip_packets,
    /// IP packets that carry no TCP.
    not_tcp_packets,
    /// Packets whose headers contradict themselves, or are not there as a whole.
    malformed_packets,
    /// Fragments of IP packets.
    fragment_packets,
    /// Fragments whose datagram was given up: overlapping, incomplete, or too many at a time.
    fragment_dropped_packets,
    /// TCP segments.
    segments,
    /// Segments whose numbers cannot belong to their connection, and late ones of closed
    /// connections.
    segments_out_of_place,
    /// TCP connections.
    connections,
    /// Connections that were under way when the capture began.
    connections_pre_existing,
    /// Connections that are another one's copy behind address translation.
    connections_copied,
    /// Connections that had to leave the full table.
    connections_evicted,
    /// Bytes of TCP streams that were delivered, captured or not.
    delivered_bytes,
    /// Bytes of TCP streams that the capture cut off (snap length).
    cut_bytes,
    /// Bytes of TCP streams that are not in the capture.
    missing_bytes,
    /// Holes that these bytes make.
    missing_ranges,
    /// Bytes that came again: retransmitted, or captured twice.
    repeated_bytes,
    /// Bytes that came again with other content.
    conflicting_bytes,
}
