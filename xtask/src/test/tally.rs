//! Counts what passed, failed and was skipped, with the reasons.

use std::time::Instant;

use anyhow::Result;

use crate::shell;

/// The result of everything that ran so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    /// Runs one check and counts it.
    pub(crate) fn check(&mut self, name: &str, check: impl FnOnce() -> Result<()>) {
        let begun = Instant::now();
        match check() {
            Ok(()) => {
                eprintln!("    {name}: ok ({:.1} s)", begun.elapsed().as_secs_f64());
                self.passed += 1;
            }
            Err(error) => self.failed(name, &format!("{error:#}")),
        }
    }

    pub(crate) fn passed(&mut self, name: &str) {
        eprintln!("    {name}: ok");
        self.passed += 1;
    }

    pub(crate) fn passed_many(&mut self, count: usize) {
        self.passed += count;
    }

    pub(crate) fn failed(&mut self, name: &str, reason: &str) {
        eprintln!("    {name}: FAILED: {reason}");
        self.failed.push(format!("{name}: {reason}"));
    }

    pub(crate) fn skipped(&mut self, name: &str, reason: &str) {
        eprintln!("    {name}: skipped: {reason}");
        self.skipped.push(format!("{name}: {reason}"));
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    pub(crate) fn has_failures(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Prints what was skipped and what failed, each with its reason, then one line of counts.
    pub(crate) fn print(&self) {
        shell::step("result");
        for skipped in &self.skipped {
            println!("skipped  {skipped}");
        }
        for failed in &self.failed {
            println!("FAILED   {failed}");
        }
        println!("{}", self.closing_line());
    }

    pub(crate) fn closing_line(&self) -> String {
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        format!("{} passed, {failed} failed, {skipped} skipped", self.passed)
    }
}
