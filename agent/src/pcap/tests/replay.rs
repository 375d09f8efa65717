//! Reads a capture through `stream`, and says what came out.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    clock::KernelTime,
    metrics::counters::{Counters, Flow},
    pcap::{Capture, Counts, PcapError, Perspective, Progress},
    stream::{
        Limits, Streams,
        exchange::{Activity, Connection, ExchangeError, Finished, Opened, Role},
        record::Record,
    },
};

/// One finished exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) connection: u64,
    pub(super) request: String,
    pub(super) status: Option<u16>,
    pub(super) bodies: (u64, u64),
    pub(super) times: (u64, u64),
    pub(super) error: Option<ExchangeError>,
    pub(super) whole: bool,
}

/// Request, status, bodies, error.
type Told = (String, Option<u16>, (u64, u64), Option<ExchangeError>);

impl Exchange {
    fn new(opened: &Opened, finished: &Finished) -> Self {
        Self {
            connection: opened.connection.id,
            request: [&opened.request.method, &opened.request.target]
                .map(|part| part.as_deref().unwrap_or("?"))
                .join(" "),
            status: finished.response.as_ref().and_then(|head| head.status),
            bodies: (
                finished.request_body.unwrap_or(0),
                finished.response_body.unwrap_or(0),
            ),
            times: (opened.started.0, finished.ended.0),
            error: finished.error,
            whole: !finished.truncated
                && finished.gap_bytes == 0
                && finished.request_body.is_some()
                && finished.response_body.is_some(),
        }
    }

    /// What is the same however the packets came.
    pub(super) fn told(&self) -> Told {
        (self.request.clone(), self.status, self.bodies, self.error)
    }
}

/// What a capture gave.
pub(super) struct Replay {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) connections: Vec<Arc<Connection>>,
    pub(super) counts: Counts,
    /// Requests that `stream` knows to have gone by unseen.
    pub(super) lost: u64,
    pub(super) error: Option<PcapError>,
    /// All records, in order, as text.
    pub(super) records: Vec<String>,
}

impl Replay {
    /// Reads a capture that nothing is wrong with.
    pub(super) fn of(file: &[u8]) -> Self {
        let replay = Self::any(file, Perspective::Server);
        assert!(replay.error.is_none(), "{:?}", replay.error);
        replay
    }

    pub(super) fn any(file: &[u8], perspective: Perspective) -> Self {
        let mut this = Self {
            exchanges: Vec::new(),
            connections: Vec::new(),
            counts: Counts::default(),
            lost: 0,
            error: None,
            records: Vec::new(),
        };
        let mut capture = match Capture::open(file, perspective) {
            Ok(capture) => capture,
            Err(error) => {
                this.error = Some(error);
                return this;
            }
        };
        let counters = Arc::new(Counters::default());
        let mut streams = Streams::new(Limits::default(), Arc::clone(&counters));
        let mut out = Vec::new();
        let mut records = Vec::new();
        let mut now = KernelTime(0);
        loop {
            let progress = capture.next(&mut |record: &Record<'_>| {
                records.push(text(record));
                streams.record(record, &mut |_, _| true, &mut out);
            });
            match progress {
                Ok(Progress::Packet(time)) => {
                    assert!(time >= now);
                    now = time;
                    streams.drained(now, &mut out);
                }
                Ok(Progress::End) => break,
                Err(error) => {
                    this.error = Some(error);
                    break;
                }
            }
        }
        capture.finish(&mut |record: &Record<'_>| {
            records.push(text(record));
            streams.record(record, &mut |_, _| true, &mut out);
        });
        streams.stop(now, &mut out);
        this.counts = *capture.counts();
        this.records = records;
        this.lost =
            counters.flow(Flow::ServerExchangesLost) + counters.flow(Flow::ClientExchangesLost);
        this.take(out);
        this
    }

    fn take(&mut self, activities: Vec<Activity>) {
        let mut open: Vec<Box<Opened>> = Vec::new();
        for activity in activities {
            match activity {
                Activity::Opened(opened) => open.push(opened),
                Activity::Finished(finished) => {
                    let at = open.iter().position(|opened| opened.id == finished.id);
                    let opened = open.remove(at.expect("opened before"));
                    self.exchanges.push(Exchange::new(&opened, &finished));
                }
                Activity::Connected(connection) => self.connections.push(connection),
                _ => {}
            }
        }
    }

    /// What every exchange says.
    pub(super) fn told(&self) -> Vec<Told> {
        self.exchanges.iter().map(Exchange::told).collect()
    }

    /// Requests and statuses.
    pub(super) fn brief(&self) -> Vec<(&str, Option<u16>)> {
        self.exchanges
            .iter()
            .map(|exchange| (exchange.request.as_str(), exchange.status))
            .collect()
    }

    /// The only connection: its role, this end's address and the other's.
    pub(super) fn only_connection(&self) -> (Role, SocketAddr, SocketAddr) {
        let [connection] = &self.connections[..] else {
            panic!("one connection expected in {:?}", self.connections);
        };
        let addresses = connection.addresses.expect("TCP has addresses");
        (connection.role, addresses.local, addresses.peer)
    }
}

/// A record without its bytes.
fn text(record: &Record<'_>) -> String {
    match record {
        Record::Data(data, payload) => format!("{data:?} {}", payload.len()),
        other => format!("{other:?}"),
    }
}
