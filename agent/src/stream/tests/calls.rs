//! Remote procedure calls on HTTP/2 streams.

use wirespan_ebpf::records::{family, open_flags, role};

use super::{
    http2::{
        DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, begun, frame, indexed, plain, status,
    },
    script::{Player, Script},
};
use crate::stream::exchange::{ExchangeError, Role, Rpc, RpcStatus, RpcSystem, Session};

fn call(stream: u32) -> Vec<u8> {
    let fields = plain(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/pkg.Service/Method"),
        ("content-type", "application/grpc+proto"),
    ]);
    frame(HEADERS, END_HEADERS, stream, &fields)
}

fn messages(sizes: &[u32]) -> Vec<u8> {
    sizes
        .iter()
        .flat_map(|size| {
            let mut message = vec![0];
            message.extend(size.to_be_bytes());
            message.resize(5 + *size as usize, b'm');
            message
        })
        .collect()
}

fn trailers(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &plain(fields))
}

fn rpc(player: &Player) -> Rpc {
    match &player.finished()[0].session {
        Session::Rpc(rpc) => (**rpc).clone(),
        other => panic!("no call but {other:?}"),
    }
}

fn played(script: &Script) -> Player {
    let mut player = Player::new();
    player.play(&script.entries);
    player
}

#[test]
fn a_call_is_one_exchange() {
    let mut script = begun(true);
    script.request(&call(1));
    script.request(&frame(DATA, END_STREAM, 1, &messages(&[3, 0, 700])));
    script.response(&status(1, "200"));
    let answer = messages(&[10, 20_000]);
    let (first, second) = answer.split_at(9_000);
    script.response(&frame(DATA, 0, 1, first));
    let second = frame(DATA, 0, 1, second);
    script.walked(false, &[(second[..25].to_vec(), second.len() - 25)]);
    script.response(&trailers(
        1,
        &[("grpc-status", "5"), ("grpc-message", "no%20such")],
    ));
    let player = played(&script);
    let expected = Rpc {
        system: RpcSystem::Grpc,
        status: RpcStatus::Code(5),
        message: Some("no such".into()),
        request_messages: Some(3),
        response_messages: Some(2),
    };
    assert_eq!(rpc(&player), expected);
    assert_eq!(player.finished()[0].response_body, Some(20_020));
    assert_eq!(player.finished()[0].error, None);
}

#[test]
fn a_call_can_end_with_its_first_headers() {
    let mut script = begun(false);
    script.request(&[call(1), frame(DATA, END_STREAM, 1, &messages(&[1]))].concat());
    script.response(&trailers(1, &[(":status", "200"), ("grpc-status", "12")]));
    let rpc = rpc(&played(&script));
    assert_eq!(rpc.status, RpcStatus::Code(12));
    assert_eq!(
        (rpc.request_messages, rpc.response_messages),
        (Some(1), Some(0))
    );
}

#[test]
fn a_call_without_an_end_has_no_status() {
    let mut script = begun(false);
    script.request(&call(1));
    script.request(&frame(DATA, 0, 1, &messages(&[1, 1])));
    script.response(&status(1, "200"));
    script.response(&frame(DATA, 0, 1, &messages(&[1])));
    script.request(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    let player = played(&script);
    let rpc = rpc(&player);
    assert_eq!(rpc.status, RpcStatus::Absent);
    assert_eq!(
        (rpc.request_messages, rpc.response_messages),
        (Some(2), Some(1))
    );
    let reset = ExchangeError::StreamReset {
        code: Some(8),
        by: Role::Client,
    };
    assert_eq!(player.finished()[0].error, Some(reset));
}

#[test]
fn what_went_by_unread_is_not_counted() {
    let mut script = begun(true);
    script.request(&[call(1), frame(DATA, END_STREAM, 1, &messages(&[1]))].concat());
    script.response(&status(1, "200"));
    let lost = script.entries.len();
    script.response(&frame(DATA, 0, 1, &messages(&[4])));
    script.response(&frame(DATA, 0, 1, &messages(&[4])));
    let after = script.entries.len();
    script.response(&trailers(1, &[("grpc-status", "0")]));
    let mut player = Player::new();
    let kept = script.entries[..lost].iter();
    player.play(kept.chain(&script.entries[after..]));
    player.drain(1);
    let rpc = rpc(&player);
    assert_eq!(rpc.status, RpcStatus::Code(0));
    assert_eq!(
        (rpc.request_messages, rpc.response_messages),
        (Some(1), None)
    );
    assert_eq!(player.finished()[0].response_body, None);
}

#[test]
fn joined_in_the_middle_a_status_that_was_never_seen_is_hidden() {
    let joined = |trailers: &[u8]| {
        let old = open_flags::PRE_EXISTING;
        let mut script = Script::opened(true, family::INET, role::UNKNOWN, old);
        script.request(&[call(9), frame(DATA, END_STREAM, 9, &messages(&[1]))].concat());
        script.response(&status(9, "200"));
        script.response(&frame(HEADERS, END_STREAM | END_HEADERS, 9, trailers));
        rpc(&played(&script))
    };
    // Two entries of before.
    let hidden = joined(&[0xbf, 0xbe]);
    assert_eq!(hidden.status, RpcStatus::Hidden);
    assert_eq!(hidden.response_messages, Some(0));
    let seen = joined(&[&[0xbf][..], &indexed(&[("grpc-status", "0")])].concat());
    assert_eq!(seen.status, RpcStatus::Code(0));
}
