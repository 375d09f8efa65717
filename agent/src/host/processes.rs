//! The table of processes: kept by the kernel's records, filled from `/proc` where they say
//! nothing.

use std::{collections::VecDeque, sync::Arc};

use compact_str::CompactString;
use hashbrown::HashMap;
use wirespan_ebpf::records::{ExecRecord, ExitRecord, ForkRecord};

use super::{
    container::{CgroupTree, container_of_process},
    identity::HostIdentity,
    procfs::{ProcRoot, StartTime},
    program::{Executable, Program, base_name},
    resource::{self, Subject},
};
use crate::{
    clock::KernelTime,
    metrics::counters::{Counters, Loss},
    span::model::Resource,
};

/// Processes that are remembered at most. One that must leave is read from `/proc` again.
const PROCESSES_LIMIT: usize = 32_768;
/// Nanoseconds for which an exited process is remembered: its last spans still settle.
const EXITED_KEPT: u64 = 10_000_000_000;

/// Who runs on this host.
#[derive(Debug)]
pub struct Processes {
    root: ProcRoot,
    host: HostIdentity,
    cgroups: CgroupTree,
    counters: Arc<Counters>,
    table: HashMap<u32, Process>,
    /// In the order of their ends.
    exited: VecDeque<(KernelTime, u32, StartTime)>,
}

#[derive(Debug)]
struct Process {
    start: StartTime,
    /// Shared with forked children.
    program: Arc<Program>,
    /// As far as it was known at exec; `/proc` is asked when the resource is made.
    container: Option<CompactString>,
    /// Made when it is first asked for.
    resource: Option<Arc<Resource>>,
    exited: bool,
}

impl Processes {
    /// An empty table. Call [`Self::backfill`] once the kernel's records flow, so that no process
    /// is missed between the two.
    #[must_use]
    pub fn new(
        root: ProcRoot,
        host: HostIdentity,
        cgroups: CgroupTree,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            root,
            host,
            cgroups,
            counters,
            table: HashMap::new(),
            exited: VecDeque::new(),
        }
    }

    /// Brings the table up to date with `/proc`: at start, and after records of processes were
    /// lost. Reads about 4 small files for each process that is new.
    pub fn backfill(&mut self) {
        for pid in self.root.processes() {
            if !self.is_current(pid) {
                self.read(pid);
            }
        }
    }

    /// A process has a new program.
    pub fn exec(&mut self, record: &ExecRecord) {
        self.expire(KernelTime(record.time));
        let start = StartTime::from_nanoseconds(record.start_time);
        let program = Arc::new(Program::of_record(record, &self.root));
        let container = self.cgroups.container(record.cgroup);
        let known = self.table.get(&record.tgid);
        let exited = known.is_some_and(|known| known.start == start && known.exited);
        self.insert(
            record.tgid,
            Process {
                start,
                program,
                container,
                resource: None,
                exited,
            },
        );
    }

    /// A process was created and has its parent's program.
    pub fn fork(&mut self, record: &ForkRecord) {
        self.expire(KernelTime(record.time));
        let start = StartTime::from_nanoseconds(record.start_time);
        let known = self.table.get(&record.tgid);
        if known.is_some_and(|known| known.start >= start) {
            // Rings of other CPUs may have told of its exec first.
            return;
        }
        let parent = self.table.get(&record.parent_tgid);
        if let Some((program, container)) =
            parent.map(|parent| (Arc::clone(&parent.program), parent.container.clone()))
        {
            self.insert(
                record.tgid,
                Process {
                    start,
                    program,
                    container,
                    resource: None,
                    exited: false,
                },
            );
        } else {
            self.table.remove(&record.tgid);
            self.read(record.tgid);
        }
    }

    /// A process has ended. It is remembered for some seconds more.
    pub fn exit(&mut self, record: &ExitRecord) {
        let now = KernelTime(record.time);
        self.expire(now);
        if let Some(process) = self.table.get_mut(&record.tgid)
            && !process.exited
        {
            process.exited = true;
            self.exited.push_back((now, record.tgid, process.start));
        }
    }

    /// The resource of a process; one look-up but for the first time. Of a process that is
    /// neither known nor alive only the pid is told, and the loss is counted
    /// ([`Loss::ProcessUnknown`]), each time.
    pub fn resource(&mut self, pid: u32) -> Arc<Resource> {
        if let Some(resource) = self
            .table
            .get(&pid)
            .and_then(|known| known.resource.as_ref())
        {
            return Arc::clone(resource);
        }
        self.identify(pid).unwrap_or_else(|| {
            self.counters.lose(Loss::ProcessUnknown, 1);
            Arc::new(resource::unknown(&self.host, pid))
        })
    }

    /// The resource of a process of which nothing is known but that it runs on this host.
    #[must_use]
    pub fn unidentified(&self) -> Resource {
        resource::unidentified(Some(&self.host))
    }

    /// The executable of a process, for the filters of the command line; `None` when it is
    /// neither known nor alive.
    pub fn executable(&mut self, pid: u32) -> Option<&Executable> {
        if !self.table.contains_key(&pid) {
            self.read(pid);
        }
        let process = self.table.get(&pid)?;
        Some(process.program.executable(&self.root, pid, process.start))
    }

    fn identify(&mut self, pid: u32) -> Option<Arc<Resource>> {
        if !self.table.contains_key(&pid) {
            self.read(pid);
        }
        let process = self.table.get_mut(&pid)?;
        let executable = process.program.executable(&self.root, pid, process.start);
        let lives = self
            .root
            .stat(pid)
            .is_some_and(|stat| stat.start == process.start);
        let cgroups = lives.then(|| self.root.cgroups(pid)).flatten();
        let container = match cgroups {
            Some(cgroups) => container_of_process(&cgroups),
            None => process.container.clone(),
        };
        let subject = Subject {
            pid,
            start: process.start,
            program: &process.program,
            executable,
            container,
        };
        let resource = Arc::new(resource::known(&self.host, subject));
        process.resource = Some(Arc::clone(&resource));
        Some(resource)
    }

    /// Whether what is known of a process is what `/proc` shows.
    fn is_current(&self, pid: u32) -> bool {
        let Some(known) = self.table.get(&pid) else {
            return false;
        };
        let name = |path: Vec<u8>| String::from_utf8_lossy(base_name(&path)).into_owned();
        self.root
            .stat(pid)
            .is_some_and(|stat| stat.start == known.start)
            && self.root.executable(pid).map(name).as_deref()
                == Some(&known.program.executable(&self.root, pid, known.start).name)
    }

    /// Enters what `/proc` shows of a process, if there is one with a program.
    fn read(&mut self, pid: u32) {
        let Some(stat) = self.root.stat(pid).filter(|stat| !stat.kernel_thread) else {
            return;
        };
        let Some(program) = Program::of_process(&self.root, pid) else {
            return;
        };
        let container = self
            .root
            .cgroups(pid)
            .and_then(|lines| container_of_process(&lines));
        // The process may have ended meanwhile, and its id may be another's.
        if self.root.stat(pid) != Some(stat) {
            return;
        }
        self.insert(
            pid,
            Process {
                start: stat.start,
                program: Arc::new(program),
                container,
                resource: None,
                exited: false,
            },
        );
    }

    fn insert(&mut self, pid: u32, process: Process) {
        while self.table.len() >= PROCESSES_LIMIT && !self.table.contains_key(&pid) {
            self.evict();
        }
        self.table.insert(pid, process);
    }

    /// Removes the process whose end is the longest ago; any other where none has ended.
    fn evict(&mut self) {
        if let Some((_, pid, start)) = self.exited.pop_front() {
            self.forget(pid, start);
        } else if let Some(pid) = self.table.keys().next().copied() {
            self.table.remove(&pid);
        }
    }

    fn expire(&mut self, now: KernelTime) {
        while let Some((ended, pid, start)) = self.exited.front().copied()
            && now.since(ended) > EXITED_KEPT
        {
            self.exited.pop_front();
            self.forget(pid, start);
        }
    }

    fn forget(&mut self, pid: u32, start: StartTime) {
        if self
            .table
            .get(&pid)
            .is_some_and(|known| known.exited && known.start == start)
        {
            self.table.remove(&pid);
        }
    }
}

#[cfg(test)]
mod tests;
