//! The stages from records to spans, as the agent's loop drives them.

use std::sync::Arc;

use anyhow::Result;
use wirespan::{
    clock::{KernelTime, WallClock, WallOffset},
    metrics::counters::Counters,
    span::model::{Resource, Span},
    stream::{Limits, Streams, exchange::Activity, record::Record},
    trace::{Tracer, TracerConfig},
};

/// Between two passes over the rings, in nanoseconds.
const PASS: u64 = 10_000_000;

/// Nothing is late any more when so many passes have gone by.
const LAST_PASSES: u64 = 400;

/// The stages, and the time.
pub(crate) struct Agent {
    streams: Streams,
    tracer: Tracer,
    activities: Vec<Activity>,
    spans: Vec<Span>,
    resource: Arc<Resource>,
    clock: WallClock,
    now: u64,
    next_pass: u64,
    made: u64,
}

impl Agent {
    pub(crate) fn new() -> Self {
        let counters = Arc::new(Counters::default());
        Self {
            streams: Streams::new(Limits::default(), Arc::clone(&counters)),
            tracer: Tracer::new(TracerConfig::default(), [7; 32], counters),
            activities: Vec::new(),
            spans: Vec::new(),
            resource: Arc::new(Resource {
                service_name: "shop".into(),
                attributes: vec![("service.name".into(), "shop".into())],
            }),
            clock: WallClock::with_offset(WallOffset(1_700_000_000_000_000_000)),
            now: PASS,
            next_pass: 2 * PASS,
            made: 0,
        }
    }

    /// The time now, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Time goes by; passes are made when they are due.
    pub(crate) fn advance(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
        while self.now >= self.next_pass {
            let now = KernelTime(self.next_pass);
            self.streams.drained(now, &mut self.activities);
            self.observe();
            self.tracer.settle(now, &self.clock, &mut self.spans);
            self.take();
            self.next_pass += PASS;
        }
    }

    /// Takes a record as a ring holds it.
    pub(crate) fn record(&mut self, bytes: &[u8]) -> Result<()> {
        let record = Record::decode(bytes)?;
        self.streams
            .record(&record, &mut |_, _| true, &mut self.activities);
        Ok(())
    }

    fn observe(&mut self) {
        let resource = &self.resource;
        for activity in self.activities.drain(..) {
            self.tracer.observe(activity, &mut |_| Arc::clone(resource));
        }
    }

    fn take(&mut self) {
        self.made += self.spans.len() as u64;
        self.spans.clear();
    }

    /// Waits for what is late, and gives the number of spans.
    pub(crate) fn finish(mut self) -> u64 {
        for _ in 0..LAST_PASSES {
            self.advance(PASS);
        }
        self.made
    }
}
