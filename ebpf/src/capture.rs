//! What happens at each send and receive: count, copy what is needed, tell the agent.

use core::hint::black_box;

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns, generated::bpf_skc_to_tcp_sock,
};
use wirespan_ebpf::{
    TURN_BUDGET,
    frames::framing,
    records::{DataRecord, TAIL, cause, data_flags, direction, family, kind},
    stats::KernelStats,
    verdict::Verdict,
};

use crate::{
    buffer::{self, Source},
    framed,
    globals::{self, offset},
    heads,
    iterator::Message,
    lifecycle, long,
    maps::{GATHER, VERDICTS},
    memory::{self, KernelPointer},
    ring::{self, Ring, Written},
    socket::{self, SocketState, flags},
    walk::Walk,
};

/// Receives with one of these move no byte of the stream: `MSG_PEEK`, `MSG_ERRQUEUE`.
const MSG_PEEK: u32 = 0x2;
const MSG_ERRQUEUE: u32 = 0x2000;
/// Bytes are taken from the stream without being copied to the user.
const MSG_TRUNC: u32 = 0x20;
/// `TCP_CLOSE` of `include/net/tcp_states.h`; unix sockets use only `TCP_ESTABLISHED` here.
const TCP_CLOSE: u8 = 7;
/// Turns in which a socket looks for a verdict at each.
const SNIFFED_TURNS: u32 = 16;
/// Later it looks once in so many records (a power of two).
const RECORDS_PER_VERDICT_CHECK: u32 = 16;

/// A call on `sock` has returned `moved`: bytes sent or received, 0 at the end of the stream, or
/// a negative error. `message` is what it worked on, where the hook has that.
#[inline(always)]
pub(crate) fn transferred(
    sock: KernelPointer,
    way: u8,
    moved: i32,
    receive_flags: u32,
    message: Option<Message>,
) {
    let thread = bpf_get_current_pid_tgid();
    let tgid = (thread >> 32) as u32;
    if tgid == globals::agent_tgid() || receive_flags & (MSG_PEEK | MSG_ERRQUEUE) != 0 {
        return;
    }
    let Some(family) = socket::traced_family(sock) else {
        return;
    };
    let state = match socket::state(sock) {
        Some(state) => state,
        None if moved <= 0 => return,
        None => {
            if !socket::create_in_use(sock, family, moved as u32, way) {
                if let Some(stats) = ring::stats() {
                    stats.storage_failed += 1;
                }
                return;
            }
            let Some(state) = socket::state(sock) else {
                return;
            };
            state
        }
    };
    if state.flags & flags::IGNORED != 0 {
        return;
    }
    if moved < 0 {
        // Ends a sendmmsg or recvmmsg.
        state.vector = 0;
        return;
    }
    let transfer = Transfer {
        sock,
        way,
        moved: moved as u32,
        tgid,
        tid: thread as u32,
        discarded: receive_flags & MSG_TRUNC != 0,
        message,
    };
    record(state, &transfer);
}

/// One call that moved bytes.
struct Transfer {
    sock: KernelPointer,
    way: u8,
    moved: u32,
    tgid: u32,
    tid: u32,
    discarded: bool,
    message: Option<Message>,
}

#[inline(always)]
fn record(state: &mut SocketState, transfer: &Transfer) {
    if transfer.moved == 0 {
        // A send of nothing, or a receive into nothing, says nothing about the stream.
        if transfer.way == direction::SEND || buffer::requested_nothing() {
            return;
        }
    }
    let turned = take_turn(state, transfer);
    let position = take_position(state, transfer);
    if state.flags & flags::ABANDONED != 0 {
        if turned {
            lifecycle::abandon(state);
        }
        return;
    }
    let opened = socket::write_open(transfer.sock, state, transfer.tgid);
    let sequence = memory::fetch_add(&mut state.sequence, 1) as u32 + 1;
    if is_ignored_by_now(state, turned, sequence) {
        return;
    }
    let Some(stats) = ring::stats() else {
        return;
    };
    stats.bytes_seen[usize::from(transfer.way & 1)] += u64::from(transfer.moved);
    if !opened {
        stats.ring_full += 1;
        return;
    }
    let data = DataRecord {
        kind: kind::DATA,
        direction: transfer.way,
        flags: flags_of(state, transfer),
        cause: cause::BUDGET,
        tgid: transfer.tgid,
        // SAFETY: the helper has no preconditions.
        time: unsafe { bpf_ktime_get_boot_ns() },
        connection: state.cookie,
        position,
        sequence,
        turn: state.turn,
        length: transfer.moved,
        captured: 0,
        tid: transfer.tid,
        tail_length: 0,
        tail: [0; TAIL],
    };
    copy(state, transfer, stats, data);
}

#[inline(always)]
fn flags_of(state: &SocketState, transfer: &Transfer) -> u8 {
    let mut flags = (state.role & 3) << data_flags::ROLE_SHIFT;
    if transfer.moved == 0 {
        flags |= data_flags::END_OF_STREAM;
    }
    if state.flags & flags::PRE_EXISTING != 0 {
        flags |= data_flags::PRE_EXISTING;
    }
    flags
}

/// A new run in one direction has its own budget.
#[inline(always)]
fn take_turn(state: &mut SocketState, transfer: &Transfer) -> bool {
    if transfer.moved == 0 || state.direction == transfer.way {
        return false;
    }
    state.direction = transfer.way;
    state.turn += 1;
    state.budget = TURN_BUDGET;
    state.beyond = 0;
    state.content = 0;
    state.head = 0;
    true
}

/// Position of this call's first byte. TCP's own sequence numbers tell of bytes that no hook saw
/// (a splice from the socket, say): they become a jump.
#[inline(always)]
fn take_position(state: &mut SocketState, transfer: &Transfer) -> u64 {
    let way = usize::from(transfer.way & 1);
    let mut position = state.position[way];
    if state.family != family::UNIX && transfer.moved != 0 {
        // SAFETY: the helper takes any socket; null when it is not a TCP socket.
        let tcp = KernelPointer::new(unsafe { bpf_skc_to_tcp_sock(transfer.sock.as_mut()) }.cast());
        if !tcp.is_null() {
            let now = if transfer.way == direction::SEND {
                tcp.load::<u32>(offset!(tcp_write_seq))
            } else {
                tcp.load::<u32>(offset!(tcp_copied_seq))
            };
            let expected = (state.base[way] as u32)
                .wrapping_add(position as u32)
                .wrapping_add(transfer.moved);
            let unseen = now.wrapping_sub(expected);
            // `tcp_recvmsg` counts a FIN that it comes upon as one more byte read.
            let fin = unseen == 1
                && transfer.way == direction::RECEIVE
                && !may_receive(transfer.sock.load(offset!(sock_state)));
            if unseen < 1 << 31 && !fin {
                position += u64::from(unseen);
            }
        }
    }
    state.position[way] = position + u64::from(transfer.moved);
    position
}

/// Whether the peer has not sent its FIN (`include/net/tcp_states.h`: `ESTABLISHED`, `FIN_WAIT1`,
/// `FIN_WAIT2`).
#[inline(always)]
fn may_receive(state: u8) -> bool {
    matches!(state, 1 | 4 | 5)
}

/// Looks for the agent's verdict, often while the socket is young, rarely later.
#[inline(always)]
fn is_ignored_by_now(state: &mut SocketState, turned: bool, sequence: u32) -> bool {
    let young = turned && state.turn <= SNIFFED_TURNS;
    if !young && !sequence.is_multiple_of(RECORDS_PER_VERDICT_CHECK) {
        return false;
    }
    // SAFETY: only the agent writes the value, before the socket can find it.
    let Some(&verdict) = (unsafe { VERDICTS.get(state.cookie) }) else {
        return false;
    };
    let _ = VERDICTS.remove(state.cookie);
    if verdict == Verdict::Ignore as u8 {
        state.flags |= flags::IGNORED;
        return true;
    }
    framed::judged(state, verdict);
    false
}

/// Copies the call and writes its record, or has that done.
#[inline(always)]
fn copy(
    state: &mut SocketState,
    transfer: &Transfer,
    stats: &mut KernelStats,
    mut data: DataRecord,
) {
    let Some(mut ring) = ring::current(stats) else {
        return;
    };
    let source = if transfer.moved == 0 {
        Err(cause::BUDGET)
    } else if transfer.discarded {
        Err(cause::UNREADABLE)
    } else {
        locate(state, transfer, &mut data)
    };
    let written = match source {
        Err(why) => {
            framed::missed(state, &data);
            heads::pass(state, transfer.moved);
            data.cause = why;
            let left = if transfer.moved < state.budget {
                transfer.moved
            } else {
                state.budget
            };
            state.budget -= left;
            ring.write_data(&data, 0)
        }
        Ok(source) if state.framing != framing::NONE || transfer.moved >= state.budget => {
            return walk_through(state, transfer, source, &data);
        }
        Ok(source) => {
            // Within the turn's budget.
            state.budget -= transfer.moved;
            let written = write(&mut ring, &mut data, source, transfer.moved);
            heads::note(state, ring.last, transfer.moved);
            written
        }
    };
    account(state, stats, &data, written);
    if written != Written::Yes {
        unwritten(state, transfer);
    }
}

/// Has a call walked that is not simply copied. What it needs goes into a map first, so that the
/// verifier walks through it once, however it got there.
#[inline(always)]
fn walk_through(state: &mut SocketState, transfer: &Transfer, source: Source, data: &DataRecord) {
    let Some(walk) = Walk::get() else {
        return;
    };
    walk.describe(source, data);
    if long::walked(state, walk) != 0 {
        unwritten(state, transfer);
    }
}

#[inline(always)]
fn unwritten(state: &mut SocketState, transfer: &Transfer) {
    if transfer.sock.load::<u8>(offset!(sock_state)) == TCP_CLOSE {
        // Read after a reset, when the end was already told.
        lifecycle::abandon(state);
    }
}

/// Finds the bytes by the call's registers, else by the message that it worked on.
#[inline(always)]
fn locate(
    state: &mut SocketState,
    transfer: &Transfer,
    data: &mut DataRecord,
) -> Result<Source, u8> {
    let why = match buffer::locate(state, transfer.way, transfer.moved, transfer.tid) {
        Ok(source) => return Ok(source),
        Err(why) => why,
    };
    let message = transfer.message.ok_or(why)?;
    if buffer::in_worker() {
        data.tid = 0;
    }
    message.locate(transfer.moved).ok_or(why)
}

#[inline(always)]
fn write(ring: &mut Ring, data: &mut DataRecord, source: Source, wanted: u32) -> Written {
    let parts = match source {
        _ if wanted == 0 => return ring.write_data(data, 0),
        Source::Piece(address) => return write_piece(ring, data, address, wanted),
        Source::Parts(parts) => parts,
    };
    let few = parts.few();
    if let Some([[address, length], ..]) = few
        && length >= u64::from(wanted)
    {
        // The usual case of one part, or of a first part that is enough.
        return write_piece(ring, data, address, wanted);
    }
    let Some(gather) = GATHER.get_ptr_mut(0) else {
        return Written::RingFull;
    };
    // SAFETY: the map has the entry, and it is this CPU's.
    let gather = unsafe { &mut *gather };
    let (gathered, why) = match few {
        Some(few) => {
            buffer::gather_few(&few, parts.count, wanted, (&raw mut gather.payload).cast())
        }
        None => buffer::gather(parts, wanted),
    };
    data.captured = gathered;
    data.cause = why;
    gather.record = *data;
    ring.write_gathered(gather, gathered)
}

#[inline(always)]
fn write_piece(ring: &mut Ring, data: &mut DataRecord, address: u64, wanted: u32) -> Written {
    data.captured = wanted;
    let written = ring.write_data(data, address);
    if written != Written::Unreadable {
        return written;
    }
    data.captured = 0;
    data.cause = cause::UNREADABLE;
    ring.write_data(data, 0)
}

#[inline(always)]
pub(crate) fn account(
    state: &mut SocketState,
    stats: &mut KernelStats,
    data: &DataRecord,
    written: Written,
) {
    if written != Written::Yes {
        stats.ring_full += 1;
        return;
    }
    state.written_turn = data.turn;
    stats.records += 1;
    stats.bytes_captured += u64::from(data.captured);
    let uncaptured = data.length - data.captured;
    if uncaptured > 0 {
        let cause = black_box(usize::from(data.cause));
        if cause < cause::COUNT {
            stats.uncaptured_bytes[cause] += u64::from(uncaptured);
        }
    }
}
