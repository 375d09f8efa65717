//! The command `wirespan`: reads the command line and hands over.
#![forbid(unsafe_code)]

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use clap::Parser as _;
use wirespan::{
    cli::{Cli, Command, DoctorArgs},
    doctor::Report,
    run, terminal,
};

fn main() -> ExitCode {
    match Cli::parse().into_command() {
        Command::Run(args) => run::main(args),
        Command::Record(args) => run::record(args),
        Command::Replay(args) => run::replay(args),
        Command::Doctor(args) => doctor(&args),
    }
}

fn doctor(args: &DoctorArgs) -> ExitCode {
    let report = Report::of_this_host();
    let output = io::stdout();
    let written = if args.json {
        report.write_json(output.lock())
    } else {
        let colours =
            output.is_terminal() && terminal::allows_colours(|name| std::env::var_os(name));
        report.write_text(output.lock(), colours)
    };
    match written {
        Ok(()) => ExitCode::from(report.exit_code()),
        Err(error) => {
            eprintln!("wirespan: cannot write the report: {error}");
            ExitCode::FAILURE
        }
    }
}
