//! The load: h2load at a fixed rate, wrk as fast as it goes. Both only to this machine itself.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::shell;

/// Offers `rate` requests/s over `connections` kept-alive connections; returns what was reached.
pub(super) fn fixed_rate(
    port: u16,
    connections: u32,
    rate: u32,
    duration: Duration,
) -> Result<f64> {
    // h2load takes the rate of one connection.
    let each = (rate / connections).max(1);
    let printed = shell::output(
        Command::new("prlimit")
            .args(["--nofile=65536", "h2load", "--h1", "--threads=1"])
            .arg(format!("--clients={connections}"))
            .arg(format!("--rps={each}"))
            .arg(format!("--duration={}", duration.as_secs()))
            .arg(format!("http://127.0.0.1:{port}/")),
    )?;
    h2load_rate(&printed).with_context(|| format!("h2load printed no rate: {printed}"))
}

/// As many requests as go over 32 kept-alive connections; returns requests/s.
pub(super) fn saturate(port: u16, duration: Duration) -> Result<f64> {
    let printed = shell::output(
        Command::new("wrk")
            .args(["-t1", "-c32", &format!("-d{}s", duration.as_secs())])
            .arg(format!("http://127.0.0.1:{port}/")),
    )?;
    wrk_rate(&printed).with_context(|| format!("wrk printed no rate: {printed}"))
}

/// `finished in 8.00s, 16000.12 req/s, 2.50MB/s`.
fn h2load_rate(printed: &str) -> Option<f64> {
    let line = printed
        .lines()
        .find(|line| line.starts_with("finished in"))?;
    line.split(", ")
        .find_map(|part| part.strip_suffix(" req/s")?.parse().ok())
}

/// `Requests/sec:  16000.12`.
fn wrk_rate(printed: &str) -> Option<f64> {
    let line = printed
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{h2load_rate, wrk_rate};

    #[test]
    fn rates_are_read_from_what_the_tools_print() {
        let printed = "progress: 100% done\n\nfinished in 8.00s, 15998.50 req/s, 2.52MB/s\n";
        assert_eq!(h2load_rate(printed), Some(15998.5));
        assert_eq!(
            wrk_rate("  Latency 1\nRequests/sec:  81234.10\n"),
            Some(81234.1)
        );
        assert_eq!(h2load_rate("error"), None);
    }
}
