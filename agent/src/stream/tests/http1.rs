//! HTTP/1 to the letter: which bytes are whose, where each message ends, what ends an exchange.

use super::script::{Player, Script};
use crate::{clock::KernelTime, metrics::counters::Flow, stream::exchange::ExchangeError};

pub(super) const SECOND: u64 = 1_000_000_000;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// Target, status, size of request and response, end, error.
pub(super) type Told<'a> = (&'a str, u16, u64, u64, u64, Option<ExchangeError>);

pub(super) fn told(player: &Player) -> Vec<Told<'_>> {
    let opened = player.opened();
    player
        .finished()
        .iter()
        .map(|finished| {
            let opened = opened.iter().find(|one| one.id == finished.id).unwrap();
            assert!(!finished.truncated && finished.gap_bytes == 0);
            (
                opened.request.target.as_deref().unwrap(),
                finished.response.and_then(|head| head.status).unwrap_or(0),
                finished.request_body.unwrap_or(u64::MAX),
                finished.response_body.unwrap(),
                finished.ended.0,
                finished.error,
            )
        })
        .collect()
}

pub(super) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
}

pub(super) fn ok(length: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    [head.into_bytes(), vec![b'x'; length]].concat()
}

/// Plays what is said at both ends, each as client and as server.
pub(super) fn both(say: impl Fn(&mut Script), check: impl Fn(&Player, &Script)) {
    for server in [false, true] {
        let mut script = Script::new(server);
        say(&mut script);
        let mut player = Player::new();
        player.play(&script.entries);
        check(&player, &script);
    }
}

#[test]
fn pipelined_requests_in_many_segments_and_in_one() {
    both(
        |script| {
            script.request(&[get("/1"), get("/2"), b"GET /3 HT".to_vec()].concat());
            script.request(b"TP/1.1\r\n\r\n");
            script.response(&[ok(1), ok(2)].concat()[..60]);
            // The client goes on while responses are due.
            script.request(&[get("/4"), get("/5")].concat());
            script.response(&[ok(1), ok(2)].concat()[60..]);
            script.response(&[ok(3), ok(4), ok(5)].concat());
        },
        |player, script| {
            let told: Vec<_> = told(player).iter().map(|one| (one.0, one.3)).collect();
            assert_eq!(
                told,
                [("/1", 1), ("/2", 2), ("/3", 3), ("/4", 4), ("/5", 5)]
            );
            assert_eq!(player.finished()[4].ended, KernelTime(script.now()));
            assert_eq!(player.lost(), 0);
        },
    );
}

#[test]
fn a_client_that_pipelines_while_a_chunked_response_is_not_copied() {
    both(
        |script| {
            script.request(&get("/1"));
            let mut bytes =
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n".to_vec();
            bytes.resize(bytes.len() + 0x1000, b'x');
            script.response(&bytes);
            script.request(&get("/2"));
            script.response(&[b'x'; 0x1000]);
            script.response(b"\r\n0\r\n\r\n");
            script.request(&get("/3"));
            script.response(&ok(2));
            script.response(&ok(3));
        },
        |player, _| {
            // What is after the last chunk is not told by its bytes, but nothing is mixed up.
            let told = told(player);
            assert!(told.iter().all(|one| match one.0 {
                "/1" => one.3 == 0x2000 + 13,
                "/2" => one.3 == 2,
                "/3" => one.3 == 3,
                _ => false,
            }));
            assert_eq!(told.len() as u64 + player.lost(), 3);
        },
    );
}

#[test]
fn interim_responses_belong_to_the_final_one() {
    both(
        |script| {
            script
                .request(b"POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
            script.response(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Cont");
            script.response(b"inue\r\n\r\n");
            // Content that looks like a request.
            script.request(b"GET /");
            script.response(b"HTTP/1.1 102 Processing\r\n\r\n");
            script.response(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 x\r\n\r\n");
            script.request(&get("/g"));
            script.response(b"HTTP/1.1 103 x\r\n\r\n");
            script.response(&ok(1));
        },
        |player, _| {
            let told: Vec<_> = told(player)
                .iter()
                .map(|one| (one.0, one.1, one.2))
                .collect();
            assert_eq!(told, [("/p", 204, 5), ("/g", 200, 0)]);
            assert_eq!(player.lost(), 0);
        },
    );
}

const EXPECTING: &[u8] = b"PUT /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 417 no\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_request_that_is_answered_before_its_content() {
    // The content comes all the same.
    both(
        |script| {
            script.request(EXPECTING);
            script.response(REFUSED);
            script.request(&[b'x'; 30]);
            script.request(&get("/2"));
            script.response(&ok(1));
        },
        |player, _| {
            let told: Vec<_> = told(player)
                .iter()
                .map(|one| (one.0, one.1, one.2))
                .collect();
            assert_eq!(told, [("/p", 417, 30), ("/2", 200, 0)]);
        },
    );
    // It never comes: the client goes on with its next request, however that is split.
    for cut in 0..20 {
        both(
            |script| {
                script.request(EXPECTING);
                script.response(REFUSED);
                let next = get("/2");
                for part in [&next[..cut], &next[cut..]] {
                    if !part.is_empty() {
                        script.request(part);
                    }
                }
                script.response(&ok(1));
            },
            |player, _| {
                let told: Vec<_> = told(player)
                    .iter()
                    .map(|one| (one.0, one.1, one.2))
                    .collect();
                assert_eq!(told, [("/p", 417, 0), ("/2", 200, 0)], "cut at {cut}");
                assert_eq!(player.lost(), 0);
            },
        );
    }
    // The connection ends.
    both(
        |script| {
            script.request(EXPECTING);
            script.response(REFUSED);
            script.close(0);
        },
        |player, script| {
            assert_eq!(told(player), [("/p", 417, 0, 0, script.now() - 10, None)]);
        },
    );
    // After a 100 the content is content, whatever it looks like.
    both(
        |script| {
            script
                .request(b"PUT /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 18\r\n\r\n");
            script.response(b"HTTP/1.1 100 Continue\r\n\r\n");
            script.response(REFUSED);
            script.request(b"GET / HTTP/1.1\r\n\r\n");
        },
        |player, _| {
            let told: Vec<_> = told(player)
                .iter()
                .map(|one| (one.0, one.1, one.2))
                .collect();
            assert_eq!(told, [("/p", 417, 18)]);
        },
    );
}

#[test]
fn an_early_response_and_the_connection_after_it() {
    const EARLY: &[u8] = b"HTTP/1.1 413 no\r\nContent-Length: 1\r\n\r\nx";
    both(
        |script| {
            script.request(b"POST /p HTTP/1.1\r\nContent-Length: 9000\r\n\r\n");
            script.request(&[b'x'; 5000]);
            script.response(EARLY);
            // It looks like a request.
            script.request(&get("/no"));
            script.request(&vec![b'x'; 4000 - get("/no").len()]);
            script.request(&get("/2"));
            script.response(&ok(1));
        },
        |player, _| {
            let told: Vec<_> = told(player)
                .iter()
                .map(|one| (one.0, one.1, one.2))
                .collect();
            assert_eq!(told, [("/p", 413, 9000), ("/2", 200, 0)]);
            assert_eq!(player.lost(), 0);
        },
    );
    // A chunked one, of which not all is copied.
    both(
        |script| {
            let mut bytes =
                b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n".to_vec();
            bytes.resize(bytes.len() + 0x1800, b'x');
            script.request(&bytes);
            script.request(&[b'x'; 0x400]);
            script.response(EARLY);
            script.request(&get("/no"));
            script.request(&vec![b'x'; 0x400 - get("/no").len()]);
            script.request(b"\r\n0\r\n\r\n");
            script.response(b"HTTP/1.1 100 x\r\n\r\n");
            script.request(&get("/2"));
            script.response(&ok(1));
        },
        |player, _| {
            let told: Vec<_> = told(player)
                .iter()
                .map(|one| (one.0, one.1, one.2))
                .collect();
            assert_eq!(told[0], ("/p", 413, 0x2000 + 13));
        },
    );
}

#[test]
fn a_response_that_pauses_goes_on() {
    let heads: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n",
    ];
    for (at, head) in heads.iter().enumerate() {
        for uncopied in [false, true] {
            let mut script = Script::new(true);
            script.request(&get("/sse"));
            script.response(head);
            if uncopied && at == 0 {
                let padding = [b"1000\r\n".to_vec(), vec![b'x'; 0x1000], b"\r\n".to_vec()].concat();
                script.response(&padding);
            }
            let mut player = Player::new();
            player.play(&script.entries);
            let mut before = script.entries.len();
            for _ in 0..3 {
                script.response(b"7\r\ndata:\n\n\r\n");
                player.play(&script.entries[before..]);
                before = script.entries.len();
                if at != 2 {
                    script.advance(600 * SECOND);
                    player.drain(script.now());
                    assert_eq!(player.finished().len(), 0, "head {at}");
                }
            }
            if at == 0 {
                script.response(b"0\r\n\r\n");
            }
            let ended = script.now();
            if at == 1 {
                script.close(0);
            }
            player.play(&script.entries[before..]);
            player.drain(script.now() + SECOND);
            let finished = player.finished();
            assert_eq!(finished.len(), 1, "head {at}");
            assert_eq!(finished[0].error, None);
            let last = if at == 1 { ended - 600 * SECOND } else { ended };
            assert_eq!(finished[0].ended.0, last, "head {at}");
        }
    }
}

#[test]
fn a_response_whose_head_was_cut_ends_with_its_turn_and_not_with_time() {
    let mut script = Script::new(true);
    script.request(&get("/sse"));
    let mut head = b"HTTP/1.1 200 OK\r\nSet-Cookie: ".to_vec();
    head.resize(9000, b'c');
    script.response(&head);
    let mut player = Player::new();
    player.play(&script.entries);
    script.advance(3600 * SECOND);
    player.drain(script.now());
    assert!(player.finished().is_empty());
    let before = script.entries.len();
    let ended = script.response(b"more");
    script.request(&get("/2"));
    player.play(&script.entries[before..]);
    assert_eq!(player.finished()[0].ended.0, ended);
    assert!(player.finished()[0].truncated);
}

#[test]
fn bodies_are_as_long_as_they_are() {
    for (request, response, sizes) in [
        (&b"HEAD /a HTTP/1.1\r\n\r\n"[..], &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"[..], (0, 0)),
        (b"HEAD /a HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", (0, 0)),
        (b"GET /a HTTP/1.1\r\n\r\n", b"HTTP/1.1 304 x\r\nContent-Length: 10\r\n\r\n", (0, 0)),
        (b"GET /a HTTP/1.1\r\n\r\n", b"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", (0, 0)),
        (
            b"PUT /a HTTP/1.1\r\ntransfer-encoding: Chunked\r\nContent-Length: 3\r\n\r\n3;x=\"0\"\r\nabc\r\n0\r\nT: v\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, CHUNKED\r\n\r\n1\r\na\r\n00\r\nA: b\r\nC: d\r\n\r\n",
            (25, 24),
        ),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab", (0, 2)),
        (b"GET http://h/a HTTP/1.1\nHost: h\n\n", b"HTTP/1.0 200\nContent-Length: 2\n\nab", (0, 2)),
        (b"WEIRD-1 /a HTTP/1.1\r\nX: a\r\n b\r\n\r\n", b"HTTP/1.1 299 x\r\nContent-Length: 0\r\n\r\n", (0, 0)),
        (b"CONNECT h:1 HTTP/1.1\r\n\r\n", b"HTTP/1.1 407 x\r\nContent-Length: 3\r\n\r\nabc", (0, 3)),
    ] {
        both(
            |script| {
                script.request(request);
                script.response(response);
                script.request(&get("/next"));
                script.response(OK);
            },
            |player, _| {
                let told = told(player);
                assert_eq!((told[0].2, told[0].3), sizes, "{:?}", String::from_utf8_lossy(response));
                assert_eq!((told[1].0, told[1].1, told.len()), ("/next", 200, 2));
                assert_eq!(player.lost(), 0);
            },
        );
    }
}

#[test]
fn no_response_is_an_error_without_a_status() {
    for (number, error) in [
        (104, ExchangeError::Reset),
        (0, ExchangeError::Closed),
        (110, ExchangeError::TimedOut),
    ] {
        for server in [false, true] {
            let mut script = Script::new(server);
            script.request(&[get("/1"), get("/2")].concat());
            script.response(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 20");
            script.close(number);
            let mut player = Player::new();
            player.play(&script.entries);
            player.drain(script.now() + 10 * SECOND);
            let told: Vec<_> = told(&player)
                .iter()
                .map(|one| (one.0, one.1, one.5))
                .collect();
            assert_eq!(told, [("/1", 0, Some(error)), ("/2", 0, Some(error))]);
        }
    }
}

#[test]
fn bodies_of_which_a_part_is_copied_are_no_gaps() {
    both(
        |script| {
            let mut post = b"POST /p HTTP/1.1\r\nContent-Length: 100000\r\n\r\n".to_vec();
            post.resize(post.len() + 100_000, b'x');
            for part in post.chunks(7000) {
                script.request(part);
            }
            for part in ok(200_000).chunks(9000) {
                script.response(part);
            }
            script.request(&get("/2"));
            script.response(&ok(2));
        },
        |player, _| {
            let told: Vec<_> = told(player)
                .iter()
                .map(|one| (one.0, one.2, one.3))
                .collect();
            assert_eq!(told, [("/p", 100_000, 200_000), ("/2", 0, 2)]);
            assert_eq!(player.counters.flow(Flow::BytesGap), 0);
        },
    );
}
