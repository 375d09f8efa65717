//! Prints how many instructions the verifier walks for each kernel program on this kernel.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{held, shell};

/// Starts the agent, reads the counts from the kernel, prints them and stops the agent.
///
/// # Errors
/// When the agent does not capture here, or holds no program.
pub(super) fn print(agent: &Path) -> Result<()> {
    let mut child = Command::new(agent)
        .args(["run", "--export", "otlp-json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", agent.display()))?;
    let counts = match child.stderr.take() {
        Some(stderr) => wait_until_tracing(BufReader::new(stderr))
            .and_then(|()| held::verified_instructions(child.id())),
        None => bail!("no pipe"),
    };
    // A killed agent leaves nothing behind, so there is no need to wait for its farewell.
    child.kill()?;
    child.wait()?;
    let counts = counts?;
    if counts.is_empty() {
        bail!("the agent holds no program");
    }
    let kernel = shell::output(Command::new("uname").arg("-r"))?;
    for (program, count) in counts {
        println!(
            "verifier, Linux {}: {program} {count} instructions",
            kernel.trim()
        );
    }
    Ok(())
}

/// Reads the agent's messages up to the one that it captures.
fn wait_until_tracing(stderr: impl BufRead) -> Result<()> {
    let mut said = String::new();
    for line in stderr.lines() {
        let line = line?;
        if line.contains("wirespan: tracing") {
            return Ok(());
        }
        said.push_str(&line);
        said.push('\n');
    }
    bail!("the agent does not trace here: {}", said.trim())
}

#[cfg(test)]
mod tests {
    use super::wait_until_tracing;

    #[test]
    fn an_agent_that_ends_is_quoted() {
        let said = "wirespan: this kernel has no BTF\n";
        let error = wait_until_tracing(said.as_bytes()).expect_err("it did not trace");
        assert!(error.to_string().contains("no BTF"));
        assert!(wait_until_tracing("x\nwirespan: tracing this host\n".as_bytes()).is_ok());
    }
}
