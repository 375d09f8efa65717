//! One TCP connection (RFC 9293) as a bystander sees it: both directions' bytes, each once, in the
//! order in which the ends can have known of them. Knows neither packets nor records.
//!
//! A segment is delivered when all bytes before it are, and all that it acknowledges. So the two
//! directions interleave as they did at the ends, even where the capture has packets in another
//! order. What waits for bytes that the other end has acknowledged waits a moment only: that end
//! has them, so the capture has not. What waits for bytes that nobody has acknowledged waits for
//! their retransmission.

use std::net::SocketAddr;

use super::{
    counts::Counts,
    half::{Half, Part, Piece, ahead},
    segment::Segment,
    writer::{Beginning, Sink, Writer},
};

/// Nanoseconds within which a packet may be captured after another that it caused.
const DISORDER: u64 = 100_000_000;

/// Nanoseconds within which a lost segment is retransmitted.
const RETRANSMISSION: u64 = 60_000_000_000;

/// Segments of one connection that wait, and bytes of them that wait for what was acknowledged.
const QUEUED: usize = 4096;
const QUEUED_BYTES: usize = 1 << 20;

/// Farthest that a number can be from the one that is expected: the largest window (RFC 7323).
const WINDOW: i64 = 1 << 30;

/// How far from the expected number a reset is believed (Linux: within the window).
const RESET_WINDOW: i64 = 1 << 20;

/// `ECONNRESET` of every architecture Linux has but alpha, mips, parisc and sparc.
const ECONNRESET: u32 = 104;

/// What a connection needs from the table.
pub(super) struct Context<'a, 's> {
    pub(super) sink: &'a mut Sink<'s>,
    pub(super) counts: &'a mut Counts,
    /// Time of the packet, in nanoseconds since the Unix epoch.
    pub(super) time: u64,
    /// The latest time of all packets so far.
    pub(super) now: u64,
    /// Number of the packet.
    pub(super) arrival: u64,
    /// Bytes that all connections keep are too many.
    pub(super) is_full: bool,
}

/// One connection.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
#[derive(Debug)]
pub(super) struct Connection {
    ends: [SocketAddr; 2],
    pub(super) halves: [Half; 2],
    writer: Writer,
    /// Which end connected, if its handshake was seen.
    client: Option<usize>,
    /// A SYN was seen, so the sequence numbers of the first bytes are known.
    from_start: bool,
    /// The accepting end's first timestamp.
    timestamp: Option<u32>,
    /// Both ends have sent a SYN without an ACK.
    simultaneous: bool,
    /// Since when nothing that waits could be delivered.
    blocked: Option<u64>,
    pub(super) last: u64,
    pub(super) closed: bool,
    /// Another connection is the same one before or behind address translation.
    pub(super) is_copy: bool,
}

impl Connection {
    pub(super) fn new(ends: [SocketAddr; 2], writer: Writer) -> Self {
        Self {
            ends,
            halves: [Half::default(), Half::default()],
            writer,
            client: None,
            from_start: false,
            timestamp: None,
            simultaneous: false,
            blocked: None,
            last: 0,
            closed: false,
            is_copy: false,
        }
    }

    /// Whether anything waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.blocked.is_some()
    }

    /// Bytes that are kept.
    pub(super) fn held(&self) -> usize {
        let [one, other] = &self.halves;
        one.queued_bytes + other.queued_bytes + self.writer.waiting_bytes
    }

    /// What no other connection has at a time, but the same one before or behind a translation of
    /// the server's address: the client's address, both ends' first sequence numbers and a first
    /// timestamp.
    pub(super) fn identity(&self) -> Option<(SocketAddr, [u32; 3])> {
        let client = self.client?;
        let bases = (self.halves[client].base?, self.halves[1 - client].base?);
        Some((self.ends[client], [bases.0, bases.1, self.timestamp?]))
    }

    /// Whether a SYN of `side` opens another connection than this one.
    pub(super) fn is_reopened(&self, side: usize, segment: &Segment<'_>) -> bool {
        segment.syn
            && match self.halves[side].base {
                Some(base) => base != segment.sequence.wrapping_add(1),
                None => self.closed || !self.from_start,
            }
    }

    /// Whether a segment has numbers that this connection, now closed, cannot have had.
    pub(super) fn is_succeeded(&self, side: usize, segment: &Segment<'_>) -> bool {
        !segment.rst && ahead(segment.sequence, self.halves[side].next).abs() > RESET_WINDOW
    }

    /// Takes a segment that `side` sent.
    pub(super) fn segment(&mut self, side: usize, segment: &Segment<'_>, cx: &mut Context<'_, '_>) {
        self.last = cx.now;
        if segment.rst {
            return self.reset(side, segment, cx);
        }
        if segment.syn {
            self.syn(side, segment);
        }
        self.learn(side, segment);
        let part = Part {
            sequence: segment.sequence.wrapping_add(u32::from(segment.syn)),
            length: segment.length,
            payload: segment.payload,
            acknowledges: segment.acknowledges,
            time: cx.time,
            arrival: cx.arrival,
        };
        let is_far = |half: &Half, number| ahead(number, half.next).abs() > WINDOW;
        let acknowledges = segment.acknowledges;
        if is_far(&self.halves[side], part.sequence)
            || acknowledges.is_some_and(|number| is_far(&self.halves[1 - side], number))
        {
            cx.counts.segments_out_of_place += 1;
            return;
        }
        if let Some(number) = acknowledges {
            self.acknowledge(1 - side, number);
        }
        if part.length > 0 {
            self.take(side, &part, cx);
        }
        if segment.fin {
            self.halves[side].insert_fin(&part);
        }
        self.pump(cx);
        self.bound(cx);
    }

    fn syn(&mut self, side: usize, segment: &Segment<'_>) {
        if self.halves[side].base.is_some() {
            return;
        }
        if segment.acknowledges.is_some() {
            if !self.simultaneous {
                self.client = Some(1 - side);
                self.timestamp = segment.timestamp;
            }
        } else if self.client == Some(1 - side) {
            // Both connect (RFC 9293 section 3.5): neither end is the client by that.
            self.simultaneous = true;
            self.client = None;
        } else {
            self.client = Some(side);
        }
        self.from_start = true;
        self.halves[side].begin(segment.sequence.wrapping_add(1), 0);
    }

    /// Learns from a connection's first segments which bytes come next.
    fn learn(&mut self, side: usize, segment: &Segment<'_>) {
        // The positions of a connection that was in use before count from 1, because a client's
        // count the SYN then (`open_flags::PRE_EXISTING`).
        let position = u64::from(!self.from_start);
        if self.halves[side].base.is_none() {
            self.halves[side].begin(segment.sequence, position);
        }
        if let Some(number) = segment.acknowledges
            && self.halves[1 - side].base.is_none()
        {
            self.halves[1 - side].begin(number, position);
        }
    }

    /// The other end has everything of `side` before `number`.
    fn acknowledge(&mut self, side: usize, number: u32) {
        let half = &mut self.halves[side];
        let is_newer = |old| ahead(number, old) > 0;
        if is_newer(half.next) && half.acknowledged.is_none_or(is_newer) {
            half.acknowledged = Some(number);
        }
    }

    /// Delivers bytes at once, or puts them into the queue.
    fn take(&mut self, side: usize, part: &Part<'_>, cx: &mut Context<'_, '_>) {
        let half = &self.halves[side];
        let old = -ahead(part.sequence, half.next);
        let length = i64::from(part.length);
        if old >= length || half.finished {
            cx.counts.repeated_bytes += u64::from(part.length);
            return;
        }
        let is_next = old >= 0 && half.queue.is_empty() && half.fin.is_none();
        if !is_next || !self.knows(1 - side, part.acknowledges) {
            return self.halves[side].insert(part, cx.counts);
        }
        let old = u32::try_from(old).unwrap_or(0);
        cx.counts.repeated_bytes += u64::from(old);
        let payload = part.payload.get(old as usize..).unwrap_or_default();
        self.deliver(side, part.length - old, payload, part.time, cx);
    }

    /// Whether everything of `side` that a segment of the other end acknowledges was delivered.
    fn knows(&self, side: usize, acknowledges: Option<u32>) -> bool {
        let half = &self.halves[side];
        half.base.is_some()
            && (half.finished
                || acknowledges.is_none_or(|number| ahead(number, half.delivered()) <= 0))
    }

    fn positions(&self) -> [u64; 2] {
        [self.halves[0].position, self.halves[1].position]
    }

    /// Tells of the connection, if that was not done.
    fn begin(&mut self, time: u64, cx: &mut Context<'_, '_>) {
        if self.writer.has_begun() {
            return;
        }
        cx.counts.connections += 1;
        cx.counts.connections_pre_existing += u64::from(!self.from_start);
        let beginning = Beginning {
            ends: self.ends,
            bases: [0, 1].map(|side: usize| self.halves[side].base.unwrap_or(0)),
            pre_existing: !self.from_start,
        };
        self.writer.begin(beginning, self.client, time, cx.sink);
    }

    fn deliver(
        &mut self,
        side: usize,
        length: u32,
        payload: &[u8],
        time: u64,
        cx: &mut Context<'_, '_>,
    ) {
        let half = &mut self.halves[side];
        let position = half.position;
        half.advance(length);
        if self.is_copy {
            return;
        }
        cx.counts.delivered_bytes += u64::from(length);
        cx.counts.cut_bytes += u64::from(length) - payload.len() as u64;
        self.begin(time, cx);
        self.writer
            .bytes(side, position, length, payload, time, cx.sink);
    }

    /// Takes what waits longest in a direction.
    fn deliver_first(&mut self, side: usize, cx: &mut Context<'_, '_>) {
        let Some(piece) = self.halves[side].pop() else {
            return;
        };
        if piece.fin {
            self.finish_side(side, piece.time, cx);
        } else {
            self.deliver(side, piece.length, &piece.payload, piece.time, cx);
        }
    }

    fn finish_side(&mut self, side: usize, time: u64, cx: &mut Context<'_, '_>) {
        let half = &mut self.halves[side];
        half.finished = true;
        half.queue.clear();
        half.queued_bytes = 0;
        if !self.is_copy {
            self.begin(time, cx);
            self.writer.end(side, self.positions(), time, cx.sink);
        }
        if self.halves.iter().all(|half| half.finished) {
            self.close(0, time, cx);
        }
    }

    fn close(&mut self, error: u32, time: u64, cx: &mut Context<'_, '_>) {
        if !self.closed && !self.is_copy && self.writer.has_begun() {
            self.writer.closed(self.positions(), error, time, cx.sink);
        }
        self.closed = true;
        self.blocked = None;
    }

    /// What waits longest in a direction, and whether it need not.
    fn first(&self, side: usize) -> Option<(&Piece, bool)> {
        let half = &self.halves[side];
        let piece = half.queue.front()?;
        let is_next = ahead(piece.sequence, half.next) <= 0;
        Some((piece, is_next && self.knows(1 - side, piece.acknowledges)))
    }

    /// Delivers what can be.
    fn pump(&mut self, cx: &mut Context<'_, '_>) {
        while let Some(side) = self.deliverable() {
            self.deliver_first(side, cx);
            self.blocked = None;
        }
        if self.halves.iter().all(|half| half.queue.is_empty()) {
            self.blocked = None;
        } else if self.blocked.is_none() {
            self.blocked = Some(cx.now);
        }
    }

    /// The direction whose first piece can be delivered now.
    fn deliverable(&self) -> Option<usize> {
        match [self.first(0), self.first(1)] {
            [Some((one, true)), Some((other, true))] => {
                Some(usize::from(other.arrival < one.arrival))
            }
            [Some((_, true)), _] => Some(0),
            [_, Some((_, true))] => Some(1),
            // Each acknowledges the other: the later one is a retransmission, whose first copy is
            // not in the capture and was before the other.
            [Some((one, false)), Some((other, false))]
                if [(0, one), (1, other)]
                    .into_iter()
                    .all(|(side, piece): (usize, _)| {
                        ahead(piece.sequence, self.halves[side].next) <= 0
                    }) =>
            {
                Some(usize::from(other.arrival > one.arrival))
            }
            _ => None,
        }
    }

    /// The end whose piece waits longest.
    fn longest_waiting(&self) -> Option<usize> {
        match [0, 1].map(|side: usize| self.halves[side].queue.front()) {
            [Some(one), Some(other)] => Some(usize::from(other.arrival < one.arrival)),
            [one, other] => one.map(|_| 0).or(other.map(|_| 1)),
        }
    }

    /// Whether what is missing is not in the capture, though an end has it.
    fn lacks_acknowledged(&self) -> bool {
        self.longest_waiting().is_some_and(|side| {
            let half = &self.halves[side];
            let acknowledges = half.queue.front().and_then(|piece| piece.acknowledges);
            !self.knows(1 - side, acknowledges)
                || half
                    .acknowledged
                    .is_some_and(|number| ahead(number, half.next) > 0)
        })
    }

    /// Gives up what is missing before the piece that waits longest, one hole at a time.
    fn give_up(&mut self, cx: &mut Context<'_, '_>) {
        let Some(side) = self.longest_waiting() else {
            return;
        };
        let Some(piece) = self.halves[side].queue.front() else {
            return;
        };
        let (sequence, acknowledges, time) = (piece.sequence, piece.acknowledges, piece.time);
        let other = 1 - side;
        if self.halves[other].base.is_none() {
            // Nothing was ever heard of the other end.
            self.halves[other].begin(0, 0);
            return;
        }
        if let Some(number) = acknowledges
            && !self.knows(other, acknowledges)
        {
            let half = &self.halves[other];
            let queued = half.queue.front().map(|piece| piece.sequence);
            let until = queued.filter(|queued| ahead(*queued, number) < 0);
            let until = until.unwrap_or(number);
            if ahead(until, half.next) > 0 {
                return self.lose(other, until, time, cx);
            }
        }
        if ahead(sequence, self.halves[side].next) > 0 {
            self.lose(side, sequence, time, cx);
        } else {
            self.deliver_first(side, cx);
        }
    }

    fn lose(&mut self, side: usize, until: u32, time: u64, cx: &mut Context<'_, '_>) {
        let half = &mut self.halves[side];
        let count = until.wrapping_sub(half.next);
        half.advance(count);
        if self.is_copy {
            return;
        }
        cx.counts.missing_bytes += u64::from(count);
        cx.counts.missing_ranges += 1;
        self.begin(time, cx);
        self.writer.hole(side);
    }

    /// Gives up what will not come any more.
    pub(super) fn expire(&mut self, cx: &mut Context<'_, '_>) {
        while let Some(since) = self.blocked {
            let patience = if self.lacks_acknowledged() {
                DISORDER
            } else {
                RETRANSMISSION
            };
            if cx.now.saturating_sub(since) < patience {
                return;
            }
            self.give_up(cx);
            self.pump(cx);
        }
    }

    /// Gives up what is missing when too much waits for it.
    fn bound(&mut self, cx: &mut Context<'_, '_>) {
        if cx.is_full {
            self.writer.guess(cx.sink);
        }
        loop {
            let [one, other] = &self.halves;
            let queued = one.queue.len() + other.queue.len();
            let bytes = one.queued_bytes + other.queued_bytes;
            let is_long = queued > QUEUED || (queued > 0 && cx.is_full);
            if !is_long && (bytes <= QUEUED_BYTES || !self.lacks_acknowledged()) {
                return;
            }
            self.give_up(cx);
            self.pump(cx);
            cx.is_full = false;
        }
    }

    fn reset(&mut self, side: usize, segment: &Segment<'_>, cx: &mut Context<'_, '_>) {
        let half = &self.halves[side];
        let refuses = half.base.is_none();
        if !refuses && ahead(segment.sequence, half.next).abs() > RESET_WINDOW {
            cx.counts.segments_out_of_place += 1;
            return;
        }
        self.drain(cx);
        self.close(ECONNRESET, cx.time, cx);
    }

    /// Delivers all that waits, whatever is missing.
    pub(super) fn drain(&mut self, cx: &mut Context<'_, '_>) {
        self.pump(cx);
        while self.blocked.is_some() {
            self.give_up(cx);
            self.pump(cx);
        }
    }

    /// Another connection has its addresses and ports now, or the capture ends.
    pub(super) fn leave(&mut self, is_replaced: bool, cx: &mut Context<'_, '_>) {
        self.drain(cx);
        if is_replaced {
            self.close(0, cx.time, cx);
        }
        self.writer.guess(cx.sink);
    }
}
