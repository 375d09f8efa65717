//! Exporters: where finished spans leave the agent.
//!
//! The only module that knows OTLP. Each destination has a bounded queue and a worker of its own
//! (`queue`), so that a slow one harms no other and never the pipeline: a span that finds a queue
//! full is dropped and counted. (Only a replay waits instead: see [`Pace`].) All destinations share
//! the same immutable spans.
//!
//! For every destination holds: spans offered = accepted + rejected + dropped, once
//! [`Exporters::shutdown`] has returned.
//!
//! - `sink` runs local outputs on threads (`console`, `json_lines`);
//! - `otlp` sends to a back end by gRPC or HTTP;
//! - `protobuf`, `json` and `group` are the wire forms.
#![forbid(unsafe_code)]

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

pub mod console;
mod group;
mod json;
mod json_lines;
pub mod otlp;
mod protobuf;
mod queue;
mod report;
mod sink;
mod stdout;

pub use otlp::settings::OtlpSettings;
pub use queue::Pace;

use self::{
    console::{Console, ConsoleOptions},
    json_lines::JsonLines,
    queue::Queue,
    sink::Output,
    stdout::Patient,
};
use crate::{
    metrics::counters::Counters,
    span::model::{Kind, Span},
};

/// Schema that the attributes follow.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";
/// Name of the instrumentation scope.
const SCOPE_NAME: &str = "wirespan";
/// Version of the instrumentation scope.
const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where spans are to go.
#[derive(Clone, Debug)]
pub enum Target {
    /// Standard output, for people.
    Console(ConsoleOptions),
    /// Standard output, one OTLP/JSON `TracesData` object a line.
    OtlpJson,
    /// An OTLP back end.
    Otlp(Box<OtlpSettings>),
}

/// Why an exporter cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The endpoint is no URL that OTLP can be sent to.
    #[error("the OTLP endpoint {endpoint:?} cannot be used: {reason}")]
    Endpoint {
        /// As configured.
        endpoint: String,
        /// What is wrong with it and what is expected.
        reason: String,
    },
    /// A certificate or key cannot be read.
    #[error("cannot read {what} from {}: {reason}; give a readable PEM file", path.display())]
    Pem {
        /// What the file is for, with the variable that names it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
    /// The system has no certificates to trust.
    #[error(
        "the system's root certificates cannot be loaded: {reason}; install ca-certificates or \
         set OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    Roots {
        /// What failed.
        reason: String,
    },
    /// The client's certificate and key cannot be used.
    #[error(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY cannot be used: \
         {reason}"
    )]
    ClientCertificate {
        /// What is wrong.
        reason: String,
    },
    /// Standard output is not open.
    #[error("standard output cannot be used: {source}")]
    Stdout {
        /// The system's error.
        source: io::Error,
    },
    /// No thread or runtime for a worker.
    #[error("cannot start an exporter's thread: {source}")]
    Thread {
        /// The system's error.
        source: io::Error,
    },
}

/// All running exporters.
#[derive(Debug)]
pub struct Exporters {
    queues: Vec<Arc<Queue>>,
}

impl Exporters {
    /// Starts one exporter for each target.
    ///
    /// # Errors
    /// When a target's settings cannot work (see [`ExportError`]). That a back end cannot be
    /// reached is no error: it may come up later.
    pub fn start(
        targets: impl IntoIterator<Item = Target>,
        pace: Pace,
        counters: &Arc<Counters>,
    ) -> Result<Self, ExportError> {
        let queues = targets
            .into_iter()
            .map(|target| match target {
                Target::Console(options) => {
                    let console = Console::new(stdout()?, options);
                    sink::start(Output::Console(console), pace, Arc::clone(counters))
                }
                Target::OtlpJson => {
                    let lines = JsonLines::new(stdout()?);
                    sink::start(Output::JsonLines(lines), pace, Arc::clone(counters))
                }
                Target::Otlp(settings) => otlp::start(*settings, pace, Arc::clone(counters)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { queues })
    }

    /// Hands spans to every exporter. Spans that find a queue full are dropped there and counted,
    /// or waited for: see [`Pace`].
    pub fn offer(&self, spans: &[Arc<Span>]) {
        if spans.is_empty() {
            return;
        }
        for queue in &self.queues {
            queue.offer(spans);
        }
    }

    /// Flushes all exporters at the same time and returns after `limit` at the latest; spans that
    /// could not be delivered by then are counted as lost.
    pub fn shutdown(self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for queue in &self.queues {
            queue.close(deadline);
        }
        for queue in &self.queues {
            queue.join(deadline);
        }
    }
}

fn stdout() -> Result<Patient, ExportError> {
    Patient::stdout().map_err(|source| ExportError::Stdout { source })
}

/// `Span.kind` in OTLP.
fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Server => 2,
        Kind::Client => 3,
    }
}

/// `Span.flags` in OTLP: W3C trace flags, and whether the parent is known to be remote.
fn flags(span: &Span) -> u32 {
    const HAS_IS_REMOTE: u32 = 0x100;
    const IS_REMOTE: u32 = 0x200;
    let remote = span.parent.is_some_and(|parent| parent.remote);
    u32::from(span.trace_flags) | HAS_IS_REMOTE | if remote { IS_REMOTE } else { 0 }
}

#[cfg(test)]
mod testing;
