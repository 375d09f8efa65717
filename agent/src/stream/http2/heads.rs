//! What header blocks mean: requests, responses, trailers. Knows no streams.

use crate::{
    protocol::{
        http::{HeaderName, HttpVersion, RequestHead},
        http2::{FieldName, HeaderBlock, Value},
    },
    stream::exchange::{Response, Role},
};

/// Who sends such a block, as far as it tells: a request's has a method, a response's a status.
pub(super) fn side_of(block: &HeaderBlock) -> Option<Role> {
    let has = |name| matches!(block.get(name), Value::Known(_));
    if has(FieldName::Method) || has(FieldName::Path) || has(FieldName::Scheme) {
        Some(Role::Client)
    } else if has(FieldName::Status) {
        Some(Role::Server)
    } else {
        None
    }
}

/// Whether the block may be a request's head. Trailers have no pseudo-header fields (RFC 9113
/// section 8.1).
pub(super) fn is_request(block: &HeaderBlock) -> bool {
    let may_have = |name| !matches!(block.get(name), Value::Absent);
    may_have(FieldName::Method) && side_of(block) != Some(Role::Server)
}

/// The head of a request.
pub(super) fn request(block: &HeaderBlock) -> RequestHead {
    let known = |name| block.get(name).known().map(Into::into);
    let mut headers = Vec::with_capacity(block.fields.len());
    for (name, value) in &block.fields {
        if let Some(name) = header_name(*name) {
            headers.push((name, value.clone()));
        }
    }
    let mut head = RequestHead {
        method: known(FieldName::Method),
        target: known(FieldName::Path),
        version: HttpVersion::Http2,
        headers,
        hidden: block.hidden || block.truncated,
    };
    // A CONNECT request has no path (RFC 9113 section 8.5).
    if head.target.is_none() && matches!(block.get(FieldName::Path), Value::Absent) {
        head.target = known(FieldName::Authority);
    }
    head.hidden |= block.has_unknown()
        && KEPT
            .iter()
            .any(|(name, _)| matches!(block.get(*name), Value::Unknown));
    head
}

/// Whether a block in the direction of responses is a trailer section: it has no status, and comes
/// behind a head.
pub(super) fn is_trailers(block: &HeaderBlock, is_answered: bool) -> bool {
    is_answered && !matches!(block.get(FieldName::Status), Value::Known(_))
}

/// The head of a response: `None` for an interim one. `Some` without a status where that is not
/// known.
pub(super) fn response(block: &HeaderBlock) -> Option<Response> {
    let status = block
        .get(FieldName::Status)
        .known()
        .and_then(|status| status.parse::<u16>().ok())
        .filter(|status| (100..1000).contains(status));
    match status {
        Some(100..200) => None,
        status => Some(Response { status }),
    }
}

/// Fields of requests that someone needs.
const KEPT: [(FieldName, HeaderName); 15] = [
    (FieldName::Authority, HeaderName::Authority),
    (FieldName::Scheme, HeaderName::Scheme),
    (FieldName::Protocol, HeaderName::Protocol),
    (FieldName::Host, HeaderName::Host),
    (FieldName::UserAgent, HeaderName::UserAgent),
    (FieldName::ContentType, HeaderName::ContentType),
    (FieldName::Forwarded, HeaderName::Forwarded),
    (FieldName::XForwardedFor, HeaderName::XForwardedFor),
    (FieldName::XForwardedHost, HeaderName::XForwardedHost),
    (FieldName::XForwardedProto, HeaderName::XForwardedProto),
    (FieldName::Traceparent, HeaderName::Traceparent),
    (FieldName::Tracestate, HeaderName::Tracestate),
    (FieldName::GrpcTimeout, HeaderName::GrpcTimeout),
    (
        FieldName::ConnectProtocolVersion,
        HeaderName::ConnectProtocolVersion,
    ),
    (FieldName::ConnectTimeoutMs, HeaderName::ConnectTimeout),
];

fn header_name(name: FieldName) -> Option<HeaderName> {
    KEPT.iter()
        .find(|(field, _)| *field == name)
        .map(|(_, header)| *header)
}
