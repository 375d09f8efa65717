//! `wirespan run`: starts the stages, passes over the rings until a signal comes, and ends in
//! order: stop capture, drain, flush, tell.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{
    live::Live,
    pipeline::{Pipeline, SpanOptions},
    signals::Signals,
    targets,
};
use crate::{
    cli::{FilterArgs, Hooks},
    config::{Config, Filters},
    export::{Exporters, Pace},
    memory,
    metrics::{counters::Counters, otlp::SelfMetrics, summary::Summary},
    span::ids,
};

/// The shutdown takes no longer than this, whatever the back end does.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(8);
/// The part of it that is kept for what comes after the export.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(2);

/// Everything at work.
pub(super) struct Agent {
    config: Config,
    counters: Arc<Counters>,
    signals: Signals,
    live: Live,
    pipeline: Pipeline,
    exporters: Exporters,
    metrics: Option<SelfMetrics>,
}

/// Starts tracing.
pub(super) fn start(config: Config, hooks: Hooks, filters: FilterArgs) -> anyhow::Result<Agent> {
    if let Some(path) = &config.summary {
        Summary::check(path)?;
    }
    let signals = Signals::listen().context("cannot listen for signals")?;
    let counters = Arc::new(Counters::default());
    let mut live = Live::start(hooks, Filters::new(filters), &counters)?;
    let options = SpanOptions {
        seed: ids::new_seed()?,
        known_methods: config.known_methods.as_deref(),
        former_rpc_names: config.former_rpc_names,
    };
    let pipeline = Pipeline::new(&options, &counters);
    let exporters = Exporters::start(targets(&config), Pace::Live, &counters)?;
    let metrics = config
        .exporters
        .otlp
        .then(|| SelfMetrics::start(&counters, &live.processes.resource(std::process::id())))
        .flatten();
    memory::release_unused();
    eprintln!("wirespan: tracing this host by {} hooks", live.hooks());
    Ok(Agent {
        config,
        counters,
        signals,
        live,
        pipeline,
        exporters,
        metrics,
    })
}

impl Agent {
    /// Passes over the rings until a signal comes.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let result = self.passes();
        // Whatever happened, what is here goes out.
        self.stop()?;
        result
    }

    fn passes(&mut self) -> anyhow::Result<()> {
        while !self.signals.stop_wanted() {
            self.live.wait()?;
            self.pass()?;
        }
        Ok(())
    }

    fn pass(&mut self) -> anyhow::Result<()> {
        let Self { live, pipeline, .. } = self;
        let now = live.drain(|record, _, wanted| pipeline.record(record, wanted));
        pipeline.pass(now, live.clock, &mut |tgid| live.processes.resource(tgid));
        self.exporters.offer(&pipeline.take_spans());
        live.tell(pipeline.take_verdicts());
        live.housekeep(now)?;
        Ok(())
    }

    fn stop(self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SHUTDOWN_LIMIT;
        let Self {
            mut live,
            mut pipeline,
            exporters,
            ..
        } = self;
        let now = live.stop(|record, _, wanted| pipeline.record(record, wanted));
        pipeline.finish(now, live.clock, &mut |tgid| live.processes.resource(tgid));
        exporters.offer(&pipeline.take_spans());
        let stats = live.stats()?;
        let left = deadline.saturating_duration_since(Instant::now());
        exporters.shutdown(left.saturating_sub(SHUTDOWN_RESERVE));
        let summary = Summary::new(&self.counters, &stats);
        if let Some(metrics) = self.metrics {
            metrics.shutdown(deadline.saturating_duration_since(Instant::now()));
        }
        eprint!("{summary}");
        if let Some(path) = &self.config.summary {
            summary.write(path)?;
        }
        Ok(())
    }
}
