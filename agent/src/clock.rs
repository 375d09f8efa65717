//! The two clocks: kernel time, which every event carries, and wall time, which spans need.
#![forbid(unsafe_code)]

/// Nanoseconds of `CLOCK_BOOTTIME`, the kernel programs' clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelTime(pub u64);

impl KernelTime {
    /// Nanoseconds from `earlier` to `self`, zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
