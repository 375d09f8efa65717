//! Who is the parent: the header, the peer, the thread, and nobody where nobody is known.

use std::{net::TcpStream, process::Command};

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::{Agent, Report},
    check,
    client::Client,
    needs_root,
    plan::{Answer, Plan},
    process::output,
    raw::Raw,
    server::{Kind, Server},
    span::{self, Span},
};

/// Calls by their parent.
#[derive(Debug, Default)]
struct Parents {
    right: usize,
    none: usize,
    wrong: usize,
}

/// Sends 20 times 10 concurrent requests through a service of `kind`, which calls another for
/// each, and compares each call's parent with the id that both requests carry.
fn hop(kind: Kind) -> Result<Parents> {
    Client::Go.prepare()?;
    let back = Server::start(Kind::Go)?;
    let front = Server::start_before(kind, &back)?;
    let agent = Agent::on_ports(&[front.port, back.port])?;
    let mut plan = Plan::default();
    for number in 0..200 {
        let answer = Answer {
            status: 200,
            size: 4,
            chunked: false,
            sleep: std::time::Duration::ZERO,
        };
        plan.add(number % 20, "GET", &format!("/call/{number}"), None, answer);
    }
    Client::Go.run(&front.base(), &plan)?;
    let report = agent.stop()?;
    report.summary.lost_nothing()?;
    ensure!(report.spans.len() == 800, "{} spans", report.spans.len());
    judge(&report)
}

fn judge(report: &Report) -> Result<Parents> {
    let mut parents = Parents::default();
    let calls = check::of_kind(&report.spans, span::Kind::Client)
        .filter(|span| span.target().starts_with("/bytes/3?id="));
    for call in calls {
        if call.parent_span_id.is_empty() {
            parents.none += 1;
            continue;
        }
        let target = call.target();
        let id = target.split('=').nth(1).context("a call without an id")?;
        let parent = check::of_kind(&report.spans, span::Kind::Server)
            .find(|span| span.span_id == call.parent_span_id);
        let right = parent.is_some_and(|parent| {
            parent.text("url.path") == format!("/call/{id}")
                && parent.trace_id == call.trace_id
                && parent.start <= call.start
        });
        if right {
            parents.right += 1;
        } else {
            parents.wrong += 1;
        }
    }
    ensure!(
        parents.right + parents.none + parents.wrong == 200,
        "{parents:?}"
    );
    Ok(parents)
}

#[test]
fn a_thread_for_each_connection() -> Result<()> {
    needs_root!("a_thread_for_each_connection");
    let parents = hop(Kind::PythonThreads)?;
    ensure!(parents.right == 200, "{parents:?}");
    Ok(())
}

#[test]
fn a_pool_of_threads() -> Result<()> {
    needs_root!("a_pool_of_threads");
    let parents = hop(Kind::Java)?;
    ensure!(parents.right == 200, "{parents:?}");
    Ok(())
}

#[test]
fn an_event_loop_gets_no_wrong_parents() -> Result<()> {
    needs_root!("an_event_loop_gets_no_wrong_parents");
    let parents = hop(Kind::Node)?;
    ensure!(parents.wrong == 0, "{parents:?}");
    Ok(())
}

#[test]
fn goroutines_get_no_wrong_parents() -> Result<()> {
    needs_root!("goroutines_get_no_wrong_parents");
    let parents = hop(Kind::Go)?;
    ensure!(parents.wrong == 0, "{parents:?}");
    Ok(())
}

/// The only SERVER and CLIENT span of a target.
fn pair(spans: &[Span], target: &str) -> Result<(Span, Span)> {
    let mut pairs = check::pairs(spans);
    let pair = pairs
        .remove(target)
        .with_context(|| format!("no {target}"))?;
    match (pair.server.as_slice(), pair.client.as_slice()) {
        ([server], [client]) => Ok(((*server).clone(), (*client).clone())),
        _ => anyhow::bail!("{target}: {pair:?}"),
    }
}

/// A context that an application might send.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// A second span of it: no two spans have one id.
const LATER: &str = "00f067aa0ba902b8";

#[test]
fn trace_context_of_the_application() -> Result<()> {
    needs_root!("trace_context_of_the_application");
    let valid = format!("00-{TRACE}-{SPAN}-01");
    let server = Server::start(Kind::Go)?;
    let agent = Agent::on_ports(&[server.port])?;
    let mut connection = Raw::new(TcpStream::connect(("127.0.0.1", server.port))?);
    let headers = format!("traceparent: {valid}\r\ntracestate: vendor=a,other=b\r\n");
    connection.get("/bytes/1?valid", &headers)?;
    let later = format!("TraceParent: cc-{TRACE}-{LATER}-01-more\r\n");
    connection.get("/bytes/1?later", &later)?;
    let invalid = [
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{TRACE}-{SPAN}"),
        String::new(),
        format!("{valid}\r\ntraceparent: {valid}"),
    ];
    for (number, value) in invalid.iter().enumerate() {
        let target = format!("/bytes/1?invalid={number}");
        connection.get(&target, &format!("traceparent: {value}\r\n"))?;
    }
    let report = agent.stop()?;
    for (target, id) in [("/bytes/1?valid", SPAN), ("/bytes/1?later", LATER)] {
        let (server, client) = pair(&report.spans, target)?;
        check::linked(&server, &client).context(target)?;
        ensure!(
            client.trace_id == TRACE && client.span_id == id,
            "{client:?}"
        );
    }
    let (server, _) = pair(&report.spans, "/bytes/1?valid")?;
    ensure!(server.trace_state == "vendor=a,other=b", "{server:?}");
    for (number, value) in invalid.iter().enumerate() {
        let (server, client) = pair(&report.spans, &format!("/bytes/1?invalid={number}"))?;
        check::linked(&server, &client)?;
        ensure!(
            client.trace_id != TRACE && client.parent_span_id.is_empty(),
            "{value:?} was taken"
        );
    }
    report.summary.lost_nothing()
}

#[test]
fn names_from_the_traced_process() -> Result<()> {
    needs_root!("names_from_the_traced_process");
    let server = Server::start_with(
        Kind::Go,
        "127.0.0.1",
        &[],
        &[
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,team=a%20b"),
        ],
    )?;
    let agent = Agent::on_ports(&[server.port])?;
    let mut curl = Command::new("curl");
    curl.env("OTEL_RESOURCE_ATTRIBUTES", "service.name=buyer,team=c");
    output(curl.args(["-sS", &format!("{}/bytes/1?n=1", server.base())]))?;
    let report = agent.stop()?;
    let (server_span, client) = pair(&report.spans, "/bytes/1?n=1")?;
    ensure!(
        server_span.service() == "shop",
        "{:?}",
        server_span.resource
    );
    ensure!(server_span.resource_text("team") == "a b");
    ensure!(client.service() == "buyer", "{:?}", client.resource);
    ensure!(client.resource_text("team") == "c");
    for span in [&server_span, &client] {
        for key in [
            "service.instance.id",
            "process.executable.name",
            "host.name",
        ] {
            ensure!(
                !span.resource_text(key).is_empty(),
                "no {key} in {:?}",
                span.resource
            );
        }
        ensure!(span.resource.contains_key("process.pid"));
    }
    ensure!(server_span.resource["process.pid"] == server.pid());
    ensure!(server_span.resource_text("process.executable.name") == "go-server");
    Ok(())
}
