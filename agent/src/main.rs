//! The command `wirespan`: reads the command line and hands over.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use wirespan::{
    cli::{Cli, Command},
    doctor, run,
};

fn main() -> ExitCode {
    match Cli::parse().into_command() {
        Command::Run(args) => run::main(args),
        Command::Doctor(args) => doctor::main(&args),
    }
}
