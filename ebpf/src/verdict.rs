//! What the agent tells the kernel programs of a socket. Knows neither sockets nor maps.

/// What a socket carries, by the agent's judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// Nothing of it is wanted.
    Ignore = 1,
    /// HTTP/2 from some frame on (RFC 9113 section 4): frames are walked.
    Http2 = 2,
    /// `WebSocket` from some frame on (RFC 6455 section 5.2): likewise.
    WebSocket = 3,
}
