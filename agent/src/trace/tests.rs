//! Simulated services: a parent is the true one or none.

mod rules;
mod simulation;

use std::{net::SocketAddr, sync::Arc};

use super::*;
use crate::{
    span::model::{Kind, Value},
    stream::exchange::{
        Addresses, Connection, ConnectionKey, ExchangeError, HeaderName, HttpVersion, RequestHead,
        Response, Session,
    },
};

const MILLISECOND: u64 = 1_000_000;

/// One end of a connection between two sockets of this host.
fn local(role: Role, key: u64) -> Connection {
    connection(role, key, "127.0.0.1:80", "127.0.0.1:50000")
}

/// One end of a connection to another host.
fn remote(role: Role, key: u64) -> Connection {
    connection(role, key, "10.0.0.1:80", "10.0.0.2:50000")
}

fn connection(role: Role, key: u64, local: &str, peer: &str) -> Connection {
    let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
    Connection {
        id: key * 2 + u64::from(role == Role::Server),
        role,
        key: Some(ConnectionKey {
            client: key,
            server: !key,
        }),
        addresses: Some(Addresses {
            local: address(local),
            peer: address(peer),
        }),
    }
}

/// A request seen from one end. `thread` is process and thread.
fn opened(id: u64, connection: &Connection, thread: (u32, u32), at: u64) -> Opened {
    Opened {
        id: ExchangeId(id),
        connection: Arc::new(connection.clone()),
        tgid: thread.0,
        tid: thread.1,
        position: 0,
        started: KernelTime(at),
        head_ended: KernelTime(at),
        request: RequestHead {
            method: Some("GET".into()),
            target: Some(format!("/{id}").into()),
            hidden: false,
            version: HttpVersion::Http11,
            headers: vec![(HeaderName::Host, "h".into())],
        },
    }
}

fn with_header(mut opened: Opened, traceparent: &str) -> Opened {
    let headers = &mut opened.request.headers;
    headers.push((HeaderName::Traceparent, traceparent.into()));
    opened
}

fn finished(id: u64, at: u64) -> Finished {
    Finished {
        id: ExchangeId(id),
        response: Some(Response { status: Some(200) }),
        request_body: Some(0),
        response_body: Some(0),
        ended: KernelTime(at),
        error: None,
        truncated: false,
        gap_bytes: 0,
        session: Session::Plain,
    }
}

fn failed(id: u64, at: u64) -> Finished {
    Finished {
        response: None,
        error: Some(ExchangeError::TimedOut),
        ..finished(id, at)
    }
}

impl From<Opened> for Activity {
    fn from(opened: Opened) -> Self {
        Self::Opened(Box::new(opened))
    }
}

impl From<Finished> for Activity {
    fn from(finished: Finished) -> Self {
        Self::Finished(finished)
    }
}

/// A tracer, its time, and what has come of it.
struct World {
    tracer: Tracer,
    counters: Arc<Counters>,
    resource: Arc<Resource>,
    clock: WallClock,
    now: u64,
    spans: Vec<Span>,
}

impl World {
    fn new() -> Self {
        Self::with(TracerConfig::default())
    }

    fn with(config: TracerConfig) -> Self {
        let counters = Arc::new(Counters::default());
        Self {
            tracer: Tracer::new(config, [7; 32], Arc::clone(&counters)),
            counters,
            resource: Arc::new(Resource {
                service_name: "test".into(),
                attributes: Vec::new(),
            }),
            clock: WallClock::with_offset(WallOffset(0)),
            now: 0,
            spans: Vec::new(),
        }
    }

    fn see(&mut self, activity: impl Into<Activity>) {
        let resource = Arc::clone(&self.resource);
        self.tracer
            .observe(activity.into(), &mut |_| Arc::clone(&resource));
    }

    fn pass(&mut self, count: u64) {
        for _ in 0..count {
            self.now += 10 * MILLISECOND;
            let now = KernelTime(self.now);
            self.tracer.settle(now, &self.clock, &mut self.spans);
        }
    }

    fn flush(&mut self) {
        self.tracer.flush(&self.clock, &mut self.spans);
        self.assert_empty();
    }

    fn assert_empty(&self) {
        self.assert_nothing_remembered();
        assert!(self.tracer.contexts.is_empty() && self.tracer.open_order.is_empty());
    }

    /// All that is left are the last contexts, and what is cleaned up once it is much.
    fn assert_nothing_remembered(&self) {
        let tracer = &self.tracer;
        assert!(tracer.exchanges.is_empty() && tracer.timers.is_empty());
        assert!(tracer.ends.is_empty() && tracer.carriers.is_empty());
        assert!(tracer.held_order.is_empty() && tracer.exited.is_empty());
        assert!(tracer.to_emit.is_empty() && tracer.to_decide.is_empty());
        assert_eq!((tracer.open, tracer.held), (0, 0));
    }

    /// The span of an exchange, if it has left.
    fn find(&self, id: u64) -> Option<&Span> {
        self.spans.iter().find(|span| exchange_of(span) == id)
    }

    fn span(&self, id: u64) -> &Span {
        self.find(id).expect("the exchange has become a span")
    }
}

/// The number of the exchange, which its request's path carries.
fn exchange_of(span: &Span) -> u64 {
    let text = text(span, "url.full").or_else(|| text(span, "url.path"));
    let (_, number) = text.unwrap().rsplit_once('/').unwrap();
    number.parse().unwrap()
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match span.attributes.iter().find(|(name, _)| *name == key)? {
        (_, Value::Str(text)) => Some(text),
        _ => None,
    }
}

fn source(span: &Span) -> &str {
    text(span, "wirespan.parent.source").unwrap()
}
