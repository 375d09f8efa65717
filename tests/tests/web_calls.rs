//! gRPC-Web and Connect by curl, over HTTP/1.1 and HTTP/2.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::Agent,
    check, needs_root,
    process::output,
    server::{Kind, Server},
    span::{self, Span},
};

/// One call.
struct Case {
    system: &'static str,
    content_type: &'static str,
    /// Messages in envelopes; none for a unary call of Connect, which has no envelopes.
    envelopes: Option<i64>,
    fails: bool,
    /// `rpc.status_code`; Connect has none for success.
    code: &'static str,
}

const fn case(
    system: &'static str,
    content_type: &'static str,
    envelopes: Option<i64>,
    fails: bool,
    code: &'static str,
) -> Case {
    Case {
        system,
        content_type,
        envelopes,
        fails,
        code,
    }
}

const CASES: [Case; 6] = [
    case("grpc", "application/grpc-web+proto", Some(1), false, "OK"),
    case(
        "grpc",
        "application/grpc-web+proto",
        Some(1),
        true,
        "NOT_FOUND",
    ),
    case(
        "connectrpc",
        "application/connect+proto",
        Some(3),
        false,
        "",
    ),
    case(
        "connectrpc",
        "application/connect+proto",
        Some(2),
        true,
        "not_found",
    ),
    case("connectrpc", "application/proto", None, false, ""),
    case("connectrpc", "application/proto", None, true, "not_found"),
];

impl Case {
    fn body(&self) -> Vec<u8> {
        let message = b"hello";
        let Some(count) = self.envelopes else {
            return message.to_vec();
        };
        let mut body = Vec::new();
        for _ in 0..count {
            body.extend_from_slice(&[0, 0, 0, 0, 5]);
            body.extend_from_slice(message);
        }
        body
    }

    fn method(&self) -> &'static str {
        if self.fails {
            "programs.Streams/Fail"
        } else {
            "programs.Streams/Echo"
        }
    }

    fn send(&self, base: &str, version: &str, directory: &Path) -> Result<()> {
        let file = directory.join("body");
        fs::write(&file, self.body())?;
        let mut curl = Command::new("curl");
        curl.args(["-sS", version, "-o", "/dev/null", "-H"])
            .arg(format!("Content-Type: {}", self.content_type));
        if self.envelopes.is_none() {
            curl.args(["-H", "Connect-Protocol-Version: 1"]);
        }
        curl.arg("--data-binary")
            .arg(format!("@{}", file.display()))
            .arg(format!("{base}/{}", self.method()));
        output(&mut curl)?;
        Ok(())
    }

    fn check(&self, version: &str, span: &Span) -> Result<()> {
        ensure!(span.text("rpc.system.name") == self.system);
        ensure!(span.text("rpc.method") == self.method());
        ensure!(span.text("rpc.status_code") == self.code);
        ensure!(span.text("network.protocol.version") == version);
        let requests = self.envelopes.unwrap_or(1);
        let responses = if self.fails { 0 } else { requests };
        ensure!(span.number("wirespan.rpc.request.messages") == Some(requests));
        ensure!(span.number("wirespan.rpc.response.messages") == Some(responses));
        let error = self.fails && span.kind == span::Kind::Client;
        ensure!(span.error == error);
        Ok(())
    }
}

#[test]
fn by_curl() -> Result<()> {
    needs_root!("by_curl");
    let server = Server::start_http2(Kind::Hypercorn)?;
    let directory = tempfile::tempdir()?;
    for (option, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
        for case in &CASES {
            let agent = Agent::on_ports(&[server.port])?;
            case.send(&server.base(), option, directory.path())?;
            let report = agent.stop()?;
            let shown = || format!("{} {version}: {:#?}", case.content_type, report.spans);
            let mut spans = report.spans.clone();
            spans.sort_by_key(|span| span.kind);
            let [server, client] = spans.as_slice() else {
                anyhow::bail!(shown());
            };
            check::linked(server, client)
                .and_then(|()| case.check(version, server))
                .and_then(|()| case.check(version, client))
                .with_context(shown)?;
            report.summary.lost_nothing()?;
        }
    }
    Ok(())
}
