//! Finds a compiler that can build for the BPF target, and the linker that goes with it.
//!
//! Two are supported: Debian's own Rust with its prebuilt `core` for BPF, and a rustup nightly
//! with the `rust-src` component. Knows nothing of what is compiled, and installs nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// The target that the kernel programs are built for.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// The version of bpf-linker that the build is tested with, and the oldest that it accepts.
pub(crate) const LINKER_VERSION: &str = "0.13.0";

/// A Rust compiler that can build for [`TARGET`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// `/usr/bin/rustc` with a prebuilt `core` for BPF (Debian's `rustc-web`, `cargo-web` and
    /// `libstd-rust-web-dev-bpf`).
    System,
    /// A nightly of rustup with `rust-src`: Cargo builds `core` itself.
    Nightly,
}

impl Compiler {
    /// The best one that is installed. The system's comes first: its version is fixed by the
    /// distribution, and nothing of the standard library has to be built.
    pub(crate) fn find() -> Option<Self> {
        [Self::System, Self::Nightly]
            .into_iter()
            .find(Self::is_installed)
    }

    fn is_installed(&self) -> bool {
        match self {
            Self::System => {
                Path::new(SYSTEM_CARGO).exists()
                    && self.sysroot().is_some_and(|sysroot| {
                        sysroot
                            .join("lib/rustlib")
                            .join(TARGET)
                            .join("lib")
                            .exists()
                    })
            }
            Self::Nightly => self.sysroot().is_some_and(|sysroot| {
                sysroot
                    .join("lib/rustlib/src/rust/library/core/src/lib.rs")
                    .exists()
            }),
        }
    }

    /// What this compiler is, and why it was chosen, for a line of progress.
    pub(crate) fn describe(&self) -> String {
        let version = shell::output(self.rustc().arg("--version")).unwrap_or_default();
        let version = version.trim();
        match self {
            Self::System => format!(
                "the system's {version}: it has a prebuilt core library for {TARGET}, so no \
                 nightly is needed"
            ),
            Self::Nightly => format!(
                "rustup's nightly {version} with -Z build-std=core: it has rust-src, and the \
                 system's Rust has no core library for {TARGET}"
            ),
        }
    }

    /// The compiler itself.
    fn rustc(&self) -> Command {
        let mut command = match self {
            Self::System => Command::new(SYSTEM_RUSTC),
            Self::Nightly => Command::new("rustup"),
        };
        if *self == Self::Nightly {
            command.args(["run", "nightly", "rustc"]);
        }
        command
    }

    /// Cargo with this compiler, free of the settings of the Cargo that started this program.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = match self {
            Self::System => {
                let mut command = Command::new(SYSTEM_CARGO);
                // The target's support is called unstable, so a stable compiler wants to be told.
                command
                    .env("RUSTC", SYSTEM_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1");
                command.env("RUSTDOC", "/usr/bin/rustdoc");
                command
            }
            Self::Nightly => {
                let mut command = Command::new("rustup");
                command
                    .args(["run", "nightly", "cargo"])
                    .env_remove("RUSTC");
                command
            }
        };
        for name in [
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "CARGO",
            "RUSTC_WRAPPER",
            "CARGO_BUILD_TARGET",
        ] {
            command.env_remove(name);
        }
        // Cargo finds its subcommands on PATH, and the system's belong to the system's compiler.
        if *self == Self::System {
            command.env("PATH", "/usr/bin:/bin");
        }
        command.current_dir(shell::workspace());
        command
    }

    /// The flags that Cargo itself needs with this compiler.
    pub(crate) fn cargo_flags(&self) -> &'static [&'static str] {
        match self {
            Self::System => &[],
            Self::Nightly => &["-Z", "build-std=core"],
        }
    }

    /// Whether it has clippy.
    pub(crate) fn has_clippy(&self) -> bool {
        match self {
            Self::System => Path::new("/usr/bin/cargo-clippy").exists(),
            Self::Nightly => shell::output(self.cargo().args(["clippy", "--version"])).is_ok(),
        }
    }

    fn sysroot(&self) -> Option<PathBuf> {
        let printed = shell::output(self.rustc().args(["--print", "sysroot"])).ok()?;
        Some(PathBuf::from(printed.trim()))
    }

    /// The major version of the LLVM inside: bpf-linker must be built with this one or a later
    /// one to read what the compiler writes.
    pub(crate) fn llvm_major(&self) -> Option<u32> {
        let printed = shell::output(self.rustc().arg("-vV")).ok()?;
        printed
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "))
            .and_then(|version| version.split('.').next()?.parse().ok())
    }
}

const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
const SYSTEM_CARGO: &str = "/usr/bin/cargo";

/// An installed bpf-linker of [`LINKER_VERSION`] or later.
pub(crate) fn find_linker() -> Option<PathBuf> {
    let path = shell::which("bpf-linker")?;
    let printed = shell::output(Command::new(&path).arg("--version")).ok()?;
    let installed = parse_version(printed.split_whitespace().nth(1)?)?;
    (installed >= parse_version(LINKER_VERSION)?).then_some(path)
}

/// `1.2.3` or `1.2.3-rc1` as numbers.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text
        .split(['.', '-', '+'])
        .map(|part| part.parse::<u32>().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse_version("0.13.0"), Some((0, 13, 0)));
        assert_eq!(parse_version("0.13.0-rc1"), Some((0, 13, 0)));
        assert!(parse_version("0.9.15") < parse_version("0.13.0"));
        assert_eq!(parse_version("unknown"), None);
    }
}
