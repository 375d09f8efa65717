//! HTTP/1.1 to the letter: pipelines, large heads, interim and early responses, broken ends.

use std::{
    fmt::Write as _,
    fs,
    net::TcpStream,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::{Agent, Report},
    artifacts, check, needs_root,
    process::{free_port, output, wait_listening},
    raw::{READ_LIMIT, Raw},
    server::{Kind, Server},
    span::Span,
};

fn connect(server: &Server) -> Result<Raw<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", server.port))?;
    stream.set_read_timeout(Some(READ_LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(Raw::new(stream))
}

/// A service that sends exactly what it is told.
fn scripted() -> Result<Server> {
    let port = free_port()?;
    let mut command = artifacts::python_program("scripted.py")?;
    command.args(["127.0.0.1", &port.to_string()]);
    let server = Server::spawn(&mut command, tempfile::tempdir()?, port)?;
    wait_listening(([127, 0, 0, 1], port).into())?;
    Ok(server)
}

/// The SERVER and the CLIENT span of a target, linked.
fn pair<'a>(report: &'a Report, target: &str) -> Result<[&'a Span; 2]> {
    let pair = check::pairs(&report.spans)
        .remove(target)
        .unwrap_or_default();
    let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
        anyhow::bail!("{target}: {pair:?}; {}", report.log);
    };
    check::linked(server, client).with_context(|| target.to_owned())?;
    Ok([server, client])
}

fn check_pair(report: &Report, target: &str, status: i64, sizes: (i64, i64)) -> Result<()> {
    for span in pair(report, target)? {
        let found = (
            span.number("http.request.body.size").unwrap_or(0),
            span.number("http.response.body.size").unwrap_or(0),
        );
        ensure!(
            span.number("http.response.status_code") == Some(status) && found == sizes,
            "{target}: {span:?}"
        );
        for key in [
            "error.type",
            "wirespan.truncated",
            "wirespan.gap_bytes",
            "wirespan.unknown",
        ] {
            ensure!(!span.attributes.contains_key(key), "{target}: {span:?}");
        }
    }
    Ok(())
}

#[test]
fn two_hundred_requests_in_one_segment() -> Result<()> {
    needs_root!("two_hundred_requests_in_one_segment");
    for kind in [Kind::Nginx, Kind::Go, Kind::Node] {
        let server = Server::start(kind)?;
        let agent = Agent::on_ports(&[server.port])?;
        let mut connection = connect(&server)?;
        let targets: Vec<String> = (0..200).map(|n| format!("/bytes/100?n={n}")).collect();
        let mut requests = String::new();
        for target in &targets {
            write!(requests, "GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")?;
        }
        connection.send(requests)?;
        for _ in &targets {
            ensure!(connection.reply()?.status == 200);
        }
        let report = agent.stop()?;
        for target in &targets {
            check_pair(&report, target, 200, (0, 100)).with_context(|| format!("{kind:?}"))?;
        }
        ensure!(report.spans.len() == 400, "{} spans", report.spans.len());
        report.summary.lost_nothing()?;
    }
    Ok(())
}

#[test]
fn large_heads() -> Result<()> {
    needs_root!("large_heads");
    let server = Server::start(Kind::Go)?;
    let agent = Agent::on_ports(&[server.port])?;
    let mut connection = connect(&server)?;
    for (number, kibibytes) in [20, 1, 60, 20].into_iter().enumerate() {
        let fill = "f".repeat(kibibytes * 1024);
        // What comes last is what would be missing.
        let headers = format!("X-Fill: {fill}\r\nUser-Agent: last/{number}\r\n");
        let reply = connection.get(&format!("/bytes/100?n={number}"), &headers)?;
        ensure!(reply.status == 200 && reply.body.len() == 100);
    }
    let report = agent.stop()?;
    for number in 0..4 {
        let target = format!("/bytes/100?n={number}");
        check_pair(&report, &target, 200, (0, 100))?;
        let [server, _] = pair(&report, &target)?;
        let agent = server.text("user_agent.original");
        ensure!(agent == format!("last/{number}"), "{agent:?}");
    }
    ensure!(report.spans.len() == 8);
    report.summary.lost_nothing()
}

#[test]
fn interim_and_early_responses() -> Result<()> {
    needs_root!("interim_and_early_responses");
    let server = scripted()?;
    let agent = Agent::on_ports(&[server.port])?;
    let mut connection = connect(&server)?;
    connection.send("GET /hints?n=1 HTTP/1.1\r\nHost: a\r\n\r\n")?;
    for status in [103, 103, 200] {
        ensure!(connection.reply()?.status == status);
    }
    // The answer is whole before half of the body has been sent.
    let head = "POST /early?n=2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n";
    connection.send(head)?;
    connection.send(vec![b'b'; 1_500])?;
    ensure!(connection.reply()?.status == 200);
    connection.send(vec![b'b'; 1_500])?;
    ensure!(connection.get("/plain?n=3", "")?.status == 200);
    let upload = tempfile::NamedTempFile::new()?;
    fs::write(upload.path(), vec![b'u'; 30_000])?;
    let url = format!("{}/continued?n=4", server.base());
    output(
        Command::new("curl")
            .args(["-sS", "-H", "Expect: 100-continue", "-T"])
            .arg(upload.path())
            .arg(&url),
    )?;
    let report = agent.stop()?;
    check_pair(&report, "/hints?n=1", 200, (0, 2))?;
    check_pair(&report, "/early?n=2", 200, (3_000, 2))?;
    check_pair(&report, "/plain?n=3", 200, (0, 2))?;
    check_pair(&report, "/continued?n=4", 200, (30_000, 2))?;
    ensure!(report.spans.len() == 8, "{} spans", report.spans.len());
    report.summary.lost_nothing()
}

#[test]
fn responses_that_end_in_other_ways() -> Result<()> {
    needs_root!("responses_that_end_in_other_ways");
    let server = scripted()?;
    let agent = Agent::on_ports(&[server.port])?;
    for path in ["until-close", "reasonless", "reset", "close", "half"] {
        let url = format!("{}/{path}", server.base());
        // It fails when the response is not whole.
        let curl = Command::new("curl")
            .args(["-sS", "-o", "/dev/null", &url])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        let whole = ["until-close", "reasonless"].contains(&path);
        ensure!(curl.success() == whole, "{path}: {curl}");
    }
    let report = agent.stop()?;
    check_pair(&report, "/until-close", 200, (0, 10_000))?;
    check_pair(&report, "/reasonless", 299, (0, 2))?;
    for (target, error, status) in [
        ("/reset", "connection_reset", None),
        ("/close", "connection_closed", None),
        ("/half", "connection_closed", Some(200)),
    ] {
        let [server, client] = pair(&report, target)?;
        ensure!(
            client.error && client.text("error.type") == error,
            "{client:?}"
        );
        for span in [server, client] {
            ensure!(
                span.number("http.response.status_code") == status,
                "{span:?}"
            );
        }
    }
    ensure!(report.spans.len() == 10, "{} spans", report.spans.len());
    report.summary.lost_nothing()
}
