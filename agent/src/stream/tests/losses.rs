//! Records that are late, lost or hostile.

use std::{fmt::Write as _, ops::Range};

use proptest::{collection::vec, prelude::*};

use super::script::{Entry, Player, Script};
use crate::stream::exchange::{Finished, Opened};

/// Longer than any connection is kept after its close.
const LATER: u64 = 10_000_000_000;

/// What is said in one exchange.
#[derive(Clone, Debug)]
struct Said {
    post: Option<usize>,
    expect: bool,
    status: u16,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Length(usize),
    Chunked(Vec<usize>),
}

fn said() -> impl Strategy<Value = Said> {
    let body = prop_oneof![
        Just(Body::None),
        (0usize..9000).prop_map(Body::Length),
        vec(1usize..3000, 0..4).prop_map(Body::Chunked),
    ];
    (
        proptest::option::of(0usize..6000),
        any::<bool>(),
        prop_oneof![Just(200u16), Just(404), Just(500)],
        body,
    )
        .prop_map(|(post, expect, status, body)| Said {
            post,
            expect,
            status,
            body,
        })
}

impl Said {
    fn request_head(&self, number: usize) -> String {
        match self.post {
            Some(length) => {
                format!("POST /{number} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n")
            }
            None => format!("GET /{number} HTTP/1.1\r\nHost: h\r\n\r\n"),
        }
    }

    fn response(&self) -> (Vec<u8>, usize) {
        let mut head = format!("HTTP/1.1 {} x\r\n", self.status);
        let mut body = String::new();
        match &self.body {
            Body::None => head.push_str("Content-Length: 0\r\n\r\n"),
            Body::Length(length) => {
                write!(head, "Content-Length: {length}\r\n\r\n").unwrap();
                body.push_str(&"b".repeat(*length));
            }
            Body::Chunked(chunks) => {
                head.push_str("Transfer-Encoding: chunked\r\n\r\n");
                for chunk in chunks {
                    write!(body, "{chunk:x}\r\n{}\r\n", "c".repeat(*chunk)).unwrap();
                }
                body.push_str("0\r\n\r\n");
            }
        }
        let length = body.len();
        (
            head.into_bytes()
                .into_iter()
                .chain(body.into_bytes())
                .collect(),
            length,
        )
    }
}

/// What must come of an exchange: target, status, sizes, start, end.
type Truth = (String, u16, u64, u64, u64, u64);

fn pieces(length: usize, cuts: &[usize]) -> Vec<Range<usize>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (length + 1)).collect();
    cuts.extend([0, length]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

fn play_all(server: bool, all: &[Said], cuts: &[usize], expect: bool) -> (Script, Vec<Truth>) {
    let mut script = Script::new(server);
    let mut truths = Vec::new();
    for (number, said) in all.iter().enumerate() {
        let head = said.request_head(number).into_bytes();
        let body = vec![b'p'; said.post.unwrap_or(0)];
        let mut start = 0;
        if expect && said.expect && !body.is_empty() {
            start = script.request(&head);
            script.response(b"HTTP/1.1 100 Continue\r\n\r\n");
            for piece in pieces(body.len(), cuts) {
                script.request(&body[piece]);
            }
        } else {
            let bytes = [head, body.clone()].concat();
            for piece in pieces(bytes.len(), cuts) {
                let time = script.request(&bytes[piece]);
                start = if start == 0 { time } else { start };
            }
        }
        let (bytes, length) = said.response();
        let mut end = 0;
        for piece in pieces(bytes.len(), cuts) {
            end = script.response(&bytes[piece]);
        }
        truths.push((
            format!("/{number}"),
            said.status,
            body.len() as u64,
            length as u64,
            start,
            end,
        ));
    }
    script.close(0);
    (script, truths)
}

fn told(opened: &[&Opened], finished: &Finished) -> Truth {
    let opened = opened
        .iter()
        .find(|opened| opened.id == finished.id)
        .unwrap();
    (
        opened.request.target.clone().unwrap().to_string(),
        finished.response.and_then(|head| head.status).unwrap_or(0),
        finished.request_body.unwrap(),
        finished.response_body.unwrap(),
        opened.started.0,
        finished.ended.0,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_lost_is_all_exchanges(
        server: bool,
        all in vec(said(), 1..6),
        cuts in vec(any::<usize>(), 0..5),
    ) {
        let (script, truths) = play_all(server, &all, &cuts, true);
        let mut player = Player::new();
        player.play(&script.entries);
        player.drain(script.now() + LATER);
        let opened = player.opened();
        let told: Vec<_> = player.finished().iter().map(|one| told(&opened, one)).collect();
        prop_assert_eq!(told, truths);
        prop_assert_eq!(player.lost(), 0);
        prop_assert!(player.streams.is_empty());
    }

    #[test]
    fn what_is_lost_is_counted(
        server: bool,
        all in vec(said(), 1..8),
        cuts in vec(any::<usize>(), 0..3),
        drops in vec((any::<usize>(), 1usize..8), 0..4),
    ) {
        let (script, truths) = play_all(server, &all, &cuts, false);
        let count = script.entries.len() - 1;
        let dropped = |at: usize| {
            drops.iter().any(|(from, length)| {
                let from = from % count;
                (from..from + length).contains(&at) && at < count
            })
        };
        let left: Vec<&Entry> = script
            .entries
            .iter()
            .enumerate()
            // The opening record tells the role.
            .filter(|(at, _)| *at == 0 || !dropped(*at))
            .map(|(_, entry)| entry)
            .collect();
        let mut player = Player::new();
        for entry in left {
            player.play([entry]);
            player.drain(script.now());
        }
        player.drain(script.now() + LATER);
        let opened = player.opened();
        for finished in player.finished() {
            let told = told(&opened, finished);
            prop_assert_eq!(finished.error, None);
            let is_told = |truth: &Truth| {
                // The size of a message whose head was cut is not known, and says so.
                let sizes = finished.truncated || (truth.2, truth.3) == (told.2, told.3);
                let rest = (&truth.0, truth.1, truth.4, truth.5);
                sizes && rest == (&told.0, told.1, told.4, told.5)
            };
            prop_assert!(truths.iter().any(is_told), "{:?} of {:?}", told, truths);
            prop_assert!(!finished.truncated || finished.gap_bytes > 0);
        }
        prop_assert_eq!(player.finished().len() as u64 + player.lost(), truths.len() as u64);
    }

    #[test]
    fn every_request_is_told_or_counted(
        server: bool,
        all in vec(said(), 1..8),
        cuts in vec(any::<usize>(), 0..3),
        drops in vec((any::<usize>(), 1usize..8), 0..4),
        keep_alive: bool,
        shut: bool,
    ) {
        let (mut script, truths) = play_all(server, &all, &cuts, false);
        script.entries.pop();
        if !keep_alive {
            if shut {
                script.send_shut();
            }
            script.close(0);
        }
        let count = script.entries.len();
        let dropped = |at: usize| {
            drops.iter().any(|(from, length)| {
                let from = from % count;
                (from..from + length).contains(&at)
            })
        };
        let mut player = Player::new();
        // The kernel's account, see `unwritten_requests` there. A connection that is open when
        // the agent stops has none: the last record is seen.
        let (mut written_turn, mut kernels) = (0, 0);
        let turn_of = |entry: &Entry| match entry {
            Entry::Open(_) => 0,
            Entry::Data(data, _) => data.turn,
            Entry::Close(close) => close.turn,
        };
        // Whether the last record is a part of a request whose next part is lost: one that came
        // in part only looks the same.
        let mut torn = false;
        for (at, entry) in script.entries.iter().enumerate() {
            let last = at + 1 == count;
            let turn = turn_of(entry);
            if dropped(at) && !(last && keep_alive) {
                if last {
                    let rest = turn - written_turn;
                    kernels = if turn % 2 == 1 { rest.div_ceil(2) } else { rest / 2 };
                }
                continue;
            }
            written_turn = turn;
            torn = turn % 2 == 1
                && script.entries.get(at + 1).is_some_and(|next| turn_of(next) == turn);
            player.play([entry]);
            player.drain(script.now());
        }
        player.drain(script.now() + LATER);
        player.streams.stop(crate::clock::KernelTime(script.now() + LATER), &mut player.out);
        let told = player.finished().len() as u64 + player.lost() + u64::from(kernels);
        let missing = truths.len() as u64 - told;
        prop_assert!(missing <= u64::from(torn), "{} missing: {:?}", missing, player.out);
    }

    #[test]
    fn late_records_change_nothing(
        server: bool,
        all in vec(said(), 1..5),
        cuts in vec(any::<usize>(), 0..3),
        seed in vec(any::<usize>(), 1..40),
    ) {
        let (script, truths) = play_all(server, &all, &cuts, true);
        let mut entries = script.entries.clone();
        for (at, swap) in seed.iter().enumerate() {
            let from = at % entries.len();
            let to = (from + swap % 4).min(entries.len() - 1);
            entries.swap(from, to);
        }
        let mut player = Player::new();
        player.play(&entries);
        player.drain(script.now() + LATER);
        let opened = player.opened();
        let told: Vec<_> = player.finished().iter().map(|one| told(&opened, one)).collect();
        prop_assert_eq!(told, truths);
        prop_assert_eq!(player.lost(), 0);
    }

    #[test]
    fn foreign_records_never_panic(
        entries in vec((any::<[u8; 56]>(), vec(any::<u8>(), 0..64), 0u8..3), 0..64),
    ) {
        let mut player = Player::new();
        for (bytes, payload, kind) in entries {
            let mut raw = bytes.to_vec();
            raw[0] = kind + 1;
            raw[1] &= 1;
            // Few connections and numbers, so that records meet.
            raw[16..24].copy_from_slice(&u64::from(bytes[16] % 2).to_ne_bytes());
            raw[32..36].copy_from_slice(&u32::from(bytes[32] % 8).to_ne_bytes());
            raw[36..40].copy_from_slice(&u32::from(bytes[36] % 8).to_ne_bytes());
            let captured = u32::try_from(payload.len()).unwrap();
            raw[44..48].copy_from_slice(&captured.to_ne_bytes());
            raw.extend(payload);
            raw.resize(raw.len() + 64, 0);
            let aligned: Vec<u64> = raw
                .chunks_exact(8)
                .map(|word| u64::from_ne_bytes(word.try_into().unwrap()))
                .collect();
            let bytes = zerocopy::IntoBytes::as_bytes(aligned.as_slice());
            if let Ok(record) = crate::stream::record::Record::decode(bytes) {
                player.streams.record(&record, &mut |_, _| true, &mut player.out);
            }
            player.drain(0);
        }
        player.streams.stop(crate::clock::KernelTime(1), &mut player.out);
        prop_assert!(player.streams.is_empty());
    }
}
