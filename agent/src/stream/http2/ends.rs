//! How streams and the connection end, by frames or by TCP. Knows no bytes.

use wirespan_ebpf::records::{CloseRecord, close_how};

use super::Http2;
use crate::{
    clock::KernelTime,
    metrics::counters::{Flow, Loss},
    stream::{
        exchange::{ExchangeError, Role},
        link::{Arrival, Context, Fate, RECEIVE, SEND, measurable},
    },
};

/// What a closed TCP connection has received can still be read for a while.
const CLOSE_GRACE: u64 = 1_000_000_000;

/// The connection is closed, but not all that it received may have been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    time: KernelTime,
    error: ExchangeError,
    /// Wait for what is pending, for as long as it takes.
    patient: bool,
}

impl Http2 {
    /// A stream is reset.
    pub(super) fn reset(
        &mut self,
        way: usize,
        stream: u32,
        code: Option<u32>,
        arrival: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) {
        let by = match self.is_request(way) {
            Some(true) => Role::Client,
            Some(false) => Role::Server,
            None => return,
        };
        let error = ExchangeError::StreamReset { code, by };
        self.exchanges.fail(stream, error, arrival.time, cx);
    }

    /// The server will not act on streams behind `last`.
    pub(super) fn go_away(
        &mut self,
        way: usize,
        last: u32,
        code: u32,
        arrival: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) {
        if self.is_request(way) == Some(false) {
            let error = ExchangeError::GoneAway { code };
            let time = arrival.time;
            self.exchanges
                .fail_behind(Some(last), error, time, &self.link, cx);
        }
    }

    /// The peer sends no more.
    pub(super) fn end_of_stream(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        if self.is_request(arrival.way) == Some(false) {
            self.fail_all(ExchangeError::Closed, arrival.time, cx);
        }
        if self.link.identity.is_unix {
            self.left(arrival.time, true);
        }
    }

    fn fail_all(&mut self, error: ExchangeError, time: KernelTime, cx: &mut Context<'_>) {
        self.exchanges
            .fail_behind(None, error, time, &self.link, cx);
    }

    fn left(&mut self, time: KernelTime, patient: bool) {
        self.closing.get_or_insert(Closing {
            time,
            error: ExchangeError::Closed,
            patient,
        });
    }

    /// The peer of a unix socket is gone, or sends no more.
    pub(in crate::stream) fn peer_left(&mut self, time: KernelTime) {
        self.left(time, false);
    }

    pub(in crate::stream) fn close(
        &mut self,
        close: &CloseRecord,
        missing: u32,
        cx: &mut Context<'_>,
    ) -> Fate {
        self.link.note_missing(missing);
        self.link.recall(close.role, false);
        let time = KernelTime(close.time);
        for way in [SEND, RECEIVE] {
            let gap = self.link.gap(way, close.position[way]);
            if gap > 0 {
                self.lose_track(way, gap, cx);
                self.link.lanes[way].position = Some(close.position[way]);
            }
        }
        if close.how == close_how::SEND_SHUT {
            if self.is_request(SEND) == Some(false) {
                self.fail_all(ExchangeError::Closed, time, cx);
            }
            return Fate::Keep;
        }
        let error = ExchangeError::of_number(close.error);
        // What was received may still be read.
        let may_read = match self.is_request(RECEIVE) {
            Some(false) => !self.exchanges.is_empty(),
            Some(true) => error.is_some(),
            None => false,
        };
        let error = error.unwrap_or(ExchangeError::Closed);
        if !may_read {
            self.fail_all(error, time, cx);
            return Fate::Gone;
        }
        self.closing = Some(Closing {
            time,
            error,
            patient: false,
        });
        Fate::Keep
    }

    /// Bytes of a direction went by unread.
    pub(super) fn lose_track(&mut self, way: usize, bytes: u64, cx: &mut Context<'_>) {
        cx.counters.add(Flow::BytesGap, measurable(bytes));
        self.sides[way].unseen = true;
        // SETTINGS may have been among them, and allow the other side longer frames.
        self.sides[1 - way].reader.allow_frame_size(u32::MAX);
        let is_request = self.is_request(way);
        self.exchanges.lose_track(is_request, measurable(bytes));
    }

    /// The process that used the connection last is gone.
    pub(in crate::stream) fn process_exited(
        &mut self,
        time: KernelTime,
        cx: &mut Context<'_>,
    ) -> Fate {
        // Of a connection that is closed, nothing more can be read.
        let (error, time) = match self.closing {
            Some(closing) => (closing.error, closing.time),
            None => (ExchangeError::ProcessExited, time),
        };
        self.fail_all(error, time, cx);
        if self.link.identity.is_unix {
            Fate::Gone
        } else {
            Fate::Keep
        }
    }

    /// Whether time alone can change it.
    pub(in crate::stream) fn is_waiting(&self) -> bool {
        self.closing.is_some()
    }

    /// Time has passed.
    pub(in crate::stream) fn tick(&mut self, now: KernelTime, cx: &mut Context<'_>) -> Fate {
        let Some(closing) = self.closing else {
            return Fate::Keep;
        };
        let since = closing.time.max(self.link.last);
        let due = now.since(since) >= CLOSE_GRACE;
        if due && !closing.patient {
            self.fail_all(closing.error, since, cx);
        }
        if due && self.exchanges.is_empty() {
            Fate::Gone
        } else {
            Fate::Keep
        }
    }

    /// Whether no exchange is open.
    pub(in crate::stream) fn is_idle(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Exchanges that are open make no spans.
    pub(in crate::stream) fn lose_open(&mut self, reason: Loss, cx: &mut Context<'_>) {
        self.exchanges.lose_all(reason, &self.link, cx);
    }

    /// The agent stops.
    pub(in crate::stream) fn stop(&mut self, now: KernelTime, cx: &mut Context<'_>) {
        match self.closing {
            Some(closing) => self.fail_all(closing.error, closing.time.max(self.link.last), cx),
            None => self.fail_all(ExchangeError::AgentStopped, now, cx),
        }
    }
}
