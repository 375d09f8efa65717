//! A connection that became a `WebSocket` (RFC 6455): one exchange from the handshake's request to
//! the close. Knows neither the table it stands in nor that records can come late.

use wirespan_ebpf::{
    records::{CloseRecord, DataRecord, close_how},
    verdict::Verdict,
};

use super::{
    exchange::{self, Activity, ExchangeError, Role, Session},
    http1::Handover,
    link::{Arrival, Context, Fate, Link, RECEIVE, SEND},
};
use crate::{
    clock::KernelTime,
    metrics::counters::{Flow, Loss},
    protocol::websocket::{Counts, Event, FrameReader, Sender},
};

/// What a closed TCP connection has received can still be read for a while.
const CLOSE_GRACE: u64 = 1_000_000_000;

/// The connection is closed, but not all that it received may have been read.
#[derive(Clone, Copy, Debug)]
struct Closing {
    time: KernelTime,
    error: Option<ExchangeError>,
}

/// State of one connection.
#[derive(Debug)]
pub(super) struct WebSocket {
    pub(super) link: Link,
    readers: [FrameReader; 2],
    /// Directions in which a Close frame went by.
    closed: [bool; 2],
    close_code: Option<u16>,
    /// `None` when it has ended.
    exchange: Option<Box<Handover>>,
    closing: Option<Closing>,
}

impl WebSocket {
    /// What follows a handshake, of whose last record `rest` are the bytes behind it.
    pub(super) fn begin(
        mut link: Link,
        handover: Box<Handover>,
        data: &DataRecord,
        rest: &[u8],
        cx: &mut Context<'_>,
    ) -> (Self, Fate) {
        link.verdict = Some(Verdict::WebSocket);
        let sender = |way: usize| match link.identity.role {
            Some(Role::Client) if way == SEND => Sender::Client,
            Some(Role::Server) if way == RECEIVE => Sender::Client,
            _ => Sender::Server,
        };
        let mut readers = [
            FrameReader::new(sender(SEND)),
            FrameReader::new(sender(RECEIVE)),
        ];
        let way = usize::from(data.direction & 1);
        if !handover.requests_in_step {
            readers[1 - way].lose();
        }
        let mut websocket = Self {
            link,
            readers,
            closed: [false; 2],
            close_code: None,
            exchange: Some(handover),
            closing: None,
        };
        let uncaptured = u64::from(data.length.saturating_sub(data.captured));
        websocket.read(way, rest, uncaptured, KernelTime(data.time), cx);
        let fate = websocket.fate();
        (websocket, fate)
    }

    pub(super) fn data(
        &mut self,
        data: &DataRecord,
        payload: &[u8],
        missing: u32,
        cx: &mut Context<'_>,
    ) -> Fate {
        let arrival = self.link.arrival(data, payload, missing);
        self.link.turn = self.link.turn.max(data.turn);
        self.arrive(&arrival, cx);
        self.link.moved(data);
        self.fate()
    }

    fn arrive(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let way = arrival.way;
        if arrival.gap > 0 {
            self.gap(way, arrival.gap, arrival.time, cx);
        }
        if arrival.ends {
            if self.link.identity.is_unix {
                self.peer_left(arrival.time);
            }
            return;
        }
        let reader = &mut self.readers[way];
        if !reader.is_in_step() && !reader.resync(arrival.payload, arrival.uncaptured) {
            let moved = arrival.payload.len() as u64 + arrival.uncaptured;
            cx.counters.add(Flow::BytesGap, moved);
            return;
        }
        self.read(way, arrival.payload, arrival.uncaptured, arrival.time, cx);
    }

    fn fate(&self) -> Fate {
        match self.exchange {
            Some(_) => Fate::Keep,
            None => Fate::Ignore,
        }
    }

    fn read(
        &mut self,
        way: usize,
        mut rest: &[u8],
        uncaptured: u64,
        time: KernelTime,
        cx: &mut Context<'_>,
    ) {
        loop {
            let step = self.readers[way].feed(rest);
            rest = rest.get(step.consumed..).unwrap_or_default();
            match step.event {
                Event::Partial => break,
                Event::Invalid(_) => {
                    cx.counters
                        .add(Flow::BytesGap, rest.len() as u64 + uncaptured);
                    return;
                }
                event => self.happen(way, event, time, cx),
            }
        }
        self.skip(way, uncaptured, time, cx);
    }

    /// Passes over bytes that were not copied.
    fn skip(&mut self, way: usize, mut count: u64, time: KernelTime, cx: &mut Context<'_>) {
        while count > 0 {
            let step = self.readers[way].skip(count);
            count = count.saturating_sub(step.consumed);
            if step.event == Event::Lost {
                cx.counters.add(Flow::BytesGap, step.consumed);
            }
            self.happen(way, step.event, time, cx);
        }
    }

    /// Bytes of no record are missing in a direction.
    fn gap(&mut self, way: usize, gap: u64, time: KernelTime, cx: &mut Context<'_>) {
        if gap == u64::MAX {
            self.readers[way].lose();
        } else {
            self.skip(way, gap, time, cx);
        }
    }

    fn happen(&mut self, way: usize, event: Event, time: KernelTime, cx: &mut Context<'_>) {
        let Event::Close { code } = event else {
            return;
        };
        if self.closed == [false; 2] {
            self.close_code = code;
        }
        self.closed[way] = true;
        if self.closed == [true; 2] {
            self.finish(time, None, cx);
        }
    }

    pub(super) fn close(
        &mut self,
        close: &CloseRecord,
        missing: u32,
        cx: &mut Context<'_>,
    ) -> Fate {
        self.link.note_missing(missing);
        if close.how == close_how::SEND_SHUT {
            return Fate::Keep;
        }
        let time = KernelTime(close.time);
        let error = ExchangeError::of_number(close.error);
        let [sent, received] = [SEND, RECEIVE].map(|way| self.link.gap(way, close.position[way]));
        if sent > 0 {
            self.gap(SEND, sent, time, cx);
        }
        if received > 0 && !self.link.has_losses && self.exchange.is_some() {
            self.closing = Some(Closing { time, error });
            return Fate::Keep;
        }
        if received > 0 {
            self.gap(RECEIVE, received, time, cx);
        }
        self.finish(time, error, cx);
        Fate::Gone
    }

    /// The peer of a unix socket is gone, or sends no more.
    pub(super) fn peer_left(&mut self, time: KernelTime) {
        self.closing.get_or_insert(Closing { time, error: None });
    }

    /// The process that used the connection last is gone.
    pub(super) fn process_exited(&mut self, time: KernelTime, cx: &mut Context<'_>) -> Fate {
        // Of a connection that is closed, nothing more can be read.
        let error = match self.closing {
            Some(closing) => closing.error,
            None if self.closed != [false; 2] => None,
            None => Some(ExchangeError::ProcessExited),
        };
        self.finish(time, error, cx);
        if self.link.identity.is_unix {
            Fate::Gone
        } else {
            Fate::Keep
        }
    }

    /// Whether time alone can change it.
    pub(super) fn is_waiting(&self) -> bool {
        self.closing.is_some()
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: KernelTime, cx: &mut Context<'_>) -> Fate {
        let Some(closing) = self.closing else {
            return Fate::Keep;
        };
        if now.since(closing.time.max(self.link.last)) < CLOSE_GRACE {
            return Fate::Keep;
        }
        self.finish(closing.time.max(self.link.last), closing.error, cx);
        Fate::Gone
    }

    /// Whether no exchange is open.
    pub(super) fn is_idle(&self) -> bool {
        self.exchange.is_none()
    }

    /// The exchange makes no span.
    pub(super) fn lose_open(&mut self, reason: Loss, cx: &mut Context<'_>) {
        if let Some(exchange) = self.exchange.take() {
            cx.out.push(Activity::Lost(exchange.id));
            self.link.count_lost(1, reason, cx);
        }
    }

    /// The agent stops.
    pub(super) fn stop(&mut self, now: KernelTime, cx: &mut Context<'_>) {
        match self.closing {
            Some(closing) => self.finish(closing.time.max(self.link.last), closing.error, cx),
            None => self.finish(now, Some(ExchangeError::AgentStopped), cx),
        }
    }

    fn finish(&mut self, ended: KernelTime, error: Option<ExchangeError>, cx: &mut Context<'_>) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        let Some((request, response)) = self.link.ways() else {
            return;
        };
        let counts = [request, response].map(|way| self.readers[way].counts());
        let [request_messages, response_messages] =
            counts.map(|counts: Option<Counts>| counts.map(|counts| counts.messages));
        let [request_body, response_body] =
            counts.map(|counts: Option<Counts>| counts.map(|counts| counts.payload));
        let session = Session::WebSocket(Box::new(exchange::WebSocket {
            request_messages,
            response_messages,
            close_code: self.close_code,
        }));
        exchange.finish([request_body, response_body], ended, error, session, cx);
    }
}
