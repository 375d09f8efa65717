//! What a client counted, one line for each exchange, and the same of spans. Knows no recording.

use anyhow::{Context, Result};

use crate::{
    calls::{Call, End, Outcome, compare},
    check,
    plan::Plan,
    span::{Kind, Span},
};

/// Of requests that were answered as planned: method, target, status, bytes of both bodies.
#[must_use]
pub fn of_plan(plan: &Plan) -> Vec<String> {
    plan.requests
        .iter()
        .map(|request| {
            format!(
                "http\t{}\t{}\t{}\t{}\t{}",
                request.method,
                request.target,
                request.answer.status,
                request.body.unwrap_or(0),
                request.answer.size
            )
        })
        .collect()
}

/// Of calls: method, status, messages in both directions.
///
/// # Errors
/// When a call was not to end with a status.
pub fn of_calls(calls: &[Call], outcomes: &[Outcome]) -> Result<Vec<String>> {
    let line = |(call, outcome): (&Call, &Outcome)| {
        let End::Status(code) = call.end else {
            anyhow::bail!("{call:?} ends without a status");
        };
        let code = compare::code_name(code).context("no such code")?;
        Ok(format!(
            "rpc\t{}\t{code}\t{}\t{}",
            call.full_method(),
            call.requests,
            outcome.received
        ))
    };
    calls.iter().zip(outcomes).map(line).collect()
}

/// Of the spans of one kind, sorted.
#[must_use]
pub fn of_spans(spans: &[Span], kind: Kind) -> Vec<String> {
    let mut lines: Vec<String> = check::of_kind(spans, kind).map(of_span).collect();
    lines.sort();
    lines
}

fn of_span(span: &Span) -> String {
    let number = |key| {
        let number = span.number(key);
        number.map_or_else(|| "-".to_owned(), |number| number.to_string())
    };
    if span.text("rpc.system.name").is_empty() {
        format!(
            "http\t{}\t{}\t{}\t{}\t{}",
            span.text("http.request.method"),
            span.target(),
            number("http.response.status_code"),
            number("http.request.body.size"),
            number("http.response.body.size")
        )
    } else {
        format!(
            "rpc\t{}\t{}\t{}\t{}",
            span.text("rpc.method"),
            span.text("rpc.status_code"),
            number("wirespan.rpc.request.messages"),
            number("wirespan.rpc.response.messages")
        )
    }
}
