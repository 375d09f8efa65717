//! How a call ended: its status code if the wire has one, and its error.
//!
//! A status code is what the server returned, or CANCELLED where the client reset the stream: that
//! is how gRPC writes it. A client whose deadline has passed does the same, and only the time
//! tells; such a call has no status code but the `error.type` that its status would have.
//! `error.type` is else: the code's name where it is an error; `missing_status` where a response
//! ended without a status; the HTTP status code where the answer was not one of gRPC or Connect;
//! what [`error_type`] gives where there was no whole response.

use std::time::Duration;

use compact_str::ToCompactString;

use super::{Call, procedures::Evidence};
use crate::{
    protocol::grpc::Status as Code,
    span::{
        attributes::Attributes,
        errors::{Cancelled, error_type},
        http::Hidden,
        model::Status,
    },
    stream::exchange::{ExchangeError, Role, RpcStatus},
};

/// HTTP status code of most answers, with errors too.
const HTTP_OK: u16 = 200;

/// How a call ended.
pub(super) struct Conclusion {
    pub(super) status: Status,
    /// As on the wire, whatever it means.
    pub(super) code: Option<u32>,
}

impl Conclusion {
    fn without_code(status: Status) -> Self {
        Self { status, code: None }
    }
}

/// The meaning of a number; one without a meaning is taken for UNKNOWN, as gRPC's clients do.
pub(super) fn of_number(number: u32) -> Code {
    Code::from_code(number).unwrap_or(Code::Unknown)
}

/// What the answer shows of the method.
pub(super) fn evidence(call: Call<'_>) -> Evidence {
    let http = call.http_status();
    let has_answered = call.rpc.response_messages.is_some_and(|count| count > 0);
    if has_answered && http == Some(HTTP_OK) {
        return Evidence::Exists;
    }
    match (call.rpc.status, http) {
        (RpcStatus::Code(number), _) if of_number(number) == Code::Unimplemented => {
            Evidence::Missing
        }
        (RpcStatus::Absent | RpcStatus::Hidden, Some(404 | 405 | 501)) => Evidence::Missing,
        (RpcStatus::Code(_), _) => Evidence::Exists,
        (RpcStatus::Absent | RpcStatus::Hidden, _) => Evidence::Open,
    }
}

/// Adds the timeout, status code and error.
pub(super) fn conclude(call: Call<'_>, attributes: &mut Attributes) -> Conclusion {
    let timeout = call.timeout();
    match &timeout {
        Ok(Some(timeout)) => attributes.value("wirespan.rpc.timeout", timeout.as_secs_f64()),
        Ok(None) => {}
        Err(_) => attributes.unknown(&["wirespan.rpc.timeout"]),
    }
    match call.finished.response.map(|response| response.status) {
        None | Some(Some(HTTP_OK)) => {}
        Some(Some(code)) => attributes.number("http.response.status_code", code.into()),
        Some(None) => attributes.unknown(&["http.response.status_code"]),
    }
    if call.rpc.status == RpcStatus::Hidden {
        attributes.unknown(&["rpc.status_code"]);
    }
    match (call.rpc.status, call.finished.error) {
        (RpcStatus::Code(number), _) => coded(call, number, attributes),
        (_, Some(error)) => broken(call, error, timeout, attributes),
        (_, None) => uncoded(call, attributes),
    }
}

/// The call ended without a status that was seen, and by an error.
fn broken(
    call: Call<'_>,
    error: ExchangeError,
    timeout: Result<Option<Duration>, Hidden>,
    attributes: &mut Attributes,
) -> Conclusion {
    let is_absent = call.rpc.status == RpcStatus::Absent;
    match (Cancelled::of(error), timeout) {
        (Cancelled::No, _) => failed(error_type(error), attributes),
        (Cancelled::Yes, Ok(timeout)) if is_absent => {
            if timeout.is_some_and(|timeout| is_over(timeout, call)) {
                let name = call.name_of(Code::DeadlineExceeded);
                failed(name.as_deref().unwrap_or_default(), attributes)
            } else {
                coded(call, Code::Cancelled.code().into(), attributes)
            }
        }
        (Cancelled::Yes | Cancelled::Maybe, _) => {
            if is_absent {
                attributes.unknown(&["rpc.status_code"]);
            }
            gave_up(call.role(), error_type(error), attributes)
        }
    }
}

fn failed(error: &str, attributes: &mut Attributes) -> Conclusion {
    attributes.text("error.type", error);
    Conclusion::without_code(Status::Error)
}

/// There is a status code.
fn coded(call: Call<'_>, number: u32, attributes: &mut Attributes) -> Conclusion {
    let code = of_number(number);
    let name = call.name_of(code);
    let is_error = is_error(call.role(), code);
    if let Some(name) = &name {
        attributes.text("rpc.status_code", name);
        if is_error {
            attributes.text("error.type", name);
        }
    }
    Conclusion {
        status: if is_error {
            Status::Error
        } else {
            Status::Unset
        },
        code: Some(number),
    }
}

/// Whether the conventions call it an error: for a client everything but success, for a server
/// what it is to blame for.
fn is_error(role: Role, code: Code) -> bool {
    match role {
        Role::Client => code != Code::Ok,
        Role::Server => matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ),
    }
}

/// The client reset the call, whose status is not known: after its deadline that is an error at
/// both ends, before it at the client's alone.
fn gave_up(role: Role, reset: &str, attributes: &mut Attributes) -> Conclusion {
    match role {
        Role::Client => failed(reset, attributes),
        Role::Server => {
            attributes.unknown(&["error.type"]);
            Conclusion::without_code(Status::Unset)
        }
    }
}

/// A response ended without a status code that was seen.
fn uncoded(call: Call<'_>, attributes: &mut Attributes) -> Conclusion {
    let Some(http) = call.http_status() else {
        if call.finished.response.is_none() {
            return failed("missing_status", attributes);
        }
        attributes.unknown(&["error.type"]);
        return Conclusion::without_code(Status::Unset);
    };
    if is_answer(call, http) {
        if call.rpc.status == RpcStatus::Hidden {
            attributes.unknown(&["error.type"]);
            return Conclusion::without_code(Status::Unset);
        }
        // A unary call of Connect may be answered from a cache.
        return if http == HTTP_OK {
            failed("missing_status", attributes)
        } else {
            Conclusion::without_code(Status::Unset)
        };
    }
    if call.role() == Role::Client || is_error_of_server(call, http) {
        return failed(&http.to_compact_string(), attributes);
    }
    Conclusion::without_code(Status::Unset)
}

/// Whether such an HTTP response carries the call's result. Unary calls of Connect tell errors by
/// the code itself.
fn is_answer(call: Call<'_>, http: u16) -> bool {
    if call.is_connect() {
        http < 400
    } else {
        http == HTTP_OK
    }
}

/// Whether a server is to blame for an HTTP status code in place of a status. What gRPC's clients
/// take it for decides; Connect has HTTP status codes for its own.
fn is_error_of_server(call: Call<'_>, http: u16) -> bool {
    if call.is_connect() {
        http >= 500
    } else {
        is_error(Role::Server, Code::of_http(http))
    }
}

/// Whether the time that the client gave the call was over when it ended. Clients count from before
/// they write the request, and round what they write up, some by 1 %.
fn is_over(timeout: Duration, call: Call<'_>) -> bool {
    let lasted = Duration::from_nanos(call.finished.ended.since(call.opened.started));
    let slack = timeout / 100 + Duration::from_millis(2);
    lasted >= timeout.saturating_sub(slack)
}
