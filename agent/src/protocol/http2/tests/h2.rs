//! Against the `h2` crate: what its client and its server tell each other, read from the bytes
//! between them, is what they were asked to tell.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client, server};
use http::{HeaderMap, HeaderValue, Request, Response};
use proptest::{collection::vec, prelude::*};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::{
    super::{FieldName, FrameReader, HeaderBlock, Value},
    bytes::{Part, Seen, read},
};

/// One end of a connection, of which everything that is written is kept.
struct Tap {
    end: DuplexStream,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.end).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.end).poll_write(context, bytes);
        if let Poll::Ready(Ok(length)) = result {
            self.written.lock().unwrap().extend(&bytes[..length]);
        }
        result
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.end).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.end).poll_shutdown(context)
    }
}

/// What one side of a stream is asked to say.
#[derive(Clone, Debug)]
struct Said {
    content_type: String,
    /// A field that no one needs, often a long one.
    other: String,
    chunks: Vec<usize>,
    trailers: Option<String>,
    /// Whether it ends with a reset behind its content.
    is_reset: bool,
}

#[derive(Clone, Debug)]
struct Call {
    request: Said,
    response: Said,
}

fn said() -> impl Strategy<Value = Said> {
    (
        prop_oneof![Just("application/grpc".to_owned()), "[a-z]{1,30}"],
        prop_oneof![
            "[a-z ]{0,20}",
            (0usize..20_000).prop_map(|length| "o".repeat(length))
        ],
        vec(prop_oneof![0usize..50, 0usize..40_000], 0..4),
        prop::option::of("[0-9]{1,2}"),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(content_type, other, chunks, trailers, is_reset)| Said {
            content_type,
            other,
            chunks,
            trailers,
            is_reset,
        })
}

impl Said {
    fn fields(&self) -> HeaderMap {
        let mut fields = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        fields.insert("content-type", value(&self.content_type));
        fields.insert("x-other", value(self.other.trim()));
        fields
    }

    /// Whether the head ends the stream.
    fn is_head_only(&self) -> bool {
        self.chunks.is_empty() && self.trailers.is_none() && !self.is_reset
    }

    fn say(&self, stream: &mut SendStream<Bytes>) {
        let last = self.chunks.len();
        for (at, length) in self.chunks.iter().enumerate() {
            let is_last = at + 1 == last && self.trailers.is_none() && !self.is_reset;
            // The other side may have ended the stream already.
            let _ = stream.send_data(Bytes::from(vec![b'c'; *length]), is_last);
        }
        if self.is_reset {
            stream.send_reset(Reason::CANCEL);
        } else if let Some(status) = &self.trailers {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_str(status).unwrap());
            let _ = stream.send_trailers(trailers);
        }
    }
}

async fn drain(mut body: RecvStream) {
    while let Some(Ok(bytes)) = body.data().await {
        let _ = body.flow_control().release_capacity(bytes.len());
    }
    let _ = body.trailers().await;
}

async fn serve(end: Tap, calls: Vec<Call>, table: u32) {
    let mut connection = server::Builder::new()
        .header_table_size(table)
        .max_header_list_size(1 << 20)
        .handshake::<_, Bytes>(end)
        .await
        .unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let number: usize = request.uri().path()[1..].parse().unwrap();
        let said = calls[number].response.clone();
        tokio::spawn(async move {
            drain(request.into_body()).await;
            let mut response = Response::new(());
            *response.headers_mut() = said.fields();
            if let Ok(mut stream) = respond.send_response(response, said.is_head_only()) {
                said.say(&mut stream);
            }
        });
    }
}

async fn call(end: Tap, calls: &[Call], table: u32) {
    let (mut sender, connection) = client::Builder::new()
        .header_table_size(table)
        .max_header_list_size(1 << 20)
        .handshake::<_, Bytes>(end)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut answers = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        sender = sender.ready().await.unwrap();
        let mut request = Request::post(format!("http://host/{number}"))
            .body(())
            .unwrap();
        *request.headers_mut() = call.request.fields();
        let said = &call.request;
        let (response, mut stream) = sender.send_request(request, said.is_head_only()).unwrap();
        said.say(&mut stream);
        answers.push(tokio::spawn(async move {
            if let Ok(response) = response.await {
                drain(response.into_body()).await;
            }
        }));
    }
    drop(sender);
    for answer in answers {
        answer.await.unwrap();
    }
    connection.await.unwrap().unwrap();
}

/// The bytes that a client and a server of `h2` tell each other.
fn exchange(calls: &[Call], tables: (u32, u32)) -> (Vec<u8>, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (client, server) = tokio::io::duplex(10_000);
    let tap = |end| Tap {
        end,
        written: Arc::default(),
    };
    let (client, server) = (tap(client), tap(server));
    let written = (client.written.clone(), server.written.clone());
    runtime.block_on(async {
        tokio::spawn(serve(server, calls.to_vec(), tables.1));
        call(client, calls, tables.0).await;
    });
    let bytes = |written: Arc<Mutex<Vec<u8>>>| written.lock().unwrap().clone();
    (bytes(written.0), bytes(written.1))
}

/// What was read of a stream's direction.
#[derive(Debug, Default)]
struct Read {
    heads: Vec<HeaderBlock>,
    content: u64,
    is_ended: bool,
    reset: Option<u32>,
}

fn streams(seen: &[Seen]) -> HashMap<u32, Read> {
    let mut streams: HashMap<u32, Read> = HashMap::new();
    for one in seen {
        match one {
            Seen::Headers(stream, end, head, ..) => {
                let read = streams.entry(*stream).or_default();
                read.heads.push(head.clone());
                read.is_ended |= end;
            }
            Seen::Data(stream, bytes, content, end) => {
                assert!(bytes.iter().all(|byte| *byte == b'c'));
                let read = streams.entry(*stream).or_default();
                read.content += content;
                read.is_ended |= end;
            }
            Seen::Rst(stream, code) => streams.entry(*stream).or_default().reset = *code,
            Seen::Settings(_) | Seen::GoAway(..) => {}
            _ => panic!("{one:?}"),
        }
    }
    streams
}

fn check(read: &Read, said: &Said, is_whole: bool) {
    let head = &read.heads[0];
    assert_eq!(
        head.get(FieldName::ContentType),
        Value::Known(&said.content_type)
    );
    assert_eq!(head.get(FieldName::GrpcStatus), Value::Absent);
    if !is_whole {
        return;
    }
    assert!(read.is_ended && read.reset.is_none());
    assert_eq!(read.content, said.chunks.iter().sum::<usize>() as u64);
    let status = read
        .heads
        .get(1)
        .map(|trailers| trailers.get(FieldName::GrpcStatus));
    assert_eq!(status, said.trailers.as_deref().map(Value::Known));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_they_say_is_read(
        calls in vec((said(), said()).prop_map(|(request, response)| Call { request, response }), 1..12),
        tables in (
            prop_oneof![Just(0u32), Just(100), Just(4096), Just(70_000)],
            prop_oneof![Just(0u32), Just(100), Just(4096), Just(70_000)],
        ),
        pieces in vec(1usize..5000, 1..9),
    ) {
        let (client, server) = exchange(&calls, tables);
        for (mut reader, bytes, is_client) in [
            (FrameReader::client(), client, true),
            (FrameReader::server(), server, false),
        ] {
            let mut parts = Vec::new();
            let mut rest = &bytes[..];
            for piece in pieces.iter().cycle() {
                let (part, behind) = rest.split_at((*piece).min(rest.len()));
                parts.push(Part::Copied(part));
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            let streams = streams(&read(&mut reader, &parts));
            prop_assert!(reader.is_between_frames() && reader.is_certain());
            for (number, call) in calls.iter().enumerate() {
                let stream = u32::try_from(2 * number + 1).unwrap();
                let Some(read) = streams.get(&stream) else {
                    // Reset before it began.
                    prop_assert!(call.request.is_reset);
                    continue;
                };
                let is_reset = call.request.is_reset || call.response.is_reset;
                let said = if is_client { &call.request } else { &call.response };
                if let Some(head) = read.heads.first() {
                    check(read, said, !is_reset);
                    let path = format!("/{number}");
                    let expected = if is_client { (Value::Known("POST"), Value::Known(&path[..])) }
                        else { (Value::Absent, Value::Absent) };
                    prop_assert_eq!((head.get(FieldName::Method), head.get(FieldName::Path)), expected);
                } else {
                    prop_assert!(is_reset);
                }
            }
        }
    }
}
