//! Writing records: the ring of this CPU's group, size classes, wake-ups, and what happens when a
//! ring is full.

use core::{ffi::c_void, hint::black_box};

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{
        bpf_get_smp_processor_id,
        generated::{
            bpf_ringbuf_discard, bpf_ringbuf_output, bpf_ringbuf_query, bpf_ringbuf_reserve,
            bpf_ringbuf_submit,
        },
    },
};
use wirespan_ebpf::{TURN_BUDGET, records::DataRecord, stats::KernelStats};

use crate::{
    globals,
    maps::{ASLEEP, Gather, RINGS, STATS},
    memory,
};

/// The fill mark is looked at once in so many records: reading it touches the consumer's cache
/// line.
const RECORDS_PER_FILL_CHECK: u64 = 32;

/// A record's room in a ring.
pub(crate) struct Ring {
    map: *mut c_void,
    flags: u64,
    /// The last four bytes of the payload that was written last, 0 when it was shorter.
    pub(crate) last: u32,
}

/// Counters of this CPU.
#[inline(always)]
pub(crate) fn stats() -> Option<&'static mut KernelStats> {
    let stats = STATS.get_ptr_mut(0)?;
    // SAFETY: the map has the entry; programs on one CPU do not interleave but for interrupts,
    // where an increment may be lost, nothing else.
    Some(unsafe { &mut *stats })
}

/// The ring of this CPU's group.
#[inline(always)]
pub(crate) fn current(stats: &KernelStats) -> Option<Ring> {
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let map: *mut c_void = core::ptr::from_ref(RINGS.get(cpu & globals::ring_mask())?)
        .cast_mut()
        .cast();
    let mut flags = u64::from(BPF_RB_NO_WAKEUP);
    if stats.records.is_multiple_of(RECORDS_PER_FILL_CHECK) {
        // SAFETY: `map` is a ring buffer.
        let waiting = unsafe { bpf_ringbuf_query(map, u64::from(BPF_RB_AVAIL_DATA)) };
        if waiting >= globals::wake_mark() && take_sleep() {
            flags = u64::from(BPF_RB_FORCE_WAKEUP);
        }
    }
    Some(Ring {
        map,
        flags,
        last: 0,
    })
}

/// Whether the agent sleeps and is to be woken by this record. A wake-up of one that is awake
/// costs an interrupt, which it does not notice.
#[inline(always)]
fn take_sleep() -> bool {
    let Some(asleep) = ASLEEP.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the map has the entry; several CPUs may read 1 and wake the agent at once, which
    // is harmless.
    unsafe { asleep.replace(0) != 0 }
}

impl Ring {
    /// Writes a record of constant size; `fill` gets its memory, which holds old bytes.
    #[inline(always)]
    pub(crate) fn write<T>(&self, fill: impl FnOnce(&mut T)) -> bool {
        // SAFETY: `map` is a ring buffer; the size is a constant.
        let room = unsafe { bpf_ringbuf_reserve(self.map, size_of::<T>() as u64, 0) };
        if room.is_null() {
            return false;
        }
        // SAFETY: the room has the size of `T`, ring memory is aligned to 8 bytes, and every `T`
        // is plain data, valid for any bits.
        fill(unsafe { &mut *room.cast::<T>() });
        // SAFETY: `room` was reserved above and is given up here.
        unsafe { bpf_ringbuf_submit(room, self.flags) };
        true
    }

    /// Writes a data record whose payload lies in one piece of the user's memory, in the
    /// smallest class that holds it.
    #[inline(always)]
    pub(crate) fn write_data(&mut self, record: &DataRecord, address: u64) -> Written {
        let length = record.captured;
        if length == 0 {
            self.write_class::<0>(record, address)
        } else if length <= 128 {
            self.write_class::<128>(record, address)
        } else if length <= 256 {
            self.write_class::<256>(record, address)
        } else if length <= 1024 {
            self.write_class::<1024>(record, address)
        } else {
            self.write_class::<4096>(record, address)
        }
    }

    /// Kept as a function of its own for each class, so that the compiler cannot merge the
    /// classes into one reservation of variable size, which the verifier refuses.
    #[inline(never)]
    fn write_class<const CLASS: usize>(&mut self, record: &DataRecord, address: u64) -> Written {
        let size = (size_of::<DataRecord>() + CLASS) as u64;
        // SAFETY: `map` is a ring buffer; the size is a constant of this function.
        let room = unsafe { bpf_ringbuf_reserve(self.map, size, 0) }.cast::<u8>();
        if room.is_null() {
            return Written::RingFull;
        }
        // SAFETY: the room begins with a `DataRecord`, aligned to 8 bytes.
        unsafe { room.cast::<DataRecord>().write(*record) };
        let length = record.captured;
        if CLASS > 0 {
            if length as usize > CLASS {
                // SAFETY: `room` was reserved above and is given up here.
                unsafe { bpf_ringbuf_discard(room.cast(), u64::from(BPF_RB_NO_WAKEUP)) };
                return Written::RingFull;
            }
            // SAFETY: the room is longer than the record.
            let payload = unsafe { room.add(size_of::<DataRecord>()) };
            // SAFETY: the room has CLASS bytes after the record, and `length` is not more.
            let copied = unsafe { memory::copy_user(payload, length, address) };
            if !copied {
                // SAFETY: `room` was reserved above and is given up here.
                unsafe { bpf_ringbuf_discard(room.cast(), u64::from(BPF_RB_NO_WAKEUP)) };
                return Written::Unreadable;
            }
            let end = black_box(length.wrapping_sub(4)) as usize & (CLASS - 1);
            if end <= CLASS - 4 {
                // SAFETY: four bytes from there on are within the CLASS bytes of the payload.
                self.last = unsafe { payload.wrapping_add(end).cast::<u32>().read_unaligned() };
            }
        }
        // SAFETY: `room` was reserved above and is given up here.
        unsafe { bpf_ringbuf_submit(room.cast(), self.flags) };
        Written::Yes
    }

    /// Writes a data record that was gathered, in its exact size.
    #[inline(always)]
    pub(crate) fn write_gathered(&mut self, gather: &mut Gather, length: u32) -> Written {
        // Hidden from the compiler, which knows the bound and would leave out the check that the
        // verifier needs, here where the size is used.
        let length = black_box(length);
        if length > TURN_BUDGET {
            return Written::RingFull;
        }
        let size = size_of::<DataRecord>() as u64 + u64::from(length);
        let end = (length.wrapping_sub(4) & (TURN_BUDGET - 1)) as usize;
        let last = (&raw const gather.payload).cast::<u8>().wrapping_add(end);
        // SAFETY: the payload has twice the budget's bytes.
        self.last = unsafe { last.cast::<u32>().read_unaligned() };
        // SAFETY: `map` is a ring buffer; the verifier checks `size` against the map's value.
        let failed = unsafe {
            bpf_ringbuf_output(
                self.map,
                core::ptr::from_mut(gather).cast(),
                size,
                self.flags,
            )
        };
        if failed == 0 {
            Written::Yes
        } else {
            Written::RingFull
        }
    }
}

/// What became of a data record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    RingFull,
    Unreadable,
}
