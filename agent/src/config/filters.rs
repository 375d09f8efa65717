//! What is traced: processes and connections that the user named.
//!
//! Options of different names narrow each other, values of one option widen it, and what an
//! exclusion names is never traced. What is unknown satisfies no inclusion and no exclusion.
#![forbid(unsafe_code)]

use std::path::Path;

use glob::Pattern;

use crate::cli::FilterArgs;

/// What the kernel appends to the path of an executable that was replaced or removed.
const DELETED: &str = " (deleted)";

/// What is traced; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(FilterArgs);

impl Filters {
    /// Of the options that were given.
    #[must_use]
    pub fn new(args: FilterArgs) -> Self {
        Self(args)
    }

    /// Whether connections of this process are wanted. `exe` is the path that
    /// `/proc/PID/exe` leads to, where it could be read.
    #[must_use]
    pub fn wants_process(&self, pid: u32, exe: Option<&Path>) -> bool {
        let Self(args) = self;
        let matches = |patterns: &[Pattern]| exe.is_some_and(|exe| any_matches(patterns, exe));
        let included = (args.pid.is_empty() || args.pid.contains(&pid))
            && (args.exe.is_empty() || matches(&args.exe));
        included && !args.exclude_pid.contains(&pid) && !matches(&args.exclude_exe)
    }

    /// Whether a TCP connection between these ports is wanted.
    #[must_use]
    pub fn wants_port(&self, local: u16, peer: u16) -> bool {
        let Self(args) = self;
        let either = |ports: &[u16]| ports.contains(&local) || ports.contains(&peer);
        (args.port.is_empty() || either(&args.port)) && !either(&args.exclude_port)
    }

    /// Whether connections without ports (unix sockets) are wanted: not when ports were named.
    #[must_use]
    pub fn wants_portless(&self) -> bool {
        self.0.port.is_empty()
    }

    /// Whether the executable decides: then it must be found out before a process is wanted.
    #[must_use]
    pub fn needs_exe(&self) -> bool {
        !self.0.exe.is_empty() || !self.0.exclude_exe.is_empty()
    }
}

fn any_matches(patterns: &[Pattern], exe: &Path) -> bool {
    let path = exe.to_string_lossy();
    let path = path.strip_suffix(DELETED).unwrap_or(&path);
    let name = path.rsplit('/').next().unwrap_or(path);
    patterns.iter().any(|pattern| {
        let whole = pattern.as_str().contains('/');
        pattern.matches(if whole { path } else { name })
    })
}
