//! Header fields (RFC 9112 sections 5 and 6): which of them someone needs, and what they say of the
//! body's length. Knows neither start lines nor bodies.

use memchr::memchr;

use super::{
    body::Framing,
    lines::{LineEnds, near},
    message::{Invalid, RpcField},
};
use crate::protocol::http::{HeaderName, HttpVersion};

/// Who sent a head: how a fault in it is to be taken depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// A field that someone wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Keep(HeaderName),
    Rpc(RpcField),
    Upgrade,
    Expect,
    ContentLength,
    TransferEncoding,
}

/// The transfer codings, all fields together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Codings {
    /// No field.
    #[default]
    Absent,
    /// None but "identity", which RFC 2616 had for no coding at all.
    Identity,
    /// The last is `chunked`, and no other is.
    Chunked,
    /// The last is not `chunked`.
    Other,
    /// What no sender may say.
    Wrong,
}

/// What the fields say of the body's length.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    content_length: Option<Result<u64, Invalid>>,
    codings: Codings,
}

impl Lengths {
    /// RFC 9112 section 6.3. Where that leaves it to the server whether to refuse a request, the
    /// request is invalid: what follows it can be read in more than one way.
    pub(super) fn of_request(self, version: HttpVersion) -> Result<Framing, Invalid> {
        match (self.codings, self.content_length) {
            (Codings::Absent, Some(length)) => length.map(Framing::Length),
            (Codings::Absent, None) => Ok(Framing::None),
            (Codings::Chunked, _) if version != HttpVersion::Http10 => Ok(Framing::Chunked),
            _ => Err(Invalid::Framing),
        }
    }

    /// RFC 9112 section 6.3. "identity" is taken as what it meant.
    pub(super) fn of_response(self) -> Result<Framing, Invalid> {
        match (self.codings, self.content_length) {
            (Codings::Chunked, _) => Ok(Framing::Chunked),
            (Codings::Absent | Codings::Identity, Some(length)) => length.map(Framing::Length),
            (Codings::Absent | Codings::Identity, None) | (Codings::Other, _) => {
                Ok(Framing::UntilClose)
            }
            (Codings::Wrong, _) => Err(Invalid::Framing),
        }
    }

    fn add_content_length(&mut self, value: &[u8]) {
        // "5, 5" is what a recipient makes of the field said twice (RFC 9110 section 8.6).
        for part in value.split(|byte| *byte == b',') {
            let length = decimal(trim(part));
            self.content_length = match self.content_length {
                Some(known) if known != length => Some(Err(Invalid::Framing)),
                _ => Some(length),
            };
        }
    }

    fn add_transfer_encoding(&mut self, value: &[u8]) {
        if value
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            self.codings = Codings::Wrong;
            return;
        }
        if self.codings == Codings::Absent {
            self.codings = Codings::Identity;
        }
        let mut quoted = false;
        let codings = value.split(|byte| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        });
        for coding in codings {
            let coding = trim(coding);
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
                // "chunked, identity" is no way to say where a body ends.
                if !coding.is_empty() && self.codings == Codings::Chunked {
                    self.codings = Codings::Wrong;
                }
                continue;
            }
            // `chunked` is applied once, last, and has no parameters (RFC 9112 sections 6.1
            // and 7.1).
            let parameterised = memchr(b';', coding)
                .is_some_and(|at| trim(&coding[..at]).eq_ignore_ascii_case(b"chunked"));
            self.codings = match self.codings {
                Codings::Wrong | Codings::Chunked if is_chunked => Codings::Wrong,
                Codings::Wrong => Codings::Wrong,
                _ if parameterised => Codings::Wrong,
                _ if is_chunked => Codings::Chunked,
                _ => Codings::Other,
            };
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

/// Without optional white space (RFC 9110 section 5.6.3). Other control characters are no space:
/// a recipient that took them for it would see another length than one that does not.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The length decides before any byte is compared: most fields are passed over at once.
fn field(name: &[u8]) -> Option<Field> {
    let letter = |at: usize| name.get(at).map_or(0, |byte| byte | 0x20);
    let (field, wanted): (_, &[u8]) = match name.len() {
        4 => (Field::Keep(HeaderName::Host), b"host"),
        6 => (Field::Expect, b"expect"),
        7 => (Field::Upgrade, b"upgrade"),
        9 => (Field::Keep(HeaderName::Forwarded), b"forwarded"),
        10 if letter(0) == b'u' => (Field::Keep(HeaderName::UserAgent), b"user-agent"),
        10 => (Field::Keep(HeaderName::Tracestate), b"tracestate"),
        11 if letter(0) == b'g' => (Field::Rpc(RpcField::Status), b"grpc-status"),
        11 => (Field::Keep(HeaderName::Traceparent), b"traceparent"),
        12 if letter(0) == b'c' => (Field::Keep(HeaderName::ContentType), b"content-type"),
        12 if letter(5) == b'm' => (Field::Rpc(RpcField::Message), b"grpc-message"),
        12 => (Field::Keep(HeaderName::GrpcTimeout), b"grpc-timeout"),
        14 => (Field::ContentLength, b"content-length"),
        15 => (Field::Keep(HeaderName::XForwardedFor), b"x-forwarded-for"),
        16 => (Field::Keep(HeaderName::XForwardedHost), b"x-forwarded-host"),
        17 if letter(0) == b'x' => (
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
    let is_likely = wanted.first().is_some_and(|first| letter(0) == *first);
    (is_likely && name.eq_ignore_ascii_case(wanted)).then_some(field)
}

/// The field that a line's name is, when white space stands before the colon. A request that hides
/// a length so is refused, and a response is read without that space (RFC 9112 section 5.1).
fn spaced(name: &[u8], sender: Sender) -> Result<Option<Field>, Invalid> {
    let end = name
        .iter()
        .rposition(|byte| *byte > b' ')
        .map_or(0, |last| last + 1);
    match (field(name.get(..end).unwrap_or_default()), sender) {
        (Some(Field::ContentLength | Field::TransferEncoding), Sender::Client) => {
            Err(Invalid::Framing)
        }
        (_, Sender::Client) => Ok(None),
        (field, Sender::Server) => Ok(field),
    }
}

/// Walks the field lines. Those that are not fields are passed over: what the recipient makes of
/// them is its own affair, and its response will show it.
pub(super) fn fields(
    bytes: &[u8],
    sender: Sender,
    mut keep: impl FnMut(Field, &[u8]),
) -> Result<Lengths, Invalid> {
    let mut lengths = Lengths::default();
    let mut ends = LineEnds::from(bytes, 0);
    let mut from = 0;
    while let Some(end) = ends.next() {
        let line = line(bytes, from, end);
        from = end + 1;
        if line.is_empty() {
            break;
        }
        // obs-fold: a line that begins with white space goes on with the value before it.
        let mut folded = Vec::new();
        while let Some(b' ' | b'\t') = bytes.get(from)
            && let Some(end) = ends.next()
        {
            if folded.is_empty() {
                folded.extend_from_slice(line);
            }
            folded.push(b' ');
            folded.extend_from_slice(trim(self::line(bytes, from, end)));
            from = end + 1;
        }
        let line = if folded.is_empty() { line } else { &folded };
        if !line.first().is_some_and(|first| may_begin(*first)) {
            continue;
        }
        let Some(colon) = colon(line) else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let found = match name.last() {
            Some(0..=b' ') => spaced(name, sender)?,
            _ => field(name),
        };
        let Some(found) = found else {
            continue;
        };
        let value = trim(value.get(1..).unwrap_or_default());
        match found {
            Field::ContentLength => lengths.add_content_length(value),
            Field::TransferEncoding => lengths.add_transfer_encoding(value),
            field => keep(field, value),
        }
    }
    Ok(lengths)
}

/// The line between two places, without its CR.
fn line(bytes: &[u8], from: usize, end: usize) -> &[u8] {
    let line = bytes.get(from..end).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether the name of a field that someone wants begins so. Most lines are passed over by that.
fn may_begin(first: u8) -> bool {
    matches!(first | 0x20, b'c' | b'e'..=b'h' | b't' | b'u' | b'x')
}

/// The first colon. Names of fields that someone wants are near, others are looked for behind them.
fn colon(line: &[u8]) -> Option<usize> {
    near(line, b':').or_else(|| memchr(b':', line))
}
