//! Each prerequisite: what counts as there, what it costs where it is not, and what mends it.
#![forbid(unsafe_code)]

use super::host::{Cgroup, Host};
use super::{Check, State, other};
use crate::bpf::btf::KERNEL_BTF;
use crate::bpf::support::{
    Capability, HookSet, HookState, Lockdown, MINIMUM_KERNEL, Support, Types,
};

/// What tracing takes at 10,000 requests a second on 1,000 connections: 40 MiB for the agent and
/// 16 MiB for its maps in the kernel.
const NEEDED_MEMORY: u64 = 56 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;

const NOTHING: &str = "nothing can be traced";

/// All of them, in the order in which they are shown.
pub(super) fn all(support: &Support, host: &Host) -> Vec<Check> {
    vec![
        kernel(support),
        types(support),
        structures(support),
        lockdown(support),
        capabilities(support),
        hooks(support, HookSet::Tracepoint),
        hooks(support, HookSet::Trampoline),
        lifecycle(support),
        cgroup(host),
        memory(host),
    ]
}

fn ok(name: &'static str, detail: impl Into<String>) -> Check {
    Check {
        name,
        state: State::Ok,
        detail: detail.into(),
        cost: None,
        mend: None,
    }
}

impl Check {
    fn but(self, state: State, cost: impl Into<String>) -> Self {
        Self {
            state,
            cost: Some(cost.into()),
            ..self
        }
    }

    fn mended_by(self, mend: &'static str) -> Self {
        Self {
            mend: Some(mend),
            ..self
        }
    }
}

fn kernel(support: &Support) -> Check {
    let (major, minor) = MINIMUM_KERNEL;
    let release = &support.kernel.release;
    let check = ok(
        "kernel",
        format!("{release} ({major}.{minor} or later is needed)"),
    );
    match support.kernel.version {
        Some(version) if version >= MINIMUM_KERNEL => check,
        Some(_) => check
            .but(State::Missing, NOTHING)
            .mended_by("run a later kernel"),
        None => check.but(State::Unknown, "the other checks decide"),
    }
}

fn types(support: &Support) -> Check {
    match &support.types {
        Ok(_) => ok("btf", KERNEL_BTF),
        Err(error) => ok("btf", error.to_string())
            .but(State::Missing, NOTHING)
            .mended_by("run a kernel built with CONFIG_DEBUG_INFO_BTF=y"),
    }
}

/// A check that only the kernel's type information answers.
fn by_types(
    support: &Support,
    name: &'static str,
    check: impl FnOnce(&'static str, &Types) -> Check,
) -> Check {
    support.types.as_ref().map_or_else(
        |_| {
            ok(name, "not known without the kernel's type information").but(State::Unknown, NOTHING)
        },
        |types| check(name, types),
    )
}

fn structures(support: &Support) -> Check {
    by_types(support, "kernel_structures", |name, types| {
        match &types.offsets {
            Ok(_) => ok(name, "every member that is read was found"),
            Err(error) => ok(name, error.to_string())
                .but(State::Missing, NOTHING)
                .mended_by("report this kernel to the project"),
        }
    })
}

fn lockdown(support: &Support) -> Check {
    let check = |detail: &str| ok("lockdown", detail);
    match support.lockdown {
        Lockdown::None => check("none"),
        Lockdown::Integrity => check("integrity (no cost: wirespan only reads what it traces)"),
        Lockdown::Confidentiality => check("confidentiality")
            .but(State::Missing, NOTHING)
            .mended_by("boot the kernel with lockdown=integrity"),
        Lockdown::Unknown => check("unknown (securityfs is not mounted)")
            .but(
                State::Unknown,
                "nothing, unless the level is confidentiality: then nothing can be traced",
            )
            .mended_by("run as root"),
    }
}

fn capabilities(support: &Support) -> Check {
    let names = |missing: &[Capability]| {
        let names: Vec<_> = missing.iter().map(|one| one.name()).collect();
        format!("without {}", names.join(", "))
    };
    let required = support.capabilities.missing(&Capability::REQUIRED);
    let identity = support.capabilities.missing(&Capability::IDENTITY);
    if !required.is_empty() {
        let all = [required, identity].concat();
        let mut detail = names(&all);
        if support.capabilities.are_confined() {
            detail.push_str(" (those of a user namespace do not count)");
        }
        return ok("capabilities", detail)
            .but(State::Missing, NOTHING)
            .mended_by("run as root");
    }
    if identity.is_empty() {
        return ok("capabilities", "all that are used");
    }
    ok("capabilities", names(&identity))
        .but(
            State::Missing,
            "spans of other users' processes lack the service's name and its other resource \
             attributes",
        )
        .mended_by("run as root")
}

fn hooks(support: &Support, hooks: HookSet) -> Check {
    let name = match hooks {
        HookSet::Tracepoint => "tracepoint_hooks",
        HookSet::Trampoline => "trampoline_hooks",
    };
    let state = support.state(hooks);
    let check = ok(name, state.to_string());
    let alone = !support.state(other(hooks)).works();
    match state {
        HookState::Works => ok(name, format!("{state} ({})", io_uring(hooks))),
        HookState::Untried => check
            .but(State::Unknown, cost(hooks, alone))
            .mended_by("run as root"),
        HookState::Unknown => check.but(State::Unknown, cost(hooks, alone)),
        HookState::Absent { .. } | HookState::Refused(_) => {
            check.but(State::Missing, cost(hooks, alone))
        }
    }
}

const fn io_uring(hooks: HookSet) -> &'static str {
    match hooks {
        HookSet::Tracepoint => "what io_uring moves is counted, not read",
        HookSet::Trampoline => "what io_uring moves is read, too",
    }
}

const fn cost(hooks: HookSet, alone: bool) -> &'static str {
    match (hooks, alone) {
        (_, true) => "nothing can be traced, unless the other hooks work",
        (HookSet::Tracepoint, false) => {
            "nothing: the trampoline hooks read the same bytes and more"
        }
        (HookSet::Trampoline, false) => {
            "bytes that are moved by io_uring: they are counted, not read, and its requests make no \
             spans"
        }
    }
}

fn lifecycle(support: &Support) -> Check {
    by_types(support, "lifecycle_tracepoints", |name, types| {
        let missing = &types.missing_lifecycle;
        if missing.is_empty() {
            return ok(name, "connections and processes can be followed");
        }
        ok(name, format!("without {}", missing.join(", "))).but(State::Missing, NOTHING)
    })
}

fn cgroup(host: &Host) -> Check {
    let check = |detail: String| ok("cgroup", detail);
    match &host.cgroup {
        Cgroup::V2(path) => check(format!("version 2 at {}", path.display())),
        Cgroup::V1 => check("version 1 only".to_owned()).but(
            State::Missing,
            "spans have a container.id only where version 1 names the container",
        ),
        Cgroup::None => {
            check("not mounted".to_owned()).but(State::Missing, "spans may lack their container.id")
        }
        Cgroup::Unknown => check("the mounts cannot be read".to_owned())
            .but(State::Unknown, "spans may lack their container.id"),
    }
}

fn memory(host: &Host) -> Check {
    let needed = NEEDED_MEMORY / MEBIBYTE;
    let Some(available) = host.available_memory else {
        return ok("memory", format!("unknown ({needed} MiB are needed)"))
            .but(State::Unknown, "the agent may be killed for want of memory");
    };
    let check = ok(
        "memory",
        format!(
            "{} MiB available ({needed} MiB are needed)",
            available / MEBIBYTE
        ),
    );
    if available >= NEEDED_MEMORY {
        return check;
    }
    check
        .but(
            State::Missing,
            "the agent may be killed for want of memory, under load",
        )
        .mended_by("stop other programs, or add memory")
}
