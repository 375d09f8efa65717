//! Properties of whole HTTP/1 connections, with pipelines, interim responses, all framings and
//! upgrades: split and merged anywhere they give the same exchanges; with records lost anywhere, some
//! of them, and a count.

use std::{fmt::Write as _, ops::Range};

use proptest::{collection::vec, prelude::*};

use super::script::{Entry, Player, Script, renumber};
use crate::{clock::KernelTime, metrics::counters::Flow, stream::exchange::ExchangeError};

/// Longer than any connection is kept after its close.
const LATER: u64 = 10_000_000_000;

#[derive(Clone, Debug)]
enum Body {
    None,
    Length(usize),
    Chunked(Vec<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Post,
}

/// One exchange.
#[derive(Clone, Debug)]
struct Said {
    method: Method,
    request: Body,
    interim: Vec<u16>,
    status: u16,
    response: Body,
    bare_feeds: bool,
}

/// Requests that are sent at once, and whether the next are sent before all answers are there.
#[derive(Clone, Debug)]
struct Batch {
    said: Vec<Said>,
    overlaps: bool,
}

fn body(longest: usize) -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::None),
        (0..longest).prop_map(Body::Length),
        vec(1..longest, 0..4).prop_map(Body::Chunked),
    ]
}

fn said(longest: usize) -> impl Strategy<Value = Said> {
    (
        prop::sample::select(vec![Method::Get, Method::Head, Method::Post]),
        body(longest),
        vec(prop::sample::select(vec![100u16, 102, 103]), 0..3),
        prop::sample::select(vec![200u16, 204, 304, 404, 500]),
        body(longest),
        any::<bool>(),
    )
        .prop_map(
            |(method, request, interim, status, response, bare_feeds)| Said {
                method,
                request: if method == Method::Post {
                    request
                } else {
                    Body::None
                },
                interim,
                status,
                response,
                bare_feeds,
            },
        )
}

fn batches(longest: usize) -> impl Strategy<Value = Vec<Batch>> {
    let batch = (vec(said(longest), 1..4), prop::bool::weighted(0.2))
        .prop_map(|(said, overlaps)| Batch { said, overlaps });
    vec(batch, 1..5)
}

impl Body {
    /// Fields and bytes. The bytes look like messages.
    fn written(&self) -> (String, Vec<u8>) {
        let content = |length: usize| -> Vec<u8> {
            b"HTTP/1.1 200 OK\r\n\r\nGET /no HTTP/1.1\r\n\r\n0\r\n\r\n"
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect()
        };
        match self {
            Self::None => ("Content-Length: 0\r\n".to_owned(), Vec::new()),
            Self::Length(length) => (format!("Content-Length: {length}\r\n"), content(*length)),
            Self::Chunked(chunks) => {
                let mut bytes = Vec::new();
                for chunk in chunks {
                    bytes.extend_from_slice(format!("{chunk:X};a=\"b\"\r\n").as_bytes());
                    bytes.extend_from_slice(&content(*chunk));
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"000\r\nTrailer: 1\r\n\r\n");
                ("Transfer-Encoding: Chunked\r\n".to_owned(), bytes)
            }
        }
    }
}

impl Said {
    fn end(&self, text: String) -> Vec<u8> {
        if self.bare_feeds {
            text.replace("\r\n", "\n").into_bytes()
        } else {
            text.into_bytes()
        }
    }

    /// The request and the length of its body.
    fn asked(&self, number: usize) -> (Vec<u8>, usize) {
        let (fields, body) = self.request.written();
        let method = match self.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
        };
        let fields = if self.method == Method::Post {
            &fields
        } else {
            ""
        };
        let head = format!("{method} /{number} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let length = body.len();
        ([self.end(head), body].concat(), length)
    }

    /// The response and the length of its body.
    fn answered(&self) -> (Vec<u8>, usize) {
        let (fields, body) = self.response.written();
        let mut head = String::new();
        for interim in &self.interim {
            write!(head, "HTTP/1.1 {interim} x\r\nLink: y\r\n\r\n").unwrap();
        }
        write!(head, "HTTP/1.1 {} x\r\n{fields}\r\n", self.status).unwrap();
        let has_body = self.method != Method::Head && !matches!(self.status, 204 | 304);
        let body = if has_body { body } else { Vec::new() };
        let length = body.len();
        ([self.end(head), body].concat(), length)
    }
}

fn pieces(length: usize, cuts: &[usize]) -> Vec<Range<usize>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (length + 1)).collect();
    cuts.extend([0, length]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// What must come of an exchange: target, status, sizes, start, end.
type Truth = (String, u16, u64, u64, u64, u64);

/// Bytes of one direction that are to be sent, and when which of them were.
#[derive(Default)]
struct Way {
    waiting: Vec<u8>,
    queued: usize,
    sent: Vec<(usize, u64)>,
}

impl Way {
    /// Adds a message; where it begins and ends.
    fn add(&mut self, bytes: &[u8]) -> (usize, usize) {
        self.waiting.extend_from_slice(bytes);
        let begin = self.queued;
        self.queued += bytes.len();
        (begin, self.queued)
    }

    /// Sends all but the last `kept` bytes.
    fn send(&mut self, kept: usize, cuts: &[usize], mut say: impl FnMut(&[u8]) -> u64) {
        let count = self.waiting.len() - kept.min(self.waiting.len());
        let first = self.queued - self.waiting.len();
        let bytes: Vec<u8> = self.waiting.drain(..count).collect();
        for piece in pieces(count, cuts) {
            if !piece.is_empty() {
                let time = say(&bytes[piece.clone()]);
                self.sent.push((first + piece.end, time));
            }
        }
    }

    /// When the byte at `at` was sent.
    fn time(&self, at: usize) -> u64 {
        self.sent.iter().find(|(end, _)| at < *end).unwrap().1
    }
}

fn play_all(mut script: Script, batches: &[Batch], cuts: &[usize]) -> (Script, Vec<Truth>) {
    let (mut requests, mut responses) = (Way::default(), Way::default());
    let mut all = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        let mut kept = 0;
        for said in &batch.said {
            let (asked, request_body) = said.asked(all.len());
            let (answered, response_body) = said.answered();
            let begin = requests.add(&asked).0;
            let end = responses.add(&answered).1;
            kept = answered.len() / 2;
            all.push((said.status, request_body, response_body, begin, end));
        }
        requests.send(0, cuts, |bytes| script.request(bytes));
        let is_last = at + 1 == batches.len();
        let kept = if batch.overlaps && !is_last { kept } else { 0 };
        responses.send(kept, cuts, |bytes| script.response(bytes));
    }
    script.close(0);
    let truths = all
        .iter()
        .enumerate()
        .map(
            |(number, (status, request_body, response_body, begin, end))| {
                (
                    format!("/{number}"),
                    *status,
                    *request_body as u64,
                    *response_body as u64,
                    requests.time(*begin),
                    responses.time(end - 1),
                )
            },
        )
        .collect();
    (script, truths)
}

/// What was told: whole exchanges, and others by target, status and error. Sizes that are not known
/// are those of the truth.
fn told(player: &Player, truths: &[Truth]) -> (Vec<Truth>, Vec<(String, u16, ExchangeError)>) {
    let opened = player.opened();
    let (mut whole, mut failed) = (Vec::new(), Vec::new());
    for finished in player.finished() {
        let opened = opened.iter().find(|one| one.id == finished.id).unwrap();
        let target = opened.request.target.clone().unwrap().to_string();
        let status = finished.response.and_then(|head| head.status).unwrap_or(0);
        if let Some(error) = finished.error {
            failed.push((target, status, error));
            continue;
        }
        let truth = truths.iter().find(|truth| truth.0 == target);
        let (request, response) = truth.map_or((0, 0), |truth| (truth.2, truth.3));
        let known = |size: Option<u64>, truth: u64| match size {
            // The size of a message whose head was cut is not known, and says so.
            Some(_) if finished.truncated => truth,
            Some(size) => size,
            None => truth,
        };
        whole.push((
            target,
            status,
            known(finished.request_body, request),
            known(finished.response_body, response),
            opened.started.0,
            finished.ended.0,
        ));
    }
    (whole, failed)
}

/// What is behind a chunked request that is not copied cannot be told from it. Where clients
/// pipeline, the kernel copies more.
fn without_hidden(mut batches: Vec<Batch>) -> Vec<Batch> {
    for said in batches
        .iter_mut()
        .filter(|batch| batch.said.len() > 1)
        .flat_map(|b| &mut b.said)
    {
        if let Body::Chunked(chunks) = &said.request {
            said.request = Body::Length(chunks.iter().sum());
        }
    }
    batches
}

fn without(entries: &[Entry], drops: &[(usize, usize)]) -> Vec<Entry> {
    let count = entries.len() - 1;
    let dropped = |at: usize| {
        drops.iter().any(|(from, length)| {
            let from = from % count;
            (from..from + length).contains(&at) && at < count
        })
    };
    entries
        .iter()
        .enumerate()
        // The opening record tells the role, the closing one what there was.
        .filter(|(at, _)| *at == 0 || !dropped(*at))
        .map(|(_, entry)| entry.clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn split_and_merged_anywhere_they_are_the_same(
        server: bool,
        batches in batches(300),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let (script, truths) = play_all(Script::new(server).copied_whole(), &batches, &cuts);
        let mut player = Player::new();
        player.play(&script.entries);
        player.drain(script.now() + LATER);
        let (whole, failed) = told(&player, &truths);
        prop_assert_eq!(whole, truths);
        prop_assert_eq!(failed, []);
        prop_assert_eq!(player.lost(), 0);
        prop_assert!(player.streams.is_empty());
        prop_assert!(player.finished().iter().all(|one| !one.truncated && one.gap_bytes == 0));
    }

    #[test]
    fn byte_by_byte_they_are_the_same(server: bool, batches in batches(40)) {
        let every: Vec<usize> = (0..2000).collect();
        let (script, truths) = play_all(Script::new(server).copied_whole(), &batches, &every);
        let mut player = Player::new();
        player.play(&script.entries);
        player.drain(script.now() + LATER);
        prop_assert_eq!(told(&player, &truths).0, truths);
        prop_assert_eq!(player.lost(), 0);
    }

    #[test]
    fn what_is_not_copied_or_lost_makes_no_false_exchange(
        server: bool,
        copied_whole: bool,
        batches in batches(3000),
        cuts in vec(any::<usize>(), 0..6),
        drops in vec((any::<usize>(), 1usize..8), 0..4),
    ) {
        let script = Script::new(server);
        let script = if copied_whole { script.copied_whole() } else { script };
        let mut batches = if copied_whole { batches } else { without_hidden(batches) };
        if !drops.is_empty() {
            // A client that never waits for its answers is not known as such behind a loss.
            for batch in &mut batches {
                batch.overlaps = false;
            }
        }
        let (script, truths) = play_all(script, &batches, &cuts);
        let mut player = Player::new();
        for entry in &without(&script.entries, &drops) {
            player.play([entry]);
            player.drain(script.now());
        }
        player.drain(script.now() + LATER);
        let (whole, failed) = told(&player, &truths);
        for one in &whole {
            prop_assert!(truths.contains(one), "{:?} of {:?}", one, truths);
        }
        prop_assert_eq!(failed, []);
        // How many requests were in bytes that are missing is not always known.
        let counted = player.lost() > 0 || player.counters.flow(Flow::BytesGap) > 0;
        prop_assert!(whole.len() == truths.len() || counted);
    }

    #[test]
    fn a_cut_connection_gives_the_exchanges_before_the_cut(
        server: bool,
        batches in batches(300),
        cuts in vec(any::<usize>(), 0..6),
        at: usize,
    ) {
        let (script, truths) = play_all(Script::new(server).copied_whole(), &batches, &cuts);
        let left = &script.entries[..=at % script.entries.len()];
        let mut player = Player::new();
        player.play(left);
        player.streams.stop(KernelTime(script.now() + LATER), &mut player.out);
        let (whole, failed) = told(&player, &truths);
        prop_assert_eq!(&whole[..], &truths[..whole.len()]);
        for ((target, status, error), truth) in failed.iter().zip(&truths[whole.len()..]) {
            prop_assert_eq!(target, &truth.0);
            prop_assert!(*status == 0 || *status == truth.1);
            prop_assert_eq!(*error, ExchangeError::AgentStopped);
        }
    }

    #[test]
    fn joined_at_any_turn_the_rest_is_whole(
        server: bool,
        batches in batches(300),
        cuts in vec(any::<usize>(), 0..6),
        at: usize,
    ) {
        // The response to a HEAD cannot be told from one with a body when nobody saw the request,
        // and others follow it at once.
        let batches: Vec<Batch> = batches
            .into_iter()
            .map(|mut batch| {
                for said in &mut batch.said {
                    said.method = if said.method == Method::Head { Method::Get } else { said.method };
                }
                Batch { overlaps: false, ..batch }
            })
            .collect();
        let old = Script::opened(
            server,
            wirespan_ebpf::records::family::INET,
            wirespan_ebpf::records::role::UNKNOWN,
            wirespan_ebpf::records::open_flags::PRE_EXISTING,
        );
        let (script, truths) = play_all(old.copied_whole(), &batches, &cuts);
        let turn = u32::try_from(at % (2 * batches.len())).unwrap();
        let mut entries = script.entries.clone();
        entries.retain(|entry| match entry {
            Entry::Data(data, _) => data.turn > turn,
            _ => true,
        });
        renumber(&mut entries);
        let mut player = Player::new();
        player.play(&entries);
        player.drain(script.now() + LATER);
        let (whole, failed) = told(&player, &truths);
        let first: usize = batches
            .iter()
            .take(turn.div_ceil(2) as usize)
            .map(|batch| batch.said.len())
            .sum();
        prop_assert_eq!(&whole[..], &truths[first..]);
        prop_assert_eq!(failed, []);
        prop_assert!(player.finished().iter().all(|one| !one.truncated && one.gap_bytes == 0));
    }
}
