//! The pcap format: one header, then packets. Both byte orders, times in micro- or nanoseconds,
//! and the modified form of early Linux kernels' patches with its longer packet headers.

use std::io::Read;

use super::{Found, LONGEST_PACKET, order::Order, source::Source};
use crate::pcap::{Damage, PcapError, link};

const HEADER: usize = 24;
const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;

/// What the header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classic {
    order: Order,
    /// Nanoseconds in a unit of the packets' fractions of seconds.
    unit: u64,
    packet_header: usize,
    link: u32,
}

fn kind(beginning: &[u8]) -> Option<(Order, u32)> {
    if beginning.len() < 4 {
        return None;
    }
    [Order::Little, Order::Big].into_iter().find_map(|order| {
        let magic = order.u32(beginning, 0);
        matches!(magic, MICROSECONDS | NANOSECONDS | MODIFIED).then_some((order, magic))
    })
}

impl Classic {
    pub(super) fn recognise(beginning: &[u8]) -> bool {
        kind(beginning).is_some()
    }

    /// Reads the header of a file that was recognised.
    pub(super) fn read<R: Read>(source: &mut Source<R>) -> Result<Self, PcapError> {
        let header = source.read(HEADER)?;
        let Some((order, magic)) = kind(header) else {
            return Err(PcapError::NotACapture {
                magic: header.iter().take(4).copied().collect(),
            });
        };
        let major = order.u16(header, 4);
        if major != 2 {
            return Err(PcapError::Version {
                offset: 0,
                major,
                minor: order.u16(header, 6),
            });
        }
        // The upper half tells of frame check sequences.
        let link = order.u32(header, 20) & 0xffff;
        if !link::is_supported(link) {
            return Err(PcapError::LinkType { link });
        }
        Ok(Self {
            order,
            unit: if magic == NANOSECONDS { 1 } else { 1000 },
            packet_header: if magic == MODIFIED { 24 } else { 16 },
            link,
        })
    }

    pub(super) fn find<R: Read>(
        &mut self,
        source: &mut Source<R>,
    ) -> Result<Option<Found>, PcapError> {
        let offset = source.offset();
        let header = source.peek(self.packet_header)?;
        if header.is_empty() {
            return Ok(None);
        }
        if header.len() < self.packet_header {
            return Err(source.cut(offset));
        }
        let number = |at| self.order.u32(header, at);
        let (seconds, fraction, captured) = (number(0), number(4), number(8));
        let length = number(12).max(captured);
        if captured > LONGEST_PACKET {
            return Err(PcapError::Damaged {
                offset,
                damage: Damage::PacketLength { length: captured },
            });
        }
        let captured = captured as usize;
        let whole = self.packet_header + captured;
        if source.peek(whole)?.len() < whole {
            return Err(source.cut(offset));
        }
        let nanoseconds = u64::from(fraction) * self.unit;
        Ok(Some(Found {
            time: Some(u64::from(seconds) * 1_000_000_000 + nanoseconds),
            link: Some(self.link),
            length,
            before: self.packet_header,
            captured,
            whole,
        }))
    }
}
