//! An exchange on its way to become a span, and what is remembered of it for a while after.

use std::sync::Arc;

use compact_str::CompactString;

use super::carrier::Thread;
use crate::{
    clock::{KernelTime, WallOffset},
    span::{
        model::{Parent, Resource, SpanId, TraceId},
        w3c::TraceContext,
    },
    stream::exchange::{Connection, ExchangeId, Finished, HttpVersion, Opened, Role},
};

/// Nanoseconds for which a sender may be kept from its hook: its peer runs first, on the same CPU,
/// and may even have answered by then.
const PREEMPTED: u64 = 20_000_000;

/// How a span's parent was found: `wirespan.parent.source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParentSource {
    /// A `traceparent` header names it.
    Header,
    /// It is the other end of the same connection.
    Connection,
    /// The thread that made the call was serving it.
    Thread,
    /// No parent is known. The attribute says `unknown` where a header that may name one is hidden.
    None,
}

impl ParentSource {
    /// The attribute's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Connection => "connection",
            Self::Thread => "thread",
            Self::None => "none",
        }
    }
}

/// Who a span is. Does not change once it is decided, as children may have left already; only a
/// parent that turns out to be lost is dropped.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) flags: u8,
    pub(super) state: CompactString,
    pub(super) parent: Option<Parent>,
    pub(super) source: ParentSource,
    /// The parent, when it was observed on this host.
    pub(super) local_parent: Option<ExchangeId>,
    /// One for all spans of a trace on this host, so that the clock's corrections cannot
    /// reorder them.
    pub(super) offset: WallOffset,
}

/// What a span is made of.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) opened: Box<Opened>,
    pub(super) resource: Arc<Resource>,
    pub(super) finished: Option<Finished>,
}

/// An exchange.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) connection: Arc<Connection>,
    pub(super) position: u64,
    pub(super) thread: Thread,
    pub(super) started: KernelTime,
    pub(super) head_ended: KernelTime,
    pub(super) ended: Option<KernelTime>,
    /// It ended, and without a whole response.
    pub(super) failed: bool,
    /// It will make no span.
    pub(super) lost: bool,
    /// The same request at the other end of its connection.
    pub(super) partner: Option<ExchangeId>,
    /// By the other end: a client started no later, a server ended no later.
    pub(super) bound: Option<KernelTime>,
    /// What its own header says.
    pub(super) context: Option<TraceContext>,
    pub(super) identity: Option<Identity>,
    /// Exchanges that wait for its identity.
    pub(super) waiters: Vec<ExchangeId>,
    /// Its connection carries other exchanges at the same time.
    pub(super) multiplexed: bool,
    /// Nothing that could bound its times is still to come.
    pub(super) settled: bool,
    /// Taken when it becomes a span.
    pub(super) held: Option<Held>,
}

impl Exchange {
    pub(super) fn new(
        opened: Box<Opened>,
        resource: Arc<Resource>,
        context: Option<TraceContext>,
    ) -> Self {
        Self {
            connection: Arc::clone(&opened.connection),
            position: opened.position,
            thread: Thread {
                tgid: opened.tgid,
                tid: opened.tid,
            },
            started: opened.started,
            head_ended: opened.head_ended,
            ended: None,
            failed: false,
            lost: false,
            partner: None,
            bound: None,
            context,
            identity: None,
            waiters: Vec::new(),
            settled: false,
            multiplexed: opened.request.version == HttpVersion::Http2,
            held: Some(Held {
                opened,
                resource,
                finished: None,
            }),
        }
    }

    pub(super) fn role(&self) -> Role {
        self.connection.role
    }

    /// What it waits in for the exchanges before it: its connection, or, where that carries any
    /// number of exchanges at a time, nothing that others wait in, too.
    pub(super) fn line(&self, id: ExchangeId) -> u64 {
        if self.multiplexed {
            !id.0
        } else {
            self.connection.id
        }
    }

    /// When it began: what the other end received by then was sent by then.
    pub(super) fn begun(&self) -> KernelTime {
        match (self.role(), self.bound) {
            (Role::Client, Some(bound)) => self.started.min(bound),
            _ => self.started,
        }
    }

    /// When it was over, likewise; not before it began.
    pub(super) fn over(&self) -> KernelTime {
        let ended = self.ended.unwrap_or(self.started);
        let over = match (self.role(), self.bound) {
            (Role::Server, Some(bound)) => ended.min(bound),
            _ => ended,
        };
        over.max(self.begun())
    }

    /// It can become a span.
    pub(super) fn is_ready(&self) -> bool {
        self.settled && self.identity.is_some() && self.held.is_some()
    }

    /// It has ended, and is no span yet.
    pub(super) fn is_held(&self) -> bool {
        self.ended.is_some() && self.held.is_some()
    }

    /// Whether a client exchange (this) and a server exchange of the same key and position can be
    /// one request. A TCP connection's key is not used again; a unix socket's is an address, which
    /// is, so both must have been open at about one time.
    pub(super) fn can_be_request_of(&self, server: &Self) -> bool {
        let is_unix = self.connection.addresses.is_none();
        let over_before = self.ended.is_some_and(|ended| ended < server.started);
        let begun_after = |ended| self.started.since(ended) > PREEMPTED;
        if is_unix {
            !over_before && !server.ended.is_some_and(begun_after)
        } else {
            self.failed || !over_before
        }
    }
}
