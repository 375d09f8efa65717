//! HTTP/1 to the letter: which bytes are whose, where each message ends, what ends an exchange.

use wirespan_ebpf::records::{family, open_flags, role};

use super::script::{Player, Script};
use crate::{
    clock::KernelTime,
    metrics::counters::{Flow, Loss},
    stream::{Limits, exchange::ExchangeError},
};

const SECOND: u64 = 1_000_000_000;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// Target, status, size of request and response, end, error.
type Told<'a> = (&'a str, u16, u64, u64, u64, Option<ExchangeError>);

fn told(player: &Player) -> Vec<Told<'_>> {
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

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
}

fn ok(length: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    [head.into_bytes(), vec![b'x'; length]].concat()
}

/// Plays what is said at both ends, each as client and as server.
fn both(say: impl Fn(&mut Script), check: impl Fn(&Player, &Script)) {
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
            let mut played = script.entries.len();
            for _ in 0..3 {
                script.response(b"7\r\ndata:\n\n\r\n");
                player.play(&script.entries[played..]);
                played = script.entries.len();
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
            player.play(&script.entries[played..]);
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
    let played = script.entries.len();
    let ended = script.response(b"more");
    script.request(&get("/2"));
    player.play(&script.entries[played..]);
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

/// Requests that are invalid or read in more than one way: what follows is right or counted.
#[test]
fn smuggled_requests_pair_with_nothing_of_others() {
    for smuggled in [
        &b"POST /s HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"[..],
        b"POST /s HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /s HTTP/1.1\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST /s HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST /s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        b"POST /s HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /s HTTP/1.1 \x01\r\n\r\n",
        b"\0\0\0\0",
    ] {
        both(
            |script| {
                script.request(&get("/1"));
                script.response(&ok(1));
                script.request(&[&get("/2")[..], smuggled, &get("/3")].concat());
                script.response(
                    &[
                        &ok(2)[..],
                        b"HTTP/1.1 400 no\r\nContent-Length: 0\r\n\r\n",
                        &ok(3),
                    ]
                    .concat(),
                );
                script.request(&get("/4"));
                script.response(&ok(4));
            },
            |player, _| {
                let told: Vec<_> = told(player)
                    .iter()
                    .filter(|one| one.0 != "/s")
                    .map(|one| (one.0, one.1, one.3))
                    .collect();
                assert_eq!(
                    told,
                    [("/1", 200, 1), ("/2", 200, 2), ("/4", 200, 4)],
                    "{smuggled:?}"
                );
                // A request is known, and answered, when its content turns out to be invalid.
                let known = player.finished().len() == 4;
                assert_eq!(player.counters.loss(Loss::Invalid), u64::from(!known));
                assert!(player.counters.flow(Flow::BytesGap) >= get("/3").len() as u64);
            },
        );
    }
    // Both lengths: chunked wins (RFC 9112 section 6.3).
    both(
        |script| {
            script.request(
                b"POST /1 HTTP/1.1\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
            );
            script.response(&ok(1));
            script.request(b"ET /2 HTTP/1.1\r\n\r\n");
            script.response(&ok(2));
        },
        |player, _| {
            let told: Vec<_> = told(player)
                .iter()
                .map(|one| (one.0, one.2, one.3))
                .collect();
            assert_eq!(told, [("/1", 5, 1), ("/2", 0, 2)]);
        },
    );
}

#[test]
fn an_invalid_response_is_counted() {
    both(
        |script| {
            script.request(&get("/1"));
            script.response(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
            script.request(&get("/2"));
            script.response(&ok(2));
        },
        |player, _| {
            let told: Vec<_> = told(player).iter().map(|one| (one.0, one.3)).collect();
            assert_eq!(told, [("/2", 2)]);
            assert_eq!(player.counters.loss(Loss::Invalid), 1);
        },
    );
}

#[test]
fn what_waits_beyond_the_limit_is_counted_and_not_mixed_up() {
    for server in [false, true] {
        let mut script = Script::new(server);
        let five: Vec<u8> = (1..=5)
            .flat_map(|number| get(&format!("/{number}")))
            .collect();
        script.request(&five);
        script.response(&[ok(1), ok(2), ok(3), ok(4), ok(5)].concat());
        script.request(&[get("/6"), get("/7")].concat());
        script.response(&[ok(6), ok(7)].concat());
        let mut player = Player::limited(Limits {
            pipeline: 3,
            ..Limits::default()
        });
        player.play(&script.entries);
        let told: Vec<_> = told(&player).iter().map(|one| (one.0, one.3)).collect();
        assert_eq!(
            told,
            [("/1", 1), ("/2", 2), ("/3", 3), ("/6", 6), ("/7", 7)]
        );
        assert_eq!(player.counters.loss(Loss::PipelineFull), 2);
        assert_eq!(player.lost(), 2);
    }
}

fn old(server: bool) -> Script {
    Script::opened(
        server,
        family::INET,
        role::UNKNOWN,
        open_flags::PRE_EXISTING,
    )
}

/// Wherever a recording of a keep-alive connection begins, the exchanges behind are whole.
#[test]
fn attached_in_the_middle() {
    for server in [false, true] {
        for begin in 0..10 {
            let mut script = old(server);
            script.position = [5000, 7000];
            let say = |script: &mut Script| {
                let post = b"POST /1 HTTP/1.1\r\nContent-Length: 8\r\n\r\nabc";
                script.request(&post[..12]);
                script.request(&post[12..]);
                script.request(b"defgh");
                script.response(b"HTTP/1.1 200 OK\r\nContent-Le");
                script.response(b"ngth: 8\r\n\r\nx\nx");
                script.response(b"HTTP/");
                script.request(&[get("/2"), get("/3")].concat());
                script.response(&[ok(2), ok(3)].concat());
                script.request(b"GE");
                script.request(b"T /4 HTTP/1.1\r\n\r\n");
                script.response(b"H");
                script.response(&ok(4)[1..]);
                script.request(&get("/5"));
                script.response(&ok(5));
            };
            say(&mut script);
            let mut entries = script.entries;
            entries.drain(1..=begin);
            super::script::renumber(&mut entries);
            let mut player = Player::new();
            player.play(&entries);
            player.drain(SECOND);
            let told: Vec<_> = told(&player).iter().map(|one| (one.0, one.3)).collect();
            let all = [("/1", 8), ("/2", 2), ("/3", 3), ("/4", 4), ("/5", 5)];
            // Behind record 9 the rest of a request line looks like another.
            let whole = match begin {
                0 => 0,
                1..=6 => 1,
                7..=8 => 3,
                _ => 4,
            };
            assert_eq!(told, all[whole..], "{server}, from record {begin}");
        }
    }
}

#[test]
fn a_body_that_goes_on_where_the_agent_came_is_no_request() {
    for server in [false, true] {
        let mut script = old(server);
        // An upload that waits for its 100.
        script.response(b"HTTP/1.1 100 Continue\r\n\r\n");
        script.request(&get("/no"));
        script.response(&ok(1));
        script.request(&get("/2"));
        script.response(&ok(2));
        let mut player = Player::new();
        player.play(&script.entries);
        let told: Vec<_> = told(&player).iter().map(|one| (one.0, one.3)).collect();
        assert_eq!(told, [("/2", 2)]);
    }
}

#[test]
fn a_server_that_speaks_first_is_not_answered() {
    both(
        |script| {
            script.request(&get("/1"));
            script.response(&ok(1));
            script.response(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
            script.request(&get("/2"));
            script.response(&ok(2));
        },
        |player, _| {
            let told: Vec<_> = told(player).iter().map(|one| (one.0, one.3)).collect();
            assert_eq!(told, [("/1", 1), ("/2", 2)]);
        },
    );
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
