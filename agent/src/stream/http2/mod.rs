//! A connection that speaks HTTP/2 (RFC 9113): one reader of frames for each direction, and the
//! exchanges of its streams. Knows neither the table it stands in nor that records can come late.

mod ends;
mod exchanges;
mod heads;
mod recognise;

use wirespan_ebpf::{
    records::{DataRecord, OpenRecord, data_flags},
    verdict::Verdict,
};

pub(super) use self::recognise::recognise;
use self::{ends::Closing, exchanges::Exchanges};
use super::{
    call::Content,
    exchange::Role,
    http1::Handover,
    link::{Arrival, Context, Fate, Link, SEND},
};
use crate::{
    clock::KernelTime,
    metrics::counters::Flow,
    protocol::http2::{Event, FrameReader, Headers, PREFACE, PushPromise},
};

/// Calls of a connection that was taken for HTTP/2 by the look of its bytes, of which none brought
/// a header block that makes sense, before it is given up.
const FRUITLESS_CALLS: u16 = 256;

/// Calls that are remembered while a header block is not whole, for the time of its first byte.
const CALLS_OF_A_BLOCK: usize = 64;

/// One direction.
#[derive(Debug)]
struct Side {
    reader: FrameReader,
    /// Where calls began, and when they were, since the reader was between frames.
    calls: Vec<(u64, KernelTime)>,
    /// Frames may have gone by unread since the last header block.
    unseen: bool,
}

impl Side {
    fn new(reader: FrameReader) -> Self {
        Self {
            unseen: !reader.is_in_step(),
            reader,
            calls: Vec::new(),
        }
    }

    /// When the byte at `position` moved.
    fn time_of(&self, position: u64, arrival: &Arrival<'_>) -> KernelTime {
        if position >= arrival.position {
            return arrival.time;
        }
        let earlier = self.calls.iter().rev().find(|(from, _)| *from <= position);
        earlier.map_or(arrival.time, |(_, time)| *time)
    }

    /// What the reader has read of `arrival` may be the beginning of a header block.
    fn remember(&mut self, arrival: &Arrival<'_>) {
        if !self.reader.is_in_head() {
            self.calls.clear();
        } else if self.calls.len() < CALLS_OF_A_BLOCK {
            self.calls.push((arrival.position, arrival.time));
        }
    }
}

/// State of one connection.
#[derive(Debug)]
pub(super) struct Http2 {
    pub(super) link: Link,
    sides: [Side; 2],
    exchanges: Exchanges,
    /// Calls since the last header block; only counted until there was one.
    fruitless: Option<u16>,
    closing: Option<Closing>,
}

impl Http2 {
    /// A connection that is seen from its start; `preface` bytes of the client's were read before.
    fn from_start(link: Link, client_way: usize, preface: usize) -> Self {
        let mut sides = [0, 1].map(|way| {
            Side::new(if way == client_way {
                FrameReader::client()
            } else {
                FrameReader::server()
            })
        });
        let before = PREFACE.get(..preface).unwrap_or_default();
        sides[client_way].reader.feed(before);
        Self::new(link, sides, None)
    }

    /// A connection that is joined in its middle; who is the client may not be known.
    fn joined(mut link: Link) -> Self {
        link.verdict = Some(Verdict::Http2);
        let sides = [0, 1].map(|_| Side::new(FrameReader::out_of_step()));
        Self::new(link, sides, Some(0))
    }

    /// What follows an upgrade to `h2c` (RFC 7540 section 3.2), of whose last record `rest` are
    /// the bytes behind the response. The request that asked for it is stream 1.
    pub(super) fn upgraded(
        mut link: Link,
        handover: &Handover,
        data: &DataRecord,
        rest: &[u8],
        cx: &mut Context<'_>,
    ) -> Self {
        link.verdict = Some(Verdict::Http2);
        let way = usize::from(data.direction & 1);
        let position = link.lanes[way].position;
        let mut http2 = Self::from_start(link, 1 - way, 0);
        if !handover.requests_in_step {
            http2.sides[1 - way] = Side::new(FrameReader::out_of_step());
        }
        http2.exchanges.adopt(handover, KernelTime(data.time));
        let uncaptured = u64::from(data.length.saturating_sub(data.captured));
        let behind = uncaptured + rest.len() as u64;
        let arrival = Arrival {
            way,
            time: KernelTime(data.time),
            tgid: data.tgid,
            tid: data.tid,
            turn: data.turn,
            position: position.unwrap_or_default().wrapping_sub(behind),
            payload: rest,
            uncaptured,
            tail: &[],
            ends: false,
            starts: false,
            unbroken: true,
            gap: 0,
            lossy: false,
        };
        http2.arrive(&arrival, cx);
        http2
    }

    fn new(link: Link, sides: [Side; 2], fruitless: Option<u16>) -> Self {
        Self {
            link,
            sides,
            exchanges: Exchanges::default(),
            fruitless,
            closing: None,
        }
    }

    /// The opening record came after data, which was lost.
    pub(super) fn open(&mut self, open: &OpenRecord, missing: u32, cx: &mut Context<'_>) {
        self.link.open(open, missing);
        if self.link.identity.role.is_some() {
            self.link.identity.announce(cx.out);
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
        self.link.recall(
            (data.flags >> data_flags::ROLE_SHIFT) & 3,
            data.flags & data_flags::PRE_EXISTING != 0,
        );
        self.link.turn = self.link.turn.max(data.turn);
        self.arrive(&arrival, cx);
        self.link.moved(data);
        match &mut self.fruitless {
            Some(calls) if *calls >= FRUITLESS_CALLS => Fate::Ignore,
            Some(calls) => {
                *calls += 1;
                Fate::Keep
            }
            None => Fate::Keep,
        }
    }

    /// Reads what one call moved.
    fn arrive(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        if arrival.gap > 0 {
            self.gap(arrival, cx);
        }
        if arrival.ends {
            self.end_of_stream(arrival, cx);
            return;
        }
        self.read(arrival, arrival.payload, cx);
        if arrival.uncaptured > 0 {
            let from = arrival.position.wrapping_add(arrival.payload.len() as u64);
            self.skip(from, arrival.uncaptured, arrival, cx);
        }
        self.sides[arrival.way].remember(arrival);
    }

    /// Bytes are missing before `arrival`.
    fn gap(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let side = &mut self.sides[arrival.way];
        if arrival.gap == u64::MAX {
            let event = side.reader.lose();
            self.lose_track(arrival.way, 0, cx);
            let before = self.link.lanes[arrival.way].position;
            if let Some(event) = event {
                self.happen(event, before.unwrap_or_default(), arrival, cx);
            }
        } else {
            let from = arrival.position.wrapping_sub(arrival.gap);
            self.skip(from, arrival.gap, arrival, cx);
        }
    }

    fn read(&mut self, arrival: &Arrival<'_>, bytes: &[u8], cx: &mut Context<'_>) {
        let way = arrival.way;
        let reader = &mut self.sides[way].reader;
        if bytes.is_empty() {
            return;
        }
        if !reader.is_in_step() && !reader.resync(bytes, arrival.uncaptured) {
            cx.counters.add(Flow::BytesGap, bytes.len() as u64);
            return;
        }
        let mut rest = bytes;
        loop {
            let step = self.sides[way].reader.feed(rest);
            let (read, behind) = rest.split_at(step.consumed.min(rest.len()));
            rest = behind;
            let end = arrival.position + (bytes.len() - rest.len()) as u64;
            match step.event {
                Event::Partial => break,
                Event::Data {
                    stream,
                    content,
                    end_stream,
                } => {
                    let from = usize::try_from(content)
                        .ok()
                        .and_then(|content| read.len().checked_sub(content));
                    let content = read.get(from.unwrap_or(0)..).unwrap_or_default();
                    self.content(way, stream, Content::Bytes(content));
                    if end_stream {
                        self.end_stream(way, stream, arrival, cx);
                    }
                }
                event => self.happen(event, end, arrival, cx),
            }
        }
    }

    /// Passes over bytes from position `from` on, which were not copied.
    fn skip(&mut self, mut from: u64, count: u64, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let way = arrival.way;
        let end = from.wrapping_add(count);
        while from != end {
            let step = self.sides[way].reader.skip(end.wrapping_sub(from));
            from = from.wrapping_add(step.consumed);
            match step.event {
                Event::Partial => {}
                Event::Data {
                    stream,
                    content,
                    end_stream,
                } => {
                    self.content(way, stream, Content::Uncopied(content));
                    if end_stream {
                        self.end_stream(way, stream, arrival, cx);
                    }
                }
                Event::Lost => {
                    self.lose_track(way, step.consumed, cx);
                }
                event => self.happen(event, from, arrival, cx),
            }
        }
    }

    /// A frame was read, up to position `end`.
    fn happen(&mut self, event: Event, end: u64, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let way = arrival.way;
        match event {
            Event::Headers(headers) => self.headers(&headers, end, arrival, cx),
            Event::PushPromise(promise) => self.promise(&promise, end, arrival, cx),
            Event::Unmeasured { stream, end_stream } => {
                self.content(way, stream, Content::Unmeasured);
                if end_stream {
                    self.end_stream(way, stream, arrival, cx);
                }
            }
            Event::RstStream { stream, code } => self.reset(way, stream, code, arrival, cx),
            Event::GoAway { last_stream, code } => {
                self.go_away(way, last_stream, code, arrival, cx);
            }
            Event::Settings(settings) => {
                if let Some(size) = settings.max_frame_size {
                    self.sides[1 - way].reader.allow_frame_size(size);
                }
            }
            Event::Invalid(_) => self.lose_track(way, 0, cx),
            Event::Partial | Event::Data { .. } | Event::Lost => {}
        }
    }

    /// Whether `way` is the direction of requests; `None` while that is not known.
    fn is_request(&self, way: usize) -> Option<bool> {
        self.link.ways().map(|(request, _)| way == request)
    }

    fn headers(
        &mut self,
        headers: &Headers,
        end: u64,
        arrival: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) {
        let way = arrival.way;
        if self.link.identity.role.is_none() && !self.recognise(way, headers) {
            return;
        }
        self.fruitless = None;
        let first = end.wrapping_sub(headers.length);
        let started = self.sides[way].time_of(first, arrival);
        if self.is_request(way) == Some(true) {
            self.request_headers(headers, end, started, arrival, cx);
        } else {
            self.response_headers(headers, arrival, cx);
        }
    }

    /// Who sends a request is the client; who sends a response, the server.
    fn recognise(&mut self, way: usize, headers: &Headers) -> bool {
        let sends = way == SEND;
        let is_client = match heads::side_of(&headers.head) {
            Some(Role::Client) => sends,
            Some(Role::Server) => !sends,
            None => return false,
        };
        self.link.identity.role = Some(if is_client {
            Role::Client
        } else {
            Role::Server
        });
        true
    }

    fn request_headers(
        &mut self,
        headers: &Headers,
        end: u64,
        started: KernelTime,
        arrival: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) {
        let Self {
            link,
            exchanges,
            sides,
            ..
        } = self;
        let side = &mut sides[arrival.way];
        if exchanges.is_new(headers, side.unseen, link, cx) {
            side.unseen = false;
            exchanges.open(headers, end, started, arrival, link, cx);
        }
        if headers.end_stream {
            self.end_stream(arrival.way, headers.stream, arrival, cx);
        }
    }

    fn response_headers(&mut self, headers: &Headers, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let (stream, end_stream) = (headers.stream, headers.end_stream);
        self.exchanges.respond(stream, &headers.head, end_stream);
        if end_stream {
            self.end_stream(arrival.way, stream, arrival, cx);
        }
    }

    /// A request that the server answers before it is asked. Its stream has no request's bytes.
    fn promise(
        &mut self,
        promise: &PushPromise,
        end: u64,
        arrival: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) {
        if self.is_request(arrival.way) != Some(false) {
            return;
        }
        self.fruitless = None;
        let first = end.wrapping_sub(promise.length);
        let started = self.sides[arrival.way].time_of(first, arrival);
        self.exchanges
            .promise(promise, end, started, arrival, &mut self.link, cx);
    }

    /// Content of a stream.
    fn content(&mut self, way: usize, stream: u32, content: Content<'_>) {
        if let Some(is_request) = self.is_request(way) {
            self.exchanges.content(stream, is_request, content);
        }
    }

    /// One side of a stream is over.
    fn end_stream(&mut self, way: usize, stream: u32, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        if let Some(is_request) = self.is_request(way) {
            self.exchanges.end(stream, is_request, arrival.time, cx);
        }
    }
}
