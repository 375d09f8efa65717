//! What proxies tell of the original request: `Forwarded` (RFC 7239), else `X-Forwarded-*`.
//! Leftmost wins: it is the one nearest to the client.

use std::borrow::Cow;

use super::target::{is_scheme, split_port};
use crate::stream::exchange::{HeaderName, RequestHead};

/// Scheme that the client used, in lower case.
pub(super) fn scheme(request: &RequestHead) -> Option<Cow<'_, str>> {
    parameter(request, "proto")
        .or_else(|| leftmost(request, HeaderName::XForwardedProto).map(Cow::Borrowed))
        .filter(|scheme| is_scheme(scheme))
        .map(|scheme| match &*scheme {
            "http" => Cow::Borrowed("http"),
            "https" => Cow::Borrowed("https"),
            other => Cow::Owned(other.to_ascii_lowercase()),
        })
}

/// `Host` that the client sent, port included.
pub(super) fn host(request: &RequestHead) -> Option<Cow<'_, str>> {
    parameter(request, "host")
        .or_else(|| leftmost(request, HeaderName::XForwardedHost).map(Cow::Borrowed))
}

/// Address (or obfuscated identifier, RFC 7239 section 6.3) of the client, without port.
pub(super) fn client(request: &RequestHead) -> Option<Cow<'_, str>> {
    parameter(request, "for")
        .filter(|node| is_known(node))
        .or_else(|| {
            leftmost(request, HeaderName::XForwardedFor)
                .filter(|node| is_known(node))
                .map(Cow::Borrowed)
        })
        .map(|node| match node {
            Cow::Borrowed(node) => Cow::Borrowed(split_port(node).0),
            Cow::Owned(node) => Cow::Owned(split_port(&node).0.to_owned()),
        })
        .filter(|address| !address.is_empty())
}

/// RFC 7239 section 6.2.
fn is_known(node: &str) -> bool {
    !split_port(node).0.eq_ignore_ascii_case("unknown")
}

/// First entry of a comma-separated list.
fn leftmost(request: &RequestHead, name: HeaderName) -> Option<&str> {
    let first = request.header(name)?.split(',').next()?.trim();
    (!first.is_empty()).then_some(first)
}

/// First value of a parameter in the `Forwarded` headers. Borrows unless it has escapes.
fn parameter<'a>(request: &'a RequestHead, name: &str) -> Option<Cow<'a, str>> {
    request
        .headers
        .iter()
        .filter(|(other, _)| *other == HeaderName::Forwarded)
        .flat_map(|(_, value)| Pairs(value))
        .find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let value = unquote(value.trim());
            (key.trim().eq_ignore_ascii_case(name) && !value.is_empty()).then_some(value)
        })
}

/// The `key=value` pairs of all elements: split at `,` and `;` outside of quotes.
struct Pairs<'a>(&'a str);

impl<'a> Iterator for Pairs<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let end = self.0.bytes().position(|byte| {
            let ends = !quoted && matches!(byte, b',' | b';');
            if byte == b'"' && !escaped {
                quoted = !quoted;
            }
            escaped = quoted && byte == b'\\' && !escaped;
            ends
        });
        let pair = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or("", |end| &self.0[end + 1..]);
        Some(pair)
    }
}

fn unquote(value: &str) -> Cow<'_, str> {
    let Some(inner) = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return Cow::Borrowed(value);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' {
            characters.next()
        } else {
            Some(character)
        });
    }
    Cow::Owned(plain)
}
