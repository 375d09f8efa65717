//! Remote procedure calls over HTTP/1: gRPC-Web and Connect.

use super::script::{Player, Script};
use crate::stream::exchange::{Rpc, RpcStatus, RpcSystem, Session};

/// A message, or whatever else `flags` say.
fn envelope(flags: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[flags], &length[..], content].concat()
}

fn chunked(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("{:x};x=y\r\n", part.len()).as_bytes());
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

fn request(fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST /s.S/M HTTP/1.1\r\n{fields}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn response(status: u16, fields: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} x\r\n{fields}\r\nTransfer-Encoding: chunked\r\n\r\n");
    [head.into_bytes(), chunked(parts)].concat()
}

/// The call of an exchange, split at `cut`, both ways.
fn call(request: &[u8], response: &[u8], cut: usize) -> Rpc {
    let mut script = Script::new(true);
    let cuts = [cut % request.len(), cut % response.len()];
    for part in [&request[..cuts[0]], &request[cuts[0]..]] {
        if !part.is_empty() {
            script.request(part);
        }
    }
    for part in [&response[..cuts[1]], &response[cuts[1]..]] {
        if !part.is_empty() {
            script.response(part);
        }
    }
    script.close(0);
    let mut player = Player::new();
    player.play(&script.entries);
    let [finished] = player.finished()[..] else {
        panic!("one exchange expected in {:?}", player.out);
    };
    assert_eq!(finished.error, None);
    match &finished.session {
        Session::Rpc(rpc) => (**rpc).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn grpc_web_streams() {
    const TYPE: &str = "Content-Type: application/grpc-web+proto";
    let request = request(TYPE, &envelope(0, b"ask"));
    let trailers = envelope(0x80, b"grpc-status: 5\r\ngrpc-message: not%20here\r\n");
    let response = response(
        200,
        TYPE,
        &[
            [envelope(0, b"one"), envelope(0, b"")].concat(),
            envelope(0, &[b'x'; 300]),
            trailers,
        ],
    );
    for cut in 0..response.len() {
        let rpc = call(&request, &response, cut);
        assert_eq!(rpc.system, RpcSystem::Grpc);
        assert_eq!(
            (rpc.request_messages, rpc.response_messages),
            (Some(1), Some(3))
        );
        assert_eq!(rpc.status, RpcStatus::Code(5), "cut at {cut}");
        assert_eq!(rpc.message.as_deref(), Some("not here"));
    }
}

#[test]
fn a_grpc_web_call_that_is_refused_has_its_status_in_the_head() {
    let request = request("content-type: application/grpc-web", &envelope(0, b"ask"));
    let response = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web\r\nGrpc-Status: 12\r\n\
        Grpc-Message: no\r\nContent-Length: 0\r\n\r\n";
    let rpc = call(&request, response, 0);
    assert_eq!(
        (rpc.status, rpc.response_messages),
        (RpcStatus::Code(12), Some(0))
    );
    assert_eq!(rpc.message.as_deref(), Some("no"));
}

const UNARY: &str = "Content-Type: application/json\r\nConnect-Protocol-Version: 1";

#[test]
fn connect_calls() {
    let stream = request(
        "Content-Type: application/connect+json",
        &[envelope(0, b"{}"), envelope(0, b"{}")].concat(),
    );
    let end = envelope(2, br#"{"error":{"code":"unavailable","message":"gone"}}"#);
    let answer = response(
        200,
        "Content-Type: application/connect+json",
        &[envelope(0, b"{}"), end],
    );
    let rpc = call(&stream, &answer, 0);
    assert_eq!(rpc.system, RpcSystem::Connect);
    assert_eq!(
        (rpc.request_messages, rpc.response_messages),
        (Some(2), Some(1))
    );
    assert_eq!(
        (rpc.status, rpc.message.as_deref()),
        (RpcStatus::Code(14), Some("gone"))
    );

    let unary = request(UNARY, b"{}");
    let rpc = call(
        &unary,
        &response(200, "Content-Type: application/json", &[b"{}".to_vec()]),
        0,
    );
    assert_eq!(
        (rpc.status, rpc.response_messages),
        (RpcStatus::Code(0), Some(1))
    );
    let error = br#"{"code":"not_found","message":"no"}"#.to_vec();
    let rpc = call(
        &unary,
        &response(404, "Content-Type: application/json", &[error]),
        0,
    );
    assert_eq!(
        (rpc.status, rpc.response_messages),
        (RpcStatus::Code(5), Some(0))
    );
}

#[test]
fn messages_that_were_not_copied_are_counted_by_their_length_or_not_at_all() {
    const TYPE: &str = "Content-Type: application/grpc-web+proto";
    // One long message: its length says where it ends.
    let long = request(TYPE, &envelope(0, &vec![b'x'; 20_000]));
    let answer = response(200, TYPE, &[envelope(0x80, b"grpc-status: 0\r\n")]);
    let rpc = call(&long, &answer, 0);
    assert_eq!(
        (rpc.request_messages, rpc.status),
        (Some(1), RpcStatus::Code(0))
    );
    // Many, whose lengths were not copied.
    let many = response(200, TYPE, &vec![envelope(0, &[b'x'; 1000]); 20]);
    let rpc = call(&request(TYPE, b""), &many, 0);
    assert_eq!(
        (rpc.request_messages, rpc.response_messages),
        (Some(0), None)
    );
    assert_eq!(rpc.status, RpcStatus::Hidden);
}
