//! Real clients that carry out a [`Plan`].

use std::{collections::BTreeMap, fs, path::Path, process::Command, thread};

use anyhow::{Context, Result};

use crate::{
    artifacts,
    plan::{Plan, Request},
    process::output,
};

/// What a client speaks, in plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 by prior knowledge.
    Http2,
    /// HTTP/2 by an upgrade of the connection's first request, if the server agrees.
    Upgrade,
}

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// curl, a process for each connection.
    Curl,
    /// Go's net/http, for HTTP/2 x/net/http2.
    Go,
    /// java.net.http, for HTTP/2 only by upgrade.
    Java,
    /// Python's requests, HTTP/1 only.
    Requests,
    /// Python's httpx, HTTP/2 only.
    Httpx,
    /// Node's http2, HTTP/2 only.
    Node,
    /// Rust's hyper, HTTP/2 only.
    Hyper,
}

impl Client {
    /// A tag for queries.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Go => "go",
            Self::Java => "java",
            Self::Requests => "requests",
            Self::Httpx => "httpx",
            Self::Node => "node",
            Self::Hyper => "hyper",
        }
    }

    /// `service.name` of its spans.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Go => "go-client",
            Self::Java => "Client",
            Self::Requests => "client",
            Self::Httpx | Self::Node => "http2_client",
            Self::Hyper => "hyper-client",
        }
    }

    /// Builds what it needs, so that a later run is short.
    ///
    /// # Errors
    /// When it does not build.
    pub fn prepare(self) -> Result<()> {
        match self {
            Self::Curl | Self::Node | Self::Hyper => Ok(()),
            Self::Go => artifacts::go_client().map(drop),
            Self::Java => artifacts::java().map(drop),
            Self::Requests | Self::Httpx => artifacts::python().map(drop),
        }
    }

    /// Sends all requests by HTTP/1.1 and checks all answers.
    ///
    /// # Errors
    /// When the client fails, or an answer is not what the services promise.
    pub fn run(self, base: &str, plan: &Plan) -> Result<()> {
        self.run_over(Wire::Http1, base, plan)
    }

    /// As [`Client::run`], by any protocol that this client knows.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub fn run_over(self, wire: Wire, base: &str, plan: &Plan) -> Result<()> {
        let directory = tempfile::tempdir()?;
        if self == Self::Curl {
            return plan.check_answers(&run_curl(wire, base, plan, directory.path())?);
        }
        let file = directory.path().join("plan");
        fs::write(&file, plan.to_text())?;
        let mut command = self.command()?;
        if wire != Wire::Http1 {
            command.env("HTTP2", "1");
        }
        if plan.one_connection {
            command.env("ONE_CONNECTION", "1");
        }
        plan.check_answers(&output(command.arg(base).arg(&file))?)
    }

    fn command(self) -> Result<Command> {
        Ok(match self {
            Self::Curl => Command::new("curl"),
            Self::Go => Command::new(artifacts::go_client()?),
            Self::Java => {
                let mut command = artifacts::java()?;
                command.arg("Client");
                command
            }
            Self::Requests => artifacts::python_program("client.py")?,
            Self::Httpx => artifacts::python_program("http2_client.py")?,
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(artifacts::program("node/http2_client.js"));
                command
            }
            Self::Hyper => Command::new(artifacts::rust_program("hyper-client")?),
        })
    }
}

fn run_curl(wire: Wire, base: &str, plan: &Plan, directory: &Path) -> Result<String> {
    let mut connections: BTreeMap<usize, Vec<&Request>> = BTreeMap::new();
    for request in &plan.requests {
        connections
            .entry(request.connection)
            .or_default()
            .push(request);
    }
    let mut running = Vec::new();
    for (connection, requests) in connections {
        // Debian 12's curl cannot use a connection of prior knowledge twice.
        let together = if wire == Wire::Http2 {
            1
        } else {
            requests.len()
        };
        let mut configs = Vec::new();
        for (number, requests) in requests.chunks(together).enumerate() {
            let config = directory.join(format!("connection-{connection}-{number}"));
            fs::write(&config, curl_config(wire, base, requests, directory)?)?;
            configs.push(config);
        }
        running.push(thread::spawn(move || -> Result<String> {
            let mut printed = String::new();
            for config in configs {
                let mut curl = Command::new("curl");
                curl.args(["--silent", "--show-error", "--max-time", "60"]);
                printed += &output(curl.arg("--config").arg(config))?;
            }
            Ok(printed)
        }));
    }
    let mut printed = String::new();
    for thread in running {
        let text = thread.join().ok().context("a thread panicked")??;
        printed += &text.replace(base, "");
    }
    Ok(printed)
}

fn curl_config(wire: Wire, base: &str, requests: &[&Request], directory: &Path) -> Result<String> {
    let version = match wire {
        Wire::Http1 => "http1.1",
        Wire::Http2 => "http2-prior-knowledge",
        Wire::Upgrade => "http2",
    };
    let mut blocks = Vec::new();
    for request in requests {
        let mut lines = vec![
            format!("url = \"{base}{}\"", request.target),
            version.to_owned(),
            "output = /dev/null".to_owned(),
            r#"write-out = "%{url}\t%{http_code}\t%{size_download}\n""#.to_owned(),
        ];
        if request.method == "HEAD" {
            lines.push("head".to_owned());
        } else {
            lines.push(format!("request = {}", request.method));
        }
        if let Some(size) = request.body {
            let file = directory.join(format!("body-{size}"));
            if !file.exists() {
                fs::write(&file, vec![b'b'; usize::try_from(size)?])?;
            }
            lines.push(format!("data-binary = \"@{}\"", file.display()));
        }
        if request.chunked {
            lines.push("header = \"Transfer-Encoding: chunked\"".to_owned());
        }
        blocks.push(lines.join("\n"));
    }
    Ok(blocks.join("\nnext\n"))
}
