//! The agent as its user runs it: the released binary, its arguments, its output, its signals.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    path::PathBuf,
    process::{ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    artifacts::target_directory,
    process::{Process, wait_until},
    span::{self, Span},
    summary::Summary,
};

/// How long the agent may take to stop.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Path of the binary under test: `WIRESPAN_BIN`, else the release build.
///
/// # Errors
/// When it is missing.
pub fn binary() -> Result<PathBuf> {
    let path = env::var_os("WIRESPAN_BIN").map_or_else(
        || target_directory().join("release/wirespan"),
        PathBuf::from,
    );
    ensure!(
        path.is_file(),
        "{} is missing: build it with cargo xtask build --release",
        path.display()
    );
    Ok(path)
}

const SPANS: &str = "spans";
const LOG: &str = "log";
const SUMMARY: &str = "summary.json";

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    directory: TempDir,
    started: Duration,
}

/// What an agent left behind.
#[derive(Debug)]
pub struct Report {
    /// Its spans, in order of export.
    pub spans: Vec<Span>,
    /// Its summary.
    pub summary: Summary,
    /// Its standard error.
    pub log: String,
    /// From the signal to its end.
    pub stopped_in: Duration,
}

impl Agent {
    /// Starts an agent that writes OTLP/JSON, and waits until it traces.
    ///
    /// # Errors
    /// When it ends or does not trace within 20 seconds; the error has its log.
    pub fn start<S: AsRef<OsStr>>(arguments: &[S]) -> Result<Self> {
        Self::start_with(arguments, &[])
    }

    /// As [`Agent::start`], with environment variables.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn start_with<S: AsRef<OsStr>>(
        arguments: &[S],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut command = command(&directory, arguments)?;
        command
            .envs(environment.iter().copied())
            .stdout(File::create(directory.path().join(SPANS))?);
        Self::launch(&mut command, directory)
    }

    /// Starts an agent whose standard output the caller takes, for more spans than a test wants
    /// to keep.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn start_piped<S: AsRef<OsStr>>(arguments: &[S]) -> Result<(Self, ChildStdout)> {
        let directory = tempfile::tempdir()?;
        let mut command = command(&directory, arguments)?;
        let mut agent = Self::launch(command.stdout(Stdio::piped()), directory)?;
        let stdout = agent.process.child().stdout.take();
        Ok((agent, stdout.context("the agent has no standard output")?))
    }

    fn launch(command: &mut Command, directory: TempDir) -> Result<Self> {
        command.stderr(File::create(directory.path().join(LOG))?);
        let begun = Instant::now();
        let mut agent = Self {
            process: Process::spawn(command)?,
            directory,
            started: Duration::ZERO,
        };
        while !agent.log().contains("wirespan: tracing") {
            ensure!(
                agent.process.is_running() && begun.elapsed() < Duration::from_secs(20),
                "the agent does not trace: {}",
                agent.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
        agent.started = begun.elapsed();
        Ok(agent)
    }

    /// Traces only what uses one of these ports.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn on_ports(ports: &[u16]) -> Result<Self> {
        Self::start(&port_arguments(ports))
    }

    /// From its start until it traced.
    #[must_use]
    pub fn started_in(&self) -> Duration {
        self.started
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join(LOG)).unwrap_or_default()
    }

    /// Its spans so far, whole lines only.
    ///
    /// # Errors
    /// When standard output has something else than OTLP/JSON.
    pub fn spans(&self) -> Result<Vec<Span>> {
        let file = self.directory.path().join(SPANS);
        if !file.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(file)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        span::parse_lines(&text[..whole])
    }

    /// Waits until it has exported `count` spans.
    ///
    /// # Errors
    /// When it has not within `limit`.
    pub fn wait_spans(&self, count: usize, limit: Duration) -> Result<()> {
        wait_until(&format!("{count} spans"), limit, || {
            self.spans().is_ok_and(|spans| spans.len() >= count)
        })
    }

    /// Stops it by SIGINT and collects what it left.
    ///
    /// # Errors
    /// When it does not exit with 0 in time, or left something that is not OTLP/JSON.
    pub fn stop(self) -> Result<Report> {
        self.stop_by(Signal::INT)
    }

    /// As [`Agent::stop`], by any signal that ends it in an orderly way.
    ///
    /// # Errors
    /// As [`Agent::stop`].
    pub fn stop_by(mut self, signal: Signal) -> Result<Report> {
        // A client may have its answer before the server's call has returned, and the hooks fire
        // when it returns.
        thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        self.process.signal(signal)?;
        let status = self.process.wait(STOP_LIMIT)?;
        let stopped_in = begun.elapsed();
        ensure!(
            status.success(),
            "the agent ended with {status}: {}",
            self.log()
        );
        Ok(Report {
            spans: self.spans()?,
            summary: Summary::read(&self.directory.path().join(SUMMARY))?,
            log: self.log(),
            stopped_in,
        })
    }

    /// Ends it without giving it a chance to clean up.
    ///
    /// # Errors
    /// When it has gone already.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(STOP_LIMIT)
    }
}

/// An agent that writes OTLP/JSON and a summary.
fn command<S: AsRef<OsStr>>(directory: &TempDir, arguments: &[S]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .args(["run", "--export", "otlp-json", "--summary"])
        .arg(directory.path().join(SUMMARY))
        .args(arguments)
        .stdin(Stdio::null());
    Ok(command)
}

/// `--port` for each port.
#[must_use]
pub fn port_arguments(ports: &[u16]) -> Vec<String> {
    let mut arguments = Vec::new();
    for port in ports {
        arguments.push("--port".to_owned());
        arguments.push(port.to_string());
    }
    arguments
}
