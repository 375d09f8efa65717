//! The commands: puts the stages together, each source with what is made of it.
//!
//! | command | source | what is made of it |
//! |---|---|---|
//! | `wirespan run` | `live` | spans (`pipeline`) |
//! | `wirespan record` | `live` | a recording |
//! | `wirespan replay` | `replay`: a recording or a packet capture | spans (`pipeline`) |
#![forbid(unsafe_code)]

mod agent;
mod live;
mod log;
mod pipeline;
mod record;
mod replay;
mod signals;

use std::{io::IsTerminal as _, process::ExitCode};

use crate::{
    cli::{OutputArgs, RecordArgs, ReplayArgs, RunArgs},
    config::{Config, otel_env::otlp_settings},
    export::{Target, console::ConsoleOptions},
};

/// The host, the options or the environment make the command impossible.
const IMPOSSIBLE: u8 = 2;

/// `wirespan run`: traces until SIGINT or SIGTERM. Exit codes: 0 after a run, 1 after an error in
/// it, 2 when it could not begin.
#[must_use]
pub fn main(args: RunArgs) -> ExitCode {
    let RunArgs {
        output,
        hooks,
        filters,
    } = args;
    let agent = configure(output).and_then(|config| agent::start(config, hooks, filters));
    match agent {
        Ok(agent) => exit_code(agent.run()),
        Err(error) => impossible(&error),
    }
}

/// `wirespan record`: records until SIGINT or SIGTERM, or for a given time. Exit codes as those of
/// [`main`].
#[must_use]
pub fn record(args: RecordArgs) -> ExitCode {
    let output = OutputArgs {
        log_level: args.log_level,
        ..OutputArgs::default()
    };
    let recorder = configure(output).and_then(|config| record::start(&config, args));
    match recorder {
        Ok(recorder) => exit_code(recorder.run()),
        Err(error) => impossible(&error),
    }
}

/// `wirespan replay`: makes the spans of a file. Exit codes: 0 after the whole file, 1 after an
/// error, 2 when the options make no sense.
#[must_use]
pub fn replay(args: ReplayArgs) -> ExitCode {
    match configure(args.output) {
        Ok(config) => match replay::run(&config, &args.file, args.perspective) {
            Err(replay::Failure::Usage(error)) => impossible(&error),
            Err(replay::Failure::Replay(error)) => exit_code(Err(error)),
            Ok(()) => ExitCode::SUCCESS,
        },
        Err(error) => impossible(&error),
    }
}

fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wirespan: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn impossible(error: &anyhow::Error) -> ExitCode {
    eprintln!("wirespan: {error:#}");
    ExitCode::from(IMPOSSIBLE)
}

/// What was asked for; the log begins.
fn configure(args: OutputArgs) -> anyhow::Result<Config> {
    let variable = |name: &str| std::env::var(name).ok();
    let config = Config::resolve(args, variable, std::io::stdout().is_terminal())?;
    log::start(config.log_level);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(config)
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
