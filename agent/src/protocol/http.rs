//! What HTTP messages say whatever their version (RFC 9110), as far as someone needs it. Knows
//! nothing of how they are read.

use compact_str::CompactString;

/// HTTP version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

/// Request headers that conventions and propagation need, values as on the wire without
/// surrounding white space, in order of appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderName {
    /// `:authority` (RFC 9113 section 8.3.1)
    Authority,
    /// `:scheme` (RFC 9113 section 8.3.1)
    Scheme,
    /// `:protocol` (RFC 8441): what an extended CONNECT asks for.
    Protocol,
    /// `Host`
    Host,
    /// `User-Agent`
    UserAgent,
    /// `Content-Type`
    ContentType,
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
    /// `grpc-timeout` (gRPC over HTTP/2)
    GrpcTimeout,
    /// `connect-protocol-version` (Connect protocol)
    ConnectProtocolVersion,
    /// `connect-timeout-ms` (Connect protocol)
    ConnectTimeout,
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Method token as on the wire; `None` where it was said by a reference to something that was
    /// never seen (HPACK).
    pub method: Option<CompactString>,
    /// Request target as on the wire, lossy UTF-8; `None` as for the method.
    pub target: Option<CompactString>,
    /// Version.
    pub version: HttpVersion,
    /// The headers that someone needs, see [`HeaderName`].
    pub headers: Vec<(HeaderName, CompactString)>,
    /// Headers were said by references to something that was never seen, or were not captured: any
    /// that is not here may have been among them.
    pub hidden: bool,
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
}

/// Bytes as text, what is not UTF-8 replaced. Nearly all of HTTP is; that is checked many times
/// faster than [`CompactString::from_utf8_lossy`] decodes it.
#[must_use]
pub(super) fn text(bytes: &[u8]) -> CompactString {
    str::from_utf8(bytes).map_or_else(
        |_| CompactString::from_utf8_lossy(bytes),
        CompactString::new,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_replaced() {
        assert_eq!(text(b""), "");
        assert_eq!(text("/caf\u{e9}".as_bytes()), "/caf\u{e9}");
        assert_eq!(text(b"/caf\xe9?x"), "/caf\u{fffd}?x");
    }
}
