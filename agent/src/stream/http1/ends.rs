//! How a connection ends, at once or by halves, and what that makes of what is open.

use wirespan_ebpf::records::{CloseRecord, close_how};

use super::{Http1, side::Sync, tail::Ending, turns::LAST_CHUNK_IDLE};
use crate::{
    clock::KernelTime,
    metrics::counters::Loss,
    protocol::http1::Skipped,
    stream::{
        exchange::ExchangeError,
        link::{Arrival, Context, Fate, RECEIVE, SEND, measurable},
    },
};

/// What a closed TCP connection has received can still be read for a while.
const CLOSE_GRACE: u64 = 1_000_000_000;

/// The connection is closed, but not all that it received may have been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    time: KernelTime,
    error: Option<ExchangeError>,
    /// Wait for what is pending, for as long as it takes.
    patient: bool,
    /// Where the requests' direction ended; `None` where that is not known.
    requests_end: Option<u64>,
}

/// What bytes at the end of the direction of requests were that no record told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// None, or content of the last request that was read.
    Inside,
    /// There was a request among them.
    Requests,
    /// Nothing is known of them.
    Unknown,
}

impl Http1 {
    pub(super) fn end_of_stream(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        match self.link.ways() {
            Some((_, RECEIVE)) => {
                self.responses_over(arrival.gap, None, arrival.time, cx);
            }
            Some(_) => {
                self.requests_over(arrival.gap, cx);
            }
            None => {}
        }
        if self.link.identity.is_unix {
            self.peer_left(arrival.time, true);
        }
    }

    /// The peer of a unix socket is gone, or sends no more.
    pub(in crate::stream) fn peer_left(&mut self, time: KernelTime, patient: bool) {
        self.closing.get_or_insert(Closing {
            time,
            error: None,
            patient,
            requests_end: None,
        });
    }

    pub(in crate::stream) fn close(
        &mut self,
        close: &CloseRecord,
        missing: u32,
        cx: &mut Context<'_>,
    ) -> Fate {
        self.link.note_missing(missing);
        self.release(cx);
        // Only sockets that the kernel saw being established have a role and are closed.
        self.recall(close.role, false);
        if close.how == close_how::SEND_SHUT {
            self.send_shut(close, cx);
            Fate::Keep
        } else {
            self.closed(close, cx)
        }
    }

    fn send_shut(&mut self, close: &CloseRecord, cx: &mut Context<'_>) {
        let Some((request, response)) = self.link.ways() else {
            return;
        };
        let gap = self.link.gap(SEND, close.position[SEND]);
        if response == SEND {
            self.responses_over(gap, None, KernelTime(close.time), cx);
        } else if request == SEND {
            self.requests_over(gap, cx);
        }
        if close.turn > self.link.turn {
            // No record of these turns came, but they are accounted for in the end.
            self.turn_over(false, cx);
            self.link.turn = close.turn;
        }
    }

    fn closed(&mut self, close: &CloseRecord, cx: &mut Context<'_>) -> Fate {
        let time = KernelTime(close.time);
        let Some((request, response)) = self.link.ways() else {
            return Fate::Gone;
        };
        let error = ExchangeError::of_number(close.error);
        // What was received before an RST can still be read, and a server that reads a request
        // learns only by its response that nobody waits for it.
        let may_read_requests = request == RECEIVE && error.is_some();
        let closing = Closing {
            time,
            error,
            patient: false,
            requests_end: may_read_requests.then_some(close.position[request]),
        };
        if !may_read_requests {
            let gap = self.link.gap(request, close.position[request]);
            self.count_rest(close.turn, Some(gap), cx);
        }
        let gap = self.link.gap(response, close.position[response]);
        let may_read_responses =
            response == RECEIVE && !self.pipeline.is_empty() && !self.link.unresolved;
        if !may_read_responses {
            self.responses_over(gap, error, time, cx);
        }
        if !may_read_responses && !may_read_requests {
            return Fate::Gone;
        }
        self.link.turn = self.link.turn.max(close.turn);
        self.closing = Some(closing);
        Fate::Keep
    }

    /// No more of any request will come; `gap` bytes of requests were moved since the last record.
    /// What those were.
    pub(super) fn requests_over(&mut self, gap: u64, cx: &mut Context<'_>) -> Rest {
        let Some((request, _)) = self.link.ways() else {
            return Rest::Inside;
        };
        let is_between = self.is_between_requests();
        let side = &mut self.sides[request];
        let sync = side.sync;
        let in_head = side.reader.is_in_head();
        let in_body = side.reader.is_in_body();
        let skipped = self.skip(request, gap);
        let inside = gap == 0 || (in_body && is_inside(skipped, gap));
        self.sides[request].lose();
        if sync == Sync::Out {
            return Rest::Unknown;
        }
        if (in_body || sync == Sync::Turn)
            && let Some(newest) = self.pipeline.newest()
        {
            match skipped {
                Skipped::Within => newest.request_body = newest.request_body.saturating_add(gap),
                Skipped::Complete { consumed } => newest.request_body += consumed,
                Skipped::Lost => {
                    newest.request_unmeasured |= gap > 0;
                    newest.gap_bytes = newest.gap_bytes.saturating_add(measurable(gap));
                }
            }
        }
        if in_head && !inside {
            self.link.count_lost(1, Loss::Gap, cx);
        }
        self.request_whole(cx);
        match skipped {
            _ if inside => Rest::Inside,
            Skipped::Complete { .. } => Rest::Requests,
            _ if is_between => Rest::Requests,
            _ => Rest::Unknown,
        }
    }

    /// No more of any response will come: what is open ends here. `gap` bytes of responses were
    /// moved since the last record.
    pub(super) fn responses_over(
        &mut self,
        gap: u64,
        error: Option<ExchangeError>,
        time: KernelTime,
        cx: &mut Context<'_>,
    ) {
        let Some((_, response)) = self.link.ways() else {
            return;
        };
        let is_mixed = self.sides[response].sync == Sync::Turn && !self.is_alone();
        let lost = (self.link.unresolved && gap > 0) || is_mixed;
        let side = &mut self.sides[response];
        let moved = side.last;
        if gap > 0 {
            side.tail.forget();
        }
        let whole = match self.ending() {
            Some(Ending::Whole) => true,
            Some(Ending::Open) => false,
            Some(Ending::Unknown) => error.is_none(),
            None => {
                let side = &self.sides[response];
                if side.reader.is_until_close() {
                    if gap > 0 {
                        self.lose_content(response);
                    }
                    error.is_none()
                } else {
                    side.sync == Sync::In
                        && side.reader.is_in_body()
                        && matches!(self.skip(response, gap), Skipped::Complete { .. })
                }
            }
        };
        self.sides[response].lose();
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
    pub(in crate::stream) fn process_exited(
        &mut self,
        time: KernelTime,
        cx: &mut Context<'_>,
    ) -> Fate {
        // Of a connection that is closed, nothing more can be read.
        if let Some(closing) = self.closing.filter(|closing| !closing.patient) {
            self.close_now(closing, cx);
        }
        let until_close = self
            .link
            .ways()
            .is_some_and(|(_, response)| self.sides[response].reader.is_until_close());
        if until_close || self.ending().is_some_and(|ending| ending != Ending::Open) {
            // Its exit is what ends the response, or all that is known of its end.
            self.responses_over(0, None, time, cx);
        }
        self.fail_pending(ExchangeError::ProcessExited, time, cx);
        if self.link.identity.is_unix {
            Fate::Gone
        } else {
            Fate::Keep
        }
    }

    /// Whether time alone can change it.
    pub(in crate::stream) fn is_waiting(&self) -> bool {
        self.closing.is_some() || self.silence().is_some()
    }

    /// Time has passed.
    pub(in crate::stream) fn tick(&mut self, now: KernelTime, cx: &mut Context<'_>) -> Fate {
        if self
            .silence()
            .is_some_and(|last| now.since(last) >= LAST_CHUNK_IDLE)
        {
            self.response_turn_over(true, cx);
        }
        let Some(closing) = self.closing else {
            return Fate::Keep;
        };
        let due = now.since(closing.time.max(self.link.last)) >= CLOSE_GRACE;
        if due && !closing.patient {
            self.close_now(closing, cx);
        }
        if self.pipeline.is_empty() && due {
            Fate::Gone
        } else {
            Fate::Keep
        }
    }

    /// All that will ever be read of a closed connection was read.
    fn close_now(&mut self, closing: Closing, cx: &mut Context<'_>) {
        if let (Some(end), Some((request, _))) = (closing.requests_end, self.link.ways()) {
            let position = self.link.lanes[request].position.unwrap_or(end);
            let gap = self.link.gap(request, end.max(position));
            self.count_rest(self.link.turn, Some(gap), cx);
        }
        let time = closing.time.max(self.link.last);
        self.responses_over(0, closing.error, time, cx);
    }

    /// The agent stops.
    pub(in crate::stream) fn stop(&mut self, now: KernelTime, cx: &mut Context<'_>) {
        self.release(cx);
        if self
            .closing
            .is_none_or(|closing| closing.requests_end.is_none())
        {
            self.count_rest(self.link.turn, None, cx);
        }
        if self.ending().is_some_and(|ending| ending != Ending::Open) {
            self.response_turn_over(true, cx);
        }
        match self.closing {
            Some(closing) => self.close_now(closing, cx),
            None => self.fail_pending(ExchangeError::AgentStopped, now, cx),
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
