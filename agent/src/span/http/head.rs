//! What a request's head says, and what it may say where it was not seen: hidden headers may be
//! any, so whatever one of them would decide is not known.

use std::borrow::Cow;

use super::{
    Peer, forwarded,
    target::{self, Authority, Target, is_scheme},
};
use crate::{
    span::attributes::Attributes,
    stream::exchange::{HeaderName, HttpVersion, RequestHead},
};

/// It may have been said where it could not be seen.
#[derive(Debug)]
pub(in crate::span) struct Hidden;

/// A header, if it was seen.
pub(in crate::span) fn seen(
    request: &RequestHead,
    name: HeaderName,
) -> Result<Option<&str>, Hidden> {
    match request.header(name) {
        None if request.hidden => Err(Hidden),
        value => Ok(value),
    }
}

/// The target. CONNECT has none in HTTP/2 unless it is extended: its authority stands in
/// `:authority` (RFC 9113 section 8.5, RFC 8441 section 4).
pub(in crate::span) fn target(request: &RequestHead) -> Result<Target<'_>, Hidden> {
    let method = request.method.as_deref().unwrap_or_default();
    let written = request.target.as_deref();
    if let Some(written) = written.filter(|written| !written.is_empty()) {
        return Ok(Target::parse(method, written));
    }
    let is_tunnel = method == "CONNECT" && seen(request, HeaderName::Protocol)?.is_none();
    match written {
        _ if is_tunnel => Ok(Target::Authority(
            request.header(HeaderName::Authority).unwrap_or_default(),
        )),
        Some(_) => Ok(Target::Origin("")),
        None => Err(Hidden),
    }
}

/// The authority that the request itself names: its target's, else `:authority`, else `Host`.
pub(in crate::span) fn authority<'a>(
    request: &'a RequestHead,
    target: Option<&Target<'a>>,
) -> Result<Option<&'a str>, Hidden> {
    if let Some(authority) = target.and_then(Target::authority) {
        return Ok(Some(authority));
    }
    match seen(request, HeaderName::Authority)? {
        None => seen(request, HeaderName::Host),
        authority => Ok(authority),
    }
}

/// The scheme that the request itself names.
fn scheme<'a>(request: &'a RequestHead, target: Option<&Target<'a>>) -> Result<&'a str, Hidden> {
    if let Some(scheme) = target.and_then(Target::scheme) {
        return Ok(scheme);
    }
    let is_tunnel = matches!(target, Some(Target::Authority(_)));
    if request.version != HttpVersion::Http2 || is_tunnel {
        return Ok("http");
    }
    let scheme = seen(request, HeaderName::Scheme)?;
    Ok(scheme.filter(|scheme| is_scheme(scheme)).unwrap_or("http"))
}

/// What a client knows of the server: the authority that it asks for, else the socket's peer.
pub(super) fn client(request: &RequestHead, peer: Option<&Peer>, attributes: &mut Attributes) {
    let target = target(request).ok();
    let Ok(named) = authority(request, target.as_ref()) else {
        attributes.unknown(&["server.address", "server.port", "url.full"]);
        return;
    };
    let named = named.and_then(Authority::parse);
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
    let scheme = scheme(request, target.as_ref());
    match (&scheme, authority.port) {
        (_, Some(port)) => attributes.number("server.port", port.into()),
        (Ok(scheme), None) => attributes.number("server.port", authority.port_for(scheme).into()),
        (Err(Hidden), None) => attributes.unknown(&["server.port"]),
    }
    match (scheme, target) {
        (Ok(scheme), Some(target)) => {
            attributes.text("url.full", &target::full(scheme, &authority, &target));
        }
        _ => attributes.unknown(&["url.full"]),
    }
}

/// What a server knows of how it was called: proxies' headers first, as they tell what the
/// client asked for. Where headers are hidden, theirs may be among them.
pub(super) fn server(request: &RequestHead, peer: Option<&Peer>, attributes: &mut Attributes) {
    let target = target(request).ok();
    if request.hidden {
        attributes.unknown(&[
            "url.scheme",
            "server.address",
            "server.port",
            "client.address",
        ]);
    } else {
        origin(request, target.as_ref(), peer, attributes);
    }
    if let Some(target) = target {
        attributes.text("url.path", target.path());
        if let Some(query) = target.query() {
            attributes.text("url.query", &target::redact_query(query));
        }
    } else {
        attributes.unknown(&["url.path", "url.query"]);
    }
    match seen(request, HeaderName::UserAgent) {
        Ok(Some(agent)) => attributes.text("user_agent.original", agent),
        Ok(None) => {}
        Err(Hidden) => attributes.unknown(&["user_agent.original"]),
    }
}

/// Who asked for which server, of a head that was seen whole.
fn origin<'a>(
    request: &'a RequestHead,
    target: Option<&Target<'a>>,
    peer: Option<&Peer>,
    attributes: &mut Attributes,
) {
    let scheme = forwarded::scheme(request).unwrap_or_else(|| {
        let scheme = scheme(request, target).unwrap_or("http");
        if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(scheme.to_ascii_lowercase())
        } else {
            Cow::Borrowed(scheme)
        }
    });
    attributes.text("url.scheme", &scheme);
    let host = forwarded::host(request).or_else(|| {
        let named = authority(request, target).ok().flatten();
        named.map(Cow::Borrowed)
    });
    if let Some(authority) = host.as_deref().and_then(Authority::parse) {
        attributes.text("server.address", authority.host);
        attributes.number("server.port", authority.port_for(&scheme).into());
    }
    if let Some(client) = forwarded::client(request) {
        attributes.text("client.address", &client);
    } else if let Some(peer) = peer {
        attributes.text("client.address", &peer.address);
    }
}
