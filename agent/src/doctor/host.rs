//! What is to know of the host beside its kernel: control groups and memory.
#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Control groups.
    pub cgroup: Cgroup,
    /// Memory that could be had without swapping, in bytes.
    pub available_memory: Option<u64>,
}

/// Control groups, which tell containers apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cgroup {
    /// The unified hierarchy is mounted.
    V2(PathBuf),
    /// Only hierarchies of version 1 are.
    V1,
    /// None is.
    None,
    /// The mounts could not be read.
    Unknown,
}

impl Host {
    /// Looks at this host.
    #[must_use]
    pub fn examine() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo");
        let memory = fs::read_to_string("/proc/meminfo");
        Self {
            cgroup: mounts.map_or(Cgroup::Unknown, |mounts| cgroup(&mounts)),
            available_memory: memory.ok().and_then(|memory| available(&memory)),
        }
    }
}

/// Reads `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`): the mount point is the fifth field,
/// and the type follows a single `-`.
fn cgroup(mounts: &str) -> Cgroup {
    let mut found = Cgroup::None;
    for line in mounts.lines() {
        let Some((place, source)) = line.split_once(" - ") else {
            continue;
        };
        match (source.split(' ').next(), place.split(' ').nth(4)) {
            (Some("cgroup2"), Some(point)) => return Cgroup::V2(PathBuf::from(point)),
            (Some("cgroup"), _) => found = Cgroup::V1,
            _ => {}
        }
    }
    found
}

fn available(memory: &str) -> Option<u64> {
    let line = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "31 24 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";
    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_unified_hierarchy_is_preferred() {
        assert_eq!(cgroup(V2), Cgroup::V2(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(cgroup(&format!("{V1}{V2}")), cgroup(V2));
        assert_eq!(cgroup(V1), Cgroup::V1);
        let other = "22 1 8:1 / /cgroup2 rw - ext4 /dev/cgroup2 rw\n";
        assert_eq!(cgroup(other), Cgroup::None);
        assert_eq!(cgroup("odd\n - \n"), Cgroup::None);
    }

    #[test]
    fn available_memory_is_in_bytes() {
        let text = "MemTotal:  2000 kB\nMemFree:  10 kB\nMemAvailable:    1000 kB\n";
        assert_eq!(available(text), Some(1_024_000));
        assert_eq!(available("MemTotal: 2000 kB\n"), None);
        assert_eq!(available("MemAvailable: 99999999999999999999 kB\n"), None);
        assert_eq!(available("MemAvailable: 18446744073709551615 kB\n"), None);
    }

    #[test]
    fn this_host_has_memory() {
        assert!(
            Host::examine()
                .available_memory
                .is_some_and(|bytes| bytes > 0)
        );
    }
}
