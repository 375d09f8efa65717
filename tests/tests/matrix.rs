//! Every service and every client, over HTTP/1.1 and HTTP/2: one SERVER and one CLIENT span for each request, linked, and as
//! the client counted it. 20 connections, several requests on each.

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::Agent,
    check::{self, Services},
    client::{Client, Wire},
    needs_root,
    plan::Plan,
    server::{Kind, Server},
    span::Span,
};

/// Lets clients run their plans by HTTP/1.1.
fn trace(kind: Kind, clients: &[Client]) -> Result<()> {
    trace_over(Wire::Http1, kind, clients)
}

/// Lets clients run their plans one after the other against a service that is older than the agent.
fn trace_over(wire: Wire, kind: Kind, clients: &[Client]) -> Result<()> {
    for client in clients {
        client.prepare()?;
    }
    let server = if wire == Wire::Http1 {
        Server::start(kind)?
    } else {
        Server::start_http2(kind)?
    };
    let agent = Agent::on_ports(&[server.port])?;
    let mut plans = Vec::new();
    for client in clients {
        let mut plan = Plan::standard(kind.dialect()).tagged(client.tag());
        if wire != Wire::Http1 {
            plan = plan.over_http2();
        }
        if wire == Wire::Upgrade {
            plan = plan.below(1000);
        }
        client
            .run_over(wire, &server.base(), &plan)
            .with_context(|| format!("{client:?}: {}", server.log()))?;
        plans.push(plan);
    }
    let report = agent.stop()?;
    for (client, plan) in clients.iter().zip(&plans) {
        let tag = format!("client={}", client.tag());
        let mine: Vec<_> = report
            .spans
            .iter()
            .filter(|span| span.target().ends_with(&tag))
            .cloned()
            .collect();
        let services = Services {
            server: kind.service(),
            client: client.service(),
        };
        check::plan(plan, &mine, services)
            .and_then(|()| versions(wire, &mine))
            .with_context(|| format!("{kind:?} by {client:?}; {}", report.log))?;
    }
    let requests: usize = plans.iter().map(|plan| plan.requests.len()).sum();
    ensure!(
        report.spans.len() == 2 * requests,
        "{} spans for {requests} requests",
        report.spans.len()
    );
    report.summary.lost_nothing()
}

/// Checks what the spans say of the protocol. The request of an upgrade is one of HTTP/1.1.
fn versions(wire: Wire, spans: &[Span]) -> Result<()> {
    let old = spans
        .iter()
        .filter(|span| span.text("network.protocol.version") == "1.1")
        .count();
    let new = spans
        .iter()
        .filter(|span| span.text("network.protocol.version") == "2")
        .count();
    ensure!(old + new == spans.len(), "spans of neither version");
    let connections = 20;
    ensure!(match wire {
        Wire::Http1 => new == 0,
        Wire::Http2 => old == 0,
        Wire::Upgrade => old <= 2 * connections && new > old,
    });
    Ok(())
}

#[test]
fn nginx() -> Result<()> {
    needs_root!("nginx");
    trace(Kind::Nginx, &[Client::Curl, Client::Go])
}

#[test]
fn apache() -> Result<()> {
    needs_root!("apache");
    trace(Kind::Apache, &[Client::Curl, Client::Go])
}

#[test]
fn python_threads() -> Result<()> {
    needs_root!("python_threads");
    trace(Kind::PythonThreads, &[Client::Curl, Client::Go])
}

#[test]
fn python_forks() -> Result<()> {
    needs_root!("python_forks");
    trace(Kind::PythonForks, &[Client::Curl, Client::Go])
}

#[test]
fn wsgi() -> Result<()> {
    needs_root!("wsgi");
    trace(Kind::Wsgi, &[Client::Curl, Client::Go])
}

#[test]
fn node() -> Result<()> {
    needs_root!("node");
    trace(Kind::Node, &[Client::Curl, Client::Go])
}

#[test]
fn java() -> Result<()> {
    needs_root!("java");
    trace(Kind::Java, &[Client::Curl, Client::Go])
}

#[test]
fn hyper() -> Result<()> {
    needs_root!("hyper");
    trace(Kind::Hyper, &[Client::Curl, Client::Go])
}

#[test]
fn go_by_every_client() -> Result<()> {
    needs_root!("go_by_every_client");
    let clients = [Client::Curl, Client::Go, Client::Java, Client::Requests];
    trace(Kind::Go, &clients)
}

#[test]
fn nginx_http2() -> Result<()> {
    needs_root!("nginx_http2");
    trace_over(Wire::Http2, Kind::Nginx, &[Client::Curl, Client::Go])
}

#[test]
fn node_http2() -> Result<()> {
    needs_root!("node_http2");
    trace_over(Wire::Http2, Kind::Node, &[Client::Node, Client::Go])
}

#[test]
fn hypercorn_http2() -> Result<()> {
    needs_root!("hypercorn_http2");
    trace_over(Wire::Http2, Kind::Hypercorn, &[Client::Httpx, Client::Go])
}

#[test]
fn hyper_http2() -> Result<()> {
    needs_root!("hyper_http2");
    trace_over(Wire::Http2, Kind::Hyper, &[Client::Hyper, Client::Go])
}

#[test]
fn go_http2_by_every_client() -> Result<()> {
    needs_root!("go_http2_by_every_client");
    let clients = [Client::Go, Client::Node, Client::Httpx, Client::Hyper];
    trace_over(Wire::Http2, Kind::Go, &clients)
}

#[test]
fn go_by_upgrade() -> Result<()> {
    needs_root!("go_by_upgrade");
    trace_over(Wire::Upgrade, Kind::Go, &[Client::Curl, Client::Java])
}
