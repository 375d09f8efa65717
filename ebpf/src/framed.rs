//! Sockets that carry frames: recognises HTTP/2 by its preface, finds out where frames are when
//! that is not known, and has calls walked. Knows nothing of what frames mean.

use wirespan_ebpf::{
    TURN_BUDGET,
    frames::{PREFACE, framing},
    records::{DataRecord, direction, role},
};

use crate::{
    framer::{Framer, step},
    socket::SocketState,
    walk::{Walk, mode, status},
};

/// So many frame headers, each where the one before says, are no accident.
const PROVEN: u32 = 3;
/// Longest frame that is waited for to be proven: HTTP/2's default (RFC 9113 section 4.2).
const LONGEST_UNPROVEN: u64 = 16_384;

/// The agent says that a socket carries frames from some position on.
#[inline(never)]
pub(crate) fn judged(state: &mut SocketState, verdict: u8) -> u32 {
    if state.framing != verdict {
        state.framing = verdict;
        state.framers[0].begin(step::OUT);
        state.framers[1].begin(step::OUT);
    }
    0
}

/// Bytes have moved that cannot be read: sent from a file, for one. They are most often a frame's
/// payload.
#[inline(never)]
pub(crate) fn missed(state: &mut SocketState, data: &DataRecord) -> u32 {
    if state.framing > framing::NONE {
        follow(state, data, u64::from(data.length));
    }
    0
}

/// A call on a socket that carries frames, or may: 1 when it was walked through, 0 when it is left
/// to the usual way.
#[inline(always)]
pub(crate) fn taken(state: &mut SocketState, walk: &mut Walk) -> u32 {
    if state.framing == framing::UNKNOWN && !recognised(state, walk) {
        return 0;
    }
    follow(state, &walk.call, 0);
    let way = usize::from(walk.call.direction & 1);
    walk.framer = state.framers[way];
    let end = walk.call.position + u64::from(walk.call.length);
    if walk.framer.step != step::IN && !found(state, walk) {
        state.framers[way] = walk.framer;
        state.framers[way].position = end;
        // The agent sees how each call begins, and may know more.
        state.budget = TURN_BUDGET;
        return 0;
    }
    walk.begin(state.framing);
    walk.run(state, mode::COPY);
    if walk.left > 0 {
        walk.framer.begin(step::OUT);
    }
    state.framers[way] = walk.framer;
    state.framers[way].position = end;
    1
}

/// Takes note of bytes of a direction that were not seen: those before this call, and `unread`
/// ones of this call.
#[inline(always)]
fn follow(state: &mut SocketState, data: &DataRecord, unread: u64) {
    let framer = &mut state.framers[usize::from(data.direction & 1)];
    if framer.step != step::OUT {
        framer.pass(data.position.wrapping_sub(framer.position));
    }
    if framer.step != step::OUT {
        framer.pass(unread);
    }
    framer.position = data.position + unread;
}

/// Whether the socket carries HTTP/2: its client's first bytes are the preface, in one call or in
/// several. Until that is known, they go the usual way.
#[inline(always)]
fn recognised(state: &mut SocketState, walk: &mut Walk) -> bool {
    let way = usize::from(walk.call.direction & 1);
    let client = if walk.call.direction == direction::SEND {
        role::CLIENT
    } else {
        role::SERVER
    };
    if state.role != role::UNKNOWN && state.role != client {
        // The server may be first to speak.
        return false;
    }
    let before = state.framers[way].have;
    if walk.call.position != u64::from(before) {
        state.framing = framing::NONE;
        return false;
    }
    walk.framer = state.framers[way];
    walk.begin(framing::HTTP2);
    walk.run(state, mode::PREFACE);
    let have = walk.framer.have;
    if walk.status != status::DONE || !begins(&walk.framer, have) {
        state.framing = framing::NONE;
        return false;
    }
    state.framers[way] = walk.framer;
    if (have as usize) < PREFACE.len() {
        return false;
    }
    state.framing = framing::HTTP2;
    // What this call has of the preface is copied like the payload of a frame.
    let left = PREFACE.len() as u32 - before;
    let framer = &mut state.framers[way];
    framer.begin(step::IN);
    framer.left = u64::from(left);
    framer.copied = left;
    framer.position = walk.call.position;
    let other = 1 - way;
    let is_fresh = state.position[other] == 0;
    state.framers[other].begin(if is_fresh { step::IN } else { step::OUT });
    state.framers[other].position = state.position[other];
    true
}

/// Whether the first `have` bytes of the header are those of the preface.
#[inline(always)]
fn begins(framer: &Framer, have: u32) -> bool {
    let mut differs = 0;
    let mut number = 0;
    while number < PREFACE.len() {
        // Without a branch for each byte, of which the verifier would walk every combination.
        let counts = u32::from((number as u32) < have);
        differs |= u32::from(framer.header[number] ^ PREFACE[number]) * counts;
        number += 1;
    }
    differs == 0
}

/// Finds the frames of a call when it is not known where they are: from its first byte on to its
/// last one, or several of them, there or where those of earlier calls lead to. Then the walk's
/// framer stands at the call's first byte.
#[inline(always)]
fn found(state: &mut SocketState, walk: &mut Walk) -> bool {
    walk.earlier = walk.framer;
    // Do frames begin with this call?
    walk.framer.begin(step::OUT);
    walk.begin(state.framing);
    walk.run(state, mode::LOOK);
    let clean = walk.status == status::DONE && walk.left == 0;
    let whole = clean && walk.framer.left == 0 && walk.framer.have == 0;
    if whole || (clean && walk.frames >= PROVEN) {
        walk.framer.begin(step::IN);
        return true;
    }
    let frames = walk.frames;
    let may_be = clean && walk.framer.left <= LONGEST_UNPROVEN;
    if walk.earlier.step == step::OUT {
        walk.framer.step = if may_be { 1 + frames } else { step::OUT };
        return false;
    }
    walk.later = walk.framer;
    // Do they lie where an earlier call has them?
    walk.framer = walk.earlier;
    walk.begin(state.framing);
    walk.run(state, mode::LOOK);
    if walk.status == status::DONE && walk.left == 0 && walk.framer.left <= LONGEST_UNPROVEN {
        let total = walk.earlier.step - 1 + walk.frames;
        if total >= PROVEN {
            walk.framer = walk.earlier;
            walk.framer.step = step::IN;
            return true;
        }
        walk.framer.step = 1 + total;
        return false;
    }
    walk.framer = walk.later;
    walk.framer.step = if may_be { 1 + frames } else { step::OUT };
    false
}
