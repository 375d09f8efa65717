//! Many requests at once, against nginx as Debian ships it (sendfile on).

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{ChildStdout, Command},
    thread,
};

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::Agent,
    check, needs_root,
    process::output,
    raw::Raw,
    server::{Kind, Server},
    span::Span,
};

/// Requests that nginx has received so far, this one included.
fn nginx_requests(server: &Server) -> Result<u64> {
    let mut connection = Raw::new(TcpStream::connect(("127.0.0.1", server.port))?);
    let reply = connection.get("/requests", "Connection: close\r\n")?;
    let text = String::from_utf8(reply.body)?;
    let numbers = text
        .lines()
        .nth(2)
        .context("no numbers in the status page")?;
    let requests = numbers.split_whitespace().nth(2);
    Ok(requests
        .context("no requests in the status page")?
        .parse()?)
}

#[test]
fn a_thousand_curls() -> Result<()> {
    needs_root!("a_thousand_curls");
    let server = Server::start(Kind::Nginx)?;
    let agent = Agent::start::<&str>(&[])?;
    let script = format!(
        "seq 1000 | xargs -P 100 -I N curl -sS -f -o /dev/null '{}/bytes/100?curl=N'",
        server.base()
    );
    output(Command::new("sh").args(["-c", &script]))?;
    let report = agent.stop()?;
    // Nothing narrows the agent here, so that other programs' requests may be among its spans.
    let mine: Vec<Span> = report
        .spans
        .into_iter()
        .filter(|span| span.target().starts_with("/bytes/100?curl="))
        .collect();
    let pairs = check::pairs(&mine);
    ensure!(pairs.len() == 1000, "{} requests have spans", pairs.len());
    let mut traces = BTreeSet::new();
    for (target, pair) in &pairs {
        let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
            anyhow::bail!("{target} has {pair:?}");
        };
        check::linked(server, client).with_context(|| target.clone())?;
        ensure!(server.service() == "nginx" && client.service() == "curl");
        ensure!(server.number("http.response.body.size") == Some(100));
        traces.insert(&server.trace_id);
    }
    ensure!(traces.len() == 1000, "{} traces", traces.len());
    report.summary.lost_nothing()
}

/// Spans on standard output, by kind.
#[derive(Debug, Default)]
struct Counted {
    server: u64,
    client: u64,
}

fn count(stdout: ChildStdout) -> Result<Counted> {
    let mut counted = Counted::default();
    let mut lines = BufReader::with_capacity(1 << 20, stdout);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        counted.server += line.matches("\"kind\":2,").count() as u64;
        counted.client += line.matches("\"kind\":3,").count() as u64;
        line.clear();
    }
    Ok(counted)
}

#[test]
fn wrk_at_full_speed() -> Result<()> {
    needs_root!("wrk_at_full_speed");
    let server = Server::start(Kind::Nginx)?;
    let before = nginx_requests(&server)?;
    let (agent, stdout) = Agent::start_piped(&["--port", &server.port.to_string()])?;
    let reader = thread::spawn(move || count(stdout));
    let url = format!("{}/bytes/100", server.base());
    let wrk = output(Command::new("wrk").args(["-t", "2", "-c", "20", "-d", "10s", &url]))?;
    let report = agent.stop()?;
    let requests = nginx_requests(&server)? - before - 1;
    let written = reader.join().ok().context("the reader panicked")??;
    let number = |section, key| report.summary.number(section, key);
    let (spans, lost) = (
        number("spans", "server")?,
        number("exchanges_lost", "server")?,
    );
    ensure!(requests > 1000, "wrk did little: {wrk}");
    ensure!(
        spans + lost == requests,
        "{spans} SERVER spans + {lost} lost are not nginx' {requests} requests: {}",
        report.summary.json()
    );
    let dropped = number("export", "dropped")?;
    let made = spans + number("spans", "client")?;
    ensure!(
        written.server + written.client + dropped == made,
        "{written:?} on standard output + {dropped} dropped are not the {made} that were made"
    );
    Ok(())
}
