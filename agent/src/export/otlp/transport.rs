//! One request to a back end and its answer, over gRPC or HTTP.
//!
//! Both are plain hyper: OTLP's one unary method needs no more of gRPC than a five-byte frame and
//! the trailers, and so both share connection, TLS, limits and errors. Knows no queue, no retry.

use std::{error::Error as _, io, io::Write, sync::Arc, time::SystemTime};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri::Scheme};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    answer::{self, Answer},
    endpoint,
    settings::{OtlpSettings, Protocol},
    tls,
};
use crate::{
    export::{ExportError, json, protobuf},
    span::model::Span,
};

/// Requests stay below this size, uncompressed: receivers commonly take 4 MiB over gRPC.
const MAX_REQUEST: usize = 4_000_000;
/// Responses are read up to this size.
const MAX_RESPONSE: usize = 4 << 20;
const USER_AGENT: &str = concat!(
    "wirespan/",
    env!("CARGO_PKG_VERSION"),
    " OTel-OTLP-Exporter-Rust/",
    env!("CARGO_PKG_VERSION")
);

/// A client of one back end.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    protocol: Protocol,
    gzip: bool,
    headers: HeaderMap,
}

impl Transport {
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, ExportError> {
        let uri = endpoint::resolve(settings)?;
        let config = tls::client_config(settings, uri.scheme() == Some(&Scheme::HTTPS))?;
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        let mut client = Client::builder(TokioExecutor::new());
        client.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
        let client = match settings.protocol {
            Protocol::Grpc => client
                .http2_only(true)
                .build(builder.enable_http2().build()),
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                client.build(builder.enable_all_versions().build())
            }
        };
        Ok(Self {
            client,
            uri,
            protocol: settings.protocol,
            gzip: settings.gzip,
            headers: headers(settings),
        })
    }

    /// The back end's address, for messages.
    pub(super) fn destination(&self) -> String {
        match self.protocol {
            Protocol::Grpc => format!(
                "{}://{} (gRPC)",
                self.uri.scheme_str().unwrap_or_default(),
                self.uri
                    .authority()
                    .map_or("", http::uri::Authority::as_str)
            ),
            Protocol::HttpProtobuf | Protocol::HttpJson => self.uri.to_string(),
        }
    }

    /// The body of a request, `None` if it is larger than a request may be.
    pub(super) fn encode(&self, spans: &[Arc<Span>]) -> Option<Bytes> {
        let mut message = Vec::with_capacity(spans.len().saturating_mul(640).min(MAX_REQUEST));
        match self.protocol {
            Protocol::Grpc | Protocol::HttpProtobuf => {
                protobuf::encode_request(spans, &mut message);
            }
            Protocol::HttpJson => json::encode_request(spans, &mut message),
        }
        if message.len() > MAX_REQUEST {
            return None;
        }
        let frame = match self.protocol {
            Protocol::Grpc => 5,
            Protocol::HttpProtobuf | Protocol::HttpJson => 0,
        };
        let mut body = vec![0; frame];
        if self.gzip {
            let mut encoder = GzEncoder::new(body, Compression::fast());
            // Writing to memory cannot fail; if it did, the request would go out uncompressed
            // under a header that says otherwise, so it is rather not sent at all.
            encoder.write_all(&message).ok()?;
            body = encoder.finish().ok()?;
        } else {
            body.append(&mut message);
        }
        if frame > 0 {
            let length = u32::try_from(body.len() - frame).ok()?;
            body[0] = u8::from(self.gzip);
            body[1..5].copy_from_slice(&length.to_be_bytes());
        }
        Some(body.into())
    }

    /// Sends one request. Has no time limit of its own.
    pub(super) async fn send(&self, body: Bytes) -> Answer {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        if self.protocol == Protocol::Grpc {
            *request.version_mut() = http::Version::HTTP_2;
        }
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return failure(&error),
        };
        let (head, body) = response.into_parts();
        match Limited::new(body, MAX_RESPONSE).collect().await {
            Ok(body) => {
                let trailers = body.trailers().cloned();
                self.understand(&head, trailers.as_ref(), &body.to_bytes())
            }
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                self.understand(&head, None, b"")
            }
            Err(error) => Answer::Retry {
                reason: format!("the connection ended within the answer: {error}"),
                after: None,
            },
        }
    }

    fn understand(
        &self,
        head: &http::response::Parts,
        trailers: Option<&HeaderMap>,
        body: &[u8],
    ) -> Answer {
        match self.protocol {
            Protocol::Grpc => {
                let place = if head.headers.contains_key("grpc-status") {
                    Some(&head.headers)
                } else {
                    trailers
                };
                answer::grpc(head.status, place, body)
            }
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                answer::http(head.status, &head.headers, body, SystemTime::now())
            }
        }
    }
}

fn headers(settings: &OtlpSettings) -> HeaderMap {
    let mut headers = settings.headers.clone();
    let content_type = match settings.protocol {
        Protocol::Grpc => "application/grpc",
        Protocol::HttpProtobuf => "application/x-protobuf",
        Protocol::HttpJson => "application/json",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(USER_AGENT));
    if settings.protocol == Protocol::Grpc {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if let Some(limit) = settings.timeout {
            // At most eight digits, "gRPC over HTTP2".
            let limit = limit.as_millis().min(99_999_999);
            if let Ok(value) = HeaderValue::from_str(&format!("{limit}m")) {
                headers.insert(HeaderName::from_static("grpc-timeout"), value);
            }
        }
    }
    if settings.gzip {
        let name = match settings.protocol {
            Protocol::Grpc => HeaderName::from_static("grpc-encoding"),
            Protocol::HttpProtobuf | Protocol::HttpJson => header::CONTENT_ENCODING,
        };
        headers.insert(name, HeaderValue::from_static("gzip"));
    }
    headers
}

/// What a request that got no answer means.
fn failure(error: &legacy::Error) -> Answer {
    let reason = chain(error);
    if error.is_connect() {
        return Answer::Retry {
            reason: format!("cannot connect: {reason}"),
            after: None,
        };
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if is_reset(cause) {
            return Answer::Reset { reason };
        }
        if let Some(cause) = cause.downcast_ref::<hyper::Error>()
            && (cause.is_user() || cause.is_parse())
        {
            return Answer::Refused { reason };
        }
        source = cause.source();
    }
    Answer::Retry {
        reason,
        after: None,
    }
}

fn is_reset(cause: &(dyn std::error::Error + 'static)) -> bool {
    let kind = if let Some(cause) = cause.downcast_ref::<h2::Error>() {
        if cause.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) {
            return true;
        }
        cause.get_io().map(io::Error::kind)
    } else {
        cause.downcast_ref::<io::Error>().map(io::Error::kind)
    };
    matches!(
        kind,
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
    ) || cause
        .downcast_ref::<hyper::Error>()
        .is_some_and(hyper::Error::is_body_write_aborted)
}

/// An error with its causes, as the outermost alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

