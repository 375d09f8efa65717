//! One pass: from the records in the rings to spans in the exporters' queues.

use std::{sync::Arc, time::Instant};

use crate::{
    bpf::{load::Kernel, ring::Rings},
    clock::{KernelTime, WallClock},
    config::{Config, Filters},
    export::Exporters,
    host::{CgroupTree, HostIdentity, ProcRoot, Processes},
    metrics::{
        self,
        counters::{Counters, Loss},
        log::LossLog,
    },
    span::{
        describe::Conventions,
        model::{Resource, Span},
    },
    stream::{
        Limits, Streams,
        exchange::{Activity, Addresses},
        record::Record,
    },
    trace::{Tracer, TracerConfig},
};

/// Nanoseconds between two looks at clocks and counters.
const HOUSEKEEPING: u64 = 1_000_000_000;
/// A record may be written a little after the time that it bears; a pass leaves it to the next.
const SLACK: u64 = 50_000;

/// All stages between rings and exporters.
pub(super) struct Pipeline {
    counters: Arc<Counters>,
    filters: Filters,
    clock: WallClock,
    processes: Processes,
    streams: Streams,
    tracer: Tracer,
    losses: LossLog,
    activities: Vec<Activity>,
    spans: Vec<Span>,
    housekept: KernelTime,
    /// [`Loss::RingFullOther`] when processes were last read from `/proc`.
    lifecycle_lost: u64,
}

impl Pipeline {
    pub(super) fn new(config: &Config, counters: &Arc<Counters>) -> anyhow::Result<Self> {
        let processes = Processes::new(
            ProcRoot::default(),
            HostIdentity::detect(),
            CgroupTree::of_host(),
            Arc::clone(counters),
        );
        Ok(Self {
            counters: Arc::clone(counters),
            filters: config.filters.clone(),
            clock: WallClock::new(),
            processes,
            streams: Streams::new(Limits::default(), Arc::clone(counters)),
            tracer: Tracer::new(tracer_config(config), Arc::clone(counters))?,
            losses: LossLog::new(Instant::now()),
            activities: Vec::new(),
            spans: Vec::new(),
            housekept: KernelTime::now(),
            lifecycle_lost: 0,
        })
    }

    /// Learns of the processes that are older than the agent. The kernel's records flow already.
    pub(super) fn backfill(&mut self) {
        self.processes.backfill();
    }

    /// Who the agent itself is.
    pub(super) fn own_resource(&mut self) -> Arc<Resource> {
        self.processes.resource(std::process::id())
    }

    /// Everything that was written before now goes through all stages.
    pub(super) fn pass(
        &mut self,
        rings: &mut Rings,
        kernel: &mut Kernel,
        exporters: &Exporters,
    ) -> anyhow::Result<()> {
        let now = KernelTime::now();
        self.drain(rings, KernelTime(now.0.saturating_sub(SLACK)));
        self.streams.drained(now, &mut self.activities);
        self.observe();
        self.tracer.settle(now, &self.clock, &mut self.spans);
        self.offer(exporters);
        for (connection, verdict) in self.streams.take_verdicts() {
            if kernel.tell(connection, verdict).is_err() {
                self.counters.lose(Loss::VerdictFailed, 1);
            }
        }
        #[cfg(feature = "debug-log")]
        kernel.flush_log();
        if now.since(self.housekept) >= HOUSEKEEPING {
            self.housekept = now;
            self.clock.remeasure();
            metrics::kernel::absorb(&self.counters, &kernel.stats()?);
            self.refill_processes();
            self.losses.tick(&self.counters, Instant::now());
        }
        Ok(())
    }

    /// Records that were lost may have told of processes.
    fn refill_processes(&mut self) {
        let lost = self.counters.loss(Loss::RingFullOther);
        if lost != self.lifecycle_lost {
            self.lifecycle_lost = lost;
            self.processes.backfill();
        }
    }

    /// The last pass, after capture has stopped.
    pub(super) fn finish(&mut self, rings: &mut Rings, exporters: &Exporters) {
        self.drain(rings, KernelTime(u64::MAX));
        let now = KernelTime::now();
        self.streams.stop(now, &mut self.activities);
        self.observe();
        self.tracer.settle(now, &self.clock, &mut self.spans);
        self.tracer.flush(&self.clock, &mut self.spans);
        self.offer(exporters);
    }

    fn drain(&mut self, rings: &mut Rings, until: KernelTime) {
        let Self {
            counters,
            filters,
            processes,
            streams,
            activities,
            ..
        } = self;
        rings.drain(until, |bytes| match Record::decode(bytes) {
            Ok(record) => dispatch(&record, filters, processes, streams, activities),
            Err(_) => counters.lose(Loss::RecordInvalid, 1),
        });
    }

    fn observe(&mut self) {
        let Self {
            processes,
            tracer,
            activities,
            ..
        } = self;
        for activity in activities.drain(..) {
            tracer.observe(activity, &mut |tgid| processes.resource(tgid));
        }
    }

    fn offer(&mut self, exporters: &Exporters) {
        if self.spans.is_empty() {
            return;
        }
        let spans: Vec<Arc<Span>> = self.spans.drain(..).map(Arc::new).collect();
        exporters.offer(&spans);
    }
}

fn tracer_config(config: &Config) -> TracerConfig {
    let mut conventions = Conventions::default();
    if let Some(methods) = &config.known_methods {
        conventions = conventions.with_known_methods(methods);
    }
    if config.former_rpc_names {
        conventions = conventions.with_former_rpc_names();
    }
    TracerConfig {
        conventions,
        ..TracerConfig::default()
    }
}

/// Gives a record to the stage that it is for.
fn dispatch(
    record: &Record<'_>,
    filters: &Filters,
    processes: &mut Processes,
    streams: &mut Streams,
    activities: &mut Vec<Activity>,
) {
    match record {
        Record::Exec(exec) => processes.exec(exec),
        Record::Fork(fork) => processes.fork(fork),
        Record::Exit(exit) => {
            streams.process_exited(exit.tgid, KernelTime(exit.time));
            processes.exit(exit);
        }
        Record::Open(_) | Record::Data(..) | Record::Close(_) => {
            streams.record(
                record,
                &mut |tgid, addresses| is_wanted(filters, processes, tgid, addresses),
                activities,
            );
        }
    }
}

/// What the command line says of a connection.
fn is_wanted(
    filters: &Filters,
    processes: &mut Processes,
    tgid: u32,
    addresses: Option<&Addresses>,
) -> bool {
    let port = addresses.map_or_else(
        || filters.wants_portless(),
        |addresses| filters.wants_port(addresses.local.port(), addresses.peer.port()),
    );
    let executable = if filters.needs_exe() {
        processes.executable(tgid)
    } else {
        None
    };
    port && filters.wants_process(tgid, executable)
}
