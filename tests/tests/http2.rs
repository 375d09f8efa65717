//! Many streams of one HTTP/2 connection at the same time.

use std::{fmt::Write as _, fs, process::Command};

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::Agent,
    check::{self, Services},
    client::{Client, Wire},
    needs_root,
    plan::Plan,
    process::output,
    server::{Kind, Server},
    span::{self, Span},
};

/// Numbers of streams at the same time.
const STREAMS: [usize; 5] = [1, 2, 8, 64, 200];

/// Requests of all targets by h2load on one connection, `streams` at a time, all answered by 200.
fn load(server: &Server, streams: usize, targets: &[String], arguments: &[&str]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("targets");
    let mut text = String::new();
    for target in targets {
        writeln!(text, "{}{target}", server.base())?;
    }
    fs::write(&file, text)?;
    let mut command = Command::new("h2load");
    command
        .arg(format!("--requests={}", targets.len()))
        .args(["--clients=1", "--threads=1"])
        .arg(format!("--max-concurrent-streams={streams}"))
        .arg(format!("--input-file={}", file.display()));
    let printed = output(command.args(arguments))?;
    let answered = format!("status codes: {} 2xx", targets.len());
    ensure!(printed.contains(&answered), "{printed}");
    Ok(())
}

/// Checks that each target has one SERVER and one CLIENT span with these sizes.
fn check_targets(
    spans: &[Span],
    targets: &[String],
    method: &str,
    sizes: impl Fn(&str) -> (i64, i64),
) -> Result<()> {
    let mut pairs = check::pairs(spans);
    for target in targets {
        let pair = pairs.remove(target).unwrap_or_default();
        let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
            anyhow::bail!("{target}: {pair:?}");
        };
        check::linked(server, client).with_context(|| target.clone())?;
        for span in [server, client] {
            let found = (
                span.number("http.request.body.size").unwrap_or(0),
                span.number("http.response.body.size").unwrap_or(0),
            );
            ensure!(
                found == sizes(target)
                    && span.text("http.request.method") == method
                    && span.number("http.response.status_code") == Some(200)
                    && span.text("network.protocol.version") == "2",
                "{target}: {span:?}"
            );
        }
    }
    Ok(())
}

/// The largest number of SERVER spans that are open at the same time.
fn most_at_once(spans: &[Span], marker: &str) -> usize {
    let mut edges = Vec::new();
    for span in check::of_kind(spans, span::Kind::Server) {
        if span.target().starts_with(marker) {
            edges.push((span.start, 1));
            edges.push((span.end, -1));
        }
    }
    edges.sort_unstable();
    let (mut open, mut most) = (0_i32, 0);
    for (_, change) in edges {
        open += change;
        most = most.max(open);
    }
    usize::try_from(most).unwrap_or(0)
}

#[test]
fn concurrent_streams() -> Result<()> {
    needs_root!("concurrent_streams");
    let server = Server::start_http2(Kind::Go)?;
    let upload = tempfile::NamedTempFile::new()?;
    fs::write(upload.path(), vec![b'u'; 100_000])?;
    let data = format!("--data={}", upload.path().display());
    for streams in STREAMS {
        let agent = Agent::on_ports(&[server.port])?;
        let sleeps: Vec<String> = (0..streams).map(|n| format!("/sleep/300?n={n}")).collect();
        load(&server, streams, &sleeps, &[])?;
        let downloads: Vec<String> = (0..3 * streams)
            .map(|n| format!("/bytes/{}?n={n}", [0, 100, 100_000][n % 3]))
            .collect();
        load(&server, streams, &downloads, &[])?;
        let uploads: Vec<String> = (0..streams).map(|n| format!("/echo?n={n}")).collect();
        load(&server, streams, &uploads, &[&data])?;
        let report = agent.stop()?;
        let spans = &report.spans;
        check_targets(spans, &sleeps, "GET", |_| (0, 5))
            .and_then(|()| {
                check_targets(spans, &downloads, "GET", |target| {
                    let size = target.split(['/', '?']).nth(2).unwrap_or_default();
                    (0, size.parse().unwrap_or(-1))
                })
            })
            .and_then(|()| check_targets(spans, &uploads, "POST", |_| (100_000, 6)))
            .with_context(|| format!("{streams} streams; {}", report.log))?;
        ensure!(spans.len() == 2 * 5 * streams, "{} spans", spans.len());
        ensure!(
            most_at_once(spans, "/sleep/") == streams,
            "{} of {streams} at once",
            most_at_once(spans, "/sleep/")
        );
        for span in spans {
            ensure!(!span.target().starts_with("/sleep/") || span.end - span.start >= 300_000_000);
        }
        report.summary.lost_nothing()?;
    }
    Ok(())
}

#[test]
fn streams_of_each_size_by_go() -> Result<()> {
    needs_root!("streams_of_each_size_by_go");
    Client::Go.prepare()?;
    for kind in [Kind::Nginx, Kind::Go] {
        let server = Server::start_http2(kind)?;
        for streams in [8, 64, 200] {
            let agent = Agent::on_ports(&[server.port])?;
            let uploads = kind == Kind::Go;
            let plan = Plan::streams(streams, &[0, 100, 100_000], uploads);
            Client::Go.run_over(Wire::Http2, &server.base(), &plan)?;
            let report = agent.stop()?;
            let services = Services {
                server: kind.service(),
                client: "go-client",
            };
            check::plan(&plan, &report.spans, services)
                .with_context(|| format!("{streams} streams; {}", report.log))?;
            report.summary.lost_nothing()?;
        }
    }
    Ok(())
}
