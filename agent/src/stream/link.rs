//! What every connection has, whatever it speaks: who it is, where each direction stands, and
//! whether records are missing. Knows nothing of what the bytes say.

use wirespan_ebpf::{
    records::{DataRecord, OpenRecord, TAIL, data_flags, direction},
    verdict::Verdict,
};

use super::{
    exchange::{Activity, ExchangeId, Role},
    identity::{Identity, role_of},
    table::Limits,
};
use crate::{
    clock::KernelTime,
    metrics::counters::{Counters, Flow, Loss},
};

pub(super) const SEND: usize = direction::SEND as usize;
pub(super) const RECEIVE: usize = direction::RECEIVE as usize;

/// What a connection needs from the rest.
pub(super) struct Context<'a> {
    pub(super) counters: &'a Counters,
    pub(super) limits: &'a Limits,
    pub(super) exchanges: &'a mut u64,
    pub(super) out: &'a mut Vec<Activity>,
}

impl Context<'_> {
    /// The next exchange's number.
    pub(super) fn next_id(&mut self) -> ExchangeId {
        *self.exchanges += 1;
        ExchangeId(*self.exchanges)
    }
}

/// What becomes of a connection after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Keep,
    /// It carries nothing that is read (any more); the kernel need not report it.
    Ignore,
    /// It is closed.
    Gone,
}

/// A data record, and what is known of its place in the connection.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) way: usize,
    pub(super) time: KernelTime,
    pub(super) tgid: u32,
    pub(super) tid: u32,
    pub(super) turn: u32,
    /// Position of its first byte.
    pub(super) position: u64,
    pub(super) payload: &'a [u8],
    /// Bytes behind the payload that were not copied.
    pub(super) uncaptured: u64,
    /// The last of them, as far as the kernel knows them.
    pub(super) tail: &'a [u8],
    /// The peer sends no more; nothing was moved.
    pub(super) ends: bool,
    /// Whether its first byte is surely the first of its turn.
    pub(super) starts: bool,
    /// Whether a turn begins here, and none of the records before it is missing.
    pub(super) unbroken: bool,
    /// Bytes of this direction that are missing before it.
    pub(super) gap: u64,
    /// Whether records were lost since this direction's last one; else a gap's bytes were moved
    /// by a call that no hook sees.
    pub(super) lossy: bool,
}

/// Where a direction stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane {
    /// Position of the next byte; `None` until one is known.
    pub(super) position: Option<u64>,
    /// Turn of the last record.
    pub(super) turn: u32,
}

/// The part of a connection's state that does not depend on its protocol.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) identity: Identity,
    pub(super) lanes: [Lane; 2],
    /// Turn of the last record.
    pub(super) turn: u32,
    pub(super) opened: bool,
    /// Records were lost at any time.
    pub(super) has_losses: bool,
    /// Records are missing since the last one in the direction of responses.
    pub(super) unresolved: bool,
    /// Process that used it last.
    pub(super) tgid: u32,
    pub(super) last: KernelTime,
    /// What the kernel shall know of it, until that is told.
    pub(super) verdict: Option<Verdict>,
}

impl Link {
    pub(super) fn new(id: u64) -> Self {
        Self {
            identity: Identity::unknown(id),
            lanes: [Lane::default(); 2],
            turn: 0,
            opened: false,
            has_losses: false,
            unresolved: false,
            tgid: 0,
            last: KernelTime::default(),
            verdict: None,
        }
    }

    /// The opening record. It comes first, but `missing` records of data may have been lost before
    /// the kernel could write it. Whether the connection is seen from its first byte.
    pub(super) fn open(&mut self, open: &OpenRecord, missing: u32) -> bool {
        self.note_missing(missing);
        self.opened = true;
        self.last = KernelTime(open.time);
        self.identity.open(open);
        let from_start = !self.identity.is_old && missing == 0;
        if from_start {
            self.lanes = [Lane {
                position: Some(0),
                turn: 0,
            }; 2];
        }
        from_start
    }

    pub(super) fn note_missing(&mut self, missing: u32) {
        self.unresolved |= missing > 0;
        self.has_losses |= missing > 0;
    }

    /// A record that is not the first tells the role again, in case that the first was lost.
    /// The role, if that is news.
    pub(super) fn recall(&mut self, role: u8, is_old: bool) -> Option<Role> {
        if self.identity.role.is_some() {
            return None;
        }
        let role = role_of(role)?;
        self.identity.recall(role, is_old);
        Some(role)
    }

    /// The directions of requests and of responses.
    pub(super) fn ways(&self) -> Option<(usize, usize)> {
        self.identity.role.map(|role| match role {
            Role::Client => (SEND, RECEIVE),
            Role::Server => (RECEIVE, SEND),
        })
    }

    /// What a record's place in the connection is. Nothing is changed by looking but what is
    /// missing; [`Self::moved`] goes on.
    pub(super) fn arrival<'a>(
        &mut self,
        data: &'a DataRecord,
        payload: &'a [u8],
        missing: u32,
    ) -> Arrival<'a> {
        let way = usize::from(data.direction & 1);
        self.note_missing(missing);
        // The opening record, always number 1, is no data.
        let lost = missing.saturating_sub(u32::from(!self.opened));
        self.opened = true;
        self.tgid = data.tgid;
        self.last = KernelTime(data.time);
        let starts = data.turn > self.turn && lost == data.turn - self.turn - 1;
        let gap = self.gap(way, data.position);
        Arrival {
            way,
            time: KernelTime(data.time),
            tgid: data.tgid,
            tid: data.tid,
            turn: data.turn,
            position: match (gap, self.lanes[way].position) {
                (0, Some(position)) => position,
                _ => data.position,
            },
            payload,
            uncaptured: u64::from(data.length) - payload.len() as u64,
            tail: known_tail(data),
            ends: data.flags & data_flags::END_OF_STREAM != 0,
            starts,
            unbroken: missing == 0 || starts,
            gap,
            lossy: self.unresolved,
        }
    }

    /// The bytes of `data` have moved.
    pub(super) fn moved(&mut self, data: &DataRecord) {
        self.lanes[usize::from(data.direction & 1)] = Lane {
            position: Some(data.position.wrapping_add(data.length.into())),
            turn: data.turn,
        };
    }

    /// Bytes missing before a position. A receive that also finds the peer's FIN makes TCP count
    /// one more, which is no byte (`tcp_recvmsg_locked`, all kernels).
    /// Where records were lost, the one may be a byte.
    /// A step back is no gap that could be measured, but nothing can be made of what follows it.
    pub(super) fn gap(&self, way: usize, position: u64) -> u64 {
        let missing = match self.lanes[way].position {
            None => 0,
            Some(expected) => position.checked_sub(expected).unwrap_or(u64::MAX),
        };
        match missing {
            1 if way == RECEIVE && !self.has_losses && !self.identity.is_unix => 0,
            gap => gap,
        }
    }

    pub(super) fn count_lost(&self, count: u64, reason: Loss, cx: &Context<'_>) {
        if count == 0 {
            return;
        }
        let flow = match self.identity.role {
            Some(Role::Client) => Flow::ClientExchangesLost,
            _ => Flow::ServerExchangesLost,
        };
        cx.counters.add(flow, count);
        cx.counters.lose(reason, count);
    }

    /// Position of a request's first byte as both ends count it, of which `length` bytes before
    /// `end` are this end's.
    pub(super) fn request_position(&self, way: usize, end: u64, length: u64) -> u64 {
        let bias = if way == SEND {
            self.identity.send_bias()
        } else {
            0
        };
        end.wrapping_sub(length).wrapping_sub(bias)
    }
}

/// The last bytes of a call that was not copied whole. A tail that does not say all that it could
/// is none.
fn known_tail(data: &DataRecord) -> &[u8] {
    let full = TAIL.min(data.length as usize);
    if data.tail_length as usize == full {
        &data.tail[..full]
    } else {
        &[]
    }
}

/// A step back in the stream is a gap of no size.
pub(super) fn measurable(gap: u64) -> u64 {
    if gap == u64::MAX { 0 } else { gap }
}
