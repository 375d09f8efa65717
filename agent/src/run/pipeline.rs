//! The stages from records to spans, whatever the records come from. Knows no kernel, no file and
//! no clock: the same calls give the same spans.

use std::sync::Arc;

use wirespan_ebpf::verdict::Verdict;

use crate::{
    clock::{KernelTime, WallClock},
    metrics::counters::Counters,
    span::{
        describe::Conventions,
        ids::Seed,
        model::{Resource, Span},
    },
    stream::{Limits, Streams, Wanted, exchange::Activity, record::Record},
    trace::{Tracer, TracerConfig},
};

/// What spans depend on besides records.
pub(super) struct SpanOptions<'a> {
    /// Seed of their ids.
    pub(super) seed: Seed,
    /// Request methods that are reported by name; `None` means the standard ones.
    pub(super) known_methods: Option<&'a [String]>,
    /// Whether remote procedure calls have their former attributes too.
    pub(super) former_rpc_names: bool,
}

/// Tells who a process is.
pub(super) type ResourceOf<'a> = dyn FnMut(u32) -> Arc<Resource> + 'a;

/// All stages between records and exporters.
pub(super) struct Pipeline {
    streams: Streams,
    tracer: Tracer,
    activities: Vec<Activity>,
    spans: Vec<Span>,
}

impl Pipeline {
    pub(super) fn new(options: &SpanOptions<'_>, counters: &Arc<Counters>) -> Self {
        let mut conventions = Conventions::default();
        if let Some(methods) = options.known_methods {
            conventions = conventions.with_known_methods(methods);
        }
        if options.former_rpc_names {
            conventions = conventions.with_former_rpc_names();
        }
        let config = TracerConfig {
            conventions,
            ..TracerConfig::default()
        };
        Self {
            streams: Streams::new(Limits::default(), Arc::clone(counters)),
            tracer: Tracer::new(config, options.seed, Arc::clone(counters)),
            activities: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Takes a record.
    pub(super) fn record(&mut self, record: &Record<'_>, wanted: &mut Wanted<'_>) {
        self.streams.record(record, wanted, &mut self.activities);
    }

    /// All records that were written before `now` have been taken.
    pub(super) fn pass(
        &mut self,
        now: KernelTime,
        clock: WallClock,
        resource_of: &mut ResourceOf<'_>,
    ) {
        self.streams.drained(now, &mut self.activities);
        self.observe(resource_of);
        self.tracer.settle(now, &clock, &mut self.spans);
    }

    /// The last pass: no record comes any more.
    pub(super) fn finish(
        &mut self,
        now: KernelTime,
        clock: WallClock,
        resource_of: &mut ResourceOf<'_>,
    ) {
        self.streams.stop(now, &mut self.activities);
        self.observe(resource_of);
        self.tracer.settle(now, &clock, &mut self.spans);
        self.tracer.flush(&clock, &mut self.spans);
    }

    fn observe(&mut self, resource_of: &mut ResourceOf<'_>) {
        for activity in self.activities.drain(..) {
            self.tracer.observe(activity, resource_of);
        }
    }

    /// The spans that were finished since the last call.
    pub(super) fn take_spans(&mut self) -> Vec<Arc<Span>> {
        self.spans.drain(..).map(Arc::new).collect()
    }

    /// What the kernel shall know of connections, since the last call.
    pub(super) fn take_verdicts(&mut self) -> Vec<(u64, Verdict)> {
        self.streams.take_verdicts()
    }
}
