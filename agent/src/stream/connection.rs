//! One connection: what its records say, in order. Knows neither the table it stands in nor that
//! records can come late; `requests` and `responses` read its two directions.

use wirespan_ebpf::records::{
    CloseRecord, DataRecord, OpenRecord, close_how, data_flags, direction,
};

use super::{
    exchange::{Activity, ExchangeError, ExchangeId, Finished, Role},
    identity::Identity,
    pipeline::{Pending, Pipeline},
    requests::measurable,
    side::{Side, Sync},
    table::Limits,
};
use crate::{
    clock::KernelTime,
    metrics::counters::{Counters, Flow, Loss},
    protocol::http1::{Kind, Likeness, MessageReader, Skipped, like_request, like_response},
};

const SEND: usize = direction::SEND as usize;
const RECEIVE: usize = direction::RECEIVE as usize;

/// Turns that do not begin like HTTP before a connection is given up: seen from its start, and
/// seen from its middle, where the first turns may be the rest of a long message.
const BAD_TURNS_NEW: u8 = 1;
const BAD_TURNS_OLD: u8 = 4;

/// A response whose end cannot be told from its bytes is over when its turn was silent for this
/// long. A response that pauses longer is cut there, so it is not short.
const TURN_IDLE: u64 = 5_000_000_000;

/// The same when the agent stops.
const TURN_IDLE_AT_STOP: u64 = 1_000_000_000;

/// What a closed TCP connection has received can still be read for a while.
const CLOSE_GRACE: u64 = 1_000_000_000;

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
    /// Whether its first byte is surely the first of its turn.
    pub(super) starts: bool,
    /// Bytes of this direction that are missing before it.
    pub(super) gap: u64,
    /// Whether records were lost since this direction's last one; else a gap's bytes were moved
    /// by a call that no hook sees.
    pub(super) lossy: bool,
}

/// The connection is closed, but not all that it received may have been read.
#[derive(Clone, Copy, Debug)]
struct Closing {
    time: KernelTime,
    error: Option<ExchangeError>,
    /// Wait for what is pending, for as long as it takes.
    patient: bool,
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
    parity: Option<u32>,
    /// The first turn seen was the rest of a message of before the agent saw the connection.
    first_is_rest: bool,
    opened: bool,
    /// An HTTP/1 head was read.
    pub(super) is_http: bool,
    /// The client sends requests before it has the responses to earlier ones.
    pub(super) is_pipelined: bool,
    /// Records were lost at any time.
    has_losses: bool,
    /// Records are missing since the last one in the direction of responses.
    unresolved: bool,
    pub(super) handed_over: bool,
    pub(super) bad_turns: u8,
    /// Process that used it last.
    pub(super) tgid: u32,
    /// When the request that is being read began.
    pub(super) started: KernelTime,
    pub(super) last: KernelTime,
    closing: Option<Closing>,
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

    pub(super) fn open(&mut self, open: &OpenRecord, cx: &mut Context<'_>) {
        self.opened = true;
        self.last = KernelTime(open.time);
        self.identity.open(open);
        if !self.identity.is_old {
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
            self.sides[arrival.way].last = arrival.time;
        }
        self.sides[arrival.way].position = Some(data.position.wrapping_add(data.length.into()));
        self.sides[arrival.way].turn = data.turn;
        self.fate()
    }

    fn arrival<'a>(&mut self, data: &DataRecord, payload: &'a [u8], missing: u32) -> Arrival<'a> {
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
            starts,
            gap,
            lossy: self.unresolved,
        }
    }

    fn note_missing(&mut self, missing: u32) {
        self.unresolved |= missing > 0;
        self.has_losses |= missing > 0;
    }

    /// Bytes missing before a position. A receive that also finds the peer's FIN makes TCP count
    /// one more, which is no byte (`tcp_recvmsg_locked`, all kernels).
    /// Where records were lost, the one may be a byte.
    fn gap(&self, way: usize, position: u64) -> u64 {
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
    fn turn_over(&mut self, certain: bool, cx: &mut Context<'_>) {
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

    fn end_of_stream(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        match self.ways() {
            Some((_, RECEIVE)) => {
                self.responses_over(arrival.gap, None, arrival.time, cx);
            }
            Some(_) => {
                self.requests_over(arrival.gap, cx);
            }
            None => {}
        }
        if self.identity.is_unix {
            self.peer_left(arrival.time, true);
        }
    }

    /// The peer of a unix socket is gone, or sends no more.
    pub(super) fn peer_left(&mut self, time: KernelTime, patient: bool) {
        self.closing.get_or_insert(Closing {
            time,
            error: None,
            patient,
        });
    }

    pub(super) fn close(
        &mut self,
        close: &CloseRecord,
        missing: u32,
        cx: &mut Context<'_>,
    ) -> Fate {
        let time = KernelTime(close.time);
        self.note_missing(missing);
        if close.how == close_how::SEND_SHUT {
            match self.ways() {
                Some((_, SEND)) => {
                    let gap = self.gap(SEND, close.position[SEND]);
                    self.responses_over(gap, None, time, cx);
                }
                Some((request, _)) => {
                    let gap = self.gap(request, close.position[request]);
                    self.requests_over(gap, cx);
                }
                None => {}
            }
            return Fate::Keep;
        }
        let Some((request, response)) = self.ways() else {
            return Fate::Gone;
        };
        let gap = self.gap(request, close.position[request]);
        self.count_rest(close.turn, gap, cx);
        let error = error_of(close.error);
        let gap = self.gap(response, close.position[response]);
        if response == RECEIVE && !self.pipeline.is_empty() && !self.unresolved {
            self.closing = Some(Closing {
                time,
                error,
                patient: false,
            });
            return Fate::Keep;
        }
        self.responses_over(gap, error, time, cx);
        Fate::Gone
    }

    /// No more of any request will come; `gap` bytes of requests were moved since the last record.
    /// Whether they all are accounted for.
    fn requests_over(&mut self, gap: u64, cx: &mut Context<'_>) -> bool {
        let Some((request, _)) = self.ways() else {
            return true;
        };
        let side = &mut self.sides[request];
        let sync = side.sync;
        let in_head = side.reader.is_in_head();
        let in_body = side.reader.is_in_body();
        let skipped = side.reader.skip(gap);
        let inside = gap == 0 || (in_body && is_inside(skipped, gap));
        side.lose();
        if sync == Sync::Out {
            return false;
        }
        if (in_body || sync == Sync::Turn)
            && let Some(newest) = self.pipeline.newest()
        {
            match skipped {
                Skipped::Within => newest.request_body = newest.request_body.saturating_add(gap),
                Skipped::Complete { consumed } => newest.request_body += consumed,
                Skipped::Lost => {
                    newest.gap_bytes = newest.gap_bytes.saturating_add(measurable(gap));
                }
            }
        }
        if in_head && !inside {
            self.count_lost(1, Loss::Gap, cx);
        }
        self.request_whole(cx);
        inside
    }

    /// No more of any response will come: what is open ends here. `gap` bytes of responses were
    /// moved since the last record.
    fn responses_over(
        &mut self,
        gap: u64,
        error: Option<ExchangeError>,
        time: KernelTime,
        cx: &mut Context<'_>,
    ) {
        let Some((_, response)) = self.ways() else {
            return;
        };
        let lost = self.unresolved && gap > 0;
        let side = &mut self.sides[response];
        let moved = side.last;
        let by_end = side.sync == Sync::Turn || side.reader.is_until_close();
        let whole = if by_end {
            error.is_none()
        } else {
            side.sync == Sync::In
                && side.reader.is_in_body()
                && matches!(side.reader.skip(gap), Skipped::Complete { .. })
        };
        side.lose();
        if !lost && whole {
            if let Some(oldest) = self.pipeline.oldest() {
                oldest.request_done = true;
                oldest.response_body = oldest.response_body.saturating_add(gap);
                oldest.gap_bytes = oldest.gap_bytes.saturating_add(gap);
            }
            self.response_whole(moved, cx);
        }
        if lost {
            self.lose_pending(Loss::Gap, cx);
        } else {
            self.fail_pending(error.unwrap_or(ExchangeError::Closed), time, cx);
        }
    }

    /// The process that used the connection last is gone.
    pub(super) fn process_exited(&mut self, time: KernelTime, cx: &mut Context<'_>) -> Fate {
        let until_close = self
            .ways()
            .is_some_and(|(_, response)| self.sides[response].reader.is_until_close());
        if until_close {
            // Its exit is what ends the response.
            self.responses_over(0, None, time, cx);
        }
        self.fail_pending(ExchangeError::ProcessExited, time, cx);
        if self.identity.is_unix {
            Fate::Gone
        } else {
            Fate::Keep
        }
    }

    /// Whether time alone can change it.
    pub(super) fn is_waiting(&self) -> bool {
        self.closing.is_some() || self.in_turn().is_some()
    }

    /// When the last bytes of a response moved whose end only the turn's end tells.
    fn in_turn(&self) -> Option<KernelTime> {
        let (_, response) = self.ways()?;
        let side = &self.sides[response];
        (side.sync == Sync::Turn).then_some(side.last)
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: KernelTime, cx: &mut Context<'_>) -> Fate {
        if self
            .in_turn()
            .is_some_and(|last| now.since(last) >= TURN_IDLE)
        {
            self.turn_over(true, cx);
        }
        let Some(closing) = self.closing else {
            return Fate::Keep;
        };
        let due = now.since(closing.time.max(self.last)) >= CLOSE_GRACE;
        if due && !closing.patient {
            self.responses_over(0, closing.error, closing.time, cx);
        }
        if self.pipeline.is_empty() && due {
            Fate::Gone
        } else {
            Fate::Keep
        }
    }

    /// The agent stops.
    pub(super) fn stop(&mut self, now: KernelTime, cx: &mut Context<'_>) {
        self.count_rest(self.turn, 0, cx);
        let idle = |last| now.since(last) >= TURN_IDLE_AT_STOP;
        if self.in_turn().is_some_and(idle) {
            self.turn_over(true, cx);
        }
        match self.closing {
            Some(closing) => self.responses_over(0, closing.error, closing.time, cx),
            None => self.fail_pending(ExchangeError::AgentStopped, now, cx),
        }
    }

    /// Requests up to turn `turns` of which no reader saw anything. `gap` bytes of requests were
    /// moved since the last record.
    fn count_rest(&mut self, turns: u32, gap: u64, cx: &mut Context<'_>) {
        // Nothing was ever read, and records are missing: for all that is known these were
        // requests. A connection that was judged not to be HTTP is not here any more.
        let unread = self.has_losses && self.bad_turns == 0 && !self.identity.is_old;
        if self.identity.role.is_none() || (!self.is_http && !unread) {
            return;
        }
        if self.requests_over(gap, cx) {
            return;
        }
        let parity = self.parity.unwrap_or(1);
        let newest = turns.saturating_sub(u32::from(turns % 2 != parity));
        let count = (i64::from(newest) - self.accounted(parity)) / 2;
        self.count_lost(u64::try_from(count).unwrap_or(0), Loss::Gap, cx);
        self.request_turn = Some(newest);
    }

    /// The last turn of requests that is accounted for, or the number that the one before the
    /// first would have.
    fn accounted(&self, parity: u32) -> i64 {
        match (self.request_turn, parity) {
            (Some(turn), _) => turn.into(),
            (None, 1) if self.first_is_rest => 1,
            (None, 1) => -1,
            (None, _) => 0,
        }
    }

    /// Turn `turn` of requests was read; those since the last one were not, if the reader had to
    /// start anew. Otherwise they held nothing or parts of the same request.
    pub(super) fn account(&mut self, turn: u32, anew: bool, cx: &mut Context<'_>) {
        if anew {
            let lost = (i64::from(turn) - self.accounted(turn % 2)) / 2 - 1;
            self.count_lost(u64::try_from(lost).unwrap_or(0), Loss::Gap, cx);
        }
        self.request_turn = Some(turn);
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

    /// The newest request is whole.
    pub(super) fn request_whole(&mut self, cx: &mut Context<'_>) {
        if let Some(newest) = self.pipeline.newest() {
            newest.request_done = true;
        }
        self.settle(cx);
    }

    /// The oldest request's response is whole.
    pub(super) fn response_whole(&mut self, time: KernelTime, cx: &mut Context<'_>) {
        if let Some(oldest) = self.pipeline.oldest() {
            oldest.response_ended = Some(time);
        }
        self.settle(cx);
    }

    /// Ends the exchanges that are whole. A response may come before its request is.
    fn settle(&mut self, cx: &mut Context<'_>) {
        while let Some(Pending {
            request_done: true,
            response_ended: Some(time),
            ..
        }) = self.pipeline.oldest()
        {
            let time = *time;
            if let Some(pending) = self.pipeline.pop() {
                finish(&pending, time, None, cx);
            }
        }
    }

    fn fail_pending(&mut self, error: ExchangeError, time: KernelTime, cx: &mut Context<'_>) {
        while let Some(pending) = self.pipeline.pop() {
            match pending.response_ended {
                Some(ended) => finish(&pending, ended, None, cx),
                None => finish(&pending, time, Some(error), cx),
            }
        }
    }

    pub(super) fn lose_oldest(&mut self, reason: Loss, cx: &mut Context<'_>) {
        if let Some(Pending { id: Some(id), .. }) = self.pipeline.pop() {
            cx.out.push(Activity::Lost(id));
            self.count_lost(1, reason, cx);
        }
    }

    pub(super) fn lose_pending(&mut self, reason: Loss, cx: &mut Context<'_>) {
        while !self.pipeline.is_empty() {
            self.lose_oldest(reason, cx);
        }
    }
}

/// Whether bytes that were passed over belonged to the message that was being read, all of them.
pub(super) fn is_inside(skipped: Skipped, count: u64) -> bool {
    match skipped {
        Skipped::Within => true,
        Skipped::Complete { consumed } => consumed == count,
        Skipped::Lost => false,
    }
}

fn ways(role: Role) -> (usize, usize) {
    match role {
        Role::Client => (SEND, RECEIVE),
        Role::Server => (RECEIVE, SEND),
    }
}

/// Numbers of errors are those of every architecture Linux has but alpha, mips, parisc and sparc.
fn error_of(number: u32) -> Option<ExchangeError> {
    const EPIPE: u32 = 32;
    const ECONNRESET: u32 = 104;
    const ETIMEDOUT: u32 = 110;
    match number {
        0 => None,
        EPIPE | ECONNRESET => Some(ExchangeError::Reset),
        ETIMEDOUT => Some(ExchangeError::TimedOut),
        _ => Some(ExchangeError::Closed),
    }
}

fn finish(
    pending: &Pending,
    ended: KernelTime,
    error: Option<ExchangeError>,
    cx: &mut Context<'_>,
) {
    let Some(id) = pending.id else {
        return;
    };
    cx.out.push(Activity::Finished(Box::new(Finished {
        id,
        response: pending.response,
        request_body: pending.request_body,
        response_body: pending.response_body,
        ended,
        error,
        truncated: pending.request_cut || pending.response_cut,
        gap_bytes: pending.gap_bytes,
    })));
}

/// The next exchange's number.
pub(super) fn next_id(cx: &mut Context<'_>) -> ExchangeId {
    *cx.exchanges += 1;
    ExchangeId(*cx.exchanges)
}
