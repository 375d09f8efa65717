//! Local outputs: each runs on a thread of its own behind a bounded queue, so that a blocked
//! terminal or pipe stops nothing else.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    ExportError,
    json_lines::JsonLines,
    queue::{FinishOnDrop, Outcome, Queue},
};
use crate::{metrics::counters::Counters, span::model::Span};

/// Spans that may wait for a local output: a burst of some tenths of a second at full speed.
const CAPACITY: usize = 65_536;
/// Spans handed to an output at a time; for `otlp-json` the most in one line.
const CHUNK: usize = 1_024;
/// How often an output gets its turn while little happens.
const TICK: Duration = Duration::from_millis(100);

/// An output on this host.
#[derive(Debug)]
pub(super) enum Sink {
    /// OTLP/JSON lines.
    JsonLines(JsonLines),
}

impl Sink {
    fn name(&self) -> &'static str {
        match self {
            Self::JsonLines(_) => "export-json",
        }
    }

    /// Writes spans out; false when they are lost.
    fn write(&mut self, spans: &[Arc<Span>]) -> bool {
        match self {
            Self::JsonLines(lines) => lines.write(spans),
        }
    }

    /// Starts the output's thread.
    pub(super) fn start(self, counters: Arc<Counters>) -> Result<Arc<Queue>, ExportError> {
        let queue = Arc::new(Queue::new(CAPACITY, CHUNK, counters));
        let finish = FinishOnDrop(Arc::clone(&queue));
        thread::Builder::new()
            .name(self.name().to_owned())
            .spawn(move || self.run(&finish.0))
            .map_err(|source: io::Error| ExportError::Thread { source })?;
        Ok(queue)
    }

    fn run(mut self, queue: &Queue) {
        loop {
            let level = queue.wait(TICK);
            let spans = queue.take(CHUNK);
            if spans.is_empty() {
                if level.deadline.is_some() {
                    break;
                }
                continue;
            }
            let outcome = if level.deadline.is_some_and(|at| at <= Instant::now()) {
                Outcome::TimedOut
            } else if self.write(&spans) {
                Outcome::Accepted
            } else {
                Outcome::Failed
            };
            queue.settle(outcome, spans.len());
        }
    }
}
