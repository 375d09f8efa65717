//! The house rules that no lint knows: what every source file starts with, how long it may be.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;

/// Lines that a source file may have.
const LINES: usize = 500;

/// Fails with every file that breaks a rule.
pub(super) fn check() -> Result<()> {
    let root = shell::workspace();
    let mut broken = Vec::new();
    for folder in ["agent", "ebpf", "xtask", "tests"] {
        for path in sources(&root.join(folder))? {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let shown = path.strip_prefix(&root).unwrap_or(&path).display();
            broken.extend(
                rules(&text)
                    .into_iter()
                    .map(|rule| format!("{shown} {rule}")),
            );
        }
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("; "));
    }
    Ok(())
}

/// What is wrong with one file.
fn rules(text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let start = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("");
    if !start.starts_with("//!") {
        broken.push("does not start with //! and what it is".to_owned());
    }
    let count = text.lines().count();
    if count > LINES {
        broken.push(format!("has {count} lines, more than {LINES}: split it"));
    }
    broken
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{LINES, rules};

    #[test]
    fn names_what_is_wrong() {
        assert!(rules("//! What it is.\n").is_empty());
        assert_eq!(rules("use std::fs;\n").len(), 1);
        assert_eq!(rules(&"//! Long.\n".repeat(LINES + 1)).len(), 1);
    }
}
