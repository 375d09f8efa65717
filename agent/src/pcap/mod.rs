//! Packet captures: from the packets of a pcap or pcapng file to the records that `stream` takes,
//! one socket for each TCP connection. Knows neither spans nor what the bytes mean, but for the
//! first bytes of a connection that was under way: they tell which end is the client.
//!
//! `file` (packets) -> `link` -> `ip` -> `fragments` -> `segment` -> `table` -> `connection`, with
//! a `half` for each direction (each byte once, in order) -> `writer` (records).
#![forbid(unsafe_code)]

mod connection;
mod counts;
mod error;
mod file;
mod fragments;
mod half;
mod ip;
mod link;
mod segment;
mod table;
mod writer;

#[cfg(test)]
mod tests;

use std::io::Read;

use etherparse::IpNumber;

pub use self::{
    counts::Counts,
    error::{Damage, PcapError},
    file::is_capture,
};
use self::{
    file::{File, Packet},
    fragments::{Fragments, Outcome},
    ip::{Datagram, Malformed},
    segment::Segment,
    table::Connections,
};
use crate::{
    clock::{KernelTime, WallOffset},
    stream::record::Record,
};

/// The kernel time of a capture's records is the wall time of its packets.
pub const WALL_OFFSET: WallOffset = WallOffset(0);

/// Which end of each connection the records are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Perspective {
    /// The end that accepted: requests are received.
    #[default]
    Server,
    /// The end that connected: requests are sent.
    Client,
}

/// How far a capture was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A packet was taken. The latest time of all packets so far.
    Packet(KernelTime),
    /// There are no more.
    End,
}

/// A capture that is being read.
#[derive(Debug)]
pub struct Capture<R> {
    file: File<R>,
    stages: Stages,
}

/// What packets go through.
#[derive(Debug)]
struct Stages {
    fragments: Fragments,
    connections: Connections,
    counts: Counts,
    now: u64,
}

impl<R: Read> Capture<R> {
    /// Reads the beginning of a capture. `reader` need not be buffered.
    ///
    /// # Errors
    ///
    /// When the file is no capture, or one whose packets cannot be read.
    pub fn open(reader: R, perspective: Perspective) -> Result<Self, PcapError> {
        Ok(Self {
            file: File::open(reader)?,
            stages: Stages {
                fragments: Fragments::default(),
                connections: Connections::new(perspective),
                counts: Counts::default(),
                now: 0,
            },
        })
    }

    /// Takes the next packet and gives the records that it makes. Records of one connection have
    /// increasing numbers; all others of a connection come after its opening record.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is cut, or is damaged. Everything before that was given;
    /// [`Capture::finish`] gives what waits.
    pub fn next(&mut self, sink: &mut dyn FnMut(&Record<'_>)) -> Result<Progress, PcapError> {
        let Some(packet) = self.file.next()? else {
            return Ok(Progress::End);
        };
        self.stages.packet(&packet, sink);
        Ok(Progress::Packet(KernelTime(self.stages.now)))
    }

    /// No more packets will be taken: gives what waits for some. Connections that the capture does
    /// not show to be closed stay open.
    pub fn finish(&mut self, sink: &mut dyn FnMut(&Record<'_>)) {
        self.stages.finish(sink);
    }

    /// What became of packets and bytes so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.stages.counts
    }
}

impl Stages {
    fn packet(&mut self, packet: &Packet<'_>, sink: &mut dyn FnMut(&Record<'_>)) {
        self.counts.packets += 1;
        self.now = self.now.max(packet.time.unwrap_or(0));
        let Some(link) = packet.link else {
            self.counts.interface_unknown_packets += 1;
            return;
        };
        if !link::is_supported(link) {
            self.counts.link_type_packets += 1;
            return;
        }
        let Some(header) = link::header(link, packet.data) else {
            self.counts.not_ip_packets += 1;
            return;
        };
        let frame = packet.data.get(header..).unwrap_or_default();
        let length = (packet.length as usize).saturating_sub(header);
        let datagram = ip::datagram(frame, length);
        if self.datagram(datagram, packet, sink).is_err() {
            self.counts.malformed_packets += 1;
        }
    }

    fn datagram(
        &mut self,
        datagram: Result<Datagram<'_>, Malformed>,
        packet: &Packet<'_>,
        sink: &mut dyn FnMut(&Record<'_>),
    ) -> Result<(), Malformed> {
        let mut datagram = datagram?;
        let payload;
        if let Some(fragment) = datagram.fragment.take() {
            self.counts.fragment_packets += 1;
            let outcome = self.fragments.push(&datagram, fragment, self.now);
            self.counts.fragment_dropped_packets += self.fragments.take_given_up();
            match outcome {
                Outcome::Waits => return Ok(()),
                Outcome::Dropped => {
                    self.counts.fragment_dropped_packets += 1;
                    return Ok(());
                }
                Outcome::Whole(captured, length) => {
                    payload = captured;
                    datagram.payload = &payload;
                    datagram.length = length;
                    datagram = ip::extensions(datagram)?;
                }
            }
        }
        if datagram.protocol != IpNumber::TCP.0 {
            self.counts.not_tcp_packets += 1;
            return Ok(());
        }
        let segment = Segment::read(&datagram)?;
        self.counts.segments += 1;
        let time = packet.time.unwrap_or(self.now);
        self.connections
            .segment(&segment, time, self.now, &mut self.counts, sink);
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn FnMut(&Record<'_>)) {
        self.fragments.finish();
        self.counts.fragment_dropped_packets += self.fragments.take_given_up();
        self.connections.finish(self.now, &mut self.counts, sink);
    }
}
