//! A back end in this process that answers as it is told.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::Read,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// What is done with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    /// HTTP status, a header, a body.
    Http(u16, Option<(&'static str, &'static str)>, &'static [u8]),
    /// gRPC status and body (with frame).
    Grpc(&'static str, &'static [u8]),
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    Close,
}

/// What arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) spans: usize,
    pub(super) resources: usize,
    pub(super) at: Instant,
}

#[derive(Debug)]
struct State {
    script: Mutex<VecDeque<Reply>>,
    default: Reply,
    arrived: Mutex<Vec<Arrived>>,
}

/// A running back end.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    state: Arc<State>,
}

impl Collector {
    /// Answers with `script`, then always with `default`.
    pub(super) fn start(grpc: bool, script: &[Reply], default: Reply) -> Self {
        Self::with_tls(grpc, script, default, None)
    }

    pub(super) fn with_tls(
        grpc: bool,
        script: &[Reply],
        default: Reply,
        tls: Option<rustls::ServerConfig>,
    ) -> Self {
        let state = Arc::new(State {
            script: Mutex::new(script.iter().copied().collect()),
            default,
            arrived: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(listen(listener, grpc, tls, shared));
        });
        Self { address, state }
    }

    pub(super) fn arrived(&self) -> Vec<Arrived> {
        self.state.arrived.lock().unwrap().clone()
    }
}

async fn listen(
    listener: std::net::TcpListener,
    grpc: bool,
    tls: Option<rustls::ServerConfig>,
    state: Arc<State>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (state, acceptor) = (Arc::clone(&state), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, grpc, state).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, grpc, state).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(stream: S, grpc: bool, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let service = service_fn(move |request| answer(request, grpc, Arc::clone(&state)));
    // A connection that a client or the script breaks is no failure of the test.
    if grpc {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(builder.serve_connection(io, service).await);
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        drop(builder.serve_connection(io, service).await);
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(
    request: Request<Incoming>,
    grpc: bool,
    state: Arc<State>,
) -> Result<Answer, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let message = decode(&head.headers, &body, grpc);
    let spans = message.resource_spans.iter().flat_map(|r| &r.scope_spans);
    state.arrived.lock().unwrap().push(Arrived {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        spans: spans.map(|scope| scope.spans.len()).sum(),
        resources: message.resource_spans.len(),
        at: Instant::now(),
    });
    let next = state.script.lock().unwrap().pop_front();
    match next.unwrap_or(state.default) {
        Reply::Http(status, header, body) => {
            let mut response = Response::builder().status(status);
            if let Some((name, value)) = header {
                response = response.header(name, value);
            }
            Ok(response.body(Full::new(Bytes::from(body)).boxed()).unwrap())
        }
        Reply::Grpc(status, body) => {
            let trailers = [(
                http::HeaderName::from_static("grpc-status"),
                http::HeaderValue::from_static(status),
            )];
            let body = Full::new(Bytes::from(body))
                .with_trailers(async move { Some(Ok(trailers.into_iter().collect())) });
            Ok(Response::new(body.boxed()))
        }
        Reply::Hang => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            Err(std::io::ErrorKind::TimedOut.into())
        }
        Reply::Close => Err(std::io::ErrorKind::ConnectionAborted.into()),
    }
}

fn decode(headers: &HeaderMap, body: &[u8], grpc: bool) -> ExportTraceServiceRequest {
    let (compressed, body) = if grpc {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), body.len() - 5);
        (body[0] == 1, &body[5..])
    } else {
        (headers.contains_key("content-encoding"), body)
    };
    let mut plain = body.to_vec();
    if compressed {
        plain.clear();
        flate2::read::GzDecoder::new(body)
            .read_to_end(&mut plain)
            .unwrap();
    }
    if headers["content-type"] == "application/json" {
        serde_json::from_slice(&plain).unwrap()
    } else {
        ExportTraceServiceRequest::decode(plain.as_slice()).unwrap()
    }
}
