//! Judges what a smoke run left: spans, losses, exit codes, programs left in the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Hooks, Kernel, Outcome};

/// CLIENT spans that a hook set gives: the tracepoints cannot read what `io_uring` moves.
fn clients(hooks: Hooks) -> usize {
    match hooks {
        Hooks::Tracepoint => REQUESTS,
        Hooks::Trampoline => ALL_REQUESTS,
    }
}

/// Requests that `smoke.sh` makes for each hook set by curl.
const REQUESTS: usize = 50;
/// And by `io_uring`.
const RING_REQUESTS: usize = 12;
const ALL_REQUESTS: usize = REQUESTS + RING_REQUESTS;

/// `span.kind` of OTLP.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// Judges every file that the guest left.
pub(super) fn judge(
    kernel: &Kernel,
    folder: &Path,
    offered: &[Hooks],
    absent: &[Hooks],
) -> Outcome {
    let mut outcome = Outcome::new();
    let mut add = |name: String, result: Result<()>| {
        outcome.push((name, result.map_err(|error| format!("{error:#}"))));
    };
    let series = kernel.series;
    add(format!("Linux {series}: doctor"), doctor(folder));
    for &hooks in offered {
        let name = hooks.name();
        let at = |what: &str| format!("Linux {series}, {name}: {what}");
        add(at("exit code"), code(folder, name, "0"));
        add(at("spans"), spans(folder, hooks));
        add(at("losses"), losses(folder, hooks));
        add(at("nothing left in the kernel"), left(folder, name));
        add(at("verifier"), verifier(folder, name, series));
    }
    for hooks in absent {
        let name = hooks.name();
        add(
            format!("Linux {series}, {name}: refused"),
            code(folder, name, "2"),
        );
    }
    outcome
}

fn read(folder: &Path, file: &str) -> Result<String> {
    fs::read_to_string(folder.join(file)).with_context(|| format!("the guest left no {file}"))
}

fn json(folder: &Path, file: &str) -> Result<Value> {
    serde_json::from_str(&read(folder, file)?).with_context(|| format!("{file} is not JSON"))
}

fn doctor(folder: &Path) -> Result<()> {
    json(folder, "doctor.json")?;
    let code = read(folder, "doctor.code")?;
    ensure!(code.trim() == "0", "exit code {}", code.trim());
    Ok(())
}

fn code(folder: &Path, name: &str, expected: &str) -> Result<()> {
    let code = read(folder, &format!("{name}.code"))?;
    let said = read(folder, &format!("{name}.err")).unwrap_or_default();
    ensure!(
        code.trim() == expected,
        "exit code {}, not {expected}: {}",
        code.trim(),
        said.trim()
    );
    Ok(())
}

/// As many spans of each kind as requests, and each client span the parent of its server span.
fn spans(folder: &Path, hooks: Hooks) -> Result<()> {
    let name = hooks.name();
    let expected = clients(hooks);
    let mut client_ids = BTreeSet::new();
    let mut server_parents = Vec::new();
    for line in read(folder, &format!("{name}.spans"))?.lines() {
        let data: Value = serde_json::from_str(line).context("a line that is not JSON")?;
        for span in spans_of(&data) {
            let text = |key: &str| span[key].as_str().unwrap_or("").to_owned();
            match span["kind"].as_u64() {
                Some(CLIENT) => {
                    client_ids.insert((text("traceId"), text("spanId")));
                }
                Some(SERVER) => server_parents.push((text("traceId"), text("parentSpanId"))),
                _ => {}
            }
        }
    }
    let (client, server) = (client_ids.len(), server_parents.len());
    ensure!(
        (client, server) == (expected, ALL_REQUESTS),
        "{client} CLIENT and {server} SERVER spans for {expected} and {ALL_REQUESTS} requests"
    );
    let linked = server_parents
        .iter()
        .filter(|parent| client_ids.contains(parent))
        .count();
    ensure!(
        linked == expected,
        "{linked} SERVER spans are linked, not {expected}"
    );
    Ok(())
}

/// Every span of an OTLP/JSON `TracesData`.
fn spans_of(data: &Value) -> impl Iterator<Item = &Value> {
    list(&data["resourceSpans"])
        .flat_map(|resource| list(&resource["scopeSpans"]))
        .flat_map(|scope| list(&scope["spans"]))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Every counter of a loss is zero, and the summary agrees with the spans.
fn losses(folder: &Path, hooks: Hooks) -> Result<()> {
    let name = hooks.name();
    let summary = json(folder, &format!("{name}.summary.json"))?;
    for section in ["losses", "exchanges_lost"] {
        let counters = summary[section]
            .as_object()
            .with_context(|| format!("the summary has no section {section}"))?;
        let lost: Vec<String> = counters
            .iter()
            .filter(|(_, count)| count.as_u64() != Some(0))
            .map(|(name, count)| format!("{section}.{name} = {count}"))
            .collect();
        ensure!(lost.is_empty(), "{}", lost.join(", "));
    }
    for (kind, expected) in [("server", ALL_REQUESTS), ("client", clients(hooks))] {
        let count = &summary["spans"][kind];
        ensure!(
            count.as_u64().is_some_and(|count| count == expected as u64),
            "spans.{kind} = {count}"
        );
    }
    let counted = summary["uncaptured_bytes"]["io_uring"].as_u64();
    ensure!(
        counted.is_some_and(|counted| (counted == 0) == (hooks == Hooks::Trampoline)),
        "uncaptured_bytes.io_uring = {counted:?}"
    );
    Ok(())
}

fn left(folder: &Path, name: &str) -> Result<()> {
    let before = read(folder, &format!("{name}.before"))?;
    let after = read(folder, &format!("{name}.after"))?;
    ensure!(
        before == after,
        "programs before: {before:?}, after: {after:?}"
    );
    Ok(())
}

/// Prints how many instructions the verifier walked for each program of the agent.
fn verifier(folder: &Path, name: &str, series: &str) -> Result<()> {
    let programs = json(folder, &format!("{name}.programs"))?;
    let names: BTreeMap<u64, &str> = list(&programs)
        .filter_map(|program| Some((program["id"].as_u64()?, program["name"].as_str()?)))
        .collect();
    let counts = instruction_counts(&read(folder, &format!("{name}.insns"))?);
    ensure!(!counts.is_empty(), "the agent holds no program");
    for (id, count) in counts {
        let program = names.get(&id).copied().unwrap_or("?");
        println!("verifier, Linux {series}, {name}: {program} {count} instructions");
    }
    Ok(())
}

/// Pairs the `prog_id` and `verified_insns` lines of the agent's open files.
fn instruction_counts(lines: &str) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    let mut id = None;
    for line in lines.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim().parse::<u64>().ok();
        match key {
            "prog_id" => id = value,
            _ => {
                if let (Some(id), Some(count)) = (id.take(), value) {
                    counts.insert(id, count);
                }
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::instruction_counts;

    #[test]
    fn a_link_has_a_program_and_no_count() {
        let lines =
            "prog_id:\t7\nverified_insns:\t120\nprog_id:\t7\nprog_id:\t8\nverified_insns:\t9\n";
        let counts = instruction_counts(lines);
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(7, 120), (8, 9)]);
    }
}
