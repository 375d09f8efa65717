//! Calls and responses that last: one span each for its whole life, while short calls come and go
//! on the same connection.

use std::{process::Command, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::Agent,
    calls::{Call, Grpc, compare},
    check::{self, Services},
    needs_root,
    process::output,
    server::{Kind, Server},
    span::Span,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn thirty_seconds() -> Result<()> {
    needs_root!("thirty_seconds");
    let service = Grpc::Go.serve()?;
    let web = Server::start(Kind::Hypercorn)?;
    let mut calls = vec![
        Call::download(0, 30, 100, SECOND),
        Call::chat(1, 10, 1000, 2 * SECOND),
    ];
    for number in 0..20 {
        calls.push(Call {
            delay: Duration::from_millis(200),
            ..Call::unary(2, 20 + number, 10)
        });
    }
    let agent = Agent::on_ports(&[service.port, web.port])?;
    let events = format!("{}/events/10", web.base());
    let curl =
        thread::spawn(move || output(Command::new("curl").args(["-sSN", "--http1.1", &events])));
    let outcomes = Grpc::Go.call(&service.base(), &calls)?;
    let received = curl.join().ok().context("a thread panicked")??;
    ensure!(received.matches("data: ").count() == 10, "{received}");
    let report = agent.stop()?;
    let (http, rpc): (Vec<Span>, Vec<Span>) = report
        .spans
        .into_iter()
        .partition(|span| span.target() == "/events/10");
    let services = Services {
        server: "go-grpc",
        client: "go-grpc",
    };
    compare::calls(&calls, &outcomes, &rpc, services).with_context(|| report.log.clone())?;
    let pair = check::pairs(&http).remove("/events/10").unwrap_or_default();
    let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
        anyhow::bail!("{pair:?}; {}", report.log);
    };
    check::linked(server, client)?;
    for span in [server, client] {
        ensure!(span.end - span.start >= 10 * 1_000_000_000, "{span:?}");
        ensure!(span.number("http.response.status_code") == Some(200) && !span.error);
        // Ten events of eleven bytes, each in a chunk of its own.
        let size = span.number("http.response.body.size").unwrap_or(0);
        ensure!((110..=200).contains(&size), "{span:?}");
    }
    report.summary.lost_nothing()
}
