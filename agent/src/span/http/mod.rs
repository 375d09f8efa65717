//! An HTTP exchange as a span, by the stable HTTP conventions (OpenTelemetry semantic conventions,
//! `docs/http/http-spans.md`). Pure; knows no ids, no parents, no clock.
//!
//! The wire shows no route, so a name is the method alone. Beyond what is required or
//! recommended, three attributes that are opt-in are always given: the two body sizes, and
//! `network.transport` for unix sockets, which have no address to tell them by.
#![forbid(unsafe_code)]

mod forwarded;
mod head;
mod target;

use std::net::IpAddr;

use compact_str::{CompactString, ToCompactString};

use super::{
    attributes::Attributes,
    describe::Conventions,
    errors::{OTHER, fail},
    model::Status,
};
use crate::stream::exchange::{Addresses, Finished, HttpVersion, Opened, RequestHead, Role};

pub(super) use self::{
    head::{Hidden, authority, seen, target},
    target::Authority,
};

/// Methods of RFC 9110, PATCH (RFC 5789) and QUERY.
pub(super) const METHODS: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
];

/// Adds all attributes of an exchange, and gives the span's name and status.
pub(super) fn describe(
    conventions: &Conventions,
    opened: &Opened,
    finished: &Finished,
    attributes: &mut Attributes,
) -> (CompactString, Status) {
    let name = request(conventions, opened, attributes);
    let status = outcome(opened.connection.role, finished, attributes);
    body_sizes(finished, attributes);
    (name, status)
}

/// Adds what the request and the connection say, and gives the span's name.
pub(super) fn request(
    conventions: &Conventions,
    opened: &Opened,
    attributes: &mut Attributes,
) -> CompactString {
    let request = &opened.request;
    let name = method(conventions, request, attributes);
    let peer = opened.connection.addresses.map(Peer::of);
    match opened.connection.role {
        Role::Client => head::client(request, peer.as_ref(), attributes),
        Role::Server => head::server(request, peer.as_ref(), attributes),
    }
    network(request.version, peer, attributes);
    name
}

/// The socket's peer; its address is text for more than one attribute.
pub(super) struct Peer {
    address: CompactString,
    port: u16,
}

impl Peer {
    pub(super) fn of(addresses: Addresses) -> Self {
        Self {
            address: text_of(addresses.peer.ip()),
            port: addresses.peer.port(),
        }
    }
}

/// An address as text. That of IPv4 is written without the machinery of formatting, which would
/// cost more than the rest of a span's attributes.
fn text_of(address: IpAddr) -> CompactString {
    let IpAddr::V4(address) = address else {
        return address.to_compact_string();
    };
    let mut text = [0; "255.255.255.255".len()];
    let mut length = 0;
    let mut put = |byte| {
        if let Some(place) = text.get_mut(length) {
            *place = byte;
            length += 1;
        }
    };
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            put(b'.');
        }
        if octet >= 100 {
            put(b'0' + octet / 100);
        }
        if octet >= 10 {
            put(b'0' + octet / 10 % 10);
        }
        put(b'0' + octet % 10);
    }
    let text = text.get(..length).unwrap_or_default();
    str::from_utf8(text).map_or_else(|_| address.to_compact_string(), CompactString::new)
}

/// Adds the method and gives the span's name. Methods are case-sensitive on the wire, so `GeT`
/// is not known.
fn method(
    conventions: &Conventions,
    request: &RequestHead,
    attributes: &mut Attributes,
) -> CompactString {
    let Some(method) = &request.method else {
        attributes.unknown(&["http.request.method", "http.request.method_original"]);
        return CompactString::const_new("HTTP");
    };
    if conventions.known_methods.contains(method) {
        attributes.value("http.request.method", method.clone());
        return method.clone();
    }
    attributes.text("http.request.method", OTHER);
    attributes.text("http.request.method_original", method);
    CompactString::const_new("HTTP")
}

/// Adds what the connection says.
pub(super) fn network(version: HttpVersion, peer: Option<Peer>, attributes: &mut Attributes) {
    attributes.constant(
        "network.protocol.version",
        match version {
            HttpVersion::Http10 => "1.0",
            HttpVersion::Http11 => "1.1",
            HttpVersion::Http2 => "2",
        },
    );
    if let Some(Peer { address, port }) = peer {
        attributes.value("network.peer.address", address);
        attributes.number("network.peer.port", port.into());
    } else {
        attributes.text("network.transport", "unix");
    }
}

/// Adds the status code; `None` where there was no response, or its code is not known.
pub(super) fn status_code(finished: &Finished, attributes: &mut Attributes) -> Option<u16> {
    let response = finished.response?;
    match response.status {
        Some(code) => attributes.number("http.response.status_code", code.into()),
        None => attributes.unknown(&["http.response.status_code"]),
    }
    response.status
}

/// Adds status code and error. A status code that tells of an error is more telling than the
/// way in which the exchange ended.
fn outcome(role: Role, finished: &Finished, attributes: &mut Attributes) -> Status {
    let code = status_code(finished, attributes);
    let first_error = match role {
        Role::Client => 400,
        Role::Server => 500,
    };
    if let Some(code) = code.filter(|code| *code >= first_error) {
        attributes.text("error.type", &code.to_compact_string());
        return Status::Error;
    }
    if let Some(error) = finished.error {
        return fail(role, error, attributes);
    }
    if finished.response.is_some() && code.is_none() {
        attributes.unknown(&["error.type"]);
    }
    Status::Unset
}

/// Adds the bodies' sizes.
pub(super) fn body_sizes(finished: &Finished, attributes: &mut Attributes) {
    attributes.count("http.request.body.size", finished.request_body);
    if finished.response.is_some() {
        attributes.count("http.response.body.size", finished.response_body);
    }
}

#[cfg(test)]
mod tests;
