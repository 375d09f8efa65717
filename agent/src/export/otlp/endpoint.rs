//! Checks an endpoint and makes the URL that requests go to.

use http::{Uri, uri};

use super::settings::{OtlpSettings, Protocol};
use crate::export::ExportError;

/// Path of the trace service's one method.
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The URL to send to.
pub(super) fn resolve(settings: &OtlpSettings) -> Result<Uri, ExportError> {
    let invalid = |reason: &str| ExportError::Endpoint {
        endpoint: without_userinfo(&settings.endpoint),
        reason: reason.to_owned(),
    };
    let text = settings.endpoint.trim();
    let grpc = settings.protocol == Protocol::Grpc;
    let text = match text.contains("://") {
        true => text.to_owned(),
        false if grpc && settings.insecure => format!("http://{text}"),
        false if grpc => format!("https://{text}"),
        false => return Err(invalid("give a URL that starts with http:// or https://")),
    };
    let parsed: Uri = text
        .parse()
        .map_err(|error: uri::InvalidUri| invalid(&format!("it is no URL ({error})")))?;
    let mut parts = parsed.into_parts();
    if !matches!(
        parts.scheme.as_ref().map(uri::Scheme::as_str),
        Some("http" | "https")
    ) {
        return Err(invalid("only http:// and https:// are supported"));
    }
    let Some(authority) = parts.authority.as_ref() else {
        return Err(invalid("it names no host"));
    };
    if authority.host().is_empty() {
        return Err(invalid("it names no host"));
    }
    if authority.as_str().contains('@') {
        return Err(invalid(
            "it contains credentials; give them by OTEL_EXPORTER_OTLP_HEADERS",
        ));
    }
    let after_host = authority.as_str().rsplit(']').next().unwrap_or_default();
    if after_host.contains(':') && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(invalid("its port is no number from 1 to 65535"));
    }
    if grpc {
        parts.path_and_query = Some(uri::PathAndQuery::from_static(GRPC_PATH));
    } else if parts.path_and_query.is_none() {
        parts.path_and_query = Some(uri::PathAndQuery::from_static("/"));
    }
    Uri::from_parts(parts).map_err(|error| invalid(&format!("it is no URL ({error})")))
}

/// For messages: credentials in a URL must not reach a log.
fn without_userinfo(endpoint: &str) -> String {
    match endpoint.rsplit_once('@') {
        Some((before, host)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://...@{host}"),
            None => format!("...@{host}"),
        },
        None => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests;
