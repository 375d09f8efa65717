//! Checks that every crate of the agent may be shipped under Apache-2.0.
//!
//! The list is the one of `deny.toml`, which cargo-deny reads; this needs no other program.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::shell;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// Fails with the names of the crates whose licence is not on the list of `deny.toml`.
pub(super) fn check() -> Result<()> {
    let deny = std::fs::read_to_string(shell::workspace().join("deny.toml"))
        .context("cannot read deny.toml")?;
    let allowed = allowed(&deny).context("deny.toml has no list `allow`")?;
    let printed = shell::output(shell::cargo().args(["metadata", "--format-version=1"]))?;
    let metadata: Metadata = serde_json::from_str(&printed)?;
    let refused: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some())
        .filter(|package| {
            let licence = package.license.as_deref().unwrap_or("");
            !is_allowed(licence, &allowed)
        })
        .map(|package| {
            let licence = package.license.as_deref().unwrap_or("none named");
            format!("{} {} ({licence})", package.name, package.version)
        })
        .collect();
    if !refused.is_empty() {
        bail!(
            "licences that deny.toml does not allow: {}",
            refused.join(", ")
        );
    }
    Ok(())
}

/// The strings of the first `allow = [...]`.
fn allowed(deny: &str) -> Option<BTreeSet<&str>> {
    let (_, list) = deny.split_once("allow = [")?;
    let (list, _) = list.split_once(']')?;
    Some(list.split('"').skip(1).step_by(2).collect())
}

/// Whether an SPDX expression can be met with the allowed licences alone.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    // Cargo's old form of OR is a slash. AND binds more tightly than OR; parentheses around the
    // alternatives of one term are what is left, and those are looked at as terms of their own.
    let expression = expression.replace('/', " OR ");
    if let Some((before, rest)) = expression.split_once('(')
        && let Some((inner, after)) = rest.split_once(')')
    {
        let inner = if is_allowed(inner, allowed) {
            "MIT"
        } else {
            "refused"
        };
        return is_allowed(&format!("{before}{inner}{after}"), allowed);
    }
    expression.split(" OR ").any(|terms| {
        terms
            .split(" AND ")
            .all(|term| allowed.contains(term.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::{allowed, is_allowed};

    #[test]
    fn expressions_are_read_by_their_logic() {
        let list = allowed("[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\",\n]\n").expect("a list");
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("MIT AND ISC", true),
            ("(GPL-3.0 OR MIT) AND ISC", true),
            ("(GPL-3.0 OR LGPL-2.1) AND ISC", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &list), expected, "{expression}");
        }
    }
}
