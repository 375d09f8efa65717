//! How connections end, and what becomes of what is open.

use wirespan_ebpf::records::{family, role};

use super::script::{Player, Script, TGID};
use crate::{
    clock::KernelTime,
    metrics::counters::Loss,
    stream::{
        Limits,
        exchange::{Activity, ExchangeError},
    },
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const CLOSING: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nhello";
const CUT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi";
const SECOND: u64 = 1_000_000_000;

#[test]
fn a_response_ends_with_its_connection() {
    let mut script = Script::new(true);
    script.request(GET);
    script.response(CLOSING);
    let ended = script.response(b"world");
    script.send_shut();
    script.close(0);
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(player.only(), (Some(200), 0, 10, ended, None));

    let mut script = Script::new(false);
    script.request(GET);
    let ended = script.response(CLOSING);
    script.end_of_stream();
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(player.only(), (Some(200), 0, 5, ended, None));
}

#[test]
fn a_fin_is_no_byte() {
    let mut script = Script::new(false);
    script.request(GET);
    // The receive that reads the last bytes and the FIN has a position that is one too high.
    script.unseen_response(1);
    let ended = script.response(CLOSING);
    script.end_of_stream();
    script.close(0);
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(player.only(), (Some(200), 0, 5, ended, None));
}

#[test]
fn an_error_ends_what_is_open() {
    for (number, error) in [
        (104, ExchangeError::Reset),
        (32, ExchangeError::Reset),
        (110, ExchangeError::TimedOut),
        (113, ExchangeError::Closed),
        (0, ExchangeError::Closed),
    ] {
        let mut script = Script::new(true);
        script.request(GET);
        script.response(CUT);
        let ended = script.close(number);
        let mut player = Player::new();
        player.play(&script.entries);
        assert_eq!(player.only(), (Some(200), 0, 2, ended, Some(error)));
    }
}

#[test]
fn a_client_can_read_after_the_connection_closed() {
    let mut script = Script::new(false);
    script.request(GET);
    let closed = script.close(0);
    let mut player = Player::new();
    player.play(&script.entries);
    player.drain(closed + SECOND / 2);
    assert!(player.finished().is_empty());
    let ended = script.response(OK);
    player.play(&script.entries[3..]);
    assert_eq!(player.only(), (Some(200), 0, 2, ended, None));
    player.drain(closed + 2 * SECOND);
    assert!(player.streams.is_empty());

    let mut player = Player::new();
    player.play(&script.entries[..3]);
    player.drain(closed + 2 * SECOND);
    assert_eq!(
        player.only(),
        (None, 0, 0, closed, Some(ExchangeError::Closed))
    );
    assert!(player.streams.is_empty());
}

#[test]
fn a_peer_that_closes_does_not_answer() {
    let mut script = Script::new(false);
    script.request(GET);
    let ended = script.end_of_stream();
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(
        player.only(),
        (None, 0, 0, ended, Some(ExchangeError::Closed))
    );
}

#[test]
fn a_reset_before_the_exit_is_what_ended_it() {
    let mut script = Script::new(false);
    script.request(GET);
    // ECONNRESET
    let reset = script.close(104);
    let mut player = Player::new();
    player.play(&script.entries);
    player.streams.process_exited(TGID, KernelTime(reset + 5));
    player.drain(reset + 5);
    assert_eq!(
        player.only(),
        (None, 0, 0, reset, Some(ExchangeError::Reset))
    );
}

#[test]
fn a_process_that_exits_leaves_its_exchanges() {
    let mut script = Script::new(true);
    script.request(GET);
    script.response(CUT);
    let mut player = Player::new();
    player.play(&script.entries);
    let exited = KernelTime(script.now() + 5);
    player.streams.process_exited(TGID, exited);
    player.drain(exited.0);
    assert_eq!(
        player.only(),
        (
            Some(200),
            0,
            2,
            exited.0,
            Some(ExchangeError::ProcessExited)
        )
    );
    assert!(matches!(
        player.out.last(),
        Some(Activity::ProcessExited(TGID))
    ));
    script.close(0);
    player.play(&script.entries[3..]);
    assert!(player.streams.is_empty());
    assert_eq!(player.finished().len(), 1);
}

#[test]
fn the_agent_stops() {
    let mut script = Script::new(true);
    script.request(GET);
    let mut player = Player::new();
    player.play(&script.entries);
    player.streams.stop(KernelTime(9000), &mut player.out);
    assert_eq!(
        player.only(),
        (None, 0, 0, 9000, Some(ExchangeError::AgentStopped))
    );
    assert!(player.streams.is_empty());
    assert_eq!(player.lost(), 0);
}

#[test]
fn unix_sockets_end_with_their_peers() {
    let mut client = Script::opened(false, family::UNIX, role::CLIENT, 0);
    let mut server = Script::opened(false, family::UNIX, role::CLIENT, 0).connection(78);
    client.request(GET);
    let ended = server.end_of_stream();
    let mut player = Player::new();
    player.play(&client.entries);
    player.play(&server.entries);
    player.drain(ended + 2 * SECOND);
    assert_eq!(player.only().4, Some(ExchangeError::Closed));
    assert!(player.streams.is_empty());
}

#[test]
fn the_longest_silent_connection_makes_room() {
    let mut player = Player::limited(Limits {
        connections: 2,
        ..Limits::default()
    });
    for id in 1..=3 {
        let mut script = Script::new(true).connection(id);
        for _ in 0..id {
            script.request(GET);
        }
        player.play(&script.entries);
    }
    assert_eq!(player.streams.len(), 2);
    assert_eq!(player.counters.loss(Loss::ConnectionEvicted), 1);
    assert_eq!(player.lost(), 1);
    assert!(
        player
            .out
            .iter()
            .any(|activity| matches!(activity, Activity::Lost(id) if id.0 == 1))
    );
}

/// A chunked body that is longer than what is copied, without its last chunk.
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n";

fn long_chunked(script: &mut Script) {
    script.request(GET);
    let mut bytes = CHUNKED.to_vec();
    bytes.resize(CHUNKED.len() + 0x2000, b'x');
    script.response(&bytes);
}

#[test]
fn a_chunked_body_that_was_not_copied_ends_with_its_last_chunk() {
    let mut script = Script::new(true);
    long_chunked(&mut script);
    let ended = script.response(b"\r\n0\r\n\r\n");
    let mut player = Player::new();
    player.play(&script.entries);
    player.drain(ended + SECOND / 100);
    assert!(player.finished().is_empty());
    player.drain(ended + SECOND / 10);
    assert_eq!(player.only(), (Some(200), 0, 0x2000 + 13, ended, None));
}

#[test]
fn content_that_looks_like_the_last_chunk_goes_on() {
    let mut script = Script::new(true);
    long_chunked(&mut script);
    let first = script.response(b"\r\n0\r\n\r\n");
    script.response(b"more");
    let mut player = Player::new();
    player.play(&script.entries[..4]);
    player.drain(first + SECOND / 100);
    player.play(&script.entries[4..]);
    // A stream may pause for as long as it likes.
    player.drain(first + 60 * SECOND);
    assert!(player.finished().is_empty());
    let ended = script.response(b"\r\n0\r\n\r\n");
    player.play(&script.entries[5..]);
    player.drain(ended + 61 * SECOND);
    assert_eq!(player.only(), (Some(200), 0, 0x2000 + 24, ended, None));
}

#[test]
fn the_end_of_the_connection_tells_what_the_last_bytes_were() {
    type Say = fn(&mut Script) -> u64;
    let cases: [(Say, bool); 4] = [
        (|script| script.response(b"\r\n0\r\n\r\n"), true),
        (|script| script.response(b"y"), false),
        (|script| script.response_uncopied(100), true),
        (|script| script.response(b"\r\n0\r\nA: b\r\n\r\n"), true),
    ];
    for (say, whole) in cases {
        for exits in [false, true] {
            let mut script = Script::new(true);
            long_chunked(&mut script);
            let last = say(&mut script);
            let mut player = Player::new();
            let (ended, error) = if exits {
                player.play(&script.entries);
                player.streams.process_exited(TGID, KernelTime(last + 5));
                player.drain(last + 5);
                (last + 5, ExchangeError::ProcessExited)
            } else {
                let closed = script.close(0);
                player.play(&script.entries);
                (closed, ExchangeError::Closed)
            };
            let (.., at, told) = player.only();
            let wanted = if whole {
                (last, None)
            } else {
                (ended, Some(error))
            };
            assert_eq!((at, told), wanted);
        }
    }
}
