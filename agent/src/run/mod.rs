//! `wirespan run`: starts the stages, passes over the rings until a signal comes, and ends in
//! order: stop capture, drain, flush, tell.
#![forbid(unsafe_code)]

mod log;
mod pipeline;
mod signals;

use std::{
    io::IsTerminal as _,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    bpf::{
        load::Kernel,
        ring::Rings,
        support::{self, Support},
    },
    cli::RunArgs,
    config::{Config, otel_env::otlp_settings},
    export::{Exporters, Target, console::ConsoleOptions},
    memory,
    metrics::{counters::Counters, otlp::SelfMetrics, summary::Summary},
};
use pipeline::Pipeline;
use signals::Signals;

/// The host, the options or the environment make tracing impossible.
const CANNOT_TRACE: u8 = 2;
/// Added to the agent's nice value: a share of about a tenth beside a busy program of normal
/// priority, all of a CPU that is idle.
const NICENESS: i32 = 10;
/// The shutdown takes no longer than this, whatever the back end does.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(8);
/// The part of it that is kept for what comes after the export.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(2);

/// Runs until SIGINT or SIGTERM. Exit codes: 0 after a run, 1 after an error in it, 2 when it
/// could not begin.
#[must_use]
pub fn main(args: RunArgs) -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let config = match Config::resolve(args, variable, std::io::stdout().is_terminal()) {
        Ok(config) => config,
        Err(error) => return cannot_trace(&error.into()),
    };
    log::start(config.log_level);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let agent = match Agent::start(config) {
        Ok(agent) => agent,
        Err(error) => return cannot_trace(&error),
    };
    match agent.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wirespan: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn cannot_trace(error: &anyhow::Error) -> ExitCode {
    eprintln!("wirespan: {error:#}");
    ExitCode::from(CANNOT_TRACE)
}

/// Everything at work.
struct Agent {
    config: Config,
    counters: Arc<Counters>,
    signals: Signals,
    kernel: Kernel,
    rings: Rings,
    pipeline: Pipeline,
    exporters: Exporters,
    metrics: Option<SelfMetrics>,
}

impl Agent {
    fn start(config: Config) -> anyhow::Result<Self> {
        if let Some(path) = &config.summary {
            Summary::check(path)?;
        }
        yield_to_applications();
        let signals = Signals::listen().context("cannot listen for signals")?;
        let counters = Arc::new(Counters::default());
        let chosen = support::choose(config.hooks, &Support::probe())?;
        let (kernel, rings) = Kernel::load(&chosen)?;
        for program in kernel.programs() {
            tracing::debug!(
                program = program.name,
                verified_instructions = program.verified_instructions,
                "attached"
            );
        }
        let mut pipeline = Pipeline::new(&config, &counters)?;
        pipeline.backfill();
        let exporters = Exporters::start(targets(&config), &counters)?;
        let metrics = config
            .exporters
            .otlp
            .then(|| SelfMetrics::start(&counters, &pipeline.own_resource()))
            .flatten();
        memory::release_unused();
        eprintln!("wirespan: tracing this host by {} hooks", chosen.hooks);
        Ok(Self {
            config,
            counters,
            signals,
            kernel,
            rings,
            pipeline,
            exporters,
            metrics,
        })
    }

    /// Passes over the rings until a signal comes.
    fn run(mut self) -> anyhow::Result<()> {
        let result = self.passes();
        // Whatever happened, what is here goes out.
        self.stop()?;
        result
    }

    fn passes(&mut self) -> anyhow::Result<()> {
        while !self.signals.stop_wanted() {
            self.rings.wait().context("cannot wait for records")?;
            self.pipeline
                .pass(&mut self.rings, &mut self.kernel, &self.exporters)?;
        }
        Ok(())
    }

    fn stop(mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SHUTDOWN_LIMIT;
        self.kernel.detach();
        self.pipeline.finish(&mut self.rings, &self.exporters);
        let stats = self.kernel.stats()?;
        let left = deadline.saturating_duration_since(Instant::now());
        self.exporters
            .shutdown(left.saturating_sub(SHUTDOWN_RESERVE));
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

/// On a host without spare CPU the traced programs go first: what the agent cannot read in time is
/// lost and counted, but costs them nothing.
fn yield_to_applications() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "the agent runs at normal priority");
    }
}

/// Where spans go, in the exporters' terms.
fn targets(config: &Config) -> Vec<Target> {
    let wanted = config.exporters;
    let mut targets = Vec::new();
    if wanted.console {
        targets.push(Target::Console(ConsoleOptions::detect(&std::io::stdout())));
    }
    if wanted.otlp_json {
        targets.push(Target::OtlpJson);
    }
    if wanted.otlp {
        let (settings, warnings) = otlp_settings(|name| std::env::var(name).ok());
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        targets.push(Target::Otlp(Box::new(settings)));
    }
    targets
}
