//! Every command that the README names: set up, build, run, test, vm, bench.

mod build;
mod setup;
mod shell;
mod toolchain;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Builds, runs, tests and measures wirespan.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Installs what building needs and this machine lacks
    Setup,
    /// Builds the kernel programs, then the agent with them inside
    Build {
        /// Build target/release/wirespan: optimised, one self-contained binary
        #[arg(long)]
        release: bool,
        /// Features of the agent and the kernel programs
        #[arg(long, value_parser = ["debug-log"])]
        features: Option<String>,
    },
}

fn main() -> ExitCode {
    match perform(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Setup => setup::ensure(&[setup::Need::Build]),
        Task::Build { release, features } => {
            let options = build::Options {
                release,
                debug_log: features.is_some(),
            };
            build::build(options).map(|_| ())
        }
    }
}
