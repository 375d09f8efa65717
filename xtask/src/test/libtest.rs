//! Runs `cargo test`, shows what it prints, and counts from it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::children;
use super::tally::Tally;
use crate::shell;

/// Runs a `cargo test` to its end or to the limit. Nothing that it started is left running.
pub(super) fn run(name: &str, command: &mut Command, limit: Duration) -> Tally {
    let mut reader = Reader::default();
    let ended = run_with(command, limit, |line| {
        println!("{line}");
        reader.line(line);
    });
    let mut tally = reader.finish();
    match ended {
        Ok(true) => {}
        // A test that failed has been counted; this is a crash, or code that does not compile.
        Ok(false) if tally.has_failures() => {}
        Ok(false) => tally.failed(name, "cargo test failed before it could say which test did"),
        Err(error) => tally.failed(name, &format!("{error:#}")),
    }
    for left in children::end_all() {
        tally.failed(name, &format!("left a process running: {left}"));
    }
    tally
}

/// True when the command succeeded.
fn run_with(command: &mut Command, limit: Duration, mut on_line: impl FnMut(&str)) -> Result<bool> {
    let shown = shell::display(command);
    let mut child = command
        .env("CARGO_TERM_COLOR", "never")
        .env("PATH", shell::path()?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let stdout = child.stdout.take().context("no pipe")?;
    let (lines, received) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        while stdout
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if lines.send(text).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + limit;
    loop {
        while let Ok(line) = received.recv_timeout(Duration::from_millis(200)) {
            on_line(&line);
        }
        if let Some(status) = child.try_wait()? {
            // What was written just before the end.
            while let Ok(line) = received.recv_timeout(Duration::from_millis(200)) {
                on_line(&line);
            }
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!(
                "`{shown}` did not end within {} minutes and was ended",
                limit.as_secs() / 60
            );
        }
    }
}

/// Reads the output of libtest, and the lines `SKIPPED name: reason` of tests that found at run
/// time that they cannot run here.
#[derive(Debug, Default)]
struct Reader {
    tally: Tally,
    passed: usize,
    skipped_at_run_time: usize,
    in_failures: bool,
    failures: Vec<String>,
    counted_failures: usize,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("SKIPPED ") {
            let (name, reason) = rest.split_once(": ").unwrap_or((rest, "no reason given"));
            self.tally.skipped(name, reason);
            self.skipped_at_run_time += 1;
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.in_failures = false;
            self.passed += count_before(counts, " passed");
            self.counted_failures += count_before(counts, " failed");
        } else if let Some((test, reason)) = ignored(line) {
            self.tally.skipped(test, reason);
        } else if line == "failures:" {
            // libtest prints this twice: before the outputs, and before the bare names.
            self.in_failures = true;
        } else if self.in_failures
            && let Some(name) = line.strip_prefix("    ")
            && !name.is_empty()
            && !name.contains(' ')
            && !self.failures.iter().any(|known| known == name)
        {
            self.failures.push(name.to_owned());
        }
    }

    fn finish(mut self) -> Tally {
        // A test that skipped itself returned normally, so libtest counted it as passed.
        self.tally
            .passed_many(self.passed.saturating_sub(self.skipped_at_run_time));
        self.failures.truncate(self.counted_failures);
        for name in &self.failures {
            self.tally.failed(name, "see its output above");
        }
        for _ in self.failures.len()..self.counted_failures {
            self.tally.failed("a test", "see the output above");
        }
        self.tally
    }
}

/// `test NAME ... ignored, REASON`.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (test, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let reason = outcome.strip_prefix("ignored")?;
    Some((test, reason.strip_prefix(", ").unwrap_or("no reason given")))
}

/// The number that stands before `word`.
fn count_before(text: &str, word: &str) -> usize {
    text.split_once(word)
        .and_then(|(before, _)| before.rsplit([' ', ';']).next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Reader;

    fn closing_line(output: &str) -> String {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.line(line));
        reader.finish().closing_line()
    }

    #[test]
    fn sums_up_several_test_programs() {
        let output = "running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
            running 1 test\ntest c ... ok\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";
        assert_eq!(closing_line(output), "3 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn counts_a_failure_once() {
        let output = "test a ... FAILED\n\nfailures:\n\n---- a stdout ----\nfailures:\n    indented\n\n\
            failures:\n    a\n\n\
            test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";
        assert_eq!(closing_line(output), "4 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_test_that_skipped_itself_did_not_pass() {
        let output = "test a ... \nSKIPPED a: needs root\nok\ntest b ... ignored, slow\n\
            test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";
        assert_eq!(closing_line(output), "0 passed, 0 failed, 2 skipped");
    }
}
