//! One direction of a connection: which byte comes next, and what waits for earlier ones. Knows
//! neither the other direction nor what the bytes are for.

use std::collections::VecDeque;

use super::counts::Counts;

/// Segments that cannot be delivered yet.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) sequence: u32,
    pub(super) length: u32,
    /// What was captured of it.
    pub(super) payload: Box<[u8]>,
    pub(super) acknowledges: Option<u32>,
    /// Nanoseconds since the Unix epoch.
    pub(super) time: u64,
    /// Number of its packet.
    pub(super) arrival: u64,
    /// The end of the direction, of no length.
    pub(super) fin: bool,
}

impl Piece {
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.payload.len()
    }
}

/// A segment before it is known whether it has to wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) sequence: u32,
    pub(super) length: u32,
    pub(super) payload: &'a [u8],
    pub(super) acknowledges: Option<u32>,
    pub(super) time: u64,
    pub(super) arrival: u64,
}

/// How far `to` is ahead of `from` among sequence numbers (RFC 9293 section 3.4).
pub(super) fn ahead(to: u32, from: u32) -> i64 {
    to.wrapping_sub(from).cast_signed().into()
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Sequence number of the first byte, once one is known.
    pub(super) base: Option<u32>,
    /// Sequence number of the next byte.
    pub(super) next: u32,
    /// Bytes before it.
    pub(super) position: u64,
    /// In order, none overlapping, none delivered.
    pub(super) queue: VecDeque<Piece>,
    pub(super) queued_bytes: usize,
    /// What the other end has acknowledged, as far as that is beyond what was delivered.
    pub(super) acknowledged: Option<u32>,
    /// Sequence number of the FIN.
    pub(super) fin: Option<u32>,
    /// Everything up to the FIN was delivered.
    pub(super) finished: bool,
}

impl Half {
    /// The direction begins, or is first seen, at `sequence`, with `position` bytes before it.
    pub(super) fn begin(&mut self, sequence: u32, position: u64) {
        self.base = Some(sequence);
        self.next = sequence;
        self.position = position;
    }

    /// What an acknowledgement of everything delivered says.
    pub(super) fn delivered(&self) -> u32 {
        self.next.wrapping_add(u32::from(self.finished))
    }

    /// Goes on by `count` bytes, delivered or given up.
    pub(super) fn advance(&mut self, count: u32) {
        self.next = self.next.wrapping_add(count);
        self.position += u64::from(count);
    }

    /// Takes what waits longest.
    pub(super) fn pop(&mut self) -> Option<Piece> {
        let piece = self.queue.pop_front()?;
        self.queued_bytes -= piece.size();
        Some(piece)
    }

    /// Keeps what is not there yet of a segment: the first copy of a byte is the one that counts.
    pub(super) fn insert(&mut self, part: &Part<'_>, counts: &mut Counts) {
        let next = self.next;
        let from = ahead(part.sequence, next);
        let mut to = from + i64::from(part.length);
        if let Some(fin) = self.fin {
            to = to.min(ahead(fin, next));
        }
        let mut cursor = from.max(0);
        counts.repeated_bytes += u64::try_from(cursor.min(to) - from).unwrap_or(0);
        let mut at = self.queue.partition_point(|piece| {
            ahead(piece.sequence, next) + i64::from(piece.length) <= cursor
        });
        while cursor < to {
            let free_until = self
                .queue
                .get(at)
                .map_or(to, |piece| ahead(piece.sequence, next).min(to));
            if cursor < free_until {
                self.place(at, part, cursor - from, free_until - from);
                at += 1;
                cursor = free_until;
                continue;
            }
            let Some(piece) = self.queue.get(at) else {
                return;
            };
            let start = ahead(piece.sequence, next);
            let end = to.min(start + i64::from(piece.length));
            counts.repeated_bytes += u64::try_from(end - cursor).unwrap_or(0);
            let old = range(&piece.payload, cursor - start, end - start);
            let new = range(part.payload, cursor - from, end - from);
            counts.conflicting_bytes +=
                old.iter().zip(new).filter(|(old, new)| old != new).count() as u64;
            cursor = cursor.max(end);
            at += 1;
        }
    }

    /// Puts bytes `from` to `to` of a segment into the queue.
    fn place(&mut self, at: usize, part: &Part<'_>, from: i64, to: i64) {
        let piece = Piece {
            sequence: part.sequence.wrapping_add(low(from)),
            length: low(to - from),
            payload: range(part.payload, from, to).into(),
            acknowledges: part.acknowledges,
            time: part.time,
            arrival: part.arrival,
            fin: false,
        };
        self.queued_bytes += piece.size();
        self.queue.insert(at, piece);
    }

    /// The direction ends where `part` does.
    pub(super) fn insert_fin(&mut self, part: &Part<'_>) {
        let sequence = part.sequence.wrapping_add(part.length);
        if self.fin.is_some() || ahead(sequence, self.next) < 0 {
            return;
        }
        self.fin = Some(sequence);
        let next = self.next;
        let end = ahead(sequence, next);
        let at = self
            .queue
            .partition_point(|piece| ahead(piece.sequence, next) < end);
        let piece = Piece {
            sequence,
            length: 0,
            payload: Box::default(),
            acknowledges: part.acknowledges,
            time: part.time,
            arrival: part.arrival,
            fin: true,
        };
        self.queued_bytes += piece.size();
        self.queue.insert(at, piece);
    }
}

/// Offsets within a segment are its length at most.
fn low(offset: i64) -> u32 {
    u32::try_from(offset).unwrap_or(0)
}

/// What was captured of bytes `from` to `to`.
fn range(bytes: &[u8], from: i64, to: i64) -> &[u8] {
    let limit = |offset| (low(offset) as usize).min(bytes.len());
    bytes.get(limit(from)..limit(to)).unwrap_or_default()
}
