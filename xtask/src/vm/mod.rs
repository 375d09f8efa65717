//! `cargo xtask vm`: the smoke tests under other kernels, in an emulated machine.
//!
//! The guest's root is this machine's own, read-only: no image is built, and every program that
//! is installed here is there. Emulation needs neither KVM nor a kernel that was built for it.

mod image;
mod machine;
mod smoke;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::setup::{self, Need};
use crate::{build, shell};

/// A kernel that the tests run under.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// Its first two numbers.
    pub(crate) series: &'static str,
    /// Debian's package that depends on the newest one of the series.
    meta_package: &'static str,
    /// The hook sets that it offers.
    hooks: &'static [Hooks],
}

/// Debian's kernels for clouds: small, and built with the drivers of an emulated machine.
pub(crate) const KERNELS: &[Kernel] = &[
    Kernel {
        series: "6.1",
        meta_package: "linux-image-cloud-amd64",
        // The tracepoints came with 6.3.
        hooks: &[Hooks::Trampoline],
    },
    Kernel {
        series: "6.12",
        meta_package: "linux-image-6.12-cloud-amd64",
        hooks: &[Hooks::Tracepoint, Hooks::Trampoline],
    },
];

/// A hook set, as `wirespan run --hooks` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hooks {
    /// `tp_btf/sock_send_length` and `tp_btf/sock_recv_length`
    Tracepoint,
    /// `fexit/tcp_sendmsg` and `fexit/tcp_recvmsg`
    Trampoline,
}

impl Hooks {
    const ALL: [Self; 2] = [Self::Tracepoint, Self::Trampoline];

    fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tracepoint",
            Self::Trampoline => "trampoline",
        }
    }
}

/// How long a guest may run. Emulation is about twenty times as slow as the machine.
const LIMIT: Duration = Duration::from_mins(6);

/// Each check of a smoke run: its name, and why it failed.
pub(crate) type Outcome = Vec<(String, Result<(), String>)>;

/// Finds a kernel by its series.
pub(crate) fn kernel(series: &str) -> Result<&'static Kernel, String> {
    KERNELS
        .iter()
        .find(|kernel| kernel.series == series)
        .ok_or_else(|| {
            let known: Vec<&str> = KERNELS.iter().map(|kernel| kernel.series).collect();
            format!("known kernels: {}", known.join(", "))
        })
}

/// The command: the smoke tests, or one command in the guest.
pub(crate) fn vm(
    only: Option<&'static Kernel>,
    hooks: Option<Hooks>,
    command: &[String],
) -> Result<()> {
    build::build(build::Options {
        release: true,
        debug_log: false,
    })?;
    let mut failed = 0;
    for kernel in KERNELS
        .iter()
        .filter(|kernel| only.is_none_or(|only| only == *kernel))
    {
        shell::step(format!("Linux {}", kernel.series));
        if !command.is_empty() {
            let folder = prepare(kernel)?;
            machine::boot(&image::fetch(kernel)?, &folder, command, LIMIT)?;
            continue;
        }
        for (name, result) in smoke(kernel, hooks)? {
            match result {
                Ok(()) => println!("{name}: ok"),
                Err(reason) => {
                    failed += 1;
                    println!("{name}: FAILED: {reason}");
                }
            }
        }
    }
    if failed > 0 {
        bail!("{failed} checks failed");
    }
    Ok(())
}

/// Boots a kernel and runs the smoke tests of its hook sets, or of one of them.
///
/// # Errors
/// When the machine cannot be started; what fails in it is in the outcome.
pub(crate) fn smoke(kernel: &Kernel, only: Option<Hooks>) -> Result<Outcome> {
    let folder = prepare(kernel)?;
    let image = image::fetch(kernel)?;
    let wanted = |hooks: &Hooks| only.is_none_or(|only| only == *hooks);
    let mut command = vec!["/bin/bash".to_owned(), "/mnt/smoke.sh".to_owned()];
    let offered: Vec<Hooks> = kernel.hooks.iter().copied().filter(wanted).collect();
    let absent: Vec<Hooks> = Hooks::ALL
        .into_iter()
        .filter(|hooks| !kernel.hooks.contains(hooks))
        .filter(wanted)
        .collect();
    command.extend(offered.iter().map(|hooks| hooks.name().to_owned()));
    command.push("--".to_owned());
    command.extend(absent.iter().map(|hooks| hooks.name().to_owned()));
    machine::boot(&image, &folder, &command, LIMIT)?;
    Ok(smoke::judge(kernel, &folder, &offered, &absent))
}

/// Why no machine can be started here, if so.
pub(crate) fn unavailable() -> Option<&'static str> {
    if env::consts::ARCH != "x86_64" {
        Some("the tests under other kernels need an x86-64 machine")
    } else if !shell::is_root() {
        Some("sharing this machine's root with the emulated one needs root: run this as root")
    } else {
        None
    }
}

/// Makes the folder that the guest may write to, with the agent and the scripts in it.
fn prepare(kernel: &Kernel) -> Result<PathBuf> {
    if let Some(reason) = unavailable() {
        bail!("{reason}");
    }
    setup::ensure(&[Need::Vm])?;
    let folder = cache().join(kernel.series).join("out");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    let agent = shell::workspace().join("target/release/wirespan");
    fs::copy(&agent, folder.join("wirespan"))
        .with_context(|| format!("cannot copy {}: build it first", agent.display()))?;
    let client = shell::workspace().join("tests/programs/c/syscalls.c");
    let mut compiler = Command::new("gcc");
    shell::run(
        compiler
            .arg("-O1")
            .arg("-o")
            .arg(folder.join("syscalls"))
            .arg(client),
    )?;
    write(&folder, "guest.sh", include_str!("guest.sh"))?;
    write(&folder, "smoke.sh", include_str!("smoke.sh"))?;
    Ok(folder)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Where kernels and what the guests wrote are kept.
fn cache() -> PathBuf {
    shell::workspace().join("target/vm")
}
