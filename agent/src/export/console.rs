//! Spans for a person at a terminal: one line each, a connected trace as a tree. Knows spans and
//! a writer; must not know the pipeline's threads or OTLP.
//!
//! A trace is held until its spans have had time to come (its local root is there and nothing
//! came for a moment, or a second is over), then drawn, parents before children. Whatever comes
//! later starts a tree of its own. All text that comes from a foreign process or peer is cleared
//! of control characters before it is written.
#![forbid(unsafe_code)]

mod line;
mod tree;

use std::{
    collections::HashMap,
    ffi::OsString,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::tz::TimeZone;

use crate::{
    span::model::{Span, TraceId},
    terminal::allows_colours,
};

/// Time without a new span after which a trace with a local root is drawn.
const QUIET: Duration = Duration::from_millis(150);
/// A trace is drawn after this in any case.
const HELD: Duration = Duration::from_secs(1);
/// Spans that are held at most; beyond it the oldest traces are drawn at once.
const SPANS_LIMIT: usize = 10_000;
/// Columns where a terminal does not tell.
const DEFAULT_WIDTH: usize = 80;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsoleOptions {
    /// Columns after which a line is cut, `None` for never.
    pub width: Option<usize>,
    /// Whether to use colours.
    pub color: bool,
}

impl ConsoleOptions {
    /// What suits a stream: on a terminal its width (else `COLUMNS`, else 80) and colours, unless
    /// `NO_COLOR` is set (<https://no-color.org>) or `TERM` is `dumb`; whole lines without
    /// colours into anything else.
    #[must_use]
    pub fn detect(stream: &(impl AsFd + IsTerminal)) -> Self {
        if !stream.is_terminal() {
            return Self::default();
        }
        let size = rustix::termios::tcgetwinsize(stream).map_or(0, |size| size.ws_col);
        Self::of_terminal(size.into(), |name| std::env::var_os(name))
    }

    fn of_terminal(columns: usize, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let given = || {
            variable("COLUMNS")?
                .to_str()?
                .parse()
                .ok()
                .filter(|columns| *columns > 0)
        };
        let width = if columns > 0 { Some(columns) } else { given() };
        Self {
            width: Some(width.unwrap_or(DEFAULT_WIDTH)),
            color: allows_colours(variable),
        }
    }
}

/// Draws spans.
#[derive(Debug)]
pub struct Console<W> {
    writer: W,
    options: ConsoleOptions,
    zone: TimeZone,
    held: HashMap<TraceId, Trace>,
    spans: usize,
}

#[derive(Debug)]
struct Trace {
    spans: Vec<Arc<Span>>,
    first: Instant,
    last: Instant,
    /// A span came whose parent is not on this host, as far as it says.
    rooted: bool,
}

impl Trace {
    fn is_due(&self, now: Instant) -> bool {
        let quiet = now.saturating_duration_since(self.last) >= QUIET;
        (self.rooted && quiet) || now.saturating_duration_since(self.first) >= HELD
    }
}

impl<W: Write> Console<W> {
    /// Draws on `writer`, with times in the local time zone.
    pub fn new(writer: W, options: ConsoleOptions) -> Self {
        Self::in_zone(writer, options, TimeZone::system())
    }

    fn in_zone(writer: W, options: ConsoleOptions, zone: TimeZone) -> Self {
        Self {
            writer,
            options,
            zone,
            held: HashMap::new(),
            spans: 0,
        }
    }

    /// Takes spans; they are drawn by a later [`Self::tick`] or [`Self::finish`].
    ///
    /// # Errors
    ///
    /// When too many spans are held, the oldest are drawn at once: those of the writer.
    pub fn write(&mut self, spans: &[Arc<Span>]) -> io::Result<()> {
        let now = Instant::now();
        for span in spans {
            let trace = self.held.entry(span.trace_id).or_insert_with(|| Trace {
                spans: Vec::new(),
                first: now,
                last: now,
                rooted: false,
            });
            trace.last = now;
            trace.rooted |= span.parent.is_none_or(|parent| parent.remote);
            trace.spans.push(Arc::clone(span));
        }
        self.spans += spans.len();
        if self.spans > SPANS_LIMIT {
            self.draw_oldest()?;
        }
        Ok(())
    }

    /// Draws the traces whose spans have had time to come. Call it about every 100 ms.
    ///
    /// # Errors
    ///
    /// Those of the writer. What was to be drawn is gone then.
    pub fn tick(&mut self, now: Instant) -> io::Result<()> {
        let due = self.held.extract_if(|_, trace| trace.is_due(now));
        let due = due.map(|(_, trace)| trace).collect();
        self.draw(due)
    }

    /// Draws all that is left.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(&mut self) -> io::Result<()> {
        let all = self.held.drain().map(|(_, trace)| trace).collect();
        self.draw(all)
    }

    /// Spans that were taken and are not drawn yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.spans
    }

    /// Draws the older half.
    fn draw_oldest(&mut self) -> io::Result<()> {
        let mut firsts: Vec<_> = self.held.values().map(|trace| trace.first).collect();
        firsts.sort_unstable();
        let Some(middle) = firsts.get(firsts.len() / 2).copied() else {
            return Ok(());
        };
        let old = self.held.extract_if(|_, trace| trace.first <= middle);
        let old = old.map(|(_, trace)| trace).collect();
        self.draw(old)
    }

    fn draw(&mut self, mut traces: Vec<Trace>) -> io::Result<()> {
        if traces.is_empty() {
            return Ok(());
        }
        // The id decides between traces of the same time, not the order of a hash table.
        let start = |trace: &Trace| {
            trace
                .spans
                .iter()
                .map(|span| (span.start, span.trace_id))
                .min()
        };
        traces.sort_by_cached_key(start);
        let mut text = String::new();
        for trace in traces {
            self.spans -= trace.spans.len();
            for (branches, span) in tree::lines(&trace.spans) {
                line::write(&mut text, span, &branches, &self.zone, self.options);
            }
        }
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests;
