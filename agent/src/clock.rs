//! The two clocks: kernel time, which every event carries, and wall time, which spans need.
#![forbid(unsafe_code)]

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds of `CLOCK_BOOTTIME`, the kernel programs' clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelTime(pub u64);

impl KernelTime {
    /// Nanoseconds from `earlier` to `self`, zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time now, by which waiting is bounded. Spans never carry it: their times are those of
    /// the kernel's events.
    #[must_use]
    pub fn now() -> Self {
        Self(nanoseconds(clock_gettime(ClockId::Boottime)).cast_unsigned())
    }
}

/// `CLOCK_REALTIME` less `CLOCK_BOOTTIME`, in nanoseconds. Times that are to be compared must be
/// converted with one offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallOffset(pub i64);

impl WallOffset {
    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub fn to_unix(self, time: KernelTime) -> u64 {
        time.0.saturating_add_signed(self.0)
    }
}

/// Samples of one measurement; the one with the shortest bracket counts.
const SAMPLES: usize = 8;

/// A measured offset replaces the one in use when they differ by more than this many nanoseconds:
/// a measurement's own noise must not reorder spans.
const TOLERANCE: u64 = 100_000;

/// Converts kernel time to wall time.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    offset: WallOffset,
}

impl WallClock {
    /// Measures the offset.
    #[must_use]
    pub fn new() -> Self {
        Self { offset: measure() }
    }

    /// A clock with a given offset, so that its times are reproducible.
    #[must_use]
    pub fn with_offset(offset: WallOffset) -> Self {
        Self { offset }
    }

    /// Measures again; to be called about once a second, as the wall clock is slewed and stepped.
    pub fn remeasure(&mut self) {
        self.adopt(measure());
    }

    /// The offset in use.
    #[must_use]
    pub fn offset(&self) -> WallOffset {
        self.offset
    }

    /// Nanoseconds since the Unix epoch, by the offset in use.
    #[must_use]
    pub fn to_unix(&self, time: KernelTime) -> u64 {
        self.offset.to_unix(time)
    }

    fn adopt(&mut self, measured: WallOffset) {
        if measured.0.abs_diff(self.offset.0) > TOLERANCE {
            self.offset = measured;
        }
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

/// The wall clock is read between two readings of boot time; the true offset is within half of
/// the bracket.
fn measure() -> WallOffset {
    let sample = || {
        let before = nanoseconds(clock_gettime(ClockId::Boottime));
        let wall = nanoseconds(clock_gettime(ClockId::Realtime));
        let after = nanoseconds(clock_gettime(ClockId::Boottime));
        let bracket = after - before;
        (bracket, wall - (before + bracket / 2))
    };
    let best = (0..SAMPLES).map(|_| sample()).min();
    WallOffset(best.map_or(0, |(_, offset)| offset))
}

/// Nanoseconds since the clock's epoch fit into 63 bits until the year 2262.
fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn kernel_time_becomes_wall_time() {
        let clock = WallClock::new();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let converted = clock.to_unix(KernelTime::now());
        let expected = u64::try_from(wall.as_nanos()).unwrap();
        assert!(converted.abs_diff(expected) < 1_000_000_000);
    }

    #[test]
    fn noise_does_not_change_the_offset() {
        let mut clock = WallClock::with_offset(WallOffset(5_000_000));
        clock.adopt(WallOffset(5_100_000));
        assert_eq!(clock.offset(), WallOffset(5_000_000));
        clock.adopt(WallOffset(4_900_000));
        assert_eq!(clock.offset(), WallOffset(5_000_000));
    }

    #[test]
    fn a_step_changes_the_offset() {
        let mut clock = WallClock::with_offset(WallOffset(5_000_000));
        clock.adopt(WallOffset(5_100_001));
        assert_eq!(clock.offset(), WallOffset(5_100_001));
        clock.adopt(WallOffset(-1_000_000_000));
        assert_eq!(clock.to_unix(KernelTime(3_000_000_000)), 2_000_000_000);
        assert_eq!(clock.to_unix(KernelTime(1)), 0, "never before the epoch");
    }
}
