//! From kernel records to exchanges: connections, byte positions, gaps, and the pairing of
//! requests with responses. Drives the pure parsers of `protocol`; knows no eBPF, no spans.
#![forbid(unsafe_code)]

pub mod exchange;
