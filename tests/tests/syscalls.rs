//! Every system call that moves a stream's bytes: captured, or counted as not captured, never
//! misread.

use std::process::Command;

use anyhow::{Result, ensure};
use wirespan_tests::{
    agent::{Agent, Report},
    artifacts, check, needs_root,
    process::output,
    server::{Kind, Server},
    skip,
};

/// Kinds of `programs/c/syscalls.c` whose bytes are in the caller's memory.
const CAPTURED: [&str; 10] = [
    "write", "vectors", "send", "sendto", "sendmsg", "sendmmsg", "peek", "waitall", "bytewise",
    "partial",
];

/// Kinds of `programs/c/ring.h`: each operation in each context that the kernel runs it in.
const IO_URING: [&str; 12] = [
    "uring_send_inline",
    "uring_send_worker",
    "uring_send_polled",
    "uring_sendmsg_inline",
    "uring_sendmsg_worker",
    "uring_sendmsg_polled",
    "uring_write_inline",
    "uring_write_worker",
    "uring_write_polled",
    "uring_writev_inline",
    "uring_writev_worker",
    "uring_writev_polled",
];

/// Lets the C client send one request by each kind to Go's service.
fn trace(kinds: &[&str]) -> Result<Report> {
    let client = artifacts::c_program("syscalls", &[])?;
    let server = Server::start(Kind::Go)?;
    let agent = Agent::on_ports(&[server.port])?;
    let mut command = Command::new(client);
    let printed = output(command.arg(server.port.to_string()).args(kinds))?;
    ensure!(printed.lines().count() == kinds.len(), "{printed}");
    agent.stop()
}

/// Checks both spans of one kind.
fn check_pair(report: &Report, kind: &str, request_body: i64, response_body: i64) -> Result<()> {
    let pairs = check::pairs(&report.spans);
    let found = pairs
        .iter()
        .find(|(target, _)| target.ends_with(&format!("?kind={kind}")));
    let Some((_, pair)) = found else {
        anyhow::bail!("{kind}: no spans among {:?}", pairs.keys());
    };
    let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
        anyhow::bail!("{kind}: {pair:?}");
    };
    check::linked(server, client)?;
    ensure!(client.service() == "syscalls", "{:?}", client.service());
    for span in [server, client] {
        let sizes = ["http.request.body.size", "http.response.body.size"]
            .map(|key| span.number(key).unwrap_or(0));
        ensure!(
            span.number("http.response.status_code") == Some(200)
                && sizes == [request_body, response_body],
            "{kind}: {:?} {:?}",
            span.kind,
            span.attributes
        );
        ensure!(!span.attributes.contains_key("wirespan.truncated"));
        ensure!(!span.attributes.contains_key("wirespan.gap_bytes"));
    }
    Ok(())
}

#[test]
fn every_call_with_a_buffer() -> Result<()> {
    needs_root!("every_call_with_a_buffer");
    let report = trace(&CAPTURED)?;
    for kind in CAPTURED {
        match kind {
            "partial" => check_pair(&report, kind, 300_000, 6)?,
            _ => check_pair(&report, kind, 0, 1000)?,
        }
    }
    ensure!(report.spans.len() == 2 * CAPTURED.len());
    report.summary.lost_nothing()
}

#[test]
fn sendfile_and_splice() -> Result<()> {
    needs_root!("sendfile_and_splice");
    let report = trace(&["sendfile", "splice"])?;
    for kind in ["sendfile", "splice"] {
        check_pair(&report, kind, 300_000, 6)?;
        let bytes = report.summary.number("uncaptured_bytes", kind)?;
        // Beyond a turn's budget bytes are skipped on purpose, however they were sent.
        ensure!((1..=300_000).contains(&bytes), "{}", report.summary.json());
    }
    report.summary.lost_nothing()
}

#[test]
fn io_uring() -> Result<()> {
    needs_root!("io_uring");
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    if disabled.is_ok_and(|text| text.trim() != "0") {
        return skip("io_uring", "kernel.io_uring_disabled forbids it");
    }
    let mut any = false;
    for hooks in ["tracepoint", "trampoline"] {
        let client = artifacts::c_program("syscalls", &[])?;
        let server = Server::start(Kind::Go)?;
        let port = server.port.to_string();
        let Ok(agent) = Agent::start(&["--hooks", hooks, "--port", &port]) else {
            continue;
        };
        any = true;
        let printed = output(Command::new(client).arg(&port).args(IO_URING))?;
        ensure!(printed.lines().count() == IO_URING.len(), "{printed}");
        let report = agent.stop()?;
        let bytes = report.summary.number("uncaptured_bytes", "io_uring")?;
        if hooks == "trampoline" {
            for kind in IO_URING {
                check_pair(&report, kind, 0, 1000)?;
            }
            ensure!(
                report.spans.len() == 2 * IO_URING.len() && bytes == 0,
                "{bytes}"
            );
        } else {
            check_counted(&report, bytes)?;
        }
        report.summary.lost_nothing()?;
    }
    ensure!(any, "this kernel has no hooks at all");
    Ok(())
}

/// Without an iterator the client's bytes are counted, and the server's make its spans.
fn check_counted(report: &Report, bytes: u64) -> Result<()> {
    let pairs = check::pairs(&report.spans);
    ensure!(pairs.len() == IO_URING.len(), "{:?}", pairs.keys());
    for (target, pair) in &pairs {
        let ([server], []) = (pair.server.as_slice(), pair.client.as_slice()) else {
            anyhow::bail!("{target}: {pair:?}");
        };
        ensure!(server.number("http.response.body.size") == Some(1000));
    }
    // For each a request of 70 bytes and an answer of more than 1000.
    ensure!(bytes > 1000 * IO_URING.len() as u64, "{bytes} bytes");
    Ok(())
}

#[test]
fn a_32_bit_caller() -> Result<()> {
    needs_root!("a_32_bit_caller");
    let flags = [
        "-m32",
        "-nostdlib",
        "-static",
        "-ffreestanding",
        "-fno-pie",
        "-no-pie",
    ];
    let client = artifacts::c_program("compat", &flags)?;
    let server = Server::start(Kind::Go)?;
    let port = server.port.to_string();
    let agent = Agent::on_ports(&[server.port])?;
    let status = Command::new(&client).arg(&port).status();
    let Ok(status) = status else {
        return skip("a_32_bit_caller", "the kernel runs no 32-bit programs");
    };
    ensure!(status.success(), "the 32-bit client ended with {status}");
    let report = agent.stop()?;
    let pairs = check::pairs(&report.spans);
    let expected: Vec<_> = (0..4).map(|n| format!("/bytes/10?compat={n}")).collect();
    ensure!(pairs.keys().eq(&expected), "{:?}", pairs.keys());
    for (target, pair) in &pairs {
        let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
            anyhow::bail!("{target}: {pair:?}");
        };
        check::linked(server, client)?;
        ensure!(client.service() == "compat");
        ensure!(client.number("http.response.body.size") == Some(10));
    }
    report.summary.lost_nothing()
}
