//! An exchange: one request and its response on one connection, seen from one end.

use std::{net::SocketAddr, sync::Arc};

use compact_str::CompactString;

use crate::clock::KernelTime;
pub use crate::protocol::http::{HeaderName, HttpVersion, RequestHead};

/// Which end of a connection a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It connected; it sends requests.
    Client,
    /// It accepted; it receives requests.
    Server,
}

/// What both ends of a connection, observed on one host or on two, agree on: TCP: the sequence
/// numbers of the first bytes; unix: the addresses of the two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    /// Identifies the stream from client to server.
    pub client: u64,
    /// Identifies the stream from server to client.
    pub server: u64,
}

/// Addresses of a TCP connection, as this end sees them; v4-mapped IPv6 is given as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
}

/// One end of a connection, shared by its exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The socket's cookie.
    pub id: u64,
    /// Which end this is.
    pub role: Role,
    /// `None` when positions of the two ends cannot be compared.
    pub key: Option<ConnectionKey>,
    /// `None` for unix sockets.
    pub addresses: Option<Addresses>,
}

/// Number of an exchange, unique while the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// Why an exchange ended without a whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeError {
    /// The peer reset the connection (`ECONNRESET`, `EPIPE`).
    Reset,
    /// The connection was closed before the response was whole.
    Closed,
    /// The kernel gave up on the connection (`ETIMEDOUT`).
    TimedOut,
    /// The process exited.
    ProcessExited,
    /// The agent stopped while the exchange was open.
    AgentStopped,
    /// The HTTP/2 stream was reset (RFC 9113 section 6.4).
    StreamReset {
        /// Error code (RFC 9113 section 7); `None` where it was not captured.
        code: Option<u32>,
        /// Who reset it.
        by: Role,
    },
    /// The server shut the HTTP/2 connection down (GOAWAY) and did not process the request.
    GoneAway {
        /// Error code (RFC 9113 section 7).
        code: u32,
    },
}

impl ExchangeError {
    /// What the socket's error number (`sk_err`) says; `None` for 0. Numbers are those of every
    /// architecture Linux has but alpha, mips, parisc and sparc.
    pub(super) fn of_number(number: u32) -> Option<Self> {
        const EPIPE: u32 = 32;
        const ECONNRESET: u32 = 104;
        const ETIMEDOUT: u32 = 110;
        match number {
            0 => None,
            EPIPE | ECONNRESET => Some(Self::Reset),
            ETIMEDOUT => Some(Self::TimedOut),
            _ => Some(Self::Closed),
        }
    }
}

/// A request has begun: its head is known. `trace` gives it its identity now, because calls that
/// its handler makes come before its end.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Number of the exchange.
    pub id: ExchangeId,
    /// The connection.
    pub connection: Arc<Connection>,
    /// Process at this end.
    pub tgid: u32,
    /// Thread that sent (client) or received (server) the last byte of the request's head.
    pub tid: u32,
    /// Position of the request's first byte in its direction; equal at both ends.
    pub position: u64,
    /// When the request's first byte was sent (client) or received (server).
    pub started: KernelTime,
    /// When the request's head was whole.
    pub head_ended: KernelTime,
    /// The request's head.
    pub request: RequestHead,
}

/// An exchange has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Number of the exchange; its [`Opened`] came before.
    pub id: ExchangeId,
    /// The final response, `None` when there was none.
    pub response: Option<Response>,
    /// Bytes of the request's body on the wire after the head (chunk framing included; HTTP/2 and
    /// WebSocket: content of frames, without their framing), true even where they were not
    /// captured; `None` when records were lost that may have held some of them.
    pub request_body: Option<u64>,
    /// Bytes of the response's body, likewise.
    pub response_body: Option<u64>,
    /// When the last byte of the response was sent (server) or received (client); the time of
    /// the error when there is one.
    pub ended: KernelTime,
    /// What went wrong.
    pub error: Option<ExchangeError>,
    /// Part of a head was not captured.
    pub truncated: bool,
    /// Bytes of the exchange that were needed and are missing.
    pub gap_bytes: u64,
    /// What was carried on top of HTTP.
    pub session: Session,
}

/// The head of a final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code, 100 to 999; `None` where it was said by a reference to something that was
    /// never seen (HPACK).
    pub status: Option<u16>,
}

/// What an exchange carried on top of HTTP, as its bodies and trailers tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Nothing that is looked into.
    #[default]
    Plain,
    /// A call of gRPC, gRPC-Web or Connect.
    Rpc(Box<Rpc>),
    /// A WebSocket (RFC 6455).
    WebSocket(Box<WebSocket>),
}

/// How a remote procedure call went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rpc {
    /// What kind of call it is.
    pub system: RpcSystem,
    /// How it ended.
    pub status: RpcStatus,
    /// Message that goes with an error, percent-decoded.
    pub message: Option<CompactString>,
    /// Messages from client to server; `None` where they could not be counted.
    pub request_messages: Option<u64>,
    /// Messages from server to client; `None` where they could not be counted.
    pub response_messages: Option<u64>,
}

/// Kind of a remote procedure call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RpcSystem {
    /// gRPC, over HTTP/2 or as gRPC-Web.
    Grpc,
    /// The Connect protocol.
    Connect,
}

/// What the end of a call's response says of its success: trailers (gRPC), the last frame of the
/// body (gRPC-Web, Connect streams) or the error in it (Connect).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RpcStatus {
    /// Status code, by gRPC's numbers, those of Connect included. Any number that the wire has; 0
    /// also for a unary call of Connect that succeeded.
    Code(u32),
    /// Nothing: it was seen whole, and has none, or there is no end.
    Absent,
    /// It is where nothing was captured, or was said by a reference to something that was never
    /// seen (HPACK).
    Hidden,
}

/// What went over a WebSocket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSocket {
    /// Messages from client to server; `None` where they could not be counted.
    pub request_messages: Option<u64>,
    /// Messages from server to client; `None` where they could not be counted.
    pub response_messages: Option<u64>,
    /// Code of the first close frame (RFC 6455 section 7.4), when there was one that has a code.
    pub close_code: Option<u16>,
}

/// What `stream` tells `trace`, in the order in which it happened on each connection.
#[derive(Clone, Debug)]
pub enum Activity {
    /// A request's head is whole.
    Opened(Box<Opened>),
    /// An exchange ended.
    Finished(Finished),
    /// An exchange was opened, but its end was lost; it makes no span.
    Lost(ExchangeId),
    /// A socket at this end of a connection exists (TCP: established; unix: first used).
    Connected(Arc<Connection>),
    /// The socket is gone.
    Disconnected(Arc<Connection>),
    /// A process has ended.
    ProcessExited(u32),
}
