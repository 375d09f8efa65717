//! What a message's head says, as far as someone needs it. Knows nothing of how it is read.

use compact_str::CompactString;

use crate::protocol::http::{self, HttpVersion, RequestHead};

/// The head of the final response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Version.
    pub version: HttpVersion,
    /// `Upgrade`: what the connection carries after a 101 (RFC 9110 section 7.8).
    pub upgrade: Option<Upgrade>,
    /// What it says of a remote procedure call, if anything.
    pub rpc: Option<Box<RpcFields>>,
}

/// A protocol that HTTP/1 hands a connection over to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// `websocket` (RFC 6455)
    WebSocket,
    /// `h2c` (RFC 7540 section 3.2; obsolete, but in use)
    H2c,
    /// Any other.
    Other,
}

impl Upgrade {
    /// What the field's value names first; `None` when it names nothing.
    pub(super) fn of(value: &[u8]) -> Option<Self> {
        let name = value
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .find(|name| !name.is_empty())?;
        Some(if name.eq_ignore_ascii_case(b"websocket") {
            Self::WebSocket
        } else if name.eq_ignore_ascii_case(b"h2c") {
            Self::H2c
        } else {
            Self::Other
        })
    }
}

/// What a response's head says of a remote procedure call (gRPC-Web, Connect).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcFields {
    /// `Content-Type`, when it is one of these protocols' own.
    pub content_type: Option<CompactString>,
    /// `grpc-status`, as on the wire.
    pub status: Option<CompactString>,
    /// `grpc-message`, as on the wire.
    pub message: Option<CompactString>,
}

/// A field of [`RpcFields`] that is kept whatever its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RpcField {
    Status,
    Message,
}

impl ResponseHead {
    pub(super) fn add_rpc(&mut self, field: RpcField, value: &[u8]) {
        let rpc = self.rpc.get_or_insert_default();
        let place = match field {
            RpcField::Status => &mut rpc.status,
            RpcField::Message => &mut rpc.message,
        };
        place.get_or_insert_with(|| http::text(value));
    }

    pub(super) fn add_content_type(&mut self, value: &[u8]) {
        let begins = |prefix: &[u8]| {
            value
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if begins(b"application/grpc") || begins(b"application/connect") {
            self.rpc
                .get_or_insert_default()
                .content_type
                .get_or_insert_with(|| http::text(value));
        }
    }
}

/// What of the request decides where its response ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answering {
    /// `HEAD`: the response has no body, whatever its head says.
    Head,
    /// `CONNECT`: after a 2xx response the connection is a tunnel.
    Connect,
    /// Any other method.
    #[default]
    Other,
}

impl Answering {
    /// What a request asks for.
    #[must_use]
    pub fn to(request: &RequestHead) -> Self {
        match request.method.as_deref() {
            Some("HEAD") => Self::Head,
            Some("CONNECT") => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// Why bytes are not an HTTP/1 message. What follows them cannot be found any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The first line is neither a request line nor a status line of HTTP/1.
    #[error("the bytes do not begin an HTTP/1 message")]
    StartLine,
    /// `Content-Length`, `Transfer-Encoding` or a chunk contradict themselves or the RFC.
    #[error("the length of an HTTP/1 message cannot be told")]
    Framing,
    /// A head, a chunk's size line or trailers are longer than the limit.
    #[error("a part of an HTTP/1 message is longer than the limit")]
    TooLong,
}
