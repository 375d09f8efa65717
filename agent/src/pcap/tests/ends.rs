//! TCP: connections that are half closed, reset, used again, translated, or too many.

use super::{
    replay::Replay,
    talk::{ACK, CLIENT, FIN, GET, OK, RST, SERVER, START, STEP, SYN, Talk, raw},
};
use crate::{pcap::Perspective, stream::exchange::ExchangeError};

const SECOND: u64 = 1_000_000_000;

#[test]
fn resets() {
    for (side, error) in [
        (CLIENT, ExchangeError::Reset),
        (SERVER, ExchangeError::Reset),
    ] {
        let mut talk = Talk::opened();
        talk.exchange();
        talk.say(CLIENT, GET);
        let time = talk.reset(side);
        // A reset is not answered, and may come twice.
        talk.reset(side);
        let replay = Replay::of(&talk.file());
        let last = replay.exchanges.last().unwrap();
        assert_eq!((last.status, last.error), (None, Some(error)));
        assert_eq!(last.times.1, time);
        assert_eq!(replay.exchanges.len(), 2);
    }
}

#[test]
fn resets_from_elsewhere_are_not_believed() {
    let mut talk = Talk::opened();
    talk.say(CLIENT, GET);
    talk.put(SERVER, talk.next[SERVER] + 100_000_000, None, RST, b"");
    talk.say(SERVER, OK);
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    assert_eq!(replay.counts.segments_out_of_place, 1);
}

#[test]
fn refused_connections_are_none() {
    let mut talk = Talk::new();
    talk.put(CLIENT, 1000, None, SYN, b"");
    talk.put(SERVER, 0, Some(1001), RST, b"");
    let replay = Replay::of(&talk.file());
    assert!(replay.records.is_empty());
    // The next try is accepted.
    let mut again = Talk::new().numbered(7000, 8000).open();
    again.exchange();
    let sent = [talk.sent, again.sent].concat();
    assert_eq!(Replay::of(&raw(&sent)).brief(), [("GET /a", Some(200))]);
}

#[test]
fn bodies_that_end_with_the_connection() {
    let mut talk = Talk::opened();
    talk.say(CLIENT, GET);
    talk.say(SERVER, b"HTTP/1.0 200 OK\r\n\r\nabc");
    // The FIN has data.
    let server = talk.next[SERVER];
    let time = talk.put(SERVER, server, Some(talk.next[CLIENT]), FIN, b"def");
    talk.next[SERVER] = server + 4;
    talk.fin(CLIENT);
    for perspective in [Perspective::Server, Perspective::Client] {
        let replay = Replay::any(&talk.file(), perspective);
        let exchange = &replay.exchanges[0];
        assert_eq!((exchange.bodies, exchange.error), ((0, 6), None));
        assert_eq!(exchange.times.1, time);
    }
}

#[test]
fn half_closed_clients_are_answered() {
    let mut talk = Talk::opened();
    talk.say(CLIENT, GET);
    talk.fin(CLIENT);
    talk.ack(SERVER);
    talk.time += 2 * SECOND;
    let time = talk.say(SERVER, OK);
    talk.fin(SERVER);
    for perspective in [Perspective::Server, Perspective::Client] {
        let replay = Replay::any(&talk.file(), perspective);
        assert_eq!(replay.brief(), [("GET /a", Some(200))]);
        assert_eq!(replay.exchanges[0].times.1, time);
    }
}

#[test]
fn closed_without_an_answer() {
    let mut talk = Talk::opened();
    talk.say(CLIENT, GET);
    talk.fin(SERVER);
    talk.fin(CLIENT);
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.exchanges[0].error, Some(ExchangeError::Closed));
    // What the capture does not show to end, ends with it.
    let mut open = Talk::opened();
    open.say(CLIENT, GET);
    let replay = Replay::of(&open.file());
    assert_eq!(replay.exchanges[0].error, Some(ExchangeError::AgentStopped));
}

#[test]
fn ports_are_used_again() {
    let mut first = Talk::opened();
    first.exchange();
    first.close();
    let mut second = Talk::new().numbered(900_000, 100).open();
    second.exchange();
    // The second one's end is not seen.
    second.say(CLIENT, GET);
    let mut third = Talk::new().numbered(77, 88).open();
    third.exchange();
    let sent = [first.sent, second.sent, third.sent].concat();
    let replay = Replay::of(&raw(&sent));
    assert_eq!(replay.exchanges.len(), 4);
    assert_eq!(replay.exchanges[2].error, Some(ExchangeError::Closed));
    assert_eq!(replay.connections.len(), 3);
    assert_eq!(replay.counts.connections, 3);
}

#[test]
fn late_packets_do_not_reopen_a_connection() {
    let mut talk = Talk::opened();
    talk.exchange();
    talk.close();
    let again = talk.sent[3..5].to_vec();
    talk.sent.extend(again);
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.exchanges.len(), 1);
    assert_eq!(replay.counts.connections, 1);
    assert_eq!(replay.counts.segments_out_of_place, 2);
}

#[test]
fn both_ends_connect() {
    for client in [CLIENT, SERVER] {
        let mut talk = Talk::new();
        let [one, other] = talk.next;
        talk.put(CLIENT, one, None, SYN, b"");
        talk.put(SERVER, other, None, SYN, b"");
        talk.put(CLIENT, one, Some(other + 1), SYN, b"");
        talk.put(SERVER, other, Some(one + 1), SYN, b"");
        talk.next = [one + 1, other + 1];
        talk.say(client, GET);
        talk.say(1 - client, OK);
        let replay = Replay::of(&talk.file());
        assert_eq!(replay.brief(), [("GET /a", Some(200))]);
        assert_eq!(replay.only_connection().1, talk.ends[1 - client]);
    }
}

#[test]
fn a_connection_behind_address_translation_is_told_once() {
    let mut outside = Talk::opened();
    outside.exchange();
    outside.close();
    let mut inside = Talk::new()
        .between("10.0.0.1:40000", "172.17.0.2:8080")
        .open();
    inside.exchange();
    inside.close();
    let mut sent: Vec<_> = outside
        .sent
        .iter()
        .zip(&inside.sent)
        .flat_map(|(outside, inside)| [outside.clone(), inside.clone()])
        .collect();
    // The same first sequence numbers are not enough.
    assert_eq!(Replay::of(&raw(&sent)).brief(), [("GET /a", Some(200)); 2]);
    for sent in &mut sent {
        sent.packet[44..48].copy_from_slice(b"time");
    }
    let replay = Replay::of(&raw(&sent));
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    assert_eq!(replay.counts.connections_copied, 1);
}

#[test]
fn connections_interleave() {
    let mut sent = Vec::new();
    for client in 0..50_u16 {
        let address = format!("10.0.1.{client}:{}", 40_000 + client);
        let mut talk = Talk::new()
            .between(&address, "10.0.0.2:80")
            .numbered(u32::from(client) * 1000, 4_000_000_000)
            .open();
        talk.exchange();
        talk.exchange();
        talk.close();
        sent.extend(talk.sent);
    }
    sent.sort_by_key(|sent| sent.time);
    let replay = Replay::of(&raw(&sent));
    assert_eq!(replay.brief(), vec![("GET /a", Some(200)); 100]);
    let again = Replay::of(&raw(&sent));
    assert_eq!(replay.records, again.records);
}

#[test]
fn clocks_that_step_back() {
    let mut talk = Talk::opened();
    talk.say(CLIENT, GET);
    talk.time = START - 5 * SECOND;
    talk.say(SERVER, OK);
    let replay = Replay::of(&talk.file());
    let (began, ended) = replay.exchanges[0].times;
    assert_eq!(began, ended);
}

#[test]
fn probes_of_a_closed_window_and_bare_acknowledgements() {
    let mut talk = Talk::opened();
    talk.say(CLIENT, GET);
    let server = talk.next[SERVER];
    // One byte of new data, refused, and sent again with the rest.
    talk.put(SERVER, server, Some(talk.next[CLIENT]), 0, &OK[..1]);
    talk.ack(CLIENT);
    talk.put(SERVER, server, Some(talk.next[CLIENT]), 0, OK);
    talk.next[SERVER] = server + u32::try_from(OK.len()).unwrap();
    talk.put(CLIENT, talk.next[CLIENT], Some(talk.next[SERVER]), ACK, b"");
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    assert_eq!(replay.counts.repeated_bytes, 1);
}

#[test]
fn the_table_is_bounded() {
    let mut sent = Vec::new();
    let mut told = Vec::new();
    for number in 0..70_000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let third = number >> 16;
        let address = format!("10.{third}.{high}.{low}:40000");
        let mut talk = Talk::new().between(&address, "10.9.0.2:80").open();
        talk.time = START + u64::from(number);
        if number > 69_000 {
            talk.exchange();
            told.push(("GET /a", Some(200)));
        } else {
            talk.ack(CLIENT);
        }
        sent.extend(talk.sent);
    }
    let replay = Replay::of(&raw(&sent));
    assert_eq!(replay.brief(), told);
    assert_eq!(replay.counts.connections_evicted, 2 * 4096);
}

#[test]
fn what_waits_is_bounded() {
    // Connections with a hole each, and much behind it.
    let part = vec![b'x'; 60_000];
    let mut sent = Vec::new();
    for number in 0..40 {
        let address = format!("10.0.3.{number}:40000");
        let mut talk = Talk::new()
            .between(&address, "10.0.0.2:80")
            .numbered(number, 1)
            .open();
        talk.say(
            CLIENT,
            b"POST /p HTTP/1.1\r\nContent-Length: 3000001\r\n\r\n",
        );
        talk.unseen(CLIENT, b"y");
        talk.time -= STEP;
        for _ in 0..50 {
            talk.say(CLIENT, &part);
            talk.time -= STEP;
        }
        talk.say(SERVER, OK);
        sent.extend(talk.sent);
    }
    let replay = Replay::of(&raw(&sent));
    assert_eq!(replay.brief(), [("POST /p", Some(200)); 40]);
    for exchange in &replay.exchanges {
        assert_eq!(exchange.bodies, (3_000_001, 2));
    }
    assert_eq!(replay.counts.missing_bytes, 40);
}
