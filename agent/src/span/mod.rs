//! Spans: the model, the conventions that make one from an exchange, propagation formats.
//! Knows no OTLP, no IO.
#![forbid(unsafe_code)]

pub mod http;
pub mod ids;
pub mod model;
pub mod w3c;
