//! What a process holds in the kernel, read from its descriptors: nobody else's programs and maps
//! are counted.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell;

/// The numbers in `/proc/PID/fdinfo/*`.
pub(crate) fn descriptors(pid: u32) -> Result<Vec<BTreeMap<String, u64>>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
    Ok(entries
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
        .map(|text| numbers(&text))
        .collect())
}

/// Lines of the form `name:\tnumber`.
fn numbers(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

/// The names of the programs that the kernel has, by their ids.
pub(crate) fn program_names() -> Result<BTreeMap<u64, String>> {
    #[derive(Deserialize)]
    struct Program {
        id: u64,
        #[serde(default)]
        name: String,
    }
    let bpftool = shell::which("bpftool").context("no bpftool")?;
    let printed = shell::output(Command::new(bpftool).args(["-j", "prog", "show"]))?;
    let shown: Vec<Program> = serde_json::from_str(&printed)?;
    Ok(shown
        .into_iter()
        .map(|program| (program.id, program.name))
        .collect())
}

/// How many instructions the verifier walked for each program of a process (Linux 5.16).
pub(crate) fn verified_instructions(pid: u32) -> Result<BTreeMap<String, u64>> {
    let names = program_names()?;
    let mut counts = BTreeMap::new();
    for info in descriptors(pid)? {
        if let (Some(id), Some(count)) = (info.get("prog_id"), info.get("verified_insns")) {
            let name = names.get(id).cloned();
            counts.insert(name.unwrap_or_else(|| format!("program {id}")), *count);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn reads_the_form_of_fdinfo() {
        let info = numbers("pos:\t0\nprog_tag:\tab12\nmemlock:\t8192\nmap_id:\t7\n");
        assert_eq!(info.get("memlock"), Some(&8192));
        assert_eq!(info.get("prog_tag"), None);
    }
}
