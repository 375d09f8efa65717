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
            bytes,
            export,
            ..
        } = self;
        writeln!(
            f,
            "spans           {} server, {} client",
            n(spans.server),
            n(spans.client)
        )?;
        write!(
            f,
            "exchanges lost  {} server, {} client",
            n(lost.server),
            n(lost.client)
        )?;
        if lost.unknown > 0 {
            write!(f, ", {} of unknown role", n(lost.unknown))?;
        }
        writeln!(
            f,
            "\nexported        {} accepted, {} rejected, {} dropped",
            n(export.accepted),
            n(export.rejected),
            n(export.dropped)
        )?;
        writeln!(
            f,
            "bytes           {} seen, {} captured, {} skipped, {} gap",
            n(bytes.seen),
            n(bytes.captured),
            n(bytes.skipped),
            n(bytes.gap)
        )?;
        let causes = self
            .uncaptured_bytes
            .iter()
            .filter(|(_, count)| **count > 0);
        let causes: Vec<_> = causes
            .map(|(cause, count)| format!("{} {cause}", n(*count)))
            .collect();
        if !causes.is_empty() {
            writeln!(f, "not captured    {}", causes.join(", "))?;
        }
        self.fmt_losses(f)
    }
}

impl Summary {
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
                n(count(&reason)),
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
        write!(f, "{line}")
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
fn n(number: u64) -> String {
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
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::{Value, json};

    use super::*;
    use crate::metrics::kernel::tests::stats;

    fn counters() -> Counters {
        let counters = Counters::default();
        counters.add(Flow::ServerSpans, 1234);
        counters.add(Flow::ClientSpans, 1_234_567);
        counters.add(Flow::ServerExchangesLost, 5);
        counters.add(Flow::BytesGap, 60);
        counters.add(Flow::ExportAccepted, 11);
        counters.add(Flow::ExportRejected, 12);
        counters.add(Flow::ExportDropped, 13);
        counters.lose(Loss::Gap, 3);
        counters
    }

    #[test]
    fn json_has_every_counter() {
        let found = serde_json::to_value(Summary::new(&counters(), &stats())).unwrap();
        assert_eq!(found["spans"], json!({"server": 1234, "client": 1_234_567}));
        assert_eq!(
            found["exchanges_lost"],
            json!({"server": 305, "client": 20, "unknown": 1})
        );
        assert_eq!(
            found["bytes"],
            json!({"seen": 1500, "captured": 900, "skipped": 540, "gap": 60})
        );
        assert_eq!(
            found["export"],
            json!({"accepted": 11, "rejected": 12, "dropped": 13})
        );
        assert_eq!(
            found["uncaptured_bytes"],
            json!({
                "budget": 450, "sendfile": 100, "splice": 0, "io_uring": 0, "unknown_syscall": 0,
                "unreadable": 0, "iovec_limit": 0, "message_unknown": 50, "frame_limit": 0,
            })
        );
        let losses = found["losses"].as_object().unwrap();
        assert_eq!(losses.len(), Loss::ALL.len());
        assert_eq!(losses["ring_full_records"], 7);
        assert_eq!(losses["gap_exchanges"], 3);
        assert_eq!(losses["export_shutdown_timeout_spans"], 0);
    }

    #[test]
    fn text_names_every_counter() {
        let text = Summary::new(&counters(), &stats()).to_string();
        let head = "\
spans           1,234 server, 1,234,567 client
exchanges lost  305 server, 20 client, 1 of unknown role
exported        11 accepted, 12 rejected, 13 dropped
bytes           1,500 seen, 900 captured, 540 skipped, 60 gap
not captured    450 budget, 50 message_unknown, 100 sendfile
losses          \n  ring_full_records                              7  Data records that the";
        assert!(text.starts_with(head), "{text}");
        for reason in Loss::ALL {
            assert_eq!(text.matches(reason.name()).count(), 1, "{reason:?}: {text}");
        }
        assert!(text.lines().skip(6).all(|line| line.len() < 160), "{text}");
    }

    #[test]
    fn text_says_when_nothing_was_lost() {
        let text = Summary::new(&Counters::default(), &KernelStats::default()).to_string();
        assert!(
            text.contains("\nlosses          none\n  0: ring_full_records "),
            "{text}"
        );
        assert!(!text.contains("not captured"));
    }

    fn read(path: &Path) -> Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn the_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        let link = folder.path().join("link.json");
        symlink(&path, &link).unwrap();
        let summary = Summary::new(&counters(), &stats());
        fs::write(&path, "x".repeat(10_000)).unwrap();
        summary.write(&link).unwrap();
        assert_eq!(read(&path)["spans"]["server"], 1234);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        fs::remove_file(&path).unwrap();
        summary.write(&path).unwrap();
        assert_eq!(read(&path)["losses"]["ring_full_records"], 7);
    }

    #[test]
    fn a_device_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("null");
        symlink("/dev/null", &link).unwrap();
        Summary::new(&counters(), &stats()).write(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn an_error_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent/summary.json");
        let error = Summary::new(&counters(), &stats())
            .write(&path)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("absent/summary.json: No such file")
        );
    }

    #[test]
    fn a_check_finds_what_cannot_be_written_and_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        Summary::check(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(&path, "before").unwrap();
        Summary::check(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        Summary::check(Path::new("/dev/null")).unwrap();
        for bad in [
            folder.path().join("absent/summary.json"),
            folder.path().to_owned(),
        ] {
            let error = Summary::check(&bad).unwrap_err().to_string();
            assert!(error.contains("choose another --summary"), "{error}");
        }
    }

    #[test]
    fn digits_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(n(number), text);
        }
    }
}
