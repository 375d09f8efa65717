//! From kernel records to exchanges: connections, byte positions, gaps, and the pairing of
//! requests with responses. Drives the pure parsers of `protocol`; knows no eBPF, no spans.
#![forbid(unsafe_code)]

mod call;
mod connection;
pub mod exchange;
mod http1;
mod http2;
mod identity;
mod link;
pub mod record;
mod slot;
mod table;
mod websocket;

#[cfg(test)]
mod tests;

pub use self::table::{Limits, Streams, Wanted};
pub use wirespan_ebpf::verdict::Verdict;
