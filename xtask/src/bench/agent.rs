//! The agent that is measured: starts and stops it, and reads what it used.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::server::Server;
use super::sink::Sink;

/// What the agent prints on standard error once it captures.
const READY: &str = "wirespan: tracing";

/// How long it may take to start, and to stop.
const LIMIT: Duration = Duration::from_secs(20);

/// A running agent; it ends with this value.
pub(super) struct Agent {
    child: Child,
    summary: PathBuf,
}

/// The part of its summary that the benchmark looks at.
#[derive(Debug, Deserialize)]
pub(super) struct Summary {
    pub(super) spans: Counts,
    pub(super) exchanges_lost: Counts,
    pub(super) losses: BTreeMap<String, u64>,
    pub(super) export: BTreeMap<String, u64>,
}

/// A count for each side of a connection.
#[derive(Debug, Deserialize)]
pub(super) struct Counts {
    pub(super) server: u64,
    pub(super) client: u64,
}

impl Agent {
    /// Starts an agent that traces one port and exports to the sink, and waits until it captures.
    pub(super) fn start(binary: &Path, port: u16, sink: &Sink) -> Result<Self> {
        let name = format!("wirespan-bench-{}.json", std::process::id());
        let summary = std::env::temp_dir().join(name);
        let mut child = Command::new(binary)
            .args([
                "run",
                "--export",
                "otlp",
                "--port",
                &port.to_string(),
                "--summary",
            ])
            .arg(&summary)
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://127.0.0.1:{}", sink.port()),
            )
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the agent")?;
        let stderr = child.stderr.take().context("no pipe")?;
        let agent = Self { child, summary };
        let (ready, wait) = mpsc::channel();
        // Reads to the end, so that the agent never waits for a full pipe.
        thread::spawn(move || {
            let mut said = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.contains(READY) {
                    // The receiver may have given up already.
                    let _ = ready.send(Ok(()));
                }
                said.push_str(&line);
                said.push('\n');
            }
            let _ = ready.send(Err(said));
        });
        match wait.recv_timeout(LIMIT) {
            Ok(Ok(())) => Ok(agent),
            Ok(Err(said)) => bail!("the agent ended: {}", said.trim()),
            Err(_) => bail!("the agent does not capture after {} s", LIMIT.as_secs()),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of all its threads, to the nanosecond.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let folder = format!("/proc/{}/task", self.pid());
        let mut total = 0;
        for task in fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
            // A thread may have ended meanwhile.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            total += text
                .split_whitespace()
                .next()
                .context("no run time")?
                .parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// The most memory that it had resident, in MB.
    pub(super) fn peak_resident_mb(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: f64 = line
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .context("no VmHWM in the agent's status")?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// Stops it with SIGINT and returns its summary.
    pub(super) fn stop(mut self) -> Result<Summary> {
        signal(&self.child, libc::SIGINT)?;
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!(
                    "the agent did not stop within {} s of SIGINT",
                    LIMIT.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(20));
        };
        if !status.success() {
            bail!("the agent failed ({status})");
        }
        let text = fs::read_to_string(&self.summary).context("the agent left no summary")?;
        fs::remove_file(&self.summary)?;
        serde_json::from_str(&text).with_context(|| format!("a summary of another form: {text}"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It has usually ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From the start of the process to its first span on standard output, under light load.
pub(super) fn first_span(binary: &Path, server: &Server) -> Result<Duration> {
    let begun = Instant::now();
    let mut child = Command::new(binary)
        .args([
            "run",
            "--export",
            "otlp-json",
            "--port",
            &server.port().to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the agent")?;
    let stdout = child.stdout.take().context("no pipe")?;
    let (first, wait) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        if BufReader::new(stdout)
            .read_line(&mut line)
            .is_ok_and(|count| count > 0)
        {
            // The receiver may have given up already.
            let _ = first.send(Instant::now());
        }
    });
    let taken = loop {
        if let Ok(at) = wait.try_recv() {
            break Some(at - begun);
        }
        if begun.elapsed() > LIMIT {
            break None;
        }
        server.request()?;
        thread::sleep(Duration::from_millis(5));
    };
    signal(&child, libc::SIGINT)?;
    child.wait()?;
    taken.with_context(|| format!("no span within {} s", LIMIT.as_secs()))
}

fn signal(child: &Child, signal: libc::c_int) -> Result<()> {
    let pid = libc::pid_t::try_from(child.id())?;
    // SAFETY: kill takes two numbers and touches no memory; the child has not been reaped.
    if unsafe { libc::kill(pid, signal) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot signal the agent");
    }
    Ok(())
}

/// Keeps this process, and what it starts from now on, on one core.
pub(super) fn pin(core: usize) -> Result<()> {
    // SAFETY: a set of CPUs is plain bits; all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the core's number is far below the size of the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the pointer and the size are those of the set above.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    if result != 0 {
        return Err(io::Error::last_os_error()).context("cannot stay on one core");
    }
    Ok(())
}
