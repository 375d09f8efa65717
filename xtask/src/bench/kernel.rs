//! What the agent holds in the kernel: sizes of its maps, run times of its programs.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

use super::report::float;
use crate::held::{descriptors, program_names};

const COUNTING: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Has the kernel count the run time of every program while this value lives.
///
/// The counting itself takes time, so no other measurement is made meanwhile.
pub(super) struct Counting {
    before: String,
}

impl Counting {
    pub(super) fn start() -> Result<Self> {
        let before =
            fs::read_to_string(COUNTING).with_context(|| format!("cannot read {COUNTING}"))?;
        fs::write(COUNTING, "1").with_context(|| format!("cannot write {COUNTING}"))?;
        Ok(Self { before })
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(COUNTING, self.before.trim()) {
            eprintln!(
                "cannot set {COUNTING} back to {}: {error}",
                self.before.trim()
            );
        }
    }
}

/// The count of one program at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runs {
    pub(super) name: String,
    pub(super) count: u64,
    time_ns: u64,
}

impl Runs {
    /// Whether it runs at every send or receive, in either hook set.
    pub(super) fn is_transfer(&self) -> bool {
        ["sock_send", "sock_recv", "tcp_", "unix_stream_"]
            .iter()
            .any(|prefix| self.name.starts_with(prefix))
    }

    pub(super) fn nanoseconds(&self) -> f64 {
        float(self.time_ns) / float(self.count)
    }
}

/// Bytes of kernel memory in the maps of a process.
pub(super) fn map_bytes(pid: u32) -> Result<u64> {
    let mut maps = BTreeMap::new();
    for info in descriptors(pid)? {
        if let (Some(id), Some(bytes)) = (info.get("map_id"), info.get("memlock")) {
            maps.insert(*id, *bytes);
        }
    }
    Ok(maps.values().sum())
}

/// The programs of a process, by their ids.
pub(super) fn programs(pid: u32) -> Result<BTreeMap<u64, Runs>> {
    let names = program_names()?;
    let mut programs = BTreeMap::new();
    for info in descriptors(pid)? {
        if let (Some(id), Some(time_ns), Some(count)) = (
            info.get("prog_id"),
            info.get("run_time_ns"),
            info.get("run_cnt"),
        ) {
            let name = names
                .get(id)
                .cloned()
                .unwrap_or_else(|| format!("program {id}"));
            programs.insert(
                *id,
                Runs {
                    name,
                    count: *count,
                    time_ns: *time_ns,
                },
            );
        }
    }
    Ok(programs)
}

/// What ran between two moments, without what did not run.
pub(super) fn runs_between(before: &BTreeMap<u64, Runs>, after: &BTreeMap<u64, Runs>) -> Vec<Runs> {
    let mut runs: Vec<Runs> = after
        .iter()
        .map(|(id, now)| {
            let (count, time_ns) = before
                .get(id)
                .map_or((0, 0), |old| (old.count, old.time_ns));
            Runs {
                name: now.name.clone(),
                count: now.count.saturating_sub(count),
                time_ns: now.time_ns.saturating_sub(time_ns),
            }
        })
        .filter(|runs| runs.count > 0)
        .collect();
    runs.sort_by_key(|runs| std::cmp::Reverse(runs.count));
    runs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Runs, runs_between};

    #[test]
    fn counts_only_what_ran_in_between() {
        let runs = |count, time_ns| Runs {
            name: "send".to_owned(),
            count,
            time_ns,
        };
        let before = BTreeMap::from([(1, runs(10, 1_000)), (2, runs(5, 50))]);
        let after = BTreeMap::from([(1, runs(14, 1_800)), (2, runs(5, 50))]);
        let between = runs_between(&before, &after);
        assert_eq!(between, [runs(4, 800)]);
        assert!((between[0].nanoseconds() - 200.0).abs() < 1e-9);
    }
}
