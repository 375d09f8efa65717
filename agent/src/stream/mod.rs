//! From kernel records to exchanges: connections, byte positions, gaps, and the pairing of
//! requests with responses. Drives the pure parsers of `protocol`; knows no eBPF, no spans.
#![forbid(unsafe_code)]

mod accounts;
mod connection;
mod ends;
pub mod exchange;
mod identity;
mod pipeline;
pub mod record;
mod requests;
mod responses;
mod side;
mod slot;
mod table;
mod tail;

#[cfg(test)]
mod tests;

pub use self::table::{Limits, Streams, Wanted};
pub use wirespan_ebpf::verdict::Verdict;
