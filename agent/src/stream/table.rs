//! All connections: brings each one's records in order, waits for those that are late, bounds
//! what is kept. Knows nothing of what the bytes say.
//!
//! The same records give the same activities in the same order, every time: whatever is done for
//! several connections at once is done in the order of their ids, not in that of a hash table.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use hashbrown::{HashMap, HashSet, hash_map::Entry};
use wirespan_ebpf::{records::close_how, verdict::Verdict};

use super::{
    exchange::{Activity, Addresses},
    link::{Context, Fate},
    record::Record,
    slot::{Body, Held, Slot},
};
use crate::{
    clock::KernelTime,
    metrics::counters::{Counters, Loss},
};

/// Passes over the rings for which a connection that has ended is remembered, so that a record
/// that comes late does not bring it back.
const REMEMBERED_PASSES: u64 = 8;

/// A unix socket's end is not always seen: it is forgotten when it was silent for this long.
const UNIX_IDLE: u64 = 300_000_000_000;

/// How often silent unix sockets are looked for.
const SWEEP_INTERVAL: u64 = 10_000_000_000;

/// A verdict whose connection was silent for this long has reached the kernel.
const VERDICT_IDLE: u64 = 10_000_000_000;

/// Whether a process' connection is to be traced. Addresses are `None` for unix sockets and where
/// they are not known.
pub type Wanted<'a> = dyn FnMut(u32, Option<&Addresses>) -> bool + 'a;

/// What is kept at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections. The longest silent ones leave first.
    pub connections: usize,
    /// Unanswered requests of one connection.
    pub pipeline: usize,
    /// Bytes of records that wait for earlier ones of their connections.
    pub held_bytes: usize,
    /// Connections that are ignored and whose verdict may be on its way to the kernel.
    pub ignored: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            pipeline: 1024,
            held_bytes: 4 << 20,
            ignored: 65_536,
        }
    }
}

/// All connections of the host that are traced.
pub struct Streams {
    limits: Limits,
    counters: Arc<Counters>,
    slots: HashMap<u64, Slot>,
    /// Connections with records that wait for earlier ones.
    waiting: HashSet<u64>,
    held_bytes: usize,
    /// Connections that time alone can change.
    watched: Vec<u64>,
    /// By the address of the sending socket.
    unix: HashMap<u64, u64>,
    /// When an ignored connection was last heard of.
    ignored: HashMap<u64, KernelTime>,
    verdicts: Vec<(u64, Verdict)>,
    /// Connections that have ended, with the pass in which they did.
    ended: VecDeque<(u64, u64)>,
    ended_set: HashSet<u64>,
    /// Processes that have exited, with the pass in which their records came.
    exited: VecDeque<(u64, u32, KernelTime)>,
    exchanges: u64,
    pass: u64,
    swept: KernelTime,
    now: KernelTime,
}

/// What a connection needs from the table; a macro because it borrows single fields.
macro_rules! context {
    ($self:ident, $out:expr) => {
        &mut Context {
            counters: &$self.counters,
            limits: &$self.limits,
            exchanges: &mut $self.exchanges,
            out: $out,
        }
    };
}

impl Streams {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits, counters: Arc<Counters>) -> Self {
        Self {
            limits,
            counters,
            slots: HashMap::new(),
            waiting: HashSet::new(),
            held_bytes: 0,
            watched: Vec::new(),
            unix: HashMap::new(),
            ignored: HashMap::new(),
            verdicts: Vec::new(),
            ended: VecDeque::new(),
            ended_set: HashSet::new(),
            exited: VecDeque::new(),
            exchanges: 0,
            pass: 0,
            swept: KernelTime::default(),
            now: KernelTime::default(),
        }
    }

    /// Connections in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes a record. `wanted` is asked once for each connection, at its first data; one that is
    /// not wanted gets the verdict to be ignored.
    pub fn record(
        &mut self,
        record: &Record<'_>,
        wanted: &mut Wanted<'_>,
        out: &mut Vec<Activity>,
    ) {
        match record {
            Record::Data(data, payload) => {
                self.arrive(&Body::Data(**data, payload), data.time, wanted, out);
            }
            Record::Open(open) => self.arrive(&Body::Open(**open), open.time, wanted, out),
            Record::Close(close) => self.arrive(&Body::Close(**close), close.time, wanted, out),
            Record::Exit(exit) => self.process_exited(exit.tgid, KernelTime(exit.time)),
            Record::Exec(_) | Record::Fork(_) => {}
        }
    }

    /// A process has exited. What it left open ends after the next pass over the rings, when its
    /// last records have been seen.
    pub fn process_exited(&mut self, tgid: u32, time: KernelTime) {
        self.exited.push_back((self.pass, tgid, time));
    }

    /// What the kernel shall know of connections, since the last call.
    pub fn take_verdicts(&mut self) -> Vec<(u64, Verdict)> {
        std::mem::take(&mut self.verdicts)
    }

    fn arrive(
        &mut self,
        body: &Body<&[u8]>,
        time: u64,
        wanted: &mut Wanted<'_>,
        out: &mut Vec<Activity>,
    ) {
        let (id, sequence) = body.place();
        let time = KernelTime(time);
        self.now = self.now.max(time);
        if let Some(last) = self.ignored.get_mut(&id) {
            *last = time;
            if matches!(body, Body::Close(close) if close.how == close_how::CLOSED) {
                self.ignored.remove(&id);
                self.remember(id);
            }
            return;
        }
        if self.ended_set.contains(&id) {
            return;
        }
        if self.slots.len() >= self.limits.connections && !self.slots.contains_key(&id) {
            self.evict(out);
        }
        let slot = match self.slots.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Slot::new(id)),
        };
        // Numbers wrap after 2^32 records of one socket.
        let ahead = sequence.wrapping_sub(slot.next);
        if ahead > u32::MAX / 2 {
            return;
        }
        if ahead != 0 {
            self.hold(id, body, out);
            return;
        }
        slot.next = sequence.wrapping_add(1);
        let cx = context!(self, out);
        let mut fate = slot.apply(body, 0, Some(wanted), cx);
        if let (Body::Open(_), Some((own, _))) = (body, slot.unix) {
            self.unix.insert(own, id);
        }
        if fate == Fate::Keep && !slot.held.is_empty() {
            let (after, freed) = slot.release(0, Some(wanted), cx);
            self.held_bytes -= freed;
            fate = after;
        }
        self.after(id, fate, out);
    }

    /// Keeps a record until the ones before it have come or are given up.
    fn hold(&mut self, id: u64, body: &Body<&[u8]>, out: &mut Vec<Activity>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let (_, sequence) = body.place();
        let held = Held {
            sequence,
            pass: self.pass,
            body: body.owned(),
        };
        self.held_bytes += held.size();
        let from = slot.next;
        let order = |held: &Held| held.sequence.wrapping_sub(from);
        let at = slot
            .held
            .partition_point(|other| order(other) < order(&held));
        slot.held.insert(at, held);
        self.waiting.insert(id);
        if self.held_bytes > self.limits.held_bytes {
            self.give_up(id, u64::MAX, out);
        }
    }

    /// Takes the records of one connection that came before pass `lost_before`: what is missing
    /// between them is lost.
    fn give_up(&mut self, id: u64, lost_before: u64, out: &mut Vec<Activity>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let (fate, freed) = slot.release(lost_before, None, context!(self, out));
        self.held_bytes -= freed;
        self.after(id, fate, out);
    }

    /// What a connection's record has changed.
    fn after(&mut self, id: u64, fate: Fate, out: &mut Vec<Activity>) {
        if fate != Fate::Keep {
            self.leave(id, fate, out);
            return;
        }
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if let Some(verdict) = slot.conn.link_mut().verdict.take() {
            self.verdicts.push((id, verdict));
        }
        if slot.conn.is_waiting() && !slot.is_watched {
            slot.is_watched = true;
            self.watched.push(id);
            if let Some((_, peer)) = slot.unix {
                self.peer_left(peer);
            }
        }
    }

    /// A unix socket's peer reads the end of its stream: it was closed, or sends no more.
    fn peer_left(&mut self, address: u64) {
        let Some(id) = self.unix.get(&address).copied() else {
            return;
        };
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.conn.peer_left(self.now);
            if !slot.is_watched {
                slot.is_watched = true;
                self.watched.push(id);
            }
        }
    }

    fn leave(&mut self, id: u64, fate: Fate, out: &mut Vec<Activity>) {
        let Some(mut slot) = self.slots.remove(&id) else {
            return;
        };
        self.held_bytes -= slot.held.iter().map(Held::size).sum::<usize>();
        self.waiting.remove(&id);
        if let Some((own, _)) = slot.unix
            && self.unix.get(&own) == Some(&id)
        {
            self.unix.remove(&own);
        }
        slot.conn.link_mut().identity.leave(out);
        if fate == Fate::Ignore {
            self.verdicts.push((id, Verdict::Ignore));
            if self.ignored.len() < self.limits.ignored {
                self.ignored.insert(id, self.now);
            }
        } else {
            self.remember(id);
        }
    }

    fn remember(&mut self, id: u64) {
        if self.ended_set.insert(id) {
            self.ended.push_back((self.pass, id));
        }
    }

    /// Makes room: the longest silent sixteenth of the connections leaves.
    fn evict(&mut self, out: &mut Vec<Activity>) {
        let mut oldest: Vec<(KernelTime, u64)> = self
            .slots
            .iter()
            .map(|(id, slot)| (slot.conn.link().last, *id))
            .collect();
        let count = (oldest.len() / 16).max(1).min(oldest.len());
        if count < oldest.len() {
            oldest.select_nth_unstable(count);
        }
        oldest.truncate(count);
        oldest.sort_unstable();
        for (_, id) in oldest {
            if let Some(slot) = self.slots.get_mut(&id) {
                let cx = context!(self, out);
                slot.conn.lose_open(Loss::ConnectionEvicted, cx);
            }
            self.leave(id, Fate::Gone, out);
        }
    }

    /// One pass over all rings is done, at `now`: records that are still missing since the pass
    /// before are lost.
    pub fn drained(&mut self, now: KernelTime, out: &mut Vec<Activity>) {
        self.now = self.now.max(now);
        for id in sorted(self.waiting.iter().copied()) {
            self.give_up(id, self.pass, out);
            if self.slots.get(&id).is_none_or(|slot| slot.held.is_empty()) {
                self.waiting.remove(&id);
            }
        }
        self.exits(out);
        self.watch(out);
        self.forget(out);
        self.pass += 1;
    }

    /// Processes that exited in the pass before: all their records have been seen.
    fn exits(&mut self, out: &mut Vec<Activity>) {
        let mut gone: BTreeMap<u32, KernelTime> = BTreeMap::new();
        while let Some(&(pass, tgid, time)) = self.exited.front()
            && pass < self.pass
        {
            self.exited.pop_front();
            gone.insert(tgid, time);
        }
        if gone.is_empty() {
            return;
        }
        let theirs = self
            .slots
            .iter()
            .filter(|(_, slot)| gone.contains_key(&slot.conn.link().tgid));
        for id in sorted(theirs.map(|(id, _)| *id)) {
            if let Some(slot) = self.slots.get_mut(&id)
                && let Some(time) = gone.get(&slot.conn.link().tgid)
                && slot.conn.process_exited(*time, context!(self, out)) != Fate::Keep
            {
                self.leave(id, Fate::Gone, out);
            }
        }
        out.extend(gone.into_keys().map(Activity::ProcessExited));
    }

    fn watch(&mut self, out: &mut Vec<Activity>) {
        for id in std::mem::take(&mut self.watched) {
            let Some(slot) = self.slots.get_mut(&id) else {
                continue;
            };
            let fate = slot.conn.tick(self.now, context!(self, out));
            if fate != Fate::Keep {
                self.leave(id, fate, out);
            } else if slot.conn.is_waiting() {
                self.watched.push(id);
            } else {
                slot.is_watched = false;
            }
        }
    }

    /// Lets go of what only had to be kept for a while.
    fn forget(&mut self, out: &mut Vec<Activity>) {
        while let Some(&(pass, id)) = self.ended.front()
            && pass + REMEMBERED_PASSES <= self.pass
        {
            self.ended.pop_front();
            self.ended_set.remove(&id);
        }
        if self.now.since(self.swept) < SWEEP_INTERVAL {
            return;
        }
        self.swept = self.now;
        let now = self.now;
        self.ignored
            .retain(|_, last| now.since(*last) < VERDICT_IDLE);
        let silent = self.slots.iter().filter(|(_, slot)| {
            slot.conn.link().identity.is_unix
                && slot.conn.is_idle()
                && now.since(slot.conn.link().last) >= UNIX_IDLE
        });
        for id in sorted(silent.map(|(id, _)| *id)) {
            self.leave(id, Fate::Gone, out);
        }
    }

    /// The agent stops: what is open ends.
    pub fn stop(&mut self, now: KernelTime, out: &mut Vec<Activity>) {
        self.drained(now, out);
        self.drained(now, out);
        for id in sorted(self.slots.keys().copied()) {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.conn.stop(now, context!(self, out));
            }
            self.leave(id, Fate::Gone, out);
        }
    }
}

/// The order of a hash table is another at each start of the agent.
fn sorted(ids: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut ids: Vec<u64> = ids.collect();
    ids.sort_unstable();
    ids
}
