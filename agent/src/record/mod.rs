//! Recordings: the raw records of a host in a file, with all else that its spans depend on.
//!
//! Knows records and their order, who a process is, and files; must not know connections, spans or
//! the kernel.
//!
//! # The format, version 1
//!
//! All numbers are little-endian. So are the kernel's records, which are taken as they are: all
//! hosts that wirespan runs on are. Every length below is rounded up to 8 bytes with zeros, so that
//! records lie in memory as the rings hold them.
//!
//! ```text
//! file    "wirespan", version u32, CRC-32 of these 12 bytes u32, chunk, chunk...
//! chunk   length of its events u32, its number from 0 u32, CRC-32 of its events u32,
//!         CRC-32 of these 12 bytes u32, events
//! event   kind u8, 3 zeros, length of its body u32, body
//! ```
//!
//! | kind | event | body |
//! |---|---|---|
//! | 1 | head: the first one, once | JSON: versions of agent and records, times, seed, host |
//! | 2 | record | as a ring held it |
//! | 3 | refused: a record of a connection that the filters leave out | likewise, without payload |
//! | 4 | process | JSON: process id, resource attributes |
//! | 5 | pass | time of the kernel's clock u64, wall clock less that i64 |
//! | 6 | totals of the kernel's counters so far | JSON |
//! | 7 | end: the last one; as a pass | as a pass |
//!
//! A pass ends what the agent reads at once; what a replay does at these moments is what the agent
//! would have done live. A process is told before the pass in whose spans it first occurs, and
//! again when it became another. The kernel's records of exec and fork are left out: who a process
//! is was found out while recording, and the environment of every program on the host is nobody's
//! business.
//!
//! The checksum is the CRC-32 of IEEE 802.3. A chunk is written whole, once it is full or a second
//! old. A file without its end was cut, and is good up to there.
#![forbid(unsafe_code)]

mod error;
mod format;
mod meta;
mod reader;
mod writer;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use self::{
    error::{Damage, ReadError},
    format::is_recording,
    meta::{Head, Naming, Totals},
    reader::{Event, Reader},
    writer::{PROCESSES, WriteError, Writer, Written},
};
