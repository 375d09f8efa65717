//! `cargo xtask fuzz`: parsers and file readers get bytes that nobody would send.
//!
//! The targets are in `tests/fuzz/targets`, what they found worth keeping in `tests/fuzz/corpus`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// All targets.
pub(crate) const TARGETS: [&str; 8] = [
    "http1",
    "http2",
    "hpack",
    "grpc",
    "websocket",
    "streams",
    "recording",
    "pcap",
];

/// How long an input may take, in seconds; one that is slower is a finding.
const INPUT_LIMIT: &str = "-timeout=25";
/// Memory of a target, in MB, likewise.
const MEMORY_LIMIT: &str = "-rss_limit_mb=1024";
/// Longest input that is tried, in bytes.
const LENGTH_LIMIT: &str = "-max_len=32768";

/// What rustc needs to tell libFuzzer where an input leads; all of it stable.
const COVERAGE: &str = "--cfg fuzzing \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What to fuzz.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    target: Option<String>,
    /// Add what was found to the corpus that is kept, reduced to what leads anywhere new
    #[arg(long)]
    keep: bool,
}

/// Runs the targets one after the other; fails when one finds something.
pub(crate) fn fuzz(options: &Options) -> Result<()> {
    let programs = build()?;
    let chosen = TARGETS
        .iter()
        .filter(|name| options.target.as_deref().is_none_or(|only| only == **name));
    let mut found = Vec::new();
    for name in chosen {
        if let Err(error) = run(&programs, name, options.seconds) {
            eprintln!("{error:#}");
            found.push(*name);
        } else if options.keep {
            keep(&programs, name)?;
        }
    }
    if !found.is_empty() {
        bail!(
            "found something: {}; the inputs are in {}",
            found.join(", "),
            artifacts().display()
        );
    }
    Ok(())
}

/// Builds all targets. Gives the folder that they are in.
pub(crate) fn build() -> Result<PathBuf> {
    shell::step("building the fuzz targets");
    let triple = "x86_64-unknown-linux-gnu";
    let folder = shell::workspace().join("target/fuzz");
    let mut command = shell::cargo();
    command.args(["build", "--quiet", "-p", "wirespan-fuzz", "--bins"]);
    // With a target named, build scripts and macros are not instrumented.
    command.args(["--profile", "fuzz", "--target", triple]);
    command
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", COVERAGE);
    shell::run(&mut command)?;
    Ok(folder.join(triple).join("fuzz"))
}

/// Runs one target; fails when it finds something.
pub(crate) fn run(programs: &Path, name: &str, seconds: u64) -> Result<()> {
    shell::step(format!("fuzzing {name} for {seconds} s"));
    let found = shell::workspace().join("target/fuzz/corpus").join(name);
    fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
    fs::create_dir_all(artifacts())?;
    let mut command = Command::new(programs.join(name));
    command.args([INPUT_LIMIT, MEMORY_LIMIT, LENGTH_LIMIT]);
    command.args(["-verbosity=0", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!(
        "-artifact_prefix={}/{name}-",
        artifacts().display()
    ));
    // New inputs go to the first folder.
    command.arg(&found);
    if kept(name).is_dir() {
        command.arg(kept(name));
    }
    shell::run(&mut command)
}

/// Adds to the kept corpus what leads where nothing in it does.
fn keep(programs: &Path, name: &str) -> Result<()> {
    let kept = kept(name);
    fs::create_dir_all(&kept).with_context(|| format!("cannot create {}", kept.display()))?;
    let found = shell::workspace().join("target/fuzz/corpus").join(name);
    let mut command = Command::new(programs.join(name));
    command.args(["-merge=1", "-verbosity=0", LENGTH_LIMIT]);
    shell::run(command.arg(kept).arg(found))
}

fn kept(name: &str) -> PathBuf {
    shell::workspace().join("tests/fuzz/corpus").join(name)
}

fn artifacts() -> PathBuf {
    shell::workspace().join("target/fuzz/artifacts")
}
