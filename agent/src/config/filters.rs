//! What is traced: processes and connections that the user named.
//!
//! Options of different names narrow each other, values of one option widen it, and what an
//! exclusion names is never traced. What is unknown satisfies no inclusion and no exclusion.
#![forbid(unsafe_code)]

use glob::Pattern;

use crate::{cli::FilterArgs, host::Executable};

/// What is traced; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(FilterArgs);

impl Filters {
    /// Of the options that were given.
    #[must_use]
    pub fn new(args: FilterArgs) -> Self {
        Self(args)
    }

    /// Whether connections of this process are wanted. `executable` is what it runs, where that
    /// is known.
    #[must_use]
    pub fn wants_process(&self, pid: u32, executable: Option<&Executable>) -> bool {
        let Self(args) = self;
        let matches = |patterns: &[Pattern]| {
            executable.is_some_and(|executable| any_matches(patterns, executable))
        };
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

/// A glob with a `/` is matched against the full path, any other against the base name.
fn any_matches(patterns: &[Pattern], executable: &Executable) -> bool {
    let path = executable.path.as_deref();
    patterns.iter().any(|pattern| {
        if pattern.as_str().contains('/') {
            path.is_some_and(|path| pattern.matches(path))
        } else {
            pattern.matches(&executable.name)
        }
    })
}
