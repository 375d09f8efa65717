//! One direction of a connection: where its stream is, and whether its reader can follow.
//! Knows neither the other direction nor exchanges.

use super::tail::Tail;
use crate::{
    clock::KernelTime,
    protocol::http1::{Kind, MessageReader},
    stream::link::Arrival,
};

/// How far the reader of a direction can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// It knows where in which message the next byte is.
    In,
    /// It is in a message whose end can only be told by the end of the turn.
    Turn,
    /// It waits for the start of a turn.
    Out,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) reader: MessageReader,
    pub(super) sync: Sync,
    /// When the last bytes moved.
    pub(super) last: KernelTime,
    /// The last bytes that moved.
    pub(super) tail: Tail,
}

impl Side {
    pub(super) fn new(sync: Sync) -> Self {
        Self {
            reader: MessageReader::new(Kind::Request),
            sync,
            last: KernelTime::default(),
            tail: Tail::default(),
        }
    }

    /// The bytes of `arrival` have moved.
    pub(super) fn moved(&mut self, arrival: &Arrival<'_>) {
        self.last = arrival.time;
        if arrival.gap > 0 {
            self.tail.forget();
        }
        if arrival.uncaptured == 0 {
            self.tail.push(arrival.payload);
        } else if arrival.tail.is_empty() {
            self.tail.forget();
        } else {
            self.tail.push(arrival.tail);
        }
    }

    /// The next byte is the first of a message.
    pub(super) fn synchronise(&mut self) {
        self.reader.reset();
        self.sync = Sync::In;
    }

    pub(super) fn lose(&mut self) {
        self.reader.reset();
        self.sync = Sync::Out;
    }
}
