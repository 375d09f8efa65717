//! Exchanges of which nothing is lost.

use wirespan_ebpf::{
    records::{family, open_flags, role},
    verdict::Verdict,
};

use super::script::{CONNECTION, Player, Script, TGID};
use crate::{
    clock::KernelTime,
    stream::{
        Limits,
        exchange::{Activity, ConnectionKey, Role},
    },
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn one_exchange_at_the_server() {
    let mut script = Script::new(true);
    let began = script.request(b"POST /p HTTP/1.1\r\nContent-Le");
    let whole = script.request(b"ngth: 5\r\n\r\n12");
    script.request(b"345");
    let ended = script.response(OK);
    script.close(0);
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(player.only(), (Some(200), 5, 2, ended, None));
    let opened = player.opened()[0];
    assert_eq!(opened.started, KernelTime(began));
    assert_eq!(opened.head_ended, KernelTime(whole));
    assert_eq!((opened.position, opened.tgid, opened.tid), (0, TGID, 7));
    let connection = &opened.connection;
    assert_eq!(connection.role, Role::Server);
    assert_eq!(
        connection.key,
        Some(ConnectionKey {
            client: 100,
            server: 200
        })
    );
    assert!(matches!(player.out.first(), Some(Activity::Connected(_))));
    assert!(matches!(player.out.last(), Some(Activity::Disconnected(_))));
    assert!(player.streams.is_empty());
    assert_eq!(player.lost(), 0);
}

#[test]
fn a_body_that_was_not_copied_ends_where_its_length_says() {
    let mut script = Script::new(false);
    script.request(GET);
    let mut head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec();
    head.resize(head.len() + 30_000, b'x');
    script.response(&head);
    script.response_uncopied(40_000);
    let ended = script.response_uncopied(30_000);
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(player.only(), (Some(200), 0, 100_000, ended, None));
}

#[test]
fn a_chunked_body_that_was_not_copied_ends_with_its_turn() {
    let mut script = Script::new(true);
    script.request(GET);
    let mut head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let length = head.len();
    head.extend_from_slice(b"1000\r\n");
    head.resize(length + 9_000, b'x');
    script.response(&head);
    let ended = script.response_uncopied(5);
    let mut player = Player::new();
    player.play(&script.entries);
    assert!(player.finished().is_empty());
    script.request(GET);
    script.response(OK);
    player.play(&script.entries[4..]);
    let first = player.finished()[0];
    assert_eq!((first.response_body, first.ended.0), (Some(9_005), ended));
    assert_eq!(player.finished().len(), 2);
    assert_eq!(player.lost(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut script = Script::new(true);
    script.request(b"GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    script.response(
        b"HTTP/1.1 201 x\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 202 x\r\nContent-Length: 9\r\n\r\n\
          HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
    );
    let mut player = Player::new();
    player.play(&script.entries);
    let status: Vec<_> = player
        .finished()
        .iter()
        .map(|finished| {
            (
                finished.id.0,
                finished.response.and_then(|head| head.status),
            )
        })
        .collect();
    assert_eq!(status, [(1, Some(201)), (2, Some(202)), (3, Some(204))]);
}

#[test]
fn the_unanswered_requests_of_a_connection_are_bounded() {
    let mut script = Script::new(true);
    script.request(&GET.repeat(5));
    let mut player = Player::limited(Limits {
        pipeline: 3,
        ..Limits::default()
    });
    player.play(&script.entries);
    assert_eq!((player.opened().len(), player.lost()), (3, 2));
}

#[test]
fn an_early_response_waits_for_its_request() {
    let mut script = Script::new(true);
    script.request(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345");
    let ended = script.response(OK);
    let mut player = Player::new();
    player.play(&script.entries);
    assert!(player.finished().is_empty());
    script.request(b"67890");
    player.play(&script.entries[3..]);
    assert_eq!(player.only(), (Some(200), 10, 2, ended, None));
}

#[test]
fn a_socket_older_than_the_agent_shows_its_role_by_its_bytes() {
    let mut script = Script::opened(false, family::INET, role::UNKNOWN, open_flags::PRE_EXISTING);
    script.position = [501, 900];
    script.request(GET);
    script.response(OK);
    let mut player = Player::new();
    player.play(&script.entries);
    let opened = player.opened()[0];
    assert_eq!(opened.position, 500);
    assert_eq!(
        opened.connection.key,
        Some(ConnectionKey {
            client: 101,
            server: 200
        })
    );
    assert_eq!(player.finished().len(), 1);
}

#[test]
fn the_rest_of_an_older_message_is_passed_over() {
    let mut script = Script::opened(true, family::INET, role::UNKNOWN, open_flags::PRE_EXISTING);
    script.request(b"rest of some upload");
    script.response(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    script.request(GET);
    script.response(OK);
    script.close(0);
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!((player.finished().len(), player.lost()), (1, 0));
    assert_eq!(player.opened()[0].connection.role, Role::Server);
}

#[test]
fn what_is_not_http_gets_a_verdict() {
    let mut script = Script::new(true);
    script.request(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    script.response(b"\x16\x03\x03");
    script.close(0);
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(
        player.streams.take_verdicts(),
        [(CONNECTION, Verdict::Ignore)]
    );
    assert_eq!(player.lost(), 0);
    assert!(player.streams.is_empty());

    let mut old = Script::opened(true, family::INET, role::UNKNOWN, open_flags::PRE_EXISTING);
    let mut player = Player::new();
    for _ in 0..2 {
        old.request(b"\0\0\0\x05query");
        old.response(b"\0\0\0\x05answer");
    }
    player.play(&old.entries[..4]);
    assert!(player.streams.take_verdicts().is_empty());
    player.play(&old.entries[4..]);
    assert_eq!(
        player.streams.take_verdicts(),
        [(CONNECTION, Verdict::Ignore)]
    );
}

#[test]
fn a_tunnel_is_handed_over() {
    let mut script = Script::new(true);
    script.request(b"CONNECT h:443 HTTP/1.1\r\n\r\n");
    let ended = script.response(b"HTTP/1.1 200 ok\r\n\r\n");
    script.request(b"\x16\x03\x01hello");
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(player.only().3, ended);
    assert_eq!(
        player.streams.take_verdicts(),
        [(CONNECTION, Verdict::Ignore)]
    );
    assert_eq!(player.lost(), 0);
}

#[test]
fn a_head_that_was_not_copied_whole_is_truncated() {
    let mut script = Script::new(true);
    let mut request = b"POST /long HTTP/1.1\r\nHost: x\r\nCookie: ".to_vec();
    request.resize(6_000, b'c');
    request.extend_from_slice(b"\r\nContent-Length: 3\r\n\r\nabc");
    script.request(&request);
    let ended = script.response(OK);
    script.request(GET);
    script.response(OK);
    let mut player = Player::new();
    player.play(&script.entries);
    let first = player.finished()[0];
    assert!(first.truncated);
    assert_eq!((first.response_body, first.ended.0), (Some(2), ended));
    assert_eq!(player.opened()[0].request.target.as_deref(), Some("/long"));
    assert!(!player.finished()[1].truncated);
    assert_eq!(player.lost(), 0);
}

#[test]
fn bytes_that_no_hook_saw_are_a_body() {
    let mut script = Script::new(true);
    script.request(GET);
    let seen = script.response(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    script.unseen_response(5000);
    script.request(GET);
    script.response(OK);
    script.close(0);
    let mut player = Player::new();
    player.play(&script.entries);
    let first = player.finished()[0];
    assert_eq!(
        (first.response_body, first.gap_bytes, first.ended.0),
        (Some(5000), 5000, seen)
    );
    assert_eq!((player.finished().len(), player.lost()), (2, 0));
}
