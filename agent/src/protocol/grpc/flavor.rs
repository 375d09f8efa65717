//! Which RPC protocol a call speaks, by its content type. Knows nothing of its body.

/// The RPC protocols on HTTP whose calls can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// gRPC: messages with a prefix, status in trailers.
    Grpc,
    /// gRPC-Web: messages with a prefix, trailers as the last of them.
    GrpcWeb,
    /// gRPC-Web, all of it in base64.
    GrpcWebText,
    /// A unary call of Connect: a message is a body.
    ConnectUnary,
    /// A streaming call of Connect: messages with a prefix, the end as the last of them.
    ConnectStream,
}

impl Flavor {
    /// The protocol of a request or a response with this `content-type`. Unary calls of Connect
    /// have content types of others too (`application/json`), so they are told by
    /// `has_connect_version`: whether the request has `connect-protocol-version`.
    #[must_use]
    pub fn of(content_type: &str, has_connect_version: bool) -> Option<Self> {
        // Most types are others, and not taken apart.
        let begins = |prefix: &str| {
            let start = content_type.trim_ascii_start().as_bytes();
            let start = start.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        if !has_connect_version && !begins("application/grpc") && !begins("application/connect") {
            return None;
        }
        let essence = content_type.split(';').next()?.trim_ascii();
        // A type may say which codec messages have: "application/grpc+proto".
        let (protocol, codec) = match essence.split_once('+') {
            Some((protocol, codec)) => (protocol, Some(codec)),
            None => (essence, None),
        };
        let is = |name: &str| protocol.eq_ignore_ascii_case(name);
        if is("application/grpc") {
            Some(Self::Grpc)
        } else if is("application/grpc-web") {
            Some(Self::GrpcWeb)
        } else if is("application/grpc-web-text") {
            Some(Self::GrpcWebText)
        } else if is("application/connect") && codec.is_some() {
            Some(Self::ConnectStream)
        } else if has_connect_version {
            Some(Self::ConnectUnary)
        } else {
            None
        }
    }

    /// Whether it is Connect, whose conventions are others than gRPC's.
    #[must_use]
    pub fn is_connect(self) -> bool {
        matches!(self, Self::ConnectUnary | Self::ConnectStream)
    }
}
