//! Exchanges that break, and traffic that is no HTTP.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Command,
    thread,
};

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_socket_linger;
use wirespan_tests::{
    agent::{Agent, Report},
    check, needs_root,
};

/// Lets curl send one request to a server that does `behave` with its connection, in this process.
fn trace(behave: fn(TcpStream) -> Result<()>) -> Result<Report> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let agent = Agent::on_ports(&[port])?;
    let server = thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        // The request is small: it comes in one piece.
        let received = stream.read(&mut [0; 4096])?;
        ensure!(received > 0);
        behave(stream)
    });
    let url = format!("http://127.0.0.1:{port}/broken?n=1");
    let status = Command::new("curl")
        .args(["-s", "-m", "5", "-o", "/dev/null", &url])
        .status()?;
    server.join().ok().context("the server panicked")??;
    ensure!(!status.success(), "curl was content");
    agent.stop()
}

/// Both spans are there, linked, and errors; gives their `error.type`s and statuses.
fn broken(report: &Report) -> Result<[(String, Option<i64>); 2]> {
    let pairs = check::pairs(&report.spans);
    let pair = pairs.get("/broken?n=1").context("no spans")?;
    let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
        anyhow::bail!("{pair:?}");
    };
    check::linked(server, client)?;
    let mut found = [const { (String::new(), None) }; 2];
    for (span, found) in [server, client].into_iter().zip(&mut found) {
        ensure!(span.error, "{span:?} is no error");
        let status = span.number("http.response.status_code");
        *found = (span.text("error.type").to_owned(), status);
        ensure!(!found.0.is_empty(), "{span:?} has no error.type");
    }
    report.summary.lost_nothing()?;
    Ok(found)
}

#[test]
fn a_server_that_closes_without_an_answer() -> Result<()> {
    needs_root!("a_server_that_closes_without_an_answer");
    let report = trace(|stream| Ok(stream.shutdown(Shutdown::Both)?))?;
    let found = broken(&report)?;
    ensure!(
        found.iter().all(|(_, status)| status.is_none()),
        "{found:?}"
    );
    Ok(())
}

#[test]
fn a_server_that_resets() -> Result<()> {
    needs_root!("a_server_that_resets");
    let report = trace(|stream| Ok(set_socket_linger(&stream, Some(std::time::Duration::ZERO))?))?;
    let found = broken(&report)?;
    ensure!(
        found.iter().all(|(_, status)| status.is_none()),
        "{found:?}"
    );
    Ok(())
}

#[test]
fn an_answer_that_is_cut() -> Result<()> {
    needs_root!("an_answer_that_is_cut");
    let report = trace(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.")?;
        Ok(stream.shutdown(Shutdown::Both)?)
    })?;
    let found = broken(&report)?;
    ensure!(
        found.iter().all(|(_, status)| *status == Some(200)),
        "{found:?}"
    );
    Ok(())
}

#[test]
fn what_is_no_http_makes_no_spans() -> Result<()> {
    needs_root!("what_is_no_http_makes_no_spans");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let agent = Agent::on_ports(&[port])?;
    for message in [
        b"*1\r\n$4\r\nPING\r\n".as_slice(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"HELO example.org\r\n",
        b"GETTING started is not HTTP\r\n\r\n",
    ] {
        let mut client = TcpStream::connect(("127.0.0.1", port))?;
        let (mut server, _) = listener.accept()?;
        let mut buffer = vec![0; message.len()];
        for _ in 0..20 {
            client.write_all(message)?;
            server.read_exact(&mut buffer)?;
            server.write_all(message)?;
            client.read_exact(&mut buffer)?;
        }
    }
    let report = agent.stop()?;
    ensure!(report.spans.is_empty(), "{:?}", report.spans);
    report.summary.lost_nothing()
}
