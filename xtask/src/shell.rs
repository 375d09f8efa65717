//! Runs other programs: says what is run, and turns a failure into one readable error.
//!
//! Knows nothing of what the programs do.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// Prints one line of progress on standard error.
pub(crate) fn step(message: impl AsRef<str>) {
    let message = message.as_ref();
    if std::io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none() {
        eprintln!("\x1b[1;36m==>\x1b[0m {message}");
    } else {
        eprintln!("==> {message}");
    }
}

/// Runs a command to its end with this process's standard streams; fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = display(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and returns what it wrote on standard output; fails when the command does.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = display(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}): {}", output.status, stderr.trim());
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{shown}` wrote something that is not UTF-8"))
}

/// Runs a command and returns what it wrote on standard error; fails when the command does.
pub(crate) fn errors(command: &mut Command) -> Result<String> {
    let shown = display(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("`{shown}` failed ({}): {}", output.status, stderr.trim());
    }
    Ok(stderr)
}

/// The command as a person would type it, without its environment.
pub(crate) fn display(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        shown.push(' ');
        shown.push_str(&arg.to_string_lossy());
    }
    shown
}

/// The first executable of this name in the folders of [`path`].
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    folders()
        .map(|folder| folder.join(program))
        .find(|candidate| is_executable(candidate))
}

/// `PATH` with what it often lacks: the folders of nginx and bpftool, and Cargo's.
pub(crate) fn path() -> Result<OsString> {
    env::join_paths(folders()).context("PATH has a folder that it cannot hold")
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = env::split_paths(&path).collect();
    path.into_iter()
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .chain(cargo_home().map(|home| home.join("bin")))
}

/// Cargo's own folder: `CARGO_HOME`, else `~/.cargo`.
fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// A command that runs as root: directly when this process is root, else through `sudo`.
///
/// # Errors
/// When this process is not root and there is no `sudo`.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    let Some(sudo) = which("sudo") else {
        bail!(
            "`{}` needs root, and there is no sudo: run this command again as root",
            program.as_ref().to_string_lossy()
        );
    };
    let mut command = Command::new(sudo);
    command.arg(program);
    Ok(command)
}

/// The workspace's root folder.
pub(crate) fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The Cargo that started this program, else the one on `PATH`, run in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}
