//! Local outputs: each runs on a thread of its own behind a bounded queue, so that a blocked
//! terminal or pipe stops nothing else.

use std::{
    io::{self, Write},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    ExportError,
    console::Console,
    json_lines::JsonLines,
    queue::{FinishOnDrop, Outcome, Pace, Queue},
    report::Report,
};
use crate::{metrics::counters::Counters, span::model::Span};

/// Spans that may wait for a local output: a burst of some tenths of a second at full speed.
const CAPACITY: usize = 65_536;
/// The same in a replay, which waits for the output.
const REPLAY_CAPACITY: usize = 8 * CHUNK;
/// Spans handed to an output at a time; for `otlp-json` the most in one line.
const CHUNK: usize = 1_024;
/// How often an output gets its turn while little happens.
const TICK: Duration = Duration::from_millis(100);

/// An output on this host.
#[derive(Debug)]
pub(super) enum Output<W> {
    /// Trees for people.
    Console(Console<W>),
    /// OTLP/JSON lines.
    JsonLines(JsonLines<W>),
}

impl<W: Write> Output<W> {
    fn name(&self) -> &'static str {
        match self {
            Self::Console(_) => "export-console",
            Self::JsonLines(_) => "export-json",
        }
    }

    fn write(&mut self, spans: &[Arc<Span>]) -> io::Result<()> {
        match self {
            Self::Console(console) => console.write(spans),
            Self::JsonLines(lines) => lines.write(spans),
        }
    }

    fn tick(&mut self) -> io::Result<()> {
        match self {
            Self::Console(console) => console.tick(Instant::now()),
            Self::JsonLines(_) => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Console(console) => console.finish(),
            Self::JsonLines(_) => Ok(()),
        }
    }

    /// Spans that were handed over and are not written out yet.
    fn held(&self) -> usize {
        match self {
            Self::Console(console) => console.held(),
            Self::JsonLines(_) => 0,
        }
    }
}

/// Starts the thread of an output.
pub(super) fn start<W: Write + Send + 'static>(
    output: Output<W>,
    pace: Pace,
    counters: Arc<Counters>,
) -> Result<Arc<Queue>, ExportError> {
    let capacity = match pace {
        Pace::Live => CAPACITY,
        Pace::Replay => REPLAY_CAPACITY,
    };
    let queue = Arc::new(Queue::new(capacity, CHUNK, pace, counters));
    let finish = FinishOnDrop(Arc::clone(&queue));
    let name = output.name().to_owned();
    let worker = Worker {
        output,
        queue: Arc::clone(&queue),
        unsettled: 0,
        closed: false,
        report: Report::new("standard output".to_owned()),
    };
    thread::Builder::new()
        .name(name)
        .spawn(move || {
            let _finish = finish;
            worker.run();
        })
        .map_err(|source| ExportError::Thread { source })?;
    Ok(queue)
}

struct Worker<W> {
    output: Output<W>,
    queue: Arc<Queue>,
    /// Spans taken from the queue and not settled yet.
    unsettled: usize,
    /// The reader is gone for good.
    closed: bool,
    report: Report,
}

impl<W: Write> Worker<W> {
    fn run(mut self) {
        let mut ticked = Instant::now();
        let is_live = self.queue.pace() == Pace::Live;
        loop {
            let level = self.queue.wait(TICK);
            if !is_live && level.deadline.is_none() && level.waiting < CHUNK {
                continue;
            }
            let spans = self.queue.take(CHUNK);
            if spans.is_empty() && level.deadline.is_some() {
                break;
            }
            if level.deadline.is_some_and(|at| at <= Instant::now()) {
                self.queue.settle(Outcome::TimedOut, spans.len());
                continue;
            }
            if !spans.is_empty() {
                self.unsettled += spans.len();
                let result = if self.closed {
                    Ok(())
                } else {
                    self.output.write(&spans)
                };
                self.settle(result);
            }
            if is_live && ticked.elapsed() >= TICK {
                ticked = Instant::now();
                let result = self.output.tick();
                self.settle(result);
            }
        }
        let result = self.output.finish();
        self.settle(result);
    }

    /// Settles what is not held any more.
    fn settle(&mut self, result: io::Result<()>) {
        let count = self.unsettled.saturating_sub(self.output.held());
        self.unsettled -= count;
        match result {
            Ok(()) if self.closed => self.queue.settle(Outcome::Failed, count),
            Ok(()) => {
                if count > 0 {
                    self.report.recovered();
                }
                self.queue.settle(Outcome::Accepted, count);
            }
            Err(error) => {
                self.failed(count, &error);
                self.queue.settle(Outcome::Failed, count);
            }
        }
    }

    fn failed(&mut self, spans: usize, error: &io::Error) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            let mend = "make room where it goes, or give it another reader";
            self.report.failing(spans, error, mend);
        } else if !self.closed {
            self.closed = true;
            tracing::error!(
                "standard output is closed by its reader: spans for it are dropped and counted \
                 from now on; start the agent again with a reader that stays"
            );
        }
    }
}

#[cfg(test)]
mod tests;
