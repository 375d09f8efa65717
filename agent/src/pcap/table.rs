//! All connections of a capture, by the addresses and ports of their ends. Bounds what is kept.

use std::{collections::BTreeMap, net::SocketAddr};

use hashbrown::HashMap;

use super::{
    Perspective,
    connection::{Connection, Context},
    counts::Counts,
    segment::Segment,
    writer::{Sink, Writer},
};

/// Connections that are kept; beyond, the longest silent ones leave.
const CONNECTIONS: usize = 65_536;

/// Bytes that wait, of all connections together.
const HELD: usize = 64 << 20;

/// Nanoseconds between two looks at what waits, and at what is closed.
const SWEEP: u64 = 50_000_000;
const CLEANING: u64 = 10_000_000_000;

/// Nanoseconds for which a closed connection's late packets are known to be its own (Linux:
/// `TCP_TIMEWAIT_LEN`).
const TIME_WAIT: u64 = 60_000_000_000;

/// Nanoseconds between two captures of one packet, before and behind address translation.
const TRANSLATION: u64 = 10_000_000;

/// Both ends, the lower one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key([SocketAddr; 2]);

/// The connections.
#[derive(Debug)]
pub(super) struct Connections {
    perspective: Perspective,
    table: HashMap<Key, Open>,
    /// Those of which something waits, by their numbers.
    waiting: BTreeMap<u64, Key>,
    /// Who has an identity, and since when.
    identities: HashMap<(SocketAddr, [u32; 3]), (u64, u64)>,
    held: usize,
    created: u64,
    arrivals: u64,
    swept: u64,
    cleaned: u64,
    limit: usize,
}

#[derive(Debug)]
struct Open {
    id: u64,
    connection: Connection,
    /// It stands in `identities`.
    identity: Option<(SocketAddr, [u32; 3])>,
}

impl Connections {
    pub(super) fn new(perspective: Perspective) -> Self {
        Self {
            perspective,
            table: HashMap::new(),
            waiting: BTreeMap::new(),
            identities: HashMap::new(),
            held: 0,
            created: 0,
            arrivals: 0,
            swept: 0,
            cleaned: 0,
            limit: CONNECTIONS,
        }
    }

    /// Takes a segment that came at `time`; `now` is the latest time so far.
    pub(super) fn segment(
        &mut self,
        segment: &Segment<'_>,
        time: u64,
        now: u64,
        counts: &mut Counts,
        sink: &mut Sink<'_>,
    ) {
        self.arrivals += 1;
        let cx = &mut Context {
            sink,
            counts,
            time,
            now,
            arrival: self.arrivals,
            is_full: self.held > HELD,
        };
        self.sweep(cx);
        let Some((key, side)) = Key::of(segment) else {
            cx.counts.segments_out_of_place += 1;
            return;
        };
        let belongs = self.place(key, side, segment, cx);
        let Some(open) = self.table.get_mut(&key).filter(|_| belongs) else {
            cx.counts.segments_out_of_place += u64::from(segment.length > 0);
            return;
        };
        let id = open.id;
        let before = open.connection.held();
        let was_waiting = open.connection.is_waiting();
        open.connection.segment(side, segment, cx);
        let after = open.connection.held();
        let is_waiting = open.connection.is_waiting();
        if open.identity.is_none() {
            open.identity = open.connection.identity();
            if let Some(identity) = open.identity {
                let entry = self.identities.entry(identity);
                let (_, since) = *entry.or_insert((id, now));
                if now.saturating_sub(since) > TRANSLATION {
                    self.identities.insert(identity, (id, now));
                } else if self.identities.get(&identity) != Some(&(id, now)) {
                    open.connection.is_copy = true;
                    cx.counts.connections_copied += 1;
                }
            }
        }
        self.held = self.held + after - before;
        if is_waiting && !was_waiting {
            self.waiting.insert(id, key);
        } else if was_waiting && !is_waiting {
            self.waiting.remove(&id);
        }
    }

    /// Whether a segment belongs to a connection in the table, which may be a new one.
    fn place(
        &mut self,
        key: Key,
        side: usize,
        segment: &Segment<'_>,
        cx: &mut Context<'_, '_>,
    ) -> bool {
        if let Some(Open { connection, .. }) = self.table.get(&key) {
            let is_succeeded = connection.closed && connection.is_succeeded(side, segment);
            if !is_succeeded && !connection.is_reopened(side, segment) {
                return !connection.closed;
            }
            self.remove(key, true, cx);
        }
        if segment.rst {
            return false;
        }
        if self.table.len() >= self.limit {
            self.evict(cx);
        }
        self.created += 1;
        let open = Open {
            id: self.created,
            connection: Connection::new(key.0, Writer::new(self.created, self.perspective)),
            identity: None,
        };
        self.table.insert(key, open);
        true
    }

    fn remove(&mut self, key: Key, is_replaced: bool, cx: &mut Context<'_, '_>) {
        let Some(mut open) = self.table.remove(&key) else {
            return;
        };
        self.held -= open.connection.held();
        self.waiting.remove(&open.id);
        if let Some(identity) = open.identity
            && self
                .identities
                .get(&identity)
                .is_some_and(|(id, _)| *id == open.id)
        {
            self.identities.remove(&identity);
        }
        open.connection.leave(is_replaced, cx);
    }

    /// Makes room: closed connections leave first, then the longest silent ones, a sixteenth of
    /// all.
    fn evict(&mut self, cx: &mut Context<'_, '_>) {
        let mut oldest: Vec<(bool, u64, u64, Key)> = self
            .table
            .iter()
            .map(|(key, open)| {
                let connection = &open.connection;
                (!connection.closed, connection.last, open.id, *key)
            })
            .collect();
        oldest.sort_unstable();
        oldest.truncate((oldest.len() / 16).max(1));
        for (is_open, _, _, key) in oldest {
            cx.counts.connections_evicted += u64::from(is_open);
            self.remove(key, false, cx);
        }
    }

    /// Looks at what time changes.
    fn sweep(&mut self, cx: &mut Context<'_, '_>) {
        if cx.now.saturating_sub(self.swept) >= SWEEP {
            self.swept = cx.now;
            let waiting: Vec<(u64, Key)> =
                self.waiting.iter().map(|(id, key)| (*id, *key)).collect();
            for (id, key) in waiting {
                let Some(open) = self.table.get_mut(&key) else {
                    continue;
                };
                let before = open.connection.held();
                open.connection.expire(cx);
                self.held = self.held + open.connection.held() - before;
                if !open.connection.is_waiting() {
                    self.waiting.remove(&id);
                }
            }
        }
        if cx.now.saturating_sub(self.cleaned) >= CLEANING {
            self.cleaned = cx.now;
            let mut over: Vec<(u64, Key)> = self
                .table
                .iter()
                .filter(|(_, open)| {
                    let connection = &open.connection;
                    connection.closed && cx.now.saturating_sub(connection.last) >= TIME_WAIT
                })
                .map(|(key, open)| (open.id, *key))
                .collect();
            over.sort_unstable();
            for (_, key) in over {
                self.remove(key, false, cx);
            }
        }
    }

    /// The capture is over: what waits is delivered as it is.
    pub(super) fn finish(&mut self, now: u64, counts: &mut Counts, sink: &mut Sink<'_>) {
        let cx = &mut Context {
            sink,
            counts,
            time: now,
            now,
            arrival: self.arrivals,
            is_full: false,
        };
        let mut all: Vec<(u64, Key)> = self
            .table
            .iter()
            .map(|(key, open)| (open.id, *key))
            .collect();
        all.sort_unstable();
        for (_, key) in all {
            self.remove(key, false, cx);
        }
    }
}

impl Key {
    /// The connection of a segment, and which of its ends sent it. A connection to itself has no
    /// directions that could be told.
    fn of(segment: &Segment<'_>) -> Option<(Self, usize)> {
        let (source, destination) = (segment.source, segment.destination);
        match source.cmp(&destination) {
            std::cmp::Ordering::Less => Some((Self([source, destination]), 0)),
            std::cmp::Ordering::Greater => Some((Self([destination, source]), 1)),
            std::cmp::Ordering::Equal => None,
        }
    }
}
