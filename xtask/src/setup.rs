//! Installs what a command needs and this machine lacks, after saying what and why.
//!
//! Only the system's package manager and Cargo are asked. What cannot be installed here becomes
//! one error that names all of it and the mend.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::toolchain::{self, Compiler};

/// How to see that a tool is there.
#[derive(Debug, Clone, Copy)]
enum Probe {
    /// A program of this name can be started.
    Program(&'static str),
    /// A file is there.
    File(&'static str),
    /// `python3` can import the module, or make an environment that has it.
    PythonModule(&'static str),
}

impl Probe {
    fn is_met(self) -> bool {
        match self {
            Self::Program(name) => shell::which(name).is_some(),
            Self::File(path) => Path::new(path).exists(),
            Self::PythonModule(name) => [name, "ensurepip"].into_iter().any(|name| {
                let import = format!("import {name}");
                shell::output(Command::new("python3").args(["-c", &import])).is_ok()
            }),
        }
    }
}

/// One thing that a command needs.
#[derive(Debug, Clone, Copy)]
struct Tool {
    probe: Probe,
    /// Debian packages that bring it.
    packages: &'static [&'static str],
    /// What it is needed for.
    why: &'static str,
}

const fn program(name: &'static str, packages: &'static [&'static str], why: &'static str) -> Tool {
    Tool {
        probe: Probe::Program(name),
        packages,
        why,
    }
}

const fn python(module: &'static str, packages: &'static [&'static str]) -> Tool {
    Tool {
        probe: Probe::PythonModule(module),
        packages,
        why: "servers and clients that are traced",
    }
}

/// What a command needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Building the agent and the kernel programs.
    Build,
    /// Formatting and lints.
    Lint,
    /// Running the end-to-end tests on this kernel.
    EndToEnd,
    /// Booting other kernels.
    Vm,
    /// The benchmark.
    Bench,
    /// Counting instructions.
    Instructions,
}

const C_COMPILER: &[Tool] = &[program(
    "cc",
    &["build-essential"],
    "a C compiler and linker, for Rust programs and ring",
)];

const END_TO_END: &[Tool] = &[
    program("nginx", &["nginx-light"], "a server that is traced"),
    program("apache2", &["apache2-bin"], "a server that is traced"),
    program(
        "python3",
        &["python3"],
        "servers and clients that are traced",
    ),
    // Without a module, the tests make an environment of their own with ensurepip.
    python("requests", &["python3-requests"]),
    python("httpx", &["python3-httpx"]),
    python("h2", &["python3-h2"]),
    python("hypercorn", &["python3-hypercorn"]),
    python("grpc", &["python3-grpcio"]),
    python("websockets", &["python3-websockets"]),
    program("node", &["nodejs"], "a server and client that are traced"),
    program(
        "go",
        &["golang"],
        "a server and client that are traced, and the Collector",
    ),
    program(
        "javac",
        &["default-jdk-headless"],
        "a server and client that are traced",
    ),
    Tool {
        probe: Probe::File("/usr/share/java/grpc-netty.jar"),
        packages: &[
            "libgrpc-java",
            "libnetty-java",
            "libguava-java",
            "libperfmark-java",
        ],
        why: "gRPC that is traced",
    },
    program("curl", &["curl"], "a client that is traced"),
    program("wrk", &["wrk"], "load"),
    program("h2load", &["nghttp2-client"], "load by HTTP/2"),
    program(
        "bpftool",
        &["bpftool"],
        "to see that the agent leaves nothing behind",
    ),
    program("ip", &["iproute2"], "network namespaces"),
];

const VM: &[Tool] = &[
    program(
        "qemu-system-x86_64",
        &["qemu-system-x86"],
        "emulates a machine for other kernels",
    ),
    Tool {
        probe: Probe::File("/usr/lib/qemu/virtiofsd"),
        packages: &["qemu-system-common"],
        why: "shares this machine's root with the emulated one, read-only",
    },
    program("depmod", &["kmod"], "module dependencies of those kernels"),
    Tool {
        probe: Probe::File("/bin/busybox"),
        packages: &["busybox-static"],
        why: "the first program in those kernels",
    },
    program("cpio", &["cpio"], "packs the initramfs"),
    program("nginx", &["nginx-light"], "a server that is traced"),
    program("curl", &["curl"], "a client that is traced"),
    program(
        "bpftool",
        &["bpftool"],
        "to see that the agent leaves nothing behind",
    ),
];

const BENCH: &[Tool] = &[
    program("nginx", &["nginx-light"], "the server that is measured"),
    program("h2load", &["nghttp2-client"], "load at a fixed rate"),
    program("wrk", &["wrk"], "load that saturates"),
    program(
        "bpftool",
        &["bpftool"],
        "sizes and run times of the kernel programs",
    ),
];

const INSTRUCTIONS: &[Tool] = &[program(
    "valgrind",
    &["valgrind", "libc6-dbg"],
    "counts instructions",
)];

/// Installs what `needs` name and this machine lacks.
///
/// # Errors
/// One sentence that names what is missing and how to install it, when this cannot.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let mut tools: Vec<Tool> = C_COMPILER.to_vec();
    for need in needs {
        tools.extend_from_slice(match need {
            Need::Build | Need::Lint => &[],
            Need::EndToEnd => END_TO_END,
            Need::Vm => VM,
            Need::Bench => BENCH,
            Need::Instructions => INSTRUCTIONS,
        });
    }
    let missing: Vec<Tool> = tools
        .into_iter()
        .filter(|tool| !tool.probe.is_met())
        .collect();
    install(&missing)?;
    if needs.contains(&Need::Build) {
        ensure_bpf_toolchain()?;
    }
    if needs.contains(&Need::Lint) {
        ensure_lints()?;
    }
    Ok(())
}

/// Installs rustfmt and clippy where they are missing.
fn ensure_lints() -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        let subcommand = component.trim_start_matches("rust");
        if shell::output(shell::cargo().args([subcommand, "--version"])).is_err() {
            shell::step(format!("rustup component add {component}"));
            shell::run(Command::new("rustup").args(["component", "add", component])).with_context(
                || format!("{component} is missing: install it and run this again"),
            )?;
        }
    }
    if Compiler::find() == Some(Compiler::System) && !Compiler::System.has_clippy() {
        install(&[program(
            "cargo-clippy",
            &["rust-web-clippy"],
            "lints for the kernel programs",
        )])?;
    }
    Ok(())
}

/// Installs the compiler and the linker for the kernel programs when there is none.
fn ensure_bpf_toolchain() -> Result<()> {
    if Compiler::find().is_none() {
        install(&[Tool {
            probe: Probe::File("/usr/lib/rustlib/bpfel-unknown-none"),
            packages: &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
            why: "a Rust compiler with a core library for BPF, for the kernel programs",
        }])?;
    }
    let Some(compiler) = Compiler::find() else {
        bail!(
            "no Rust compiler for {}: on Debian 12 or later install rustc-web, cargo-web and \
             libstd-rust-web-dev-bpf; elsewhere `rustup toolchain install nightly --component \
             rust-src`",
            toolchain::TARGET
        );
    };
    if toolchain::find_linker().is_some() {
        return Ok(());
    }
    install_linker(&compiler)
}

/// Builds bpf-linker with the LLVM of the compiler's version.
fn install_linker(compiler: &Compiler) -> Result<()> {
    let version = toolchain::LINKER_VERSION;
    let llvm = compiler
        .llvm_major()
        .context("`rustc -vV` names no LLVM version, so bpf-linker cannot be built to match it")?;
    let prefix = format!("/usr/lib/llvm-{llvm}");
    let llvm_package = format!("llvm-{llvm}-dev");
    let wanted = [
        (format!("{prefix}/bin/llvm-config"), llvm_package.as_str()),
        ("/usr/include/zlib.h".to_owned(), "zlib1g-dev"),
        ("/usr/include/zstd.h".to_owned(), "libzstd-dev"),
    ];
    let packages: Vec<&str> = wanted
        .iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, package)| *package)
        .collect();
    if !packages.is_empty() {
        let reasons = format!("{} (what bpf-linker is built with)", packages.join(" "));
        install_packages(&packages, &reasons).with_context(|| {
            format!("bpf-linker {version} needs LLVM {llvm}: install it, or bpf-linker itself")
        })?;
    }
    shell::step(format!(
        "building bpf-linker {version} with LLVM {llvm} (about a minute)"
    ));
    shell::run(
        shell::cargo()
            .env("LLVM_PREFIX", &prefix)
            .args([
                "install",
                "bpf-linker",
                "--version",
                version,
                "--locked",
                "--force",
            ])
            .args([
                "--no-default-features",
                "--features",
                &format!("llvm-{llvm}"),
            ]),
    )
    .with_context(|| {
        format!(
            "bpf-linker {version} could not be built: install it by hand \
             (https://github.com/aya-rs/bpf-linker) so that it is on PATH"
        )
    })
}

/// Installs the packages of the tools that are missing, in one transaction.
fn install(missing: &[Tool]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = Vec::new();
    let mut reasons = String::new();
    for tool in missing {
        for package in tool.packages {
            if !packages.contains(package) {
                packages.push(package);
            }
        }
        let separator = if reasons.is_empty() { "" } else { "; " };
        write!(
            reasons,
            "{separator}{} ({})",
            tool.packages.join(" "),
            tool.why
        )?;
    }
    install_packages(&packages, &reasons)
}

fn install_packages(packages: &[&str], reasons: &str) -> Result<()> {
    shell::step(format!("missing here: {reasons}"));
    if shell::which("apt-get").is_none() {
        bail!(
            "cannot install these without apt-get; install with this system's package manager \
             what Debian calls {}, then run this again",
            packages.join(" ")
        );
    }
    shell::step(format!("apt-get install {}", packages.join(" ")));
    let apt = |args: &[&str]| -> Result<()> {
        // `env` because sudo drops the environment: nothing may ask questions.
        let mut command = shell::as_root("env")?;
        command
            .arg("DEBIAN_FRONTEND=noninteractive")
            .arg("apt-get")
            .args(args);
        shell::run(&mut command)
    };
    let mend = || {
        format!(
            "could not install {}: see apt-get's message above, install them and run this again",
            packages.join(" ")
        )
    };
    apt(&["update", "-qq"]).with_context(mend)?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend_from_slice(packages);
    apt(&args).with_context(mend)
}
