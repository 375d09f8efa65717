//! The agent's own log: lines on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::LevelFilter;

use crate::{cli::LogLevel, terminal::allows_colours};

/// Starts it. Standard output belongs to the spans.
pub(super) fn start(level: LogLevel) {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let colour = io::stderr().is_terminal() && allows_colours(|name| std::env::var_os(name));
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(colour)
        .with_max_level(level)
        .init();
}
