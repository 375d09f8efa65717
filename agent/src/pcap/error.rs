//! What can be wrong with a capture file as a whole. What is wrong with single packets is counted
//! instead (`counts`).

use std::io;

use thiserror::Error;

use super::link;

/// Why a capture cannot be read, or not any further.
#[derive(Debug, Error)]
pub enum PcapError {
    /// The reader failed.
    #[error("cannot read the capture after byte {offset}: {source}")]
    Read {
        /// Bytes that were read before.
        offset: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// No known magic number.
    #[error("neither pcap nor pcapng: the file begins with the bytes {magic:02x?}")]
    NotACapture {
        /// The first bytes; fewer than four when there are no more.
        magic: Vec<u8>,
    },
    /// A version of the format that is not known.
    #[error(
        "the file at byte {offset} has version {major}.{minor} of its format; known are pcap 2 \
         and pcapng 1"
    )]
    Version {
        /// Where the header begins.
        offset: u64,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// All packets of the file have a link layer that is not known.
    #[error(
        "packets of link type {link}{} are not supported; supported are Ethernet, Linux cooked \
         (SLL and SLL2), raw IP and loopback", link::name(*.link)
    )]
    LinkType {
        /// Number of the link type, as in <https://www.tcpdump.org/linktypes.html>.
        link: u32,
    },
    /// The file ends in the middle of something. All packets before it are whole.
    #[error("the capture is cut at byte {end}, in what begins at byte {offset}")]
    Cut {
        /// Where the unfinished packet, block or header begins.
        offset: u64,
        /// Length of the file.
        end: u64,
    },
    /// The file contradicts its format. All packets before it are whole.
    #[error("the capture is damaged at byte {offset}: {damage}")]
    Damaged {
        /// Where the damaged packet or block begins.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },
}

/// How a file contradicts its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// A packet longer than any network's.
    #[error("a packet of {length} bytes, more than any network carries")]
    PacketLength {
        /// Bytes of the packet that are said to follow.
        length: u32,
    },
    /// The length of a block is none that a block can have.
    #[error("a block of {length} bytes, which no block of type {kind:#010x} can have")]
    BlockLength {
        /// Type of the block.
        kind: u32,
        /// Its length.
        length: u32,
    },
    /// The length at the end of a block is not the one at its beginning.
    #[error("a block has the length {first} at its beginning and {last} at its end")]
    BlockEnd {
        /// Length at the beginning.
        first: u32,
        /// Length at the end.
        last: u32,
    },
    /// A block has less room than its packet needs.
    #[error("a packet of {length} bytes in a block with room for {room}")]
    PacketRoom {
        /// Bytes of the packet that are said to be there.
        length: u32,
        /// Bytes of the block that can hold it.
        room: u32,
    },
    /// The byte order of a section cannot be told.
    #[error("a section header with the byte-order magic {magic:#010x}")]
    ByteOrder {
        /// What stands in its place.
        magic: u32,
    },
    /// More interfaces than any host has.
    #[error("a section with more than {limit} interfaces")]
    Interfaces {
        /// How many are accepted.
        limit: usize,
    },
}
