//! `wirespan replay`: the spans of a file. No kernel, no root, no network, no clock: the same file
//! gives the same spans each time, as fast as it can be read.

mod capture;
mod recording;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow};

use wirespan_ebpf::stats::KernelStats;

use super::{pipeline::SpanOptions, targets};
use crate::{
    cli::Perspective,
    config::Config,
    export::{Exporters, Pace},
    metrics::{
        counters::{Counters, Loss},
        summary::Summary,
    },
    pcap, record,
    span::model::Span,
};

/// Bytes of the file that tell what it is.
const BEGINNING: u64 = 64 << 10;
/// Nothing is dropped because it takes long.
const PATIENCE: Duration = Duration::from_hours(24 * 365);

/// Why a replay failed.
pub(super) enum Failure {
    /// The options make no sense.
    Usage(anyhow::Error),
    /// Something else.
    Replay(anyhow::Error),
}

impl Failure {
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Replay(error.into())
    }
}

/// What a file gave, besides spans.
struct Played {
    end: End,
    /// The kernel's counters, as far as the file tells.
    stats: KernelStats,
    /// What became of the packets of a capture.
    packets: Vec<(&'static str, u64)>,
}

/// How a file ended.
enum End {
    /// As its writer ended it.
    Whole,
    /// Too early: worth a warning.
    Cut(anyhow::Error),
    /// It could be read no further.
    Broken(anyhow::Error),
}

/// Takes finished spans.
type Sink<'a> = dyn FnMut(Vec<Arc<Span>>) + 'a;

/// Replays a file to its end, or as far as it can be read.
pub(super) fn run(
    config: &Config,
    path: &Path,
    perspective: Option<Perspective>,
) -> Result<(), Failure> {
    if let Some(summary) = &config.summary {
        Summary::check(summary).map_err(Failure::usage)?;
    }
    let name = path.display();
    let (beginning, source) = open(path).with_context(|| format!("cannot read {name}"))?;
    let is_recording = record::is_recording(&beginning);
    if !is_recording && !pcap::is_capture(&beginning) {
        Err(anyhow!(
            "cannot read {name}: it is neither a recording of wirespan nor a packet capture (pcap, \
             pcapng)"
        ))?;
    }
    if is_recording && perspective.is_some() {
        return Err(Failure::usage(anyhow!(
            "--perspective is for packet captures, and {name} is a recording, which tells whose \
             spans it has: leave the option out"
        )));
    }
    let counters = Arc::new(Counters::default());
    let exporters =
        Exporters::start(targets(config), Pace::Replay, &counters).map_err(Failure::usage)?;
    let source = beginning.as_slice().chain(source);
    let mut sink = |spans: Vec<Arc<Span>>| exporters.offer(&spans);
    let played = if is_recording {
        recording::play(source, &counters, &mut sink)
    } else {
        let perspective = perspective.unwrap_or_default().into();
        let options = SpanOptions {
            seed: capture::seed(&beginning, perspective),
            known_methods: config.known_methods.as_deref(),
            former_rpc_names: config.former_rpc_names,
        };
        capture::play(source, perspective, &options, &counters, &mut sink)
    };
    exporters.shutdown(PATIENCE);
    let summary = Summary::new(&counters, &played.stats).with_packets(played.packets);
    eprint!("{summary}");
    if let Some(path) = &config.summary {
        summary.write(path)?;
    }
    match played.end {
        End::Broken(error) => Err(error.context(format!("cannot read {name}")))?,
        End::Cut(error) => {
            tracing::warn!("{name}: {error:#}; the spans are those of what is there");
        }
        End::Whole => {}
    }
    let lost = counters.loss(Loss::ExportFailed);
    if lost > 0 {
        Err(anyhow!("{lost} spans could not be delivered"))?;
    }
    Ok(())
}

/// The file, or standard input for `-`: its beginning, and the rest.
fn open(path: &Path) -> io::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path)?)
    };
    let mut beginning = Vec::new();
    source
        .by_ref()
        .take(BEGINNING)
        .read_to_end(&mut beginning)?;
    Ok((beginning, source))
}
