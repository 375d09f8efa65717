//! The capabilities of this process (`capabilities(7)`), as far as tracing needs them.
#![forbid(unsafe_code)]

/// A capability that wirespan makes use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// To load programs and create maps (since Linux 5.8).
    Bpf,
    /// To attach tracing programs and read kernel memory from them (since Linux 5.8).
    Perfmon,
    /// To read the executable and the environment of other users' processes.
    SysPtrace,
    /// To open the files in `/proc` that only their owner may read.
    DacReadSearch,
}

impl Capability {
    /// Those without which nothing can be traced.
    pub const REQUIRED: [Self; 2] = [Self::Bpf, Self::Perfmon];
    /// Those without which other users' processes stay unnamed.
    pub const IDENTITY: [Self; 2] = [Self::SysPtrace, Self::DacReadSearch];

    /// As the manual writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
        }
    }

    /// Bits of the kernel's mask of which one suffices: a capability's own, or that of the older
    /// and wider one which includes it.
    const fn mask(self) -> u64 {
        const DAC_OVERRIDE: u64 = 1 << 1;
        const DAC_READ_SEARCH: u64 = 1 << 2;
        const SYS_PTRACE: u64 = 1 << 19;
        const SYS_ADMIN: u64 = 1 << 21;
        const PERFMON: u64 = 1 << 38;
        const BPF: u64 = 1 << 39;
        match self {
            Self::Bpf => BPF | SYS_ADMIN,
            Self::Perfmon => PERFMON | SYS_ADMIN,
            Self::SysPtrace => SYS_PTRACE,
            Self::DacReadSearch => DAC_READ_SEARCH | DAC_OVERRIDE,
        }
    }
}

/// The user namespace that the kernel starts with (`PROC_USER_INIT_INO`).
const INITIAL_NAMESPACE: &str = "user:[4026531837]";

/// The effective capabilities of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    mask: u64,
    /// The process is in a user namespace of its own: whatever it may do there, it may not
    /// trace the host.
    confined: bool,
}

impl Capabilities {
    /// Those of this process. None where `/proc` cannot be read, so that nothing is assumed.
    #[must_use]
    pub fn of_this_process() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/user");
        Self {
            mask: parse(&status),
            confined: namespace.is_ok_and(|name| name.as_os_str() != INITIAL_NAMESPACE),
        }
    }

    /// Those of a mask as the kernel numbers its bits.
    #[cfg(test)]
    pub(crate) const fn of_mask(mask: u64) -> Self {
        Self {
            mask,
            confined: false,
        }
    }

    /// Whether they do not count, because the process is in a user namespace of its own.
    #[must_use]
    pub const fn are_confined(self) -> bool {
        self.confined
    }

    /// Whether the process may do what the capability allows.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        !self.confined && self.mask & capability.mask() != 0
    }

    /// Those of `wanted` that are missing.
    #[must_use]
    pub fn missing(self, wanted: &[Capability]) -> Vec<Capability> {
        let missing = wanted.iter().filter(|capability| !self.has(**capability));
        missing.copied().collect()
    }
}

/// The mask in `/proc/PID/status` (`proc_pid_status(5)`).
fn parse(status: &str) -> u64 {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mask: &str) -> Capabilities {
        let status = format!("Name:\tx\nCapPrm:\t0\nCapEff:\t{mask}\nCapBnd:\tff\n");
        Capabilities::of_mask(parse(&status))
    }

    #[test]
    fn the_root_of_a_namespace_has_none() {
        let confined = Capabilities {
            mask: u64::MAX,
            confined: true,
        };
        assert_eq!(
            confined.missing(&Capability::REQUIRED),
            Capability::REQUIRED
        );
    }

    #[test]
    fn root_has_all_and_a_user_none() {
        let every = [Capability::REQUIRED, Capability::IDENTITY].concat();
        assert!(of("000001fffeffffff").missing(&every).is_empty());
        assert_eq!(of("0000000000000000").missing(&every), every);
    }

    #[test]
    fn narrow_and_wide_capabilities_count() {
        assert!(
            of("000000c000000000")
                .missing(&Capability::REQUIRED)
                .is_empty()
        );
        assert!(
            of("0000000000200000")
                .missing(&Capability::REQUIRED)
                .is_empty()
        );
        assert_eq!(
            of("0000008000000000").missing(&Capability::REQUIRED),
            [Capability::Perfmon]
        );
        assert!(
            of("0000000000080002")
                .missing(&Capability::IDENTITY)
                .is_empty()
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_assumed() {
        for odd in ["", "CapEff:", "CapEff:\tzz", "CapPrm:\tffffffffffffffff"] {
            assert_eq!(parse(odd), 0, "{odd:?}");
        }
    }
}
