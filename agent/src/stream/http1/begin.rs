//! How a turn begins: what its first bytes are, where what came before does not say it. Knows
//! messages only by their first lines.

use super::{Http1, side::Sync};
use crate::{
    clock::KernelTime,
    protocol::http1::{Likeness, like_registered_request, like_request, like_response},
    stream::{
        exchange::Role,
        link::{Arrival, Context, SEND},
    },
};

/// Longest start line that is waited for.
const MAX_HELD: usize = 8 * 1024;

/// The first bytes of a turn, too few to say what they are.
#[derive(Debug)]
pub(super) struct Held {
    way: usize,
    time: KernelTime,
    tgid: u32,
    tid: u32,
    turn: u32,
    position: u64,
    pub(super) bytes: Vec<u8>,
}

/// What a turn begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    Request,
    Response,
    /// Neither, or what is not to be taken for a message.
    Other,
    /// More bytes will tell.
    Partly,
}

impl Held {
    fn new(arrival: &Arrival<'_>) -> Self {
        Self {
            way: arrival.way,
            time: arrival.time,
            tgid: arrival.tgid,
            tid: arrival.tid,
            turn: arrival.turn,
            position: arrival.position,
            bytes: arrival.payload.to_vec(),
        }
    }

    fn is_followed_by(&self, arrival: &Arrival<'_>) -> bool {
        self.way == arrival.way
            && self.turn == arrival.turn
            && arrival.gap == 0
            && arrival.position == self.position.wrapping_add(self.bytes.len() as u64)
    }

    fn arrival(&self) -> Arrival<'_> {
        Arrival {
            way: self.way,
            time: self.time,
            tgid: self.tgid,
            tid: self.tid,
            turn: self.turn,
            position: self.position,
            payload: &self.bytes,
            uncaptured: 0,
            tail: &[],
            ends: false,
            starts: true,
            unbroken: true,
            gap: 0,
            lossy: false,
        }
    }
}

impl Http1 {
    /// Bytes have moved.
    pub(super) fn bytes(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        if self.held.is_some() {
            if self.go_on_holding(arrival, cx) {
                return;
            }
        } else if self.is_open_what_begins(arrival) {
            let beginning = self.beginning(arrival.turn, arrival.payload);
            if beginning == Beginning::Partly && arrival.uncaptured == 0 {
                self.held = Some(Box::new(Held::new(arrival)));
                return;
            }
            self.begin(beginning, arrival, cx);
        }
        if self.link.identity.role.is_none() {
            self.sides[arrival.way].lose();
        } else {
            self.read(arrival, cx);
        }
    }

    /// Whether only the bytes can say what begins here: the role is not known, or what follows a
    /// request that was answered before its content came may be that or the next request.
    fn is_open_what_begins(&mut self, arrival: &Arrival<'_>) -> bool {
        if !arrival.starts || arrival.payload.is_empty() {
            return false;
        }
        let Some((request, _)) = self.link.ways() else {
            return true;
        };
        arrival.way == request
            && self.sides[request].sync == Sync::In
            && arrival.gap == 0
            && self.pipeline.newest().is_some_and(|newest| {
                newest.expects
                    && !newest.request_done
                    && newest.request_body == 0
                    && newest.response.is_some()
            })
            && self.sides[request].reader.is_in_body()
    }

    fn beginning(&self, turn: u32, bytes: &[u8]) -> Beginning {
        let is_unknown = self.link.identity.role.is_none();
        // Nothing shows that a message begins where the first turn is joined.
        let is_start = turn > 1 || !self.link.identity.is_old;
        let request = if is_unknown && is_start {
            like_request(bytes)
        } else {
            like_registered_request(bytes)
        };
        let response = if is_unknown {
            like_response(bytes)
        } else {
            Likeness::No
        };
        match (request, response) {
            (_, Likeness::Yes) => Beginning::Response,
            (Likeness::Yes, _) => Beginning::Request,
            (Likeness::No, Likeness::No) => Beginning::Other,
            _ if bytes.len() > MAX_HELD => Beginning::Other,
            _ => Beginning::Partly,
        }
    }

    fn begin(&mut self, beginning: Beginning, arrival: &Arrival<'_>, cx: &mut Context<'_>) {
        let sends = arrival.way == SEND;
        match (beginning, self.link.identity.role) {
            // Who sends a request is the client; who sends a response, the server.
            (Beginning::Request, None) => {
                self.assign(if sends { Role::Client } else { Role::Server });
            }
            (Beginning::Response, None) => {
                self.assign(if sends { Role::Server } else { Role::Client });
            }
            (_, None) => self.bad_turn(arrival),
            // The client was answered without its content, and does not send it.
            (Beginning::Request, Some(_)) => {
                self.sides[arrival.way].synchronise();
                self.request_whole(cx);
            }
            (_, Some(_)) => {}
        }
    }

    /// More of the turn whose first bytes are held; whether `arrival` is among them now.
    fn go_on_holding(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) -> bool {
        let Some(mut held) = self.held.take() else {
            return false;
        };
        if !held.is_followed_by(arrival) {
            self.held = Some(held);
            self.release(cx);
            return false;
        }
        let before = held.bytes.len();
        held.bytes.extend_from_slice(arrival.payload);
        let beginning = self.beginning(held.turn, &held.bytes);
        if beginning == Beginning::Partly && arrival.uncaptured == 0 {
            self.held = Some(held);
            return true;
        }
        held.bytes.truncate(before);
        let first = held.arrival();
        self.begin(beginning, &first, cx);
        self.read(&first, cx);
        false
    }

    /// No more will come to say what the bytes that are held were.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        if let Some(held) = self.held.take() {
            let first = held.arrival();
            self.begin(Beginning::Other, &first, cx);
            self.read(&first, cx);
        }
    }
}
