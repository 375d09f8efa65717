//! Captures of curl, nghttp, h2load and Python's `http.client` with nginx, made by `tcpdump` and
//! `dumpcap`. What is expected is what the clients counted; `tests/data/captures/README.md` says
//! how they were made.

use std::{fs, path::PathBuf};

use super::replay::Replay;
use crate::pcap::Perspective;

fn read(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../tests/data/captures", name]
        .iter()
        .collect();
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Method and target, status, and the sizes of both bodies, of each exchange.
type Counted = (String, Option<u16>, (u64, u64));

/// A line for each exchange: method, URL, status, bytes sent, bytes received.
fn counted(name: &str) -> Vec<Counted> {
    let text = String::from_utf8(read(name)).unwrap();
    let line = |line: &str| {
        let [method, url, status, sent, received] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let path = url.splitn(4, '/').nth(3).unwrap();
        let sizes = (sent.parse().unwrap(), received.parse().unwrap());
        (format!("{method} /{path}"), status.parse().ok(), sizes)
    };
    text.lines().map(line).collect()
}

fn assert_counted(capture: &str, expected: &str) -> Replay {
    let expected = counted(expected);
    assert!(!expected.is_empty());
    for perspective in [Perspective::Client, Perspective::Server] {
        let replay = Replay::any(&read(capture), perspective);
        assert!(replay.error.is_none(), "{:?}", replay.error);
        let told: Vec<Counted> = replay
            .exchanges
            .iter()
            .map(|exchange| {
                let request = exchange.request.clone();
                (request, exchange.status, exchange.bodies)
            })
            .collect();
        assert_eq!(told, expected);
        for exchange in &replay.exchanges {
            assert!(exchange.error.is_none() && exchange.whole, "{exchange:?}");
        }
        assert_eq!((replay.lost, replay.counts.missing_bytes), (0, 0));
    }
    Replay::any(&read(capture), Perspective::Server)
}

#[test]
fn ethernet_in_pcapng() {
    assert_counted("ethernet.pcapng", "ethernet.txt");
}

#[test]
fn ethernet_with_ipv6_in_nanoseconds() {
    let replay = assert_counted("ethernet-ipv6.pcap", "ethernet-ipv6.txt");
    assert!(
        replay
            .exchanges
            .iter()
            .any(|exchange| exchange.times.0 % 1000 != 0)
    );
}

#[test]
fn cooked_version_2() {
    assert_counted("cooked-v2.pcap", "cooked-v2.txt");
}

#[test]
fn cooked_version_1_with_a_snap_length() {
    let replay = assert_counted("cooked-v1-snap.pcap", "cooked-v1-snap.txt");
    assert!(replay.counts.cut_bytes > 30_000);
}

#[test]
fn from_the_middle_of_a_connection() {
    let replay = assert_counted("middle.pcap", "middle.txt");
    assert_eq!(replay.counts.connections_pre_existing, 1);
}

#[test]
fn http2_with_concurrent_streams() {
    assert_counted("http2.pcap", "http2.txt");
}

#[test]
fn http2_from_the_middle_of_a_connection() {
    for perspective in [Perspective::Client, Perspective::Server] {
        let replay = Replay::any(&read("http2-middle.pcap"), perspective);
        assert_eq!(replay.exchanges.len(), 18);
        for exchange in &replay.exchanges {
            assert_eq!(exchange.request, "GET /small");
            assert_eq!((exchange.status, exchange.bodies), (Some(200), (0, 5)));
        }
    }
}
