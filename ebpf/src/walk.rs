//! Walking through the bytes of one call, part by part and frame by frame: what is to be copied
//! goes into records, what is not is counted in them. Each record is a copied run and the skipped
//! run behind it. Knows where frames end (`wirespan_ebpf::frames`), not what they mean.

use core::hint::black_box;

use aya_ebpf::{cty::c_void, helpers::bpf_loop};
use wirespan_ebpf::{
    TURN_BUDGET,
    frames::{self, Header},
    records::{DataRecord, cause},
    text::CHUNK,
};

use crate::{
    buffer::{Parts, Source},
    capture,
    framer::{Framer, step},
    maps::{Gather, WALK},
    memory,
    ring::{self, Written},
    socket::SocketState,
};

/// Rounds of one walk: each reads a frame's header, passes on to the next part of an iovec, or
/// goes on in a long run. 64 KiB of frames have fewer, unless these are as short as frames can be.
const ROUNDS: u32 = 4096;

/// What a walk does with the bytes.
pub(crate) mod mode {
    /// Copies them.
    pub(crate) const COPY: u32 = 0;
    /// Only looks where frames are.
    pub(crate) const LOOK: u32 = 1;
    /// Reads one header of the preface's length, and stops.
    pub(crate) const PREFACE: u32 = 2;
}

/// How a walk has ended.
pub(crate) mod status {
    /// At the end of the call, or of the preface.
    pub(crate) const DONE: u32 = 0;
    /// At bytes that no frame header looks like.
    pub(crate) const NO_FRAME: u32 = 1;
    /// At memory that cannot be read.
    pub(crate) const UNREADABLE: u32 = 2;
}

/// One walk. Lives in a map, because it does not fit on the stack; the verifier knows nothing of
/// what it holds, so that every bound is checked where it is used.
#[repr(C)]
pub(crate) struct Walk {
    /// The call, as the record that it would be in one piece.
    pub(crate) call: DataRecord,
    /// The record that is being put together, and its payload: what is sent to the ring.
    pub(crate) gather: Gather,
    pub(crate) framer: Framer,
    /// Where the frames of earlier calls lead to, and where those that begin with this one.
    pub(crate) earlier: Framer,
    pub(crate) later: Framer,
    /// Where text is read to: the pieces are no longer than half of it.
    pub(crate) chunk: [u64; 2 * CHUNK / 8],
    /// See [`wirespan_ebpf::text::carry`].
    pub(crate) carry: u64,
    /// Bytes of the call up to the end of a blank line, 0 while none was found.
    pub(crate) head: u64,
    /// Bytes that were looked at.
    pub(crate) looked: u64,
    /// Of the head's `Content-Length` one more than the value, 0 when there is none.
    pub(crate) content: u64,
    /// Room to read a header into: a part of it starts below 32 and is shorter than 32.
    pub(crate) header: [u8; 64],
    /// Address of the call's bytes where they are in one piece.
    pub(crate) piece: u64,
    /// The iovec, where there is one: `count` is not zero.
    vector: u64,
    pub(crate) count: u64,
    layout: u64,
    start: u64,
    /// Its part that comes next.
    next: u64,
    /// The next byte in the user's memory, and how many are there.
    pub(crate) address: u64,
    pub(crate) available: u64,
    /// Bytes of the call that are left.
    pub(crate) left: u64,
    /// Position of the record's first byte.
    position: u64,
    /// Bytes in `payload`.
    gathered: u32,
    /// Bytes behind them that are to be copied and still lie in the user's memory, in one piece.
    pending: u32,
    pending_address: u64,
    /// Bytes behind those that are not copied.
    skipped: u64,
    /// See [`frames::framing`].
    framing: u32,
    pub(crate) mode: u32,
    pub(crate) status: u32,
    /// Frame headers that were read.
    pub(crate) frames: u32,
    /// Records that were put together, and those of them that found the ring full.
    records: u32,
    unwritten: u32,
}

/// What the loop's callback works on.
struct Context {
    walk: *mut Walk,
    state: *mut SocketState,
}

impl Walk {
    /// This CPU's.
    #[inline(always)]
    pub(crate) fn get() -> Option<&'static mut Self> {
        let walk = WALK.get_ptr_mut(0)?;
        // SAFETY: the map has the entry, and it is this CPU's.
        Some(unsafe { &mut *walk })
    }

    /// The call that is to be walked through, and where its bytes are.
    #[inline(always)]
    pub(crate) fn describe(&mut self, source: Source, data: &DataRecord) {
        self.call = *data;
        match source {
            Source::Piece(address) => {
                self.count = 0;
                self.piece = address;
            }
            Source::Parts(parts) => {
                self.piece = 0;
                self.vector = parts.vector;
                self.count = parts.count;
                self.layout = parts.layout;
                self.start = parts.start;
            }
        }
    }

    /// Begins at the call's first byte.
    #[inline(always)]
    pub(crate) fn begin(&mut self, framing: u8) {
        self.left = u64::from(self.call.length);
        self.position = self.call.position;
        self.next = 0;
        self.address = self.piece;
        self.available = if self.count == 0 { self.left } else { 0 };
        self.gathered = 0;
        self.pending = 0;
        self.skipped = 0;
        self.framing = u32::from(framing);
        self.status = status::DONE;
        self.frames = 0;
        self.records = 0;
        self.unwritten = 0;
    }

    /// None of the call's bytes, which have not been walked through, are to be copied.
    #[inline(always)]
    pub(crate) fn skip_all(&mut self) {
        self.skipped = self.left;
        self.left = 0;
    }

    /// The last four bytes of a call that was copied whole in one record.
    #[inline(always)]
    pub(crate) fn last(&self) -> u32 {
        let end = self.call.length.wrapping_sub(4) & (TURN_BUDGET - 1);
        let payload = (&raw const self.gather.payload).cast::<u8>();
        let last = payload.wrapping_add(end as usize).cast::<u32>();
        // SAFETY: the payload has twice the budget's bytes.
        unsafe { last.read_unaligned() }
    }

    /// Walks to the end of the call, or to where the walk has to end. The framer's header is taken
    /// in and given back.
    #[inline(always)]
    pub(crate) fn run(&mut self, state: &mut SocketState, mode: u32) -> u32 {
        self.mode = mode;
        let kept = (&raw mut self.framer.header).cast::<[u64; 3]>();
        let room = (&raw mut self.header).cast::<[u64; 3]>();
        // SAFETY: no shorter than three words, and aligned to 8 bytes.
        let words = unsafe { kept.read() };
        // SAFETY: likewise.
        unsafe { room.write(words) };
        let mut context = Context { walk: self, state };
        // What only looks has a callback of its own, which needs less of the stack.
        let callback = if mode == mode::COPY {
            round::<true> as *mut c_void
        } else {
            round::<false> as *mut c_void
        };
        // SAFETY: the callback has the type that the helper calls, and its context outlives the
        // call.
        unsafe {
            bpf_loop(ROUNDS, callback, (&raw mut context).cast(), 0);
        }
        // SAFETY: as above.
        let words = unsafe { room.read() };
        // SAFETY: as above.
        unsafe { kept.write(words) };
        self.status
    }

    /// Reads what is at an offset of the call into the framer's header: gives the number of bytes.
    #[inline(always)]
    pub(crate) fn peek(&mut self, state: &mut SocketState, offset: u64) -> u32 {
        self.framer.begin(step::OUT);
        self.framer.left = offset;
        self.begin(frames::framing::NONE);
        self.run(state, mode::PREFACE);
        self.framer.have
    }

    /// Writes what was put together, and what is left of the call when the walk ended before it.
    #[inline(never)]
    pub(crate) fn finish(&mut self, state: &mut SocketState) -> u32 {
        if self.left == 0 {
            // The last record of the call tells of its end.
            emit(self, state, cause::BUDGET, 1);
        } else {
            emit(self, state, cause::BUDGET, 0);
            self.skipped = self.left;
            let cause = if self.status == status::UNREADABLE {
                cause::UNREADABLE
            } else {
                cause::FRAME_LIMIT
            };
            emit(self, state, cause, 1);
        }
        self.unwritten
    }

    /// Moves the cursor on.
    #[inline(always)]
    pub(crate) fn advance(&mut self, count: u64) {
        self.address += count;
        self.available -= count;
        self.left -= count;
    }

    /// Bytes that the record can still take.
    #[inline(always)]
    fn room(&self) -> u64 {
        u64::from(TURN_BUDGET - self.gathered - self.pending)
    }

    /// The next `count` bytes are to be copied; there is room for them.
    #[inline(always)]
    fn keep(&mut self, count: u64) {
        if self.pending == 0 {
            self.pending_address = self.address;
        }
        self.pending += count as u32;
        self.advance(count);
    }

    /// Brings what is pending into the payload.
    #[inline(always)]
    fn gather(&mut self) -> bool {
        let length = black_box(self.pending);
        if length == 0 {
            return true;
        }
        if length > TURN_BUDGET {
            return false;
        }
        let start = black_box(self.gathered) & (TURN_BUDGET - 1);
        let payload = (&raw mut self.gather.payload).cast::<u8>();
        // SAFETY: `start` is below the budget, and the payload is twice as long.
        let target = unsafe { payload.add(start as usize) };
        // SAFETY: `length` is not above the budget, and twice that is there.
        if !unsafe { memory::copy_user(target, length, self.pending_address) } {
            return false;
        }
        self.gathered += length;
        self.pending = 0;
        true
    }
}

/// One round of the walk: 0 to go on, 1 to stop.
unsafe extern "C" fn round<const COPY: bool>(_number: u64, context: *mut c_void) -> i64 {
    // SAFETY: `Walk::run` passes its own `Context`.
    let context = unsafe { &mut *context.cast::<Context>() };
    // SAFETY: likewise.
    let walk = unsafe { &mut *context.walk };
    if walk.left == 0 {
        return 1;
    }
    if walk.available == 0 {
        return next_part::<COPY>(walk);
    }
    let in_header = walk.framer.left == 0;
    if COPY
        && (in_header || walk.framer.copied > 0)
        && (walk.skipped > 0 || walk.room() < size_of::<Header>() as u64)
    {
        // A run that is copied begins a record.
        // SAFETY: the state lives as long as the program runs.
        emit(walk, unsafe { &mut *context.state }, cause::BUDGET, 0);
    }
    if in_header && read_header::<COPY>(walk) != 0 {
        return 1;
    }
    if walk.framer.left > 0 && walk.available > 0 && walk.left > 0 {
        read_payload::<COPY>(walk);
    }
    0
}

#[inline(always)]
pub(crate) fn next_part<const COPY: bool>(walk: &mut Walk) -> i64 {
    if COPY && !walk.gather() {
        walk.status = status::UNREADABLE;
        return 1;
    }
    let parts = Parts {
        vector: walk.vector,
        count: walk.count,
        layout: walk.layout,
        start: walk.start,
    };
    let number = walk.next;
    let part = if number < walk.count {
        parts.part(number)
    } else {
        None
    };
    let Some((address, length)) = part else {
        walk.status = status::UNREADABLE;
        return 1;
    };
    walk.next = number + 1;
    walk.address = address;
    // A part's length is as the caller gave it; what is beyond the call's end was not moved.
    walk.available = if length < walk.left {
        length
    } else {
        walk.left
    };
    0
}

/// Reads what the call has of the frame's header: 1 when nothing can follow it.
#[inline(always)]
fn read_header<const COPY: bool>(walk: &mut Walk) -> i64 {
    let have = walk.framer.have;
    let whole = header_length(walk, have);
    let missing = u64::from(whole - have);
    let count = if missing < walk.available {
        missing
    } else {
        walk.available
    };
    let header = (&raw mut walk.header).cast::<u8>();
    let start = black_box(have) & 31;
    let length = black_box(count as u32) & 31;
    // SAFETY: `start` is below 32, and the room has 64 bytes.
    let target = unsafe { header.add(start as usize) };
    // SAFETY: `length` is below 32, and so much is there.
    if !unsafe { memory::copy_user(target, length, walk.address) } {
        walk.status = status::UNREADABLE;
        return 1;
    }
    let have = have + length;
    walk.framer.have = have;
    if COPY {
        walk.keep(count);
    } else {
        walk.advance(count);
    }
    if have < header_length(walk, have) {
        return 0;
    }
    if walk.mode == mode::PREFACE {
        return 1;
    }
    // SAFETY: the room is longer than a header.
    let header = unsafe { &*header.cast::<Header>() };
    let strict = !COPY;
    let Some(payload) = frames::payload(walk.framing as u8, header, strict) else {
        walk.status = status::NO_FRAME;
        return 1;
    };
    walk.framer.have = 0;
    walk.framer.left = payload.length;
    walk.framer.copied = payload.copied;
    walk.frames += 1;
    0
}

#[inline(always)]
fn header_length(walk: &Walk, have: u32) -> u32 {
    if walk.mode == mode::PREFACE {
        return frames::PREFACE.len() as u32;
    }
    let header = (&raw const walk.header).cast::<Header>();
    // SAFETY: the room is longer than a header.
    frames::header_length(walk.framing as u8, unsafe { &*header }, have)
}

#[inline(always)]
fn read_payload<const COPY: bool>(walk: &mut Walk) {
    let mut near = walk.available;
    if walk.left < near {
        near = walk.left;
    }
    if walk.framer.left < near {
        near = walk.framer.left;
    }
    if !COPY {
        walk.framer.left -= near;
        walk.advance(near);
        return;
    }
    let mut wanted = u64::from(walk.framer.copied);
    if near < wanted {
        wanted = near;
    }
    let room = walk.room();
    let count = if room < wanted { room } else { wanted };
    if count > 0 {
        walk.keep(count);
        walk.framer.copied -= count as u32;
        walk.framer.left -= count;
    }
    if walk.framer.copied == 0 && near > count {
        let rest = near - count;
        walk.skipped += rest;
        walk.framer.left -= rest;
        walk.advance(rest);
    }
}

/// Writes the record that was put together, and begins the next one behind it.
#[inline(never)]
fn emit(walk: &mut Walk, state: &mut SocketState, why: u8, is_last: u32) -> u32 {
    let gathered = walk.gather();
    let captured = walk.gathered;
    let length = captured + walk.pending + walk.skipped as u32;
    if length == 0 {
        return 0;
    }
    walk.gather.record = walk.call;
    let record = &mut walk.gather.record;
    if walk.records > 0 {
        record.sequence = memory::fetch_add(&mut state.sequence, 1) as u32 + 1;
    }
    if is_last == 0 {
        record.tail_length = 0;
    }
    record.cause = if gathered { why } else { cause::UNREADABLE };
    record.position = walk.position;
    record.captured = captured;
    record.length = length;
    walk.records += 1;
    walk.position += u64::from(length);
    walk.gathered = 0;
    walk.pending = 0;
    walk.skipped = 0;
    let Some(stats) = ring::stats() else {
        return 0;
    };
    let Some(mut ring) = ring::current(stats) else {
        return 0;
    };
    let written = ring.write_gathered(&mut walk.gather, captured);
    if written != Written::Yes {
        walk.unwritten += 1;
    }
    capture::account(state, stats, &walk.gather.record, written);
    0
}
