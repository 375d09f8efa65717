//! What a span is, independent of how it is exported.

use std::sync::Arc;

use compact_str::CompactString;

/// W3C trace id: 16 bytes, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// W3C parent id: 8 bytes, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

/// OpenTelemetry's span kind, as far as the wire shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The accepting end of an exchange.
    Server,
    /// The connecting end of an exchange.
    Client,
}

/// OpenTelemetry's span status. `Ok` is never set by instrumentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing to report.
    #[default]
    Unset,
    /// The operation failed.
    Error,
}

/// The span that this one is a child of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub span_id: SpanId,
    /// True when the context came in a header (OTLP: `is_remote`).
    pub remote: bool,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Str(CompactString),
    /// A signed integer.
    Int(i64),
    /// A floating-point number, finite.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// A list of strings.
    List(Vec<CompactString>),
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.into())
    }
}

impl From<CompactString> for Value {
    fn from(value: CompactString) -> Self {
        Self::Str(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// An attribute: keys are those of the semantic conventions, or `wirespan.*`.
pub type Attribute = (&'static str, Value);

/// The process that a span belongs to, as OpenTelemetry resource attributes.
#[derive(Debug, PartialEq)]
pub struct Resource {
    /// `service.name`, repeated from `attributes` for those who show it.
    pub service_name: CompactString,
    /// All attributes, `service.name` included. Keys may come from the traced process'
    /// environment, so they are owned.
    pub attributes: Vec<(CompactString, Value)>,
}

/// A finished span whose parent is settled.
#[derive(Clone, Debug)]
pub struct Span {
    /// Trace that it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// Its parent, `None` for a root.
    pub parent: Option<Parent>,
    /// W3C trace flags (bit 0 sampled, bit 1 random trace id).
    pub trace_flags: u8,
    /// W3C `tracestate` as received, empty if there was none.
    pub trace_state: CompactString,
    /// Kind.
    pub kind: Kind,
    /// Name, of low cardinality.
    pub name: CompactString,
    /// Start, nanoseconds since the Unix epoch.
    pub start: u64,
    /// End, nanoseconds since the Unix epoch, not before `start`.
    pub end: u64,
    /// Status.
    pub status: Status,
    /// What the wire says about the error beyond its code, empty if nothing.
    pub status_message: CompactString,
    /// Attributes, keys unique.
    pub attributes: Vec<Attribute>,
    /// Who made it.
    pub resource: Arc<Resource>,
}
