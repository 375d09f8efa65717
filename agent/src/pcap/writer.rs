//! Writes what happens on one connection as the records that the kernel programs write for one of
//! its two sockets. Knows records and roles; knows no sequence numbers.
//!
//! Which end is the client is known from the handshake. Of a connection that was under way when
//! the capture began, the first turn that begins with a request or a response tells. What happened
//! before is the rest of messages that cannot be read, and is passed over.

use std::net::{IpAddr, SocketAddr};

use wirespan_ebpf::records::{
    CloseRecord, DataRecord, OpenRecord, close_how, data_flags, direction, family, kind,
    open_flags, role,
};

use super::Perspective;
use crate::{
    protocol::http1::{Likeness, like_request, like_response},
    stream::record::Record,
};

/// Beginning of an HTTP/2 connection (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// Methods of which none is the end of another (RFC 9110 section 9.3, RFC 5789), and [`PREFACE`].
const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    PREFACE,
];

/// Bytes that wait until a connection's client is known.
const UNDECIDED: usize = 64 << 10;

/// Bytes of a turn's beginning in which a start line is looked for.
const START_LINE: usize = 16 << 10;

/// Where clients' ports begin on Linux (`ip_local_port_range`).
const EPHEMERAL: u16 = 32768;

/// Where records go.
pub(super) type Sink<'a> = dyn FnMut(&Record<'_>) + 'a;

/// What happens, before it is known which end is the client.
#[derive(Clone, Copy, Debug)]
struct Event {
    /// Which end sent the bytes, or closed.
    side: usize,
    what: What,
    time: u64,
    sequence: u32,
    turn: u32,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Bytes {
        position: u64,
        length: u32,
    },
    /// The end of a direction, after as many bytes in each of the two.
    End {
        positions: [u64; 2],
    },
    Closed {
        positions: [u64; 2],
        error: u32,
    },
}

/// How a connection began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    /// Addresses of its two ends.
    pub(super) ends: [SocketAddr; 2],
    /// Sequence numbers of their first bytes.
    pub(super) bases: [u32; 2],
    /// The capture began after it.
    pub(super) pre_existing: bool,
}

/// The records of one connection.
#[derive(Debug)]
pub(super) struct Writer {
    id: u64,
    perspective: Perspective,
    /// Which end connected; `None` until that is known.
    client: Option<usize>,
    /// Whether bytes or the handshake told, not port numbers.
    is_sure: bool,
    pre_existing: bool,
    beginning: Option<Beginning>,
    sequence: u32,
    turn: u32,
    last_side: Option<usize>,
    time: u64,
    waiting: Vec<(Event, Box<[u8]>)>,
    pub(super) waiting_bytes: usize,
    /// How many of them were before the current turn.
    before_turn: usize,
    /// What the current turn begins with, as long as that can be a start line.
    turn_begins: Option<Vec<u8>>,
}

impl Writer {
    pub(super) fn new(id: u64, perspective: Perspective) -> Self {
        Self {
            id,
            perspective,
            client: None,
            is_sure: false,
            pre_existing: false,
            beginning: None,
            // The opening record's.
            sequence: 1,
            turn: 0,
            last_side: None,
            time: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            before_turn: 0,
            turn_begins: None,
        }
    }

    /// Whether anything was told of the connection.
    pub(super) fn has_begun(&self) -> bool {
        self.beginning.is_some()
    }

    /// The connection exists. `client` is the end that connected, if that was seen.
    pub(super) fn begin(
        &mut self,
        beginning: Beginning,
        client: Option<usize>,
        time: u64,
        sink: &mut Sink<'_>,
    ) {
        self.time = time;
        self.pre_existing = beginning.pre_existing;
        self.beginning = Some(beginning);
        if let Some(client) = client {
            self.decide(client, true, sink);
        }
    }

    /// `length` bytes from `side`, of which `payload` was captured.
    pub(super) fn bytes(
        &mut self,
        side: usize,
        position: u64,
        length: u32,
        payload: &[u8],
        time: u64,
        sink: &mut Sink<'_>,
    ) {
        self.turn_to(side);
        if self.client.is_none() {
            self.judge(side, length, payload, sink);
        }
        self.happen(side, What::Bytes { position, length }, payload, time, sink);
    }

    /// Bytes from `side` are not in the capture: like a record that was lost.
    pub(super) fn hole(&mut self, side: usize) {
        self.turn_to(side);
        self.turn_begins = None;
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// `side` sends no more.
    pub(super) fn end(&mut self, side: usize, positions: [u64; 2], time: u64, sink: &mut Sink<'_>) {
        self.happen(side, What::End { positions }, &[], time, sink);
    }

    /// The connection is gone.
    pub(super) fn closed(
        &mut self,
        positions: [u64; 2],
        error: u32,
        time: u64,
        sink: &mut Sink<'_>,
    ) {
        self.happen(0, What::Closed { positions, error }, &[], time, sink);
    }

    /// No more will show which end is the client: servers have the lower port.
    pub(super) fn guess(&mut self, sink: &mut Sink<'_>) {
        if let (None, Some(beginning)) = (self.client, &self.beginning) {
            let [one, other] = beginning.ends.map(|end| end.port());
            let first_is_client = match (one >= EPHEMERAL, other >= EPHEMERAL) {
                (true, false) => true,
                (false, true) => false,
                _ => one > other,
            };
            self.decide(usize::from(!first_is_client), false, sink);
        }
    }

    /// The next bytes are of `side`.
    fn turn_to(&mut self, side: usize) {
        if self.last_side == Some(side) {
            return;
        }
        self.last_side = Some(side);
        self.turn = self.turn.wrapping_add(1);
        if self.client.is_none() {
            self.before_turn = self.waiting.len();
            self.turn_begins = Some(Vec::new());
        }
    }

    /// Who sends a request is the client; who sends a response, the server.
    fn judge(&mut self, side: usize, length: u32, payload: &[u8], sink: &mut Sink<'_>) {
        let Some(mut begins) = self.turn_begins.take() else {
            return;
        };
        begins.extend_from_slice(payload);
        let request = if begins.starts_with(PREFACE) {
            Likeness::Yes
        } else {
            like_request(&begins)
        };
        let is_whole = payload.len() == length as usize;
        match (request, like_response(&begins)) {
            // The first bytes of a capture may be the rest of a method ("OST").
            (Likeness::Yes, _)
                if self.turn == 1 && !METHODS.iter().any(|method| begins.starts_with(method)) => {}
            (Likeness::Yes, _) => self.recognise(side, sink),
            (_, Likeness::Yes) => self.recognise(1 - side, sink),
            (Likeness::No, Likeness::No) => {}
            _ if is_whole && begins.len() < START_LINE => self.turn_begins = Some(begins),
            _ => {}
        }
    }

    /// The current turn is the first that can be read: the connection is told of from there on.
    fn recognise(&mut self, client: usize, sink: &mut Sink<'_>) {
        let passed_over = self.before_turn.min(self.waiting.len());
        self.pre_existing |= passed_over > 0;
        self.waiting.drain(..passed_over);
        self.turn = 1;
        self.sequence = 1;
        for (event, _) in &mut self.waiting {
            self.sequence = self.sequence.wrapping_add(1);
            event.turn = self.turn;
            event.sequence = self.sequence;
        }
        self.decide(client, true, sink);
    }

    fn decide(&mut self, client: usize, is_sure: bool, sink: &mut Sink<'_>) {
        self.turn_begins = None;
        self.client = Some(client);
        self.is_sure = is_sure;
        self.open(sink);
        self.waiting_bytes = 0;
        for (event, payload) in std::mem::take(&mut self.waiting) {
            self.write(event, &payload, sink);
        }
    }

    fn happen(&mut self, side: usize, what: What, payload: &[u8], time: u64, sink: &mut Sink<'_>) {
        self.sequence = self.sequence.wrapping_add(1);
        // On one connection time does not go back, whatever the clock that stamped the packets did.
        self.time = self.time.max(time);
        let event = Event {
            side,
            what,
            time: self.time,
            sequence: self.sequence,
            turn: self.turn,
        };
        if self.client.is_some() {
            return self.write(event, payload, sink);
        }
        self.waiting_bytes += payload.len() + size_of::<(Event, Box<[u8]>)>();
        self.waiting.push((event, payload.into()));
        if self.waiting_bytes > UNDECIDED || matches!(what, What::Closed { .. }) {
            self.guess(sink);
        }
    }

    /// The end whose socket is told of.
    fn own(&self) -> usize {
        let client = self.client.unwrap_or(0);
        match self.perspective {
            Perspective::Client => client,
            Perspective::Server => 1 - client,
        }
    }

    fn role(&self) -> u8 {
        match (self.is_sure, self.perspective) {
            (false, _) => role::UNKNOWN,
            (true, Perspective::Client) => role::CLIENT,
            (true, Perspective::Server) => role::SERVER,
        }
    }

    /// What both ends have, as sent and received.
    fn by_direction<T: Copy>(&self, [one, other]: [T; 2]) -> [T; 2] {
        if self.own() == 0 {
            [one, other]
        } else {
            [other, one]
        }
    }

    fn open(&self, sink: &mut Sink<'_>) {
        let Some(beginning) = &self.beginning else {
            return;
        };
        let [local, peer] = self.by_direction(beginning.ends);
        let [send_base, receive_base] = self.by_direction(beginning.bases).map(u64::from);
        let (family, local_address, peer_address) = match (local.ip(), peer.ip()) {
            (IpAddr::V4(local), IpAddr::V4(peer)) => {
                (family::INET, padded(local.octets()), padded(peer.octets()))
            }
            (local, peer) => (family::INET6, v6(local), v6(peer)),
        };
        // Where the first sequence numbers were not seen, positions mean nothing elsewhere.
        let flags = if self.pre_existing {
            open_flags::PRE_EXISTING | open_flags::POSITIONS_LOCAL
        } else {
            0
        };
        sink(&Record::Open(&OpenRecord {
            kind: kind::OPEN,
            family,
            role: self.role(),
            flags,
            tgid: 0,
            time: self.time,
            connection: self.id,
            send_base,
            receive_base,
            local_address,
            peer_address,
            local_port: local.port(),
            peer_port: peer.port(),
            sequence: 1,
        }));
    }

    fn write(&self, event: Event, payload: &[u8], sink: &mut Sink<'_>) {
        let sends = event.side == self.own();
        match event.what {
            What::Bytes { position, length } => {
                self.write_data(event, position, length, payload, sink);
            }
            What::End { positions } if sends => {
                self.write_close(event, close_how::SEND_SHUT, positions, 0, sink);
            }
            What::End { positions } => {
                let [_, received] = self.by_direction(positions);
                self.write_data(event, received, 0, &[], sink);
            }
            What::Closed { positions, error } => {
                self.write_close(event, close_how::CLOSED, positions, error, sink);
            }
        }
    }

    fn write_data(
        &self,
        event: Event,
        position: u64,
        length: u32,
        payload: &[u8],
        sink: &mut Sink<'_>,
    ) {
        let direction = if event.side == self.own() {
            direction::SEND
        } else {
            direction::RECEIVE
        };
        let mut flags = self.role() << data_flags::ROLE_SHIFT;
        if length == 0 {
            flags |= data_flags::END_OF_STREAM;
        }
        if self.pre_existing {
            flags |= data_flags::PRE_EXISTING;
        }
        let record = DataRecord {
            kind: kind::DATA,
            direction,
            flags,
            cause: 0,
            tgid: 0,
            time: event.time,
            connection: self.id,
            position,
            sequence: event.sequence,
            turn: event.turn,
            length,
            captured: u32::try_from(payload.len()).unwrap_or(length),
            // Which threads there are is not known; connections share none.
            tid: u32::try_from(self.id & u64::from(u32::MAX)).unwrap_or(0),
            tail_length: 0,
            tail: [0; 8],
        };
        sink(&Record::Data(&record, payload));
    }

    fn write_close(
        &self,
        event: Event,
        how: u8,
        positions: [u64; 2],
        error: u32,
        sink: &mut Sink<'_>,
    ) {
        sink(&Record::Close(&CloseRecord {
            kind: kind::CLOSE,
            how,
            role: self.role(),
            reserved: 0,
            tgid: 0,
            time: event.time,
            connection: self.id,
            position: self.by_direction(positions),
            sequence: event.sequence,
            turn: event.turn,
            error,
            reserved_tail: 0,
        }));
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn padded(address: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&address);
    bytes
}
