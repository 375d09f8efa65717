//! The agent is killed and started again while connections stay open and busy: capture resumes
//! within two seconds, and what it cannot know of a connection that is older than itself is said
//! to be unknown, never made up.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use wirespan_tests::{
    agent::{Agent, Report},
    artifacts,
    calls::Grpc,
    check, needs_root,
    process::Process,
    server::{Kind, Server},
    span::{self, Span},
};

/// How long the agent may take from its start.
const RESUMED: Duration = Duration::from_secs(2);
/// The header tables of the lines that send something new with each request have turned over.
const TURNED_OVER: Duration = Duration::from_secs(4);
/// Between the clock of the client and that of the spans; a line pauses for three times as long.
const CLOCKS: u64 = 5_000_000;

/// One request as the client counted it.
#[derive(Debug)]
struct Sent {
    line: String,
    port: i64,
    path: String,
    begun: u64,
    ended: u64,
}

fn read(printed: &str) -> Result<Vec<Sent>> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [line, port, path, begun, ended] = fields[..] else {
            anyhow::bail!("not a request: {line:?}");
        };
        Ok(Sent {
            line: line.to_owned(),
            port: port.parse()?,
            path: path.to_owned(),
            begun: begun.parse()?,
            ended: ended.parse()?,
        })
    };
    printed.lines().map(parse).collect()
}

fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_nanos())?)
}

/// One life of an agent.
struct Life {
    launched: u64,
    stopped: u64,
    report: Report,
}

impl Life {
    fn live(ports: &[u16], signal: Signal) -> Result<Self> {
        let launched = now()?;
        let agent = Agent::on_ports(ports)?;
        thread::sleep(Duration::from_secs(6));
        let stopped = now()?;
        Ok(Self {
            launched,
            stopped,
            report: agent.stop_by(signal)?,
        })
    }

    /// Checks the spans of everything that was sent after capture must have resumed.
    fn check(&self, sent: &[Sent]) -> Result<()> {
        let resumed = self.launched + u64::try_from(RESUMED.as_nanos())?;
        let turned_over = self.launched + u64::try_from(TURNED_OVER.as_nanos())?;
        let mut checked = 0;
        for request in sent {
            if request.begun < resumed || request.ended > self.stopped {
                continue;
            }
            let (server, client) = self.spans_of(request)?;
            for span in [server, client] {
                truth(request, span).with_context(|| format!("{request:?}: {span:?}"))?;
                let must_know = request.line == "http1"
                    || (request.line == "http2" && request.begun > turned_over);
                ensure!(
                    !must_know || unknown(span).is_empty(),
                    "{request:?}: {span:?}"
                );
            }
            checked += 1;
        }
        // Five lines for four seconds; each sends dozens a second.
        ensure!(checked > 200, "only {checked} requests");
        Ok(())
    }

    /// The SERVER and the CLIENT span of a request: a line has one at a time, so the port and the
    /// time tell.
    fn spans_of(&self, request: &Sent) -> Result<(&Span, &Span)> {
        let of_request = |span: &&Span| {
            span.number("network.peer.port") == Some(request.port)
                && span.start + CLOCKS >= request.begun
                && span.end <= request.ended + CLOCKS
        };
        let spans = &self.report.spans;
        let servers: Vec<_> = check::of_kind(spans, span::Kind::Server)
            .filter(of_request)
            .collect();
        let [server] = servers[..] else {
            anyhow::bail!("{} SERVER spans of {request:?}", servers.len());
        };
        let client = check::of_kind(spans, span::Kind::Client)
            .find(|span| span.span_id == server.parent_span_id)
            .with_context(|| format!("no CLIENT span of {request:?}: {server:?}"))?;
        check::linked(server, client)?;
        Ok((server, client))
    }
}

/// Names of the attributes that could not be known.
fn unknown(span: &Span) -> Vec<&str> {
    let names = span.attributes.get("wirespan.unknown");
    let names = names.and_then(|names| names.as_array());
    names
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str())
        .collect()
}

/// An attribute says what is true, or is absent and named.
fn right_or_unknown(span: &Span, key: &str, truth: &str) -> Result<()> {
    match span.attributes.get(key) {
        Some(value) => {
            let found = value.as_str().map_or(value.to_string(), str::to_owned);
            ensure!(found == truth, "{key} is {found}, not {truth}");
            ensure!(!unknown(span).contains(&key), "{key} is there and unknown");
        }
        None => ensure!(unknown(span).contains(&key), "{key} is absent"),
    }
    Ok(())
}

fn truth(request: &Sent, span: &Span) -> Result<()> {
    if span.attributes.contains_key("rpc.system.name") {
        ensure!(request.line.starts_with("grpc"), "not a call");
        right_or_unknown(span, "rpc.method", request.path.trim_start_matches('/'))?;
        right_or_unknown(span, "rpc.status_code", "OK")?;
        for key in [
            "wirespan.rpc.request.messages",
            "wirespan.rpc.response.messages",
        ] {
            right_or_unknown(span, key, "1")?;
        }
        return Ok(());
    }
    right_or_unknown(span, "http.response.status_code", "200")?;
    let method = if request.line.starts_with("grpc") {
        // What kind of request it is may be among what is unknown.
        ensure!(!unknown(span).is_empty(), "a call that is not known as one");
        "POST"
    } else {
        "GET"
    };
    right_or_unknown(span, "http.request.method", method)?;
    let key = match span.kind {
        span::Kind::Server => "url.path",
        span::Kind::Client => "url.full",
    };
    if span.attributes.contains_key(key) {
        ensure!(span.target() == request.path, "another target");
    } else {
        ensure!(unknown(span).contains(&key), "{key} is absent");
    }
    Ok(())
}

#[test]
fn under_load() -> Result<()> {
    needs_root!("under_load");
    let steady = artifacts::go_steady()?;
    let http = Server::start_http2(Kind::Go)?;
    let grpc = Grpc::Go.serve()?;
    let directory = tempfile::tempdir()?;
    let (out, log) = (directory.path().join("out"), directory.path().join("log"));
    let mut command = Command::new(steady);
    command
        .args([&http.base(), "19", &grpc.base()])
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out)?)
        .stderr(fs::File::create(&log)?);
    let mut load = Process::spawn(&mut command)?;
    thread::sleep(Duration::from_secs(1));
    let ports = [http.port, grpc.port];
    let first = Agent::on_ports(&ports)?;
    first.wait_spans(100, Duration::from_secs(5))?;
    first.kill()?;
    let lives = [
        Life::live(&ports, Signal::TERM)?,
        Life::live(&ports, Signal::INT)?,
    ];
    let ended = load.wait(Duration::from_secs(20))?;
    ensure!(ended.success(), "{}", fs::read_to_string(&log)?);
    let sent = read(&fs::read_to_string(&out)?)?;
    for life in lives {
        life.check(&sent).with_context(|| life.report.log.clone())?;
    }
    Ok(())
}
