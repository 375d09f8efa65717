//! The exporter's loop: batch, send, retry, split, settle. One request is in flight at a time, as
//! the specification's batch processor has it; what comes meanwhile waits in the bounded queue.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{sleep_until, timeout_at};

use super::{
    answer::Answer,
    backoff::Backoff,
    settings::OtlpSettings,
    transport::Transport,
};
use crate::{
    export::{
        queue::{Outcome, Queue},
        report::Report,
    },
    span::model::Span,
};

/// How often a batch is halved at most because the back end finds it too large.
const MAX_SPLITS: u32 = 8;
const MEND: &str = "check the endpoint and the back end";

/// One exporter.
#[derive(Debug)]
pub(super) struct Worker {
    queue: Arc<Queue>,
    transport: Transport,
    settings: OtlpSettings,
    report: Report,
    /// No request before this moment.
    pause: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    /// The back end asked for it, so that not even a shutdown cuts it short.
    asked: bool,
}

/// A batch or a part of one.
#[derive(Debug)]
struct Piece {
    spans: Vec<Arc<Span>>,
    splits: u32,
}

/// What became of a piece.
enum Step {
    /// Settled.
    Done,
    /// To be sent in halves.
    Split(Piece),
    /// No time is left, for this piece and those after it.
    Over(Piece, Outcome),
}

impl Worker {
    pub(super) fn new(queue: Arc<Queue>, transport: Transport, settings: OtlpSettings) -> Self {
        let report = Report::new(transport.destination());
        Self {
            queue,
            transport,
            settings,
            report,
            pause: None,
        }
    }

    /// Runs until the queue is closed and empty, or its deadline is over.
    pub(super) async fn run(mut self) {
        let batch = self.settings.batch;
        loop {
            let deadline = self.next_batch().await;
            let spans = self.queue.take(batch.max_export_batch_size);
            if deadline.is_some_and(|at| at <= Instant::now()) {
                self.queue.settle(Outcome::TimedOut, spans.len());
                return;
            }
            if spans.is_empty() {
                return;
            }
            self.export(spans).await;
        }
    }

    /// Waits for a full batch, or for the schedule's delay and at least one span, or for the
    /// shutdown, whose deadline it returns.
    async fn next_batch(&self) -> Option<Instant> {
        let delay = self.settings.batch.schedule_delay;
        let mut due = Instant::now() + delay;
        loop {
            let level = self.queue.level();
            if level.deadline.is_some() {
                return level.deadline;
            }
            let now = Instant::now();
            if level.waiting >= self.settings.batch.max_export_batch_size
                || (level.waiting > 0 && now >= due)
            {
                return None;
            }
            if now >= due {
                due = now + delay.max(Duration::from_millis(10));
            }
            tokio::select! {
                () = self.queue.notified() => {}
                () = sleep_until(due.into()) => {}
            }
        }
    }

    /// Sends a batch, whole or in parts; settles all its spans.
    async fn export(&mut self, spans: Vec<Arc<Span>>) {
        let limit = self.settings.batch.export_timeout;
        let give_up = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut pieces = VecDeque::from([Piece { spans, splits: 0 }]);
        let mut backoff = Backoff::new();
        while let Some(piece) = pieces.pop_front() {
            match self.export_piece(piece, give_up, &mut backoff).await {
                Step::Done => {}
                Step::Split(mut piece) => {
                    let second = piece.spans.split_off(piece.spans.len() / 2);
                    let splits = piece.splits;
                    pieces.push_front(Piece {
                        spans: second,
                        splits,
                    });
                    pieces.push_front(piece);
                }
                Step::Over(piece, outcome) => {
                    let rest = pieces.iter().map(|piece| piece.spans.len()).sum::<usize>();
                    let lost = piece.spans.len() + rest;
                    self.report.failing(lost, "no time is left for another try", MEND);
                    self.queue.settle(outcome, lost);
                    return;
                }
            }
        }
    }

    async fn export_piece(
        &mut self,
        mut piece: Piece,
        give_up: Option<Instant>,
        backoff: &mut Backoff,
    ) -> Step {
        let Some(body) = self.transport.encode(&piece.spans) else {
            if piece.spans.len() > 1 {
                return Step::Split(piece);
            }
            self.give_up_on(&piece, "a single span is larger than a request may be");
            return Step::Done;
        };
        loop {
            let limit = match self.wait_turn(give_up).await {
                Ok(limit) => limit,
                Err(outcome) => return Step::Over(piece, outcome),
            };
            let answer = self.attempt(body.clone(), limit).await;
            let splittable = piece.spans.len() > 1 && piece.splits < MAX_SPLITS;
            match answer {
                Answer::Accepted { rejected, message } => {
                    self.accept(piece.spans.len(), rejected, &message);
                    backoff.reset();
                    return Step::Done;
                }
                Answer::Refused { reason } => {
                    self.give_up_on(&piece, &reason);
                    return Step::Done;
                }
                Answer::TooLarge { reason } if !splittable => {
                    self.give_up_on(&piece, &reason);
                    return Step::Done;
                }
                Answer::TooLarge { reason } => {
                    self.report.failing(0, reason, "it is sent in smaller parts");
                    piece.splits += 1;
                    return Step::Split(piece);
                }
                Answer::Reset { reason } => {
                    self.report.failing(0, reason, MEND);
                    self.pause_for(backoff.next(), false);
                    if splittable {
                        piece.splits += 1;
                        return Step::Split(piece);
                    }
                }
                Answer::Retry { reason, after } => {
                    self.report.failing(0, reason, MEND);
                    let wait = backoff.next();
                    self.pause_for(after.unwrap_or(wait), after.is_some());
                }
            }
        }
    }

    /// One request within its time limit.
    async fn attempt(&self, body: bytes::Bytes, limit: Option<Instant>) -> Answer {
        let send = self.transport.send(body);
        match limit {
            None => send.await,
            Some(limit) => timeout_at(limit.into(), send)
                .await
                .unwrap_or_else(|_| Answer::Retry {
                    reason: "it did not answer in time".to_owned(),
                    after: None,
                }),
        }
    }

    /// Waits until a request may be sent, and returns the moment at which it must be over.
    async fn wait_turn(&mut self, give_up: Option<Instant>) -> Result<Option<Instant>, Outcome> {
        loop {
            let now = Instant::now();
            let deadline = self.queue.level().deadline;
            if deadline.is_some_and(|at| at <= now) {
                return Err(Outcome::TimedOut);
            }
            if give_up.is_some_and(|at| at <= now) {
                return Err(Outcome::Failed);
            }
            let Some(pause) = self.pause.filter(|pause| pause.until > now) else {
                self.pause = None;
                let timeout = self.settings.timeout.and_then(|limit| now.checked_add(limit));
                return Ok([timeout, deadline, give_up].into_iter().flatten().min());
            };
            if deadline.is_some_and(|at| at <= pause.until) {
                return Err(Outcome::TimedOut);
            }
            let until = give_up.map_or(pause.until, |at| at.min(pause.until));
            if deadline.is_some() {
                sleep_until(until.into()).await;
                continue;
            }
            tokio::select! {
                () = sleep_until(until.into()) => {}
                () = self.queue.notified() => {
                    // A shutdown tries once more at once, unless the back end asked for patience.
                    if !pause.asked && self.queue.level().deadline.is_some() {
                        self.pause = None;
                    }
                }
            }
        }
    }

    fn pause_for(&mut self, wait: Duration, asked: bool) {
        // An absurd wait of a back end ends with the batch's time limit.
        let until = Instant::now()
            .checked_add(wait)
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
        self.pause = Some(Pause { until, asked });
    }

    fn accept(&mut self, spans: usize, rejected: u64, message: &str) {
        let rejected = usize::try_from(rejected).map_or(spans, |rejected| rejected.min(spans));
        if rejected > 0 || !message.is_empty() {
            self.report.warning(rejected, message);
        }
        self.report.recovered();
        self.queue.settle(Outcome::Rejected, rejected);
        self.queue.settle(Outcome::Accepted, spans - rejected);
    }

    fn give_up_on(&mut self, piece: &Piece, reason: &str) {
        self.report.failing(piece.spans.len(), reason, MEND);
        self.queue.settle(Outcome::Failed, piece.spans.len());
    }
}
