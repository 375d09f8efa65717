//! What is to be done later with an exchange. Time passes with the settling passes alone; each
//! kind of waiting has one length, so a queue for each is in order. Knows no exchanges.

use std::collections::VecDeque;

use crate::{clock::KernelTime, stream::exchange::ExchangeId};

/// What an exchange waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// All records up to the start of a server exchange are read: its thread can be checked for
    /// exchanges at the same time.
    Check,
    /// All records that an identity can depend on are read, if everything that it depends on is
    /// on another host or in the same thread.
    Decide,
    /// The other end of a connection that may be on this host.
    MaybeLocal,
    /// The other end of a connection that is on this host, or a parent's identity.
    Limit,
    /// Records of the other end, of the same time as the end of the exchange.
    Settle,
    /// Late records that refer to an exchange that has become a span.
    Forget,
    /// A server that reads a request after its client gave up, or children of a lost exchange.
    ForgetLate,
}

const KINDS: usize = 7;

const MILLISECOND: u64 = 1_000_000;

/// Passes and nanoseconds that a wait lasts at least. The rings are drained one after the other:
/// a record can come one pass later than one that was written after it, never two.
fn length(wait: Wait, limit: u64) -> (u64, u64) {
    match wait {
        Wait::Check => (2, 0),
        Wait::Decide => (3, limit.min(50 * MILLISECOND)),
        Wait::MaybeLocal => (1, limit.min(200 * MILLISECOND)),
        Wait::Limit => (1, limit),
        Wait::Settle => (2, limit.min(50 * MILLISECOND)),
        Wait::Forget => (3, limit.min(100 * MILLISECOND)),
        Wait::ForgetLate => (3, 10 * limit),
    }
}

#[derive(Debug)]
struct Entry {
    pass: u64,
    time: KernelTime,
    id: ExchangeId,
}

/// Queues of exchanges that wait.
#[derive(Debug)]
pub(super) struct Timers {
    pass: u64,
    now: KernelTime,
    limit: u64,
    queues: [VecDeque<Entry>; KINDS],
}

impl Timers {
    /// `limit`: the longest time, in nanoseconds, for which an identity may be open.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            pass: 0,
            now: KernelTime::default(),
            limit,
            queues: [const { VecDeque::new() }; KINDS],
        }
    }

    /// A pass begins.
    pub(super) fn tick(&mut self, now: KernelTime) {
        self.pass += 1;
        self.now = self.now.max(now);
    }

    pub(super) fn now(&self) -> KernelTime {
        self.now
    }

    pub(super) fn push(&mut self, wait: Wait, id: ExchangeId) {
        let (passes, nanoseconds) = length(wait, self.limit);
        self.queues[wait as usize].push_back(Entry {
            pass: self.pass + passes,
            time: KernelTime(self.now.0.saturating_add(nanoseconds)),
            id,
        });
    }

    /// The next whose wait is over.
    pub(super) fn pop_due(&mut self, wait: Wait) -> Option<ExchangeId> {
        let front = self.queues[wait as usize].front()?;
        if front.pass > self.pass || front.time > self.now {
            return None;
        }
        self.pop(wait)
    }

    /// The next, if more than `most` wait.
    pub(super) fn pop_excess(&mut self, wait: Wait, most: usize) -> Option<ExchangeId> {
        if self.queues[wait as usize].len() <= most {
            return None;
        }
        self.pop(wait)
    }

    /// The next, at once.
    pub(super) fn pop(&mut self, wait: Wait) -> Option<ExchangeId> {
        Some(self.queues[wait as usize].pop_front()?.id)
    }

    pub(super) fn clear(&mut self) {
        self.queues.iter_mut().for_each(VecDeque::clear);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }
}
