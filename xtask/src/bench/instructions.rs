//! What an exchange costs in instructions, from the kernel's records to a finished span: counted by
//! valgrind, so that it is the same on every machine of one architecture.
//!
//! Two runs of different length differ by exchanges alone: the start is in both.

use std::process::Command;

use anyhow::{Context, Result};

use super::report::{Budget, Report, float};
use crate::setup::{self, Need};
use crate::{build, shell};

/// Exchanges of the shorter run; the other one has twice as many.
const EXCHANGES: u64 = 2000;

/// What is played, what it is called, and how many instructions a span may cost.
const WORKLOADS: &[(&str, &str, u32)] = &[
    ("http1-server", "HTTP/1, server", 2000),
    ("http1-client", "HTTP/1, client", 2000),
    ("http1-both", "HTTP/1, both ends, linked", 4000),
    ("http2-server", "HTTP/2, server", 3000),
    ("http2-client", "HTTP/2, client", 3000),
    ("http2-both", "HTTP/2, both ends, linked", 6000),
    ("grpc-server", "gRPC unary, server", 3000),
    ("grpc-client", "gRPC unary, client", 3000),
];

/// Builds the program that plays exchanges, and adds what each costs.
pub(super) fn count(report: &mut Report) -> Result<()> {
    setup::ensure(&[Need::Build, Need::Instructions])?;
    let program = build::release("wirespan-instructions", &[])?;
    let run = |workload: &str, exchanges: u64| {
        shell::step(format!("{workload}, {exchanges} exchanges"));
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&program)
            .args([workload, &exchanges.to_string()]);
        collected(&shell::errors(&mut command)?)
    };
    for (workload, name, budget) in WORKLOADS {
        let short = run(workload, EXCHANGES)?;
        let long = run(workload, 2 * EXCHANGES)?;
        let each = float(long.saturating_sub(short)) / float(EXCHANGES);
        report.value(
            &format!("{name} (instructions an exchange)"),
            &[each],
            Some(Budget::AtMost(f64::from(*budget))),
        );
    }
    Ok(())
}

/// The number in callgrind's line `==1== Collected : 123`.
fn collected(printed: &str) -> Result<u64> {
    let number = printed
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, number)| number.trim().parse().ok());
    number.with_context(|| format!("valgrind printed no count: {}", printed.trim()))
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_count_is_read() {
        let printed = "==7== Events    : Ir\n==7== Collected : 26180834\n==7== \n";
        assert_eq!(collected(printed).expect("a count"), 26_180_834);
        let error = collected("valgrind: failed to start").expect_err("no count");
        assert!(error.to_string().contains("failed to start"));
    }
}
