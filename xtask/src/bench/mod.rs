//! `cargo xtask bench`: what the agent costs, by runs with and without it, side by side.
//!
//! nginx has core 0 for itself; the load, the agent and the back end share core 1. Every figure
//! is shown beside its budget. Nothing fails because of a time: the machine decides those.
//! `--instructions` counts instead of measuring, and comes to the same on every machine.

mod agent;
mod instructions;
mod kernel;
mod load;
mod process;
mod report;
mod server;
mod sink;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use self::agent::{Agent, Summary};
use self::report::{Budget, Report, float};
use self::server::Server;
use self::sink::Sink;
use crate::setup::{self, Need};
use crate::{build, shell};

/// How to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Pairs of runs, without and with the agent
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Seconds of load in each run
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Requests per second that are offered in the runs at a fixed rate
    #[arg(long, default_value_t = 48_000)]
    rate: u32,
    /// Count instructions instead: what an exchange costs between a record and a span
    #[arg(long)]
    instructions: bool,
    /// Write the figures to this file as well, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The core that nginx has for itself, and the one of everything else.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// What all runs share.
struct Bench {
    options: Options,
    agent: PathBuf,
    sink: Sink,
    server: Server,
    report: Report,
}

/// Measures, prints the table, and writes the JSON.
pub(crate) fn bench(options: Options) -> Result<()> {
    if options.instructions {
        return count_instructions(options.json.as_deref());
    }
    if !shell::is_root() {
        bail!("tracing needs root: run this as root");
    }
    if std::thread::available_parallelism()?.get() < 2 {
        bail!("the benchmark needs two cores: one for nginx, one for the load and the agent");
    }
    setup::ensure(&[Need::Bench])?;
    let agent = build::build(build::Options {
        release: true,
        debug_log: false,
    })?;
    process::pin(LOAD_CORE)?;
    process::raise_file_limit()?;
    let json = options.json.clone();
    let mut bench = Bench {
        agent,
        sink: Sink::start()?,
        server: Server::start(SERVER_CORE)?,
        report: Report::default(),
        options,
    };
    bench.fixed_rate()?;
    bench.saturated()?;
    bench.many_connections()?;
    bench.run_times()?;
    bench.first_span()?;
    bench.report.print();
    if let Some(path) = json {
        bench.report.write_json(&path)?;
        shell::step(format!("figures: {}", path.display()));
    }
    Ok(())
}

/// Counts instructions, prints the table, and writes the JSON.
fn count_instructions(json: Option<&Path>) -> Result<()> {
    let mut report = Report::default();
    instructions::count(&mut report)?;
    report.print();
    if let Some(path) = json {
        report.write_json(path)?;
        shell::step(format!("figures: {}", path.display()));
    }
    Ok(())
}

impl Bench {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.options.seconds)
    }

    fn start_agent(&self) -> Result<Agent> {
        Agent::start(&self.agent, self.server.port(), &self.sink)
    }

    /// Runs (a): nginx's own CPU time per request, and the agent's CPU time.
    fn fixed_rate(&mut self) -> Result<()> {
        let rate = self.options.rate;
        let (mut off, mut on, mut agent_cpu, mut offered) = (vec![], vec![], vec![], vec![]);
        for pair in 1..=self.options.pairs {
            shell::step(format!(
                "{rate} requests/s, pair {pair} of {}",
                self.options.pairs
            ));
            let without = self.server.measure(|server| {
                load::fixed_rate(server.port(), 32, rate, self.duration()).map(|_| ())
            })?;
            off.push(without.cpu_ns_per_request());

            let agent = self.start_agent()?;
            let cpu_before = agent.cpu()?;
            let with = self.server.measure(|server| {
                load::fixed_rate(server.port(), 32, rate, self.duration()).map(|_| ())
            })?;
            let cpu = agent.cpu()?.saturating_sub(cpu_before);
            on.push(with.cpu_ns_per_request());
            agent_cpu.push(cpu.as_secs_f64() / (with.requests_f64() / 10_000.0));
            offered.push(with.requests_f64() / with.elapsed.as_secs_f64());
            self.account("fixed rate", with.requests, &agent.stop()?);
        }
        let name = format!("nginx CPU per request at {rate} requests/s offered (us)");
        let scaled = |values: &[f64]| values.iter().map(|ns| ns / 1000.0).collect::<Vec<_>>();
        self.report
            .pairs(&name, &scaled(&off), &scaled(&on), Budget::AtMost(1.06));
        self.report
            .value("requests/s answered in those runs, traced", &offered, None);
        self.report.value(
            "agent CPU (cores per 10,000 requests/s)",
            &agent_cpu,
            Some(Budget::AtMost(0.1)),
        );
        Ok(())
    }

    /// Runs (b): throughput when nginx has all it can do.
    fn saturated(&mut self) -> Result<()> {
        let (mut off, mut on) = (vec![], vec![]);
        for pair in 1..=self.options.pairs {
            shell::step(format!("saturated, pair {pair} of {}", self.options.pairs));
            off.push(load::saturate(self.server.port(), self.duration())?);
            let agent = self.start_agent()?;
            let mut rate = 0.0;
            let with = self.server.measure(|server| {
                rate = load::saturate(server.port(), self.duration())?;
                Ok(())
            })?;
            on.push(rate);
            self.account("saturated", with.requests, &agent.stop()?);
        }
        self.report.pairs(
            "nginx requests/s, saturated",
            &off,
            &on,
            Budget::AtLeast(0.90),
        );
        Ok(())
    }

    /// Memory with 1,000 connections and 10,000 requests/s.
    fn many_connections(&mut self) -> Result<()> {
        shell::step("1,000 connections, 10,000 requests/s");
        let agent = self.start_agent()?;
        let with = self.server.measure(|server| {
            load::fixed_rate(server.port(), 1000, 10_000, self.duration()).map(|_| ())
        })?;
        let resident = agent.peak_resident_mb()?;
        let maps = kernel::map_bytes(agent.pid())?;
        self.account("1,000 connections", with.requests, &agent.stop()?);
        self.report.value(
            "agent memory, peak (MB resident)",
            &[resident],
            Some(Budget::AtMost(40.0)),
        );
        let mib = float(maps) / f64::from(1 << 20);
        self.report
            .value("kernel maps (MiB)", &[mib], Some(Budget::AtMost(16.0)));
        Ok(())
    }

    /// Nanoseconds of each kernel program, with the kernel's own counting on.
    fn run_times(&mut self) -> Result<()> {
        shell::step("run times of the kernel programs");
        let port = self.server.port();
        let counting = kernel::Counting::start()?;
        for (what, traced_port, budget) in [
            ("traced", port, Some(Budget::AtMost(250.0))),
            // The empty program that the budget of 60 ns is over takes 75 ns.
            (
                "ignored socket",
                self.sink.port(),
                Some(Budget::AtMost(135.0)),
            ),
        ] {
            let agent = Agent::start(&self.agent, traced_port, &self.sink)?;
            let before = kernel::programs(agent.pid())?;
            load::fixed_rate(port, 32, self.options.rate, self.duration())?;
            let after = kernel::programs(agent.pid())?;
            agent.stop()?;
            for run in kernel::runs_between(&before, &after) {
                let name = format!("{}, {what} (ns a run, {} runs)", run.name, run.count);
                // The budgets are for sends and receives, not for what happens once a connection.
                let budget = budget.filter(|_| run.is_transfer());
                self.report.value(&name, &[run.nanoseconds()], budget);
            }
        }
        drop(counting);
        Ok(())
    }

    fn first_span(&mut self) -> Result<()> {
        shell::step("start to first span");
        let mut seconds = Vec::new();
        for _ in 0..self.options.pairs {
            let taken = agent::first_span(&self.agent, &self.server)?;
            seconds.push(taken.as_secs_f64());
        }
        self.report.value(
            "start to first span (s)",
            &seconds,
            Some(Budget::AtMost(1.0)),
        );
        Ok(())
    }

    /// Requests against spans and counted losses of one traced run.
    fn account(&mut self, run: &str, requests: u64, summary: &Summary) {
        self.report.account(run, requests, summary);
    }
}
