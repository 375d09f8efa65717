//! What a message's head says, as far as someone needs it. Knows nothing of how it is read.

use compact_str::CompactString;

/// HTTP version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// Request headers that conventions and propagation need, values as on the wire without
/// surrounding white space, in order of appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderName {
    /// `Host`
    Host,
    /// `User-Agent`
    UserAgent,
    /// `Forwarded` (RFC 7239)
    Forwarded,
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `X-Forwarded-Host`
    XForwardedHost,
    /// `X-Forwarded-Proto`
    XForwardedProto,
    /// `traceparent` (W3C Trace Context)
    Traceparent,
    /// `tracestate` (W3C Trace Context)
    Tracestate,
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Method token as on the wire.
    pub method: CompactString,
    /// Request target as on the wire, lossy UTF-8.
    pub target: CompactString,
    /// Version.
    pub version: HttpVersion,
    /// The headers that someone needs, see [`HeaderName`].
    pub headers: Vec<(HeaderName, CompactString)>,
}

impl RequestHead {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value.as_str())
    }

    /// What the framing of its response depends on.
    #[must_use]
    pub fn answering(&self) -> Answering {
        match self.method.as_str() {
            "HEAD" => Answering::Head,
            "CONNECT" => Answering::Connect,
            _ => Answering::Other,
        }
    }
}

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
