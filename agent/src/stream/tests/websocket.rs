//! `WebSocket`s: one exchange from the handshake to the close.

use wirespan_ebpf::verdict::Verdict;

use super::script::{CONNECTION, Player, Script, TGID};
use crate::{
    clock::KernelTime,
    stream::exchange::{ExchangeError, Finished, Session, WebSocket},
};

const ASK: &[u8] = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const SECOND: u64 = 1_000_000_000;

/// A frame; `first` is its first byte.
fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mask = u8::from(masked) << 7;
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(mask | u8::try_from(length).unwrap()),
        length => {
            frame.push(mask | 0x7e);
            frame.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    if masked {
        frame.extend_from_slice(&[1, 2, 3, 4]);
        frame.extend(
            payload
                .iter()
                .zip([1, 2, 3, 4].iter().cycle())
                .map(|(a, b)| a ^ b),
        );
    } else {
        frame.extend_from_slice(payload);
    }
    frame
}

fn from_client(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, true)
}

fn from_server(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, false)
}

fn only(player: &Player) -> (&Finished, &WebSocket) {
    let [finished] = player.finished()[..] else {
        panic!("one exchange expected in {:?}", player.out);
    };
    match &finished.session {
        Session::WebSocket(websocket) => (finished, websocket),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_exchange_until_both_closed() {
    for server in [false, true] {
        let mut script = Script::new(server);
        script.request(ASK);
        // The server speaks at once.
        script.response(&[SWITCH, &from_server(0x81, b"welcome")].concat());
        script.request(&from_client(0x01, b"hel"));
        script.request(&[from_client(0x89, b"ping"), from_client(0x80, b"lo")].concat());
        script.response(&from_server(0x8a, b"ping"));
        // Compressed.
        script.response(&from_server(0xc2, &[7; 300]));
        let mut player = Player::new();
        player.play(&script.entries);
        assert!(player.finished().is_empty());
        assert_eq!(
            player.streams.take_verdicts(),
            [(CONNECTION, Verdict::WebSocket)]
        );
        player.drain(script.now() + 3600 * SECOND);
        let before = script.entries.len();
        script.advance(3600 * SECOND);
        script.request(&from_client(0x88, b"\x03\xe9bye"));
        let ended = script.response(&from_server(0x88, b"\x03\xe8"));
        script.close(0);
        player.play(&script.entries[before..]);
        let (finished, websocket) = only(&player);
        assert_eq!((finished.ended, finished.error), (KernelTime(ended), None));
        assert_eq!(
            (finished.request_body, finished.response_body),
            (Some(5), Some(307))
        );
        assert_eq!(finished.response.and_then(|head| head.status), Some(101));
        let expected = WebSocket {
            request_messages: Some(1),
            response_messages: Some(2),
            close_code: Some(1001),
        };
        assert_eq!(websocket, &expected);
        assert_eq!(
            player.streams.take_verdicts(),
            [(CONNECTION, Verdict::Ignore)]
        );
        assert_eq!(player.lost(), 0);
        assert!(player.streams.is_empty());
    }
}

#[test]
fn it_ends_with_the_connection() {
    for (number, error) in [
        (0, None),
        (104, Some(ExchangeError::Reset)),
        (110, Some(ExchangeError::TimedOut)),
    ] {
        for server in [false, true] {
            let mut script = Script::new(server);
            script.request(ASK);
            script.response(SWITCH);
            script.request(&from_client(0x82, b"abc"));
            let ended = script.close(number);
            let mut player = Player::new();
            player.play(&script.entries);
            let (finished, websocket) = only(&player);
            assert_eq!((finished.ended, finished.error), (KernelTime(ended), error));
            assert_eq!(
                (websocket.request_messages, websocket.close_code),
                (Some(1), None)
            );
            assert!(player.streams.is_empty());
        }
    }
    let mut script = Script::new(true);
    script.request(ASK);
    script.response(SWITCH);
    let mut player = Player::new();
    player.play(&script.entries);
    player.streams.stop(KernelTime(9000), &mut player.out);
    assert_eq!(only(&player).0.error, Some(ExchangeError::AgentStopped));

    let mut player = Player::new();
    player.play(&script.entries);
    player.streams.process_exited(TGID, KernelTime(9000));
    player.drain(9000);
    assert_eq!(only(&player).0.error, Some(ExchangeError::ProcessExited));
}

#[test]
fn what_was_received_can_be_read_after_the_close() {
    let mut script = Script::new(false);
    script.request(ASK);
    script.response(SWITCH);
    let length = from_server(0x81, b"last").len() as u64;
    script.unseen_response(length);
    let closed = script.close(0);
    script.unseen_response(length.wrapping_neg());
    let ended = script.response(&from_server(0x81, b"last"));
    let mut player = Player::new();
    player.play(&script.entries);
    player.drain(closed + SECOND / 2);
    assert!(player.finished().is_empty());
    player.drain(closed + 2 * SECOND);
    let (finished, websocket) = only(&player);
    assert_eq!(
        (finished.ended.0, websocket.response_messages),
        (ended, Some(1))
    );
    assert!(player.streams.is_empty());
}

#[test]
fn payload_that_is_walked_over_is_counted() {
    let mut script = Script::new(true);
    script.request(ASK);
    script.response(SWITCH);
    let whole = from_client(0x82, &vec![9; 40_000]);
    script.walked(
        true,
        &[(whole[..8].to_vec(), 40_000), (whole[..8].to_vec(), 39_000)],
    );
    script.walked(true, &[(Vec::new(), 1_000)]);
    script.close(0);
    let mut player = Player::new();
    player.play(&script.entries);
    let (finished, websocket) = only(&player);
    assert_eq!(
        (finished.request_body, websocket.request_messages),
        (Some(80_000), Some(2))
    );
}

#[test]
fn counts_are_absent_where_frames_were_lost() {
    let mut script = Script::new(true);
    script.request(ASK);
    script.response(SWITCH);
    for _ in 0..4 {
        script.request(&from_client(0x81, b"abc"));
        script.response(&from_server(0x81, b"abc"));
    }
    script.request(&from_client(0x88, b""));
    let ended = script.response(&from_server(0x88, b""));
    for lost in 3..script.entries.len() - 2 {
        let mut entries = script.entries.clone();
        entries.remove(lost);
        let mut player = Player::new();
        player.play(&entries);
        player.drain(script.now());
        let (finished, websocket) = only(&player);
        assert_eq!((finished.ended.0, finished.error), (ended, None));
        let is_request = lost % 2 == 1;
        let counts = |known: bool| known.then_some(4);
        assert_eq!(websocket.request_messages, counts(!is_request));
        assert_eq!(websocket.response_messages, counts(is_request));
        assert_eq!(
            finished.request_body,
            counts(!is_request).map(|count| count * 3)
        );
    }
}

#[test]
fn however_the_bytes_are_split() {
    let down = [
        SWITCH,
        &from_server(0x81, b"hello"),
        &from_server(0x88, b"\x03\xe8"),
    ]
    .concat();
    for cut in 1..down.len() {
        let mut script = Script::new(false);
        script.request(&ASK[..cut.min(ASK.len())]);
        if cut < ASK.len() {
            script.request(&ASK[cut..]);
        }
        script.response(&down[..cut]);
        script.response(&down[cut..]);
        let ended = script.request(&from_client(0x88, b"\x03\xe8"));
        let mut player = Player::new();
        player.play(&script.entries);
        let (finished, websocket) = only(&player);
        assert_eq!(
            (finished.ended.0, websocket.response_messages),
            (ended, Some(1))
        );
    }
}

#[test]
fn other_upgrades_end_with_their_101() {
    for name in ["h3-from-the-future", "TLS/1.0"] {
        let mut script = Script::new(true);
        script.request(format!("GET / HTTP/1.1\r\nUpgrade: {name}\r\n\r\n").as_bytes());
        let response = format!("HTTP/1.1 101 x\r\nUpgrade: {name}\r\n\r\n");
        let ended = script.response(response.as_bytes());
        let mut player = Player::new();
        player.play(&script.entries);
        assert_eq!(player.only().3, ended);
        assert_eq!(
            player.streams.take_verdicts(),
            [(CONNECTION, Verdict::Ignore)]
        );
    }
}

#[test]
fn a_refused_upgrade_is_an_ordinary_exchange() {
    let mut script = Script::new(true);
    script.request(ASK);
    script.response(b"HTTP/1.1 403 no\r\nContent-Length: 2\r\n\r\nno");
    script.request(ASK);
    script.response(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(player.finished().len(), 2);
    assert!(
        player
            .finished()
            .iter()
            .all(|one| one.session == Session::Plain)
    );
}
