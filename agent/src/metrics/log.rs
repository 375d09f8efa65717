//! A log line when something was lost since the last one.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use super::counters::{Counters, Loss};

/// Time between two lines at least.
const INTERVAL: Duration = Duration::from_secs(10);

/// Watches the counters of losses.
#[derive(Debug)]
pub struct LossLog {
    due: Instant,
    told: Vec<(&'static str, u64)>,
}

impl LossLog {
    /// Begins to watch.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            due: now + INTERVAL,
            told: read(&Counters::default()),
        }
    }

    /// Logs what was lost since the last line, every 10 s at most; silent when nothing was.
    /// Call it as often as is convenient: before its time it costs a comparison.
    pub fn tick(&mut self, counters: &Counters, now: Instant) {
        if now < self.due {
            return;
        }
        self.due = now + INTERVAL;
        let current = read(counters);
        let mut losses = String::new();
        for ((name, count), (_, told)) in current.iter().zip(&self.told) {
            if count > told {
                let separator = if losses.is_empty() { "" } else { " " };
                // Writing to a string cannot fail.
                let _ = write!(losses, "{separator}{name}=+{}", count - told);
            }
        }
        self.told = current;
        if !losses.is_empty() {
            tracing::warn!(losses, "something was lost since the last report");
        }
    }
}

fn read(counters: &Counters) -> Vec<(&'static str, u64)> {
    let lost = counters.exchanges_lost();
    let mut current: Vec<_> = Loss::ALL
        .iter()
        .map(|reason| (reason.name(), counters.loss(*reason)))
        .collect();
    current.push(("exchanges_lost_server", lost.server));
    current.push(("exchanges_lost_client", lost.client));
    current.push(("exchanges_lost_unknown", lost.unknown));
    current
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::metrics::counters::Flow;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
        }
    }

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_changes_are_told() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let counters = Counters::default();
            let start = Instant::now();
            let mut log = LossLog::new(start);
            counters.lose(Loss::RingFull, 12);
            log.tick(&counters, start + INTERVAL / 2);
            assert_eq!(lines.take(), "");

            counters.add(Flow::ClientExchangesLost, 3);
            log.tick(&counters, start + INTERVAL);
            let line = lines.take();
            assert!(
                line.contains(r#"losses="ring_full_records=+12 exchanges_lost_client=+3""#),
                "{line}"
            );

            log.tick(&counters, start + 2 * INTERVAL);
            assert_eq!(lines.take(), "");

            counters.lose(Loss::RingFull, 1);
            log.tick(&counters, start + 3 * INTERVAL);
            assert!(lines.take().contains(r#"losses="ring_full_records=+1""#));
        });
    }
}
