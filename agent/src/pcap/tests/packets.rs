//! Link layers, IP headers, fragments and packets that are cut.

use super::{
    replay::Replay,
    talk::{CLIENT, GET, OK, SERVER, Sent, Talk, file, framed, ipv4, ipv6, raw, snapped, tcp},
};
use crate::pcap::{Capture, PcapError, Perspective};

fn talk() -> Talk {
    let mut talk = Talk::opened();
    talk.exchange();
    talk.close();
    talk
}

fn talk_v6() -> Talk {
    let mut talk = Talk::new()
        .between("[2001:db8::1]:40000", "[2001:db8::2]:80")
        .open();
    talk.exchange();
    talk.close();
    talk
}

fn assert_one(file: &[u8]) {
    assert_eq!(Replay::of(file).brief(), [("GET /a", Some(200))]);
}

/// Ethernet addresses.
const MACS: [u8; 12] = [2; 12];

#[test]
fn link_layers() {
    let ethernet = |types: &[u8]| [&MACS[..], types].concat();
    let sll = [&[0; 14][..], &[8, 0]].concat();
    let tagged = [&[0; 14][..], &[0x81, 0, 0, 5, 8, 0]].concat();
    let sll2 = [&[8, 0][..], &[0; 18]].concat();
    let tagged_v2 = [&[0x81, 0][..], &[0; 18], &[0, 5, 8, 0]].concat();
    let frames: Vec<(u32, Vec<u8>)> = vec![
        (1, ethernet(&[8, 0])),
        (1, ethernet(&[0x81, 0, 0, 5, 8, 0])),
        (
            1,
            ethernet(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x91, 0, 0, 7, 8, 0]),
        ),
        (0x1000_0001, ethernet(&[8, 0])),
        (113, sll),
        (113, tagged),
        (276, sll2),
        (276, tagged_v2),
        (0, vec![2, 0, 0, 0]),
        (0, vec![0, 0, 0, 2]),
        (108, vec![0, 0, 0, 2]),
        (12, vec![]),
        (14, vec![]),
        (101, vec![]),
        (228, vec![]),
    ];
    for (link, frame) in frames {
        println!("{link} {frame:?}");
        assert_one(&framed(link, &talk().sent, &frame));
    }
    let frames: Vec<(u32, Vec<u8>)> = vec![
        (1, ethernet(&[0x86, 0xdd])),
        (113, [&[0; 14][..], &[0x86, 0xdd]].concat()),
        (0, vec![30, 0, 0, 0]),
        (0, vec![0, 0, 0, 24]),
        (108, vec![0, 0, 0, 28]),
        (101, vec![]),
        (229, vec![]),
    ];
    for (link, frame) in frames {
        println!("{link} {frame:?}");
        assert_one(&framed(link, &talk_v6().sent, &frame));
    }
}

#[test]
fn other_link_types_are_named() {
    let file = file(105, &[]);
    let error = Capture::open(&file[..], Perspective::Server).unwrap_err();
    assert!(matches!(error, PcapError::LinkType { link: 105 }));
    assert!(error.to_string().contains("105 (802.11)"), "{error}");
}

#[test]
fn other_packets_are_counted() {
    let mut sent = talk().sent;
    let time = sent[0].time;
    let addresses = [[10, 0, 0, 1], [10, 0, 0, 2]];
    for packet in [
        ipv4(addresses, 17, (0, 0), &[0; 30]),
        ipv4(addresses, 6, (0, 0), &[0; 19]),
        ipv4(addresses, 6, (0, 0), &[0; 40]),
        vec![0x45; 10],
        vec![0x00; 40],
        vec![],
    ] {
        sent.insert(0, Sent { time, packet });
    }
    let replay = Replay::of(&raw(&sent));
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    let counts = replay.counts;
    assert_eq!((counts.not_tcp_packets, counts.malformed_packets), (1, 5));
    let arp = framed(1, &talk().sent, &[&MACS[..], &[8, 6]].concat());
    let counts = Replay::of(&arp).counts;
    assert_eq!(counts.not_ip_packets, counts.packets);
}

#[test]
fn what_is_behind_the_packet_is_not_of_it() {
    let mut talk = talk();
    for sent in &mut talk.sent {
        sent.packet.extend([0xff; 30]);
    }
    assert_one(&talk.file());
}

#[test]
fn packets_without_a_length() {
    for mut talk in [talk(), talk_v6()] {
        for sent in &mut talk.sent {
            let at = if sent.packet[0] == 0x45 { 2 } else { 4 };
            sent.packet[at..at + 2].fill(0);
        }
        assert_one(&talk.file());
    }
}

#[test]
fn packets_longer_than_any_network_s() {
    let body = vec![b'x'; 200_000];
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n";
    for ends in [
        ("10.0.0.1:40000", "10.0.0.2:80"),
        ("[2001:db8::1]:40000", "[2001:db8::2]:80"),
    ] {
        let mut talk = Talk::new().between(ends.0, ends.1).open();
        talk.say(CLIENT, GET);
        talk.say(SERVER, &[&head[..], &body].concat());
        talk.exchange();
        let replay = Replay::of(&talk.file());
        assert_eq!(replay.exchanges[0].bodies, (0, 200_000));
        assert_eq!(replay.exchanges.len(), 2);
    }
}

#[test]
fn options_of_ip() {
    let mut talk = talk();
    for sent in &mut talk.sent {
        sent.packet[0] = 0x47;
        sent.packet.splice(20..20, [1; 8]);
        let length = u16::try_from(sent.packet.len()).unwrap();
        sent.packet[2..4].copy_from_slice(&length.to_be_bytes());
    }
    assert_one(&talk.file());
}

#[test]
fn extension_headers() {
    let mut talk = talk_v6();
    for sent in &mut talk.sent {
        // Hop by hop, routing, destination options, a fragment header of a whole packet.
        let chain = [
            [43, 0, 1, 4, 0, 0, 0, 0],
            [60, 0, 4, 0, 0, 0, 0, 0],
            [44, 0, 1, 4, 0, 0, 0, 0],
            [51, 0, 0, 0, 0, 0, 0, 9],
            [6, 1, 0, 0, 0, 0, 0, 1],
        ];
        let mut chain = chain.concat();
        chain.extend([0; 4]);
        sent.packet[6] = 0;
        let length = u16::try_from(sent.packet.len() - 40 + chain.len()).unwrap();
        sent.packet[4..6].copy_from_slice(&length.to_be_bytes());
        sent.packet.splice(40..40, chain);
    }
    assert_one(&talk.file());
}

/// Cuts packets with a payload into fragments of 16 bytes.
fn fragmented(talk: &Talk) -> Vec<Sent> {
    let mut sent = Vec::new();
    for (id, whole) in (1_u16..).zip(&talk.sent) {
        let is_v4 = whole.packet[0] == 0x45;
        let payload = &whole.packet[if is_v4 { 20 } else { 40 }..];
        let parts: Vec<&[u8]> = payload.chunks(16).collect();
        for (at, part) in parts.iter().enumerate() {
            let offset = u16::try_from(at * 16).unwrap();
            let more = at + 1 < parts.len();
            let packet = if is_v4 {
                let addresses = [
                    *whole.packet[12..].first_chunk().unwrap(),
                    *whole.packet[16..].first_chunk().unwrap(),
                ];
                let fragment = (offset / 8) | (u16::from(more) << 13);
                ipv4(addresses, 6, (id, fragment), part)
            } else {
                let addresses = [
                    *whole.packet[8..].first_chunk().unwrap(),
                    *whole.packet[24..].first_chunk().unwrap(),
                ];
                let mut header = vec![6, 0];
                header.extend((offset | u16::from(more)).to_be_bytes());
                header.extend(u32::from(id).to_be_bytes());
                ipv6(addresses, 44, &[&header, *part].concat())
            };
            sent.push(Sent {
                time: whole.time,
                packet,
            });
        }
    }
    sent
}

#[test]
fn fragments_are_put_together() {
    for talk in [talk(), talk_v6()] {
        let mut sent = fragmented(&talk);
        let count = sent.len() as u64;
        let replay = Replay::of(&raw(&sent));
        assert_eq!(replay.brief(), [("GET /a", Some(200))]);
        assert_eq!(replay.counts.fragment_packets, count);
        assert_eq!(replay.counts.segments, talk.sent.len() as u64);
        // In any order, and captured twice.
        for group in sent.chunk_by_mut(|one, other| one.time == other.time) {
            group.reverse();
        }
        assert_one(&raw(&sent));
        let twice: Vec<Sent> = sent
            .iter()
            .flat_map(|sent| [sent.clone(), sent.clone()])
            .collect();
        assert_eq!(
            Replay::of(&raw(&twice)).brief(),
            [("GET /a", Some(200))],
            "captured twice"
        );
    }
}

#[test]
fn fragments_that_overlap_are_dropped() {
    let mut talk = Talk::opened();
    talk.exchange();
    talk.say(CLIENT, GET);
    talk.say(SERVER, OK);
    talk.exchange();
    let whole = talk.sent.remove(5);
    let addresses = [
        *whole.packet[12..].first_chunk().unwrap(),
        *whole.packet[16..].first_chunk().unwrap(),
    ];
    let payload = &whole.packet[20..];
    let parts = [
        ipv4(addresses, 6, (9, 1 << 13), &payload[..32]),
        ipv4(addresses, 6, (9, (1 << 13) | 3), &[b'!'; 16]),
        ipv4(addresses, 6, (9, 4), &payload[32..]),
    ];
    for (at, packet) in parts.into_iter().enumerate() {
        let time = whole.time;
        talk.sent.insert(5 + at, Sent { time, packet });
    }
    let replay = Replay::of(&talk.file());
    assert_eq!(replay.brief(), [("GET /a", Some(200)); 2]);
    assert_eq!(replay.lost, 1);
    assert_eq!(replay.counts.fragment_dropped_packets, 3);
}

#[test]
fn fragments_that_are_never_whole_are_bounded() {
    let talk = talk();
    let mut sent = Vec::new();
    for id in 0..3000_u16 {
        sent.push(Sent {
            time: talk.sent[0].time,
            packet: ipv4([[1; 4], [2; 4]], 6, (id, 1 << 13), &[0; 1000]),
        });
    }
    sent.extend(talk.sent);
    let replay = Replay::of(&raw(&sent));
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    assert_eq!(replay.counts.fragment_dropped_packets, 3000);
}

#[test]
fn packets_that_are_cut() {
    let body = vec![b'x'; 500];
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let mut talk = Talk::opened();
    for _ in 0..2 {
        talk.say(CLIENT, GET);
        talk.say(SERVER, &[&head[..], &body].concat());
        talk.say(SERVER, &body);
    }
    talk.close();
    // Both heads are there from 20 + 32 + 41 bytes on.
    for length in [52 + 41, 100, 200, 600] {
        let replay = Replay::of(&snapped(&talk.sent, length));
        assert_eq!(replay.brief(), [("GET /a", Some(200)); 2], "{length}");
        assert!(replay.exchanges.iter().all(|exchange| exchange.whole));
        assert_eq!(replay.exchanges[1].bodies, (0, 1000));
        assert_eq!(replay.counts.missing_bytes, 0);
        assert!(length > 500 || replay.counts.cut_bytes > 0);
    }
    // Only a part of the heads: what is known is said, and that it is not all.
    let replay = Replay::of(&snapped(&talk.sent, 52 + 20));
    assert!(replay.exchanges.iter().all(|exchange| !exchange.whole));
    // Not even all of TCP's header, whose options are not needed.
    let replay = Replay::of(&snapped(&talk.sent, 44));
    assert_eq!(replay.counts.malformed_packets, 0);
    assert_eq!(replay.counts.cut_bytes, replay.counts.delivered_bytes);
    assert!(replay.exchanges.is_empty());
}

#[test]
fn segments_of_no_sense() {
    let mut sent = talk().sent;
    let mut segment = tcp((40_000, 80), (1, 2), 0x10, b"");
    // A header of four words, and one that is longer than the packet.
    for words in [0x40, 0xf0] {
        segment[12] = words;
        sent.push(Sent {
            time: sent[0].time,
            packet: ipv4([[10, 0, 0, 1], [10, 0, 0, 2]], 6, (0, 0), &segment),
        });
    }
    // From an end to itself.
    sent.push(Sent {
        time: sent[0].time,
        packet: ipv4(
            [[10, 0, 0, 1]; 2],
            6,
            (0, 0),
            &tcp((80, 80), (1, 2), 0x10, b"x"),
        ),
    });
    let counts = Replay::of(&raw(&sent)).counts;
    assert_eq!(counts.malformed_packets, 2);
    assert_eq!(counts.segments_out_of_place, 1);
}
