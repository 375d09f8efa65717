//! W3C Trace Context Level 2: `traceparent` and `tracestate` of a request. Pure; knows no spans'
//! parents, only what a header says.
#![forbid(unsafe_code)]

use compact_str::CompactString;

use super::{
    ids::{FLAG_RANDOM, FLAG_SAMPLED},
    model::{SpanId, TraceId},
};
use crate::stream::exchange::{HeaderName, RequestHead};

/// Length of a `traceparent` of version 00 (section 3.2.2), and the least length of a later one.
const TRACEPARENT_LENGTH: usize = 55;
/// List members of a `tracestate` at most (section 3.3.1.1).
const TRACESTATE_MEMBERS: usize = 32;
/// Characters of a `tracestate` key, and of a value, at most (section 3.3.1.3).
const TRACESTATE_PART_LENGTH: usize = 256;

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// Trace of the request.
    pub trace_id: TraceId,
    /// The caller's span.
    pub span_id: SpanId,
    /// Sampled and random-trace-id; the bits without a meaning are cleared (section 3.2.2.5.3).
    pub flags: u8,
}

/// The context that a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Its `traceparent`.
    pub parent: TraceParent,
    /// Its `tracestate`, members joined by commas, empty if there was none or an invalid one.
    pub state: CompactString,
}

/// Reads a request's context. `None` when there is no `traceparent`, more than one, or an invalid
/// one; `tracestate` then has no meaning either (section 4.3).
#[must_use]
pub fn extract(request: &RequestHead) -> Option<TraceContext> {
    let mut parents = values(request, HeaderName::Traceparent);
    let parent = parse_traceparent(parents.next()?)?;
    if parents.next().is_some() {
        return None;
    }
    let state = join_tracestate(values(request, HeaderName::Tracestate)).unwrap_or_default();
    Some(TraceContext { parent, state })
}

fn values(request: &RequestHead, name: HeaderName) -> impl Iterator<Item = &str> {
    request
        .headers
        .iter()
        .filter(move |(other, _)| *other == name)
        .map(|(_, value)| value.as_str())
}

/// Parses the value of one `traceparent` header (section 3.2, and section 4.2 for the versions
/// after 00).
#[must_use]
pub fn parse_traceparent(value: &str) -> Option<TraceParent> {
    let bytes = value.trim_matches(is_ows).as_bytes();
    let (fixed, rest) = bytes.split_at_checked(TRACEPARENT_LENGTH)?;
    if [2, 35, 52].iter().any(|&at| fixed[at] != b'-') {
        return None;
    }
    let [version] = hex(&fixed[..2])?;
    let trace_id: [u8; 16] = hex(&fixed[3..35])?;
    let span_id: [u8; 8] = hex(&fixed[36..52])?;
    let [flags] = hex(&fixed[53..])?;
    let length_fits = match version {
        0xff => false,
        0 => rest.is_empty(),
        _ => rest.first().is_none_or(|&next| next == b'-'),
    };
    if !length_fits || trace_id == [0; 16] || span_id == [0; 8] {
        return None;
    }
    Some(TraceParent {
        trace_id: TraceId(trace_id),
        span_id: SpanId(span_id),
        flags: flags & (FLAG_SAMPLED | FLAG_RANDOM),
    })
}

/// Joins the values of all `tracestate` headers, in order (section 3.3.1), without white space
/// and empty members. `None` when a member is invalid or there are too many: the whole is
/// discarded then.
#[must_use]
pub fn join_tracestate<'a>(values: impl Iterator<Item = &'a str>) -> Option<CompactString> {
    let mut joined = CompactString::default();
    let mut members = 0;
    for value in values {
        for member in value.split(',').map(|member| member.trim_matches(is_ows)) {
            if member.is_empty() {
                continue;
            }
            members += 1;
            if members > TRACESTATE_MEMBERS || !is_member(member) {
                return None;
            }
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(member);
        }
    }
    Some(joined)
}

/// A list member without surrounding white space (section 3.3.1.3).
fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    let key_starts = |first: u8| first.is_ascii_lowercase() || first.is_ascii_digit();
    let key_goes_on = |byte: &u8| key_starts(*byte) || b"_-*/@".contains(byte);
    let in_value = |byte: &u8| matches!(byte, 0x20..=0x7e) && *byte != b'=';
    key.bytes().next().is_some_and(key_starts)
        && key.len() <= TRACESTATE_PART_LENGTH
        && key.as_bytes().iter().all(key_goes_on)
        && (1..=TRACESTATE_PART_LENGTH).contains(&value.len())
        && value.as_bytes().iter().all(in_value)
}

fn is_ows(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// Reads lower-case hexadecimal digits, the only ones that W3C allows.
fn hex<const BYTES: usize>(digits: &[u8]) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
