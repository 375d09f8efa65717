//! `cargo xtask build`: the kernel object first, then the agent with the object inside.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::setup::{self, Need};
use crate::shell;
use crate::toolchain::{self, Compiler};

/// What to build.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// Optimised, and as one static binary.
    pub(crate) release: bool,
    /// With log lines from the kernel programs.
    pub(crate) debug_log: bool,
}

/// Builds both, installing what is missing, and returns the path of the agent.
pub(crate) fn build(options: Options) -> Result<PathBuf> {
    setup::ensure(&[Need::Build])?;
    let object = kernel_object(options.debug_log)?;
    let size = fs::metadata(&object).map_or(0, |meta| meta.len());
    shell::step(format!(
        "kernel programs: {} ({size} bytes)",
        object.display()
    ));
    let agent = agent(options)?;
    shell::step(format!("agent: {}", agent.display()));
    Ok(agent)
}

/// Where the kernel object is left, and where the agent's build script looks for it.
fn object_path() -> PathBuf {
    shell::workspace().join("target/bpf/wirespan.bpf.o")
}

/// Compiles the kernel programs.
fn kernel_object(debug_log: bool) -> Result<PathBuf> {
    let compiler = Compiler::find().context("no compiler for the kernel programs")?;
    let linker = toolchain::find_linker().context("no bpf-linker")?;
    shell::step(format!(
        "building the kernel programs with {}",
        compiler.describe()
    ));
    let target_dir = shell::workspace().join("target/bpf-build");
    let features = if debug_log { "debug-log" } else { "kernel" };
    let mut command = compiler.cargo();
    command
        .args([
            "build",
            "--package",
            "wirespan-ebpf",
            "--bin",
            "wirespan-bpf",
        ])
        .args([
            "--features",
            features,
            "--profile",
            "bpf",
            "--target",
            toolchain::TARGET,
        ])
        .args(compiler.cargo_flags())
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&linker));
    shell::run(&mut command)
        .context("the kernel programs do not build; see the compiler's message above")?;
    let built = target_dir.join(toolchain::TARGET).join("bpf/wirespan-bpf");
    let object = object_path();
    replace_if_changed(&built, &object)?;
    Ok(object)
}

/// Lints that kernel programs cannot keep, and why.
const KERNEL_EXCEPTIONS: &[(&str, &str)] = &[
    (
        "clippy::inline_always",
        "BPF functions take five arguments and return 64 bits",
    ),
    (
        "clippy::cast_possible_truncation",
        "registers are 64 bits wide, what is in them is not",
    ),
    (
        "clippy::cast_sign_loss",
        "the sign has been checked where a branch is cheapest",
    ),
    (
        "clippy::cast_ptr_alignment",
        "maps and rings are aligned to 8 bytes",
    ),
    (
        "clippy::needless_pass_by_value",
        "a program's context is passed by value",
    ),
    (
        "clippy::similar_names",
        "a socket's state and the statistics are what they are",
    ),
];

/// Runs clippy over the kernel programs, with warnings denied but for [`KERNEL_EXCEPTIONS`].
pub(crate) fn lint_kernel(compiler: &Compiler) -> Result<()> {
    let mut command = for_kernel(compiler, compiler.clippy(), false)?;
    command.args(["--quiet", "--", "-D", "warnings"]);
    for (lint, _) in KERNEL_EXCEPTIONS {
        command.arg("-A").arg(lint);
    }
    shell::run(&mut command)
}

/// What every Cargo command for the kernel programs has in common.
fn for_kernel(compiler: &Compiler, mut command: Command, debug_log: bool) -> Result<Command> {
    let linker = toolchain::find_linker().context("no bpf-linker")?;
    let features = if debug_log { "debug-log" } else { "kernel" };
    command
        .args(["--package", "wirespan-ebpf", "--bin", "wirespan-bpf"])
        .args(["--features", features, "--profile", "bpf"])
        .args(["--target", toolchain::TARGET])
        .args(compiler.cargo_flags())
        .env("CARGO_TARGET_DIR", kernel_target_dir())
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&linker));
    Ok(command)
}

/// A folder of its own: another compiler than the agent's writes there.
fn kernel_target_dir() -> PathBuf {
    shell::workspace().join("target/bpf-build")
}

/// Flags for the kernel programs, as `CARGO_ENCODED_RUSTFLAGS` wants them.
///
/// rustc hands its CPU on to the linker, which is also the code generator; v3 (32-bit registers,
/// all jumps) is understood since Linux 5.1. Debug information becomes BTF, without which there
/// are no BTF maps and no `bpf_loop`.
fn rustflags(linker: &Path) -> String {
    [
        format!("-Clinker={}", linker.display()),
        "-Ctarget-cpu=v3".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        "-Cdebuginfo=2".to_owned(),
    ]
    .join("\x1f")
}

/// Compiles the agent, which embeds the object.
fn agent(options: Options) -> Result<PathBuf> {
    let target_dir = shell::workspace().join("target");
    let mut command = shell::cargo();
    command
        .args(["build", "--package", "wirespan"])
        .env("CARGO_TARGET_DIR", &target_dir);
    let features: &[&str] = if options.debug_log {
        &["--features", "debug-log"]
    } else {
        &[]
    };
    if !options.release {
        shell::step("building the agent");
        shell::run(command.args(features))?;
        return Ok(target_dir.join("debug/wirespan"));
    }
    let built = release("wirespan", features)?;
    let agent = target_dir.join("release/wirespan");
    replace_if_changed(&built, &agent)?;
    Ok(agent)
}

/// Compiles a package of one program as the agent is shipped: optimised, and as one static binary.
pub(crate) fn release(package: &str, features: &[&str]) -> Result<PathBuf> {
    let target_dir = shell::workspace().join("target");
    // Naming the target keeps the flags from build scripts and macros, which cannot be static.
    let triple = host_triple()?;
    shell::step(format!("building {package} (release, static, {triple})"));
    shell::run(
        shell::cargo()
            .args(["build", "--release", "--package", package])
            .args(["--target", &triple])
            .args(features)
            .env("CARGO_TARGET_DIR", &target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static"),
    )?;
    Ok(target_dir.join(triple).join("release").join(package))
}

/// Fails when a binary asks for a dynamic loader or a library, which another host may not have.
pub(crate) fn check_static(binary: &Path) -> Result<()> {
    let printed = shell::output(Command::new("readelf").args(["-ld"]).arg(binary))?;
    let wanted: Vec<&str> = printed
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("(NEEDED)") || line.contains("program interpreter"))
        .collect();
    if !wanted.is_empty() {
        bail!(
            "{} is not self-contained: {}",
            binary.display(),
            wanted.join("; ")
        );
    }
    Ok(())
}

/// The target of the compiler that builds the agent.
fn host_triple() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = shell::output(Command::new(rustc).arg("-vV"))?;
    let host = printed.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// Copies a file by way of a rename, unless the target holds the same bytes already: what depends
/// on it is built again only when it changed, and an agent that runs keeps its file.
fn replace_if_changed(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = to.parent().context("a file has a folder")?;
    fs::create_dir_all(folder)?;
    let new = to.with_extension("new");
    fs::copy(from, &new).with_context(|| format!("cannot write {}", new.display()))?;
    fs::rename(&new, to).with_context(|| format!("cannot replace {}", to.display()))
}
