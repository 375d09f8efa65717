//! The direction of responses: ends exchanges. Knows requests only as what waits for an answer.

use super::{Handover, Http1, side::Sync, unasked::Unasked};
use crate::{
    metrics::counters::{Flow, Loss},
    protocol::http1::{
        Answering, CutHead, Event, Kind, Likeness, MessageReader, ResponseHead, Skipped,
        like_response,
    },
    stream::link::{Arrival, Context, measurable},
};

impl Http1 {
    pub(super) fn response_data(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let way = arrival.way;
        if arrival.gap > 0 {
            self.response_gap(arrival, cx);
        }
        if self.sides[way].sync == Sync::Out {
            if !self.answers_oldest(arrival) {
                self.response_unread(arrival, cx);
                return;
            }
            self.sides[way].synchronise();
            self.unasked = None;
        }
        if self.sides[way].sync == Sync::Turn {
            self.add_to_oldest(arrival.payload.len() as u64 + arrival.uncaptured);
        } else {
            self.read_responses(arrival, cx);
        }
    }

    /// Whether a turn begins that can only answer the oldest request: it follows the turn of that
    /// request, and this client waits for its answers.
    fn answers_oldest(&mut self, arrival: &Arrival<'_>) -> bool {
        arrival.starts
            && !arrival.payload.is_empty()
            && !self.overlaps
            && !self
                .unasked
                .as_ref()
                .is_some_and(|unasked| unasked.is_open())
            && self.pipeline.oldest().is_some_and(|oldest| {
                oldest.turn.checked_add(1) == Some(arrival.turn) && oldest.response.is_none()
            })
    }

    /// Responses go by that belong to no known request, or to one that cannot be told.
    fn response_unread(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        self.judge_response(arrival);
        self.count_unread(arrival.payload, arrival, cx);
        while self
            .pipeline
            .oldest()
            .is_some_and(|oldest| oldest.turn < arrival.turn)
        {
            self.lose_oldest(Loss::Gap, cx);
        }
    }

    /// What a server says without being asked shows whether it speaks HTTP/1.
    fn judge_response(&mut self, arrival: &Arrival<'_>) {
        self.read_unasked(arrival);
        if self.is_http || !arrival.starts || arrival.payload.is_empty() {
            return;
        }
        match like_response(arrival.payload) {
            Likeness::Yes => self.is_http = true,
            Likeness::Partly => {}
            Likeness::No => self.bad_turn(arrival),
        }
    }

    /// Reads what answers no known request, as long as that can be followed.
    fn read_unasked(&mut self, arrival: &Arrival<'_>) {
        let is_open = self
            .unasked
            .as_ref()
            .is_some_and(|unasked| unasked.is_open());
        if arrival.starts && !is_open {
            self.unasked = Some(Box::new(Unasked::new()));
        }
        self.rest_turn = None;
        let unasked = self.unasked.take().filter(|_| arrival.gap == 0);
        if let Some(mut unasked) = unasked
            && unasked.read(arrival.payload, arrival.uncaptured)
        {
            if unasked.is_interim() {
                self.rest_turn = arrival.turn.checked_add(1);
            }
            self.unasked = Some(unasked);
        }
    }

    /// Content of the response to the oldest request.
    fn add_to_oldest(&mut self, count: u64) {
        if let Some(oldest) = self.pipeline.oldest() {
            let sum = if oldest.response_cut {
                &mut oldest.gap_bytes
            } else {
                &mut oldest.response_body
            };
            *sum = sum.saturating_add(count);
        }
    }

    fn read_responses(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let way = arrival.way;
        let mut rest = arrival.payload;
        loop {
            let left = !rest.is_empty() || arrival.uncaptured > 0;
            let Some(answering) = self.unanswered() else {
                if left {
                    self.judge_response(arrival);
                    self.count_unread(rest, arrival, cx);
                    self.sides[way].lose();
                }
                return;
            };
            let in_body = self.sides[way].reader.is_in_body();
            let step = self.feed(way, rest, answering);
            rest = &rest[step.consumed..];
            if in_body {
                self.add_to_oldest(step.consumed as u64);
            }
            match step.event {
                Event::Response(head) => {
                    if !self.response_head(head, rest, arrival, cx) {
                        return;
                    }
                }
                Event::Interim(status) => self.interim(status),
                Event::Complete => self.response_whole(arrival.time, cx),
                Event::HandedOver => {
                    self.hand_over(rest.len(), arrival, cx);
                    return;
                }
                Event::Invalid(_) => {
                    self.sides[way].lose();
                    self.lose_oldest(Loss::Invalid, cx);
                    self.lose_pending(Loss::Gap, cx);
                    return;
                }
                Event::Partial | Event::Request { .. } => break,
            }
        }
        if arrival.uncaptured > 0 {
            self.skip_responses(arrival.uncaptured, arrival, cx);
        }
    }

    /// An interim response belongs to the final one.
    fn interim(&mut self, status: u16) {
        if let Some(oldest) = self.pipeline.oldest()
            && status == 100
        {
            oldest.expects = false;
        }
    }

    /// The head of the final response to the oldest request; whether what follows it can be read.
    fn response_head(
        &mut self,
        head: ResponseHead,
        rest: &[u8],
        arrival: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(oldest) = self.pipeline.oldest() else {
            return true;
        };
        if oldest.id.is_some() {
            oldest.answered(head);
            return true;
        }
        // Whether it has a body depends on the request, which could not be read.
        let side = &mut self.sides[arrival.way];
        let reader = std::mem::replace(&mut side.reader, MessageReader::new(Kind::Response));
        side.lose();
        let mut unasked = Unasked::behind_head(reader);
        if unasked.read(rest, arrival.uncaptured) {
            self.unasked = Some(Box::new(unasked));
        }
        self.lose_pending(Loss::Gap, cx);
        false
    }

    /// What the next response answers.
    fn unanswered(&mut self) -> Option<Answering> {
        self.pipeline
            .oldest()
            .filter(|oldest| oldest.response_ended.is_none())
            .map(|oldest| oldest.answering)
    }

    /// The connection is a tunnel from here on, or speaks another protocol, with the last `rest`
    /// bytes that were copied. A tunnel's exchange ends here: what goes through it is not HTTP's.
    fn hand_over(&mut self, rest: usize, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let requests = &self.sides[1 - arrival.way];
        let requests_in_step = requests.sync == Sync::In && requests.reader.is_at_start();
        if let Some(oldest) = self.pipeline.oldest() {
            oldest.request_done = true;
            let upgrade = oldest.response.as_ref().and_then(|head| head.upgrade);
            if let Some(to) = upgrade
                && let Some(handover) = Handover::new(to, oldest, requests_in_step, rest)
            {
                self.handover = Some(Box::new(handover));
                self.pipeline.pop();
                self.lose_pending(Loss::Invalid, cx);
                return;
            }
        }
        self.response_whole(arrival.time, cx);
        self.lose_pending(Loss::Invalid, cx);
        self.is_over = true;
    }

    /// Passes over bytes that were not copied.
    fn skip_responses(&mut self, mut count: u64, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let way = arrival.way;
        if self.sides[way].reader.is_in_head() {
            self.cut_response(count, way, cx);
            return;
        }
        loop {
            let in_body = self.sides[way].reader.is_in_body();
            match self.skip(way, count) {
                Skipped::Within => {
                    self.add_to_oldest(count);
                    return;
                }
                Skipped::Complete { consumed } => {
                    self.add_to_oldest(consumed);
                    self.response_whole(arrival.time, cx);
                    count -= consumed;
                    if count == 0 {
                        return;
                    }
                }
                Skipped::Lost if in_body => {
                    self.sides[way].sync = Sync::Turn;
                    self.add_to_oldest(count);
                    return;
                }
                Skipped::Lost => {
                    self.sides[way].lose();
                    if !self.pipeline.is_empty() {
                        cx.counters.add(Flow::BytesGap, measurable(count));
                        self.lose_pending(Loss::Gap, cx);
                    }
                    return;
                }
            }
        }
    }

    /// The rest of a head was not copied: its status must do.
    fn cut_response(&mut self, count: u64, way: usize, cx: &mut Context<'_>) {
        let Some(answering) = self.unanswered() else {
            self.sides[way].lose();
            return;
        };
        cx.counters.add(Flow::BytesGap, measurable(count));
        let cut = self.sides[way].reader.cut(answering);
        if let (Some(CutHead::Response(head)), Some(oldest)) = (cut, self.pipeline.oldest()) {
            oldest.answered(head);
            oldest.response_cut = true;
            self.lose_content(way);
            self.sides[way].sync = Sync::Turn;
            self.add_to_oldest(count);
        } else {
            self.sides[way].lose();
            self.lose_oldest(Loss::Gap, cx);
        }
    }

    /// Bytes are missing before `arrival`.
    fn response_gap(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let way = arrival.way;
        let gap = arrival.gap;
        let same_turn = self.link.lanes[way].turn == arrival.turn;
        let reader = &mut self.sides[way].reader;
        let was_body = reader.is_in_body();
        match self.sides[way].sync {
            Sync::Turn if same_turn => {
                self.add_to_oldest(measurable(gap));
                return;
            }
            Sync::In if same_turn && reader.is_in_head() => {
                self.cut_response(gap, way, cx);
                return;
            }
            Sync::In if was_body => match self.skip(way, gap) {
                Skipped::Within => {
                    self.add_to_oldest(gap);
                    return;
                }
                Skipped::Complete { consumed } if consumed == gap && !arrival.lossy => {
                    self.response_passed_by(gap, way, cx);
                    return;
                }
                Skipped::Lost if same_turn => {
                    self.sides[way].sync = Sync::Turn;
                    self.add_to_oldest(measurable(gap));
                    return;
                }
                _ => {}
            },
            _ => {}
        }
        cx.counters.add(Flow::BytesGap, measurable(gap));
        let begun =
            self.sides[way].sync == Sync::In && (was_body || self.sides[way].reader.is_in_head());
        self.sides[way].lose();
        if begun {
            self.lose_oldest(Loss::Gap, cx);
        }
        while self
            .pipeline
            .oldest()
            .is_some_and(|oldest| oldest.turn < arrival.turn.saturating_sub(1))
            || (self.overlaps && !self.pipeline.is_empty())
        {
            self.lose_oldest(Loss::Gap, cx);
        }
    }

    /// No hook saw the rest of a body whose length is known (a splice, say): the last that was
    /// seen of the response is its end.
    fn response_passed_by(&mut self, count: u64, way: usize, cx: &mut Context<'_>) {
        self.add_to_oldest(count);
        if let Some(oldest) = self.pipeline.oldest() {
            oldest.gap_bytes = oldest.gap_bytes.saturating_add(count);
        }
        let last = self.sides[way].last;
        self.response_whole(last, cx);
    }
}
