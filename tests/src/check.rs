//! Compares spans with the truth of a [`Plan`].

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use crate::{
    plan::{Plan, Request},
    span::{Kind, Span},
};

/// Who must have made the spans.
#[derive(Clone, Copy, Debug)]
pub struct Services<'a> {
    /// `service.name` of SERVER spans.
    pub server: &'a str,
    /// `service.name` of CLIENT spans.
    pub client: &'a str,
}

/// Checks that there is exactly one SERVER and one CLIENT span for each request, that they say
/// what was sent and answered, and that they are linked.
///
/// # Errors
/// When they are not; the error lists the first differences.
pub fn plan(plan: &Plan, spans: &[Span], services: Services<'_>) -> Result<()> {
    let mut problems = Vec::new();
    let mut pairs = pairs(spans);
    for request in &plan.requests {
        let found = pairs.remove(&request.target).unwrap_or_default();
        let ([server], [client]) = (found.server.as_slice(), found.client.as_slice()) else {
            problems.push(format!(
                "{} {}: {} SERVER and {} CLIENT spans",
                request.method,
                request.target,
                found.server.len(),
                found.client.len()
            ));
            continue;
        };
        let mut check = |problem: Result<()>| {
            if let Err(error) = problem {
                problems.push(format!("{} {}: {error:#}", request.method, request.target));
            }
        };
        check(side(request, server, services.server));
        check(side(request, client, services.client));
        check(linked(server, client));
    }
    problems.extend(pairs.keys().map(|target| format!("span of {target:?}")));
    if !problems.is_empty() {
        let count = problems.len();
        problems.truncate(12);
        bail!("{count} differences: {}", problems.join("\n"));
    }
    Ok(())
}

/// Spans of one request.
#[derive(Clone, Debug, Default)]
pub struct Pair<'a> {
    /// SERVER spans.
    pub server: Vec<&'a Span>,
    /// CLIENT spans.
    pub client: Vec<&'a Span>,
}

/// Spans by the request's target.
#[must_use]
pub fn pairs(spans: &[Span]) -> BTreeMap<String, Pair<'_>> {
    let mut pairs: BTreeMap<String, Pair<'_>> = BTreeMap::new();
    for span in spans {
        let pair = pairs.entry(span.target()).or_default();
        match span.kind {
            Kind::Server => pair.server.push(span),
            Kind::Client => pair.client.push(span),
        }
    }
    pairs
}

/// Spans of one kind.
pub fn of_kind(spans: &[Span], kind: Kind) -> impl Iterator<Item = &Span> {
    spans.iter().filter(move |span| span.kind == kind)
}

/// Checks that the SERVER span is the child of the CLIENT span and inside its time.
///
/// # Errors
/// When it is not.
pub fn linked(server: &Span, client: &Span) -> Result<()> {
    child(server, client)?;
    ensure!(
        server.end <= client.end,
        "SERVER {}..{} is not inside CLIENT {}..{}",
        server.start,
        server.end,
        client.start,
        client.end
    );
    Ok(())
}

/// Checks that the SERVER span is the child of the CLIENT span and began later. It may end later
/// too, when it is the client that ended the exchange.
///
/// # Errors
/// When it is not.
pub fn child(server: &Span, client: &Span) -> Result<()> {
    ensure!(
        server.parent_span_id == client.span_id && server.trace_id == client.trace_id,
        "not linked: SERVER {}/{} has parent {:?}, CLIENT is {}/{}",
        server.trace_id,
        server.span_id,
        server.parent_span_id,
        client.trace_id,
        client.span_id
    );
    ensure!(
        client.start <= server.start && server.start <= server.end && client.start <= client.end,
        "SERVER {}..{} began before CLIENT {}..{}",
        server.start,
        server.end,
        client.start,
        client.end
    );
    Ok(())
}

fn side(request: &Request, span: &Span, service: &str) -> Result<()> {
    let kind = span.kind;
    let method = span.text("http.request.method");
    ensure!(method == request.method, "{kind:?} has method {method:?}");
    ensure!(span.name == method, "{kind:?} has name {:?}", span.name);
    let status = span.number("http.response.status_code");
    let expected = request.answer.status;
    ensure!(
        status == Some(i64::from(expected)),
        "{kind:?} has status {status:?}, not {expected}"
    );
    let error = expected >= 500 || (expected >= 400 && kind == Kind::Client);
    ensure!(
        span.error == error && span.attributes.contains_key("error.type") == error,
        "{kind:?} with status {expected} has error {}, error.type {:?}",
        span.error,
        span.text("error.type")
    );
    size(
        span,
        "http.request.body.size",
        request.body.unwrap_or(0),
        request.chunked,
    )?;
    size(
        span,
        "http.response.body.size",
        request.answer.size,
        request.answer.chunked,
    )?;
    let duration = u128::from(span.end - span.start);
    ensure!(
        duration >= request.answer.sleep.as_nanos(),
        "{kind:?} took {duration} ns, less than the server's sleep"
    );
    let found = span.service();
    ensure!(
        found == service,
        "{kind:?} has service.name {found:?}, not {service:?}"
    );
    Ok(())
}

/// Sizes are those on the wire: of chunked bodies with the framing, a few bytes for each chunk.
fn size(span: &Span, key: &str, payload: u64, chunked: bool) -> Result<()> {
    let size = span.number(key).unwrap_or(0);
    let payload = i64::try_from(payload)?;
    let most = if chunked {
        payload + payload / 20 + 64
    } else {
        payload
    };
    ensure!(
        (payload..=most).contains(&size),
        "{:?} has {key} {size}, not {payload}{}",
        span.kind,
        if chunked { " and chunk framing" } else { "" }
    );
    Ok(())
}
