//! The direction of requests: opens exchanges. Knows nothing of responses but that they wait.

use super::{Http1, ends::is_inside, pipeline::Pending, side::Sync};
use crate::{
    metrics::counters::{Flow, Loss},
    protocol::{
        http::RequestHead,
        http1::{Answering, CutHead, Event, Skipped},
    },
    stream::{
        call::Call,
        exchange::{Activity, Opened},
        link::{Arrival, Context, measurable},
    },
};

impl Http1 {
    pub(super) fn request_data(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let way = arrival.way;
        if arrival.gap > 0 {
            self.request_gap(arrival, cx);
        }
        if self.awaits_tunnel() {
            self.sides[way].lose();
            return;
        }
        let mut anew = false;
        if self.sides[way].sync == Sync::Out {
            if !arrival.starts || arrival.payload.is_empty() || self.rest_turn == Some(arrival.turn)
            {
                self.count_unread(arrival.payload, arrival, cx);
                return;
            }
            self.sides[way].synchronise();
            anew = true;
        }
        if self.is_overfull
            && arrival.starts
            && self.pipeline.is_empty()
            && self.sides[way].reader.is_at_start()
        {
            // What waits next is told from answers to what was not opened by its turn.
            self.is_overfull = false;
            self.sides[1 - way].lose();
        }
        let was_bound = !anew && !self.sides[way].reader.is_at_start();
        let read = match self.sides[way].sync {
            Sync::Turn => {
                self.add_to_newest(arrival.payload.len() as u64 + arrival.uncaptured);
                true
            }
            _ => self.read_requests(arrival, anew, cx),
        };
        if read || was_bound {
            self.account(arrival.turn, anew, cx);
        }
    }

    /// Whether the bytes behind a CONNECT wait for its response to say whose they are.
    fn awaits_tunnel(&mut self) -> bool {
        self.pipeline
            .newest()
            .is_some_and(|newest| newest.answering == Answering::Connect && newest.request_done)
    }

    /// Content of the newest request.
    fn add_to_newest(&mut self, count: u64) {
        let turn = self.link.turn;
        if self.is_unopened {
            return;
        }
        if let Some(newest) = self.pipeline.newest() {
            newest.turn = turn;
            let sum = if newest.request_cut {
                &mut newest.gap_bytes
            } else {
                &mut newest.request_body
            };
            *sum = sum.saturating_add(count);
        }
    }

    /// Reads what was copied; whether any of it was.
    fn read_requests(&mut self, arrival: &Arrival<'_>, anew: bool, cx: &mut Context<'_>) -> bool {
        let mut rest = arrival.payload;
        let mut position = arrival.position;
        let mut read = false;
        loop {
            let reader = &mut self.sides[arrival.way].reader;
            let fresh = reader.is_at_start();
            let in_body = reader.is_in_body();
            let step = self.feed(arrival.way, rest, Answering::Other);
            if fresh && !self.sides[arrival.way].reader.is_at_start() {
                self.started = arrival.time;
            }
            rest = &rest[step.consumed..];
            position = position.wrapping_add(step.consumed as u64);
            if in_body && step.consumed > 0 {
                self.add_to_newest(step.consumed as u64);
            }
            match step.event {
                Event::Request {
                    head,
                    length,
                    expects,
                } => {
                    self.open_exchange(head, length, position, arrival, cx);
                    if let Some(newest) = self.pipeline.newest() {
                        newest.expects = expects && !self.is_unopened;
                    }
                    read = true;
                }
                Event::Complete => self.request_whole(cx),
                Event::Invalid(_) => {
                    let left = rest.len() as u64 + arrival.uncaptured;
                    if in_body {
                        self.doubt = Some(arrival.turn);
                        self.body_invalid(arrival.way, left, cx);
                        return true;
                    }
                    self.request_invalid(read, anew, left, arrival, cx);
                    return read;
                }
                _ => {
                    read |= step.consumed > 0;
                    break;
                }
            }
            if self.sides[arrival.way].sync != Sync::In || self.awaits_tunnel() {
                self.sides[arrival.way].lose();
                return read;
            }
        }
        if arrival.uncaptured == 0 {
            return read;
        }
        let within = read || self.request_turn == Some(arrival.turn);
        self.skip_requests(arrival.uncaptured, within, arrival, cx) || read
    }

    fn open_exchange(
        &mut self,
        head: RequestHead,
        length: usize,
        end: u64,
        arrival: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) {
        self.is_http = true;
        // Behind a gap the earlier request's response may have gone by unseen.
        self.overlaps |= !arrival.lossy
            && self
                .pipeline
                .first()
                .is_some_and(|oldest| oldest.opened < arrival.turn);
        self.is_overfull |= self.pipeline.len() >= cx.limits.pipeline;
        self.is_unopened = self.is_overfull;
        if self.is_overfull {
            self.doubt = Some(arrival.turn);
            self.link.count_lost(1, Loss::PipelineFull, cx);
            return;
        }
        let Some(connection) = self.link.identity.announce(cx.out) else {
            return;
        };
        let position = self.link.request_position(arrival.way, end, length as u64);
        let id = cx.next_id();
        let mut pending = Pending::new(Some(id), Answering::to(&head), arrival.turn);
        pending.call = Call::begin(&head);
        self.pipeline.push(pending);
        cx.out.push(Activity::Opened(Box::new(Opened {
            id,
            connection,
            tgid: arrival.tgid,
            tid: arrival.tid,
            position,
            started: self.started,
            head_ended: arrival.time,
            request: head,
        })));
    }

    /// The newest request's body cannot be followed. It is open all the same, and will be answered.
    fn body_invalid(&mut self, way: usize, left: u64, cx: &mut Context<'_>) {
        self.sides[way].lose();
        self.lose_content(way);
        cx.counters.add(Flow::BytesGap, left);
        self.lose_measure();
        self.request_whole(cx);
    }

    fn request_invalid(
        &mut self,
        read: bool,
        anew: bool,
        left: u64,
        arrival: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) {
        let way = arrival.way;
        self.sides[way].lose();
        self.doubt = Some(arrival.turn);
        if !self.is_http {
            if arrival.starts {
                self.bad_turn(arrival);
            }
            return;
        }
        cx.counters.add(Flow::BytesGap, left);
        let first_rest = self.link.identity.is_old && arrival.turn == 1;
        // What is behind a gap may be the rest of a request that it swallowed, and what is in a
        // turn of its own is counted by its turn.
        if !anew && !first_rest {
            self.link.count_lost(1, Loss::Invalid, cx);
            self.request_turn = Some(arrival.turn);
        } else if read {
            self.link.count_lost(1, Loss::Invalid, cx);
        }
    }

    /// Bytes are missing before `arrival`.
    fn request_gap(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let within = self.request_turn == Some(arrival.turn);
        match self.sides[arrival.way].sync {
            Sync::Out => cx.counters.add(Flow::BytesGap, measurable(arrival.gap)),
            Sync::Turn => {
                self.doubt = Some(arrival.turn);
                self.add_to_newest(measurable(arrival.gap));
                cx.counters.add(Flow::BytesGap, measurable(arrival.gap));
                self.lose_measure();
            }
            Sync::In if within => {
                let in_body = self.sides[arrival.way].reader.is_in_body();
                self.skip_requests(arrival.gap, true, arrival, cx);
                if in_body && self.sides[arrival.way].sync == Sync::Turn {
                    cx.counters.add(Flow::BytesGap, measurable(arrival.gap));
                    self.lose_measure();
                }
            }
            Sync::In => self.request_gap_between(arrival, cx),
        }
    }

    /// Other requests may be in bytes that are missing behind the newest one's.
    fn lose_measure(&mut self) {
        if let Some(newest) = self.pipeline.newest()
            && !self.is_unopened
        {
            newest.request_unmeasured = true;
        }
    }

    /// Bytes are missing that may belong to several turns.
    fn request_gap_between(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let reader = &self.sides[arrival.way].reader;
        let in_head = reader.is_in_head();
        let in_body = reader.is_in_body();
        self.is_missing |= self.is_between_requests();
        let skipped = self.skip(arrival.way, arrival.gap);
        if in_body && is_inside(skipped, arrival.gap) {
            if let Some(newest) = self.pipeline.newest() {
                // In which turn these bytes were is not known.
                newest.request_body = newest.request_body.saturating_add(arrival.gap);
            }
            if skipped != Skipped::Within {
                self.request_whole(cx);
            }
            return;
        }
        self.sides[arrival.way].lose();
        self.doubt = Some(arrival.turn);
        cx.counters.add(Flow::BytesGap, measurable(arrival.gap));
        if in_head {
            self.link.count_lost(1, Loss::Gap, cx);
        }
        if in_body {
            match (skipped, self.pipeline.newest()) {
                (Skipped::Complete { consumed }, Some(newest)) => {
                    newest.request_body += consumed;
                    self.is_missing = true;
                }
                (_, Some(newest)) => {
                    newest.request_unmeasured = true;
                    newest.gap_bytes = newest.gap_bytes.saturating_add(measurable(arrival.gap));
                }
                _ => {}
            }
            self.request_whole(cx);
        }
    }

    /// Passes over bytes of this turn that were not copied. `within` when the turn is accounted
    /// for, so that what is lost in it must be counted here. Whether they were content.
    fn skip_requests(
        &mut self,
        mut count: u64,
        within: bool,
        arrival: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) -> bool {
        let way = arrival.way;
        if self.sides[way].reader.is_in_head() {
            self.cut_request(count, arrival, cx);
            return true;
        }
        loop {
            let in_body = self.sides[way].reader.is_in_body();
            match self.skip(way, count) {
                Skipped::Within => {
                    self.add_to_newest(count);
                    return true;
                }
                Skipped::Complete { consumed } => {
                    self.add_to_newest(consumed);
                    self.request_whole(cx);
                    count -= consumed;
                    if count == 0 {
                        return true;
                    }
                }
                Skipped::Lost if in_body => {
                    self.sides[way].sync = Sync::Turn;
                    self.add_to_newest(count);
                    return true;
                }
                Skipped::Lost => {
                    self.sides[way].lose();
                    self.doubt = Some(arrival.turn);
                    cx.counters.add(Flow::BytesGap, measurable(count));
                    if within {
                        self.link.count_lost(1, Loss::Gap, cx);
                    }
                    return false;
                }
            }
        }
    }

    /// The rest of a head was not copied: what is known of it must do.
    fn cut_request(&mut self, count: u64, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let way = arrival.way;
        let end = arrival.position.wrapping_add(arrival.payload.len() as u64);
        cx.counters.add(Flow::BytesGap, measurable(count));
        if let Some(CutHead::Request { head, length }) =
            self.sides[way].reader.cut(Answering::Other)
        {
            self.sides[way].sync = Sync::Turn;
            self.open_exchange(head, length, end, arrival, cx);
            if let Some(newest) = self.pipeline.newest() {
                newest.request_cut = true;
            }
            self.lose_content(way);
            self.add_to_newest(count);
            if self.pipeline.len() > 1 {
                // Others may stand behind it, of a client that is known to do that.
                self.doubt = Some(arrival.turn);
            }
        } else {
            self.doubt = Some(arrival.turn);
            self.sides[way].lose();
            self.link.count_lost(1, Loss::Gap, cx);
            if self.is_overfull || self.pipeline.len() >= cx.limits.pipeline {
                self.is_overfull = true;
                return;
            }
            // Its response must not be taken for another's.
            let mut unknown = Pending::new(None, Answering::Other, arrival.turn);
            unknown.request_done = true;
            self.pipeline.push(unknown);
        }
    }
}
