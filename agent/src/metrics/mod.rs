//! Counters of everything that is seen, lost and exported. Knows nothing of how they are shown.
#![forbid(unsafe_code)]

pub mod counters;
