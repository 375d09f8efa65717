//! What came of each request of a connection: whole, failed, or lost and counted. Knows no bytes.

use super::{Http1, ends::Rest, pipeline::Pending, side::Sync};
use crate::{
    clock::KernelTime,
    metrics::counters::{Flow, Loss},
    stream::{
        exchange::{Activity, ExchangeError, Finished, Response},
        link::{Arrival, Context},
    },
};

impl Http1 {
    /// Requests up to turn `turns` of which no reader saw anything. `gap` bytes of requests were
    /// moved since the last record; `None` where that is not known.
    pub(super) fn count_rest(&mut self, turns: u32, gap: Option<u64>, cx: &mut Context<'_>) {
        // Nothing was ever read, and records are missing: for all that is known these were
        // requests. A connection that was judged not to be HTTP is not here any more.
        let unread = self.link.has_losses && self.bad_turns == 0 && !self.link.identity.is_old;
        if self.link.identity.role.is_none() || (!self.is_http && !unread) {
            return;
        }
        let parity = self.parity.unwrap_or(1);
        let newest = turns.saturating_sub(u32::from(turns % 2 != parity));
        let count = (i64::from(newest) - self.accounted(parity)) / 2;
        // A turn of requests went by of which there is no record, or what answers a request whose
        // head was not read to its end: bytes are missing.
        let in_head = self
            .link
            .ways()
            .is_some_and(|(request, _)| self.sides[request].reader.is_in_head());
        let answered = in_head && self.request_turn.is_some_and(|turn| turn < turns);
        let unseen = if self.link.has_losses && (count > 0 || answered) {
            u64::MAX
        } else {
            0
        };
        let rest = self.requests_over(gap.unwrap_or(unseen), cx);
        if rest == Rest::Inside {
            return;
        }
        // In a turn that is accounted for, what is missing was at least one request; but a single
        // byte may be the peer's FIN (see `Link::gap`), and no request is so short.
        let least = i64::from(rest == Rest::Requests && gap.is_some_and(|gap| gap > 1));
        self.link
            .count_lost(u64::try_from(count.max(least)).unwrap_or(0), Loss::Gap, cx);
        self.request_turn = Some(newest);
    }

    /// Bytes behind a loss go by, up to the next message that can be proven.
    pub(super) fn count_unread(&self, copied: &[u8], arrival: &Arrival<'_>, cx: &Context<'_>) {
        if self.is_http && self.link.has_losses {
            let unread = copied.len() as u64 + arrival.uncaptured;
            cx.counters.add(Flow::BytesGap, unread);
        }
    }

    /// Whether the next byte of a request is known to be the first of the next one.
    pub(super) fn is_between_requests(&self) -> bool {
        self.link.ways().is_some_and(|(request, _)| {
            let side = &self.sides[request];
            side.sync == Sync::In && side.reader.is_at_start() && self.is_http
        })
    }

    /// The last turn of requests that is accounted for, or the number that the one before the
    /// first would have.
    pub(super) fn accounted(&self, parity: u32) -> i64 {
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
            let lost = lost.max(i64::from(self.is_missing));
            self.is_missing = false;
            self.link
                .count_lost(u64::try_from(lost).unwrap_or(0), Loss::Gap, cx);
        }
        self.request_turn = Some(turn);
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
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        while let Some(Pending {
            request_done: true,
            response_ended: Some(time),
            ..
        }) = self.pipeline.oldest()
        {
            let time = *time;
            if let Some(pending) = self.pipeline.pop() {
                finish(pending, time, None, cx);
            }
        }
    }

    pub(super) fn fail_pending(
        &mut self,
        error: ExchangeError,
        time: KernelTime,
        cx: &mut Context<'_>,
    ) {
        while let Some(pending) = self.pipeline.pop() {
            match pending.response_ended {
                Some(ended) => finish(pending, ended, None, cx),
                None => finish(pending, time, Some(error), cx),
            }
        }
    }

    pub(super) fn lose_oldest(&mut self, reason: Loss, cx: &mut Context<'_>) {
        if let Some(Pending { id: Some(id), .. }) = self.pipeline.pop() {
            cx.out.push(Activity::Lost(id));
            self.link.count_lost(1, reason, cx);
        }
    }

    pub(in crate::stream) fn lose_pending(&mut self, reason: Loss, cx: &mut Context<'_>) {
        while !self.pipeline.is_empty() {
            self.lose_oldest(reason, cx);
        }
    }
}

fn finish(
    mut pending: Pending,
    ended: KernelTime,
    error: Option<ExchangeError>,
    cx: &mut Context<'_>,
) {
    let Some(id) = pending.id else {
        return;
    };
    let session = pending.session(error.is_none());
    cx.out.push(Activity::Finished(Finished {
        id,
        response: pending.response.as_ref().map(|head| Response {
            status: Some(head.status),
        }),
        request_body: (!pending.request_unmeasured).then_some(pending.request_body),
        response_body: Some(pending.response_body),
        ended,
        error,
        truncated: pending.request_cut || pending.response_cut,
        gap_bytes: pending.gap_bytes,
        session,
    }));
}
