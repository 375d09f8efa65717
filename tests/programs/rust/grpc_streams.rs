//! gRPC by tonic, both ends; see `../README.md`.

use std::{collections::BTreeMap, convert::Infallible, env, fs, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::{Buf, BufMut};
use hyper::{Request as HttpRequest, Response as HttpResponse, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, sync::mpsc, time::sleep};
use tokio_stream::{StreamExt, iter, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

/// Messages are bytes as they are: nothing to generate.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}

struct Command {
    count: usize,
    size: usize,
    delay: Duration,
    code: i32,
}

impl Command {
    fn parse(message: &[u8]) -> Result<Self, Status> {
        let text = String::from_utf8_lossy(message);
        let numbers: Vec<u32> = text
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        let [count, size, delay, code] = numbers[..] else {
            return Err(Status::invalid_argument("COUNT SIZE DELAY CODE"));
        };
        Ok(Self {
            count: count as usize,
            size: size as usize,
            delay: Duration::from_millis(delay.into()),
            code: i32::try_from(code).unwrap_or(0),
        })
    }

    fn message(&self) -> Vec<u8> {
        vec![0; self.size]
    }

    fn end(&self) -> Result<(), Status> {
        match self.code {
            0 => Ok(()),
            code => Err(Status::new(
                Code::from_i32(code),
                "failed as told: 100 % \u{fc}navoidable",
            )),
        }
    }
}

type Messages = ReceiverStream<Result<Vec<u8>, Status>>;

/// One message after the delay, or none and a status.
async fn one(message: &[u8]) -> Result<Response<Messages>, Status> {
    let command = Command::parse(message)?;
    sleep(command.delay).await;
    command.end()?;
    let (sender, receiver) = mpsc::channel(1);
    // There is room for one.
    let _ = sender.try_send(Ok(command.message()));
    Ok(Response::new(ReceiverStream::new(receiver)))
}

/// What is answered to each request, and the last one's status.
async fn many(
    mut requests: Streaming<Vec<u8>>,
    sender: &mpsc::Sender<Result<Vec<u8>, Status>>,
    chat: bool,
) -> Result<(), Status> {
    let mut last = Ok(());
    while let Some(message) = requests.message().await? {
        let command = Command::parse(&message)?;
        for _ in 0..if chat { 1 } else { command.count } {
            sleep(command.delay).await;
            if sender.send(Ok(command.message())).await.is_err() {
                return Ok(());
            }
        }
        last = command.end();
    }
    last
}

async fn answer(
    method: String,
    request: Request<Streaming<Vec<u8>>>,
) -> Result<Response<Messages>, Status> {
    let mut requests = request.into_inner();
    match method.as_str() {
        "/programs.Streams/Unary" | "/programs.Streams/Upload" => {
            let mut last = Vec::new();
            while let Some(message) = requests.message().await? {
                last = message;
            }
            one(&last).await
        }
        "/programs.Streams/Download" | "/programs.Streams/Chat" => {
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                let chat = method.ends_with("Chat");
                if let Err(status) = many(requests, &sender, chat).await {
                    // A client that has gone needs no status.
                    let _ = sender.send(Err(status)).await;
                }
            });
            Ok(Response::new(ReceiverStream::new(receiver)))
        }
        _ => Err(Status::unimplemented("no such method")),
    }
}

async fn handle(request: HttpRequest<Incoming>) -> Result<HttpResponse<Body>, Infallible> {
    let method = request.uri().path().to_owned();
    let service = tower::service_fn(move |request| answer(method.clone(), request));
    let mut grpc = tonic::server::Grpc::new(Raw);
    Ok(grpc.streaming(service, request).await)
}

async fn serve(host: &str, port: u16) -> Result<()> {
    let listener = TcpListener::bind((host, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A client that goes away is no failure of the service.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), hyper::service::service_fn(handle))
                .await;
        });
    }
}

/// Counts what comes.
async fn count(mut messages: Streaming<Vec<u8>>, received: &mut usize) -> Result<(), Status> {
    while messages.message().await?.is_some() {
        *received += 1;
    }
    Ok(())
}

fn request<T>(message: T, deadline: u64) -> Request<T> {
    let mut request = Request::new(message);
    if deadline > 0 {
        request.set_timeout(Duration::from_millis(deadline));
    }
    request
}

async fn call(
    channel: Channel,
    fields: &[String],
    deadline: u64,
    received: &mut usize,
) -> Result<(), Status> {
    let [_, _, method, requests, size, command, ..] = fields else {
        return Err(Status::invalid_argument("fields"));
    };
    let mut message = command.clone().into_bytes();
    message.resize(size.parse().unwrap_or(0).max(message.len()), b' ');
    let messages = vec![message.clone(); requests.parse().unwrap_or(0)];
    let path = format!("/programs.Streams/{method}")
        .parse()
        .map_err(|_| Status::invalid_argument("path"))?;
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    match method.as_str() {
        "Upload" => {
            let request = request(iter(messages), deadline);
            let _: Response<Vec<u8>> = grpc.client_streaming(request, path, Raw).await?;
            *received = 1;
        }
        "Download" => {
            let request = request(message, deadline);
            let response = grpc.server_streaming(request, path, Raw).await?;
            count(response.into_inner(), received).await?;
        }
        "Chat" => {
            let request = request(iter(messages), deadline);
            let response = grpc.streaming(request, path, Raw).await?;
            count(response.into_inner(), received).await?;
        }
        _ => {
            let request = request(message, deadline);
            let _: Response<Vec<u8>> = grpc.unary(request, path, Raw).await?;
            *received = 1;
        }
    }
    Ok(())
}

async fn carry_out(channel: Channel, fields: &[String]) -> Result<String> {
    let [_, name, _, _, _, _, deadline, cancel] = fields else {
        bail!("not a call: {fields:?}");
    };
    let mut received = 0;
    let running = call(channel, fields, deadline.parse()?, &mut received);
    let limit = match cancel.parse()? {
        0 => Duration::from_hours(1),
        milliseconds => Duration::from_millis(milliseconds),
    };
    let code = match tokio::time::timeout(limit, running).await {
        Ok(Ok(())) => Code::Ok,
        Ok(Err(status)) => status.code(),
        Err(_) => Code::Cancelled,
    };
    Ok(format!("{name}\t{}\t{received}", i32::from(code)))
}

async fn run(base: &str, plan: &str) -> Result<()> {
    let mut lanes: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for line in fs::read_to_string(plan)?.lines() {
        let fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
        let lane = fields.first().context("an empty line")?.clone();
        lanes.entry(lane).or_default().push(fields);
    }
    let channel = Endpoint::from_shared(base.to_owned())?.connect().await?;
    let running: Vec<_> = lanes
        .into_values()
        .map(|lane| {
            let channel = channel.clone();
            tokio::spawn(async move {
                for fields in lane {
                    println!("{}", carry_out(channel.clone(), &fields).await?);
                }
                Ok(())
            })
        })
        .collect();
    let mut ended = iter(running);
    while let Some(lane) = ended.next().await {
        let result: Result<()> = lane.await?;
        result?;
    }
    // What was cancelled last is on its way still.
    sleep(Duration::from_millis(100)).await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "serve", host, port] => serve(host, port.parse()?).await,
        [_, "call", base, plan] => run(base, plan).await,
        _ => bail!("usage: grpc-streams serve HOST PORT, or call BASE PLAN"),
    }
}
