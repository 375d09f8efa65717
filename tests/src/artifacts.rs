//! Builds the traced programs and the Collector, each once in a test run, into `target/e2e`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow};

use crate::process::output;

/// The crate's directory.
#[must_use]
pub fn source_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo builds.
#[must_use]
pub fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| source_directory().join("../target"), PathBuf::from)
}

fn out(name: &str) -> Result<PathBuf> {
    let directory = target_directory().join("e2e");
    fs::create_dir_all(&directory)?;
    Ok(directory.canonicalize()?.join(name))
}

/// Source of a program, below `tests/programs`.
#[must_use]
pub fn program(path: &str) -> PathBuf {
    source_directory().join("programs").join(path)
}

/// Builds once, and gives the same answer afterwards.
fn once(
    cell: &'static OnceLock<Result<PathBuf, String>>,
    build: impl FnOnce() -> Result<PathBuf>,
) -> Result<PathBuf> {
    cell.get_or_init(|| build().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!(error))
}

fn go_build(directory: &Path, package: &str, name: &str) -> Result<PathBuf> {
    let binary = out(name)?;
    // The modules are pinned by go.mod and go.sum; nothing above them may change that.
    output(
        Command::new("go")
            .current_dir(directory)
            .env("GOWORK", "off")
            .args(["build", "-buildvcs=false", "-o"])
            .arg(&binary)
            .arg(package),
    )
    .with_context(|| format!("cannot build {}", directory.display()))?;
    Ok(binary)
}

/// The service by Go's net/http.
///
/// # Errors
/// When it does not build.
pub fn go_server() -> Result<PathBuf> {
    static CELL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&CELL, || go_build(&program("go"), "./server", "go-server"))
}

/// The client by Go's net/http.
///
/// # Errors
/// When it does not build.
pub fn go_client() -> Result<PathBuf> {
    static CELL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&CELL, || go_build(&program("go"), "./client", "go-client"))
}

/// The version of Go that the Collector's modules ask for.
const COLLECTOR_GO: u32 = 25;

/// Why the Collector cannot be built here, if so: distributions have a Go that is too old.
#[must_use]
pub fn no_collector() -> Option<String> {
    let version = output(Command::new("go").args(["env", "GOVERSION"])).unwrap_or_default();
    let minor = version
        .trim()
        .strip_prefix("go1.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|minor| minor.parse::<u32>().ok());
    match minor {
        Some(minor) if minor >= COLLECTOR_GO => None,
        Some(_) => Some(format!(
            "the Collector needs Go 1.{COLLECTOR_GO} or later, found {}",
            version.trim()
        )),
        None => Some(format!(
            "the Collector needs Go 1.{COLLECTOR_GO}, found none"
        )),
    }
}

/// The OpenTelemetry Collector, core components only.
///
/// # Errors
/// When it does not build.
pub fn collector() -> Result<PathBuf> {
    static CELL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&CELL, || {
        go_build(&source_directory().join("collector"), ".", "otelcol-core")
    })
}

/// Directory of the Java classes.
///
/// # Errors
/// When they do not compile.
pub fn java_classes() -> Result<PathBuf> {
    static CELL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&CELL, || {
        let directory = out("java")?;
        output(
            Command::new("javac")
                .arg("-d")
                .arg(&directory)
                .arg(program("java/Server.java"))
                .arg(program("java/Client.java")),
        )?;
        Ok(directory)
    })
}

/// A Python that has the requests library: the system's, else an environment made for it.
///
/// # Errors
/// When there is none and none can be made.
pub fn python_with_requests() -> Result<PathBuf> {
    static CELL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&CELL, || {
        if has_requests(Path::new("python3")) {
            return Ok("python3".into());
        }
        let directory = out("python")?;
        let python = directory.join("bin/python3");
        if !has_requests(&python) {
            output(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
            output(
                Command::new(&python)
                    .args(["-m", "pip", "install", "--quiet", "--requirement"])
                    .arg(program("python/requirements.txt")),
            )?;
        }
        Ok(python)
    })
}

fn has_requests(python: &Path) -> bool {
    output(Command::new(python).args(["-c", "import requests"])).is_ok()
}

/// Compiles a C program; `flags` may make it a 32-bit one.
///
/// # Errors
/// When it does not compile.
pub fn c_program(name: &str, flags: &[&str]) -> Result<PathBuf> {
    let binary = out(name)?;
    output(
        Command::new("gcc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&binary)
            .arg(program(&format!("c/{name}.c")))
            .args(flags),
    )?;
    Ok(binary)
}

/// The service by hyper, which cargo builds with the tests.
///
/// # Errors
/// When it is not beside the test's own binary.
pub fn hyper_service() -> Result<PathBuf> {
    let executable = env::current_exe()?;
    executable
        .ancestors()
        .map(|directory| directory.join("hyper-service"))
        .find(|path| path.is_file())
        .context("hyper-service is not built")
}
