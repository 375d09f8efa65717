//! Real clients that carry out a [`Plan`].

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result};

use crate::{
    artifacts,
    plan::{Plan, Request},
    process::output,
};

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// curl, a process for each connection.
    Curl,
    /// Go's net/http.
    Go,
    /// java.net.http
    Java,
    /// Python's requests.
    Requests,
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
        }
    }

    /// Builds what it needs, so that a later run is short.
    ///
    /// # Errors
    /// When it does not build.
    pub fn prepare(self) -> Result<()> {
        match self {
            Self::Curl => Ok(()),
            Self::Go => artifacts::go_client().map(drop),
            Self::Java => artifacts::java_classes().map(drop),
            Self::Requests => artifacts::python_with_requests().map(drop),
        }
    }

    /// Sends all requests and checks all answers.
    ///
    /// # Errors
    /// When the client fails, or an answer is not what the services promise.
    pub fn run(self, base: &str, plan: &Plan) -> Result<()> {
        let directory = tempfile::tempdir()?;
        if self == Self::Curl {
            return plan.check_answers(&run_curl(base, plan, directory.path())?);
        }
        let file = directory.path().join("plan");
        fs::write(&file, plan.to_text())?;
        let mut command = match self {
            Self::Go | Self::Curl => Command::new(artifacts::go_client()?),
            Self::Java => {
                let mut command = Command::new("java");
                command
                    .arg("-cp")
                    .arg(artifacts::java_classes()?)
                    .arg("Client");
                command
            }
            Self::Requests => {
                let mut command = Command::new(artifacts::python_with_requests()?);
                command.arg(artifacts::program("python/client.py"));
                command
            }
        };
        plan.check_answers(&output(command.arg(base).arg(&file))?)
    }
}

fn run_curl(base: &str, plan: &Plan, directory: &Path) -> Result<String> {
    let mut connections: BTreeMap<usize, Vec<&Request>> = BTreeMap::new();
    for request in &plan.requests {
        connections
            .entry(request.connection)
            .or_default()
            .push(request);
    }
    let mut running = Vec::new();
    for (connection, requests) in connections {
        let config = directory.join(format!("connection-{connection}"));
        fs::write(&config, curl_config(base, &requests, directory)?)?;
        let child = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        running.push(thread::spawn(move || child.wait_with_output()));
    }
    let mut printed = String::new();
    for thread in running {
        let output = thread.join().ok().context("a thread panicked")??;
        anyhow::ensure!(
            output.status.success(),
            "curl: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        printed += &String::from_utf8_lossy(&output.stdout).replace(base, "");
    }
    Ok(printed)
}

fn curl_config(base: &str, requests: &[&Request], directory: &Path) -> Result<String> {
    let mut blocks = Vec::new();
    for request in requests {
        let mut lines = vec![
            format!("url = \"{base}{}\"", request.target),
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
