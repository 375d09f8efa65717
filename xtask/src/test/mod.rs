//! `cargo xtask test`: every check of the project by one command, cheapest first.

mod children;
mod libtest;
mod licences;
mod tally;
mod tidy;
mod verifier;

use std::time::Duration;

use anyhow::{Result, bail};

use self::tally::Tally;
use crate::setup::{self, Need};
use crate::toolchain::Compiler;
use crate::{build, fuzz, shell, vm};

/// What to run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Leave out the other kernels.
    pub(crate) no_vm: bool,
    /// Run only the tests whose names contain this, and none of the other checks.
    pub(crate) only: Option<String>,
}

/// Seconds for which each fuzz target runs.
const FUZZ_SECONDS: u64 = 5;

/// How long the tests without root may take, with their compilation.
const UNIT_LIMIT: Duration = Duration::from_mins(20);

/// How long the end-to-end tests may take, with the compilation of what they trace.
const END_TO_END_LIMIT: Duration = Duration::from_mins(40);

/// Runs everything, prints the count, and fails when anything failed.
pub(crate) fn test(options: &Options) -> Result<()> {
    children::adopt_orphans()?;
    let mut needs = vec![Need::Build, Need::EndToEnd];
    if options.only.is_none() {
        needs.push(Need::Lint);
        if !options.no_vm && vm::unavailable().is_none() {
            needs.push(Need::Vm);
        }
    }
    setup::ensure(&needs)?;

    let mut tally = Tally::default();
    if options.only.is_none() {
        style(&mut tally);
    }
    shell::step("unit and property tests");
    let mut command = shell::cargo();
    command.args(["test", "--no-fail-fast", "--lib", "--bins"]);
    command.args(["-p", "wirespan", "-p", "wirespan-ebpf", "-p", "xtask"]);
    if let Some(pattern) = &options.only {
        command.arg(pattern);
    }
    tally.add(libtest::run("unit tests", &mut command, UNIT_LIMIT));

    if options.only.is_none() {
        fuzz_shortly(&mut tally);
    }
    let release = build::Options {
        release: true,
        debug_log: false,
    };
    match build::build(release) {
        Ok(agent) => {
            tally.passed("build --release");
            if options.only.is_none() {
                tally.check("the binary is static", || build::check_static(&agent));
                if shell::is_root() {
                    tally.check("verifier", || verifier::print(&agent));
                } else {
                    tally.skipped("verifier", "needs root to load kernel programs");
                }
            }
            end_to_end(&mut tally, options);
            other_kernels(&mut tally, options);
        }
        Err(error) => tally.failed("build --release", &format!("{error:#}")),
    }
    tally.print();
    if tally.has_failures() {
        bail!("some tests failed; their names are above");
    }
    Ok(())
}

/// Each fuzz target, beginning with the corpus that is kept.
fn fuzz_shortly(tally: &mut Tally) {
    match fuzz::build() {
        Ok(programs) => {
            for name in fuzz::TARGETS {
                tally.check(&format!("fuzz {name}"), || {
                    fuzz::run(&programs, name, FUZZ_SECONDS)
                });
            }
        }
        Err(error) => tally.failed("fuzz targets", &format!("{error:#}")),
    }
}

/// Formatting, lints, licences, and the house rules.
fn style(tally: &mut Tally) {
    shell::step("formatting, lints, licences, house rules");
    tally.check("rustfmt", || {
        shell::run(shell::cargo().args(["fmt", "--all", "--check", "--", "--color=never"]))
    });
    for package in [
        "wirespan",
        "wirespan-ebpf",
        "wirespan-fuzz",
        "wirespan-instructions",
        "wirespan-tests",
        "xtask",
    ] {
        tally.check(&format!("clippy {package}"), || {
            let mut command = shell::cargo();
            command.args(["clippy", "--quiet", "--all-targets", "-p", package]);
            shell::run(command.args(["--", "-D", "warnings"]))
        });
    }
    match Compiler::find().filter(Compiler::has_clippy) {
        Some(compiler) => {
            tally.check("clippy wirespan-bpf", || build::lint_kernel(&compiler));
        }
        None => tally.skipped("clippy wirespan-bpf", "the compiler for BPF has no clippy"),
    }
    tally.check("licences", licences::check);
    tally.check("house rules", tidy::check);
}

fn end_to_end(tally: &mut Tally, options: &Options) {
    shell::step("end-to-end tests on this kernel");
    let mut command = shell::cargo();
    command.args(["test", "--no-fail-fast", "-p", "wirespan-tests", "--"]);
    // One at a time: each has its own agent, which sees the whole host.
    command.arg("--test-threads=1");
    if let Some(pattern) = &options.only {
        command.arg(pattern);
    }
    tally.add(libtest::run(
        "end-to-end tests",
        &mut command,
        END_TO_END_LIMIT,
    ));
}

fn other_kernels(tally: &mut Tally, options: &Options) {
    if options.only.is_some() {
        return;
    }
    if options.no_vm {
        tally.skipped("other kernels", "--no-vm was given");
        return;
    }
    if let Some(reason) = vm::unavailable() {
        tally.skipped("other kernels", reason);
        return;
    }
    for kernel in vm::KERNELS {
        shell::step(format!("smoke tests under Linux {}", kernel.series));
        match vm::smoke(kernel, None) {
            Ok(outcome) => outcome.into_iter().for_each(|(name, result)| {
                tally.check(&name, || result.map_err(anyhow::Error::msg));
            }),
            Err(error) => {
                tally.failed(&format!("Linux {}", kernel.series), &format!("{error:#}"));
            }
        }
    }
}
