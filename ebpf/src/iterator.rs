//! Where the bytes of a call are by the kernel's own iterator over them: what the trampolines have,
//! and the tracepoints do not.
//!
//! It is asked when the registers do not tell, as for `io_uring`, whose calls run in the context of
//! any other call, or of a thread of its own. Such a thread has the memory and the process of those
//! that it works for, so that what the iterator names can be read from there.
//!
//! The hooks run when the call has moved the iterator on. By how much is known exactly: it is what
//! was asked for, less what is left. So its start is that far behind.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;

use crate::{
    buffer::{Parts, Source, layout},
    globals::offset,
    memory::KernelPointer,
};

/// Bytes of a `struct iovec`, and where its length stands.
const ENTRY: u64 = 16;
const ENTRY_LENGTH: u32 = 8;
/// Parts that are gone back over.
const PARTS: u32 = 32;

/// The message of a call.
#[derive(Clone, Copy)]
pub(crate) struct Message {
    /// `struct msghdr`
    header: KernelPointer,
    /// Bytes that were asked for.
    asked: u64,
}

impl Message {
    #[inline(always)]
    pub(crate) fn new(header: *const c_void, asked: u64) -> Self {
        Self {
            header: KernelPointer::new(header),
            asked,
        }
    }

    /// Where the bytes are that the call has moved; `None` when they are not in a user's memory,
    /// or in too many parts.
    #[inline(always)]
    pub(crate) fn locate(&self, moved: u32) -> Option<Source> {
        let (buffer, vector) = (offset!(iterator_is_buffer), offset!(iterator_is_vector));
        if buffer == u32::MAX && vector == u32::MAX {
            return None;
        }
        let kind = u32::from(self.header.read::<u8>(offset!(iterator_type)));
        let left = self.header.read::<u64>(offset!(iterator_count));
        let offset = self.header.read::<u64>(offset!(iterator_offset));
        let advanced = self.asked.wrapping_sub(left);
        // A unix socket may have moved it on further, when a part could not be read.
        if left > self.asked || advanced < u64::from(moved) {
            return None;
        }
        if kind == buffer {
            let start = self.header.read::<u64>(offset!(iterator_buffer));
            return Some(Source::Piece(
                start.wrapping_add(offset).wrapping_sub(advanced),
            ));
        }
        if kind != vector {
            return None;
        }
        let vector = self.header.read::<u64>(offset!(iterator_vector));
        start_of(vector, offset, advanced)
    }
}

/// What the loop back over an iovec's parts works on.
struct Backing {
    /// The part that was gone back to.
    entry: u64,
    /// Bytes before it that are still to be gone back over.
    back: u64,
    /// Where the bytes start in it.
    start: u64,
    parts: u64,
    done: bool,
}

/// The `advanced` bytes that end at `offset` in the part at `entry`. The kernel goes on to the next
/// part as soon as one is used up; this is `iov_iter_revert`.
#[inline(always)]
fn start_of(entry: u64, offset: u64, advanced: u64) -> Option<Source> {
    let mut backing = Backing {
        entry,
        back: advanced.wrapping_sub(offset),
        start: offset.wrapping_sub(advanced),
        parts: u64::from(offset > 0),
        done: advanced <= offset,
    };
    if !backing.done {
        // SAFETY: the callback has the type that the helper calls, and its context outlives the
        // call.
        unsafe {
            bpf_loop(PARTS, go_back as *mut c_void, (&raw mut backing).cast(), 0);
        }
    }
    backing.done.then_some(Source::Parts(Parts {
        vector: backing.entry,
        count: backing.parts,
        layout: layout::KERNEL,
        start: backing.start,
    }))
}

/// One round of the loop: 0 to go on, 1 to stop.
unsafe extern "C" fn go_back(_number: u64, context: *mut c_void) -> i64 {
    // SAFETY: `start_of` passes its own `Backing`.
    let backing = unsafe { &mut *context.cast::<Backing>() };
    backing.entry = backing.entry.wrapping_sub(ENTRY);
    backing.parts += 1;
    let length = KernelPointer::new(backing.entry as *const c_void).read::<u64>(ENTRY_LENGTH);
    if length < backing.back {
        backing.back -= length;
        return 0;
    }
    backing.start = length - backing.back;
    backing.done = true;
    1
}
