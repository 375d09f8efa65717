//! The bounded queue before each exporter, and the ledger of what became of its spans.
//!
//! [`Pace`] decides who gives way when the queue is full.
//!
//! Every span that enters is settled exactly once: accepted, rejected or dropped. Knows nothing of
//! how spans are sent.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::{
    metrics::counters::{Counters, Flow, Loss},
    span::model::Span,
};

/// Who gives way when a destination is slower than the spans come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The spans: those that find no room are dropped and counted. Capture cannot wait.
    Live,
    /// The pipeline, which waits for room. Local outputs take whole chunks, so that what they
    /// write depends on the spans alone, not on time.
    Replay,
}

/// What became of spans that were taken from the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The destination has them.
    Accepted,
    /// The destination refused them (partial success).
    Rejected,
    /// Given up on after an error.
    Failed,
    /// Given up on because the time limit of the shutdown leaves no room for another try.
    TimedOut,
}

/// A worker's view of the queue: what it may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// Spans that wait.
    pub(super) waiting: usize,
    /// Set once the agent shuts down: the moment at which all must be settled.
    pub(super) deadline: Option<Instant>,
}

/// Bounded queue and ledger of one exporter.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    pace: Pace,
    capacity: usize,
    /// Fill mark at which a waiting worker is woken.
    mark: usize,
    thread: Condvar,
    task: Notify,
    finished: Condvar,
    /// For a pipeline that waits.
    room: Condvar,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<Span>>,
    in_flight: usize,
    deadline: Option<Instant>,
    finished: bool,
    /// The rest was counted as lost; what a late worker says is ignored.
    abandoned: bool,
}

impl Queue {
    /// A queue of at most `capacity` spans that wakes its worker when `mark` of them wait.
    pub(super) fn new(capacity: usize, mark: usize, pace: Pace, counters: Arc<Counters>) -> Self {
        Self {
            state: Mutex::default(),
            pace,
            capacity,
            mark: mark.clamp(1, capacity.max(1)),
            thread: Condvar::new(),
            task: Notify::new(),
            finished: Condvar::new(),
            room: Condvar::new(),
            counters,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds spans. Those that find no room are counted as dropped, or are waited for: see [`Pace`].
    pub(super) fn offer(&self, spans: &[Arc<Span>]) {
        match self.pace {
            Pace::Live => self.add(spans),
            Pace::Replay => {
                for part in spans.chunks(self.mark) {
                    self.wait_for_room(part.len());
                    self.add(part);
                }
            }
        }
    }

    fn wait_for_room(&self, count: usize) {
        let _state = self
            .room
            .wait_while(self.lock(), |state| {
                state.waiting.len() + count > self.capacity && !state.finished
            })
            .unwrap_or_else(PoisonError::into_inner);
    }

    fn add(&self, spans: &[Arc<Span>]) {
        let (refused, reached) = {
            let mut state = self.lock();
            let before = state.waiting.len();
            let room = self.capacity.saturating_sub(before);
            let taken = if state.finished {
                0
            } else {
                spans.len().min(room)
            };
            state.waiting.extend(spans[..taken].iter().cloned());
            let reached = before < self.mark && state.waiting.len() >= self.mark;
            (spans.len() - taken, reached)
        };
        if reached {
            self.thread.notify_one();
            self.task.notify_one();
        }
        if refused > 0 {
            self.counters.lose(Loss::QueueFull, refused as u64);
            self.counters.add(Flow::ExportDropped, refused as u64);
        }
    }

    /// Takes the oldest spans, at most `limit`. Each of them must be settled.
    pub(super) fn take(&self, limit: usize) -> Vec<Arc<Span>> {
        let mut state = self.lock();
        let count = state.waiting.len().min(limit);
        state.in_flight += count;
        let taken = state.waiting.drain(..count).collect();
        self.room.notify_one();
        taken
    }

    /// What waits now, and whether the agent shuts down.
    pub(super) fn level(&self) -> Level {
        let state = self.lock();
        Level {
            waiting: state.waiting.len(),
            deadline: state.deadline,
        }
    }

    /// Who gives way when the queue is full.
    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Blocks a worker thread until the mark is reached, the shutdown begins or `limit` is over.
    pub(super) fn wait(&self, limit: Duration) -> Level {
        let state = self.lock();
        let (state, _) = self
            .thread
            .wait_timeout_while(state, limit, |state| {
                state.waiting.len() < self.mark && state.deadline.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        Level {
            waiting: state.waiting.len(),
            deadline: state.deadline,
        }
    }

    /// Resolves when the mark was reached or the shutdown began since the last call; may resolve
    /// without cause.
    pub(super) async fn notified(&self) {
        self.task.notified().await;
    }

    /// Settles `count` of the spans that were taken.
    pub(super) fn settle(&self, outcome: Outcome, count: usize) {
        let mut state = self.lock();
        if state.abandoned {
            return;
        }
        let count = count.min(state.in_flight);
        state.in_flight -= count;
        self.count(outcome, count);
    }

    fn count(&self, outcome: Outcome, count: usize) {
        let count = count as u64;
        match outcome {
            Outcome::Accepted => self.counters.add(Flow::ExportAccepted, count),
            Outcome::Rejected => {
                self.counters.add(Flow::ExportRejected, count);
                self.counters.lose(Loss::ExportRejected, count);
            }
            Outcome::Failed => {
                self.counters.add(Flow::ExportDropped, count);
                self.counters.lose(Loss::ExportFailed, count);
            }
            Outcome::TimedOut => {
                self.counters.add(Flow::ExportDropped, count);
                self.counters.lose(Loss::ShutdownTimeout, count);
            }
        }
    }

    /// Begins the shutdown: the worker shall settle everything before `deadline`.
    pub(super) fn close(&self, deadline: Instant) {
        self.lock().deadline = Some(deadline);
        self.thread.notify_one();
        self.task.notify_one();
    }

    /// Tells that the worker ended. What it left in the queue is counted by [`Self::join`].
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.finished.notify_all();
        self.room.notify_all();
    }

    /// Waits for the worker until `deadline`, then counts what is not settled as lost.
    pub(super) fn join(&self, deadline: Instant) {
        let limit = deadline.saturating_duration_since(Instant::now());
        let (mut state, _) = self
            .finished
            .wait_timeout_while(self.lock(), limit, |state| !state.finished)
            .unwrap_or_else(PoisonError::into_inner);
        state.abandoned = true;
        let rest = state.waiting.len() + state.in_flight;
        state.waiting.clear();
        state.in_flight = 0;
        drop(state);
        self.count(Outcome::TimedOut, rest);
    }
}

/// Marks the queue as finished when its worker ends, however it ends.
#[derive(Debug)]
pub(super) struct FinishOnDrop(pub(super) Arc<Queue>);

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.0.finish();
    }
}

#[cfg(test)]
mod tests;
