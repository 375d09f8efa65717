//! Every kind of socket: IPv4, IPv6, v4-mapped, unix, other network namespaces, older than the
//! agent; and HTTP/1.0.

use std::{
    fmt::Write as _,
    net::TcpStream,
    process::{Command, id},
    time::Duration,
};

use anyhow::{Result, ensure};
use wirespan_tests::{
    agent::Agent,
    artifacts, check, needs_root,
    process::{free_port, output, wait_listening, wait_until},
    raw::{READ_LIMIT, Raw},
    server::{Kind, Server, nginx},
    span::Span,
};

/// Checks that each target has one SERVER and one CLIENT span, linked; gives the pairs.
fn linked_pairs<'a>(spans: &'a [Span], targets: &[String]) -> Result<Vec<(&'a Span, &'a Span)>> {
    let pairs = check::pairs(spans);
    ensure!(
        pairs.keys().eq(targets),
        "spans of {:?}, not of {targets:?}",
        pairs.keys()
    );
    let mut linked = Vec::new();
    for (target, pair) in pairs {
        let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
            anyhow::bail!("{target}: {pair:?}");
        };
        check::linked(server, client)?;
        linked.push((*server, *client));
    }
    Ok(linked)
}

fn targets(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("/bytes/10?n={n}")).collect()
}

fn curl(arguments: &[&str], base: &str, targets: &[String]) -> Result<()> {
    for target in targets {
        let url = format!("{base}{target}");
        output(
            Command::new("curl")
                .args(["-sS", "-f", "-o", "/dev/null", &url])
                .args(arguments),
        )?;
    }
    Ok(())
}

#[test]
fn ipv6() -> Result<()> {
    needs_root!("ipv6");
    let server = Server::start_with(Kind::Node, "::1", &[], &[])?;
    let agent = Agent::on_ports(&[server.port])?;
    curl(&[], &format!("http://[::1]:{}", server.port), &targets(3))?;
    let report = agent.stop()?;
    for (server, client) in linked_pairs(&report.spans, &targets(3))? {
        ensure!(server.text("network.peer.address") == "::1");
        ensure!(client.text("network.peer.address") == "::1");
    }
    report.summary.lost_nothing()
}

#[test]
fn ipv4_on_a_socket_of_ipv6() -> Result<()> {
    needs_root!("ipv4_on_a_socket_of_ipv6");
    let server = Server::start_with(Kind::Node, "::", &[], &[])?;
    let agent = Agent::on_ports(&[server.port])?;
    curl(&[], &server.base(), &targets(3))?;
    let report = agent.stop()?;
    for (server, client) in linked_pairs(&report.spans, &targets(3))? {
        ensure!(server.text("network.peer.address") == "127.0.0.1");
        ensure!(client.text("network.peer.address") == "127.0.0.1");
    }
    report.summary.lost_nothing()
}

#[test]
fn unix_sockets() -> Result<()> {
    needs_root!("unix_sockets");
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("socket");
    let path = socket.display().to_string();
    let mut command = nginx(&format!("unix:{path}"), directory.path())?;
    let _server = Server::spawn(&mut command, directory, 0)?;
    wait_until("nginx' socket", Duration::from_secs(5), || socket.exists())?;
    let agent = Agent::start(&["--exe", "*/nginx", "--exe", "*/curl"])?;
    for n in 0..5 {
        let url = format!("http://localhost/bytes/100?unix={n}");
        output(Command::new("curl").args(["-sS", "--unix-socket", &path, &url]))?;
    }
    let report = agent.stop()?;
    let mine: Vec<Span> = report
        .spans
        .into_iter()
        .filter(|span| span.target().contains("?unix="))
        .collect();
    let expected: Vec<_> = (0..5).map(|n| format!("/bytes/100?unix={n}")).collect();
    for (server, client) in linked_pairs(&mine, &expected)? {
        ensure!(server.service() == "nginx" && client.service() == "curl");
        ensure!(server.number("http.response.body.size") == Some(100));
    }
    report.summary.lost_nothing()
}

/// A network namespace, deleted with what runs in it.
struct Namespace(String);

impl Namespace {
    fn create() -> Result<Self> {
        let name = format!("wirespan-test-{}", id());
        output(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self(name);
        output(namespace.command("ip").args(["link", "set", "lo", "up"]))?;
        Ok(namespace)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It is gone already, or the next run has another name: nothing depends on this.
        let _ = output(Command::new("ip").args(["netns", "delete", &self.0]));
    }
}

#[test]
fn another_network_namespace() -> Result<()> {
    needs_root!("another_network_namespace");
    let namespace = Namespace::create()?;
    let port = free_port()?;
    let program = artifacts::go_server()?;
    let mut command = namespace.command(&program.to_string_lossy());
    command.args(["127.0.0.1", &port.to_string()]);
    let server = Server::spawn(&mut command, tempfile::tempdir()?, port)?;
    let base = server.base();
    let mut probe = || {
        let mut curl = namespace.command("curl");
        output(curl.args(["-sS", "-o", "/dev/null", &base])).is_ok()
    };
    wait_until(
        "a server in a namespace",
        Duration::from_secs(5),
        &mut probe,
    )?;
    let agent = Agent::on_ports(&[port])?;
    for target in targets(3) {
        let url = format!("{base}{target}");
        let mut curl = namespace.command("curl");
        output(curl.args(["-sS", "-f", "-o", "/dev/null", &url]))?;
    }
    let report = agent.stop()?;
    for (server, client) in linked_pairs(&report.spans, &targets(3))? {
        ensure!(server.service() == "go-server" && client.service() == "curl");
    }
    report.summary.lost_nothing()
}

#[test]
fn connections_older_than_the_agent() -> Result<()> {
    needs_root!("connections_older_than_the_agent");
    for kind in [Kind::Go, Kind::Nginx, Kind::PythonThreads] {
        let server = Server::start(kind)?;
        let stream = TcpStream::connect(("127.0.0.1", server.port))?;
        stream.set_read_timeout(Some(READ_LIMIT))?;
        let mut used = Raw::new(stream);
        let mut fresh = Raw::new(TcpStream::connect(("127.0.0.1", server.port))?);
        used.get("/bytes/100?before", "")?;
        let agent = Agent::on_ports(&[server.port])?;
        let expected: Vec<_> = (0..6).map(|n| format!("/bytes/100?n={n}")).collect();
        for (n, target) in expected.iter().enumerate() {
            let connection = if n < 3 { &mut used } else { &mut fresh };
            ensure!(connection.get(target, "")?.status == 200);
        }
        let report = agent.stop()?;
        for (server, _) in linked_pairs(&report.spans, &expected)? {
            ensure!(server.service() == kind.service());
            ensure!(server.number("http.response.body.size") == Some(100));
        }
        report.summary.lost_nothing()?;
    }
    Ok(())
}

#[test]
fn http_1_0() -> Result<()> {
    needs_root!("http_1_0");
    // Python's own `-m http.server`: HTTP/1.0, one request a connection.
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("file"), [b'x'; 5000])?;
    let port = free_port()?;
    let mut command = Command::new("python3");
    command
        .args(["-m", "http.server", "--bind", "127.0.0.1"])
        .arg(port.to_string())
        .current_dir(directory.path());
    let server = Server::spawn(&mut command, directory, port)?;
    wait_listening(([127, 0, 0, 1], port).into())?;
    let agent = Agent::on_ports(&[port])?;
    let expected: Vec<_> = (0..3).map(|n| format!("/file?n={n}")).collect();
    curl(&["--http1.0"], &server.base(), &expected)?;
    let report = agent.stop()?;
    for (server, client) in linked_pairs(&report.spans, &expected)? {
        for span in [server, client] {
            ensure!(span.text("network.protocol.version") == "1.0");
            ensure!(span.number("http.response.body.size") == Some(5000));
        }
    }
    report.summary.lost_nothing()
}

#[test]
fn requests_sent_before_their_turn() -> Result<()> {
    needs_root!("requests_sent_before_their_turn");
    let server = Server::start(Kind::Nginx)?;
    let agent = Agent::on_ports(&[server.port])?;
    let stream = TcpStream::connect(("127.0.0.1", server.port))?;
    stream.set_read_timeout(Some(READ_LIMIT))?;
    let mut connection = Raw::new(stream);
    let expected: Vec<_> = (0..4).map(|n| format!("/bytes/100?n={n}")).collect();
    let mut requests = String::new();
    for target in &expected {
        write!(requests, "GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    }
    connection.send(requests)?;
    for _ in &expected {
        ensure!(connection.reply()?.status == 200);
    }
    let report = agent.stop()?;
    linked_pairs(&report.spans, &expected)?;
    report.summary.lost_nothing()
}
