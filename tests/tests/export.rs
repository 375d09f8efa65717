//! A real OpenTelemetry Collector gets every span once, and its troubles are survived.

use std::{net::TcpListener, process::Command, time::Duration};

use anyhow::{Result, ensure};
use wirespan_tests::{
    agent::{Agent, Report, STOP_LIMIT},
    collector::{Collector, Ports},
    needs_collector, needs_root,
    process::{free_port, output, wait_until},
    server::{Kind, Server},
    span::Span,
};

/// Spans of 25 requests.
const SPANS: usize = 50;

/// Starts an agent that exports as `environment` says, and as OTLP/JSON too.
fn agent(server: &Server, environment: &[(&str, &str)]) -> Result<Agent> {
    let port = server.port.to_string();
    Agent::start_with(&["--export", "otlp", "--port", &port], environment)
}

fn send(server: &Server) -> Result<()> {
    let url = format!("{}/bytes/[1-25]", server.base());
    output(Command::new("curl").args(["-sS", "-f", &url]))?;
    Ok(())
}

fn sorted(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by(|one, other| one.span_id.cmp(&other.span_id));
    spans
}

fn same(received: Vec<Span>, written: Vec<Span>) -> Result<()> {
    let (received, written) = (sorted(received), sorted(written));
    ensure!(
        written.len() == SPANS,
        "{} spans were written",
        written.len()
    );
    ensure!(
        received.len() == SPANS,
        "{} spans were received",
        received.len()
    );
    for (received, written) in received.iter().zip(&written) {
        ensure!(
            received == written,
            "received {received:?}, written {written:?}"
        );
    }
    Ok(())
}

/// Exports to a Collector and compares what it wrote with the agent's own OTLP/JSON.
fn deliver(protocol: &str, more: &[(&str, &str)]) -> Result<()> {
    let collector = Collector::start(Ports::free()?)?;
    let server = Server::start(Kind::Go)?;
    let port = match protocol {
        "grpc" => collector.ports.grpc,
        _ => collector.ports.http,
    };
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut environment = vec![
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
    ];
    environment.extend(more);
    let agent = agent(&server, &environment)?;
    send(&server)?;
    let report = agent.stop()?;
    report.summary.lost_nothing()?;
    ensure!(report.summary.number("export", "accepted")? == 2 * SPANS as u64);
    wait_until("the Collector's file", Duration::from_secs(5), || {
        collector.spans().is_ok_and(|spans| spans.len() >= SPANS)
    })?;
    same(collector.spans()?, report.spans)?;
    wait_until("the agent's own metrics", Duration::from_secs(5), || {
        let names = collector.metric_names().unwrap_or_default();
        names.iter().any(|name| name.starts_with("wirespan."))
    })
}

#[test]
fn by_grpc() -> Result<()> {
    needs_root!("by_grpc");
    needs_collector!("by_grpc");
    deliver("grpc", &[])
}

#[test]
fn by_grpc_compressed() -> Result<()> {
    needs_root!("by_grpc_compressed");
    needs_collector!("by_grpc_compressed");
    deliver("grpc", &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")])
}

#[test]
fn by_http() -> Result<()> {
    needs_root!("by_http");
    needs_collector!("by_http");
    deliver("http/protobuf", &[])
}

#[test]
fn by_http_compressed_in_small_batches() -> Result<()> {
    needs_root!("by_http_compressed_in_small_batches");
    needs_collector!("by_http_compressed_in_small_batches");
    let more = [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "7"),
    ];
    deliver("http/protobuf", &more)
}

/// Exports by HTTP to a URL that fails, and gives what the agent says of it.
fn fail_at(url: &str) -> Result<Report> {
    let server = Server::start(Kind::Go)?;
    let environment = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let agent = agent(&server, &environment)?;
    send(&server)?;
    agent.wait_spans(SPANS, Duration::from_secs(10))?;
    let report = agent.stop()?;
    let count = |key| report.summary.number("export", key);
    ensure!(report.spans.len() == SPANS);
    ensure!(
        count("accepted")? == SPANS as u64 && count("dropped")? == SPANS as u64,
        "{}",
        report.summary.json()
    );
    Ok(report)
}

#[test]
fn not_found_is_not_retried() -> Result<()> {
    needs_root!("not_found_is_not_retried");
    needs_collector!("not_found_is_not_retried");
    let collector = Collector::start(Ports::free()?)?;
    let report = fail_at(&format!("http://127.0.0.1:{}/no", collector.ports.http))?;
    let failed = report.summary.number("losses", "export_failed_spans")?;
    ensure!(failed == SPANS as u64, "{failed} spans failed");
    ensure!(
        report.stopped_in < Duration::from_secs(3),
        "{:?}",
        report.stopped_in
    );
    ensure!(collector.spans()?.is_empty());
    Ok(())
}

#[test]
fn nobody_there_at_the_end() -> Result<()> {
    needs_root!("nobody_there_at_the_end");
    let report = fail_at(&format!("http://127.0.0.1:{}/v1/traces", free_port()?))?;
    ensure!(report.stopped_in < STOP_LIMIT, "{:?}", report.stopped_in);
    Ok(())
}

#[test]
fn a_back_end_that_hangs() -> Result<()> {
    needs_root!("a_back_end_that_hangs");
    // The kernel completes its connections; nobody ever reads from them.
    let hanging = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/v1/traces", hanging.local_addr()?);
    let report = fail_at(&url)?;
    ensure!(report.stopped_in < STOP_LIMIT, "{:?}", report.stopped_in);
    Ok(())
}

/// A Collector that comes late, for spans that wait for it.
fn late(protocol: &str) -> Result<()> {
    let ports = Ports::free()?;
    let server = Server::start(Kind::Go)?;
    let port = if protocol == "grpc" {
        ports.grpc
    } else {
        ports.http
    };
    let endpoint = format!("http://127.0.0.1:{port}");
    let environment = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let agent = agent(&server, &environment)?;
    send(&server)?;
    agent.wait_spans(SPANS, Duration::from_secs(10))?;
    std::thread::sleep(Duration::from_secs(1));
    let collector = Collector::start(ports)?;
    wait_until(
        "spans that were tried again",
        Duration::from_secs(30),
        || collector.spans().is_ok_and(|spans| spans.len() >= SPANS),
    )?;
    let report = agent.stop()?;
    report.summary.lost_nothing()?;
    same(collector.spans()?, report.spans)
}

#[test]
fn a_collector_that_comes_late_by_grpc() -> Result<()> {
    needs_root!("a_collector_that_comes_late_by_grpc");
    needs_collector!("a_collector_that_comes_late_by_grpc");
    late("grpc")
}

#[test]
fn a_collector_that_comes_late_by_http() -> Result<()> {
    needs_root!("a_collector_that_comes_late_by_http");
    needs_collector!("a_collector_that_comes_late_by_http");
    late("http/protobuf")
}
