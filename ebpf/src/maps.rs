//! The maps. None is sized by the number of connections: their state lives in the sockets.

use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, LruHashMap, PerCpuArray, RingBuf, SkStorage},
    macros::btf_map,
};
use wirespan_ebpf::{
    MAX_RINGS, MAX_VERDICTS, TURN_BUDGET, records::DataRecord, stats::KernelStats,
};

use crate::{socket::SocketState, walk::Walk};

/// Size that the object declares for a ring; the agent sets the real one.
const RING_SIZE: usize = 4096;

type Ring = RingBuf<u8, RING_SIZE>;

/// What is known of each socket.
#[btf_map]
pub(crate) static SOCKETS: SkStorage<SocketState> = SkStorage::new();

/// The rings in use, by group of CPUs.
#[btf_map]
pub(crate) static RINGS: ArrayOfMaps<Ring, { MAX_RINGS as usize }> = ArrayOfMaps::new();

#[btf_map]
pub(crate) static RING_0: Ring = RingBuf::new();
#[btf_map]
pub(crate) static RING_1: Ring = RingBuf::new();
#[btf_map]
pub(crate) static RING_2: Ring = RingBuf::new();
#[btf_map]
pub(crate) static RING_3: Ring = RingBuf::new();
#[btf_map]
pub(crate) static RING_4: Ring = RingBuf::new();
#[btf_map]
pub(crate) static RING_5: Ring = RingBuf::new();
#[btf_map]
pub(crate) static RING_6: Ring = RingBuf::new();
#[btf_map]
pub(crate) static RING_7: Ring = RingBuf::new();

/// What the agent says of a socket ([`wirespan_ebpf::verdict::Verdict`]), by cookie; the socket
/// takes it out of here.
#[btf_map]
pub(crate) static VERDICTS: LruHashMap<u64, u8, { MAX_VERDICTS as usize }> = LruHashMap::new();

/// Counters of this CPU.
#[btf_map]
pub(crate) static STATS: PerCpuArray<KernelStats, 1> = PerCpuArray::new();

/// Set to 1 by the agent when it goes to sleep; who wakes it sets it to 0.
#[btf_map]
pub(crate) static ASLEEP: Array<u32, 1> = Array::new();

/// Set to 1 when all unix sockets that are older than the agent have been marked.
#[btf_map]
pub(crate) static UNIX_MARKED: Array<u32, 1> = Array::new();

/// A data record that is put together from several parts of an iovec.
#[repr(C)]
pub(crate) struct Gather {
    pub(crate) record: DataRecord,
    /// Twice the budget: a part starts below it and is no longer than it, which is all that the
    /// verifier needs to know.
    pub(crate) payload: [u8; 2 * TURN_BUDGET as usize],
}

/// Where this CPU gathers.
#[btf_map]
pub(crate) static GATHER: PerCpuArray<Gather, 1> = PerCpuArray::new();

/// Where this CPU walks through frames.
#[btf_map]
pub(crate) static WALK: PerCpuArray<Walk, 1> = PerCpuArray::new();
