//! The table: medians, spread and ratios, each beside its budget.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::agent::Summary;

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    rows: Vec<Row>,
    accounts: Vec<Account>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: String,
    /// Without the agent; absent for what is the agent's own.
    off: Option<Spread>,
    on: Spread,
    /// Median of the ratios of the pairs, with over without.
    ratio: Option<f64>,
    budget: Option<Budget>,
    met: Option<bool>,
}

/// A limit for a ratio, or for a value where there is no ratio.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Budget {
    AtMost(f64),
    AtLeast(f64),
}

/// Middle and ends of several measurements.
#[derive(Debug, Clone, Copy, Serialize, PartialEq)]
pub(super) struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

/// Where the requests of one traced run are.
#[derive(Debug, Serialize)]
struct Account {
    run: String,
    requests: u64,
    spans_server: u64,
    lost_server: u64,
    spans_client: u64,
    lost_client: u64,
    /// Counters of losses that are not zero.
    losses: Vec<(String, u64)>,
    export: Vec<(String, u64)>,
}

impl Budget {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    fn show(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {}", number(limit)),
            Self::AtLeast(limit) => format!(">= {}", number(limit)),
        }
    }
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            median: median(&sorted),
            min: sorted.first().copied().unwrap_or(f64::NAN),
            max: sorted.last().copied().unwrap_or(f64::NAN),
        }
    }

    fn show(self) -> String {
        if self.min.to_bits() == self.max.to_bits() {
            return number(self.median);
        }
        format!(
            "{} ({}..{})",
            number(self.median),
            number(self.min),
            number(self.max)
        )
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted {
        [] => f64::NAN,
        _ if sorted.len() % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// A count as a number to divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one run are far below 2^52"
)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// As many digits as tell something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

impl Report {
    /// Adds runs in pairs, whose budget is for the ratio.
    pub(super) fn pairs(&mut self, name: &str, off: &[f64], on: &[f64], budget: Budget) {
        let ratios: Vec<f64> = off.iter().zip(on).map(|(off, on)| on / off).collect();
        let ratio = Spread::of(&ratios).median;
        self.rows.push(Row {
            name: name.to_owned(),
            off: Some(Spread::of(off)),
            on: Spread::of(on),
            ratio: Some(ratio),
            budget: Some(budget),
            met: Some(budget.is_met(ratio)),
        });
    }

    /// Adds a figure of the agent's own, whose budget is for its median.
    pub(super) fn value(&mut self, name: &str, values: &[f64], budget: Option<Budget>) {
        let on = Spread::of(values);
        let met = budget.map(|budget| budget.is_met(on.median));
        let name = name.to_owned();
        self.rows.push(Row {
            name,
            off: None,
            on,
            ratio: None,
            budget,
            met,
        });
    }

    /// Adds what became of the requests of one traced run.
    pub(super) fn account(&mut self, run: &str, requests: u64, summary: &Summary) {
        let lost = summary.losses.iter().filter(|(_, count)| **count > 0);
        self.accounts.push(Account {
            run: run.to_owned(),
            requests,
            spans_server: summary.spans.server,
            lost_server: summary.exchanges_lost.server,
            spans_client: summary.spans.client,
            lost_client: summary.exchanges_lost.client,
            losses: lost.map(|(name, count)| (name.clone(), *count)).collect(),
            export: summary
                .export
                .iter()
                .map(|(name, count)| (name.clone(), *count))
                .collect(),
        });
    }

    pub(super) fn print(&self) {
        println!("\n| figure | without | with | ratio | budget | met |");
        println!("|---|---|---|---|---|---|");
        for row in &self.rows {
            println!(
                "| {} | {} | {} | {} | {} | {} |",
                row.name,
                row.off.map(Spread::show).unwrap_or_default(),
                row.on.show(),
                row.ratio.map(number).unwrap_or_default(),
                row.budget.map(Budget::show).unwrap_or_default(),
                row.met.map_or("", |met| if met { "yes" } else { "no" }),
            );
        }
        println!("\nMedian (lowest..highest). A ratio is the median of the pairs' own ratios.");
        if self.accounts.is_empty() {
            return;
        }
        println!("\n| run | requests | SERVER spans + lost | CLIENT spans + lost | difference |");
        println!("|---|---|---|---|---|");
        for account in &self.accounts {
            let seen = account.spans_server + account.lost_server;
            println!(
                "| {} | {} | {} + {} | {} + {} | {} |",
                account.run,
                account.requests,
                account.spans_server,
                account.lost_server,
                account.spans_client,
                account.lost_client,
                i128::from(seen) - i128::from(account.requests),
            );
            for (name, count) in &account.losses {
                println!("| | {name}: {count} | | | |");
            }
        }
        println!();
    }

    pub(super) fn write_json(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Report, Spread};

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = Spread {
            median: 2.0,
            min: 1.0,
            max: 9.0,
        };
        assert_eq!(Spread::of(&[9.0, 1.0, 2.0]), spread);
        assert_eq!(Spread::of(&[9.0, 1.0, 2.0, 2.0]), spread);
    }

    #[test]
    fn budgets_are_for_the_ratio_of_pairs() {
        let mut report = Report::default();
        report.pairs("cpu", &[10.0, 20.0], &[10.5, 21.0], Budget::AtMost(1.06));
        report.pairs("rate", &[100.0], &[80.0], Budget::AtLeast(0.9));
        report.value("memory", &[41.0], Some(Budget::AtMost(40.0)));
        let met: Vec<_> = report.rows.iter().map(|row| row.met).collect();
        assert_eq!(met, [Some(true), Some(false), Some(false)]);
    }
}
