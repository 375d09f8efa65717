//! What the agent did, told when it stops: text for the operator, JSON for programs.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use wirespan_ebpf::stats::KernelStats;

use super::{
    counters::{Counters, Flow, Loss},
    kernel::{CAUSES, absorb},
};

/// The counters at one moment, as they are shown.
#[derive(Debug, Serialize)]
pub struct Summary {
    spans: Spans,
    exchanges_lost: Exchanges,
    losses: BTreeMap<&'static str, u64>,
    bytes: Bytes,
    /// Bytes that were not copied, by the reason; those of `budget` were skipped on purpose.
    uncaptured_bytes: BTreeMap<&'static str, u64>,
    export: Export,
    /// What became of the packets of a capture.
    #[serde(skip_serializing_if = "Option::is_none")]
    packets: Option<BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Serialize)]
struct Spans {
    server: u64,
    client: u64,
}

#[derive(Debug, Serialize)]
struct Exchanges {
    server: u64,
    client: u64,
    unknown: u64,
}

#[derive(Debug, Serialize)]
struct Bytes {
    seen: u64,
    captured: u64,
    skipped: u64,
    gap: u64,
}

#[derive(Debug, Serialize)]
struct Export {
    accepted: u64,
    rejected: u64,
    dropped: u64,
}

/// The summary could not be written to its file.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the summary to {}: {source}; choose another --summary", path.display())]
pub struct WriteError {
    /// As given.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl Summary {
    /// Reads the counters, after taking over the kernel's totals.
    #[must_use]
    pub fn new(counters: &Counters, stats: &KernelStats) -> Self {
        absorb(counters, stats);
        let flow = |flow| counters.flow(flow);
        let lost = counters.exchanges_lost();
        let losses = Loss::ALL
            .iter()
            .map(|reason| (reason.name(), counters.loss(*reason)));
        Self {
            spans: Spans {
                server: flow(Flow::ServerSpans),
                client: flow(Flow::ClientSpans),
            },
            exchanges_lost: Exchanges {
                server: lost.server,
                client: lost.client,
                unknown: lost.unknown,
            },
            losses: losses.collect(),
            bytes: Bytes {
                seen: flow(Flow::BytesSeen),
                captured: flow(Flow::BytesCaptured),
                skipped: flow(Flow::BytesSkipped),
                gap: flow(Flow::BytesGap),
            },
            uncaptured_bytes: CAUSES.into_iter().zip(stats.uncaptured_bytes).collect(),
            export: Export {
                accepted: flow(Flow::ExportAccepted),
                rejected: flow(Flow::ExportRejected),
                dropped: flow(Flow::ExportDropped),
            },
            packets: None,
        }
    }

    /// With the counters of a packet capture, if there are any.
    #[must_use]
    pub fn with_packets(self, counts: Vec<(&'static str, u64)>) -> Self {
        let counts: BTreeMap<_, _> = counts.into_iter().collect();
        Self {
            packets: (!counts.is_empty()).then_some(counts),
            ..self
        }
    }

    /// Writes JSON to a file: whole or not at all. What is not a regular file (a pipe, a
    /// terminal) is written to as it is.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the file, or one beside it, cannot be made.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        self.write_json(path).map_err(|source| WriteError {
            path: path.to_owned(),
            source,
        })
    }

    /// Fails where [`Self::write`] would have to: to be asked before hours of tracing, not after.
    /// What the file holds stays.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the file, or one beside it, cannot be made.
    pub fn check(path: &Path) -> Result<(), WriteError> {
        let result = match Target::of(path) {
            // Opening a pipe would wait for its reader, and close it again for the reader.
            Ok(Target::Special) => Ok(()),
            Ok(Target::File { beside, .. }) => {
                File::create(&beside).and_then(|_| fs::remove_file(&beside))
            }
            Err(error) => Err(error),
        };
        result.map_err(|source| WriteError {
            path: path.to_owned(),
            source,
        })
    }

    fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut content = serde_json::to_vec_pretty(self)?;
        content.push(b'\n');
        let Target::File { target, beside } = Target::of(path)? else {
            return File::options().write(true).open(path)?.write_all(&content);
        };
        let written = File::create(&beside)
            .and_then(|mut file| {
                file.write_all(&content)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&beside, &target));
        if written.is_err() {
            // The error that matters is the one before.
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            spans,
            exchanges_lost: lost,
            export,
            ..
        } = self;
        writeln!(
            f,
            "spans           {} server, {} client",
            grouped(spans.server),
            grouped(spans.client)
        )?;
        write!(
            f,
            "exchanges lost  {} server, {} client",
            grouped(lost.server),
            grouped(lost.client)
        )?;
        if lost.unknown > 0 {
            write!(f, ", {} of unknown role", grouped(lost.unknown))?;
        }
        writeln!(
            f,
            "\nexported        {} accepted, {} rejected, {} dropped",
            grouped(export.accepted),
            grouped(export.rejected),
            grouped(export.dropped)
        )?;
        self.fmt_capture(f)
    }
}

impl Summary {
    /// What is there to tell where no span is made: bytes and losses.
    #[must_use]
    pub fn capture(&self) -> impl fmt::Display {
        fmt::from_fn(|f| self.fmt_capture(f))
    }

    fn fmt_capture(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = &self.bytes;
        writeln!(
            f,
            "bytes           {} seen, {} captured, {} skipped, {} gap",
            grouped(bytes.seen),
            grouped(bytes.captured),
            grouped(bytes.skipped),
            grouped(bytes.gap)
        )?;
        let causes = self
            .uncaptured_bytes
            .iter()
            .filter(|(_, count)| **count > 0);
        let causes: Vec<_> = causes
            .map(|(cause, count)| format!("{} {cause}", grouped(*count)))
            .collect();
        if !causes.is_empty() {
            writeln!(f, "not captured    {}", causes.join(", "))?;
        }
        if let Some(packets) = &self.packets {
            let counts = packets.iter().filter(|(_, count)| **count > 0);
            let counts: Vec<_> = counts
                .map(|(name, count)| format!("{} {name}", grouped(*count)))
                .collect();
            if !counts.is_empty() {
                writeln!(f, "capture         {}", counts.join(", "))?;
            }
        }
        self.fmt_losses(f)
    }

    /// Each loss with its meaning; those that did not happen together at the end.
    fn fmt_losses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |reason: &Loss| self.losses.get(reason.name()).copied().unwrap_or_default();
        let (lost, none): (Vec<_>, Vec<_>) = Loss::ALL
            .iter()
            .copied()
            .partition(|reason: &Loss| count(reason) > 0);
        writeln!(
            f,
            "losses          {}",
            if lost.is_empty() { "none" } else { "" }
        )?;
        for reason in lost {
            writeln!(
                f,
                "  {:<36}{:>12}  {}",
                reason.name(),
                grouped(count(&reason)),
                reason.description().trim()
            )?;
        }
        let mut line = String::from("  0:");
        for reason in none {
            if line.len() + reason.name().len() > 98 {
                writeln!(f, "{line}")?;
                line = String::from("    ");
            }
            write!(line, " {}", reason.name())?;
        }
        writeln!(f, "{line}")
    }
}

/// How the summary gets to where it is wanted.
enum Target {
    /// A regular file, or none yet: replaced by one that is written beside it.
    File {
        /// The file.
        target: PathBuf,
        /// Where it is written first.
        beside: PathBuf,
    },
    /// Anything else is written to as it is.
    Special,
}

impl Target {
    fn of(path: &Path) -> io::Result<Self> {
        let target = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(metadata) if !metadata.is_file() => return Ok(Self::Special),
            // Through a link the file that it leads to is replaced, not the link.
            Ok(_) => fs::canonicalize(path)?,
            Err(_) => path.to_owned(),
        };
        let mut name = target
            .file_name()
            .ok_or(io::ErrorKind::InvalidFilename)?
            .to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let beside = target.with_file_name(name);
        Ok(Self::File { target, beside })
    }
}

/// Digits in groups of three.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests;
