//! Where spans go. The only module that knows OTLP.
#![forbid(unsafe_code)]

pub mod console;
