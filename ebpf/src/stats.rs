//! Counters that the kernel programs keep for each CPU and the agent adds up.

use crate::records::cause;

/// One CPU's counters since the programs were loaded.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[repr(C)]
pub struct KernelStats {
    /// Records that were written.
    pub records: u64,
    /// Data records that found their ring full.
    pub ring_full: u64,
    /// Records of other kinds that found their ring full.
    pub ring_full_other: u64,
    /// Calls whose socket got no storage.
    pub storage_failed: u64,
    /// Bytes moved over traced sockets, by direction.
    pub bytes_seen: [u64; 2],
    /// Bytes copied into the rings.
    pub bytes_captured: u64,
    /// Bytes not copied, by [`cause`]; at `BUDGET` those skipped on purpose.
    pub uncaptured_bytes: [u64; cause::COUNT],
    /// Exchanges of connections whose closing record was lost, by role (unknown, client,
    /// server): from their turn numbers, those since the last record that was written.
    pub exchanges_lost: [u64; 4],
}
