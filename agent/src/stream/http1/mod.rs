//! A connection that speaks HTTP/1, or that nobody knows yet what it speaks: one reader for each
//! direction, and the requests that wait for their responses. Knows neither the table it stands in
//! nor that records can come late.

mod accounts;
mod begin;
mod calls;
mod ends;
mod handover;
mod pipeline;
mod requests;
mod responses;
mod side;
mod tail;
mod turns;
mod unasked;

use wirespan_ebpf::records::{DataRecord, OpenRecord, data_flags};

pub(super) use self::handover::Handover;
use self::{
    begin::Held,
    ends::Closing,
    pipeline::Pipeline,
    side::{Side, Sync},
    unasked::Unasked,
};
use super::{
    exchange::Role,
    link::{Arrival, Context, Fate, Link},
};
use crate::{
    clock::KernelTime,
    protocol::http1::{Kind, MessageReader},
};

/// Turns that do not begin like HTTP before a connection is given up: seen from its start, and
/// seen from its middle, where the first turns may be the rest of a long message.
const BAD_TURNS_NEW: u8 = 1;
const BAD_TURNS_OLD: u8 = 4;

/// State of one connection.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) link: Link,
    sides: [Side; 2],
    pipeline: Pipeline,
    /// Last turn of requests that is accounted for.
    request_turn: Option<u32>,
    /// Whether turns of requests have odd or even numbers.
    parity: Option<u32>,
    /// The first turn seen was the rest of a message of before the agent saw the connection.
    first_is_rest: bool,
    /// An HTTP/1 head was read.
    is_http: bool,
    /// The client sends requests while responses to those of earlier turns are due, so that
    /// nothing but order tells which response is whose.
    overlaps: bool,
    /// Too many requests wait: until they are answered, others are only counted.
    is_overfull: bool,
    /// Bytes of requests are missing behind a request in a turn that is accounted for.
    is_missing: bool,
    /// The last turn in which there may be requests that were not read.
    doubt: Option<u32>,
    /// The request that is being read is one of those.
    is_unopened: bool,
    /// A turn of requests that goes on with a request that was not read.
    rest_turn: Option<u32>,
    /// Responses to requests that were not read.
    unasked: Option<Box<Unasked>>,
    /// The first bytes of a turn, too few to say what they are.
    held: Option<Box<Held>>,
    /// It is no longer HTTP/1, and nothing that is read.
    is_over: bool,
    handover: Option<Box<Handover>>,
    bad_turns: u8,
    /// When the request that is being read began.
    started: KernelTime,
    closing: Option<Closing>,
}

impl Http1 {
    pub(super) fn new(id: u64) -> Self {
        Self {
            link: Link::new(id),
            sides: [Side::new(Sync::Out), Side::new(Sync::Out)],
            pipeline: Pipeline::default(),
            request_turn: None,
            parity: None,
            first_is_rest: false,
            is_http: false,
            overlaps: false,
            is_overfull: false,
            is_missing: false,
            doubt: None,
            is_unopened: false,
            rest_turn: None,
            unasked: None,
            held: None,
            is_over: false,
            handover: None,
            bad_turns: 0,
            started: KernelTime::default(),
            closing: None,
        }
    }

    /// The opening record. It comes first, but `missing` records of data may have been lost before
    /// the kernel could write it.
    pub(super) fn open(&mut self, open: &OpenRecord, missing: u32, cx: &mut Context<'_>) {
        if self.link.open(open, missing) {
            self.sides = [Side::new(Sync::In), Side::new(Sync::In)];
        }
        if let Some(role) = self.link.identity.role {
            self.assign(role);
            self.link.identity.announce(cx.out);
        }
    }

    /// Whether no exchange is open.
    pub(super) fn is_idle(&self) -> bool {
        self.pipeline.is_empty()
    }

    fn assign(&mut self, role: Role) {
        self.link.identity.role = Some(role);
        if let Some((request, response)) = self.link.ways() {
            self.sides[request].reader = MessageReader::new(Kind::Request);
            self.sides[response].reader = MessageReader::new(Kind::Response);
        }
    }

    /// A record that is not the first tells the role again, in case that the first was lost.
    fn recall(&mut self, role: u8, is_old: bool) {
        if let Some(role) = self.link.recall(role, is_old) {
            self.assign(role);
        }
    }

    pub(super) fn data(
        &mut self,
        data: &DataRecord,
        payload: &[u8],
        missing: u32,
        cx: &mut Context<'_>,
    ) -> Fate {
        let arrival = self.link.arrival(data, payload, missing);
        self.recall(
            (data.flags >> data_flags::ROLE_SHIFT) & 3,
            data.flags & data_flags::PRE_EXISTING != 0,
        );
        if data.turn > self.link.turn {
            if missing > 0 {
                self.doubt = Some(data.turn);
            }
            self.release(cx);
            self.turn_over(arrival.unbroken, cx);
            self.link.turn = data.turn;
        }
        if arrival.ends {
            self.release(cx);
            self.end_of_stream(&arrival, cx);
        } else {
            self.bytes(&arrival, cx);
            self.sides[arrival.way].moved(&arrival);
        }
        self.link.moved(data);
        self.fate()
    }

    /// As much as was read of what may be a head, in the direction of `data`; `None` when the
    /// connection is known to speak HTTP/1.
    pub(super) fn begun(&self, data: &DataRecord) -> Option<&[u8]> {
        if self.is_http {
            return None;
        }
        let side = self.sides.get(usize::from(data.direction))?;
        Some(match &self.held {
            Some(held) => &held.bytes,
            None => side.reader.head_so_far(),
        })
    }

    fn read(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let Some((request, _)) = self.link.ways() else {
            return;
        };
        let is_request = arrival.way == request;
        self.parity = Some((arrival.turn + u32::from(!is_request)) % 2);
        if is_request {
            self.request_data(arrival, cx);
        } else {
            self.response_data(arrival, cx);
            self.link.unresolved = false;
        }
    }

    /// What the connection is from behind the last record on, if it was handed over in that.
    pub(super) fn take_handover(&mut self) -> Option<Box<Handover>> {
        self.handover.take()
    }

    fn fate(&self) -> Fate {
        let limit = if self.link.identity.is_old {
            BAD_TURNS_OLD
        } else {
            BAD_TURNS_NEW
        };
        if self.is_over || (!self.is_http && self.bad_turns >= limit) {
            Fate::Ignore
        } else {
            Fate::Keep
        }
    }

    /// A turn begins that is not one of HTTP/1.
    fn bad_turn(&mut self, arrival: &Arrival<'_>) {
        self.bad_turns = self.bad_turns.saturating_add(1);
        self.first_is_rest |= self.link.identity.is_old && arrival.turn == 1;
    }
}
