//! Turns of HTTP/1 that are longer than their budget: a head that has not ended, and messages that
//! follow each other, are copied further. Bodies are not, and cost one look at the first head.
//! Knows how messages begin and end (`wirespan_ebpf::text`), not what they say.

use core::hint::black_box;

use aya_ebpf::{cty::c_void, helpers::bpf_loop};
use wirespan_ebpf::{
    HEAD_BUDGET, PIPELINE_BUDGET, TURN_BUDGET,
    frames::framing,
    text::{self, CHUNK},
};

use crate::{
    memory,
    socket::{SocketState, flags},
    walk::{self, Walk, mode, status},
};

/// Bits of [`SocketState::head`]: what is known of the head that this turn began with.
pub(crate) mod head {
    /// It is over, or there was none.
    pub(crate) const OVER: u8 = 1;
    /// The last byte ended a line ([`wirespan_ebpf::text::carry`], shifted).
    pub(crate) const LINE: u8 = 4;
    /// The last two are the end of a line and a carriage return.
    pub(crate) const RETURN: u8 = 8;
    /// Bits that `LINE` and `RETURN` are shifted by.
    pub(crate) const CARRY_SHIFT: u32 = 2;
}

/// Rounds of one search: chunks, candidates for a field, parts of an iovec.
const ROUNDS: u32 = 2048;

/// A call within the budget has been copied whole; `last` are its last four bytes.
#[inline(always)]
pub(crate) fn note(state: &mut SocketState, last: u32, length: u32) {
    let mut bits = state.head & head::OVER;
    if length >= 4 {
        if last >> 24 == u32::from(b'\n') {
            bits |= head::LINE;
            if last >> 16 == 0x0a0a || last >> 8 == 0x0a_0d0a {
                bits |= head::OVER;
            }
        } else if last >> 16 == 0x0d0a {
            bits |= head::RETURN;
        }
    }
    state.head = bits;
}

/// Bytes have moved that cannot be read.
#[inline(always)]
pub(crate) fn pass(state: &mut SocketState, length: u32) {
    let length = u64::from(length);
    state.content = state.content.saturating_sub(length);
    state.head &= head::OVER;
}

/// Bytes that are to be copied of a call that reaches the end of its turn's budget.
#[inline(always)]
pub(crate) fn wanted(state: &mut SocketState, walk: &mut Walk) -> u32 {
    let length = walk.call.length;
    let budget = state.budget;
    let mut wanted = 0;
    if u64::from(length) < state.content {
        // Within content whose length is known.
        state.content -= u64::from(length);
        return budget;
    }
    if state.flags & flags::PIPELINED == 0 {
        wanted = head_of(state, walk);
    }
    if state.flags & flags::PIPELINED != 0 {
        wanted = allowed(state, PIPELINE_BUDGET);
    }
    if wanted < budget {
        budget
    } else if wanted < length {
        wanted
    } else {
        length
    }
}

/// Bytes of this call that a limit for the turn allows to copy.
#[inline(always)]
fn allowed(state: &SocketState, limit: u32) -> u32 {
    let spent = TURN_BUDGET - state.budget + state.beyond;
    limit.saturating_sub(spent)
}

/// Bytes of this call that a head takes. Finds out whether the turn is pipelined.
#[inline(always)]
fn head_of(state: &mut SocketState, walk: &mut Walk) -> u32 {
    let length = u64::from(walk.call.length);
    let known = state.head;
    let content = state.content;
    state.content = 0;
    state.head = head::OVER;
    if known & head::OVER != 0 {
        // Does another message begin behind the one that is known to end here?
        if content < length && follows(state, walk, content, content > 0) {
            state.flags |= flags::PIPELINED;
        }
        return 0;
    }
    if state.budget == TURN_BUDGET && !follows(state, walk, 0, false) {
        return 0;
    }
    let allowed = allowed(state, HEAD_BUDGET);
    walk.carry = u64::from(known >> head::CARRY_SHIFT & 3);
    walk.begin(framing::NONE);
    search(walk, allowed);
    if walk.status != status::DONE {
        return 0;
    }
    let end = walk.head;
    if end == 0 {
        if length < u64::from(allowed) {
            state.head = (walk.carry as u8 & 3) << head::CARRY_SHIFT;
        }
        return allowed;
    }
    if end < length && follows(state, walk, end, false) {
        // Also behind the head of a response that has a length and no content (to HEAD, or 304).
        state.flags |= flags::PIPELINED;
        return 0;
    }
    let next = if walk.content > 0 {
        end + walk.content - 1
    } else {
        end
    };
    if next > length {
        state.content = next - length;
    } else if next > end && next < length && follows(state, walk, next, true) {
        state.flags |= flags::PIPELINED;
    }
    end as u32
}

/// Whether a message begins at an offset of the call. Where too few bytes are there to tell, it does
/// when the message before `has_ended`.
#[inline(never)]
fn follows(state: &mut SocketState, walk: &mut Walk, offset: u64, has_ended: bool) -> bool {
    if offset + 16 > u64::from(walk.call.length) {
        return has_ended;
    }
    if walk.count == 0 {
        return memory::read_user(walk.piece + offset).is_some_and(text::begins_message);
    }
    if walk.peek(state, offset) < 16 {
        return false;
    }
    let words = (&raw const walk.framer.header).cast::<[u64; 2]>();
    // SAFETY: a header is longer than two words, and aligned to 8 bytes.
    text::begins_message(unsafe { words.read() })
}

/// What the search's callback works on.
struct Context {
    walk: *mut Walk,
    limit: u64,
}

/// Looks for the end of a head among the first `limit` bytes of a call.
#[inline(always)]
fn search(walk: &mut Walk, limit: u32) {
    walk.mode = mode::LOOK;
    walk.head = 0;
    walk.looked = 0;
    walk.content = 0;
    let mut context = Context {
        walk,
        limit: u64::from(limit),
    };
    // SAFETY: the callback has the type that the helper calls, and its context outlives the call.
    unsafe {
        bpf_loop(ROUNDS, round as *mut c_void, (&raw mut context).cast(), 0);
    }
}

/// One round of the search: 0 to go on, 1 to stop.
unsafe extern "C" fn round(_number: u64, context: *mut c_void) -> i64 {
    // SAFETY: `search` passes its own `Context`.
    let context = unsafe { &*context.cast::<Context>() };
    // SAFETY: likewise.
    let walk = unsafe { &mut *context.walk };
    if walk.left == 0 || walk.looked >= context.limit {
        return 1;
    }
    if walk.available == 0 {
        return walk::next_part::<false>(walk);
    }
    let near = if walk.available < CHUNK as u64 {
        walk.available
    } else {
        CHUNK as u64
    };
    let length = black_box(near as u32) & (2 * CHUNK as u32 - 1);
    let chunk = (&raw mut walk.chunk).cast::<u8>();
    // SAFETY: `length` is below the chunk's size.
    if length == 0 || !unsafe { memory::copy_user(chunk, length, walk.address) } {
        walk.status = status::UNREADABLE;
        return 1;
    }
    // SAFETY: the chunk is longer than eight words.
    let words = unsafe { &*chunk.cast::<[u64; CHUNK / 8]>() };
    let found = text::look(words, length, walk.carry);
    let events = found.blank | found.field;
    if events == 0 {
        if found.binary != 0 {
            walk.status = status::NO_FRAME;
            return 1;
        }
        walk.carry = found.carry;
        walk.looked += near;
        walk.advance(near);
        return 0;
    }
    let at = u64::from(text::lowest(events));
    if found.blank >> at & 1 != 0 {
        walk.head = walk.looked + at + 1;
        return 1;
    }
    // A field that may be the length. Where its bytes are not in one piece it is not known.
    if at + 32 <= walk.available
        && walk.content == 0
        && let Some(value) = read_length(walk, at)
    {
        walk.content = value + 1;
    }
    walk.carry = 0;
    walk.looked += at + 1;
    walk.advance(at + 1);
    0
}

/// The value of the field that begins at an offset, when it is the content's length. Its bytes are
/// read into the map, because the stack has no room for them.
#[inline(always)]
fn read_length(walk: &mut Walk, offset: u64) -> Option<u64> {
    let field = (&raw mut walk.header).cast::<[u8; 32]>();
    // SAFETY: the room is twice as long.
    if !unsafe { memory::copy_user(field.cast(), 32, walk.address + offset) } {
        return None;
    }
    // SAFETY: as above; any bytes are bytes.
    text::content_length(unsafe { &*field })
}
