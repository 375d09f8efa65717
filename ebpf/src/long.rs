//! Calls that are not simply copied: those on sockets that carry frames, or may, and those that reach
//! the end of their turn's budget. Decides how much of a call is copied.

use wirespan_ebpf::{frames::framing, records::TAIL};

use crate::{
    framed,
    framer::step,
    heads, memory,
    socket::SocketState,
    walk::{Walk, mode},
};

/// Walks through the call that `walk` describes, and writes its records. Gives the number of those
/// that found the ring full.
#[inline(never)]
pub(crate) fn walked(state: &mut SocketState, walk: &mut Walk) -> u32 {
    if state.framing != framing::NONE && framed::taken(state, walk) != 0 {
        return walk.finish(state);
    }
    let length = walk.call.length;
    let mut wanted = length;
    if length >= state.budget {
        wanted = state.budget;
        if state.framing <= framing::NONE {
            wanted = heads::wanted(state, walk);
        }
    }
    if wanted < length {
        read_tail(state, walk);
    }
    walk.framer.begin(step::IN);
    walk.framer.left = u64::from(length);
    walk.framer.copied = wanted;
    walk.begin(framing::NONE);
    if wanted == 0 {
        walk.skip_all();
    } else {
        walk.run(state, mode::COPY);
    }
    let unwritten = walk.finish(state);
    if length < state.budget {
        heads::note(state, walk.last(), length);
    }
    if wanted > state.budget {
        state.beyond += wanted - state.budget;
        wanted = state.budget;
    }
    state.budget -= wanted;
    unwritten
}

/// The call's last bytes, which the record tells though it does not hold all.
#[inline(always)]
fn read_tail(state: &mut SocketState, walk: &mut Walk) {
    let length = u64::from(walk.call.length);
    if length < TAIL as u64 {
        return;
    }
    let before = length - TAIL as u64;
    if walk.count == 0 {
        if let Some(tail) = memory::read_user(walk.piece + before) {
            walk.call.tail = tail;
            walk.call.tail_length = TAIL as u32;
        }
        return;
    }
    if walk.peek(state, before) == TAIL as u32 {
        let header = (&raw const walk.framer.header).cast::<[u8; TAIL]>();
        // SAFETY: a header is longer than a tail.
        walk.call.tail = unsafe { header.read() };
        walk.call.tail_length = TAIL as u32;
    }
}
