//! Passive parsers, one folder a protocol: bytes in, messages out. They know no IO, no clock, no
//! eBPF and no connections.
#![forbid(unsafe_code)]

pub mod http;
pub mod http1;
