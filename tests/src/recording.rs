//! `wirespan record` and `wirespan replay` as their user runs them.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    agent::{STOP_LIMIT, binary},
    process::Process,
    span::{self, Span},
};

/// A recording under way.
#[derive(Debug)]
pub struct Recorder {
    process: Process,
    directory: TempDir,
}

/// A recording that is complete.
#[derive(Debug)]
pub struct Recording {
    directory: TempDir,
    /// Standard error of the recorder.
    pub log: String,
}

const FILE: &str = "recording";
const LOG: &str = "log";

impl Recorder {
    /// Starts a recorder with these arguments, and waits until it records.
    ///
    /// # Errors
    /// When it ends or does not record within 20 seconds; the error has its log.
    pub fn start<S: AsRef<OsStr>>(arguments: &[S]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let process = Process::spawn(
            Command::new(binary()?)
                .args(["record", "--output"])
                .arg(directory.path().join(FILE))
                .args(arguments)
                .stdin(Stdio::null())
                .stderr(File::create(directory.path().join(LOG))?),
        )?;
        let mut recorder = Self { process, directory };
        let begun = Instant::now();
        while !recorder.log().contains("wirespan: recording") {
            ensure!(
                recorder.process.is_running() && begun.elapsed() < Duration::from_secs(20),
                "the recorder does not record: {}",
                recorder.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
        Ok(recorder)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join(LOG)).unwrap_or_default()
    }

    /// Ends it by SIGINT.
    ///
    /// # Errors
    /// When it does not exit with 0 in time.
    pub fn stop(self) -> Result<Recording> {
        thread::sleep(Duration::from_millis(300));
        self.process.signal(Signal::INT)?;
        self.wait(STOP_LIMIT)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not exit with 0 in time.
    pub fn wait(mut self, limit: Duration) -> Result<Recording> {
        let status = self.process.wait(limit)?;
        let log = self.log();
        ensure!(status.success(), "the recorder ended with {status}: {log}");
        Ok(Recording {
            directory: self.directory,
            log,
        })
    }

    /// Ends it without giving it a chance to write anything more.
    ///
    /// # Errors
    /// When it has gone already.
    pub fn kill(mut self) -> Result<Recording> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(STOP_LIMIT)?;
        Ok(Recording {
            log: self.log(),
            directory: self.directory,
        })
    }
}

impl Recording {
    /// Its file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join(FILE)
    }
}

/// What a replay said.
#[derive(Debug)]
pub struct Replayed {
    /// Its exit code.
    pub code: i32,
    /// Its standard output: OTLP/JSON.
    pub output: String,
    /// Its standard error.
    pub log: String,
}

impl Replayed {
    /// Its spans.
    ///
    /// # Errors
    /// When standard output has something else than OTLP/JSON.
    pub fn spans(&self) -> Result<Vec<Span>> {
        span::parse_lines(&self.output)
    }
}

/// Replays a file to OTLP/JSON, with further arguments.
///
/// # Errors
/// When the command cannot be started, or its output is no text.
pub fn replay(file: &Path, arguments: &[&str]) -> Result<Replayed> {
    replay_by(&mut Command::new(binary()?), file, arguments)
}

/// Replays a file from standard input as a user without any right, in a network namespace without
/// any interface.
///
/// # Errors
/// As [`replay`].
pub fn replay_without_rights(file: &Path) -> Result<Replayed> {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "setpriv", "--reuid=65534", "--regid=65534"])
        .args(["--clear-groups", "--bounding-set=-all", "--no-new-privs"])
        .arg(binary()?)
        .stdin(File::open(file)?);
    replay_by(&mut command, Path::new("-"), &[])
}

fn replay_by(command: &mut Command, file: &Path, arguments: &[&str]) -> Result<Replayed> {
    let output = command
        .arg("replay")
        .arg(file)
        .args(["--export", "otlp-json"])
        .args(arguments)
        .output()
        .context("cannot start a replay")?;
    Ok(Replayed {
        code: output.status.code().context("a replay was killed")?,
        output: String::from_utf8(output.stdout)?,
        log: String::from_utf8(output.stderr)?,
    })
}
