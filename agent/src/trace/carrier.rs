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
    pub(super) tid: u32,
}

/// A server exchange whose request a thread received.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) id: ExchangeId,
    /// The socket.
    pub(super) connection: u64,
    /// When its request's head was whole; nothing can be done for it before.
    pub(super) from: KernelTime,
    /// When its response was sent; `None` while it is open.
    pub(super) until: Option<KernelTime>,
    /// Its end is not known.
    pub(super) lost: bool,
    /// All records of the time before it are read.
    pub(super) checked: bool,
}

impl Served {
    fn open_at(&self, time: KernelTime) -> bool {
        self.from <= time && self.until.is_none_or(|until| until >= time)
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
    threads: HashMap<Thread, VecDeque<Served>>,
    processes: HashMap<u32, Process>,
}

impl Carriers {
    /// A thread has received a request.
    pub(super) fn begin(&mut self, thread: Thread, served: Served) {
        if self.processes.len() >= PROCESSES && !self.processes.contains_key(&thread.tgid) {
            self.processes.retain(|_, process| process.served > 0);
        }
        let process = self.processes.entry(thread.tgid).or_default();
        if !process.event_loop {
            process.served += 1;
            self.threads.entry(thread).or_default().push_back(served);
        }
    }

    /// The response was sent.
    pub(super) fn end(&mut self, thread: Thread, id: ExchangeId, until: KernelTime) {
        if let Some(served) = self.find(thread, id) {
            served.until = Some(until);
        }
    }

    /// The exchange's end will not be known: for its thread's calls there is doubt.
    pub(super) fn lose(&mut self, thread: Thread, id: ExchangeId) {
        if let Some(served) = self.find(thread, id) {
            served.lost = true;
        }
    }

    /// All records of the time before the exchange are read: whatever has no end yet was open at
    /// its beginning. Two exchanges of different connections at once make an event loop. (Those of
    /// one connection are pipelined, and wait for each other.)
    pub(super) fn check(&mut self, thread: Thread, id: ExchangeId) {
        let Some(list) = self.threads.get_mut(&thread) else {
            return;
        };
        let Some(at) = list.iter().position(|served| served.id == id) else {
            return;
        };
        list[at].checked = true;
        let this = &list[at];
        let overlaps = |other: &Served| {
            let (first, second) = if other.from <= this.from {
                (other, this)
            } else {
                (this, other)
            };
            let comparable = second.checked && !first.lost && !second.lost;
            comparable
                && other.connection != this.connection
                && first.until.is_none_or(|until| until > second.from)
        };
        if list.iter().any(overlaps) {
            self.is_event_loop(thread.tgid);
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
        let mut open = self
            .threads
            .get(&thread)?
            .iter()
            .filter(|served| served.open_at(time));
        let only = open.next()?;
        (open.next().is_none() && !only.lost).then_some(only.id)
    }

    /// Nothing will refer to the exchange any more.
    pub(super) fn forget(&mut self, thread: Thread, id: ExchangeId) {
        let Some(list) = self.threads.get_mut(&thread) else {
            return;
        };
        let Some(at) = list.iter().position(|served| served.id == id) else {
            return;
        };
        list.remove(at);
        if list.is_empty() {
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

    fn find(&mut self, thread: Thread, id: ExchangeId) -> Option<&mut Served> {
        self.threads
            .get_mut(&thread)?
            .iter_mut()
            .find(|served| served.id == id)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty() && self.processes.is_empty()
    }
}
