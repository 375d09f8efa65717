//! Requests on streams of one HTTP/2 connection, 32 of them open at once: a GET with a short
//! answer, and a unary call of gRPC. Heads say what those of HTTP/1 say; after the first of each,
//! what nghttp2 and Go keep in the dynamic table comes as an index.

use anyhow::Result;

use crate::{
    Ends,
    agent::Agent,
    field::{
        ACCEPT, AUTHORITY, CACHE, DATE, ENCODING, ETAG, FIFTEEN, GRPC, GRPC_AGENT, GRPC_MESSAGE,
        GRPC_STATUS, JSON, LANGUAGE, METHOD_PATH, PATH, SERVER, TE, TRAILERS, USER_AGENT, VARY,
        ZERO, indexed, inserted, inserted_new, plain,
    },
    socket::Socket,
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// A GET.
    Get,
    /// A unary call of gRPC.
    Unary,
}

/// Streams that are open at once.
const STREAMS: u64 = 32;

/// Between two steps of an exchange, in nanoseconds.
const STEP: u64 = 25_000;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

/// Flags of frames.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const BODY: &[u8] = b"{\"orders\":[42]}";

/// A message of gRPC: its prefix and 16 bytes.
const MESSAGE: &[u8] = b"\0\0\0\0\x10\x0a\x0eorder-00000042";

/// The header blocks of one connection: the first of a kind, and those after it.
struct Blocks {
    request: [Vec<u8>; 2],
    response: [Vec<u8>; 2],
    trailers: Option<[Vec<u8>; 2]>,
}

/// The bytes of an exchange.
struct Exchange {
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Load {
    fn blocks(self) -> Blocks {
        match self {
            Self::Get => Blocks {
                request: get_request(),
                response: get_response(),
                trailers: None,
            },
            Self::Unary => Blocks {
                request: unary_request(),
                response: [
                    [indexed(8), inserted(31, GRPC)].concat(),
                    [indexed(8), indexed(64)].concat(),
                ],
                trailers: Some([
                    [
                        inserted_new(GRPC_STATUS, ZERO),
                        inserted_new(GRPC_MESSAGE, b""),
                    ]
                    .concat(),
                    [indexed(63), indexed(62)].concat(),
                ]),
            },
        }
    }

    /// One exchange as it is written, each end's bytes in one call.
    fn exchange(self, is_first: bool) -> Exchange {
        let blocks = self.blocks();
        let at = usize::from(!is_first);
        let [request, response] = [&blocks.request[at], &blocks.response[at]];
        let mut exchange = Exchange {
            request: Vec::new(),
            response: Vec::new(),
        };
        match &blocks.trailers {
            None => {
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    request,
                    &mut exchange.request,
                );
                frame(HEADERS, END_HEADERS, response, &mut exchange.response);
                frame(DATA, END_STREAM, BODY, &mut exchange.response);
            }
            Some(trailers) => {
                frame(HEADERS, END_HEADERS, request, &mut exchange.request);
                frame(DATA, END_STREAM, MESSAGE, &mut exchange.request);
                frame(HEADERS, END_HEADERS, response, &mut exchange.response);
                frame(DATA, 0, MESSAGE, &mut exchange.response);
                let trailers = &trailers[at];
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    trailers,
                    &mut exchange.response,
                );
            }
        }
        exchange
    }
}

fn get_request() -> [Vec<u8>; 2] {
    let first = [
        indexed(2),
        indexed(6),
        plain(4, PATH),
        inserted(1, AUTHORITY),
        inserted(58, USER_AGENT),
        inserted(19, ACCEPT),
        inserted(17, LANGUAGE),
        inserted(16, ENCODING),
    ];
    let later = [
        indexed(2),
        indexed(6),
        plain(4, PATH),
        indexed(66),
        indexed(65),
        indexed(64),
        indexed(63),
        indexed(62),
    ];
    [first.concat(), later.concat()]
}

fn get_response() -> [Vec<u8>; 2] {
    let first = [
        indexed(8),
        inserted(54, SERVER),
        inserted(33, DATE),
        inserted(31, JSON),
        plain(28, FIFTEEN),
        inserted(24, CACHE),
        plain(34, ETAG),
        inserted(59, VARY),
    ];
    let later = [
        indexed(8),
        indexed(66),
        indexed(65),
        indexed(64),
        plain(28, FIFTEEN),
        indexed(63),
        plain(34, ETAG),
        indexed(62),
    ];
    [first.concat(), later.concat()]
}

fn unary_request() -> [Vec<u8>; 2] {
    let first = [
        indexed(3),
        indexed(6),
        inserted(4, METHOD_PATH),
        inserted(1, AUTHORITY),
        inserted(31, GRPC),
        inserted(58, GRPC_AGENT),
        inserted_new(TE, TRAILERS),
    ];
    let later = [
        indexed(3),
        indexed(6),
        indexed(66),
        indexed(65),
        indexed(64),
        indexed(63),
        indexed(62),
    ];
    [first.concat(), later.concat()]
}

/// A frame whose stream is still to be set.
fn frame(kind: u8, flags: u8, payload: &[u8], out: &mut Vec<u8>) {
    let length = u8::try_from(payload.len()).unwrap_or(u8::MAX);
    out.extend([0, 0, length, kind, flags, 0, 0, 0, 0]);
    out.extend(payload);
}

/// Sets the stream of each frame.
fn set_stream(frames: &mut [u8], stream: u32) {
    let mut rest = frames;
    while let [_, _, length, _, _, id @ ..] = rest {
        let length = usize::from(*length);
        let (id, payload) = id.split_at_mut(4);
        id.copy_from_slice(&stream.to_be_bytes());
        rest = &mut payload[length..];
    }
}

/// Plays `count` exchanges.
pub(crate) fn play(agent: &mut Agent, load: Load, ends: Ends, count: u64) -> Result<()> {
    let mut client = match ends {
        Ends::Client | Ends::Both => Some(Socket::open(agent, false)?),
        Ends::Server => None,
    };
    let mut server = match ends {
        Ends::Server | Ends::Both => Some(Socket::open(agent, true)?),
        Ends::Client => None,
    };
    let mut settings = Vec::new();
    frame(SETTINGS, 0, &[], &mut settings);
    let preface = [PREFACE, &settings].concat();
    for socket in client.iter_mut().chain(&mut server) {
        socket.client_says(agent, &preface)?;
    }
    for socket in server.iter_mut().chain(&mut client) {
        socket.server_says(agent, &settings)?;
    }
    let (mut first, mut later) = (load.exchange(true), load.exchange(false));
    let mut done = 0;
    while done < count {
        let batch = STREAMS.min(count - done);
        for at in done..done + batch {
            let exchange = if at == 0 { &mut first } else { &mut later };
            set_stream(&mut exchange.request, stream(at)?);
            for socket in client.iter_mut().chain(&mut server) {
                agent.advance(STEP);
                socket.client_says(agent, &exchange.request)?;
            }
        }
        for at in done..done + batch {
            let exchange = if at == 0 { &mut first } else { &mut later };
            set_stream(&mut exchange.response, stream(at)?);
            for socket in server.iter_mut().chain(&mut client) {
                agent.advance(STEP);
                socket.server_says(agent, &exchange.response)?;
            }
        }
        done += batch;
    }
    Ok(())
}

/// The client's streams have odd numbers.
fn stream(at: u64) -> Result<u32> {
    Ok(u32::try_from(2 * at + 1)?)
}
