//! What a message's head says, as far as someone needs it. Knows nothing of how it is read.

use crate::protocol::http::{HttpVersion, RequestHead};

/// The head of the final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Version.
    pub version: HttpVersion,
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
