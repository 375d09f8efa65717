//! A replay makes the spans that were made live, every time.

use std::sync::Arc;

use proptest::prelude::*;

use super::{End, Played, capture, recording};
use crate::{
    clock::{KernelTime, WallClock, WallOffset},
    metrics::counters::{Counters, Flow, Loss},
    pcap::Perspective,
    record::{
        Writer,
        testing::{Memory, Socket, exit, head, resource},
    },
    run::{
        pipeline::{Pipeline, SpanOptions},
        record::Tape,
    },
    span::model::{Resource, Span},
    stream::record::Record,
};

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const FILTERED_PORT: u16 = 22;

/// What the rings gave in one pass, and when it began.
struct Pass {
    records: Vec<Vec<u8>>,
    now: KernelTime,
    offset: WallOffset,
}

/// Many connections, open and closed ones, some of a process that exits, some that a filter leaves
/// out, and one whose process is not told.
fn passes(connections: u64) -> Vec<Pass> {
    let mut sockets: Vec<Socket> = (0..connections)
        .map(|id| {
            let port = if id % 5 == 4 { FILTERED_PORT } else { 80 };
            let tgid = u32::try_from(100 + id % 7).unwrap();
            Socket::new(1_000 - 7 * id, tgid, port, 1_000_000 * id)
        })
        .collect();
    let mut passes = Vec::new();
    for step in 0..40_u64 {
        let now = KernelTime(60_000_000 * (step + 1));
        let mut records = Vec::new();
        for (number, socket) in (0..).zip(&mut sockets) {
            socket.time = socket.time.max(now.0 - 20_000_000);
            match (step, (step + number) % 4) {
                (0, _) => records.push(socket.open()),
                (30, 1) => records.push(socket.closes()),
                (_, 2) => records.push(socket.receives(REQUEST)),
                (_, 3) => records.push(socket.sends(RESPONSE)),
                _ => {}
            }
        }
        if step == 25 {
            records.push(exit(103, now.0 - 1));
        }
        passes.push(Pass {
            records,
            now,
            offset: WallOffset(1_700_000_000_000_000_000 + i64::try_from(step / 10).unwrap()),
        });
    }
    passes
}

/// In memory as in a ring: aligned.
fn aligned(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    words.collect()
}

fn with_record(bytes: &[u8], mut each: impl FnMut(&Record<'_>)) {
    let words = aligned(bytes);
    each(&Record::decode(zerocopy::IntoBytes::as_bytes(&words[..])).unwrap());
}

fn resource_of(tgid: u32) -> Arc<Resource> {
    resource(&format!("service{tgid}"))
}

fn is_wanted(addresses: Option<&crate::stream::exchange::Addresses>) -> bool {
    addresses.is_some_and(|addresses| addresses.local.port() != FILTERED_PORT)
}

/// The spans as `wirespan run` makes them.
fn live(passes: &[Pass]) -> Vec<Arc<Span>> {
    let options = SpanOptions {
        seed: head().seed,
        known_methods: None,
        former_rpc_names: false,
    };
    let mut pipeline = Pipeline::new(&options, &Arc::default());
    for pass in passes {
        for record in &pass.records {
            with_record(record, |record| {
                pipeline.record(record, &mut |_, addresses| is_wanted(addresses));
            });
        }
        let clock = WallClock::with_offset(pass.offset);
        pipeline.pass(pass.now, clock, &mut resource_of);
    }
    let last = passes.last().unwrap();
    let clock = WallClock::with_offset(last.offset);
    pipeline.finish(last.now, clock, &mut resource_of);
    pipeline.take_spans()
}

/// What `wirespan record` writes.
fn record(passes: &[Pass]) -> Vec<u8> {
    let file = Memory::default();
    let mut tape = Tape::new(
        Writer::start(file.clone(), &head()).unwrap(),
        &Arc::default(),
    );
    for pass in passes {
        for record in &pass.records {
            with_record(record, |decoded| {
                tape.record(decoded, record, &mut |_, addresses| is_wanted(addresses));
            });
        }
        tape.pass(pass.now, pass.offset, &mut resource_of);
    }
    let last = passes.last().unwrap();
    tape.finish(last.now, last.offset, &mut resource_of)
        .unwrap();
    file.content()
}

fn replay(file: &[u8]) -> (Vec<Arc<Span>>, Played, Arc<Counters>) {
    let mut spans = Vec::new();
    let counters = Arc::new(Counters::default());
    let played = recording::play(file, &counters, &mut |some| spans.extend(some));
    (spans, played, counters)
}

#[test]
fn a_replay_makes_the_spans_that_were_made_live() {
    let passes = passes(50);
    let file = record(&passes);
    let expected = live(&passes);
    assert!(expected.len() > 300, "{}", expected.len());
    let (first, played, counters) = replay(&file);
    assert!(matches!(played.end, End::Whole));
    assert_eq!(format!("{first:#?}"), format!("{expected:#?}"));
    assert_eq!(counters.loss(Loss::ProcessUnknown), 0);
    assert_eq!(counters.flow(Flow::ServerSpans), first.len() as u64);
    let (second, ..) = replay(&file);
    assert_eq!(format!("{second:?}"), format!("{first:?}"));
}

#[test]
fn what_a_filter_leaves_out_is_not_in_the_file() {
    let mut ssh = Socket::new(1, 7, FILTERED_PORT, 1_000);
    let mut web = Socket::new(2, 7, 80, 1_000);
    let records = vec![
        ssh.open(),
        web.open(),
        ssh.receives(b"GET /secret HTTP/1.1\r\n\r\n"),
        ssh.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"),
        web.receives(REQUEST),
        ssh.receives(b"GET /secret HTTP/1.1\r\n\r\n"),
        web.sends(RESPONSE),
        ssh.closes(),
    ];
    let file = record(&[Pass {
        records,
        now: KernelTime(1_000_000),
        offset: WallOffset(0),
    }]);
    assert!(!file.windows(6).any(|bytes| bytes == b"secret"));
    assert_eq!(replay(&file).0.len(), 1);
}

#[test]
fn a_cut_recording_gives_the_spans_of_what_is_there() {
    let passes = passes(20);
    let file = record(&passes);
    let whole = replay(&file).0;
    let (spans, played, _) = replay(&file[..file.len() / 2]);
    assert!(matches!(played.end, End::Cut(_)));
    // One chunk holds all of this recording, and its beginning was written before.
    assert!(spans.len() < whole.len());
    let (spans, played, _) = replay(&file[..file.len() - 1]);
    assert!(matches!(played.end, End::Cut(_)));
    assert!(spans.len() < whole.len());
}

#[test]
fn a_process_that_was_not_told_is_counted() {
    let file = Memory::default();
    let mut writer = Writer::start(file.clone(), &head()).unwrap();
    let mut socket = Socket::new(5, 77, 80, 1_000);
    for record in [
        socket.open(),
        socket.receives(REQUEST),
        socket.sends(RESPONSE),
    ] {
        writer.record(&record);
    }
    writer.finish(KernelTime(9_000), WallOffset(0)).unwrap();
    let (spans, _, counters) = replay(&file.content());
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].resource.service_name, "unknown_service");
    assert_eq!(counters.loss(Loss::ProcessUnknown), 1);
}

/// A classic capture in nanoseconds of raw IPv4 packets: one exchange on each connection.
fn packets(connections: u16) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
    for half in [2_u16, 4, 0, 0, 0, 0, 0xffff, 0, 101, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    let mut time = 1_700_000_000_000_000_000_u64;
    for port in 0..connections {
        let port = 40_000 + port;
        let server = u32::try_from(REQUEST.len()).unwrap();
        let client = u32::try_from(RESPONSE.len()).unwrap();
        let steps: [(bool, u8, u32, u32, &[u8]); 5] = [
            (true, 0x02, 0, 0, b""),
            (false, 0x12, 0, 1, b""),
            (true, 0x18, 1, 1, REQUEST),
            (false, 0x18, 1, 1 + server, RESPONSE),
            (true, 0x14, 1 + server, 1 + client, b""),
        ];
        for (from_client, flags, sequence, acknowledged, payload) in steps {
            time += 3_000_000;
            // Two connections of the same numbers would be one that was captured twice.
            let (own, other) = (u32::from(port) * 9_973, u32::from(port) * 7_919);
            let numbers = if from_client {
                [own + sequence, other + acknowledged]
            } else {
                [other + sequence, own + acknowledged]
            };
            let packet = packet(port, from_client, flags, numbers, payload);
            let length = u32::try_from(packet.len()).unwrap();
            let seconds = u32::try_from(time / 1_000_000_000).unwrap();
            let rest = u32::try_from(time % 1_000_000_000).unwrap();
            for number in [seconds, rest, length, length] {
                file.extend_from_slice(&number.to_le_bytes());
            }
            file.extend_from_slice(&packet);
        }
        time += 100_000_000_000 * u64::from(port % 3 == 0);
    }
    file
}

fn packet(port: u16, from_client: bool, flags: u8, numbers: [u32; 2], payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(40 + payload.len()).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (from, to) = if from_client {
        (client, server)
    } else {
        (server, client)
    };
    packet.extend_from_slice(&from);
    packet.extend_from_slice(&to);
    let (from, to) = if from_client { (port, 80) } else { (80, port) };
    packet.extend_from_slice(&u16::to_be_bytes(from));
    packet.extend_from_slice(&u16::to_be_bytes(to));
    for number in numbers {
        packet.extend_from_slice(&number.to_be_bytes());
    }
    packet.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend_from_slice(payload);
    packet
}

fn replay_capture(file: &[u8], perspective: Perspective) -> (Vec<Arc<Span>>, Played) {
    let mut spans = Vec::new();
    let counters = Arc::new(Counters::default());
    let options = SpanOptions {
        seed: capture::seed(file, perspective),
        known_methods: None,
        former_rpc_names: false,
    };
    let played = capture::play(file, perspective, &options, &counters, &mut |some| {
        spans.extend(some);
    });
    (spans, played)
}

#[test]
fn a_capture_gives_one_span_for_each_exchange() {
    use crate::span::model::Kind;

    let file = packets(30);
    let (servers, played) = replay_capture(&file, Perspective::Server);
    assert!(matches!(played.end, End::Whole));
    assert_eq!(played.stats.bytes_seen[0], 30 * RESPONSE.len() as u64);
    assert!(played.packets.contains(&("packets", 150)));
    assert_eq!(servers.len(), 30);
    let (clients, _) = replay_capture(&file, Perspective::Client);
    assert_eq!(clients.len(), 30);
    for (server, client) in servers.iter().zip(&clients) {
        assert_eq!((server.kind, client.kind), (Kind::Server, Kind::Client));
        assert_eq!((server.start, server.end), (client.start, client.end));
        assert_eq!(server.end - server.start, 3_000_000);
        assert_eq!(server.resource.service_name, "unknown_service");
        assert_ne!(server.span_id, client.span_id);
    }
    assert_eq!(servers[0].start, 1_700_000_000_009_000_000);
    let again = replay_capture(&file, Perspective::Server).0;
    assert_eq!(format!("{again:?}"), format!("{servers:?}"));
}

#[test]
fn a_cut_capture_gives_the_spans_of_what_is_there() {
    let file = packets(3);
    let (spans, played) = replay_capture(&file[..file.len() - 50], Perspective::Server);
    assert!(matches!(played.end, End::Cut(_)));
    assert!(spans.len() >= 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is damaged: no panic, and no span that was not there.
    #[test]
    fn a_damaged_recording_gives_no_other_span(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut file = record(&passes(3));
        let whole = replay(&file).0.len();
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        let (spans, played, _) = replay(&file);
        prop_assert!(matches!(played.end, End::Broken(_)));
        prop_assert!(spans.len() <= whole);
    }
}
