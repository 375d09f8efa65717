//! A client by hyper, HTTP/2 by prior knowledge; see `../README.md`.

use std::{collections::BTreeMap, env, fs};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Body, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

async fn run(base: String, requests: Vec<Vec<String>>) -> Result<()> {
    let authority = base.trim_start_matches("http://");
    let stream = TokioIo::new(TcpStream::connect(authority).await?);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    tokio::spawn(connection);
    for fields in requests {
        let [_, method, target, size, _] = fields.as_slice() else {
            bail!("not a request: {fields:?}");
        };
        let body = vec![b'b'; size.parse().unwrap_or(0)];
        let request = Request::builder()
            .method(method.as_str())
            .uri(format!("{base}{target}"))
            .body(Full::<Bytes>::from(body))?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut received = 0;
        while !body.is_end_stream()
            && let Some(frame) = body.frame().await
        {
            received += frame?.data_ref().map_or(0, Bytes::len);
        }
        println!("{target}\t{status}\t{received}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let [_, base, plan] = arguments.as_slice() else {
        bail!("usage: hyper-client BASE PLAN");
    };
    let mut connections: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for line in fs::read_to_string(plan)?.lines() {
        let fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
        let connection = fields.first().context("an empty line")?.clone();
        connections.entry(connection).or_default().push(fields);
    }
    let running: Vec<_> = connections
        .into_values()
        .map(|requests| tokio::spawn(run(base.clone(), requests)))
        .collect();
    for connection in running {
        connection.await??;
    }
    Ok(())
}
