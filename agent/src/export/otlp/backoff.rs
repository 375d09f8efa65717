//! Exponential backoff with jitter: the factor and jitter of the OpenTelemetry Collector, the
//! times of OpenTelemetry Java (1 s at first, at most 5 s).

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

const INITIAL: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
const FACTOR: f64 = 1.5;

/// Waits between the attempts of one batch.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    random: SmallRng,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self {
            next: INITIAL,
            random: SmallRng::from_os_rng(),
        }
    }

    /// Starts again after a success.
    pub(super) fn reset(&mut self) {
        self.next = INITIAL;
    }

    /// Time to wait before the next attempt: half to one and a half times the interval.
    pub(super) fn next(&mut self) -> Duration {
        let interval = self.next;
        self.next = interval.mul_f64(FACTOR).min(LONGEST);
        interval.mul_f64(self.random.random_range(0.5..1.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_within_bounds() {
        let mut backoff = Backoff::new();
        let mut interval = 1.0;
        for _ in 0..20 {
            let wait = backoff.next().as_secs_f64();
            assert!(wait >= interval * 0.5 && wait <= interval * 1.5, "{wait}");
            interval = f64::min(interval * 1.5, 5.0);
        }
    }
}
