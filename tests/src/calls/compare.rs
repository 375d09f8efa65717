//! Compares spans with the truth of [`Call`]s.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{Call, End, Outcome};
use crate::{
    check::{self, Services},
    span::{Kind, Span},
};

/// Names of gRPC's status codes, by number.
const CODES: [&str; 17] = [
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

/// The name of a status code of gRPC.
#[must_use]
pub fn code_name(code: u32) -> Option<&'static str> {
    CODES.get(usize::try_from(code).ok()?).copied()
}

/// Codes that are errors of a server.
const SERVER_ERRORS: [&str; 6] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// Checks that there is exactly one SERVER and one CLIENT span for each call, linked, which say
/// how it went. Calls must differ in what [`Call`] says of them.
///
/// # Errors
/// When they are not; the error lists the first differences.
pub fn calls(
    calls: &[Call],
    outcomes: &[Outcome],
    spans: &[Span],
    services: Services<'_>,
) -> Result<()> {
    let mut clients: Vec<&Span> = check::of_kind(spans, Kind::Client).collect();
    let servers: Vec<&Span> = check::of_kind(spans, Kind::Server).collect();
    let mut problems = Vec::new();
    for (call, outcome) in calls.iter().zip(outcomes) {
        let found = clients
            .iter()
            .position(|span| side(call, *outcome, span, services.client).is_ok());
        let Some(found) = found else {
            problems.push(format!("no CLIENT span of {call:?}, {outcome:?}"));
            continue;
        };
        let client = clients.swap_remove(found);
        let server = servers
            .iter()
            .filter(|span| span.parent_span_id == client.span_id)
            .collect::<Vec<_>>();
        let checked = match server[..] {
            [server] => linked(call, server, client)
                .and_then(|()| side(call, *outcome, server, services.server)),
            _ => Err(anyhow::anyhow!("{} SERVER spans", server.len())),
        };
        if let Err(error) = checked {
            problems.push(format!("{call:?}: {error:#}"));
        }
    }
    for span in clients {
        problems.push(format!("CLIENT span of no call: {}", shown(span)));
    }
    if servers.len() != calls.len() {
        problems.push(format!("{} SERVER spans", servers.len()));
    }
    if !problems.is_empty() {
        let count = problems.len();
        problems.truncate(12);
        bail!("{count} differences: {}", problems.join("\n"));
    }
    Ok(())
}

fn linked(call: &Call, server: &Span, client: &Span) -> Result<()> {
    match call.end {
        End::Status(_) => check::linked(server, client),
        End::Deadline(_) | End::Cancel(_) => check::child(server, client),
    }
}

fn shown(span: &Span) -> String {
    let milliseconds = (span.end - span.start) / 1_000_000;
    format!(
        "{} {milliseconds} ms, error {}, {:?}",
        span.name, span.error, span.attributes
    )
}

fn side(call: &Call, outcome: Outcome, span: &Span, service: &str) -> Result<()> {
    check(call, outcome, span, service).with_context(|| shown(span))
}

fn check(call: &Call, outcome: Outcome, span: &Span, service: &str) -> Result<()> {
    ensure!(span.service() == service, "another service");
    ensure!(span.text("rpc.system.name") == "grpc", "another system");
    ensure!(
        span.text("network.protocol.version") == "2",
        "not of HTTP/2"
    );
    let full = call.full_method();
    let (method, original, name) = if call.end == End::Status(12) {
        ("_OTHER", full.as_str(), "grpc")
    } else {
        (full.as_str(), "", full.as_str())
    };
    ensure!(span.text("rpc.method") == method, "another method");
    ensure!(span.text("rpc.method_original") == original);
    ensure!(span.name == name, "another name");
    ended(call, span)?;
    messages(call, outcome, span)?;
    let duration = u128::from(span.end - span.start);
    ensure!(
        duration >= shortest(call, span.kind).as_nanos(),
        "shorter than the server's sleep"
    );
    Ok(())
}

/// The least time that it takes.
fn shortest(call: &Call, kind: Kind) -> Duration {
    let sleeps = match call.method {
        "Download" | "Chat" => u32::try_from(call.responses).unwrap_or(u32::MAX),
        _ => 1,
    };
    match (call.end, kind) {
        (End::Status(_), _) => call.delay * sleeps,
        // Clients count from before they write the request.
        (End::Deadline(time) | End::Cancel(time), Kind::Client) => time * 9 / 10,
        (End::Deadline(_) | End::Cancel(_), Kind::Server) => Duration::ZERO,
    }
}

fn ended(call: &Call, span: &Span) -> Result<()> {
    let told = span.text("rpc.status_code");
    let code = match call.end {
        End::Status(code) => code_name(code).context("no such code")?,
        End::Cancel(_) => "CANCELLED",
        // The client's time is over before the server's is, which then sees a cancellation.
        End::Deadline(_) if span.kind == Kind::Server && told == "CANCELLED" => told,
        End::Deadline(_) => "DEADLINE_EXCEEDED",
    };
    // Only a server's answer says so; a client just resets the stream.
    let may_be_absent = code == "DEADLINE_EXCEEDED" && told.is_empty();
    ensure!(told == code || may_be_absent, "another status");
    let error = match span.kind {
        Kind::Client => code != "OK",
        Kind::Server => SERVER_ERRORS.contains(&code),
    };
    ensure!(span.error == error, "error or not");
    let told = span.text("error.type");
    // Some servers reset the stream when the time is over, and may be first.
    let is_reset = may_be_absent && told == "CANCEL";
    ensure!(
        told == if error { code } else { "" } || is_reset,
        "another error.type"
    );
    Ok(())
}

/// Frames of content up to this length are always copied whole, in bytes.
const LONG_FRAME: u64 = 1024;

fn messages(call: &Call, outcome: Outcome, span: &Span) -> Result<()> {
    let requests = span.number("wirespan.rpc.request.messages");
    if call.end == End::Status(12) && span.kind == Kind::Server && requests == Some(0) {
        // A server need not read what it has no method for.
        return Ok(());
    }
    // Of a long frame only the beginning is copied, and several messages may be in one.
    let may_hide = |count: u64, size: usize| {
        let unread = u64::try_from(size).is_ok_and(|size| count * (size + 5) > LONG_FRAME);
        count > 1 && unread
    };
    let mut names = Vec::new();
    let name = "wirespan.rpc.request.messages";
    if requests.is_none() && may_hide(call.requests, call.request_size) {
        names.push(name);
    } else {
        ensure!(
            requests == Some(i64::try_from(call.requests)?),
            "another number of requests"
        );
    }
    let responses = span.number("wirespan.rpc.response.messages");
    let hides = responses.is_none() && may_hide(outcome.received, call.response_size);
    if hides {
        names.push("wirespan.rpc.response.messages");
    }
    let expected = (!names.is_empty()).then(|| serde_json::json!(names));
    ensure!(
        span.attributes.get("wirespan.unknown") == expected.as_ref(),
        "something else is unknown"
    );
    let received = i64::try_from(outcome.received)?;
    let End::Status(_) = call.end else {
        // Some may be on their way when the client gives up.
        ensure!(
            hides || responses.is_some_and(|responses| responses >= received),
            "too few responses"
        );
        return Ok(());
    };
    ensure!(
        hides || responses == Some(received),
        "another number of responses"
    );
    for (key, count, size) in [
        ("http.request.body.size", call.requests, call.request_size),
        (
            "http.response.body.size",
            outcome.received,
            call.response_size,
        ),
    ] {
        // Each message has a prefix of five bytes.
        let expected = count * (u64::try_from(size)? + 5);
        let found = span.number(key).unwrap_or(0);
        ensure!(
            found == i64::try_from(expected)?,
            "{key} is {found}, not {expected}"
        );
    }
    Ok(())
}
