//! The ABI between the kernel programs and the agent: the only types that both sides share.
//!
//! Every record in a ring buffer starts with a [`RecordHeader`], whose `kind` tells what follows.
//! A change of any layout or meaning here changes [`ABI_VERSION`], which the object carries and
//! the agent checks before it attaches anything. This crate knows neither maps nor programs.

#![no_std]

pub mod frames;
pub mod offsets;
pub mod records;
pub mod stats;
pub mod syscalls;
pub mod text;
pub mod verdict;

/// Version of everything in this crate; the kernel object holds it in the global `ABI`.
pub const ABI_VERSION: u32 = 3;

/// Stands in the kernel object, so that the agent can tell what it was built with before it loads
/// anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct AbiMark {
    /// [`AbiMark::MAGIC`]
    pub magic: [u8; 12],
    /// [`ABI_VERSION`]
    pub version: u32,
}

impl AbiMark {
    /// What the mark begins with.
    pub const MAGIC: [u8; 12] = *b"wirespan-abi";

    /// The mark of this version.
    pub const CURRENT: Self = Self {
        magic: Self::MAGIC,
        version: ABI_VERSION,
    };
}

/// Bytes of one turn that are copied to the agent; the rest of the turn is only counted.
/// A turn is a run of bytes in one direction.
pub const TURN_BUDGET: u32 = 4096;

/// Bytes of one turn of HTTP/1 that are copied for as long as its first head has not ended.
pub const HEAD_BUDGET: u32 = 65_536;

/// Bytes of one turn of HTTP/1 that are copied on a connection whose turns hold several messages.
pub const PIPELINE_BUDGET: u32 = 262_144;

/// Rings that the object declares. The agent uses one for each group of CPUs, at most this many.
pub const MAX_RINGS: u32 = 8;

/// Verdicts that can wait for their sockets at a time; the oldest is evicted.
pub const MAX_VERDICTS: u32 = 4096;
