//! `cargo xtask run`: builds what is released and starts it as root.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::{build, shell};

/// Builds the agent and becomes `wirespan run ARGS`: signals and the exit code are its own.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let agent = build::build(build::Options {
        release: true,
        debug_log: false,
    })?;
    let mut command = shell::as_root(&agent)?;
    command.arg("run").args(args);
    shell::step(shell::display(&command));
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", agent.display()))
}
