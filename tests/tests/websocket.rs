//! Connections after an upgrade: one span from it to the close, with messages and bytes counted.

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::Agent,
    artifacts, check, needs_root,
    process::output,
    server::{Kind, Server},
    span,
};

/// A connection of so many messages of so many bytes.
struct Case {
    count: i64,
    size: i64,
    end: &'static str,
}

const CASES: [Case; 4] = [
    Case {
        count: 20,
        size: 10,
        end: "close",
    },
    Case {
        count: 3,
        size: 100_000,
        end: "close",
    },
    Case {
        count: 0,
        size: 0,
        end: "close",
    },
    Case {
        count: 5,
        size: 1_000,
        end: "reset",
    },
];

#[test]
fn echoes_are_counted() -> Result<()> {
    needs_root!("echoes_are_counted");
    let server = Server::start(Kind::Hypercorn)?;
    let agent = Agent::on_ports(&[server.port])?;
    for (number, case) in CASES.iter().enumerate() {
        let mut client = artifacts::python_program("websocket_client.py")?;
        let (count, size) = (case.count.to_string(), case.size.to_string());
        client.args([&server.base(), &format!("/echo?case={number}")]);
        let printed = output(client.args([&count, &size, case.end]))?;
        let bytes = case.count * case.size;
        let expected = format!("{count}\t{bytes}\t{count}\t{bytes}");
        ensure!(printed.trim() == expected, "the client counted {printed}");
    }
    let report = agent.stop()?;
    let mut pairs = check::pairs(&report.spans);
    for (number, case) in CASES.iter().enumerate() {
        let target = format!("/echo?case={number}");
        let pair = pairs.remove(&target).unwrap_or_default();
        let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
            anyhow::bail!("{target}: {pair:?}; {}", report.log);
        };
        if case.end == "close" {
            check::linked(server, client)?;
        } else {
            check::child(server, client)?;
        }
        for span in [server, client] {
            check_span(case, span).with_context(|| format!("{span:?}; {}", report.log))?;
        }
    }
    ensure!(pairs.is_empty(), "{pairs:?}");
    report.summary.lost_nothing()
}

fn check_span(case: &Case, span: &span::Span) -> Result<()> {
    ensure!(span.text("http.request.method") == "GET");
    ensure!(span.number("http.response.status_code") == Some(101));
    for (key, expected) in [
        ("wirespan.websocket.request.messages", case.count),
        ("wirespan.websocket.response.messages", case.count),
        ("http.request.body.size", case.count * case.size),
        ("http.response.body.size", case.count * case.size),
    ] {
        let found = span.number(key).unwrap_or(0);
        ensure!(found == expected, "{key} is {found}, not {expected}");
    }
    if case.end == "close" {
        ensure!(span.number("wirespan.websocket.close_code") == Some(1000));
        ensure!(!span.error && span.text("error.type").is_empty());
    } else {
        ensure!(
            !span
                .attributes
                .contains_key("wirespan.websocket.close_code")
        );
        // The client is the one that resets, on purpose.
        let error = match span.kind {
            span::Kind::Server => "connection_reset",
            span::Kind::Client => "",
        };
        ensure!(span.text("error.type") == error && span.error != error.is_empty());
    }
    Ok(())
}
