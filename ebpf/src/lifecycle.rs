//! Births and deaths: of TCP connections by their state changes, of processes by the scheduler.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns,
    generated::{bpf_get_current_cgroup_id, bpf_get_current_task_btf},
};
use wirespan_ebpf::{
    frames::framing,
    records::{
        CloseRecord, EXEC_ARGUMENTS, EXEC_ENVIRONMENT, ExecRecord, ExitRecord, ForkRecord,
        close_how, direction, kind, role,
    },
};

use crate::{
    globals::{self, offset},
    memory::{self, KernelPointer},
    ring,
    socket::{self, SocketState, flags},
};

/// States of `include/net/tcp_states.h`.
mod tcp {
    pub(crate) const ESTABLISHED: i32 = 1;
    pub(crate) const SYN_SENT: i32 = 2;
    pub(crate) const SYN_RECV: i32 = 3;
    pub(crate) const FIN_WAIT1: i32 = 4;
    pub(crate) const CLOSE: i32 = 7;
    pub(crate) const LAST_ACK: i32 = 9;
}

/// A TCP socket goes from one state to another.
#[inline(always)]
pub(crate) fn state_changed(sock: KernelPointer, old: i32, new: i32) {
    match new {
        tcp::ESTABLISHED => established(sock, old),
        tcp::FIN_WAIT1 | tcp::LAST_ACK => closed(sock, close_how::SEND_SHUT),
        tcp::CLOSE => closed(sock, close_how::CLOSED),
        _ => {}
    }
}

/// How it came there tells which end it is.
#[inline(always)]
fn established(sock: KernelPointer, old: i32) {
    let role = match old {
        tcp::SYN_SENT => role::CLIENT,
        tcp::SYN_RECV => role::SERVER,
        _ => return,
    };
    let Some(family) = socket::traced_family(sock) else {
        return;
    };
    if socket::state(sock).is_some() {
        return;
    }
    if !socket::create_established(sock, family, role)
        && let Some(stats) = ring::stats()
    {
        stats.storage_failed += 1;
    }
}

#[inline(always)]
fn closed(sock: KernelPointer, how: u8) {
    let Some(state) = socket::state(sock) else {
        return;
    };
    if state.turn == 0 && state.flags & flags::OPENED == 0 {
        // Nothing was ever seen of it.
        return;
    }
    let opened = socket::write_open(sock, state, 0);
    let error = sock.load::<u32>(offset!(sock_error));
    state.sequence += 1;
    let Some(stats) = ring::stats() else {
        return;
    };
    let written = opened
        && ring::current(stats).is_some_and(|ring| {
            ring.write::<CloseRecord>(|record| {
                *record = CloseRecord {
                    kind: kind::CLOSE,
                    how,
                    role: state.role,
                    reserved: 0,
                    tgid: 0,
                    // SAFETY: the helper has no preconditions.
                    time: unsafe { bpf_ktime_get_boot_ns() },
                    connection: state.cookie,
                    position: state.position,
                    sequence: state.sequence as u32,
                    turn: state.turn,
                    error,
                    reserved_tail: 0,
                };
            })
        });
    if written {
        // The record tells the turn.
        state.written_turn = state.turn;
        stats.records += 1;
    } else {
        stats.ring_full_other += 1;
        if how == close_how::CLOSED {
            abandon(state);
        }
    }
}

/// No later record will tell the agent of what was not written: from here on requests of this
/// socket are counted in the kernel.
#[inline(never)]
pub(crate) fn abandon(state: &mut SocketState) -> bool {
    let Some(stats) = ring::stats() else {
        return false;
    };
    stats.exchanges_lost[usize::from(state.role & 3)] += u64::from(unwritten_requests(state));
    state.written_turn = state.turn;
    state.flags |= flags::ABANDONED;
    true
}

/// A TCP socket that is open when the agent stops.
#[inline(always)]
pub(crate) fn left_open(sock: KernelPointer) {
    if let Some(state) = socket::state(sock)
        && state.flags & flags::IGNORED == 0
    {
        abandon(state);
    }
}

/// Requests of the turns after the last one of which a record was written: no later record will
/// tell the agent of them. Turns of frames are no requests.
#[inline(always)]
fn unwritten_requests(state: &SocketState) -> u32 {
    if state.framing > framing::NONE {
        return 0;
    }
    let turns = state.turn.wrapping_sub(state.written_turn);
    let request = if state.role == role::CLIENT {
        direction::SEND
    } else {
        direction::RECEIVE
    };
    if state.direction == request {
        turns.div_ceil(2)
    } else {
        turns / 2
    }
}

/// A process has a new program.
#[inline(always)]
pub(crate) fn executed(task: KernelPointer, binary: KernelPointer) {
    // SAFETY: the helper has no preconditions.
    let current = KernelPointer::new(unsafe { bpf_get_current_task_btf() }.cast());
    let memory = current.follow(offset!(task_mm));
    let file = binary.follow(offset!(binprm_file));
    let name = file
        .follow(offset!(file_dentry))
        .follow(offset!(dentry_name));
    let filename = binary.follow(offset!(binprm_filename));
    let written = write(|record: &mut ExecRecord| {
        record.kind = kind::EXEC;
        record.reserved = [0; 3];
        record.tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
        // SAFETY: the helper has no preconditions.
        record.time = unsafe { bpf_ktime_get_boot_ns() };
        record.start_time = task.read(offset!(task_start_time));
        // SAFETY: the helper has no preconditions.
        record.cgroup = unsafe { bpf_get_current_cgroup_id() };
        record.parent_tgid = task.follow(offset!(task_parent)).read(offset!(task_tgid));
        record.reserved_tail = 0;
        name.copy_string(&raw mut record.executable);
        filename.copy_string(&raw mut record.filename);
        let arguments = (&raw mut record.payload).cast::<u8>();
        record.arguments_length = copy_range::<EXEC_ARGUMENTS>(
            arguments,
            memory.read(offset!(mm_arg_start)),
            memory.read(offset!(mm_arg_end)),
        );
        // SAFETY: the payload has room for arguments and environment.
        let environment = unsafe { arguments.add(EXEC_ARGUMENTS) };
        record.environment_length = copy_range::<EXEC_ENVIRONMENT>(
            environment,
            memory.read(offset!(mm_env_start)),
            memory.read(offset!(mm_env_end)),
        );
    });
    count(written);
}

/// Copies the first `N` bytes of a range of the user's memory, gives the number copied.
#[inline(always)]
fn copy_range<const N: usize>(target: *mut u8, start: u64, end: u64) -> u32 {
    let length = end.wrapping_sub(start);
    let length = if length < N as u64 {
        length as u32
    } else {
        N as u32
    };
    // SAFETY: callers pass room for N bytes, and `length` is not more.
    if length <= N as u32 && unsafe { memory::copy_user(target, length, start) } {
        length
    } else {
        0
    }
}

/// A task was created; only processes are of interest.
#[inline(always)]
pub(crate) fn forked(parent: KernelPointer, child: KernelPointer) {
    let tgid = child.load::<u32>(offset!(task_tgid));
    if tgid != child.load::<u32>(offset!(task_pid)) {
        return;
    }
    let written = write(|record: &mut ForkRecord| {
        *record = ForkRecord {
            kind: kind::FORK,
            reserved: [0; 3],
            tgid,
            // SAFETY: the helper has no preconditions.
            time: unsafe { bpf_ktime_get_boot_ns() },
            start_time: child.load(offset!(task_start_time)),
            parent_tgid: parent.load(offset!(task_tgid)),
            reserved_tail: 0,
        };
    });
    count(written);
}

/// A task has exited; only the last of its process is of interest.
#[inline(always)]
pub(crate) fn exited(task: KernelPointer) {
    if task
        .follow(offset!(task_signal))
        .read::<u32>(offset!(signal_live))
        != 0
    {
        return;
    }
    let tgid = task.load::<u32>(offset!(task_tgid));
    if tgid == globals::agent_tgid() {
        return;
    }
    let written = write(|record: &mut ExitRecord| {
        *record = ExitRecord {
            kind: kind::EXIT,
            reserved: [0; 3],
            tgid,
            // SAFETY: the helper has no preconditions.
            time: unsafe { bpf_ktime_get_boot_ns() },
        };
    });
    count(written);
}

#[inline(always)]
fn write<T>(fill: impl FnOnce(&mut T)) -> bool {
    let Some(stats) = ring::stats() else {
        return false;
    };
    ring::current(stats).is_some_and(|ring| ring.write(fill))
}

#[inline(always)]
fn count(written: bool) {
    if let Some(stats) = ring::stats() {
        if written {
            stats.records += 1;
        } else {
            stats.ring_full_other += 1;
        }
    }
}
