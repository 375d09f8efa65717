//! IPv4 and IPv6 headers (RFC 791, RFC 8200): from a packet to its payload, or to the fragment that
//! it is. Knows no state.

use std::net::IpAddr;

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
};

const IPV6_HEADER: usize = 40;

/// A packet without its IP headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Protocol of the payload.
    pub(super) protocol: u8,
    /// What was captured of the payload.
    pub(super) payload: &'a [u8],
    /// Bytes of the payload.
    pub(super) length: usize,
    pub(super) fragment: Option<Fragment>,
}

/// Which part of a datagram's payload a fragment has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// Bytes before it.
    pub(super) offset: usize,
    /// Whether others follow it.
    pub(super) more: bool,
}

/// A header is not there as a whole, or contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads a packet of which `packet` was captured and that had `length` bytes on the wire, with what
/// a link layer may have put behind it.
pub(super) fn datagram(packet: &[u8], length: usize) -> Result<Datagram<'_>, Malformed> {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(packet, length),
        Some(6) => ipv6(packet, length),
        _ => Err(Malformed),
    }
}

fn ipv4(packet: &[u8], wire: usize) -> Result<Datagram<'_>, Malformed> {
    let header = Ipv4HeaderSlice::from_slice(packet).map_err(|_| Malformed)?;
    let before = header.slice().len();
    // Where the network card cuts a packet into segments, its length may not be filled in.
    let total = match header.total_len() {
        0 => wire,
        total => total.into(),
    };
    let length = total.checked_sub(before).ok_or(Malformed)?;
    let fragment = header.is_fragmenting_payload().then(|| Fragment {
        id: header.identification().into(),
        offset: header.fragments_offset().byte_offset().into(),
        more: header.more_fragments(),
    });
    let plain = Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        protocol: header.protocol().0,
        payload: part(packet, before, length),
        length,
        fragment,
    };
    if fragment.is_some() {
        return Ok(plain);
    }
    extensions(plain)
}

fn ipv6(packet: &[u8], wire: usize) -> Result<Datagram<'_>, Malformed> {
    let header = Ipv6HeaderSlice::from_slice(packet).map_err(|_| Malformed)?;
    // A payload of more than 64 KiB (RFC 2675, and Linux's BIG TCP) has its length elsewhere, or
    // nowhere.
    let length = match header.payload_length() {
        0 => wire.checked_sub(IPV6_HEADER).ok_or(Malformed)?,
        length => length.into(),
    };
    extensions(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        protocol: header.next_header().0,
        payload: part(packet, IPV6_HEADER, length),
        length,
        fragment: None,
    })
}

/// Follows extension headers up to the payload, or to a header that tells of a fragment. In a
/// datagram that was put together, too.
pub(super) fn extensions(mut datagram: Datagram<'_>) -> Result<Datagram<'_>, Malformed> {
    loop {
        let bytes = datagram.payload;
        let (next, before) = match IpNumber(datagram.protocol) {
            IpNumber::AUTHENTICATION_HEADER => {
                let header = IpAuthHeaderSlice::from_slice(bytes).map_err(|_| Malformed)?;
                (header.next_header(), header.slice().len())
            }
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let header = Ipv6FragmentHeaderSlice::from_slice(bytes).map_err(|_| Malformed)?;
                if header.is_fragmenting_payload() {
                    datagram.fragment = Some(Fragment {
                        id: header.identification(),
                        offset: header.fragment_offset().byte_offset().into(),
                        more: header.more_fragments(),
                    });
                }
                (header.next_header(), header.slice().len())
            }
            number if Ipv6RawExtHeaderSlice::header_type_supported(number) => {
                let header = Ipv6RawExtHeaderSlice::from_slice(bytes).map_err(|_| Malformed)?;
                (header.next_header(), header.slice().len())
            }
            _ => return Ok(datagram),
        };
        datagram.protocol = next.0;
        datagram.length = datagram.length.checked_sub(before).ok_or(Malformed)?;
        datagram.payload = part(bytes, before, datagram.length);
        if datagram.fragment.is_some() {
            return Ok(datagram);
        }
    }
}

/// What is there of `length` bytes behind `before`.
fn part(bytes: &[u8], before: usize, length: usize) -> &[u8] {
    let rest = bytes.get(before..).unwrap_or_default();
    &rest[..rest.len().min(length)]
}
