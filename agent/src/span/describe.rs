//! An exchange as a span, as far as the exchange alone determines it: name, status and attributes
//! by the OpenTelemetry semantic conventions. Knows no ids, no parents, no clock.
//!
//! What is incomplete says so: `wirespan.truncated` (part of a head was not captured),
//! `wirespan.gap_bytes` (bytes that were needed and are missing), `wirespan.unknown` (names of
//! attributes that could not be known). What cannot be known is absent.

use compact_str::CompactString;

use super::{
    attributes::{Attributes, cut},
    http,
    model::{Attribute, Status},
    rpc, websocket,
};
use crate::stream::exchange::{Finished, Opened, Session};

/// What of the conventions can be configured.
#[derive(Clone, Debug)]
pub struct Conventions {
    pub(super) known_methods: Vec<CompactString>,
    pub(super) former_rpc_names: bool,
}

impl Default for Conventions {
    fn default() -> Self {
        Self {
            known_methods: http::METHODS.iter().map(|name| (*name).into()).collect(),
            former_rpc_names: false,
        }
    }
}

impl Conventions {
    /// Conventions with other known request methods, case-sensitive: what
    /// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` replaces the default by.
    #[must_use]
    pub fn with_known_methods(mut self, methods: &[String]) -> Self {
        self.known_methods = methods.iter().map(CompactString::from).collect();
        self
    }

    /// Conventions that give remote procedure calls the attributes of semantic conventions 1.37
    /// too, which most back ends still read: `rpc/dup` in `OTEL_SEMCONV_STABILITY_OPT_IN`.
    #[must_use]
    pub fn with_former_rpc_names(mut self) -> Self {
        self.former_rpc_names = true;
        self
    }
}

/// A span's parts that the exchange alone determines.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Of low cardinality.
    pub name: CompactString,
    /// By the conventions' rules for the kind.
    pub status: Status,
    /// What the wire says about the error beyond its code, empty if nothing.
    pub status_message: CompactString,
    /// Keys unique.
    pub attributes: Vec<Attribute>,
}

/// Describes exchanges. Remembers which remote procedures exist, within a limit.
#[derive(Debug)]
pub struct Describer {
    conventions: Conventions,
    procedures: rpc::Procedures,
}

impl Describer {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(conventions: Conventions) -> Self {
        Self {
            conventions,
            procedures: rpc::Procedures::default(),
        }
    }

    /// Describes a finished exchange.
    #[must_use]
    pub fn describe(&mut self, opened: &Opened, finished: &Finished) -> Description {
        let mut attributes = Attributes::new();
        let mut status_message = CompactString::default();
        let (name, status) = match &finished.session {
            Session::Plain => http::describe(&self.conventions, opened, finished, &mut attributes),
            Session::WebSocket(socket) => {
                websocket::describe(&self.conventions, opened, finished, socket, &mut attributes)
            }
            Session::Rpc(call) => {
                let call = rpc::Call {
                    opened,
                    finished,
                    rpc: call,
                };
                let described = rpc::describe(
                    &self.conventions,
                    &mut self.procedures,
                    call,
                    &mut attributes,
                );
                if described.1 == Status::Error {
                    status_message = cut(call.rpc.message.as_deref().unwrap_or_default()).into();
                }
                described
            }
        };
        if finished.truncated {
            attributes.value("wirespan.truncated", true);
        }
        if finished.gap_bytes > 0 {
            attributes.number("wirespan.gap_bytes", finished.gap_bytes);
        }
        Description {
            name,
            status,
            status_message,
            attributes: attributes.finish(),
        }
    }
}
