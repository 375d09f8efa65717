//! Configuration: from the environment to the settings of other modules. Starts nothing.
#![forbid(unsafe_code)]

pub mod otel_env;
