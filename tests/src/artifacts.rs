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

/// gRPC by grpc-go, both ends.
///
/// # Errors
/// When it does not build.
pub fn go_grpc() -> Result<PathBuf> {
    static CELL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&CELL, || go_build(&program("go"), "./grpc", "go-grpc"))
}

/// A client by net/http, x/net/http2 and grpc-go that keeps its connections busy for a while.
///
/// # Errors
/// When it does not build.
pub fn go_steady() -> Result<PathBuf> {
    static CELL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&CELL, || go_build(&program("go"), "./steady", "go-steady"))
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

/// What grpc-java consists of, in `/usr/share/java`.
const JAVA_LIBRARIES: [&str; 15] = [
    "grpc-api",
    "grpc-context",
    "grpc-core",
    "grpc-netty",
    "grpc-stub",
    "guava",
    "netty-buffer",
    "netty-codec",
    "netty-codec-http",
    "netty-codec-http2",
    "netty-common",
    "netty-handler",
    "netty-resolver",
    "netty-transport",
    "perfmark-api",
];

/// `java` with the classes of `programs/java` and what they need.
///
/// # Errors
/// When they do not compile.
pub fn java() -> Result<Command> {
    let mut path = java_classes()?.into_os_string();
    path.push(":");
    path.push(java_libraries());
    let mut command = Command::new("java");
    command.arg("-cp").arg(path);
    Ok(command)
}

fn java_libraries() -> String {
    JAVA_LIBRARIES
        .map(|name| format!("/usr/share/java/{name}.jar"))
        .join(":")
}

/// Directory of the Java classes.
///
/// # Errors
/// When they do not compile.
fn java_classes() -> Result<PathBuf> {
    static CELL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&CELL, || {
        let directory = out("java")?;
        output(
            Command::new("javac")
                .args(["-cp", &java_libraries()])
                .arg("-d")
                .arg(&directory)
                .args(
                    ["Server", "Client", "Streams"]
                        .map(|name| program("java").join(name).with_extension("java")),
                ),
        )?;
        Ok(directory)
    })
}

/// A Python that has the libraries of `programs/python/requirements.txt`: the system's, else an
/// environment made for it.
///
/// # Errors
/// When there is none and none can be made.
pub fn python() -> Result<PathBuf> {
    static CELL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&CELL, || {
        if has_libraries(Path::new("python3")) {
            return Ok("python3".into());
        }
        let directory = out("python")?;
        let python = directory.join("bin/python3");
        if !has_libraries(&python) {
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

fn has_libraries(python: &Path) -> bool {
    let import = "import grpc, h2, httpx, hypercorn, requests, websockets";
    output(Command::new(python).args(["-c", import])).is_ok()
}

/// A program of `programs/python` by [`python`].
///
/// # Errors
/// As [`python`].
pub fn python_program(name: &str) -> Result<Command> {
    let mut command = Command::new(python()?);
    command
        .arg(program("python").join(name))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
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

/// A program of `programs/rust`, which cargo builds with the tests.
///
/// # Errors
/// When it is not beside the test's own binary.
pub fn rust_program(name: &str) -> Result<PathBuf> {
    let executable = env::current_exe()?;
    executable
        .ancestors()
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not built"))
}
