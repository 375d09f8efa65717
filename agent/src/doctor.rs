//! `wirespan doctor`: whether this host can be traced, and what each missing prerequisite costs.
//!
//! Says what [`crate::bpf::support`] found, and decides nothing itself. The JSON form's keys are
//! stable: `tracing_possible`, `hooks`, `reason`, `kernel`, and `checks` by name, each with
//! `state` (`ok`, `missing` or `unknown`), `detail`, `cost` and `mend`.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::bpf::support::{HookSet, HooksChoice, Support, choose};

mod checks;
mod host;
#[cfg(test)]
mod tests;

pub use host::Host;

/// Whether a prerequisite is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Ok,
    /// It is not, or not wholly.
    Missing,
    /// That cannot be found out here.
    Unknown,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }

    /// Green, red or yellow, as terminals number them.
    const fn colour(self) -> &'static str {
        match self {
            Self::Ok => "\u{1b}[32m",
            Self::Missing => "\u{1b}[31m",
            Self::Unknown => "\u{1b}[33m",
        }
    }
}

/// What was found of one prerequisite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its key in JSON; in text, with spaces.
    #[serde(skip)]
    pub name: &'static str,
    /// Whether it is there.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What is lost without it; none where it is there.
    pub cost: Option<String>,
    /// What can be done about it, where something can.
    pub mend: Option<&'static str>,
}

/// The running kernel, in the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelName {
    /// As `uname -r` prints it.
    pub release: String,
    /// As `uname -m` prints it.
    pub machine: String,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Of wirespan.
    pub version: &'static str,
    /// What it runs on.
    pub kernel: KernelName,
    /// Whether `wirespan run` would work now.
    pub tracing_possible: bool,
    /// The hooks that it would use.
    pub hooks: Option<&'static str>,
    /// Why it would not work, as it would say it.
    pub reason: Option<String>,
    /// Every prerequisite, in the order in which it is shown.
    #[serde(serialize_with = "by_name")]
    pub checks: Vec<Check>,
}

fn by_name<S: Serializer>(checks: &[Check], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(checks.len()))?;
    for check in checks {
        map.serialize_entry(check.name, check)?;
    }
    map.end()
}

impl Report {
    /// Examines this host. Leaves nothing behind on it.
    #[must_use]
    pub fn of_this_host() -> Self {
        Self::new(&Support::probe(), &Host::examine())
    }

    /// Of what was found.
    #[must_use]
    pub fn new(support: &Support, host: &Host) -> Self {
        let chosen = choose(HooksChoice::Auto, support);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            kernel: KernelName {
                release: support.kernel.release.clone(),
                machine: support.kernel.machine.clone(),
            },
            tracing_possible: chosen.is_ok(),
            hooks: chosen.as_ref().ok().map(|chosen| chosen.hooks.name()),
            reason: chosen.err().map(|error| error.to_string()),
            checks: checks::all(support, host),
        }
    }

    /// The process's exit code: 0 when tracing is possible, 2 when it is not.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        if self.tracing_possible { 0 } else { 2 }
    }

    /// Writes the report as one JSON object.
    ///
    /// # Errors
    ///
    /// What the writer gives.
    pub fn write_json(&self, mut to: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut to, self)?;
        writeln!(to)
    }

    /// Writes the report for people, with colours where they are wanted.
    ///
    /// # Errors
    ///
    /// What the writer gives.
    pub fn write_text(&self, mut to: impl Write, colours: bool) -> io::Result<()> {
        let KernelName { release, machine } = &self.kernel;
        writeln!(
            to,
            "wirespan {} on Linux {release} ({machine})\n",
            self.version
        )?;
        let width = self.checks.iter().map(|check| check.name.len()).max();
        let width = width.unwrap_or_default();
        for check in &self.checks {
            check.write_text(&mut to, width, colours)?;
        }
        match (&self.reason, self.hooks) {
            (Some(reason), _) => writeln!(to, "\nThis host cannot be traced: {reason}."),
            (None, hooks) => {
                let hooks = hooks.unwrap_or_default();
                writeln!(to, "\nThis host can be traced, by the {hooks} hooks.")
            }
        }
    }
}

impl Check {
    fn write_text(&self, to: &mut impl Write, width: usize, colours: bool) -> io::Result<()> {
        let (colour, plain) = if colours {
            (self.state.colour(), "\u{1b}[0m")
        } else {
            ("", "")
        };
        let state = self.state.name();
        let name = self.name.replace('_', " ");
        let detail = &self.detail;
        writeln!(to, "  {colour}{state:7}{plain}  {name:width$}  {detail}")?;
        // Two columns and the spaces around them.
        let indent = 2 + 7 + 2 + width + 2;
        if let Some(cost) = &self.cost {
            writeln!(to, "{:indent$}costs: {cost}", "")?;
        }
        if let Some(mend) = self.mend {
            writeln!(to, "{:indent$}mend:  {mend}", "")?;
        }
        Ok(())
    }
}

/// What the other set gives, for the cost of a set that is missing.
const fn other(hooks: HookSet) -> HookSet {
    match hooks {
        HookSet::Tracepoint => HookSet::Trampoline,
        HookSet::Trampoline => HookSet::Tracepoint,
    }
}
