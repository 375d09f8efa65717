//! Every service and every client: one SERVER and one CLIENT span for each request, linked, and as
//! the client counted it. 20 connections, several requests on each.

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::Agent,
    check::{self, Services},
    client::Client,
    needs_root,
    plan::Plan,
    server::{Kind, Server},
};

/// Lets clients run their plans one after the other against a service that is older than the agent.
fn trace(kind: Kind, clients: &[Client]) -> Result<()> {
    for client in clients {
        client.prepare()?;
    }
    let server = Server::start(kind)?;
    let agent = Agent::on_ports(&[server.port])?;
    let mut plans = Vec::new();
    for client in clients {
        let plan = Plan::standard(kind.dialect()).tagged(client.tag());
        client
            .run(&server.base(), &plan)
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
