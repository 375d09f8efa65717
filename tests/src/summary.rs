//! What the agent writes to `--summary FILE`.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The parsed file.
#[derive(Clone, Debug)]
pub struct Summary(Value);

impl Summary {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is missing, lacks one of the sections that are promised, or does not add up.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("the agent left no summary in {}", file.display()))?;
        let summary = Self(serde_json::from_str(&text)?);
        for (section, keys) in [
            ("spans", ["server", "client"].as_slice()),
            ("exchanges_lost", &["server", "client"]),
            ("losses", &[]),
            ("bytes", &["seen", "captured", "skipped", "gap"]),
            ("export", &["accepted", "rejected", "dropped"]),
        ] {
            ensure!(
                summary.0[section].is_object(),
                "the summary has no section {section}: {text}"
            );
            for key in keys {
                ensure!(
                    summary.0[section][key].is_u64(),
                    "the summary has no number {section}.{key}: {text}"
                );
            }
        }
        let bytes = |key| summary.number("bytes", key);
        ensure!(
            bytes("seen")? == bytes("captured")? + bytes("skipped")? + bytes("gap")?,
            "bytes are not accounted for: {text}"
        );
        Ok(summary)
    }

    /// A number, by section and key.
    ///
    /// # Errors
    /// When it is absent.
    pub fn number(&self, section: &str, key: &str) -> Result<u64> {
        self.0[section][key]
            .as_u64()
            .with_context(|| format!("the summary has no {section}.{key}: {}", self.0))
    }

    /// Numbers of a section that are not zero, as `key=number`.
    #[must_use]
    pub fn not_zero(&self, section: &str) -> Vec<String> {
        let entries = self.0[section].as_object().into_iter().flatten();
        entries
            .filter(|(_, number)| number.as_u64() != Some(0))
            .map(|(key, number)| format!("{key}={number}"))
            .collect()
    }

    /// Checks that nothing was lost.
    ///
    /// # Errors
    /// When any loss is not zero; the error names them.
    pub fn lost_nothing(&self) -> Result<()> {
        let mut lost = self.not_zero("losses");
        lost.extend(self.not_zero("exchanges_lost"));
        ensure!(
            !self.0["losses"]
                .as_object()
                .is_none_or(serde_json::Map::is_empty)
        );
        ensure!(lost.is_empty(), "losses: {}", lost.join(", "));
        Ok(())
    }

    /// The whole object.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }
}
