//! TCP: what is lost, late or repeated, and how connections begin.

use super::{
    replay::Replay,
    talk::{CLIENT, GET, OK, SERVER, STEP, SYN, Talk, raw},
};
use crate::{
    pcap::Perspective,
    stream::exchange::{ConnectionKey, Role},
};

const SECOND: u64 = 1_000_000_000;

#[test]
fn one_exchange() {
    let mut talk = Talk::opened();
    let times = talk.exchange();
    talk.close();
    let replay = Replay::of(&talk.file());
    let [exchange] = &replay.exchanges[..] else {
        panic!("{:?}", replay.exchanges);
    };
    assert_eq!(exchange.request, "GET /a");
    assert_eq!((exchange.status, exchange.bodies), (Some(200), (0, 2)));
    assert_eq!((exchange.times, exchange.error), (times, None));
    assert!(exchange.whole);
    assert_eq!(
        replay.only_connection(),
        (Role::Server, talk.ends[SERVER], talk.ends[CLIENT])
    );
    let key = ConnectionKey {
        client: 1001,
        server: 5001,
    };
    assert_eq!(replay.connections[0].key, Some(key));
    assert_eq!(replay.counts.connections, 1);
    assert_eq!(replay.counts.delivered_bytes, (GET.len() + OK.len()) as u64);
    let rest = (replay.counts.missing_bytes, replay.counts.repeated_bytes);
    assert_eq!(rest, (0, 0));
}

#[test]
fn the_client_s_view() {
    let mut talk = Talk::opened();
    let times = talk.exchange();
    talk.close();
    let replay = Replay::any(&talk.file(), Perspective::Client);
    assert_eq!(replay.exchanges[0].times, times);
    assert_eq!(
        replay.only_connection(),
        (Role::Client, talk.ends[CLIENT], talk.ends[SERVER])
    );
}

#[test]
fn sequence_numbers_wrap() {
    let mut talk = Talk::new().numbered(u32::MAX - 40, u32::MAX - 3).open();
    for _ in 0..5 {
        talk.exchange();
    }
    talk.close();
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.exchanges.len(), 5);
    assert_eq!(replay.counts.missing_bytes, 0);
}

#[test]
fn late_segments_are_put_in_order() {
    let mut talk = Talk::opened();
    talk.say_in_parts(CLIENT, GET, 7);
    talk.say_in_parts(SERVER, OK, 9);
    talk.close();
    let told = Replay::of(&talk.file()).told();
    // Every neighbouring pair in the other order, also across directions.
    for at in 3..talk.sent.len() - 1 {
        let mut sent = talk.sent.clone();
        let (one, other) = (sent[at].time, sent[at + 1].time);
        sent.swap(at, at + 1);
        (sent[at].time, sent[at + 1].time) = (one, other);
        let replay = Replay::of(&raw(&sent));
        assert_eq!(replay.told(), told, "{at}");
        assert_eq!(replay.counts.missing_bytes, 0);
    }
}

#[test]
fn bytes_that_waited_have_the_time_of_what_they_waited_for() {
    let mut talk = Talk::opened();
    talk.say(CLIENT, &GET[..10]);
    let second = talk.say(CLIENT, &GET[10..]);
    let ended = talk.say(SERVER, OK);
    let mut sent = talk.sent.clone();
    let first = sent.len() - 3;
    let late = sent.remove(first);
    sent.insert(first + 1, late);
    sent[first + 1].time = second + 10;
    let replay = Replay::of(&raw(&sent));
    assert_eq!(replay.exchanges[0].times, (second + 10, ended));
}

#[test]
fn what_comes_again_counts_once() {
    let mut talk = Talk::opened();
    talk.exchange();
    let client = talk.next[CLIENT];
    // A keep-alive probe with a byte of garbage, and one without.
    let server = Some(talk.next[SERVER]);
    talk.put(CLIENT, client - 1, server, 0, b"x");
    talk.put(CLIENT, client - 1, server, 0, b"");
    // A retransmission that is longer than the original.
    talk.say(CLIENT, &GET[..10]);
    talk.put(CLIENT, client, server, 0, &GET[..20]);
    talk.next[CLIENT] = client + 20;
    talk.say(CLIENT, &GET[20..]);
    talk.say(SERVER, OK);
    talk.close();
    let twice: Vec<_> = talk
        .sent
        .iter()
        .flat_map(|sent| [sent.clone(), sent.clone()])
        .collect();
    for sent in [&talk.sent, &twice] {
        let replay = Replay::of(&raw(sent));
        assert_eq!(replay.brief(), [("GET /a", Some(200)); 2]);
        assert!(replay.counts.repeated_bytes >= 11);
        assert_eq!(replay.counts.missing_bytes, 0);
        assert_eq!(
            replay.counts.delivered_bytes,
            2 * (GET.len() + OK.len()) as u64
        );
    }
}

#[test]
fn the_first_copy_of_a_byte_counts() {
    let mut talk = Talk::opened();
    let (client, server) = (talk.next[CLIENT], Some(talk.next[SERVER]));
    talk.put(CLIENT, client + 10, server, 0, &GET[10..]);
    // Covers what is there and what is missing.
    let mut other = GET.to_vec();
    other[12..].fill(b'!');
    talk.put(CLIENT, client, server, 0, &other);
    talk.next[CLIENT] = client + u32::try_from(GET.len()).unwrap();
    talk.say(SERVER, OK);
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    assert_eq!(replay.counts.conflicting_bytes, (GET.len() - 12) as u64);
}

#[test]
fn what_the_capture_lacks_is_a_hole() {
    let body = vec![b'b'; 3000];
    let mut talk = Talk::opened();
    talk.exchange();
    talk.say(CLIENT, GET);
    talk.say(SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
    talk.say(SERVER, &body[..1000]);
    talk.unseen(SERVER, &body[1000..2000]);
    talk.say(SERVER, &body[2000..]);
    talk.exchange();
    talk.close();
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.brief(), [("GET /a", Some(200)); 3]);
    assert_eq!(replay.exchanges[1].bodies, (0, 3000));
    let missing = (replay.counts.missing_ranges, replay.counts.missing_bytes);
    assert_eq!(missing, (1, 1000));
}

#[test]
fn a_lost_message_costs_its_own_exchange_only() {
    for lost in [CLIENT, SERVER] {
        let mut talk = Talk::opened();
        talk.exchange();
        for side in [CLIENT, SERVER] {
            let bytes = if side == CLIENT { GET } else { OK };
            if side == lost {
                talk.unseen(side, bytes);
            } else {
                talk.say(side, bytes);
            }
        }
        talk.say(CLIENT, b"PUT /c HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
        talk.say(SERVER, OK);
        talk.close();
        let replay = Replay::of(&talk.file());
        assert_eq!(
            replay.brief(),
            [("GET /a", Some(200)), ("PUT /c", Some(200))]
        );
        assert_eq!(replay.lost, 1);
        assert_eq!(replay.counts.missing_ranges, 1);
    }
}

#[test]
fn the_middle_of_a_request_is_none() {
    // The beginning of the second request is lost; the rest looks like a request.
    let mut talk = Talk::opened();
    talk.exchange();
    talk.unseen(CLIENT, b"POST /b HTTP/1.1\r\nContent-Length: 28\r\n\r\n");
    talk.say(CLIENT, GET);
    talk.say(SERVER, OK);
    talk.exchange();
    talk.close();
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.brief(), [("GET /a", Some(200)); 2]);
    assert_eq!(replay.lost, 1);
}

#[test]
fn a_lost_segment_is_waited_for_until_it_is_retransmitted() {
    let mut talk = Talk::opened();
    let (client, server) = (talk.next[CLIENT], talk.next[SERVER]);
    talk.unseen(CLIENT, &GET[..8]);
    talk.say(CLIENT, &GET[8..]);
    // The server tells that it has nothing so far.
    talk.put(SERVER, server, Some(client), 0, b"");
    talk.time += 3 * SECOND;
    let began = talk.put(CLIENT, client, Some(server), 0, &GET[..8]);
    talk.say(SERVER, OK);
    talk.close();
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    assert_eq!(replay.exchanges[0].times.0, began);
    assert_eq!(replay.counts.missing_bytes, 0);
}

#[test]
fn a_retransmission_that_knows_more_than_the_first_copy() {
    // The first copy of the response is lost; the second acknowledges the next request.
    let mut talk = Talk::opened();
    talk.exchange();
    talk.say(CLIENT, GET);
    let (server, known) = (talk.next[SERVER], talk.next[CLIENT]);
    talk.unseen(SERVER, OK);
    talk.say(CLIENT, b"PUT /c HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    assert_ne!(known, talk.next[CLIENT]);
    talk.put(SERVER, server, Some(talk.next[CLIENT]), 0, OK);
    talk.say(SERVER, OK);
    talk.close();
    let replay = Replay::of(&talk.file());
    assert_eq!(
        replay.brief(),
        [
            ("GET /a", Some(200)),
            ("GET /a", Some(200)),
            ("PUT /c", Some(200))
        ]
    );
    assert_eq!(replay.counts.missing_bytes, 0);
}

#[test]
fn too_much_that_waits_is_not_waited_for() {
    let mut talk = Talk::opened();
    talk.exchange();
    talk.say(CLIENT, GET);
    talk.say(
        SERVER,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n",
    );
    let part = vec![b'x'; 1000];
    talk.unseen(SERVER, &part);
    for _ in 1..9000 {
        talk.say(SERVER, &part);
        talk.time -= STEP;
    }
    talk.exchange();
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.exchanges.len(), 3);
    assert_eq!(replay.exchanges[1].bodies, (0, 9_000_000));
    assert_eq!(replay.counts.missing_bytes, 1000);
}

#[test]
fn one_direction_only() {
    let mut talk = Talk::opened();
    for _ in 0..3 {
        talk.say(CLIENT, GET);
        talk.unseen(SERVER, OK);
    }
    talk.ack(CLIENT);
    let replay = Replay::of(&talk.file());
    assert!(
        replay
            .exchanges
            .iter()
            .all(|exchange| exchange.status.is_none())
    );
    assert_eq!(replay.counts.missing_bytes, 2 * OK.len() as u64);
    assert_eq!(replay.exchanges.len() as u64 + replay.lost, 3);
}

#[test]
fn captures_that_begin_in_the_middle() {
    let mut talk = Talk::opened();
    for _ in 0..3 {
        talk.say(
            CLIENT,
            b"POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234",
        );
        talk.say(CLIENT, b"56789");
        talk.say(SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        talk.say(SERVER, b"cd");
    }
    talk.close();
    // Three packets of the handshake, four of each exchange.
    for first in 3..12 {
        for perspective in [Perspective::Server, Perspective::Client] {
            let replay = Replay::any(&raw(&talk.sent[first..]), perspective);
            let rest = 3 - (first - 3).div_ceil(4);
            assert_eq!(replay.exchanges.len(), rest, "from {first}");
            for exchange in &replay.exchanges {
                assert_eq!((exchange.status, exchange.bodies), (Some(200), (10, 4)));
                assert!(exchange.whole);
            }
            if rest > 0 {
                let (role, local, _) = replay.only_connection();
                assert_eq!(role == Role::Server, perspective == Perspective::Server);
                assert_eq!(local.port() == 80, role == Role::Server);
                assert_eq!(replay.connections[0].key, None);
            }
            assert_eq!(replay.counts.connections_pre_existing, 1);
        }
    }
}

#[test]
fn handshakes_of_which_a_part_is_missing() {
    let mut talk = Talk::opened();
    talk.exchange();
    talk.close();
    let key = ConnectionKey {
        client: 1001,
        server: 5001,
    };
    for missing in 0..3 {
        let mut sent = talk.sent.clone();
        sent.remove(missing);
        let replay = Replay::of(&raw(&sent));
        assert_eq!(replay.brief(), [("GET /a", Some(200))]);
        assert_eq!(replay.connections[0].key, Some(key));
        assert_eq!(replay.counts.connections_pre_existing, 0);
    }
}

#[test]
fn data_in_the_first_packet() {
    // TCP Fast Open, RFC 7413.
    let mut talk = Talk::new();
    let [client, server] = talk.next;
    let began = talk.put(CLIENT, client, None, SYN, GET);
    let received = client + 1 + u32::try_from(GET.len()).unwrap();
    talk.put(SERVER, server, Some(received), SYN, b"");
    talk.next = [received, server + 1];
    let ended = talk.say(SERVER, OK);
    talk.close();
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    assert_eq!(replay.exchanges[0].times, (began, ended));
}
