//! The pcapng format: sections of blocks. Packets are in three kinds of blocks; of the others only
//! those that describe sections and interfaces matter.

use std::io::Read;

use super::{Found, LONGEST_PACKET, order::Order, source::Source};
use crate::pcap::{Damage, PcapError};

/// Types of blocks. That of a section header reads the same in both byte orders.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// A block's type and length before it, and its length behind it.
const AROUND: usize = 12;
const SHORTEST_BLOCK: u32 = 12;
const SHORTEST_SECTION: u32 = 28;
const BEFORE: usize = 8;

/// Longest block that is read; others are passed over, however long.
const LONGEST_BLOCK: u32 = LONGEST_PACKET + (1 << 20);

/// Interfaces of one section.
const INTERFACES: usize = 1 << 16;

/// Options of interface descriptions.
const TIME_RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;

/// What a section says of an interface.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u32,
    /// Bytes of a packet that are captured at most; 0: all.
    snap_length: u32,
    resolution: u8,
    /// Seconds to add to its times.
    offset: i64,
}

/// The section that is being read.
#[derive(Debug)]
pub(super) struct Ng {
    order: Order,
    interfaces: Vec<Interface>,
}

/// A block that is there as a whole.
#[derive(Clone, Copy)]
struct Block<'a> {
    offset: u64,
    kind: u32,
    length: u32,
    /// What is between the two lengths.
    body: &'a [u8],
}

impl Block<'_> {
    fn damaged<T>(&self, damage: Damage) -> Result<T, PcapError> {
        Err(PcapError::Damaged {
            offset: self.offset,
            damage,
        })
    }

    /// The block is at least as long as its fixed part.
    fn require(&self, fixed: usize) -> Result<(), PcapError> {
        if self.body.len() < fixed {
            return self.damaged(Damage::BlockLength {
                kind: self.kind,
                length: self.length,
            });
        }
        Ok(())
    }
}

impl Ng {
    pub(super) fn recognise(beginning: &[u8]) -> bool {
        beginning.len() >= 4 && Order::Little.u32(beginning, 0) == SECTION
    }

    /// Before the first section.
    pub(super) fn new() -> Self {
        Self {
            order: Order::Little,
            interfaces: Vec::new(),
        }
    }

    /// Takes blocks up to the next that holds a packet.
    pub(super) fn find<R: Read>(
        &mut self,
        source: &mut Source<R>,
    ) -> Result<Option<Found>, PcapError> {
        loop {
            let offset = source.offset();
            let head = source.peek(AROUND)?;
            if head.is_empty() {
                return Ok(None);
            }
            if head.len() < AROUND {
                return Err(source.cut(offset));
            }
            if Order::Little.u32(head, 0) == SECTION {
                self.order = byte_order(head, offset)?;
            }
            let (kind, length) = (self.order.u32(head, 0), self.order.u32(head, 4));
            let is_needed = matches!(kind, SECTION | INTERFACE | PACKET | SIMPLE | ENHANCED);
            let least = if kind == SECTION {
                SHORTEST_SECTION
            } else {
                SHORTEST_BLOCK
            };
            if length < least || !length.is_multiple_of(4) || (is_needed && length > LONGEST_BLOCK)
            {
                let damage = Damage::BlockLength { kind, length };
                return Err(PcapError::Damaged { offset, damage });
            }
            if !is_needed {
                self.pass_over(source, length, offset)?;
                continue;
            }
            let whole = length as usize;
            let bytes = source.peek(whole)?;
            if bytes.len() < whole {
                return Err(source.cut(offset));
            }
            self.check_end(length, &bytes[whole - 4..], offset)?;
            let block = Block {
                offset,
                kind,
                length,
                body: &bytes[BEFORE..whole - 4],
            };
            if let Some(found) = self.block(&block)? {
                return Ok(Some(found));
            }
            source.skip(length.into(), offset)?;
        }
    }

    fn pass_over<R: Read>(
        &self,
        source: &mut Source<R>,
        length: u32,
        offset: u64,
    ) -> Result<(), PcapError> {
        source.skip(u64::from(length) - 4, offset)?;
        if source.peek(4)?.len() < 4 {
            return Err(source.cut(offset));
        }
        self.check_end(length, source.read(4)?, offset)
    }

    fn check_end(&self, first: u32, end: &[u8], offset: u64) -> Result<(), PcapError> {
        let last = self.order.u32(end, 0);
        if last == first {
            return Ok(());
        }
        Err(PcapError::Damaged {
            offset,
            damage: Damage::BlockEnd { first, last },
        })
    }

    fn block(&mut self, block: &Block<'_>) -> Result<Option<Found>, PcapError> {
        match block.kind {
            SECTION => {
                let (major, minor) = (self.order.u16(block.body, 4), self.order.u16(block.body, 6));
                if major != 1 {
                    return Err(PcapError::Version {
                        offset: block.offset,
                        major,
                        minor,
                    });
                }
                self.interfaces.clear();
                Ok(None)
            }
            INTERFACE => self.interface(block).map(|()| None),
            SIMPLE => self.simple(block).map(Some),
            _ => self.packet(block).map(Some),
        }
    }

    fn interface(&mut self, block: &Block<'_>) -> Result<(), PcapError> {
        block.require(8)?;
        if self.interfaces.len() >= INTERFACES {
            return block.damaged(Damage::Interfaces { limit: INTERFACES });
        }
        let mut interface = Interface {
            link: self.order.u16(block.body, 0).into(),
            snap_length: self.order.u32(block.body, 4),
            resolution: 6,
            offset: 0,
        };
        let mut options = &block.body[8..];
        while options.len() >= 4 {
            let (code, length) = (self.order.u16(options, 0), self.order.u16(options, 2));
            let Some(value) = options.get(4..4 + usize::from(length)) else {
                break;
            };
            match (code, value) {
                (0, _) => break,
                (TIME_RESOLUTION, [resolution]) => interface.resolution = *resolution,
                (TIME_OFFSET, [_, _, _, _, _, _, _, _]) => {
                    interface.offset = self.order.i64(value, 0);
                }
                _ => {}
            }
            let padded = 4 + usize::from(length).next_multiple_of(4);
            options = options.get(padded..).unwrap_or_default();
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// An enhanced packet block, or its obsolete predecessor, whose interface has half the bits.
    fn packet(&self, block: &Block<'_>) -> Result<Found, PcapError> {
        block.require(20)?;
        let number = |at| self.order.u32(block.body, at);
        let interface = if block.kind == PACKET {
            self.order.u16(block.body, 0).into()
        } else {
            number(0)
        };
        let interface = usize::try_from(interface)
            .ok()
            .and_then(|id| self.interfaces.get(id));
        let ticks = (u64::from(number(4)) << 32) | u64::from(number(8));
        Ok(Found {
            time: interface.map(|interface| interface.time(ticks)),
            link: interface.map(|interface| interface.link),
            length: number(16).max(number(12)),
            before: BEFORE + 20,
            captured: captured(block, 20, number(12))?,
            whole: block.length as usize,
        })
    }

    /// A block with a packet of the first interface and nothing else.
    fn simple(&self, block: &Block<'_>) -> Result<Found, PcapError> {
        block.require(4)?;
        let length = self.order.u32(block.body, 0);
        let interface = self.interfaces.first();
        let snap_length = interface.map_or(0, |interface| interface.snap_length);
        let there = if snap_length == 0 {
            length
        } else {
            length.min(snap_length)
        };
        Ok(Found {
            time: None,
            link: interface.map(|interface| interface.link),
            length,
            before: BEFORE + 4,
            captured: captured(block, 4, there)?,
            whole: block.length as usize,
        })
    }
}

/// Bytes of a packet that are in a block behind `fixed` others.
fn captured(block: &Block<'_>, fixed: usize, length: u32) -> Result<usize, PcapError> {
    let room = block.body.len() - fixed;
    let there = length as usize;
    if there > room {
        return block.damaged(Damage::PacketRoom {
            length,
            room: u32::try_from(room).unwrap_or(u32::MAX),
        });
    }
    Ok(there)
}

fn byte_order(head: &[u8], offset: u64) -> Result<Order, PcapError> {
    [Order::Little, Order::Big]
        .into_iter()
        .find(|order| order.u32(head, 8) == BYTE_ORDER)
        .ok_or(PcapError::Damaged {
            offset,
            damage: Damage::ByteOrder {
                magic: Order::Big.u32(head, 8),
            },
        })
}

impl Interface {
    /// Nanoseconds since the Unix epoch.
    fn time(&self, ticks: u64) -> u64 {
        const SECOND: u128 = 1_000_000_000;
        let exponent = u32::from(self.resolution & 0x7f);
        let ticks = u128::from(ticks);
        let nanoseconds = if self.resolution & 0x80 != 0 {
            (ticks * SECOND) >> exponent
        } else if exponent <= 9 {
            ticks * 10_u128.pow(9 - exponent)
        } else {
            // Beyond, no count of 64 bits reaches a nanosecond.
            ticks / 10_u128.pow((exponent - 9).min(20))
        };
        let nanoseconds = i128::try_from(nanoseconds).unwrap_or(i128::MAX);
        let offset = i128::from(self.offset) * SECOND.cast_signed();
        u64::try_from(nanoseconds.saturating_add(offset).max(0)).unwrap_or(u64::MAX)
    }
}
