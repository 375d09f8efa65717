//! Turns what two ends say to each other into the records of one end, as the kernel writes them.

use std::sync::Arc;

use wirespan_ebpf::{
    TURN_BUDGET,
    records::{
        CloseRecord, DataRecord, OpenRecord, TAIL, close_how, data_flags, direction, family, kind,
        open_flags, role,
    },
};

use crate::{
    clock::KernelTime,
    metrics::counters::{Counters, Flow},
    stream::{
        Limits, Streams, Wanted,
        exchange::{Activity, ExchangeError, Finished, Opened},
        record::Record,
    },
};

pub(super) const CONNECTION: u64 = 77;
pub(super) const TGID: u32 = 4242;

/// A record with its own payload.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Data(DataRecord, Vec<u8>),
    Open(OpenRecord),
    Close(CloseRecord),
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) entries: Vec<Entry>,
    connection: u64,
    server: bool,
    role: u8,
    old: bool,
    time: u64,
    sequence: u32,
    turn: u32,
    direction: u8,
    budget: u32,
    budget_of_turn: u32,
    pub(super) position: [u64; 2],
}

impl Script {
    /// A TCP connection seen from its start.
    pub(super) fn new(server: bool) -> Self {
        let role = if server { role::SERVER } else { role::CLIENT };
        Self::opened(server, family::INET, role, 0)
    }

    pub(super) fn opened(server: bool, family: u8, role: u8, flags: u8) -> Self {
        let mut script = Self {
            entries: Vec::new(),
            connection: CONNECTION,
            server,
            role,
            old: flags & open_flags::PRE_EXISTING != 0,
            time: 1000,
            sequence: 1,
            turn: 0,
            direction: 2,
            budget: 0,
            budget_of_turn: TURN_BUDGET,
            position: [0; 2],
        };
        let mut local_address = [0; 16];
        local_address[..4].copy_from_slice(&[10, 0, 0, 1]);
        script.entries.push(Entry::Open(OpenRecord {
            kind: kind::OPEN,
            family,
            role,
            flags,
            tgid: 0,
            time: 1000,
            connection: CONNECTION,
            send_base: if server { 200 } else { 100 },
            receive_base: if server { 100 } else { 200 },
            local_address,
            peer_address: local_address,
            local_port: 80,
            peer_port: 4000,
            sequence: 1,
        }));
        script
    }

    pub(super) fn connection(mut self, id: u64) -> Self {
        self.connection = id;
        if let Some(Entry::Open(open)) = self.entries.first_mut() {
            open.connection = id;
            std::mem::swap(&mut open.send_base, &mut open.receive_base);
        }
        self
    }

    pub(super) fn now(&self) -> u64 {
        self.time
    }

    /// All bytes are copied, as in a packet capture.
    pub(super) fn copied_whole(mut self) -> Self {
        self.budget_of_turn = u32::MAX;
        self
    }

    /// Nothing happens for a while.
    pub(super) fn advance(&mut self, time: u64) {
        self.time += time;
    }

    pub(super) fn request(&mut self, bytes: &[u8]) -> u64 {
        let way = if self.server {
            direction::RECEIVE
        } else {
            direction::SEND
        };
        self.moved(way, bytes, u32::MAX)
    }

    pub(super) fn response(&mut self, bytes: &[u8]) -> u64 {
        self.moved(self.response_way(), bytes, u32::MAX)
    }

    /// A response that the kernel could not copy.
    pub(super) fn response_uncopied(&mut self, length: usize) -> u64 {
        self.moved(self.response_way(), &vec![b'x'; length], 0)
    }

    /// What the kernel tells of frames that it walks: of each run the first bytes, then how many
    /// more there were. Each run is a call.
    pub(super) fn walked(&mut self, from_client: bool, runs: &[(Vec<u8>, usize)]) -> u64 {
        let way = if from_client == self.server {
            direction::RECEIVE
        } else {
            direction::SEND
        };
        for (copied, skipped) in runs {
            let mut bytes = copied.clone();
            bytes.resize(copied.len() + skipped, b'x');
            self.direction = way;
            self.budget = u32::MAX;
            self.moved(way, &bytes, u32::try_from(copied.len()).unwrap());
        }
        self.time
    }

    fn response_way(&self) -> u8 {
        if self.server {
            direction::SEND
        } else {
            direction::RECEIVE
        }
    }

    /// Bytes that no hook sees.
    pub(super) fn unseen_response(&mut self, length: u64) {
        let position = &mut self.position[usize::from(self.response_way())];
        *position = position.wrapping_add(length);
    }

    fn moved(&mut self, way: u8, bytes: &[u8], copied: u32) -> u64 {
        self.time += 10;
        self.sequence += 1;
        if self.direction != way && !bytes.is_empty() {
            self.direction = way;
            self.turn += 1;
            self.budget = self.budget_of_turn;
        }
        let length = u32::try_from(bytes.len()).unwrap();
        let captured = length.min(self.budget).min(copied);
        self.budget -= captured;
        let at = usize::from(way);
        let tail = if captured < length { length.min(8) } else { 0 };
        let mut last = [0; TAIL];
        let knows_tail = copied > 0;
        last[..tail as usize].copy_from_slice(&bytes[bytes.len() - tail as usize..]);
        self.entries.push(Entry::Data(
            DataRecord {
                kind: kind::DATA,
                direction: way,
                flags: (u8::from(bytes.is_empty()) * data_flags::END_OF_STREAM)
                    | (self.role << data_flags::ROLE_SHIFT)
                    | (u8::from(self.old) * data_flags::PRE_EXISTING),
                cause: 0,
                tgid: TGID,
                time: self.time,
                connection: self.connection,
                position: self.position[at],
                sequence: self.sequence,
                turn: self.turn,
                length,
                captured,
                tid: 7,
                tail_length: if knows_tail { tail } else { 0 },
                tail: last,
            },
            bytes[..captured as usize].to_vec(),
        ));
        self.position[at] += u64::from(length);
        self.time
    }

    pub(super) fn end_of_stream(&mut self) -> u64 {
        self.moved(direction::RECEIVE, b"", 0)
    }

    pub(super) fn send_shut(&mut self) -> u64 {
        self.close_record(close_how::SEND_SHUT, 0)
    }

    pub(super) fn close(&mut self, error: u32) -> u64 {
        self.close_record(close_how::CLOSED, error)
    }

    fn close_record(&mut self, how: u8, error: u32) -> u64 {
        self.time += 10;
        self.sequence += 1;
        self.entries.push(Entry::Close(CloseRecord {
            kind: kind::CLOSE,
            how,
            role: self.role,
            reserved: 0,
            tgid: 0,
            time: self.time,
            connection: self.connection,
            position: self.position,
            sequence: self.sequence,
            turn: self.turn,
            error,
            reserved_tail: 0,
        }));
        self.time
    }
}

/// Makes records those of a connection that was first seen with the first of them: numbers and
/// turns count from there.
pub(super) fn renumber(entries: &mut [Entry]) {
    let first_turn = entries.iter().find_map(|entry| match entry {
        Entry::Data(data, _) => Some(data.turn),
        _ => None,
    });
    for (at, entry) in entries.iter_mut().enumerate() {
        let number = u32::try_from(at + 1).unwrap();
        let base = first_turn.unwrap_or(1) - 1;
        match entry {
            Entry::Open(open) => open.sequence = number,
            Entry::Data(data, _) => {
                data.sequence = number;
                data.turn -= base;
            }
            Entry::Close(close) => {
                close.sequence = number;
                close.turn -= base;
            }
        }
    }
}

/// The agent's side.
pub(super) struct Player {
    pub(super) streams: Streams,
    pub(super) counters: Arc<Counters>,
    pub(super) out: Vec<Activity>,
}

impl Player {
    pub(super) fn new() -> Self {
        Self::limited(Limits::default())
    }

    pub(super) fn limited(limits: Limits) -> Self {
        let counters = Arc::new(Counters::default());
        Self {
            streams: Streams::new(limits, Arc::clone(&counters)),
            counters,
            out: Vec::new(),
        }
    }

    pub(super) fn play<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) {
        self.play_wanted(entries, &mut |_, _| true);
    }

    /// Plays to a filter.
    pub(super) fn play_wanted<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Entry>,
        wanted: &mut Wanted<'_>,
    ) {
        for entry in entries {
            let record = match entry {
                Entry::Data(data, payload) => Record::Data(data, payload),
                Entry::Open(open) => Record::Open(open),
                Entry::Close(close) => Record::Close(close),
            };
            self.streams.record(&record, wanted, &mut self.out);
        }
    }

    /// Two passes later.
    pub(super) fn drain(&mut self, time: u64) {
        self.streams.drained(KernelTime(time), &mut self.out);
        self.streams.drained(KernelTime(time), &mut self.out);
    }

    pub(super) fn opened(&self) -> Vec<&Opened> {
        self.out
            .iter()
            .filter_map(|activity| match activity {
                Activity::Opened(opened) => Some(&**opened),
                _ => None,
            })
            .collect()
    }

    pub(super) fn finished(&self) -> Vec<&Finished> {
        self.out
            .iter()
            .filter_map(|activity| match activity {
                Activity::Finished(finished) => Some(finished),
                _ => None,
            })
            .collect()
    }

    pub(super) fn lost(&self) -> u64 {
        self.counters.flow(Flow::ServerExchangesLost)
            + self.counters.flow(Flow::ClientExchangesLost)
    }

    /// Status, sizes and error of the only exchange.
    pub(super) fn only(&self) -> (Option<u16>, u64, u64, u64, Option<ExchangeError>) {
        let [finished] = self.finished()[..] else {
            panic!("one exchange expected in {:?}", self.out);
        };
        (
            finished.response.and_then(|head| head.status),
            finished.request_body.unwrap(),
            finished.response_body.unwrap(),
            finished.ended.0,
            finished.error,
        )
    }
}
