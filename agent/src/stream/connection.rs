//! One connection: what its records say, in order. Knows neither the table it stands in nor that
//! records can come late; `requests` and `responses` read its two directions.

use wirespan_ebpf::records::{DataRecord, OpenRecord, TAIL, data_flags, direction};

use super::{
    ends::Closing,
    exchange::{Activity, Role},
    identity::{Identity, role_of},
    pipeline::Pipeline,
    side::{Side, Sync},
    table::Limits,
};
use crate::{
    clock::KernelTime,
    metrics::counters::{Counters, Loss},
    protocol::http1::{Kind, Likeness, MessageReader, like_request, like_response},
};

pub(super) const SEND: usize = direction::SEND as usize;
pub(super) const RECEIVE: usize = direction::RECEIVE as usize;

/// Turns that do not begin like HTTP before a connection is given up: seen from its start, and
/// seen from its middle, where the first turns may be the rest of a long message.
const BAD_TURNS_NEW: u8 = 1;
const BAD_TURNS_OLD: u8 = 4;

/// What a connection needs from the rest.
pub(super) struct Context<'a> {
    pub(super) counters: &'a Counters,
    pub(super) limits: &'a Limits,
    pub(super) exchanges: &'a mut u64,
    pub(super) out: &'a mut Vec<Activity>,
}

/// What becomes of a connection after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Keep,
    /// It does not carry HTTP/1 (any more); the kernel need not report it.
    Ignore,
    /// It is closed.
    Gone,
}

/// A data record, and what is known of its place in the connection.
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
    /// Whether its first byte is surely the first of its turn.
    pub(super) starts: bool,
    /// Bytes of this direction that are missing before it.
    pub(super) gap: u64,
    /// Whether records were lost since this direction's last one; else a gap's bytes were moved
    /// by a call that no hook sees.
    pub(super) lossy: bool,
}

/// State of one connection.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) identity: Identity,
    pub(super) sides: [Side; 2],
    pub(super) pipeline: Pipeline,
    /// Turn of the last record.
    pub(super) turn: u32,
    /// Last turn of requests that is accounted for.
    pub(super) request_turn: Option<u32>,
    /// Whether turns of requests have odd or even numbers.
    pub(super) parity: Option<u32>,
    /// The first turn seen was the rest of a message of before the agent saw the connection.
    pub(super) first_is_rest: bool,
    pub(super) opened: bool,
    /// An HTTP/1 head was read.
    pub(super) is_http: bool,
    /// The client sends requests before it has the responses to earlier ones.
    pub(super) is_pipelined: bool,
    /// Records were lost at any time.
    pub(super) has_losses: bool,
    /// Records are missing since the last one in the direction of responses.
    pub(super) unresolved: bool,
    pub(super) handed_over: bool,
    pub(super) bad_turns: u8,
    /// Process that used it last.
    pub(super) tgid: u32,
    /// When the request that is being read began.
    pub(super) started: KernelTime,
    pub(super) last: KernelTime,
    pub(super) closing: Option<Closing>,
}

impl Conn {
    pub(super) fn new(id: u64) -> Self {
        Self {
            identity: Identity::unknown(id),
            sides: [Side::new(None, Sync::Out), Side::new(None, Sync::Out)],
            pipeline: Pipeline::default(),
            turn: 0,
            request_turn: None,
            parity: None,
            first_is_rest: false,
            opened: false,
            is_http: false,
            is_pipelined: false,
            has_losses: false,
            unresolved: false,
            handed_over: false,
            bad_turns: 0,
            tgid: 0,
            started: KernelTime::default(),
            last: KernelTime::default(),
            closing: None,
        }
    }

    /// The opening record. It comes first, but `missing` records of data may have been lost before
    /// the kernel could write it.
    pub(super) fn open(&mut self, open: &OpenRecord, missing: u32, cx: &mut Context<'_>) {
        self.note_missing(missing);
        self.opened = true;
        self.last = KernelTime(open.time);
        self.identity.open(open);
        if !self.identity.is_old && missing == 0 {
            self.sides = [Side::new(Some(0), Sync::In), Side::new(Some(0), Sync::In)];
        }
        if let Some(role) = self.identity.role {
            self.assign(role);
            self.identity.announce(cx.out);
        }
    }

    fn assign(&mut self, role: Role) {
        self.identity.role = Some(role);
        let (request, response) = ways(role);
        self.sides[request].reader = MessageReader::new(Kind::Request);
        self.sides[response].reader = MessageReader::new(Kind::Response);
    }

    /// A record that is not the first tells the role again, in case that the first was lost.
    pub(super) fn recall(&mut self, role: u8, is_old: bool) {
        if self.identity.role.is_none()
            && let Some(role) = role_of(role)
        {
            self.identity.recall(role, is_old);
            self.assign(role);
        }
    }

    /// The directions of requests and of responses.
    pub(super) fn ways(&self) -> Option<(usize, usize)> {
        self.identity.role.map(ways)
    }

    pub(super) fn data(
        &mut self,
        data: &DataRecord,
        payload: &[u8],
        missing: u32,
        cx: &mut Context<'_>,
    ) -> Fate {
        let arrival = self.arrival(data, payload, missing);
        self.recall(
            (data.flags >> data_flags::ROLE_SHIFT) & 3,
            data.flags & data_flags::PRE_EXISTING != 0,
        );
        self.tgid = data.tgid;
        self.last = arrival.time;
        if data.turn > self.turn {
            self.turn_over(missing == 0 || arrival.starts, cx);
            self.turn = data.turn;
        }
        if data.flags & data_flags::END_OF_STREAM != 0 {
            self.end_of_stream(&arrival, cx);
        } else {
            self.bytes(&arrival, cx);
            self.sides[arrival.way].moved(&arrival);
        }
        self.sides[arrival.way].position = Some(data.position.wrapping_add(data.length.into()));
        self.sides[arrival.way].turn = data.turn;
        self.fate()
    }

    fn arrival<'a>(
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
        let starts = data.turn > self.turn && lost == data.turn - self.turn - 1;
        let gap = self.gap(way, data.position);
        Arrival {
            way,
            time: KernelTime(data.time),
            tgid: data.tgid,
            tid: data.tid,
            turn: data.turn,
            position: match (gap, self.sides[way].position) {
                (0, Some(position)) => position,
                _ => data.position,
            },
            payload,
            uncaptured: u64::from(data.length) - payload.len() as u64,
            tail: known_tail(data),
            starts,
            gap,
            lossy: self.unresolved,
        }
    }

    pub(super) fn note_missing(&mut self, missing: u32) {
        self.unresolved |= missing > 0;
        self.has_losses |= missing > 0;
    }

    /// Bytes missing before a position. A receive that also finds the peer's FIN makes TCP count
    /// one more, which is no byte (`tcp_recvmsg_locked`, all kernels).
    /// Where records were lost, the one may be a byte.
    pub(super) fn gap(&self, way: usize, position: u64) -> u64 {
        match self.sides[way].missing(position) {
            1 if way == RECEIVE && !self.has_losses && !self.identity.is_unix => 0,
            gap => gap,
        }
    }

    fn bytes(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        if self.identity.role.is_none() && !self.recognise(arrival) {
            self.sides[arrival.way].lose();
            return;
        }
        let Some((request, _)) = self.ways() else {
            return;
        };
        let is_request = arrival.way == request;
        self.parity = Some((arrival.turn + u32::from(!is_request)) % 2);
        if is_request {
            self.request_data(arrival, cx);
        } else {
            self.response_data(arrival, cx);
            self.unresolved = false;
        }
    }

    /// Who sends a request is the client; who sends a response, the server.
    fn recognise(&mut self, arrival: &Arrival<'_>) -> bool {
        if !arrival.starts || arrival.payload.is_empty() {
            return false;
        }
        let sends = arrival.way == SEND;
        let is_client = if like_request(arrival.payload) != Likeness::No {
            sends
        } else if like_response(arrival.payload) != Likeness::No {
            !sends
        } else {
            self.bad_turns += 1;
            self.first_is_rest |= self.identity.is_old && arrival.turn == 1;
            return false;
        };
        self.assign(if is_client {
            Role::Client
        } else {
            Role::Server
        });
        true
    }

    fn fate(&self) -> Fate {
        let limit = if self.identity.is_old {
            BAD_TURNS_OLD
        } else {
            BAD_TURNS_NEW
        };
        if self.handed_over || (!self.is_http && self.bad_turns >= limit) {
            Fate::Ignore
        } else {
            Fate::Keep
        }
    }

    /// A turn begins that is not one of HTTP/1.
    pub(super) fn bad_turn(&mut self, arrival: &Arrival<'_>) {
        self.bad_turns = self.bad_turns.saturating_add(1);
        self.first_is_rest |= self.identity.is_old && arrival.turn == 1;
    }

    /// Messages whose end only the end of the turn tells are whole. `certain` when all records of
    /// that turn were seen.
    pub(super) fn turn_over(&mut self, certain: bool, cx: &mut Context<'_>) {
        let Some((request, response)) = self.ways() else {
            return;
        };
        if self.sides[request].sync == Sync::Turn {
            self.sides[request].lose();
            self.request_whole(cx);
        }
        if self.sides[response].sync == Sync::Turn {
            let last = self.sides[response].last;
            self.sides[response].lose();
            if certain {
                self.response_whole(last, cx);
            } else {
                self.lose_oldest(Loss::Gap, cx);
            }
        }
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

fn ways(role: Role) -> (usize, usize) {
    match role {
        Role::Client => (SEND, RECEIVE),
        Role::Server => (RECEIVE, SEND),
    }
}
