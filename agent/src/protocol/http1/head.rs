//! Start lines and header fields (RFC 9112 sections 2 to 6), parsed in place. Knows nothing of
//! where the bytes came from or whether more will come.

use std::borrow::Cow;

use memchr::{memchr, memrchr};

use super::{
    body::Framing,
    message::{Answering, Invalid, ResponseHead},
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
    while let Some(feed) = memchr(b'\n', bytes.get(at..)?) {
        at += feed + 1;
        match &bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Parses a request's head; lines that are not whole are left out.
pub(super) fn request(bytes: &[u8]) -> Result<(RequestHead, Framing), Invalid> {
    let (line, rest) = split_line(bytes).ok_or(Invalid::StartLine)?;
    let (method, target, version) = request_line(line)?;
    let mut headers = Vec::new();
    let lengths = fields(rest, |name, value| {
        if headers.len() < MAX_KEPT {
            headers.push((name, http::text(value)));
        }
    });
    let head = RequestHead {
        method: Some(http::text(method)),
        target: Some(http::text(target)),
        version,
        headers,
        hidden: false,
    };
    Ok((head, lengths.of_request()?))
}

/// Parses a response's head; lines that are not whole are left out.
pub(super) fn response(
    bytes: &[u8],
    answering: Answering,
) -> Result<(ResponseHead, Framing), Invalid> {
    let (line, rest) = split_line(bytes).ok_or(Invalid::StartLine)?;
    let head = status_line(line)?;
    let framing = match (head.status, answering) {
        (101, _) | (200..=299, Answering::Connect) => Framing::Handover,
        (100..=199 | 204 | 304, _) | (_, Answering::Head) => Framing::None,
        _ => fields(rest, |_, _| {}).of_response()?,
    };
    Ok((head, framing))
}

/// The next line without its end, and what follows.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let feed = memchr(b'\n', bytes)?;
    let line = &bytes[..feed];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[feed + 1..]))
}

fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], HttpVersion), Invalid> {
    let line = line.trim_ascii_end();
    let first = memchr(b' ', line).ok_or(Invalid::StartLine)?;
    let last = memrchr(b' ', line).ok_or(Invalid::StartLine)?;
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

fn status_line(line: &[u8]) -> Result<ResponseHead, Invalid> {
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
    Ok(ResponseHead { status, version })
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

/// What the fields say of the body's length.
#[derive(Default)]
struct Lengths {
    content_length: Option<Result<u64, Invalid>>,
    /// Whether the last transfer coding is `chunked`.
    chunked: Option<bool>,
}

impl Lengths {
    fn of_request(self) -> Result<Framing, Invalid> {
        match (self.chunked, self.content_length) {
            (Some(true), _) => Ok(Framing::Chunked),
            (Some(false), _) => Err(Invalid::Framing),
            (None, Some(length)) => length.map(Framing::Length),
            (None, None) => Ok(Framing::None),
        }
    }

    fn of_response(self) -> Result<Framing, Invalid> {
        match (self.chunked, self.content_length) {
            (Some(true), _) => Ok(Framing::Chunked),
            (None, Some(length)) => length.map(Framing::Length),
            (Some(false), _) | (None, None) => Ok(Framing::UntilClose),
        }
    }

    fn add_content_length(&mut self, value: &[u8]) {
        // "5, 5" is what a recipient makes of the field said twice (RFC 9110 section 8.6).
        for part in value.split(|byte| *byte == b',') {
            let length = decimal(part.trim_ascii());
            self.content_length = match self.content_length {
                Some(known) if known != length => Some(Err(Invalid::Framing)),
                _ => Some(length),
            };
        }
    }

    fn add_transfer_encoding(&mut self, value: &[u8]) {
        for coding in value.split(|byte| *byte == b',') {
            let name = coding
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default();
            let name = name.trim_ascii();
            // "identity" was RFC 2616's word for no coding at all.
            if !name.is_empty() && !name.eq_ignore_ascii_case(b"identity") {
                self.chunked = Some(name.eq_ignore_ascii_case(b"chunked"));
            }
        }
    }
}

fn decimal(digits: &[u8]) -> Result<u64, Invalid> {
    if digits.is_empty() {
        return Err(Invalid::Framing);
    }
    digits.iter().try_fold(0u64, |value, digit| {
        if !digit.is_ascii_digit() {
            return Err(Invalid::Framing);
        }
        value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')))
            .ok_or(Invalid::Framing)
    })
}

/// Who wants a field.
enum Field {
    Keep(HeaderName),
    ContentLength,
    TransferEncoding,
}

/// The length decides before any byte is compared: most fields are passed over at once.
fn field(name: &[u8]) -> Option<Field> {
    let (field, wanted): (_, &[u8]) = match name.len() {
        4 => (Field::Keep(HeaderName::Host), b"host"),
        9 => (Field::Keep(HeaderName::Forwarded), b"forwarded"),
        10 if name[0] | 0x20 == b'u' => (Field::Keep(HeaderName::UserAgent), b"user-agent"),
        10 => (Field::Keep(HeaderName::Tracestate), b"tracestate"),
        11 => (Field::Keep(HeaderName::Traceparent), b"traceparent"),
        12 if name[0] | 0x20 == b'c' => (Field::Keep(HeaderName::ContentType), b"content-type"),
        12 => (Field::Keep(HeaderName::GrpcTimeout), b"grpc-timeout"),
        14 => (Field::ContentLength, b"content-length"),
        15 => (Field::Keep(HeaderName::XForwardedFor), b"x-forwarded-for"),
        16 => (Field::Keep(HeaderName::XForwardedHost), b"x-forwarded-host"),
        17 if name[0] | 0x20 == b'x' => (
            Field::Keep(HeaderName::XForwardedProto),
            b"x-forwarded-proto",
        ),
        17 => (Field::TransferEncoding, b"transfer-encoding"),
        18 => (
            Field::Keep(HeaderName::ConnectTimeout),
            b"connect-timeout-ms",
        ),
        24 => (
            Field::Keep(HeaderName::ConnectProtocolVersion),
            b"connect-protocol-version",
        ),
        _ => return None,
    };
    name.eq_ignore_ascii_case(wanted).then_some(field)
}

/// Walks the field lines. Those that are not fields are passed over: what the recipient makes of
/// them is its own affair, and its response will show it.
fn fields(mut bytes: &[u8], mut keep: impl FnMut(HeaderName, &[u8])) -> Lengths {
    let mut lengths = Lengths::default();
    while let Some((line, mut rest)) = split_line(bytes) {
        if line.is_empty() {
            break;
        }
        let mut line = Cow::Borrowed(line);
        // obs-fold: a line that begins with white space goes on with the value before it.
        while let [b' ' | b'\t', ..] = rest
            && let Some((more, after)) = split_line(rest)
        {
            let line = line.to_mut();
            line.push(b' ');
            line.extend_from_slice(more.trim_ascii());
            rest = after;
        }
        bytes = rest;
        let Some(colon) = memchr(b':', &line) else {
            continue;
        };
        let value = line[colon + 1..].trim_ascii();
        match field(line[..colon].trim_ascii_end()) {
            Some(Field::Keep(name)) => keep(name, value),
            Some(Field::ContentLength) => lengths.add_content_length(value),
            Some(Field::TransferEncoding) => lengths.add_transfer_encoding(value),
            None => {}
        }
    }
    lengths
}
