//! Start lines and whole heads (RFC 9112 sections 2 to 4), parsed in place. Knows nothing of where
//! the bytes came from or whether more will come.

use compact_str::CompactString;
use memchr::{memchr, memchr2};

use super::{
    body::Framing,
    fields::{Field, Sender, fields},
    lines::LineEnds,
    message::{Answering, Invalid, ResponseHead, Upgrade},
};
use crate::protocol::http::{self, HeaderName, HttpVersion, RequestHead};

/// Longest method that is believed. The longest registered one has 17 characters.
const MAX_METHOD: usize = 64;

/// Headers that are kept of one request at most; a request that repeats them is not worth more.
const MAX_KEPT: usize = 64;

/// Whether bytes can be the beginning of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// They cannot.
    No,
    /// They can, but the start line is not whole.
    Partly,
    /// The start line is whole and right.
    Yes,
}

/// Headers that are kept of most requests at most.
const USUALLY_KEPT: usize = 4;

/// Whether `bytes` can be the beginning of a request.
#[must_use]
pub fn like_request(bytes: &[u8]) -> Likeness {
    let bytes = without_empty_lines(bytes);
    if let Some(end) = memchr(b'\n', bytes) {
        return match request_line(&bytes[..end]) {
            Ok(_) => Likeness::Yes,
            Err(_) => Likeness::No,
        };
    }
    let method = bytes.iter().take_while(|byte| is_token(**byte)).count();
    let fits = match bytes.get(method) {
        None => method <= MAX_METHOD,
        Some(b' ') => {
            (1..=MAX_METHOD).contains(&method)
                && bytes[method + 1..]
                    .iter()
                    .all(|byte| is_target(*byte) || *byte == b'\r')
        }
        Some(_) => false,
    };
    if fits { Likeness::Partly } else { Likeness::No }
}

/// Methods that are registered and in use (RFC 9110 section 18.2, RFC 4918, RFC 5789 and others).
const REGISTERED: [&[u8]; 17] = [
    b"GET",
    b"POST",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"PATCH",
    b"OPTIONS",
    b"CONNECT",
    b"TRACE",
    b"QUERY",
    b"PROPFIND",
    b"PROPPATCH",
    b"REPORT",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
];

/// Whether `bytes` can be the beginning of a request of a registered method. For places where a
/// message need not begin: the rest of a request line looks like one of another method.
#[must_use]
pub fn like_registered_request(bytes: &[u8]) -> Likeness {
    let line = without_empty_lines(bytes);
    let is_registered = match memchr(b' ', line) {
        Some(end) => REGISTERED.contains(&&line[..end]),
        None => REGISTERED.iter().any(|method| method.starts_with(line)),
    };
    if is_registered {
        like_request(bytes)
    } else {
        Likeness::No
    }
}

/// Beginning of a status line; `d` stands for a digit.
const STATUS_LINE: &[u8] = b"HTTP/1.d ddd";

/// Whether `bytes` can be the beginning of a response.
#[must_use]
pub fn like_response(bytes: &[u8]) -> Likeness {
    let bytes = without_empty_lines(bytes);
    if let Some(end) = memchr(b'\n', bytes) {
        return match status_line(&bytes[..end]) {
            Ok(_) => Likeness::Yes,
            Err(_) => Likeness::No,
        };
    }
    let fits = bytes
        .iter()
        .zip(STATUS_LINE)
        .all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            _ => byte == shape,
        });
    if fits { Likeness::Partly } else { Likeness::No }
}

/// Empty lines before a start line are tolerated (RFC 9112 section 2.2).
fn without_empty_lines(bytes: &[u8]) -> &[u8] {
    let empty = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    &bytes[empty..]
}

/// Length of the head at the start of `bytes`, its empty line included, if that is there.
/// The last line before `from` must be known not to end the head.
pub(super) fn head_length(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(window) = bytes.get(at..)?.first_chunk::<WINDOW>() {
        if has_blank_line(window) {
            break;
        }
        at += WINDOW - 2;
    }
    LineEnds::from(bytes, at).find_map(|feed| match bytes.get(feed + 1..)? {
        [b'\n', ..] => Some(feed + 2),
        [b'\r', b'\n', ..] => Some(feed + 3),
        _ => None,
    })
}

/// Bytes in which a blank line is looked for at once; the last two are looked at twice.
const WINDOW: usize = 34;

/// Whether a line in the window ends in front of a blank one. Looks at all places, so that the
/// compiler can look at many at a time.
#[inline]
fn has_blank_line(window: &[u8; WINDOW]) -> bool {
    let (first, second, third) = (&window[..WINDOW - 2], &window[1..WINDOW - 1], &window[2..]);
    let found = first.iter().zip(second).zip(third);
    let is = |one: &u8, byte| u8::from(*one == byte);
    let found = found.map(|((first, second), third)| {
        let is_blank = is(second, b'\n') | is(second, b'\r') & is(third, b'\n');
        is(first, b'\n') & is_blank
    });
    found.fold(0, |found, one| found | one) != 0
}

/// A request's head, and what else was in it.
#[derive(Debug)]
pub(super) struct ParsedRequest {
    pub(super) head: RequestHead,
    pub(super) framing: Framing,
    /// `Expect: 100-continue` (RFC 9110 section 10.1.1)
    pub(super) expects: bool,
}

/// Parses a request's head; lines that are not whole are left out.
pub(super) fn request(bytes: &[u8]) -> Result<ParsedRequest, Invalid> {
    let (line, rest) = split_line(bytes).ok_or(Invalid::StartLine)?;
    let (method, target, version) = request_line(line)?;
    let mut headers = Vec::with_capacity(USUALLY_KEPT);
    let mut expects = false;
    let mut hosts = Hosts::None;
    let lengths = fields(rest, Sender::Client, |field, value| match field {
        Field::Keep(name) if headers.len() < MAX_KEPT => {
            let value = text(value);
            if name == HeaderName::Host {
                hosts.add(&headers, &value);
            }
            headers.push((name, value));
        }
        Field::Expect => expects |= value.eq_ignore_ascii_case(b"100-continue"),
        _ => {}
    })?;
    if hosts == Hosts::Differ {
        // Whom the request is for cannot be told (RFC 9112 section 3.2 has it refused).
        headers.retain(|(name, _)| *name != HeaderName::Host);
    }
    let head = RequestHead {
        method: Some(http::text(method)),
        target: Some(http::text(target)),
        version,
        headers,
        hidden: false,
    };
    Ok(ParsedRequest {
        head,
        framing: lengths.of_request(version)?,
        expects,
    })
}

/// What the `Host` fields say together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hosts {
    None,
    Same,
    Differ,
}

impl Hosts {
    fn add(&mut self, before: &[(HeaderName, CompactString)], value: &str) {
        let same = before
            .iter()
            .all(|(name, other)| *name != HeaderName::Host || other.eq_ignore_ascii_case(value));
        *self = match *self {
            Self::None => Self::Same,
            Self::Same if same => Self::Same,
            _ => Self::Differ,
        };
    }
}

/// A value as text. NUL and CR stand for spaces (RFC 9110 section 5.5).
fn text(value: &[u8]) -> CompactString {
    let text = http::text(value);
    if memchr2(0, b'\r', value).is_none() {
        return text;
    }
    text.chars()
        .map(|one| if matches!(one, '\0' | '\r') { ' ' } else { one })
        .collect()
}

/// Parses a response's head; lines that are not whole are left out.
pub(super) fn response(
    bytes: &[u8],
    answering: Answering,
) -> Result<(ResponseHead, Framing), Invalid> {
    let (line, rest) = split_line(bytes).ok_or(Invalid::StartLine)?;
    let (status, version) = status_line(line)?;
    let mut head = ResponseHead {
        status,
        version,
        upgrade: None,
        rpc: None,
    };
    let lengths = fields(rest, Sender::Server, |field, value| match field {
        Field::Upgrade => head.upgrade = head.upgrade.or(Upgrade::of(value)),
        Field::Rpc(field) => head.add_rpc(field, value),
        Field::Keep(HeaderName::ContentType) => head.add_content_type(value),
        _ => {}
    });
    let framing = match (status, answering) {
        (101, _) | (200..=299, Answering::Connect) => Framing::Handover,
        (100..=199 | 204 | 304, _) | (_, Answering::Head) => Framing::None,
        _ => lengths?.of_response()?,
    };
    Ok((head, framing))
}

/// The next line without its end, and what follows.
pub(super) fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let feed = memchr(b'\n', bytes)?;
    let line = &bytes[..feed];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[feed + 1..]))
}

fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], HttpVersion), Invalid> {
    let line = line.trim_ascii_end();
    let is_space = |byte: &u8| *byte == b' ';
    let first = line.iter().position(is_space).ok_or(Invalid::StartLine)?;
    let last = line.iter().rposition(is_space).ok_or(Invalid::StartLine)?;
    let method = &line[..first];
    let target = line.get(first + 1..last).unwrap_or_default().trim_ascii();
    let valid = (1..=MAX_METHOD).contains(&method.len())
        && method.iter().all(|byte| is_token(*byte))
        && !target.is_empty()
        && target.iter().all(|byte| is_target(*byte));
    if !valid {
        return Err(Invalid::StartLine);
    }
    Ok((method, target, version(&line[last + 1..])?))
}

fn status_line(line: &[u8]) -> Result<(u16, HttpVersion), Invalid> {
    let line = line.trim_ascii_end();
    let (name, rest) = line.split_at_checked(8).ok_or(Invalid::StartLine)?;
    let version = version(name)?;
    let [b' ', status @ ..] = rest else {
        return Err(Invalid::StartLine);
    };
    let (digits, reason) = status.split_at_checked(3).ok_or(Invalid::StartLine)?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(reason, [] | [b' ', ..]) {
        return Err(Invalid::StartLine);
    }
    let status = digits
        .iter()
        .fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    if status < 100 {
        return Err(Invalid::StartLine);
    }
    Ok((status, version))
}

/// A higher minor version is read as the highest that is known (RFC 9110 section 2.5).
fn version(name: &[u8]) -> Result<HttpVersion, Invalid> {
    match name.strip_prefix(b"HTTP/1.") {
        Some(b"0") => Ok(HttpVersion::Http10),
        Some([b'1'..=b'9']) => Ok(HttpVersion::Http11),
        _ => Err(Invalid::StartLine),
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What servers let pass in a target, spaces included (RFC 9112 section 3 allows to be lenient).
fn is_target(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}
