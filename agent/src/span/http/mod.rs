//! An HTTP exchange as a span: name, status and attributes by the stable HTTP conventions
//! (OpenTelemetry semantic conventions, `docs/http/http-spans.md`). Pure; knows no ids, no
//! parents, no clock.
//!
//! The wire shows no route, so a name is the method alone. Beyond what is required or
//! recommended, three attributes that are opt-in are always given: the two body sizes, and
//! `network.transport` for unix sockets, which have no address to tell them by.
#![forbid(unsafe_code)]

mod forwarded;
mod target;

use std::borrow::Cow;

use compact_str::{CompactString, ToCompactString};

use self::target::{Authority, Target};
use super::model::{Attribute, Status};
use crate::stream::exchange::{
    Addresses, ExchangeError, Finished, HeaderName, HttpVersion, Opened, RequestHead, Role,
};

/// Bytes of an attribute's value at most; what is longer is cut at a character's border, after
/// redaction.
pub const VALUE_LIMIT: usize = 4096;

/// As many as a span has, with room for one that the caller adds; errors may need one allocation
/// more.
const ATTRIBUTES: usize = 16;

/// Methods of RFC 9110, PATCH (RFC 5789) and QUERY.
const METHODS: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
];

/// Value of `http.request.method` for a method that is not known.
const OTHER: &str = "_OTHER";

/// What of the conventions can be configured.
#[derive(Clone, Debug)]
pub struct HttpConventions {
    known_methods: Vec<CompactString>,
}

impl Default for HttpConventions {
    fn default() -> Self {
        Self {
            known_methods: METHODS.iter().map(|method| (*method).into()).collect(),
        }
    }
}

impl HttpConventions {
    /// Conventions with other known methods, case-sensitive: what
    /// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` replaces the default by.
    #[must_use]
    pub fn with_known_methods(methods: &[String]) -> Self {
        Self {
            known_methods: methods.iter().map(CompactString::from).collect(),
        }
    }
}

/// A span's parts that the exchange alone determines.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The method, or `HTTP` when it is not known.
    pub name: CompactString,
    /// By the conventions' rules for the kind.
    pub status: Status,
    /// Keys unique.
    pub attributes: Vec<Attribute>,
}

/// Describes a finished exchange.
#[must_use]
pub fn describe(
    conventions: &HttpConventions,
    opened: &Opened,
    finished: &Finished,
) -> Description {
    let request = &*opened.request;
    let role = opened.connection.role;
    let mut attributes = Attributes(Vec::with_capacity(ATTRIBUTES));
    let name = method(conventions, request, &mut attributes);
    let method = request.method.as_deref().unwrap_or_default();
    let target = request.target.as_deref().unwrap_or_default();
    let target = Target::parse(method, target);
    let peer = opened.connection.addresses.map(Peer::of);
    match role {
        Role::Client => client(request, &target, peer.as_ref(), &mut attributes),
        Role::Server => server(request, &target, peer.as_ref(), &mut attributes),
    }
    network(request.version, peer, &mut attributes);
    let status = outcome(role, finished, &mut attributes);
    sizes(finished, &mut attributes);
    Description {
        name,
        status,
        attributes: attributes.0,
    }
}

/// The socket's peer; its address is text for more than one attribute.
struct Peer {
    address: CompactString,
    port: u16,
}

impl Peer {
    fn of(addresses: Addresses) -> Self {
        Self {
            address: addresses.peer.ip().to_compact_string(),
            port: addresses.peer.port(),
        }
    }
}

/// Attributes in the making, every string within its limit.
struct Attributes(Vec<Attribute>);

impl Attributes {
    fn text(&mut self, key: &'static str, value: &str) {
        let end = value.floor_char_boundary(VALUE_LIMIT);
        self.0.push((key, value[..end].into()));
    }

    fn number(&mut self, key: &'static str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.0.push((key, value.into()));
    }
}

/// Adds the method and gives the span's name. Methods are case-sensitive on the wire, so `GeT`
/// is not known.
fn method(
    conventions: &HttpConventions,
    request: &RequestHead,
    attributes: &mut Attributes,
) -> CompactString {
    let Some(method) = &request.method else {
        return CompactString::const_new("HTTP");
    };
    if conventions.known_methods.contains(method) {
        attributes.text("http.request.method", method);
        return method.clone();
    }
    attributes.text("http.request.method", OTHER);
    attributes.text("http.request.method_original", method);
    CompactString::const_new("HTTP")
}

/// What a client knows of the server: the target's host, else `Host`, else the socket's peer.
fn client(
    request: &RequestHead,
    target: &Target<'_>,
    peer: Option<&Peer>,
    attributes: &mut Attributes,
) {
    let scheme = target.scheme().unwrap_or("http");
    let named = target
        .authority()
        .or_else(|| request.header(HeaderName::Host))
        .and_then(Authority::parse);
    let authority = match (&named, peer) {
        (Some(named), _) => *named,
        (None, Some(peer)) => Authority {
            host: &peer.address,
            port: Some(peer.port),
            credentials: false,
        },
        // A unix socket and no Host (HTTP/1.0): nothing names the server.
        (None, None) => return,
    };
    attributes.text("server.address", authority.host);
    attributes.number("server.port", authority.port_for(scheme).into());
    attributes.text("url.full", &target::full(scheme, &authority, target));
}

/// What a server knows of how it was called: proxies' headers first, as they tell what the
/// client asked for.
fn server(
    request: &RequestHead,
    target: &Target<'_>,
    peer: Option<&Peer>,
    attributes: &mut Attributes,
) {
    let scheme = forwarded::scheme(request)
        .or_else(|| target.scheme().map(str::to_ascii_lowercase).map(Cow::Owned))
        .unwrap_or(Cow::Borrowed("http"));
    attributes.text("url.scheme", &scheme);
    attributes.text("url.path", target.path());
    if let Some(query) = target.query() {
        attributes.text("url.query", &target::redact_query(query));
    }
    let host = forwarded::host(request)
        .or_else(|| target.authority().map(Cow::Borrowed))
        .or_else(|| request.header(HeaderName::Host).map(Cow::Borrowed));
    if let Some(authority) = host.as_deref().and_then(Authority::parse) {
        attributes.text("server.address", authority.host);
        attributes.number("server.port", authority.port_for(&scheme).into());
    }
    if let Some(client) = forwarded::client(request) {
        attributes.text("client.address", &client);
    } else if let Some(peer) = peer {
        attributes.text("client.address", &peer.address);
    }
    if let Some(agent) = request.header(HeaderName::UserAgent) {
        attributes.text("user_agent.original", agent);
    }
}

fn network(version: HttpVersion, peer: Option<Peer>, attributes: &mut Attributes) {
    attributes.text(
        "network.protocol.version",
        match version {
            HttpVersion::Http10 => "1.0",
            HttpVersion::Http11 => "1.1",
            HttpVersion::Http2 => "2",
        },
    );
    if let Some(Peer { address, port }) = peer {
        attributes.0.push(("network.peer.address", address.into()));
        attributes.number("network.peer.port", port.into());
    } else {
        attributes.text("network.transport", "unix");
    }
}

/// Adds status code and error. A status code that tells of an error is more telling than the
/// way in which the connection ended.
fn outcome(role: Role, finished: &Finished, attributes: &mut Attributes) -> Status {
    let code = finished.response.and_then(|response| response.status);
    if let Some(code) = code {
        attributes.number("http.response.status_code", code.into());
    }
    let first_error = match role {
        Role::Client => 400,
        Role::Server => 500,
    };
    if let Some(code) = code.filter(|code| *code >= first_error) {
        attributes.text("error.type", &code.to_compact_string());
    } else if let Some(error) = finished.error {
        attributes.text("error.type", error_type(error));
    } else {
        return Status::Unset;
    }
    Status::Error
}

fn error_type(error: ExchangeError) -> &'static str {
    match error {
        ExchangeError::Reset => "connection_reset",
        ExchangeError::Closed => "connection_closed",
        ExchangeError::TimedOut => "timeout",
        ExchangeError::ProcessExited => "process_exited",
        ExchangeError::AgentStopped => "agent_stopped",
        ExchangeError::StreamReset { .. } => "stream_reset",
        ExchangeError::GoneAway { .. } => "connection_shutdown",
    }
}

/// Adds the bodies' sizes, and what is missing of the exchange.
fn sizes(finished: &Finished, attributes: &mut Attributes) {
    if let Some(size) = finished.request_body {
        attributes.number("http.request.body.size", size);
    }
    if let Some(size) = finished.response_body
        && finished.response.is_some()
    {
        attributes.number("http.response.body.size", size);
    }
    if finished.truncated {
        attributes.0.push(("wirespan.truncated", true.into()));
    }
    if finished.gap_bytes > 0 {
        attributes.number("wirespan.gap_bytes", finished.gap_bytes);
    }
}

#[cfg(test)]
mod tests;
