//! Passive parsers, one folder a protocol: bytes in, messages out. They know no IO, no clock, no
//! eBPF and no connections.
#![forbid(unsafe_code)]

pub mod grpc;
pub mod hpack;
pub mod http;
pub mod http1;
pub mod http2;
pub mod websocket;
