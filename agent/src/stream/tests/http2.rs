//! Streams of HTTP/2 connections.

use proptest::prelude::*;
use wirespan_ebpf::{
    records::{family, open_flags, role},
    verdict::Verdict,
};

use super::script::{CONNECTION, Entry, Player, Script};
use crate::{
    protocol::http2::PREFACE,
    stream::exchange::{ExchangeError, Finished, HeaderName, HttpVersion, Role},
};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields that are put into the dynamic table.
pub(super) fn indexed(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| literal(0x40, name, value))
        .collect()
}

/// Fields that are not.
pub(super) fn plain(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| literal(0, name, value))
        .collect()
}

fn literal(kind: u8, name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![kind];
    for text in [name, value] {
        field.push(u8::try_from(text.len()).unwrap());
        field.extend(text.as_bytes());
    }
    field
}

fn get(path: &str) -> Vec<u8> {
    plain(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "h"),
    ])
}

fn request(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &get(path))
}

pub(super) fn status(stream: u32, code: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &plain(&[(":status", code)]))
}

fn preface() -> Vec<u8> {
    [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

pub(super) fn begun(server: bool) -> Script {
    let mut script = Script::new(server);
    script.request(&preface());
    script.response(&frame(SETTINGS, 0, 0, &[]));
    script
}

/// Path, status, sizes and error of each exchange, in the order of their ends.
fn told(player: &Player) -> Vec<(String, u16, u64, u64, Option<ExchangeError>)> {
    let opened = player.opened();
    let path = |finished: &Finished| {
        let opened = opened.iter().find(|opened| opened.id == finished.id);
        opened.unwrap().request.target.clone().unwrap_or_default()
    };
    player
        .finished()
        .iter()
        .map(|finished| {
            (
                path(finished).to_string(),
                finished.response.and_then(|head| head.status).unwrap_or(0),
                finished.request_body.unwrap_or(u64::MAX),
                finished.response_body.unwrap_or(u64::MAX),
                finished.error,
            )
        })
        .collect()
}

fn whole(path: &str, status: u16, body: u64) -> (String, u16, u64, u64, Option<ExchangeError>) {
    (path.to_owned(), status, 0, body, None)
}

#[test]
fn streams_are_interleaved() {
    for server in [true, false] {
        let mut script = begun(server);
        let started = script.request(&[request(1, "/a"), request(3, "/b")].concat());
        script.response(&[status(3, "404"), status(1, "200")].concat());
        script.response(&frame(DATA, 0, 1, b"one"));
        let b_ended = script.response(&frame(DATA, END_STREAM, 3, b"gone"));
        let ended = script.response(&frame(DATA, END_STREAM, 1, b"two"));
        script.close(0);
        let mut player = Player::new();
        player.play(&script.entries);
        assert_eq!(told(&player), [whole("/b", 404, 4), whole("/a", 200, 6)]);
        let ends: Vec<_> = player.finished().iter().map(|one| one.ended.0).collect();
        assert_eq!(ends, [b_ended, ended]);
        let first = player.opened()[0];
        assert_eq!(first.started.0, started);
        assert_eq!(first.request.version, HttpVersion::Http2);
        assert_eq!(first.request.header(HeaderName::Authority), Some("h"));
        assert_eq!(first.position, 24 + 9);
        assert!(!first.request.hidden);
        assert_eq!(player.lost(), 0);
        assert!(player.streams.is_empty());
        assert!(player.streams.take_verdicts().is_empty());
    }
}

#[test]
fn a_server_may_speak_first() {
    let mut script = Script::new(true);
    script.response(&frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]));
    script.request(&preface());
    script.request(&request(1, "/a"));
    script.response(&[status(1, "200"), frame(DATA, END_STREAM, 1, b"")].concat());
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(told(&player), [whole("/a", 200, 0)]);
}

#[test]
fn interim_responses_trailers_and_early_answers() {
    let mut script = begun(true);
    let head = frame(HEADERS, END_HEADERS, 1, &get("/up"));
    script.request(&head);
    script.response(&status(1, "103"));
    script.response(&status(1, "413"));
    let trailers = plain(&[("x", "y")]);
    script.response(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &trailers));
    let ended = script.request(&frame(DATA, END_STREAM, 1, b"body"));
    let mut player = Player::new();
    player.play(&script.entries);
    let expected = ("/up".to_owned(), 413, 4, 0, None);
    assert_eq!(told(&player), [expected]);
    assert_eq!(player.finished()[0].ended.0, ended);
}

#[test]
fn streams_end_in_other_ways() {
    let mut script = begun(false);
    for stream in [1, 3, 5, 7, 9] {
        script.request(&request(stream, &format!("/{stream}")));
    }
    script.request(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    script.response(&frame(RST_STREAM, 0, 3, &[0, 0, 0, 7]));
    let last = [0, 0, 0, 7, 0, 0, 0, 2];
    script.response(&frame(GOAWAY, 0, 0, &last));
    script.response(&[status(5, "200"), frame(DATA, END_STREAM, 5, b"ok")].concat());
    script.close(104);
    let mut player = Player::new();
    player.play(&script.entries);
    player.drain(10_000_000_000);
    let failed = |path: &str, error| (path.to_owned(), 0, 0, 0, Some(error));
    let reset = |code, by| ExchangeError::StreamReset {
        code: Some(code),
        by,
    };
    assert_eq!(
        told(&player),
        [
            failed("/1", reset(8, Role::Client)),
            failed("/3", reset(7, Role::Server)),
            failed("/9", ExchangeError::GoneAway { code: 2 }),
            whole("/5", 200, 2),
            failed("/7", ExchangeError::Reset),
        ]
    );
}

#[test]
fn a_reset_behind_the_answer_is_no_error() {
    let mut script = begun(true);
    script.request(&frame(HEADERS, END_HEADERS, 1, &get("/up")));
    let answer = [status(1, "200"), frame(DATA, END_STREAM, 1, b"")].concat();
    let ended = script.response(&answer);
    script.response(&frame(RST_STREAM, 0, 1, &[0; 4]));
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(told(&player), [whole("/up", 200, 0)]);
    assert_eq!(player.finished()[0].ended.0, ended);
}

#[test]
fn a_client_that_has_all_content_need_not_wait_for_the_end() {
    for (length, error) in [("4", None), ("5", Some(ExchangeError::Closed))] {
        let mut script = begun(true);
        script.request(&request(1, "/"));
        let fields = plain(&[(":status", "200"), ("content-length", length)]);
        script.response(&frame(HEADERS, END_HEADERS, 1, &fields));
        script.response(&frame(DATA, 0, 1, b"four"));
        script.close(0);
        let mut player = Player::new();
        player.play(&script.entries);
        assert_eq!(told(&player), [("/".to_owned(), 200, 0, 4, error)]);
    }
}

#[test]
fn pushed_responses_are_exchanges() {
    let mut script = begun(false);
    script.request(&request(1, "/"));
    let promise = [&[0, 0, 0, 2][..], &get("/style")].concat();
    script.response(&frame(PUSH_PROMISE, END_HEADERS, 1, &promise));
    script.response(&[status(2, "200"), frame(DATA, END_STREAM, 2, b"css")].concat());
    script.response(&[status(1, "200"), frame(DATA, END_STREAM, 1, b"")].concat());
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(told(&player), [whole("/style", 200, 3), whole("/", 200, 0)]);
}

#[test]
fn an_upgrade_makes_the_request_the_first_stream() {
    for server in [true, false] {
        let mut script = Script::new(server);
        script.request(
            b"GET /one HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n\
              Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        );
        let switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\
                          Connection: Upgrade\r\n\r\n";
        script.response(&[&switching[..], &frame(SETTINGS, 0, 0, &[])].concat());
        script.request(&[preface(), request(3, "/two")].concat());
        script.response(&[status(3, "204"), frame(DATA, END_STREAM, 3, b"")].concat());
        script.response(&[status(1, "200"), frame(DATA, END_STREAM, 1, b"one")].concat());
        script.close(0);
        let mut player = Player::new();
        player.play(&script.entries);
        assert_eq!(
            told(&player),
            [whole("/two", 204, 0), whole("/one", 200, 3)]
        );
        let verdict = (CONNECTION, Verdict::Http2);
        assert_eq!(player.streams.take_verdicts(), [verdict]);
        assert_eq!(player.lost(), 0);
    }
}

#[test]
fn content_that_is_not_copied_is_counted() {
    let mut script = begun(true);
    script.request(&request(1, "/big"));
    let head = [status(1, "200"), frame(DATA, 0, 1, &[0; 16_384])].concat();
    let (copied, rest) = head.split_at(head.len() - 16_384 + 16);
    let end = frame(DATA, END_STREAM, 1, &[1; 5000]);
    script.walked(
        false,
        &[
            (copied.to_vec(), 1000),
            (Vec::new(), rest.len() - 1000),
            (end[..25].to_vec(), end.len() - 25),
        ],
    );
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(told(&player), [whole("/big", 200, 21_384)]);
    assert_eq!(player.finished()[0].gap_bytes, 0);
}

#[test]
fn a_head_that_was_cut_lies_where_it_began() {
    for lost in [true, false] {
        let mut script = begun(true);
        let from = script.position[1];
        let head = request(1, "/cut");
        let (copied, rest) = head.split_at(head.len() - 3);
        if lost {
            script.walked(true, &[(copied.to_vec(), 0)]);
            script.position[1] += rest.len() as u64;
        } else {
            script.walked(true, &[(copied.to_vec(), rest.len())]);
        }
        script.request(&request(3, "/whole"));
        let mut player = Player::new();
        player.play(&script.entries);
        let opened = player.opened();
        assert_eq!(opened.len(), 2);
        assert_eq!(opened[0].position, from);
        assert!(opened[0].request.hidden);
        assert_eq!(opened[1].position, from + head.len() as u64);
    }
}

#[test]
fn joined_in_the_middle_what_was_never_seen_is_unknown() {
    let mut script = Script::opened(true, family::INET, role::UNKNOWN, open_flags::PRE_EXISTING);
    script.position = [1000, 2000];
    // 64 and 62 are entries of before.
    let fields = [
        &[0x83, 0x86, 0xc0, 0xbe][..],
        &indexed(&[(":path", "/new")]),
    ]
    .concat();
    script.request(&frame(HEADERS, END_STREAM | END_HEADERS, 7, &fields));
    script.response(&[status(7, "200"), frame(DATA, END_STREAM, 7, b"x")].concat());
    // 62 is the entry that was seen.
    let fields = [0x82, 0x86, 0xbe];
    script.request(&frame(HEADERS, END_STREAM | END_HEADERS, 9, &fields));
    script.response(&[status(9, "204"), frame(DATA, END_STREAM, 9, b"")].concat());
    let mut player = Player::new();
    player.play(&script.entries);
    assert_eq!(
        told(&player),
        [whole("/new", 200, 1), whole("/new", 204, 0)]
    );
    let hidden: Vec<_> = player
        .opened()
        .iter()
        .map(|one| (one.request.method.clone().unwrap(), one.request.hidden))
        .collect();
    assert_eq!(hidden, [("POST".into(), true), ("GET".into(), false)]);
    let verdict = (CONNECTION, Verdict::Http2);
    assert_eq!(player.streams.take_verdicts(), [verdict]);
    assert_eq!(player.lost(), 0);
}

#[test]
fn requests_that_went_by_unread_are_counted() {
    let mut script = begun(true);
    script.request(&request(1, "/a"));
    let lost = script.entries.len();
    script.request(&request(3, "/b"));
    script.request(&request(5, "/c"));
    let after = script.entries.len();
    script.request(&request(7, "/d"));
    let answers =
        [1, 7].map(|stream| [status(stream, "200"), frame(DATA, END_STREAM, stream, b"")]);
    script.response(&answers.concat().concat());
    let mut player = Player::new();
    player.play(
        script.entries[..lost]
            .iter()
            .chain(&script.entries[after..]),
    );
    player.drain(1);
    assert_eq!(told(&player), [whole("/a", 200, 0), whole("/d", 200, 0)]);
    assert_eq!(player.lost(), 2);
}

/// A conversation with what it holds.
fn conversation(server: bool) -> (Script, Vec<String>) {
    let mut script = begun(server);
    let mut paths = Vec::new();
    for round in 0..6u32 {
        let stream = 1 + 4 * round;
        let (first, second) = (format!("/first/{round}"), format!("/second/{round}"));
        let fields = indexed(&[(":method", "PUT"), (":scheme", "http"), (":path", &first)]);
        let (one, two) = fields.split_at(9);
        script.request(
            &[
                frame(HEADERS, 0, stream, one),
                frame(CONTINUATION, END_HEADERS, stream, two),
                frame(DATA, 0, stream, &[b'u'; 300]),
                request(stream + 2, &second),
                frame(DATA, END_STREAM, stream, b"end"),
            ]
            .concat(),
        );
        let fields = indexed(&[(":status", "201")]);
        script.response(
            &[
                frame(HEADERS, END_HEADERS, stream, &fields),
                frame(HEADERS, END_HEADERS, stream + 2, &[0xbe]),
                frame(DATA, END_STREAM, stream + 2, &[b'd'; 700]),
                frame(DATA, END_STREAM, stream, &[b'e'; 10]),
            ]
            .concat(),
        );
        paths.extend([first, second]);
    }
    script.close(0);
    (script, paths)
}

#[test]
fn a_byte_at_a_time_is_the_same() {
    for server in [true, false] {
        let (script, paths) = conversation(server);
        let mut player = Player::new();
        player.play(&script.entries);
        let expected = told(&player);
        assert_eq!(expected.len(), paths.len());
        let mut slow = Script::new(server);
        for entry in &script.entries {
            if let Entry::Data(data, payload) = entry {
                let from_client = (data.direction == 0) != server;
                for byte in payload {
                    slow.walked(from_client, &[(vec![*byte], 0)]);
                }
            }
        }
        slow.close(0);
        let mut player = Player::new();
        player.play(&slow.entries);
        assert_eq!(told(&player), expected);
    }
}

proptest! {
    /// Whatever is lost, what is told is true.
    #[test]
    fn losses_give_a_subset(server: bool, from in 1usize..20, count in 0usize..6) {
        let (script, paths) = conversation(server);
        let from = from.min(script.entries.len() - 1);
        let to = (from + count).min(script.entries.len() - 1);
        let kept = script.entries[..from].iter().chain(&script.entries[to..]);
        let mut player = Player::new();
        player.play(kept);
        player.drain(10_000_000_000);
        player.drain(20_000_000_000);
        let told = told(&player);
        prop_assert!(told.len() <= paths.len());
        let mut seen = Vec::new();
        for (path, status, up, down, error) in told {
            prop_assert!(path.is_empty() || paths.contains(&path), "{path}");
            prop_assert!(path.is_empty() || !seen.contains(&path));
            prop_assert!([0, 201].contains(&status));
            prop_assert_eq!(error, None);
            let first = path.starts_with("/first");
            if !path.is_empty() {
                let sizes = if first { (303, 10) } else { (0, 700) };
                prop_assert!(up == u64::MAX || up == sizes.0);
                prop_assert!(down == u64::MAX || down == sizes.1);
            }
            seen.push(path);
        }
        let lost = usize::try_from(player.lost()).unwrap();
        prop_assert!(seen.len() + lost <= paths.len());
        prop_assert!(count > 0 || seen.len() == paths.len());
    }
}
