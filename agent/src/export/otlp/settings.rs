//! What an OTLP exporter needs to know. Where the values come from (variables, flags) is not known
//! here.

use std::{path::PathBuf, time::Duration};

use http::HeaderMap;

/// OTLP's transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    HttpProtobuf,
    /// JSON over HTTP.
    HttpJson,
}

/// Settings of one OTLP exporter.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpSettings {
    /// URL. For gRPC only scheme, host and port count; for HTTP it is used as it is.
    pub endpoint: String,
    /// Transport.
    pub protocol: Protocol,
    /// Plain text for a gRPC endpoint that names no scheme.
    pub insecure: bool,
    /// Headers (gRPC: metadata) of every request.
    pub headers: HeaderMap,
    /// Whether requests are compressed with gzip.
    pub gzip: bool,
    /// Time limit of one attempt, `None` for no limit.
    pub timeout: Option<Duration>,
    /// PEM file of the certificates to trust, instead of the system's.
    pub certificate: Option<PathBuf>,
    /// PEM file of the client's private key.
    pub client_key: Option<PathBuf>,
    /// PEM file of the client's certificate chain.
    pub client_certificate: Option<PathBuf>,
    /// Batching.
    pub batch: BatchSettings,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            endpoint: "http://localhost:4318/v1/traces".to_owned(),
            protocol: Protocol::HttpProtobuf,
            insecure: false,
            headers: HeaderMap::new(),
            gzip: false,
            timeout: Some(Duration::from_secs(10)),
            certificate: None,
            client_key: None,
            client_certificate: None,
            batch: BatchSettings::default(),
        }
    }
}

/// Batching, with the meanings of the specification's `OTEL_BSP_*` variables. The defaults are
/// those of a host's agent, which sees tens of thousands of spans a second; the specification's
/// (5 s, 30 s, 2,048 and 512) are made for one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// Longest time that a span waits for its batch to fill.
    pub schedule_delay: Duration,
    /// Time limit of a batch with all its retries, `None` for no limit.
    pub export_timeout: Option<Duration>,
    /// Spans that may wait.
    pub max_queue_size: usize,
    /// Spans in a batch, at most `max_queue_size`.
    pub max_export_batch_size: usize,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            schedule_delay: Duration::from_secs(1),
            export_timeout: Some(Duration::from_mins(5)),
            max_queue_size: 65_536,
            max_export_batch_size: 2_048,
        }
    }
}
