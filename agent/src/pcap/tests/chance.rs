//! Conversations cut, shuffled, repeated and thinned out by chance, and files of any bytes.

use proptest::prelude::*;

use super::{
    replay::Replay,
    talk::{CLIENT, SERVER, STEP, Sent, Talk, raw, snapped},
};
use crate::pcap::Perspective;

/// One exchange: bytes of the request's body and of the response's, and whether that is chunked.
type Plan = (usize, usize, bool);

/// Content that looks like messages, and content that does not.
const FALSE: &[u8] = b"GET /false HTTP/1.1\r\n\r\nHTTP/1.1 500 No\r\n\r\n";
const PLAIN: &[u8] = b"(any content) ";

fn request(at: usize, body: usize, content: &[u8]) -> Vec<u8> {
    let mut request =
        format!("POST /{at} HTTP/1.1\r\nHost: x\r\nContent-Length: {body}\r\n\r\n").into_bytes();
    request.extend(content.iter().cycle().take(body));
    request
}

fn response(at: usize, body: usize, is_chunked: bool, content: &[u8]) -> Vec<u8> {
    let status = 210 + at % 80;
    let content: Vec<u8> = content.iter().copied().cycle().take(body).collect();
    let mut response = format!("HTTP/1.1 {status} OK\r\n").into_bytes();
    if is_chunked {
        response.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in content.chunks(100) {
            response.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            response.extend(chunk);
            response.extend(b"\r\n");
        }
        response.extend(b"0\r\n\r\n");
    } else {
        response.extend(format!("Content-Length: {body}\r\n\r\n").as_bytes());
        response.extend(content);
    }
    response
}

/// A conversation in segments of the given sizes.
fn conversation(plans: &[Plan], sizes: &[usize], numbers: (u32, u32), content: &[u8]) -> Talk {
    let mut talk = Talk::new().numbered(numbers.0, numbers.1).open();
    let mut sizes = sizes.iter().cycle();
    for (at, (sent, received, is_chunked)) in plans.iter().enumerate() {
        for (side, bytes) in [
            (CLIENT, request(at, *sent, content)),
            (SERVER, response(at, *received, *is_chunked, content)),
        ] {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let size = (*sizes.next().unwrap()).min(rest.len());
                talk.say(side, &rest[..size]);
                rest = &rest[size..];
            }
        }
    }
    talk.close();
    talk
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    proptest::collection::vec((0_usize..400, 0_usize..600, any::<bool>()), 1..6)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(1_usize..300, 1..20)
}

/// Moves packets by up to `distance` places and gives them the times of their new ones.
fn shuffle(sent: &mut [Sent], moves: &[(usize, usize)], distance: usize) {
    let times: Vec<u64> = sent.iter().map(|sent| sent.time).collect();
    for (from, by) in moves {
        let from = from % sent.len();
        let to = (from + by % (distance + 1)).min(sent.len() - 1);
        sent[from..=to].rotate_left(1);
    }
    for (sent, time) in sent.iter_mut().zip(times) {
        sent.time = time;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn how_packets_came_does_not_matter(
        plans in plans(),
        sizes in sizes(),
        numbers in any::<(u32, u32)>(),
        moves in proptest::collection::vec(any::<(usize, usize)>(), 0..40),
        copies in proptest::collection::vec(any::<(usize, usize)>(), 0..20),
    ) {
        let talk = conversation(&plans, &sizes, numbers, FALSE);
        let told = Replay::of(&talk.file()).told();
        let expected: Vec<_> = plans.iter().enumerate().map(|(at, (sent, received, chunked))| {
            let status = 210 + u16::try_from(at % 80).unwrap();
            let head = b"Transfer-Encoding: chunked\r\n\r\n";
            let whole = response(at, *received, *chunked, FALSE);
            let body = if *chunked {
                let at = whole.windows(head.len()).position(|part| part == head).unwrap();
                whole.len() - at - head.len()
            } else {
                *received
            };
            (format!("POST /{at}"), Some(status), (*sent as u64, body as u64), None)
        }).collect();
        prop_assert_eq!(&told, &expected);
        // The handshake stays where it is: without it the connection began before the capture.
        let mut sent = talk.sent.clone();
        for (from, by) in copies {
            let from = 3 + from % (sent.len() - 3);
            let to = (from + by % 9).min(sent.len());
            let copy = Sent { time: sent[to - 1].time, ..sent[from].clone() };
            sent.insert(to, copy);
        }
        shuffle(&mut sent[3..], &moves, 12);
        for packet in &mut sent {
            // A round trip shorter than what disorder is waited for.
            packet.time -= (packet.time - talk.sent[0].time) / 100 * 99;
        }
        let replay = Replay::of(&raw(&sent));
        prop_assert_eq!(replay.counts.missing_bytes, 0);
        prop_assert_eq!(replay.told(), expected);
    }

    #[test]
    fn how_bytes_were_cut_into_segments_does_not_matter(
        plans in plans(),
        sizes in sizes(),
        overlaps in proptest::collection::vec((any::<usize>(), 1_usize..200, 0_usize..100), 0..20),
    ) {
        let talk = conversation(&plans, &sizes, (1, 2), FALSE);
        let told = Replay::of(&talk.file()).told();
        // Retransmissions that begin and end anywhere in what their sender said so far.
        let mut sent = talk.sent.clone();
        for (at, length, back) in overlaps {
            let at = 3 + at % (talk.sent.len() - 3);
            let packet = &talk.sent[at].packet;
            let payload = &packet[52..];
            let from = back.min(payload.len());
            let to = (from + length).min(payload.len());
            let mut copy = packet[..52].to_vec();
            let sequence = u32::from_be_bytes(*packet[24..].first_chunk().unwrap());
            let sequence = sequence.wrapping_add(u32::try_from(from).unwrap());
            copy[24..28].copy_from_slice(&sequence.to_be_bytes());
            copy[33] &= !1;
            copy.extend(&payload[from..to]);
            let total = u16::try_from(copy.len()).unwrap();
            copy[2..4].copy_from_slice(&total.to_be_bytes());
            let time = talk.sent[at].time;
            let place = sent.iter().position(|sent| sent.time == time).unwrap();
            sent.insert(place + back % 2, Sent { time, packet: copy });
        }
        let replay = Replay::of(&raw(&sent));
        prop_assert_eq!(replay.told(), told);
        prop_assert_eq!(replay.counts.conflicting_bytes, 0);
    }

    #[test]
    fn what_is_lost_makes_no_false_exchange(
        plans in plans(),
        sizes in sizes(),
        lost in proptest::collection::vec(any::<usize>(), 1..6),
        perspective in any::<bool>(),
    ) {
        let mut talk = conversation(&plans, &sizes, (1, 2), FALSE);
        let whole = Replay::of(&talk.file()).exchanges;
        let mut gone = 0;
        // The ends of both directions stay: a request that is not over when the capture ends has
        // the size that was seen.
        for at in lost {
            let count = talk.sent.len() - 6;
            if count > 0 {
                gone += talk.sent.remove(3 + at % count).packet.len() as u64 - 52;
            }
        }
        let perspective = if perspective { Perspective::Server } else { Perspective::Client };
        let replay = Replay::any(&talk.file(), perspective);
        for exchange in &replay.exchanges {
            let Some(same) = whole.iter().find(|other| other.request == exchange.request) else {
                return Err(TestCaseError::fail(format!("{exchange:?}")));
            };
            if exchange.error.is_none() {
                prop_assert_eq!(exchange.status, same.status);
                if exchange.whole {
                    prop_assert_eq!(exchange.bodies, same.bodies);
                }
            }
        }
        prop_assert!(replay.counts.missing_bytes <= gone);
    }

    #[test]
    fn a_capture_may_begin_and_end_anywhere(
        plans in plans(),
        sizes in sizes(),
        begin in any::<usize>(),
        end in any::<usize>(),
        snap in 40_usize..400,
    ) {
        // Where a capture begins with what looks like a request, it is taken for one.
        let talk = conversation(&plans, &sizes, (u32::MAX - 300, u32::MAX - 500), PLAIN);
        let whole = Replay::of(&talk.file()).exchanges;
        let begin = begin % talk.sent.len();
        let end = begin + end % (talk.sent.len() - begin + 1);
        // The end of a chunked body of which only the head is there is told by what follows it.
        for file in [raw(&talk.sent[begin..end]), snapped(&talk.sent[begin..], snap)] {
            let replay = Replay::of(&file);
            for exchange in replay.exchanges.iter().filter(|exchange| exchange.whole) {
                let same = whole.iter().find(|other| other.request == exchange.request);
                prop_assert!(same.is_some(), "{:?}", exchange);
                let same = same.unwrap();
                if exchange.error.is_none() {
                    prop_assert_eq!(exchange.told(), same.told());
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_read_to_an_end(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        kind in 0_usize..4,
    ) {
        let mut file = match kind {
            0 => Vec::new(),
            1 => vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0],
            2 => vec![0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4],
            _ => vec![0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0],
        };
        file.extend(bytes);
        Replay::any(&file, Perspective::Server);
    }

    #[test]
    fn changed_bytes_are_read_to_an_end(
        plans in plans(),
        changes in proptest::collection::vec(any::<(usize, u8)>(), 1..30),
    ) {
        let talk = conversation(&plans, &[50], (1, 2), FALSE);
        let mut file = talk.file();
        for (at, byte) in changes {
            let at = 4 + at % (file.len() - 4);
            file[at] = byte;
        }
        let replay = Replay::any(&file, Perspective::Client);
        let counts = replay.counts;
        let sorted = counts.segments + counts.link_type_packets + counts.not_ip_packets
            + counts.not_tcp_packets + counts.malformed_packets + counts.fragment_packets;
        prop_assert!(sorted >= counts.packets);
    }
}

#[test]
fn times_of_a_conversation_are_those_of_its_packets() {
    let talk = conversation(&[(10, 10, false), (0, 0, true)], &[1000], (1, 2), FALSE);
    let replay = Replay::of(&talk.file());
    let begin = talk.sent[3].time;
    let times: Vec<_> = replay
        .exchanges
        .iter()
        .map(|exchange| exchange.times)
        .collect();
    assert_eq!(
        times,
        [(begin, begin + STEP), (begin + 2 * STEP, begin + 3 * STEP)]
    );
}
