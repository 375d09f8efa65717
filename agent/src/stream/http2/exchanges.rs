//! The exchanges of a connection's streams: from a request's head to the end of both sides.
//! Knows frames only by what they mean for a stream.

use std::sync::Arc;

use hashbrown::HashMap;

use super::heads;
use crate::{
    clock::KernelTime,
    metrics::counters::Loss,
    protocol::http2::{FieldName, HeaderBlock, Headers, PushPromise, Value},
    stream::{
        call::{Call, Content},
        exchange::{
            Activity, ExchangeError, ExchangeId, Finished, Opened, RequestHead, Response, Session,
        },
        http1::Handover,
        link::{Arrival, Context, Link},
    },
};

/// Marks the position of a promise, which is one of the server's direction, so that it is none of
/// the client's.
const PROMISED: u64 = 1 << 63;

/// One side of a stream.
#[derive(Debug)]
struct Half {
    /// Bytes of content so far; `None` when that is not known.
    body: Option<u64>,
    /// When it ended.
    ended: Option<KernelTime>,
    /// Frames of it may have gone by unread.
    doubtful: bool,
}

impl Default for Half {
    fn default() -> Self {
        Self {
            body: Some(0),
            ended: None,
            doubtful: false,
        }
    }
}

/// A stream whose exchange has not ended.
#[derive(Debug)]
struct Stream {
    id: ExchangeId,
    request: Half,
    response: Half,
    head: Option<Response>,
    /// Bytes of content that the response says it has.
    announced: Option<u64>,
    truncated: bool,
    gap_bytes: u64,
    call: Option<Box<Call>>,
}

impl Stream {
    fn half(&mut self, is_request: bool) -> &mut Half {
        if is_request {
            &mut self.request
        } else {
            &mut self.response
        }
    }

    /// Fields behind the content, or in its place.
    fn trailers(&mut self, block: &HeaderBlock) {
        if let Some(call) = &mut self.call {
            let status = block.get(FieldName::GrpcStatus);
            let message = block.get(FieldName::GrpcMessage).known();
            call.fields(status.known(), message, status == Value::Unknown);
        }
    }

    /// When the exchange was over; `None` while it is not.
    fn over(&self) -> Option<KernelTime> {
        let response = self.response.ended?;
        match self.request.ended {
            Some(request) => Some(request.max(response)),
            // The request's end may have been among what was not read.
            None => self.request.doubtful.then_some(response),
        }
    }

    fn finish(self, ended: KernelTime, error: Option<ExchangeError>, cx: &mut Context<'_>) {
        let head = match (self.head, error) {
            // It was answered, but the answer's head was not read.
            (None, None) => Some(Response { status: None }),
            (head, _) => head,
        };
        cx.out.push(Activity::Finished(Finished {
            id: self.id,
            response: head,
            request_body: self.request.body,
            response_body: self.response.body,
            ended,
            error,
            truncated: self.truncated,
            gap_bytes: self.gap_bytes,
            session: self.call.map_or(Session::Plain, |call| {
                Session::Rpc(Box::new(call.end(error.is_none())))
            }),
        }));
    }
}

/// The streams of one connection.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    streams: HashMap<u32, Stream>,
    /// The client's newest stream, 0 before the first one. Clients number theirs 1, 3, 5...
    /// (RFC 9113 section 5.1.1).
    newest: u32,
}

impl Exchanges {
    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The request that asked for the upgrade to HTTP/2 is its first stream, and is over.
    pub(super) fn adopt(&mut self, handover: &Handover, time: KernelTime) {
        let stream = Stream {
            id: handover.id,
            request: Half {
                body: handover.request_body,
                ended: Some(time),
                doubtful: false,
            },
            response: Half::default(),
            head: None,
            announced: None,
            truncated: handover.truncated,
            gap_bytes: handover.gap_bytes,
            call: None,
        };
        self.newest = 1;
        self.streams.insert(1, stream);
    }

    /// The client's stream `stream` has a head. Whether it is a new stream; then those between it
    /// and the newest one are counted, if frames went by unread since then.
    pub(super) fn is_new(
        &mut self,
        headers: &Headers,
        unseen: bool,
        link: &Link,
        cx: &Context<'_>,
    ) -> bool {
        let stream = headers.stream;
        if stream.is_multiple_of(2) || stream <= self.newest {
            return false;
        }
        let is_first = self.newest == 0 && link.identity.is_old;
        let is_request = if is_first {
            // It may be the trailers of a stream from before.
            heads::side_of(&headers.head).is_some()
        } else {
            heads::is_request(&headers.head)
        };
        if !is_request {
            return false;
        }
        if unseen && !is_first {
            let number = |stream: u32| u64::from(stream.div_ceil(2));
            let lost = number(stream) - number(self.newest) - 1;
            link.count_lost(lost, Loss::Gap, cx);
        }
        self.newest = stream;
        true
    }

    /// A request of the client's.
    pub(super) fn open(
        &mut self,
        headers: &Headers,
        end: u64,
        started: KernelTime,
        arrival: &Arrival<'_>,
        link: &mut Link,
        cx: &mut Context<'_>,
    ) {
        let position = link.request_position(arrival.way, end, headers.length);
        self.add(
            headers.stream,
            &headers.head,
            (position, started),
            arrival,
            link,
            cx,
        );
    }

    /// A request that the server made up, to answer it.
    pub(super) fn promise(
        &mut self,
        promise: &PushPromise,
        end: u64,
        started: KernelTime,
        arrival: &Arrival<'_>,
        link: &mut Link,
        cx: &mut Context<'_>,
    ) {
        if !promise.promised.is_multiple_of(2) || self.streams.contains_key(&promise.promised) {
            return;
        }
        let position = link.request_position(arrival.way, end, promise.length) | PROMISED;
        self.add(
            promise.promised,
            &promise.head,
            (position, started),
            arrival,
            link,
            cx,
        );
        if let Some(stream) = self.streams.get_mut(&promise.promised) {
            stream.request.ended = Some(arrival.time);
        }
    }

    fn add(
        &mut self,
        number: u32,
        block: &HeaderBlock,
        (position, started): (u64, KernelTime),
        arrival: &Arrival<'_>,
        link: &mut Link,
        cx: &mut Context<'_>,
    ) {
        if self.streams.len() >= cx.limits.pipeline && !self.evict_doubtful(link, cx) {
            link.count_lost(1, Loss::PipelineFull, cx);
            return;
        }
        let Some(connection) = link.identity.announce(cx.out) else {
            return;
        };
        let request = heads::request(block);
        let stream = Stream {
            id: cx.next_id(),
            request: Half::default(),
            response: Half::default(),
            head: None,
            announced: None,
            truncated: block.truncated,
            gap_bytes: 0,
            call: Call::begin(&request),
        };
        cx.out.push(opened(
            stream.id, connection, position, started, arrival, request,
        ));
        self.streams.insert(number, stream);
    }

    /// The first of the streams that may have ended unseen makes room.
    fn evict_doubtful(&mut self, link: &Link, cx: &mut Context<'_>) -> bool {
        let oldest = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.response.doubtful)
            .map(|(number, _)| *number)
            .min();
        let Some(stream) = oldest.and_then(|number| self.streams.remove(&number)) else {
            return false;
        };
        lose(&stream, Loss::Gap, link, cx);
        true
    }

    /// A response's head, or trailers.
    pub(super) fn respond(&mut self, number: u32, block: &HeaderBlock, end_stream: bool) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        if heads::is_trailers(block, stream.head.is_some()) {
            stream.trailers(block);
            return;
        }
        let Some(head) = heads::response(block) else {
            return;
        };
        stream.truncated |= block.truncated;
        stream.head = Some(head);
        let length = block.get(FieldName::ContentLength).known();
        stream.announced = length.and_then(|length| length.parse().ok());
        if stream.call.is_none()
            && let Some(content_type) = block.get(FieldName::ContentType).known()
        {
            stream.call = Call::late(content_type);
        }
        if let Some(call) = &mut stream.call {
            call.answered(head.status);
        }
        // With the head alone a call can end ("trailers-only").
        let has_status = !matches!(block.get(FieldName::GrpcStatus), Value::Absent);
        if end_stream || has_status {
            stream.trailers(block);
        }
    }

    pub(super) fn content(&mut self, number: u32, is_request: bool, content: Content<'_>) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        if let Some(call) = &mut stream.call {
            call.content(is_request, content);
        }
        let half = stream.half(is_request);
        half.body = match content {
            Content::Bytes(bytes) => half.body.map(|body| body + bytes.len() as u64),
            Content::Uncopied(count) => half.body.map(|body| body.saturating_add(count)),
            Content::Unmeasured => None,
        };
    }

    /// One side of a stream has ended.
    pub(super) fn end(
        &mut self,
        number: u32,
        is_request: bool,
        time: KernelTime,
        cx: &mut Context<'_>,
    ) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        stream.half(is_request).ended = Some(time);
        if let Some(over) = stream.over()
            && let Some(stream) = self.streams.remove(&number)
        {
            stream.finish(over, None, cx);
        }
    }

    /// A stream ends at once. One that was answered to its end is whole all the same: the server
    /// needs no more of the request (RFC 9113 section 8.1), or the client has all the content that
    /// it was told of, and does not wait for the frame that says so.
    pub(super) fn fail(
        &mut self,
        number: u32,
        error: ExchangeError,
        time: KernelTime,
        cx: &mut Context<'_>,
    ) {
        if let Some(stream) = self.streams.remove(&number) {
            let is_complete = stream.announced.is_some()
                && stream.announced == stream.response.body
                && stream.call.is_none();
            match stream.response.ended {
                Some(ended) => stream.finish(ended, None, cx),
                None if is_complete => stream.finish(time, None, cx),
                None => stream.finish(time, Some(error), cx),
            }
        }
    }

    /// The client's streams behind `last` end at once, or all do.
    pub(super) fn fail_behind(
        &mut self,
        last: Option<u32>,
        error: ExchangeError,
        time: KernelTime,
        link: &Link,
        cx: &mut Context<'_>,
    ) {
        for number in self.numbers() {
            let is_behind = last.is_none_or(|last| number > last && !number.is_multiple_of(2));
            let is_doubtful = self.streams.get(&number).is_some_and(|stream| {
                last.is_none() && stream.response.doubtful && stream.response.ended.is_none()
            });
            if is_doubtful {
                if let Some(stream) = self.streams.remove(&number) {
                    lose(&stream, Loss::Gap, link, cx);
                }
            } else if is_behind {
                self.fail(number, error, time, cx);
            }
        }
    }

    /// Nothing will become of any stream.
    pub(super) fn lose_all(&mut self, reason: Loss, link: &Link, cx: &mut Context<'_>) {
        for number in self.numbers() {
            if let Some(stream) = self.streams.remove(&number) {
                lose(&stream, reason, link, cx);
            }
        }
    }

    /// Frames in a direction went by unread, `bytes` of them; any stream's may have been among
    /// them.
    pub(super) fn lose_track(&mut self, is_request: Option<bool>, bytes: u64) {
        for stream in self.streams.values_mut() {
            stream.gap_bytes = stream.gap_bytes.saturating_add(bytes);
            for side in [true, false] {
                if is_request.is_some_and(|is_request| is_request != side) {
                    continue;
                }
                let half = stream.half(side);
                if half.ended.is_none() {
                    half.body = None;
                    half.doubtful = true;
                }
                if let Some(call) = &mut stream.call {
                    call.lose_track(side);
                }
            }
        }
    }

    /// In order, so that the same records always give the same activities.
    fn numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.streams.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }
}

fn opened(
    id: ExchangeId,
    connection: Arc<crate::stream::exchange::Connection>,
    position: u64,
    started: KernelTime,
    arrival: &Arrival<'_>,
    request: RequestHead,
) -> Activity {
    Activity::Opened(Box::new(Opened {
        id,
        connection,
        tgid: arrival.tgid,
        tid: arrival.tid,
        position,
        started,
        head_ended: arrival.time,
        request,
    }))
}

fn lose(stream: &Stream, reason: Loss, link: &Link, cx: &mut Context<'_>) {
    cx.out.push(Activity::Lost(stream.id));
    link.count_lost(1, reason, cx);
}
