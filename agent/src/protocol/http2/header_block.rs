//! What a header block says, as far as someone needs it, and what of it is unknown.
//! Knows no frames.

use compact_str::CompactString;

use crate::protocol::{
    hpack::{self, Field},
    http::text,
};

/// Fields that are kept of one block at most; a block that repeats them is not worth more.
const MAX_KEPT: usize = 64;

/// The bits of the pseudo-header fields, which come before all others (RFC 9113 section 8.3).
const PSEUDO: u32 = FieldName::Method.bit()
    | FieldName::Path.bit()
    | FieldName::Scheme.bit()
    | FieldName::Authority.bit()
    | FieldName::Protocol.bit()
    | FieldName::Status.bit();

/// Fields that are kept of a request as a rule.
const USUALLY_KEPT: usize = 12;

/// Fields that conventions, propagation, gRPC and Connect need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FieldName {
    /// `:method`
    Method,
    /// `:path`
    Path,
    /// `:scheme`
    Scheme,
    /// `:authority`
    Authority,
    /// `:protocol` (RFC 8441)
    Protocol,
    /// `:status`
    Status,
    /// `host`
    Host,
    /// `user-agent`
    UserAgent,
    /// `content-type`
    ContentType,
    /// `content-length`
    ContentLength,
    /// `te`
    Te,
    /// `grpc-status`
    GrpcStatus,
    /// `grpc-message`
    GrpcMessage,
    /// `grpc-timeout`
    GrpcTimeout,
    /// `grpc-encoding`
    GrpcEncoding,
    /// `connect-protocol-version`
    ConnectProtocolVersion,
    /// `connect-timeout-ms`
    ConnectTimeoutMs,
    /// `forwarded` (RFC 7239)
    Forwarded,
    /// `x-forwarded-for`
    XForwardedFor,
    /// `x-forwarded-host`
    XForwardedHost,
    /// `x-forwarded-proto`
    XForwardedProto,
    /// `traceparent` (W3C Trace Context)
    Traceparent,
    /// `tracestate` (W3C Trace Context)
    Tracestate,
}

impl FieldName {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":protocol" => Self::Protocol,
            b":status" => Self::Status,
            b"host" => Self::Host,
            b"user-agent" => Self::UserAgent,
            b"content-type" => Self::ContentType,
            b"content-length" => Self::ContentLength,
            b"te" => Self::Te,
            b"grpc-status" => Self::GrpcStatus,
            b"grpc-message" => Self::GrpcMessage,
            b"grpc-timeout" => Self::GrpcTimeout,
            b"grpc-encoding" => Self::GrpcEncoding,
            b"connect-protocol-version" => Self::ConnectProtocolVersion,
            b"connect-timeout-ms" => Self::ConnectTimeoutMs,
            b"forwarded" => Self::Forwarded,
            b"x-forwarded-for" => Self::XForwardedFor,
            b"x-forwarded-host" => Self::XForwardedHost,
            b"x-forwarded-proto" => Self::XForwardedProto,
            b"traceparent" => Self::Traceparent,
            b"tracestate" => Self::Tracestate,
            _ => return None,
        })
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// What is known of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The block has it, with this value.
    Known(&'a str),
    /// The block does not have it.
    Absent,
    /// The block has it with a value that cannot be known, or it cannot be known whether it has it.
    Unknown,
}

impl<'a> Value<'a> {
    /// The value, if it is known.
    #[must_use]
    pub fn known(self) -> Option<&'a str> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// A decoded header block or trailer section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderBlock {
    /// The fields that someone needs and whose value is known, in order of appearance; values as
    /// on the wire, lossy UTF-8.
    pub fields: Vec<(FieldName, CompactString)>,
    /// Whether at least one field's name is unknown, so that a field that is not here may be
    /// there all the same.
    pub hidden: bool,
    /// Whether a part of the block was not captured, or was too long to be read.
    pub truncated: bool,
    /// Why the block could not be decoded. Then no field is kept and everything is hidden.
    pub error: Option<hpack::Invalid>,
    /// Names that may be there with a value that is unknown, as bits.
    unknown: u32,
    /// Whether the pseudo-header fields are over.
    is_behind_pseudo: bool,
}

impl HeaderBlock {
    pub(super) fn new() -> Self {
        Self {
            fields: Vec::with_capacity(USUALLY_KEPT),
            ..Self::default()
        }
    }

    /// The first value of a field.
    #[must_use]
    pub fn get(&self, name: FieldName) -> Value<'_> {
        match self.all(name).next() {
            Some(value) => Value::Known(value),
            None if self.unknown & name.bit() != 0 => Value::Unknown,
            None => Value::Absent,
        }
    }

    /// Whether any field may be there with a value that is unknown.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.unknown != 0
    }

    /// All known values of a field.
    pub fn all(&self, name: FieldName) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(other, _)| *other == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn add(&mut self, field: Field<'_>) {
        let Some(name) = field.name else {
            self.hidden = true;
            self.hide();
            return;
        };
        self.is_behind_pseudo |= !name.starts_with(b":");
        match (FieldName::of(name), field.value) {
            (Some(name), Some(value)) if self.fields.len() < MAX_KEPT => {
                let value = field.text.map_or_else(|| text(value), CompactString::new);
                self.fields.push((name, value));
            }
            (Some(name), _) => self.unknown |= name.bit(),
            (None, _) => {}
        }
    }

    /// The rest of the block is missing.
    pub(super) fn truncate(&mut self) {
        self.truncated = true;
        self.hide();
    }

    /// What is left of a block that cannot be decoded.
    pub(super) fn undecodable(error: hpack::Invalid) -> Self {
        Self {
            hidden: true,
            error: Some(error),
            unknown: u32::MAX,
            ..Self::default()
        }
    }

    /// Any field that can still come may have come unseen.
    fn hide(&mut self) {
        self.unknown |= if self.is_behind_pseudo {
            !PSEUDO
        } else {
            u32::MAX
        };
    }
}
