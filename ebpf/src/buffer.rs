//! Where the bytes of the running system call are in the user's memory.
//!
//! The hooks run inside the call, so the user's registers still hold its arguments
//! (`bpf_task_pt_regs`, Linux 5.15). Nothing is guessed: a call that is not known, or that is not
//! under way, gives a cause instead of an address.

use core::hint::black_box;

use aya_ebpf::{
    cty::c_void,
    helpers::{
        bpf_loop,
        generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
    },
};
use wirespan_ebpf::{
    TURN_BUDGET,
    records::{cause, direction},
    syscalls::kind,
};

use crate::{
    globals::{self, offset},
    maps::GATHER,
    memory::{self, KernelPointer},
    socket::SocketState,
};

/// `PF_IO_WORKER` of `task_struct.flags`: a thread of `io_uring` (Linux 5.12).
const PF_IO_WORKER: u32 = 0x10;
/// `TS_COMPAT` of x86's `thread_info.status`: a 32-bit system call is under way.
const TS_COMPAT: u32 = 2;
/// What x86 puts into the return register for as long as a system call runs.
const ENOSYS: i64 = 38;
/// Parts of an iovec that are walked.
const IOVEC_PARTS: u32 = 32;

/// The user's bytes of one call.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// In one piece.
    Piece(u64),
    /// In several parts.
    Parts(Parts),
}

/// An iovec.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Parts {
    pub(crate) vector: u64,
    pub(crate) count: u64,
    /// See [`layout`].
    pub(crate) layout: u64,
    /// Where the bytes start in the first part.
    pub(crate) start: u64,
}

/// How an iovec lies in memory.
pub(crate) mod layout {
    /// In the user's.
    pub(crate) const NATIVE: u64 = 0;
    /// In the user's, of 32-bit addresses.
    pub(crate) const COMPAT: u64 = 1;
    /// Copied into the kernel's.
    pub(crate) const KERNEL: u64 = 2;
}

/// The user's registers during a system call.
struct Call {
    registers: KernelPointer,
    compat: bool,
}

impl Call {
    #[inline(always)]
    fn argument<const N: usize>(&self) -> u64 {
        if self.compat && N < 3 {
            self.registers.load::<u64>(offset!(regs_argument_compat[N])) & 0xffff_ffff
        } else {
            self.registers.load::<u64>(offset!(regs_argument[N]))
        }
    }
}

/// The requested length of a plain read, to tell the end of a stream from an empty request.
#[inline(always)]
pub(crate) fn requested_nothing() -> bool {
    let Ok((call, class)) = running_call() else {
        return false;
    };
    class == kind::BUFFER && call.argument::<2>() == 0
}

/// Finds the bytes that the running call has moved over the socket of `state`.
#[inline(always)]
pub(crate) fn locate(
    state: &mut SocketState,
    way: u8,
    moved: u32,
    thread: u32,
) -> Result<Source, u8> {
    let (call, class) = running_call()?;
    let pointer = call.argument::<1>();
    match class {
        kind::BUFFER => Ok(Source::Piece(pointer)),
        kind::VECTOR => Ok(parts(pointer, call.argument::<2>(), call.compat)),
        kind::MESSAGE => message(pointer, call.compat),
        kind::MESSAGES => messages(
            state,
            &Messages {
                vector: pointer,
                count: call.argument::<2>() as u32,
                compat: call.compat,
                timeout: way == direction::RECEIVE && call.argument::<4>() != 0,
            },
            moved,
            thread,
        ),
        kind::SENDFILE => Err(cause::SENDFILE),
        kind::SPLICE => Err(cause::SPLICE),
        kind::IO_URING => Err(cause::IO_URING),
        kind::SOCKETCALL => socketcall(state, &call, moved, thread),
        _ => Err(cause::UNKNOWN_SYSCALL),
    }
}

/// Whether this is a thread of `io_uring`, which makes the calls of others.
#[inline(always)]
pub(crate) fn in_worker() -> bool {
    // SAFETY: the helper has no preconditions.
    let task = KernelPointer::new(unsafe { bpf_get_current_task_btf() }.cast());
    task.load::<u32>(offset!(task_flags)) & PF_IO_WORKER != 0
}

/// The system call that this task is inside of, and its class.
#[inline(always)]
fn running_call() -> Result<(Call, u8), u8> {
    // SAFETY: the helper has no preconditions.
    let current = unsafe { bpf_get_current_task_btf() };
    let task = KernelPointer::new(current.cast());
    if task.load::<u32>(offset!(task_flags)) & PF_IO_WORKER != 0 {
        return Err(cause::IO_URING);
    }
    // SAFETY: `current` is the current task.
    let registers = KernelPointer::new(unsafe { bpf_task_pt_regs(current) } as *const c_void);
    // On its way back to the user a task runs what io_uring queued; its registers then hold the
    // arguments of a call that is over.
    let running = if offset!(regs_original) == u32::MAX {
        -ENOSYS
    } else {
        registers.load::<i64>(offset!(regs_original))
    };
    if registers.load::<i64>(offset!(regs_return)) != running {
        return Err(cause::IO_URING);
    }
    let compat = offset!(task_compat_status) != u32::MAX
        && task.load::<u32>(offset!(task_compat_status)) & TS_COMPAT != 0;
    let number = registers.load::<u64>(offset!(regs_syscall)) as u32;
    let call = Call { registers, compat };
    Ok((call, globals::syscall_kind(number, compat)))
}

#[inline(always)]
fn parts(vector: u64, count: u64, compat: bool) -> Source {
    Source::Parts(Parts {
        vector,
        count,
        layout: if compat {
            layout::COMPAT
        } else {
            layout::NATIVE
        },
        start: 0,
    })
}

/// `struct user_msghdr`: name, its length, iovec, its count...
#[inline(always)]
fn message(header: u64, compat: bool) -> Result<Source, u8> {
    if compat {
        let [vector, count] = memory::read_user::<[u32; 2]>(header + 8).ok_or(cause::UNREADABLE)?;
        Ok(parts(u64::from(vector), u64::from(count), true))
    } else {
        let [vector, count] =
            memory::read_user::<[u64; 2]>(header + 16).ok_or(cause::UNREADABLE)?;
        Ok(parts(vector, count, false))
    }
}

struct Messages {
    vector: u64,
    count: u32,
    compat: bool,
    timeout: bool,
}

/// `sendmmsg` and `recvmmsg` move their messages one by one, and the hooks run for each, without
/// its number. It is counted here, and the count begins anew after whatever ends such a call: the
/// last message, an error, or a message that was not moved whole. A timeout ends it without a
/// trace, so that those calls are not followed. The kernel writes each message's length into the
/// vector before it goes on, which proves the count.
#[inline(always)]
fn messages(
    state: &mut SocketState,
    call: &Messages,
    moved: u32,
    thread: u32,
) -> Result<Source, u8> {
    if call.timeout {
        return Err(cause::MESSAGE_UNKNOWN);
    }
    let (header_size, entry_size) = if call.compat { (28, 32) } else { (56, 64) };
    let mut number = 0;
    if state.vector == call.vector && state.vector_thread == thread {
        number = state.vector_next;
        let previous = call.vector + u64::from(number.wrapping_sub(1)) * entry_size;
        if memory::read_user::<u32>(previous + header_size) != Some(state.vector_moved) {
            state.vector = 0;
            return Err(cause::MESSAGE_UNKNOWN);
        }
    }
    if number + 1 >= call.count {
        state.vector = 0;
    } else {
        state.vector = call.vector;
        state.vector_thread = thread;
        state.vector_next = number + 1;
        state.vector_moved = moved;
    }
    message(call.vector + u64::from(number) * entry_size, call.compat)
}

/// 32-bit x86's `socketcall(call, arguments)`.
#[inline(always)]
fn socketcall(state: &mut SocketState, call: &Call, moved: u32, thread: u32) -> Result<Source, u8> {
    let arguments = memory::read_user::<[u32; 5]>(call.argument::<1>()).ok_or(cause::UNREADABLE)?;
    let pointer = u64::from(arguments[1]);
    match call.argument::<0>() {
        // SYS_SEND, SYS_RECV, SYS_SENDTO, SYS_RECVFROM
        9..=12 => Ok(Source::Piece(pointer)),
        // SYS_SENDMSG, SYS_RECVMSG
        16 | 17 => message(pointer, true),
        // SYS_RECVMMSG, SYS_SENDMMSG
        number @ (19 | 20) => messages(
            state,
            &Messages {
                vector: pointer,
                count: arguments[2],
                compat: true,
                timeout: number == 19 && arguments[4] != 0,
            },
            moved,
            thread,
        ),
        _ => Err(cause::UNKNOWN_SYSCALL),
    }
}

impl Parts {
    /// A part's address and length.
    #[inline(always)]
    pub(crate) fn part(&self, number: u64) -> Option<(u64, u64)> {
        let [base, length] = match self.layout {
            layout::COMPAT => {
                let [base, length] = memory::read_user::<[u32; 2]>(self.vector + number * 8)?;
                [u64::from(base), u64::from(length)]
            }
            layout::KERNEL => {
                KernelPointer::new((self.vector + number * 16) as *const c_void).read(0)
            }
            _ => memory::read_user(self.vector + number * 16)?,
        };
        if number == 0 {
            Some((
                base.wrapping_add(self.start),
                length.wrapping_sub(self.start),
            ))
        } else {
            Some((base, length))
        }
    }
}

/// Parts of an iovec that are read at once: most calls have no more.
const FEW_PARTS: usize = 4;

/// A short iovec, as `struct iovec` lies in memory: address and length of each part.
pub(crate) type FewParts = [[u64; 2]; FEW_PARTS];

impl Parts {
    /// All parts, where they are few and native; one read in place of one for each, because each
    /// costs about 30 ns (`copy_from_user_nofault` checks its target). What lies behind a shorter
    /// iovec is read with it, so that the size is a constant, and counts as empty.
    #[inline(always)]
    pub(crate) fn few(&self) -> Option<FewParts> {
        if self.layout != layout::NATIVE || self.count == 0 || self.count > FEW_PARTS as u64 {
            return None;
        }
        memory::read_user(self.vector)
    }
}

/// Copies up to `wanted` bytes of the first `count` of few parts into `target`. Gives the number
/// copied, and why it is not all.
#[inline(always)]
pub(crate) fn gather_few(parts: &FewParts, count: u64, wanted: u32, target: *mut u8) -> (u32, u8) {
    let mut gathered = 0;
    for (number, &[address, length]) in parts.iter().enumerate() {
        if number as u64 >= count {
            break;
        }
        let left = u64::from(wanted - gathered);
        // Hidden from the compiler, which would merge the bounds into a form that the verifier
        // does not follow.
        let length = black_box(if length < left { length } else { left } as u32);
        if length == 0 {
            continue;
        }
        if length > TURN_BUDGET {
            break;
        }
        if gathered >= TURN_BUDGET {
            break;
        }
        // Masked where it is used: Linux 6.1 forgets the bound of what it finds on the stack.
        let start = black_box(gathered) & (TURN_BUDGET - 1);
        // SAFETY: `start` is below the budget, and the target is twice as long.
        let target = unsafe { target.add(start as usize) };
        // SAFETY: `length` is not above the budget, and twice that is there.
        if !unsafe { memory::copy_user(target, length, address) } {
            return (gathered, cause::UNREADABLE);
        }
        gathered += length;
    }
    (gathered, cause::BUDGET)
}

/// What the loop over an iovec's parts works on.
struct Gathering {
    parts: Parts,
    wanted: u32,
    gathered: u32,
    unreadable: bool,
}

/// Copies `wanted` bytes of an iovec into this CPU's [`GATHER`]. Gives the number copied, and why it
/// is not all.
#[inline(always)]
pub(crate) fn gather(parts: Parts, wanted: u32) -> (u32, u8) {
    let mut gathering = Gathering {
        parts,
        wanted,
        gathered: 0,
        unreadable: false,
    };
    let rounds = if parts.count < u64::from(IOVEC_PARTS) {
        parts.count as u32
    } else {
        IOVEC_PARTS
    };
    // SAFETY: the callback has the type that the helper calls, and its context outlives the call.
    unsafe {
        bpf_loop(
            rounds,
            gather_part as *mut c_void,
            (&raw mut gathering).cast(),
            0,
        );
    }
    let why = if gathering.unreadable {
        cause::UNREADABLE
    } else if gathering.gathered < wanted {
        cause::IOVEC_LIMIT
    } else {
        cause::BUDGET
    };
    (gathering.gathered, why)
}

/// One round of the loop: 0 to go on, 1 to stop.
unsafe extern "C" fn gather_part(number: u64, context: *mut c_void) -> i64 {
    // SAFETY: `gather` passes its own `Gathering`.
    let gathering = unsafe { &mut *context.cast::<Gathering>() };
    let start = gathering.gathered;
    if start >= gathering.wanted || start >= TURN_BUDGET {
        return 1;
    }
    let Some((address, length)) = gathering.parts.part(number) else {
        gathering.unreadable = true;
        return 1;
    };
    let left = u64::from(gathering.wanted - start);
    let length = if length < left { length } else { left } as u32;
    if length == 0 {
        return 0;
    }
    if length > TURN_BUDGET {
        return 1;
    }
    let Some(target) = GATHER.get_ptr_mut(0) else {
        return 1;
    };
    // SAFETY: the map has the entry; only its address is taken.
    let payload = unsafe { &raw mut (*target).payload }.cast::<u8>();
    // SAFETY: `start` is below the budget, and the payload is twice as long.
    let target = unsafe { payload.add(start as usize) };
    // SAFETY: `length` is not above the budget, and twice that is there.
    if !unsafe { memory::copy_user(target, length, address) } {
        gathering.unreadable = true;
        return 1;
    }
    gathering.gathered = start + length;
    0
}
