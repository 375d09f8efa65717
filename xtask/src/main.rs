//! Every command that the README names: set up, build, run, test, vm, bench, fuzz.

mod bench;
mod build;
mod fuzz;
mod held;
mod run;
mod setup;
mod shell;
mod test;
mod toolchain;
mod vm;

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
    /// Builds what is missing and starts `wirespan run` as root
    Run {
        /// Arguments for `wirespan run`
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Runs every test; says how many passed, failed and were skipped
    Test {
        /// Leave out the tests under other kernels
        #[arg(long)]
        no_vm: bool,
        /// Run only the unit and end-to-end tests whose names contain this
        #[arg(long, value_name = "PATTERN")]
        only: Option<String>,
    },
    /// Boots other kernels in an emulated machine and runs the smoke tests, or a command, there
    Vm {
        /// Only this kernel
        #[arg(long, value_parser = vm::kernel)]
        kernel: Option<&'static vm::Kernel>,
        /// Only this hook set
        #[arg(long, value_enum)]
        hooks: Option<vm::Hooks>,
        /// A command to run in the guest instead of the smoke tests; its root is this machine's,
        /// read-only, and /mnt is writable
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Measures what the agent costs, beside its budgets
    Bench(bench::Options),
    /// Gives parsers and file readers bytes that nobody would send
    Fuzz(fuzz::Options),
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
        Task::Run { args } => run::run(&args),
        Task::Test { no_vm, only } => test::test(&test::Options { no_vm, only }),
        Task::Vm {
            kernel,
            hooks,
            command,
        } => vm::vm(kernel, hooks, &command),
        Task::Bench(options) => bench::bench(options),
        Task::Fuzz(options) => fuzz::fuzz(&options),
    }
}
