//! HTTP/1 where what is seen is not all, or not as the RFC has it: connections that are joined in
//! their middle, invalid messages, too many requests.

use wirespan_ebpf::records::{family, open_flags, role};

use super::{
    http1::{SECOND, both, get, ok, told},
    script::{Player, Script, renumber},
};
use crate::{
    metrics::counters::{Flow, Loss},
    stream::Limits,
};

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
            renumber(&mut entries);
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
fn what_goes_by_behind_a_loss_is_counted_up_to_the_next_message() {
    for server in [false, true] {
        let mut script = Script::new(server);
        script.request(&get("/1"));
        script.response(&ok(1));
        script.request(b"POST /2 HTTP/1.1\r\nContent-Length: 400\r\n\r\n");
        script.request(&[b'x'; 300]);
        script.request(&[b'x'; 100]);
        script.response(&ok(1000));
        script.request(&get("/3"));
        script.response(&ok(3));
        let mut player = Player::new();
        let mut entries = script.entries.clone();
        // The head of the second request.
        entries.remove(3);
        player.play(&entries);
        player.drain(script.now());
        let told: Vec<_> = told(&player).iter().map(|one| (one.0, one.3)).collect();
        assert_eq!(told, [("/1", 1), ("/3", 3)]);
        assert_eq!(player.lost(), 1);
        let head = b"POST /2 HTTP/1.1\r\nContent-Length: 400\r\n\r\n".len();
        let gap = head + 400 + ok(1000).len();
        assert_eq!(player.counters.flow(Flow::BytesGap), gap as u64);
    }
}
