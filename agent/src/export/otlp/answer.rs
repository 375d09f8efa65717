//! What a back end's answer means (OTLP specification, "OTLP/gRPC Response" and "OTLP/HTTP
//! Response"). Pure: no IO, no clock.

use std::time::{Duration, SystemTime};

use base64::{
    Engine,
    alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, StatusCode, header};
use prost::Message;

/// What to do next with the spans of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Taken, but for `rejected` spans (partial success). `message` is empty or a warning.
    Accepted { rejected: u64, message: String },
    /// Send the same again, not before `after` if the back end gave a time.
    Retry {
        reason: String,
        after: Option<Duration>,
    },
    /// Too large: send in parts, or give up.
    TooLarge { reason: String },
    /// The connection was reset during the upload, as some do when a request is too large: send
    /// in parts after a while, or again.
    Reset { reason: String },
    /// Give up.
    Refused { reason: String },
}

/// Longest part of a back end's text that is shown.
const SHOWN: usize = 200;

/// An answer over HTTP.
pub(super) fn http(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Answer {
    if status.is_success() {
        return success(headers, body);
    }
    let mut reason = format!("it answered {status}");
    let text = error_text(headers, body);
    if !text.is_empty() {
        reason = format!("{reason}: {text}");
    }
    match status.as_u16() {
        429 | 502 | 503 | 504 => Answer::Retry {
            reason,
            after: retry_after(headers, now),
        },
        413 => Answer::TooLarge { reason },
        _ => Answer::Refused { reason },
    }
}

fn success(headers: &HeaderMap, body: &[u8]) -> Answer {
    if body.is_empty() {
        return accepted(None);
    }
    let partial = if is_json(headers) {
        serde_json::from_slice::<JsonResponse>(body)
            .ok()
            .map(|response| response.partial_success.map(PartialSuccess::from))
    } else {
        Response::decode(body)
            .ok()
            .map(|response| response.partial_success)
    };
    match partial {
        Some(partial) => accepted(partial),
        None => Answer::Accepted {
            rejected: 0,
            message: "it answered with success and a body that is not OTLP; is this an OTLP \
                      receiver?"
                .to_owned(),
        },
    }
}

fn accepted(partial: Option<PartialSuccess>) -> Answer {
    let partial = partial.unwrap_or_default();
    Answer::Accepted {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
        message: shown(&partial.error_message),
    }
}

/// RFC 9110 section 10.2.3: seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn error_text(headers: &HeaderMap, body: &[u8]) -> String {
    if body.is_empty() {
        return String::new();
    }
    let content_type = headers.get(header::CONTENT_TYPE);
    let status = if is_json(headers) {
        serde_json::from_slice::<JsonStatus>(body)
            .ok()
            .map(|status| status.message)
    } else if content_type.is_some_and(|value| value.as_bytes().ends_with(b"protobuf")) {
        RpcStatus::decode(body).ok().map(|status| status.message)
    } else {
        None
    };
    shown(&status.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into()))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

/// Foreign text for a log line: short and without control characters.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(SHOWN)
        .collect()
}

/// An answer over gRPC: `trailers` is where `grpc-status` was found (the headers of a response
/// without a body, else the trailers), `body` the frames of the response.
pub(super) fn grpc(status: StatusCode, trailers: Option<&HeaderMap>, body: &[u8]) -> Answer {
    let text = |name| {
        trailers
            .and_then(|map| map.get(name))
            .and_then(|value| value.to_str().ok())
    };
    let code = match text("grpc-status").and_then(|code| code.parse().ok()) {
        Some(code) => code,
        None if status == StatusCode::OK => 2,
        None => code_of_http(status),
    };
    if code == 0 {
        return accepted(grpc_message(body).and_then(|response| response.partial_success));
    }
    let message = percent_encoding::percent_decode_str(text("grpc-message").unwrap_or_default())
        .decode_utf8_lossy();
    let mut reason = format!("it answered {}", code_name(code));
    if !message.is_empty() {
        reason = format!("{reason}: {}", shown(&message));
    } else if status != StatusCode::OK {
        reason = format!("{reason} (HTTP {status})");
    }
    let after = text("grpc-status-details-bin").and_then(retry_info);
    match code {
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
        1 | 4 | 10 | 11 | 14 | 15 => Answer::Retry { reason, after },
        // RESOURCE_EXHAUSTED: the sender may recover only if it is told when.
        8 if after.is_some() => Answer::Retry { reason, after },
        8 => Answer::TooLarge { reason },
        _ => Answer::Refused { reason },
    }
}

/// The first message of a gRPC body; `None` if it is compressed (not asked for) or cut.
fn grpc_message(body: &[u8]) -> Option<Response> {
    let (head, rest) = body.split_first_chunk::<5>()?;
    let [compressed, length @ ..] = *head;
    if compressed != 0 {
        return None;
    }
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    Response::decode(rest.get(..length)?).ok()
}

/// gRPC, "HTTP to gRPC Status Code Mapping", for answers of something that does not speak gRPC.
fn code_of_http(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

fn code_name(code: u32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    usize::try_from(code)
        .ok()
        .and_then(|code| NAMES.get(code))
        .unwrap_or(&"an unknown gRPC status")
}

/// `google.rpc.RetryInfo` in the status details. A delay that is missing or negative means now.
fn retry_info(details: &str) -> Option<Duration> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let bytes = BASE64.decode(details).ok()?;
    let status = RpcStatus::decode(bytes.as_slice()).ok()?;
    let info = status
        .details
        .iter()
        .find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice())
        .ok()?
        .retry_delay
        .unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or(0);
    let nanos = u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999);
    Some(Duration::new(seconds, nanos))
}

/// `ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonResponse {
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonPartialSuccess {
    rejected_spans: JsonInt,
    error_message: String,
}

impl Default for JsonPartialSuccess {
    fn default() -> Self {
        Self {
            rejected_spans: JsonInt::Number(0),
            error_message: String::new(),
        }
    }
}

impl From<JsonPartialSuccess> for PartialSuccess {
    fn from(json: JsonPartialSuccess) -> Self {
        Self {
            rejected_spans: match json.rejected_spans {
                JsonInt::Number(number) => number,
                JsonInt::Text(text) => text.parse().unwrap_or(0),
            },
            error_message: json.error_message,
        }
    }
}

/// 64-bit integers are written as strings and read as both.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum JsonInt {
    Number(i64),
    Text(String),
}

#[derive(serde::Deserialize)]
struct JsonStatus {
    #[serde(default)]
    message: String,
}

#[cfg(test)]
mod tests;
