//! Harness of the end-to-end tests: starts the agent, real services and real clients, and compares
//! spans with what the clients counted.
//!
//! A test that cannot run here says so by [`skip`]; it is never counted as passed.

pub mod agent;
pub mod artifacts;
pub mod calls;
pub mod capture;
pub mod check;
pub mod client;
pub mod collector;
pub mod golden;
pub mod plan;
pub mod process;
pub mod raw;
pub mod recording;
pub mod server;
pub mod span;
pub mod summary;

use std::io::{self, Write};

/// True when this process may load kernel programs.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Reports on standard output that a test could not run, in the form that `cargo xtask test`
/// counts: `SKIPPED <test>: <reason>`.
///
/// # Errors
/// When standard output cannot be written.
pub fn skip(test: &str, reason: &str) -> anyhow::Result<()> {
    // Not `println!`: the test runner would swallow the output of a test that returns normally.
    writeln!(io::stdout(), "\nSKIPPED {test}: {reason}")?;
    Ok(())
}

/// Leaves a test with [`skip`] when it does not run as root.
#[macro_export]
macro_rules! needs_root {
    ($test:literal) => {
        if !$crate::is_root() {
            return $crate::skip($test, "needs root to load kernel programs");
        }
    };
}

/// Leaves a test with [`skip`] when the Collector cannot be built here.
#[macro_export]
macro_rules! needs_collector {
    ($test:literal) => {
        if let Some(reason) = $crate::artifacts::no_collector() {
            return $crate::skip($test, &reason);
        }
    };
}
