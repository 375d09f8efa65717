//! Spans: the model, the conventions that make one from an exchange, propagation formats.
//! Knows no OTLP, no IO.
#![forbid(unsafe_code)]

mod attributes;
pub mod describe;
mod errors;
mod http;
pub mod ids;
pub mod model;
mod rpc;
#[cfg(test)]
mod testing;
pub mod w3c;
mod websocket;

pub use attributes::VALUE_LIMIT;
