//! The exporter as the environment asks for it: protocol, endpoint, TLS. Endpoint paths, headers,
//! compression and retries are `opentelemetry-otlp`'s own.

use std::{future::poll_fn, pin::pin, time::Duration};

use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    MetricExporter, Protocol, WithExportConfig, WithHttpConfig, WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig, Identity},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::runtime::Handle;

use super::StartError;

/// Default of `OTEL_METRIC_EXPORT_INTERVAL`.
const INTERVAL: Duration = Duration::from_secs(60);
/// Default of `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) enabled: bool,
    pub(super) interval: Duration,
    pub(super) grpc: bool,
    /// As given; `None` for the protocol's default on this host.
    pub(super) endpoint: Option<String>,
    pub(super) timeout: Duration,
    certificate: Option<(String, String)>,
    client_certificate: Option<(String, String)>,
    client_key: Option<(String, String)>,
}

impl Settings {
    /// Reads the variables of the OpenTelemetry specification; an empty one is unset, what is not
    /// understood is reported and ignored.
    pub(super) fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let of_metrics = |name: &str| {
            ["OTEL_EXPORTER_OTLP_METRICS_", "OTEL_EXPORTER_OTLP_"]
                .iter()
                .map(|prefix| format!("{prefix}{name}"))
                .find_map(|name| given(&name).map(|value| (name, value)))
        };
        let disabled =
            given("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let interval = given("OTEL_METRIC_EXPORT_INTERVAL")
            .and_then(|value| milliseconds("OTEL_METRIC_EXPORT_INTERVAL", &value))
            .filter(|interval| !interval.is_zero());
        let timeout = of_metrics("TIMEOUT").and_then(|(name, value)| milliseconds(&name, &value));
        Self {
            enabled: !disabled && given("OTEL_METRICS_EXPORTER").is_none_or(|list| is_otlp(&list)),
            interval: interval.unwrap_or(INTERVAL),
            grpc: of_metrics("PROTOCOL").is_some_and(|(name, value)| is_grpc(&name, &value)),
            endpoint: of_metrics("ENDPOINT").map(|(_, value)| value),
            // Zero is no limit by the specification; a year is one that no export reaches.
            timeout: match timeout {
                Some(Duration::ZERO) => Duration::from_secs(365 * 24 * 3600),
                Some(timeout) => timeout,
                None => TIMEOUT,
            },
            certificate: of_metrics("CERTIFICATE"),
            client_certificate: of_metrics("CLIENT_CERTIFICATE"),
            client_key: of_metrics("CLIENT_KEY"),
        }
    }

    /// Makes the exporter. Call it within a runtime.
    pub(super) fn exporter(&self) -> Result<MetricExporter, StartError> {
        if self.grpc {
            let mut builder = MetricExporter::builder().with_tonic();
            if self.is_encrypted() {
                builder = builder.with_tls_config(self.grpc_tls()?);
            }
            return Ok(builder
                .with_protocol(Protocol::Grpc)
                .with_timeout(self.timeout)
                .build()?);
        }
        let builder = MetricExporter::builder().with_http();
        let builder = if self.is_encrypted() {
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(self.http_tls()?)
                .https_or_http()
                .enable_http1()
                .build();
            builder.with_http_client(HyperClient::new(connector, self.timeout, None))
        } else {
            builder.with_http_client(HyperClient::with_default_connector(self.timeout, None))
        };
        Ok(builder
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(self.timeout)
            .build()?)
    }

    /// An endpoint for gRPC without a scheme is encrypted unless `..._INSECURE` says otherwise.
    fn is_encrypted(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| {
            let scheme = endpoint.split_once("://").map(|(scheme, _)| scheme);
            scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case("https"))
        })
    }

    fn grpc_tls(&self) -> Result<ClientTlsConfig, StartError> {
        let mut config = ClientTlsConfig::new();
        config = match &self.certificate {
            Some(file) => config.ca_certificate(Certificate::from_pem(read(file)?)),
            None => config.with_native_roots(),
        };
        if let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) {
            config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(config)
    }

    fn http_tls(&self) -> Result<ClientConfig, StartError> {
        let tls = |error: &dyn std::fmt::Display| StartError::Tls {
            reason: error.to_string(),
        };
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| tls(&error))?;
        let builder = if let Some(file) = &self.certificate {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots
                    .add(certificate)
                    .map_err(|error| unusable(file, &error))?;
            }
            builder.with_root_certificates(roots)
        } else {
            builder.with_native_roots().map_err(|error| tls(&error))?
        };
        let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) else {
            return Ok(builder.with_no_client_auth());
        };
        let private_key =
            PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| unusable(key, &error))?;
        builder
            .with_client_auth_cert(certificates(certificate)?, private_key)
            .map_err(|error| unusable(certificate, &error))
    }
}

fn certificates(file: &(String, String)) -> Result<Vec<CertificateDer<'static>>, StartError> {
    CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(file, &error))
}

fn read(file: &(String, String)) -> Result<Vec<u8>, StartError> {
    std::fs::read(&file.1).map_err(|error| unusable(file, &error))
}

fn unusable((variable, path): &(String, String), error: &dyn std::fmt::Display) -> StartError {
    StartError::Certificate {
        variable: variable.clone(),
        path: path.clone(),
        reason: error.to_string(),
    }
}

fn milliseconds(name: &str, value: &str) -> Option<Duration> {
    let parsed = value.trim().parse().map(Duration::from_millis);
    if parsed.is_err() {
        tracing::warn!(
            variable = name,
            value,
            "not a number of milliseconds: ignored"
        );
    }
    parsed.ok()
}

fn is_otlp(list: &str) -> bool {
    let mut exporters = list.split(',').map(str::trim);
    let found = exporters
        .clone()
        .any(|name| name.eq_ignore_ascii_case("otlp"));
    if !found && !exporters.any(|name| name.eq_ignore_ascii_case("none")) {
        tracing::warn!(
            variable = "OTEL_METRICS_EXPORTER",
            value = list,
            "the agent's own metrics can only be sent by otlp: they are not sent"
        );
    }
    found
}

fn is_grpc(name: &str, value: &str) -> bool {
    let value = value.trim();
    let grpc = value.eq_ignore_ascii_case("grpc");
    if !grpc && !value.eq_ignore_ascii_case("http/protobuf") {
        tracing::warn!(
            variable = name,
            value,
            "not a protocol of the agent's own metrics: http/protobuf is used"
        );
    }
    grpc
}

/// An exporter whose work finds the runtime that it needs, on whatever thread the SDK drives it.
pub(super) struct OnRuntime<E> {
    exporter: E,
    handle: Handle,
}

impl<E> OnRuntime<E> {
    pub(super) fn new(exporter: E, handle: Handle) -> Self {
        Self { exporter, handle }
    }
}

impl<E: PushMetricExporter> PushMetricExporter for OnRuntime<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut export = pin!(self.exporter.export(metrics));
        poll_fn(|context| {
            let _entered = self.handle.enter();
            export.as_mut().poll(context)
        })
        .await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
