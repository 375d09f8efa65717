//! What the log says about a destination: one line when its state changes, then at most one a
//! minute with counts, however often it fails.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_secs(60);

/// The log's view of one destination.
#[derive(Debug)]
pub(super) struct Report {
    destination: String,
    failing: bool,
    /// Failures and spans lost since the last line.
    failures: u64,
    lost: u64,
    last: Option<Instant>,
    last_warning: Option<Instant>,
}

impl Report {
    pub(super) fn new(destination: String) -> Self {
        Self {
            destination,
            failing: false,
            failures: 0,
            lost: 0,
            last: None,
            last_warning: None,
        }
    }

    /// An attempt failed and `lost` spans were given up with it (0 when it will be repeated).
    pub(super) fn failing(&mut self, lost: usize, reason: impl Display, mend: &str) {
        self.failures += 1;
        self.lost += lost as u64;
        let changed = !self.failing || (lost > 0 && self.lost == lost as u64);
        let due = self.last.is_none_or(|last| last.elapsed() >= INTERVAL);
        self.failing = true;
        if changed || due {
            tracing::warn!(
                destination = self.destination,
                failures = self.failures,
                spans_lost = self.lost,
                "cannot export spans: {reason}; {mend}"
            );
            self.last = Some(Instant::now());
            if due {
                self.failures = 0;
                self.lost = 0;
            }
        }
    }

    /// An attempt succeeded.
    pub(super) fn recovered(&mut self) {
        if self.failing {
            tracing::info!(
                destination = self.destination,
                failures = self.failures,
                spans_lost = self.lost,
                "spans are exported again"
            );
            self.failing = false;
            self.failures = 0;
            self.lost = 0;
            self.last = None;
        }
    }

    /// The destination took a request but has something to say about it.
    pub(super) fn warning(&mut self, rejected: usize, message: &str) {
        if self.last_warning.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.last_warning = Some(Instant::now());
            tracing::warn!(
                destination = self.destination,
                spans_rejected = rejected,
                "the back end answered a request for export with a warning: {message}"
            );
        }
    }
}
