//! Bounded reads of `/proc`. Knows file formats, not what they mean for an identity.
//!
//! Every file belongs to a foreign process that may be hostile or gone at any moment: sizes are
//! capped, nothing is assumed to be UTF-8, and an unreadable file is an absent one.

use std::{
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Unit of process start times in `/proc/PID/stat`: `USER_HZ` is 100 on x86-64 and aarch64.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;
/// `PF_KTHREAD` (include/linux/sched.h): a kernel thread, which has no program.
const KERNEL_THREAD: u64 = 0x0020_0000;

const STAT_LIMIT: u64 = 4 << 10;
const CGROUP_LIMIT: u64 = 64 << 10;
const ARGUMENTS_LIMIT: u64 = 64 << 10;
const ENVIRONMENT_LIMIT: u64 = 1 << 20;

/// When a process started, in clock ticks since boot: all that `/proc` tells, so the kernel's
/// nanoseconds are reduced to it and both sources give one process the same identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StartTime {
    ticks: u64,
}

impl StartTime {
    /// From the ticks of `/proc/PID/stat`.
    pub(super) const fn from_ticks(ticks: u64) -> Self {
        Self { ticks }
    }

    /// From `task_struct.start_boottime`.
    pub(super) const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self {
            ticks: nanoseconds / NANOSECONDS_PER_TICK,
        }
    }

    /// Clock ticks since boot.
    pub(super) const fn ticks(self) -> u64 {
        self.ticks
    }

    /// Nanoseconds since boot.
    pub(super) const fn nanoseconds(self) -> u64 {
        self.ticks.saturating_mul(NANOSECONDS_PER_TICK)
    }
}

/// What `/proc/PID/stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) start: StartTime,
    pub(super) kernel_thread: bool,
}

/// A mounted proc file system.
#[derive(Clone, Debug)]
pub struct ProcRoot(PathBuf);

impl Default for ProcRoot {
    fn default() -> Self {
        Self::new("/proc")
    }
}

impl ProcRoot {
    /// The proc file system that is mounted at `path`. It must show the initial PID namespace,
    /// whose ids the kernel's records carry.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Ids of all processes.
    pub(super) fn processes(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir(&self.0) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Start time and kind, `None` when the process is gone.
    pub(super) fn stat(&self, pid: u32) -> Option<Stat> {
        parse_stat(&self.read(pid, "stat", STAT_LIMIT)?)
    }

    /// Path of the executable file as bytes, without the kernel's mark of a deleted file.
    pub(super) fn executable(&self, pid: u32) -> Option<Vec<u8>> {
        let target = std::fs::read_link(self.path(pid, "exe")).ok()?;
        let bytes = target.as_os_str().as_bytes();
        let path = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
        (!path.is_empty()).then(|| path.to_vec())
    }

    /// Arguments, each ended by a zero byte.
    pub(super) fn arguments(&self, pid: u32) -> Option<Vec<u8>> {
        self.read(pid, "cmdline", ARGUMENTS_LIMIT)
    }

    /// Environment at exec, each variable ended by a zero byte.
    pub(super) fn environment(&self, pid: u32) -> Option<Vec<u8>> {
        self.read(pid, "environ", ENVIRONMENT_LIMIT)
    }

    /// Lines of the process' cgroups, one for each hierarchy.
    pub(super) fn cgroups(&self, pid: u32) -> Option<Vec<u8>> {
        self.read(pid, "cgroup", CGROUP_LIMIT)
    }

    fn path(&self, pid: u32, file: &str) -> PathBuf {
        let mut path = self.0.join(pid.to_string());
        path.push(file);
        path
    }

    fn read(&self, pid: u32, file: &str, limit: u64) -> Option<Vec<u8>> {
        read_bounded(&self.path(pid, file), limit)
    }
}

/// The first `limit` bytes of a file, `None` when it cannot be read.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)
        .ok()?
        .take(limit)
        .read_to_end(&mut content)
        .ok()?;
    Some(content)
}

/// Fields after the command, which is in parentheses and may itself hold spaces and parentheses:
/// state(3) ppid pgrp session `tty_nr` tpgid flags(9) ... starttime(22); see proc(5).
fn parse_stat(content: &[u8]) -> Option<Stat> {
    let end = content.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(content.get(end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let flags: u64 = fields.nth(6)?.parse().ok()?;
    let ticks = fields.nth(12)?.parse().ok()?;
    Some(Stat {
        start: StartTime::from_ticks(ticks),
        kernel_thread: flags & KERNEL_THREAD != 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_start_time_after_a_hostile_command() {
        let stat = parse_stat(
            b"42 (a) S 1 (b) R 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3\n",
        )
        .unwrap();
        assert_eq!(stat.start.ticks(), 98765);
        assert!(!stat.kernel_thread);
    }

    #[test]
    fn knows_kernel_threads() {
        let stat = parse_stat(b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0")
            .unwrap();
        assert!(stat.kernel_thread);
    }

    #[test]
    fn reads_this_process() {
        let root = ProcRoot::default();
        let pid = std::process::id();
        assert!(root.processes().contains(&pid));
        assert!(root.stat(pid).unwrap().start.ticks() > 0);
        let executable = root.executable(pid).unwrap();
        assert_eq!(
            executable,
            std::env::current_exe().unwrap().as_os_str().as_bytes()
        );
        assert!(root.arguments(pid).unwrap().ends_with(&[0]));
    }

    #[test]
    fn reads_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge");
        std::fs::write(&path, vec![b'x'; 5000]).unwrap();
        assert_eq!(read_bounded(&path, STAT_LIMIT).unwrap().len(), 4096);
    }

    #[test]
    fn both_sources_give_the_same_start() {
        assert_eq!(
            StartTime::from_nanoseconds(12_345_678_901),
            StartTime::from_ticks(1234)
        );
    }

    proptest! {
        #[test]
        fn any_stat_is_read_or_refused(content: Vec<u8>) {
            let _ = parse_stat(&content);
        }
    }
}
