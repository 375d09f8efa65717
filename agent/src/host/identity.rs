//! The identity of this host, read once at start.

use std::path::Path;

use compact_str::CompactString;
use rustix::time::{ClockId, clock_gettime};

use super::procfs::read_bounded;

/// What all resources of one host have in common.
#[derive(Clone, Debug)]
pub struct HostIdentity {
    /// `host.name`
    pub name: CompactString,
    /// `host.id`: the machine id of machine-id(5), `None` on a host without one.
    pub id: Option<CompactString>,
    /// `host.arch`, by the names of the semantic conventions.
    pub arch: &'static str,
    /// Id of this boot: process ids and start times repeat after the next one.
    pub boot_id: CompactString,
    /// Wall time at boot, nanoseconds since the Unix epoch: start times count from it.
    pub booted: u64,
}

impl HostIdentity {
    /// Reads the identity of the running host. What is missing is left out.
    #[must_use]
    pub fn detect() -> Self {
        Self {
            name: CompactString::from_utf8_lossy(rustix::system::uname().nodename().to_bytes()),
            id: machine_id(Path::new("/etc/machine-id"))
                .or_else(|| machine_id(Path::new("/var/lib/dbus/machine-id"))),
            arch: match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            },
            boot_id: line(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_default(),
            booted: nanoseconds(ClockId::Realtime).saturating_sub(nanoseconds(ClockId::Boottime)),
        }
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let rest = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// 32 hexadecimal digits; the file may also hold `uninitialized` or nothing.
fn machine_id(path: &Path) -> Option<CompactString> {
    line(path).filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn line(path: &Path) -> Option<CompactString> {
    let content = read_bounded(path, 256)?;
    let text = std::str::from_utf8(&content).ok()?.trim();
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_this_host() {
        let host = HostIdentity::detect();
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(host.name, hostname.trim());
        assert_eq!(host.boot_id.len(), 36);
        let now = nanoseconds(ClockId::Realtime);
        assert!(host.booted > 0 && host.booted < now);
    }

    #[test]
    fn an_uninitialized_machine_id_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine-id");
        std::fs::write(&path, "uninitialized\n").unwrap();
        assert_eq!(machine_id(&path), None);
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        assert_eq!(
            machine_id(&path).unwrap(),
            "0123456789abcdef0123456789abcdef"
        );
        assert_eq!(machine_id(&folder.path().join("absent")), None);
    }
}
