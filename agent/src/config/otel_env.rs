//! OTLP settings from the agent's own environment (OpenTelemetry specification, "Environment
//! Variable Specification" and "OTLP Exporter Configuration").
//!
//! A variable for traces (`OTEL_EXPORTER_OTLP_TRACES_*`) goes before the general one, an empty
//! variable counts as unset, and a value that cannot be used is reported and ignored. Pure: the
//! environment is a function.

use std::{fmt, path::PathBuf, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use crate::export::{
    OtlpSettings,
    otlp::settings::{BatchSettings, Protocol},
};

/// A variable whose value was ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its name.
    pub variable: String,
    /// Why its value cannot be used. The value itself may be secret and is not repeated.
    pub reason: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is ignored: {}", self.variable, self.reason)
    }
}

/// Reads `OTEL_EXPORTER_OTLP_*`, `OTEL_EXPORTER_OTLP_TRACES_*` and `OTEL_BSP_*` through `lookup`.
///
/// What is not set gets the specification's default; batching has larger ones, see
/// [`BatchSettings`]. The endpoint and files are checked when the exporter starts.
pub fn otlp_settings(lookup: impl Fn(&str) -> Option<String>) -> (OtlpSettings, Vec<Warning>) {
    let mut reader = Reader {
        lookup,
        warnings: Vec::new(),
    };
    let protocol = reader
        .otlp("PROTOCOL", protocol)
        .unwrap_or(Protocol::HttpProtobuf);
    let defaults = OtlpSettings::default();
    let settings = OtlpSettings {
        endpoint: reader.endpoint(protocol),
        protocol,
        insecure: reader.otlp("INSECURE", boolean).unwrap_or(false),
        headers: reader.headers(),
        gzip: reader.otlp("COMPRESSION", gzip).unwrap_or(false),
        timeout: reader
            .otlp("TIMEOUT", milliseconds)
            .map_or(defaults.timeout, no_limit),
        certificate: reader.otlp("CERTIFICATE", path),
        client_key: reader.otlp("CLIENT_KEY", path),
        client_certificate: reader.otlp("CLIENT_CERTIFICATE", path),
        batch: reader.batch(),
    };
    (settings, reader.warnings)
}

type Parse<T> = fn(&str) -> Result<T, &'static str>;

struct Reader<L> {
    lookup: L,
    warnings: Vec<Warning>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn text(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).filter(|value| !value.trim().is_empty())
    }

    fn read<T>(&mut self, variable: &str, parse: Parse<T>) -> Option<T> {
        let value = self.text(variable)?;
        match parse(value.trim()) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.warn(variable, reason);
                None
            }
        }
    }

    /// The variable for traces, else the general one.
    fn otlp<T>(&mut self, name: &str, parse: Parse<T>) -> Option<T> {
        self.read(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), parse)
            .or_else(|| self.read(&format!("OTEL_EXPORTER_OTLP_{name}"), parse))
    }

    fn warn(&mut self, variable: &str, reason: &'static str) {
        self.warnings.push(Warning {
            variable: variable.to_owned(),
            reason,
        });
    }

    /// The endpoint for traces is taken as it is; to the general one HTTP appends `v1/traces`.
    fn endpoint(&self, protocol: Protocol) -> String {
        if let Some(endpoint) = self.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            return endpoint.trim().to_owned();
        }
        let general = self.text("OTEL_EXPORTER_OTLP_ENDPOINT");
        match (general, protocol) {
            (Some(endpoint), Protocol::Grpc) => endpoint.trim().to_owned(),
            (Some(endpoint), _) => with_traces_path(endpoint.trim()),
            (None, Protocol::Grpc) => "http://localhost:4317".to_owned(),
            (None, _) => "http://localhost:4318/v1/traces".to_owned(),
        }
    }

    /// Headers in the syntax of W3C Baggage: `name=value,name=value`, percent-encoded.
    fn headers(&mut self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let traces = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
        let general = "OTEL_EXPORTER_OTLP_HEADERS";
        let Some((variable, value)) = [traces, general]
            .into_iter()
            .find_map(|variable| Some((variable, self.text(variable)?)))
        else {
            return headers;
        };
        for member in value.split(',').map(str::trim) {
            if member.is_empty() {
                continue;
            }
            match header(member) {
                Ok((name, value)) => {
                    headers.insert(name, value);
                }
                Err(reason) => self.warn(variable, reason),
            }
        }
        headers
    }

    fn batch(&mut self) -> BatchSettings {
        let defaults = BatchSettings::default();
        let max_queue_size = self
            .read("OTEL_BSP_MAX_QUEUE_SIZE", count)
            .unwrap_or(defaults.max_queue_size);
        let size = self.read("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", count);
        if size.is_some_and(|size| size > max_queue_size) {
            self.warn(
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                "it is larger than OTEL_BSP_MAX_QUEUE_SIZE, which is used instead",
            );
        }
        BatchSettings {
            schedule_delay: self
                .read("OTEL_BSP_SCHEDULE_DELAY", milliseconds)
                .unwrap_or(defaults.schedule_delay),
            export_timeout: self
                .read("OTEL_BSP_EXPORT_TIMEOUT", milliseconds)
                .map_or(defaults.export_timeout, no_limit),
            max_queue_size,
            max_export_batch_size: size
                .unwrap_or(defaults.max_export_batch_size)
                .min(max_queue_size),
        }
    }
}

fn with_traces_path(endpoint: &str) -> String {
    // What is no URL stays as it is, for the message at start.
    let Ok(uri) = endpoint.parse::<Uri>() else {
        return endpoint.to_owned();
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return endpoint.to_owned();
    };
    let path = uri.path().trim_end_matches('/');
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    format!("{scheme}://{authority}{path}/v1/traces{query}")
}

fn protocol(text: &str) -> Result<Protocol, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::HttpProtobuf),
        "http/json" => Ok(Protocol::HttpJson),
        _ => Err("it is none of grpc, http/protobuf, http/json"),
    }
}

fn gzip(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "gzip" => Ok(true),
        "none" => Ok(false),
        _ => Err("it is neither gzip nor none"),
    }
}

fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it is neither true nor false"),
    }
}

fn milliseconds(text: &str) -> Result<Duration, &'static str> {
    text.parse()
        .map(Duration::from_millis)
        .map_err(|_| "it is no whole number of milliseconds")
}

/// A timeout of zero means no limit.
fn no_limit(timeout: Duration) -> Option<Duration> {
    (!timeout.is_zero()).then_some(timeout)
}

fn count(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(0) | Err(_) => Err("it is no whole number above zero"),
        Ok(count) => Ok(count),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "has the form of the other parsers")]
fn path(text: &str) -> Result<PathBuf, &'static str> {
    Ok(text.into())
}

fn header(member: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) = member
        .split_once('=')
        .ok_or("a header has no value; write name=value,name=value")?;
    let name = percent_decode_str(name.trim()).collect::<Vec<_>>();
    let name = HeaderName::from_bytes(&name).map_err(|_| "a header's name is invalid")?;
    let value = percent_decode_str(value.trim()).collect::<Vec<_>>();
    let mut value = HeaderValue::from_bytes(&value).map_err(|_| "a header's value is invalid")?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests;
