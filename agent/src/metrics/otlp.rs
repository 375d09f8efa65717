//! The agent's own counters as OpenTelemetry metrics (`wirespan.*`), sent by
//! `opentelemetry-otlp`. Spans of other processes do not travel here.
//!
//! At rest two threads sleep until the next export; nothing is counted a second time: the
//! instruments read [`Counters`] when they are collected.

mod exporter;
mod instruments;

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::{
    Resource as SdkResource,
    metrics::{PeriodicReader, SdkMeterProvider, exporter::PushMetricExporter},
};
use tokio::runtime::{Builder, Runtime};

use self::exporter::{OnRuntime, Settings};
use super::counters::Counters;
use crate::span::model::{Resource, Value};

/// The agent's own metrics cannot be sent.
#[derive(Debug, thiserror::Error)]
enum StartError {
    /// No thread for the exporter.
    #[error("cannot start the exporter of the agent's own metrics: {source}")]
    Runtime {
        /// What the system said.
        #[from]
        source: std::io::Error,
    },
    /// The environment says something impossible.
    #[error(
        "cannot export the agent's own metrics: {source}; \
         mend the OTEL_EXPORTER_OTLP_* variables or set OTEL_METRICS_EXPORTER=none"
    )]
    Exporter {
        /// Which variable, and why.
        #[from]
        source: ExporterBuildError,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use {path} of {variable}: {reason}; give a file in PEM format")]
    Certificate {
        /// The environment variable that names the file.
        variable: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system's certificates, or TLS itself, cannot be used.
    #[error(
        "cannot set up TLS for the agent's own metrics: {reason}; \
         install ca-certificates or set OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    Tls {
        /// What is wrong.
        reason: String,
    },
}

/// The running export of the agent's own metrics.
#[derive(Debug)]
pub struct SelfMetrics {
    provider: SdkMeterProvider,
    runtime: Runtime,
}

impl SelfMetrics {
    /// Starts the export as the environment says: `OTEL_EXPORTER_OTLP_*` where to and how,
    /// `OTEL_METRIC_EXPORT_INTERVAL` how often. `None` when `OTEL_METRICS_EXPORTER` names
    /// something other than `otlp` (`none`, say) or `OTEL_SDK_DISABLED` is true.
    ///
    /// `own` is the resource of the agent's process.
    ///
    /// What the environment asks for may be impossible: then this is logged, and the agent works
    /// without. A back end that cannot be reached is no reason: the next export may succeed.
    #[must_use]
    pub fn start(counters: &Arc<Counters>, own: &Resource) -> Option<Self> {
        let settings = Settings::from_environment(|name| std::env::var(name).ok());
        if !settings.enabled {
            return None;
        }
        Self::with_settings(&settings, counters, own)
            .inspect_err(|error| tracing::warn!("{error}"))
            .ok()
    }

    fn with_settings(
        settings: &Settings,
        counters: &Arc<Counters>,
        own: &Resource,
    ) -> Result<Self, StartError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("wirespan-metrics")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let entered = handle.enter();
        let exporter = OnRuntime::new(settings.exporter()?, handle.clone());
        drop(entered);
        let provider = provider(exporter, settings.interval, own);
        instruments::register(&provider.meter("wirespan"), counters);
        Ok(Self { provider, runtime })
    }

    /// Sends the last values and stops, within `limit` whatever the back end does.
    pub fn shutdown(self, limit: Duration) {
        let Self { provider, runtime } = self;
        let (done, finished) = mpsc::channel();
        // The SDK waits for its exporter without a limit, so it waits on a thread of its own.
        let waiting = thread::Builder::new()
            .name("wirespan-metrics-end".to_owned())
            .spawn(move || {
                if let Err(error) = provider.shutdown() {
                    tracing::debug!(error = %error, "the agent's last metrics were not accepted");
                }
                // Nobody listens any more once the limit is over.
                let _ = done.send(());
            });
        if waiting.is_ok() && finished.recv_timeout(limit).is_ok() {
            runtime.shutdown_background();
        } else {
            // An export still runs on it; the process is about to end.
            std::mem::forget(runtime);
        }
    }
}

fn provider<E: PushMetricExporter>(
    exporter: E,
    interval: Duration,
    own: &Resource,
) -> SdkMeterProvider {
    let reader = PeriodicReader::builder(exporter)
        .with_interval(interval)
        .build();
    // What is said of the SDK is true here: these metrics are made by it.
    let attributes = own
        .attributes
        .iter()
        .filter(|(key, _)| !key.starts_with("telemetry."))
        .map(|(key, value)| KeyValue::new(key.to_string(), convert(value)));
    let resource = SdkResource::builder()
        .with_attributes(attributes)
        .with_service_name("wirespan")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    SdkMeterProvider::builder()
        .with_reader(reader)
        .with_resource(resource)
        .build()
}

fn convert(value: &Value) -> opentelemetry::Value {
    match value {
        Value::Str(text) => text.to_string().into(),
        Value::Int(number) => (*number).into(),
        Value::Double(number) => (*number).into(),
        Value::Bool(flag) => (*flag).into(),
        Value::List(texts) => {
            let texts = texts.iter().map(|text| text.to_string().into()).collect();
            opentelemetry::Value::Array(opentelemetry::Array::String(texts))
        }
    }
}

#[cfg(test)]
mod tests;
