//! A real OpenTelemetry Collector that receives by gRPC and HTTP and writes a file.

use std::{
    fs,
    net::Ipv4Addr,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    artifacts,
    process::{Process, free_port, wait_listening},
    span::{self, Span},
};

/// A running Collector.
#[derive(Debug)]
pub struct Collector {
    process: Process,
    file: PathBuf,
    _directory: TempDir,
    /// Ports on 127.0.0.1.
    pub ports: Ports,
}

/// Where a Collector listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// OTLP by gRPC.
    pub grpc: u16,
    /// OTLP by HTTP.
    pub http: u16,
}

impl Ports {
    /// Two free ports.
    ///
    /// # Errors
    /// When the kernel has none left.
    pub fn free() -> Result<Self> {
        Ok(Self {
            grpc: free_port()?,
            http: free_port()?,
        })
    }
}

impl Collector {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be built or does not listen.
    pub fn start(ports: Ports) -> Result<Self> {
        let binary = artifacts::collector()?;
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("received");
        let config = directory.path().join("config.yaml");
        fs::write(
            &config,
            format!(
                "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: 127.0.0.1:{}}}
      http: {{endpoint: 127.0.0.1:{}}}
exporters:
  file: {{path: {}, flush_interval: 50ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
    metrics: {{receivers: [otlp], exporters: [file]}}
",
                ports.grpc,
                ports.http,
                file.display()
            ),
        )?;
        let log = fs::File::create(directory.path().join("log"))?;
        let mut command = Command::new(binary);
        command
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let collector = Self {
            process: Process::spawn(&mut command)?,
            file,
            _directory: directory,
            ports,
        };
        for port in [ports.grpc, ports.http] {
            wait_listening((Ipv4Addr::LOCALHOST, port).into()).context("the Collector")?;
        }
        Ok(collector)
    }

    /// Spans in its file so far.
    ///
    /// # Errors
    /// When the file has something else than OTLP/JSON.
    pub fn spans(&self) -> Result<Vec<Span>> {
        span::parse_lines(&self.lines("\"resourceSpans\""))
    }

    /// Names of the metrics in its file so far.
    ///
    /// # Errors
    /// When the file has something else than OTLP/JSON.
    pub fn metric_names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for line in self.lines("\"resourceMetrics\"").lines() {
            let data: serde_json::Value = serde_json::from_str(line)?;
            let all = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
            for resource in all(&data["resourceMetrics"]) {
                for scope in all(&resource["scopeMetrics"]) {
                    for metric in all(&scope["metrics"]) {
                        names.extend(metric["name"].as_str().map(str::to_owned));
                    }
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn lines(&self, with: &str) -> String {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let lines = text[..whole].split_inclusive('\n');
        lines.filter(|line| line.contains(with)).collect()
    }
}
