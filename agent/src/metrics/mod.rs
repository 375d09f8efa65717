//! Counters of everything that is seen, lost and exported, and how they are shown: summary, log,
//! OTLP. Must not know who counts.
#![forbid(unsafe_code)]

pub mod counters;
pub mod kernel;
pub mod log;
pub mod otlp;
pub mod summary;
