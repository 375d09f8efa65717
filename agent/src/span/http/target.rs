//! Request targets (RFC 9112 section 3.2), authorities (RFC 3986 section 3.2) and the redaction
//! of URLs. Knows no headers, no attributes.

use std::borrow::Cow;

use compact_str::{CompactString, ToCompactString};
use memchr::memchr;

/// Query parameters whose values are credentials, as the conventions for `url.full` list them.
/// Case-sensitive.
const SECRET_PARAMETERS: [&str; 7] = [
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Goog-Signature",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
];

const REDACTED: &str = "REDACTED";

/// A request target, without its fragment (which has no place there).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::span) enum Target<'a> {
    /// `/path?query`
    Origin(&'a str),
    /// `http://host/path?query`, to a proxy.
    Absolute {
        /// Scheme as written.
        scheme: &'a str,
        /// Authority as written.
        authority: &'a str,
        /// What follows the authority, maybe empty.
        rest: &'a str,
    },
    /// `host:port` of CONNECT.
    Authority(&'a str),
    /// `*` of OPTIONS.
    Asterisk,
}

impl<'a> Target<'a> {
    pub(super) fn parse(method: &str, target: &'a str) -> Self {
        let target = split_once(target, b'#').map_or(target, |(before, _)| before);
        if target == "*" {
            return Self::Asterisk;
        }
        if target.starts_with('/') {
            return Self::Origin(target);
        }
        if method == "CONNECT" {
            return Self::Authority(target);
        }
        match target.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at(end);
                Self::Absolute {
                    scheme,
                    authority,
                    rest,
                }
            }
            _ => Self::Origin(target),
        }
    }

    pub(in crate::span) fn scheme(&self) -> Option<&'a str> {
        match self {
            Self::Absolute { scheme, .. } => Some(scheme),
            _ => None,
        }
    }

    pub(in crate::span) fn authority(&self) -> Option<&'a str> {
        match self {
            Self::Absolute { authority, .. } | Self::Authority(authority) => Some(authority),
            _ => None,
        }
    }

    /// The path; `/` where an absolute target has none, `*` as written, empty for CONNECT.
    pub(in crate::span) fn path(&self) -> &'a str {
        match self {
            Self::Origin(rest) => split_query(rest).0,
            Self::Absolute { rest, .. } => match split_query(rest).0 {
                "" => "/",
                path => path,
            },
            Self::Authority(_) => "",
            Self::Asterisk => "*",
        }
    }

    /// The query, without `?`; `None` where it is empty.
    pub(super) fn query(&self) -> Option<&'a str> {
        match self {
            Self::Origin(rest) | Self::Absolute { rest, .. } => split_query(rest).1,
            Self::Authority(_) | Self::Asterisk => None,
        }
    }
}

fn split_query(rest: &str) -> (&str, Option<&str>) {
    match split_once(rest, b'?') {
        Some((path, query)) => (path, Some(query).filter(|query| !query.is_empty())),
        None => (rest, None),
    }
}

/// RFC 3986 section 3.1.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A host and maybe a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::span) struct Authority<'a> {
    /// Name or address; an IPv6 literal without its brackets.
    pub(in crate::span) host: &'a str,
    /// `None` where there is none or no valid one.
    pub(in crate::span) port: Option<u16>,
    /// User information was there, and is dropped.
    pub(super) credentials: bool,
}

impl<'a> Authority<'a> {
    /// `None` when there is no host.
    pub(in crate::span) fn parse(text: &'a str) -> Option<Self> {
        let (credentials, text) = match text.bytes().rposition(|byte| byte == b'@') {
            Some(at) => (true, &text[at + 1..]),
            None => (false, text),
        };
        let (host, port) = split_port(text.trim());
        (!host.is_empty()).then(|| Self {
            host,
            port: port
                .and_then(|port| port.parse().ok())
                .filter(|port| *port > 0),
            credentials,
        })
    }

    /// The port, or the scheme's default.
    pub(super) fn port_for(&self, scheme: &str) -> u16 {
        self.port.unwrap_or_else(|| default_port(scheme))
    }
}

/// Splits `host:port`, `[v6]:port`, and the bare `v6` that some proxies write.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some(literal) = text.strip_prefix('[') {
        return match literal.split_once(']') {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => (literal, None),
        };
    }
    match split_once(text, b':') {
        Some((host, port)) if !port.as_bytes().contains(&b':') => (host, Some(port)),
        _ => (text, None),
    }
}

/// As the method of `str`, which searches for a character one part of it at a time.
fn split_once(text: &str, delimiter: u8) -> Option<(&str, &str)> {
    let at = memchr(delimiter, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn default_port(scheme: &str) -> u16 {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") => 443,
        _ => 80,
    }
}

/// The value of `url.full`: credentials and secret parameters redacted. The port is left out
/// where it is the scheme's own and was not written.
pub(super) fn full(scheme: &str, authority: &Authority<'_>, target: &Target<'_>) -> CompactString {
    let (path, query) = match target {
        // Neither form has a path (RFC 9112 section 3.3).
        Target::Authority(_) | Target::Asterisk => ("", None),
        Target::Origin(_) | Target::Absolute { .. } => (target.path(), target.query()),
    };
    let length = authority.host.len() + path.len() + query.map_or(0, str::len);
    let mut url = CompactString::with_capacity(scheme.len() + length + 40);
    url.push_str(scheme);
    url.push_str("://");
    if authority.credentials {
        url.push_str("REDACTED:REDACTED@");
    }
    if authority.host.contains(':') {
        url.push('[');
        url.push_str(authority.host);
        url.push(']');
    } else {
        url.push_str(authority.host);
    }
    if let Some(port) = authority.port {
        url.push(':');
        url.push_str(&port.to_compact_string());
    }
    url.push_str(path);
    if let Some(query) = query {
        url.push('?');
        url.push_str(&redact_query(query));
    }
    url
}

/// Replaces the values of secret parameters; the keys stay.
pub(super) fn redact_query(query: &str) -> Cow<'_, str> {
    if !has_secret(query) {
        return Cow::Borrowed(query);
    }
    let mut redacted = String::with_capacity(query.len() + REDACTED.len());
    for (index, pair) in query.split('&').enumerate() {
        if index > 0 {
            redacted.push('&');
        }
        match pair.split_once('=') {
            Some((key, _)) if SECRET_PARAMETERS.contains(&key) => {
                redacted.push_str(key);
                redacted.push('=');
                redacted.push_str(REDACTED);
            }
            _ => redacted.push_str(pair),
        }
    }
    Cow::Owned(redacted)
}

/// Whether a parameter's value is a credential. Of nearly all parameters the first letter says no.
fn has_secret(query: &str) -> bool {
    let mut rest = query;
    loop {
        if matches!(rest.as_bytes().first(), Some(b'A' | b'S' | b's' | b'X')) {
            let pair = split_once(rest, b'&').map_or(rest, |(pair, _)| pair);
            if split_once(pair, b'=').is_some_and(|(key, _)| SECRET_PARAMETERS.contains(&key)) {
                return true;
            }
        }
        match split_once(rest, b'&') {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
}
