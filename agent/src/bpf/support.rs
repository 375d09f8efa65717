//! What this kernel and this process's privilege allow, found by trying, and which hooks follow.
//!
//! Knows what wirespan needs of a kernel; not how a report of it looks, nor the programs.
#![deny(unsafe_code)]

use std::fmt;
use std::io;
use std::sync::Arc;

use wirespan_ebpf::offsets::KernelOffsets;

use super::btf::{Btf, BtfError};
use super::offsets::{self, OffsetsError};

#[expect(
    unsafe_code,
    reason = "it calls bpf(2), which the standard library does not offer"
)]
mod attach;
mod capabilities;
mod lockdown;
#[cfg(test)]
pub(crate) mod tests;

use attach::Attachment;
pub use capabilities::{Capabilities, Capability};
pub use lockdown::Lockdown;

/// The first kernel whose programs can find the user's registers (`bpf_task_pt_regs`).
pub const MINIMUM_KERNEL: (u32, u32) = (5, 15);
/// The tracepoints that fire after each send and receive (since Linux 6.3).
pub const DATA_TRACEPOINTS: [&str; 2] = ["sock_send_length", "sock_recv_length"];
/// The functions that send and receive, for TCP and for unix stream sockets.
pub const DATA_FUNCTIONS: [&str; 4] = [
    "tcp_sendmsg",
    "tcp_recvmsg",
    "unix_stream_sendmsg",
    "unix_stream_recvmsg",
];
/// The tracepoints that tell of connections and processes that come and go.
pub const LIFECYCLE_TRACEPOINTS: [&str; 4] = [
    "inet_sock_set_state",
    "sched_process_exec",
    "sched_process_fork",
    "sched_process_exit",
];

/// Where the bytes are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookSet {
    /// `tp_btf/sock_send_length` and `tp_btf/sock_recv_length`.
    Tracepoint,
    /// `fexit` programs on the functions that send and receive.
    Trampoline,
}

impl HookSet {
    /// As `--hooks` and the reports name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tracepoint",
            Self::Trampoline => "trampoline",
        }
    }
}

impl fmt::Display for HookSet {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HooksChoice {
    /// The tracepoints where they work, else the trampolines.
    #[default]
    Auto,
    /// This set or none.
    Only(HookSet),
}

/// What came of trying a hook set.
#[derive(Clone, Debug)]
pub enum HookState {
    /// Programs attach.
    Works,
    /// The kernel does not have all of its targets.
    Absent {
        /// The targets that are missing.
        targets: Vec<&'static str>,
    },
    /// The targets exist, and the kernel refused an attachment.
    Refused(Arc<io::Error>),
    /// The targets exist, and this process lacks the privilege to try.
    Untried,
    /// Without type information nothing can be said.
    Unknown,
}

impl HookState {
    /// Whether programs can be attached.
    #[must_use]
    pub const fn works(&self) -> bool {
        matches!(self, Self::Works)
    }
}

impl fmt::Display for HookState {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => to.write_str("works"),
            Self::Absent { targets } => {
                write!(to, "the kernel does not have {}", targets.join(" and "))
            }
            Self::Refused(error) => write!(to, "the kernel refuses the attachment: {error}"),
            Self::Untried => to.write_str("present, but privilege is missing to try it"),
            Self::Unknown => to.write_str("not known without the kernel's type information"),
        }
    }
}

/// The running kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub release: String,
    /// As `uname -m` prints it.
    pub machine: String,
    /// Major and minor version, where the release begins with them.
    pub version: Option<(u32, u32)>,
}

impl Kernel {
    fn running() -> Self {
        let name = rustix::system::uname();
        let release = name.release().to_string_lossy().into_owned();
        Self {
            version: parse_version(&release),
            machine: name.machine().to_string_lossy().into_owned(),
            release,
        }
    }
}

fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|byte: char| !byte.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

/// What the kernel's type information says.
#[derive(Clone, Debug)]
pub struct Types {
    /// Where the members lie that the programs read.
    pub offsets: Result<KernelOffsets, OffsetsError>,
    /// Tracepoints of [`LIFECYCLE_TRACEPOINTS`] that are missing.
    pub missing_lifecycle: Vec<&'static str>,
}

/// Everything that decides whether and how this host can be traced.
#[derive(Clone, Debug)]
pub struct Support {
    /// The running kernel.
    pub kernel: Kernel,
    /// What this process may do.
    pub capabilities: Capabilities,
    /// What even root may not do.
    pub lockdown: Lockdown,
    /// The kernel's type information.
    pub types: Result<Types, BtfError>,
    /// Whether [`HookSet::Tracepoint`] works.
    pub tracepoint: HookState,
    /// Whether [`HookSet::Trampoline`] works.
    pub trampoline: HookState,
}

/// Why this host cannot be traced: one sentence each, with what can be done.
#[derive(Debug, thiserror::Error)]
pub enum SupportError {
    /// The kernel is too old.
    #[error(
        "this kernel ({release}) is too old: wirespan needs Linux {}.{} or later",
        MINIMUM_KERNEL.0, MINIMUM_KERNEL.1
    )]
    Kernel {
        /// The running one.
        release: String,
    },
    /// The process may not load or attach programs.
    #[error(
        "no privilege to load eBPF programs ({} missing): run wirespan as root{}",
        names(.missing), if *.confined { ", outside of the user namespace that it is in" } else { "" }
    )]
    Privilege {
        /// What it lacks.
        missing: Vec<Capability>,
        /// Whether it may have them in its user namespace, where they do not count.
        confined: bool,
    },
    /// The kernel may not be read.
    #[error(
        "the kernel is locked down (confidentiality), which forbids all tracing: boot it with \
         lockdown=integrity or less"
    )]
    Lockdown,
    /// The kernel's types are not known.
    #[error(
        "{0}: wirespan needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, as all present \
         distributions' are"
    )]
    Types(BtfError),
    /// The kernel's structures are not those that the programs read.
    #[error("{0}: please report this kernel")]
    Offsets(OffsetsError),
    /// Connections and processes could not be followed.
    #[error("the kernel does not have the tracepoints {}", .missing.join(", "))]
    Lifecycle {
        /// Those that are missing.
        missing: Vec<&'static str>,
    },
    /// Neither set of hooks works.
    #[error("no hooks work on this kernel (tracepoint: {tracepoint}; trampoline: {trampoline})")]
    NoHooks {
        /// What came of the tracepoints.
        tracepoint: HookState,
        /// What came of the trampolines.
        trampoline: HookState,
    },
    /// The set that was asked for does not work.
    #[error("--hooks {wanted} does not work here: {state}{}", hint(*.other))]
    Forced {
        /// What was asked for.
        wanted: HookSet,
        /// What came of it.
        state: HookState,
        /// The other set, where that one works.
        other: Option<HookSet>,
    },
}

fn names(capabilities: &[Capability]) -> String {
    let names: Vec<_> = capabilities.iter().map(|one| one.name()).collect();
    names.join(" and ")
}

fn hint(other: Option<HookSet>) -> String {
    other.map_or_else(String::new, |other| {
        format!(" (--hooks {other} would work)")
    })
}

/// What to attach, and where its members lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The set.
    pub hooks: HookSet,
    /// For the programs.
    pub offsets: KernelOffsets,
}

impl Support {
    /// Finds out what this host allows. Attaches programs that do nothing for a moment, where
    /// the privilege suffices, and leaves nothing behind.
    #[must_use]
    pub fn probe() -> Self {
        let capabilities = Capabilities::of_this_process();
        let (types, tracepoint, trampoline) = match Btf::from_kernel() {
            Ok(btf) => {
                let may_try = capabilities.missing(&Capability::REQUIRED).is_empty();
                let tracepoint = try_tracepoints(&btf, may_try);
                let trampoline = try_trampolines(&btf, may_try);
                (Ok(Types::of(&btf)), tracepoint, trampoline)
            }
            Err(error) => (Err(error), HookState::Unknown, HookState::Unknown),
        };
        Self {
            kernel: Kernel::running(),
            capabilities,
            lockdown: lockdown::read(),
            types,
            tracepoint,
            trampoline,
        }
    }

    /// What came of trying this set.
    #[must_use]
    pub const fn state(&self, hooks: HookSet) -> &HookState {
        match hooks {
            HookSet::Tracepoint => &self.tracepoint,
            HookSet::Trampoline => &self.trampoline,
        }
    }
}

impl Types {
    fn of(btf: &Btf) -> Self {
        Self {
            offsets: offsets::resolve(btf),
            missing_lifecycle: missing(&LIFECYCLE_TRACEPOINTS, |name| btf.tracepoint(name)),
        }
    }
}

fn missing(names: &[&'static str], find: impl Fn(&str) -> Option<u32>) -> Vec<&'static str> {
    let missing = names.iter().copied();
    missing.filter(|name| find(name).is_none()).collect()
}

fn try_tracepoints(btf: &Btf, may_try: bool) -> HookState {
    let find = |name: &str| btf.tracepoint(name);
    try_hooks(&DATA_TRACEPOINTS, find, Attachment::Tracepoint, may_try)
}

fn try_trampolines(btf: &Btf, may_try: bool) -> HookState {
    let find = |name: &str| btf.function(name);
    try_hooks(&DATA_FUNCTIONS, find, Attachment::FunctionExit, may_try)
}

fn try_hooks(
    targets: &[&'static str],
    find: impl Fn(&str) -> Option<u32>,
    attachment: Attachment,
    may_try: bool,
) -> HookState {
    let absent = missing(targets, &find);
    if !absent.is_empty() {
        return HookState::Absent { targets: absent };
    }
    if !may_try {
        return HookState::Untried;
    }
    let attempts = targets.iter().filter_map(|name| find(name));
    for target in attempts {
        if let Err(error) = attach::attempt(attachment, target) {
            return HookState::Refused(Arc::new(error));
        }
    }
    HookState::Works
}

/// Decides which hooks to attach.
///
/// # Errors
///
/// The first reason, from the widest to the narrowest, why this host cannot be traced as wanted.
pub fn choose(wanted: HooksChoice, support: &Support) -> Result<Chosen, SupportError> {
    if support
        .kernel
        .version
        .is_some_and(|version| version < MINIMUM_KERNEL)
    {
        return Err(SupportError::Kernel {
            release: support.kernel.release.clone(),
        });
    }
    let missing = support.capabilities.missing(&Capability::REQUIRED);
    if !missing.is_empty() {
        return Err(SupportError::Privilege {
            missing,
            confined: support.capabilities.are_confined(),
        });
    }
    if support.lockdown == Lockdown::Confidentiality {
        return Err(SupportError::Lockdown);
    }
    let types = support.types.as_ref();
    let types = types.map_err(|error| SupportError::Types(error.clone()))?;
    let hooks = choose_hooks(wanted, support)?;
    if !types.missing_lifecycle.is_empty() {
        return Err(SupportError::Lifecycle {
            missing: types.missing_lifecycle.clone(),
        });
    }
    match &types.offsets {
        Ok(offsets) => Ok(Chosen {
            hooks,
            offsets: *offsets,
        }),
        Err(error) => Err(SupportError::Offsets(error.clone())),
    }
}

fn choose_hooks(wanted: HooksChoice, support: &Support) -> Result<HookSet, SupportError> {
    let mut working = [HookSet::Tracepoint, HookSet::Trampoline]
        .into_iter()
        .filter(|hooks| support.state(*hooks).works());
    match wanted {
        HooksChoice::Auto => working.next().ok_or_else(|| SupportError::NoHooks {
            tracepoint: support.tracepoint.clone(),
            trampoline: support.trampoline.clone(),
        }),
        HooksChoice::Only(hooks) if support.state(hooks).works() => Ok(hooks),
        HooksChoice::Only(hooks) => Err(SupportError::Forced {
            wanted: hooks,
            state: support.state(hooks).clone(),
            other: working.next(),
        }),
    }
}
