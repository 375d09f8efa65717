//! A service by hyper on tokio, HTTP/1 and HTTP/2; see `../README.md`.

use std::{
    convert::Infallible,
    env,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Method, Request, Response,
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// A body whose length is not known beforehand, hence chunked; bytes left.
struct Chunks(usize);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size = self.0.min(4096);
        self.0 -= size;
        Poll::Ready((size > 0).then(|| Ok(Frame::data(vec![b'c'; size].into()))))
    }
}

fn full(bytes: impl Into<Bytes>) -> BoxBody<Bytes, Infallible> {
    Full::new(bytes.into()).boxed()
}

async fn answer(request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let (head, body) = request.into_parts();
    let received = body.collect().await?.to_bytes().len();
    let mut parts = head.uri.path().split('/').skip(1);
    let kind = parts.next().unwrap_or_default();
    let number: usize = parts
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let mut status = 200;
    let body = match kind {
        "bytes" if head.method == Method::HEAD => full(""),
        "bytes" => full(vec![b'x'; number]),
        "chunked" => Chunks(number).boxed(),
        "sleep" => {
            let time = u64::try_from(number).unwrap_or(u64::MAX);
            tokio::time::sleep(Duration::from_millis(time)).await;
            full("slept")
        }
        "echo" => full(received.to_string()),
        "status" => {
            status = u16::try_from(number).unwrap_or(500);
            full("")
        }
        _ => {
            status = 404;
            full("")
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().unwrap_or_default();
    Ok(response)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let [_, host, port, ..] = arguments.as_slice() else {
        anyhow::bail!("usage: hyper-service HOST PORT");
    };
    let listener = TcpListener::bind((host.as_str(), port.parse()?)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A client that goes away is no failure of the service.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}
