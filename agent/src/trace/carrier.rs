//! Carriers: which server exchange a process was working on when it made a call. This is the one
//! place where a carrier is resolved. The only one so far is the thread, which is a carrier as
//! long as it serves one request at a time; on an event loop it means nothing.
//! Knows no identities, no spans.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{clock::KernelTime, stream::exchange::ExchangeId};

/// Processes that are remembered at most; beyond, those that serve nothing now are forgotten.
const PROCESSES: usize = 8192;

/// A thread, by its process and its own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Thread {
    pub(super) tgid: u32,
    /// 0 where a thread of the kernel made the call for any of the process's.
    pub(super) tid: u32,
}

impl Thread {
    /// Whether it is one of the process's own, which alone can carry a request.
    fn is_known(self) -> bool {
        self.tid != 0
    }
}

/// A server exchange whose request a thread received.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) id: ExchangeId,
    /// Requests of one line wait for each other: those of a connection that is not multiplexed.
    pub(super) line: u64,
    /// When its request's head was whole; nothing can be done for it before.
    pub(super) from: KernelTime,
    /// When its response was sent; `None` while it is open.
    pub(super) until: Option<KernelTime>,
    /// Its end is not known.
    pub(super) lost: bool,
    /// All records of the time before it are read.
    pub(super) checked: bool,
}

/// Where an exchange is in its thread's history: when its request's head was whole, and its number.
pub(super) type Key = (KernelTime, ExchangeId);

impl Served {
    fn key(&self) -> Key {
        (self.from, self.id)
    }

    fn open_at(&self, time: KernelTime) -> bool {
        self.from <= time && self.until.is_none_or(|until| until >= time)
    }
}

/// What one thread serves and has served a moment ago, in the order of [`Served::key`].
///
/// A busy thread has some thousand entries, so nothing here goes through all of them. It need not:
/// of those that were checked and not lost, no two of different lines overlap (else the process
/// would be an event loop), and those of one line end in the order in which they began. Whoever goes back in time can therefore stop at the first that was over.
#[derive(Debug, Default)]
struct History {
    served: VecDeque<Served>,
    /// How many of them are lost; these may overlap anything.
    lost: usize,
}

impl History {
    /// Nearly always at the end.
    fn insert(&mut self, served: Served) {
        let key = served.key();
        let later = self.served.iter().rev();
        let later = later.take_while(|other| other.key() > key).count();
        self.served.insert(self.served.len() - later, served);
    }

    /// Mostly the newest one, when it ends, or the oldest, when it is forgotten.
    fn position(&self, key: Key) -> Option<usize> {
        let is_at = |at: usize| self.served.get(at).is_some_and(|one| one.key() == key);
        let newest = self.served.len().checked_sub(1)?;
        if is_at(newest) {
            return Some(newest);
        }
        if is_at(0) {
            return Some(0);
        }
        self.served.binary_search_by_key(&key, Served::key).ok()
    }

    fn remove(&mut self, at: usize) {
        if let Some(served) = self.served.remove(at) {
            self.lost -= usize::from(served.lost);
        }
    }

    /// Whether an exchange of another line was open at the same time as this one, which
    /// is checked.
    fn overlaps(&self, at: usize) -> bool {
        let overlap = |first: &Served, second: &Served| {
            second.checked
                && !first.lost
                && !second.lost
                && first.line != second.line
                && first.until.is_none_or(|until| until > second.from)
        };
        let this = &self.served[at];
        for before in self.served.range(..at).rev() {
            if overlap(before, this) {
                return true;
            }
            // What was open before this one and still is now overlaps this one, too.
            if before.checked && !before.lost {
                break;
            }
        }
        self.served
            .range(at + 1..)
            .take_while(|after| this.until.is_none_or(|until| until > after.from))
            .any(|after| overlap(this, after))
    }

    fn only_open_at(&self, time: KernelTime) -> Option<ExchangeId> {
        let end = self.served.partition_point(|served| served.from <= time);
        let mut only: Option<&Served> = None;
        for served in self.served.range(..end).rev() {
            if served.open_at(time) {
                if only.is_some() {
                    return None;
                }
                only = Some(served);
            } else if served.checked && self.lost == 0 {
                break;
            }
        }
        only.filter(|only| !only.lost).map(|only| only.id)
    }
}

#[derive(Debug, Default)]
struct Process {
    /// A thread of it had two exchanges open at once.
    event_loop: bool,
    /// Exchanges in its threads' lists.
    served: usize,
}

/// What each thread serves and has served a moment ago.
#[derive(Debug, Default)]
pub(super) struct Carriers {
    threads: HashMap<Thread, History>,
    processes: HashMap<u32, Process>,
}

impl Carriers {
    /// A thread has received a request.
    pub(super) fn begin(&mut self, thread: Thread, served: Served) {
        if !thread.is_known() {
            return;
        }
        if self.processes.len() >= PROCESSES && !self.processes.contains_key(&thread.tgid) {
            self.processes.retain(|_, process| process.served > 0);
        }
        let process = self.processes.entry(thread.tgid).or_default();
        if !process.event_loop {
            process.served += 1;
            self.threads.entry(thread).or_default().insert(served);
        }
    }

    /// The response was sent.
    pub(super) fn end(&mut self, thread: Thread, key: Key, until: KernelTime) {
        if let Some(served) = self.find(thread, key) {
            served.until = Some(until);
        }
    }

    /// The exchange's end will not be known: for its thread's calls there is doubt.
    pub(super) fn lose(&mut self, thread: Thread, key: Key) {
        if let Some(list) = self.threads.get_mut(&thread)
            && let Some(at) = list.position(key)
        {
            list.lost += usize::from(!list.served[at].lost);
            list.served[at].lost = true;
        }
    }

    /// All records of the time before the exchange are read: whatever has no end yet was open at
    /// its beginning. Two exchanges of different lines at once make an event loop. (Those of one
    /// line are pipelined, and wait for each other.)
    pub(super) fn check(&mut self, thread: Thread, key: Key) {
        if let Some(list) = self.threads.get_mut(&thread)
            && let Some(at) = list.position(key)
        {
            list.served[at].checked = true;
            if list.overlaps(at) {
                self.is_event_loop(thread.tgid);
            }
        }
    }

    /// From now on, and for all calls that are not settled, threads of this process tell nothing.
    fn is_event_loop(&mut self, tgid: u32) {
        self.threads.retain(|thread, _| thread.tgid != tgid);
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.event_loop = true;
            process.served = 0;
        }
    }

    /// The only server exchange that the thread had open at that time.
    pub(super) fn serving(&self, thread: Thread, time: KernelTime) -> Option<ExchangeId> {
        self.threads.get(&thread)?.only_open_at(time)
    }

    /// Nothing will refer to the exchange any more.
    pub(super) fn forget(&mut self, thread: Thread, key: Key) {
        let Some(list) = self.threads.get_mut(&thread) else {
            return;
        };
        let Some(at) = list.position(key) else {
            return;
        };
        list.remove(at);
        if list.served.is_empty() {
            self.threads.remove(&thread);
        }
        if let Some(process) = self.processes.get_mut(&thread.tgid) {
            process.served = process.served.saturating_sub(1);
        }
    }

    /// The process is gone, and its calls are settled.
    pub(super) fn forget_process(&mut self, tgid: u32) {
        if self
            .processes
            .get(&tgid)
            .is_some_and(|process| process.served == 0)
        {
            self.processes.remove(&tgid);
        }
    }

    pub(super) fn clear(&mut self) {
        self.threads.clear();
        self.processes.clear();
    }

    fn find(&mut self, thread: Thread, key: Key) -> Option<&mut Served> {
        let list = self.threads.get_mut(&thread)?;
        let at = list.position(key)?;
        list.served.get_mut(at)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty() && self.processes.is_empty()
    }
}

#[cfg(test)]
mod tests;
