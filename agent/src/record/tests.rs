//! What was written is read again, or an error: never something else.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use wirespan_ebpf::stats::KernelStats;

use super::{
    format::{ChunkHeader, HEADER, Kind, event_header, file_header},
    testing::{Memory, Socket, exit, head, resource},
    *,
};
use crate::{
    clock::{KernelTime, WallOffset},
    stream::record::Record,
};

/// An event in words, as it was written and as it is read.
fn words(event: &Event<'_>) -> String {
    match event {
        Event::Record(record) => record_words("record", record),
        Event::Refused(record) => record_words("refused", record),
        other => format!("{other:?}"),
    }
}

fn record_words(what: &str, record: &Record<'_>) -> String {
    format!("{what} {record:?}")
}

fn is_version_error(error: &ReadError) -> bool {
    matches!(error, ReadError::Version { .. } | ReadError::Abi { .. })
}

/// All events of a file, and why there are no more.
fn read(file: &[u8]) -> (Vec<String>, Option<ReadError>) {
    let mut events = Vec::new();
    let mut reader = match Reader::open(file) {
        Ok(reader) => reader,
        Err(error) => return (events, Some(error)),
    };
    events.push(format!("{:?}", reader.head()));
    loop {
        match reader.read() {
            Ok(Some(event)) => events.push(words(&event)),
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error)),
        }
    }
}

/// A step of a recording.
#[derive(Clone, Debug)]
enum Step {
    Exchange(Vec<u8>),
    Refused(Vec<u8>),
    Exit(u32),
    Process(u32, u8),
    /// Milliseconds that have passed.
    Pass(u64),
    Totals(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let payload = || prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        4 => payload().prop_map(Step::Exchange),
        1 => payload().prop_map(Step::Refused),
        1 => any::<u32>().prop_map(Step::Exit),
        1 => (0..4_u32, 0..3_u8).prop_map(|(pid, name)| Step::Process(pid, name)),
        2 => (1..900_u64).prop_map(Step::Pass),
        1 => any::<u64>().prop_map(Step::Totals),
    ]
}

fn write(steps: &[Step]) -> Vec<u8> {
    let file = Memory::default();
    let mut writer = Writer::start(file.clone(), &head()).unwrap();
    let mut socket = Socket::new(5, 77, 80, 1_000);
    let mut now = KernelTime(1_000);
    for step in steps {
        match step {
            Step::Exchange(payload) => {
                writer.record(&socket.receives(payload));
                writer.record(&socket.sends(payload));
            }
            Step::Refused(payload) => writer.refused(&socket.receives(payload)),
            Step::Exit(pid) => writer.record(&exit(*pid, now.0)),
            Step::Process(pid, name) => writer.process(*pid, &resource(&format!("service{name}"))),
            Step::Pass(milliseconds) => {
                now = KernelTime(now.0 + milliseconds * 1_000_000);
                writer.pass(now, WallOffset(-5));
            }
            Step::Totals(dropped) => {
                writer.totals(&Totals::new(&KernelStats::default(), *dropped));
            }
        }
    }
    let written = writer.finish(now, WallOffset(3)).unwrap();
    assert_eq!(written.dropped, 0);
    assert_eq!(written.bytes, file.content().len() as u64);
    file.content()
}

fn sample() -> Vec<u8> {
    let long = Step::Exchange(vec![b'x'; 200]);
    write(&[
        Step::Process(1, 1),
        Step::Exchange(b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        Step::Pass(10),
        long,
        Step::Pass(2_000),
        Step::Totals(4),
        Step::Refused(b"secret".to_vec()),
        Step::Exit(77),
        Step::Pass(2_000),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(steps in prop::collection::vec(step(), 0..40)) {
        let (events, error) = read(&write(&steps));
        prop_assert!(error.is_none(), "{error:?}");
        let count = |wanted: fn(&Step) -> usize| steps.iter().map(wanted).sum::<usize>();
        let records = count(|step| match step {
            Step::Exchange(_) => 2,
            Step::Exit(_) => 1,
            _ => 0,
        });
        let refused = count(|step| usize::from(matches!(step, Step::Refused(_))));
        let passes = count(|step| usize::from(matches!(step, Step::Pass(_))));
        let found = |start: &str| events.iter().filter(|event| event.starts_with(start)).count();
        prop_assert_eq!(found("record "), records);
        prop_assert_eq!(found("refused "), refused);
        prop_assert_eq!(found("Pass("), passes);
        prop_assert!(events.last().is_some_and(|event| event.starts_with("End(")));
    }

    #[test]
    fn a_cut_file_is_read_up_to_the_cut(
        steps in prop::collection::vec(step(), 0..30),
        at in any::<prop::sample::Index>(),
    ) {
        let file = write(&steps);
        let cut = at.index(file.len());
        let (whole, _) = read(&file);
        let (events, error) = read(&file[..cut]);
        prop_assert!(whole.starts_with(&events));
        match error {
            Some(ReadError::Cut { offset }) => prop_assert_eq!(offset, cut as u64),
            Some(ReadError::Foreign) => prop_assert!(cut < 8),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = read(&bytes);
        let _ = read(&[&file_header()[..], &bytes].concat());
        let _ = read(&chunks(&[&bytes]));
    }

    #[test]
    fn any_events_are_read_or_refused(
        kind in 0..9_u8,
        body in prop::collection::vec(any::<u8>(), 0..100),
        length in any::<u32>(),
    ) {
        let mut event = event_header(Kind::Record, length as usize).to_vec();
        event[0] = kind;
        event.extend_from_slice(&body);
        event.resize(event.len().next_multiple_of(8), 0);
        let begins = &sample()[HEADER * 2..][..head_length()];
        let _ = read(&chunks(&[begins, &event]));
    }
}

/// Bytes of the event that is the head.
fn head_length() -> usize {
    let file = sample();
    let length = file[HEADER..HEADER + 4].try_into().unwrap();
    u32::from_le_bytes(length) as usize
}

/// A file of chunks with right checksums.
fn chunks(contents: &[&[u8]]) -> Vec<u8> {
    let mut file = file_header().to_vec();
    for (number, content) in (0..).zip(contents) {
        file.extend_from_slice(&ChunkHeader::of(content, number).to_bytes());
        file.extend_from_slice(content);
    }
    file
}

#[test]
fn every_flipped_bit_is_found() {
    let file = sample();
    let (whole, error) = read(&file);
    assert!(error.is_none(), "{error:?}");
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            let (events, error) = read(&damaged);
            assert!(
                whole.starts_with(&events) && events.len() < whole.len(),
                "bit {bit} of byte {at}"
            );
            match error {
                Some(ReadError::Foreign) => assert!(at < 8),
                Some(ReadError::Damaged { offset, .. }) => assert!(offset <= at as u64),
                other => panic!("bit {bit} of byte {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn chunks_out_of_order_are_found() {
    let file = sample();
    let mut parts = Vec::new();
    let mut rest = &file[HEADER..];
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let (chunk, after) = rest.split_at(HEADER + length);
        parts.push(chunk);
        rest = after;
    }
    assert!(parts.len() > 3);
    parts.swap(1, 2);
    let (_, error) = read(&[&file[..HEADER], &parts.concat()].concat());
    let error = error.unwrap().to_string();
    assert!(
        error.contains("chunk 2 is where chunk 1 should be"),
        "{error}"
    );
    let (events, error) = read(&[&file[..], parts[0]].concat());
    assert!(events.last().is_some_and(|event| event.starts_with("End(")));
    assert!(
        matches!(error, Some(ReadError::Damaged { .. })),
        "{error:?}"
    );
}

#[test]
fn a_refused_record_carries_nothing() {
    let file = write(&[Step::Refused(b"secret".to_vec())]);
    assert!(!file.windows(6).any(|bytes| bytes == b"secret"));
    let (events, _) = read(&file);
    assert!(events[1].contains("captured: 0"), "{}", events[1]);
    assert!(events[1].contains("length: 6"), "{}", events[1]);
}

#[test]
fn another_version_is_refused_with_what_to_do() {
    let mut file = sample();
    let text =
        String::from_utf8_lossy(&file[HEADER * 2 + 8..HEADER * 2 + head_length()]).into_owned();
    let abi = format!("\"abi_version\":{}", wirespan_ebpf::ABI_VERSION);
    assert!(text.contains(&abi), "{text}");
    let other = text.replace(&abi, "\"abi_version\":9");
    let other = other.trim_end_matches('\0');
    let mut event = event_header(Kind::Head, other.len()).to_vec();
    event.extend_from_slice(other.as_bytes());
    event.resize(event.len().next_multiple_of(8), 0);
    let (events, error) = read(&chunks(&[&event]));
    assert!(events.is_empty());
    let error = error.unwrap();
    assert!(is_version_error(&error));
    let text = error.to_string();
    assert!(
        text.contains("ABI version 9") && text.contains("replay it with"),
        "{text}"
    );

    let mut header = file_header();
    header[8] = 2;
    let checksum = crc32fast::hash(&header[..12]).to_le_bytes();
    header[12..].copy_from_slice(&checksum);
    file[..HEADER].copy_from_slice(&header);
    let (_, error) = read(&file);
    let error = error.unwrap();
    assert!(is_version_error(&error));
    assert!(
        error.to_string().contains("version 2 of the format"),
        "{error}"
    );
}

#[test]
fn a_process_is_told_when_it_is_another() {
    let file = Memory::default();
    let mut writer = Writer::start(file.clone(), &head()).unwrap();
    let nginx = resource("nginx");
    for resource in [
        &nginx,
        &nginx,
        &resource("nginx"),
        &resource("curl"),
        &nginx,
    ] {
        writer.process(7, resource);
    }
    writer.finish(KernelTime(1), WallOffset(0)).unwrap();
    let (events, _) = read(&file.content());
    let names = |event: &String| {
        event
            .starts_with("Process(7")
            .then(|| event.contains("nginx"))
    };
    let told: Vec<bool> = events.iter().filter_map(names).collect();
    assert_eq!(told, [true, false, true]);
}

#[test]
fn a_slow_file_costs_records_and_no_time() {
    let file = Memory::slow(Duration::from_millis(40));
    let mut writer = Writer::start(file.clone(), &head()).unwrap();
    let mut socket = Socket::new(5, 77, 80, 1_000);
    let payload = vec![b'x'; 4_000];
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    for number in 0..5_000_u64 {
        let before = Instant::now();
        writer.record(&socket.receives(&payload));
        writer.pass(KernelTime(number), WallOffset(0));
        longest = longest.max(before.elapsed());
    }
    assert!(begun.elapsed() < Duration::from_secs(3));
    let dropped = writer.dropped();
    assert!(dropped > 0, "20 MB do not fit into the buffer");
    let written = writer.finish(KernelTime(9_999), WallOffset(0)).unwrap();
    assert_eq!(written.records + written.dropped, 5_000);
    let (events, error) = read(&file.content());
    assert!(error.is_none(), "{error:?}");
    let found = |start: &str| {
        events
            .iter()
            .filter(|event| event.starts_with(start))
            .count()
    };
    assert_eq!(found("record ") as u64, written.records);
    assert_eq!(found("Pass("), 5_000, "passes are never dropped");
}

#[test]
fn a_full_disk_is_an_error_and_leaves_what_was_written() {
    let file = Memory::with_room(600_000);
    let mut writer = Writer::start(file.clone(), &head()).unwrap();
    let mut socket = Socket::new(5, 77, 80, 1_000);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !writer.has_failed() && Instant::now() < deadline {
        writer.record(&socket.receives(&vec![b'x'; 4_000]));
        writer.pass(KernelTime(socket.time), WallOffset(0));
    }
    assert!(writer.has_failed());
    let error = writer.finish(KernelTime(1), WallOffset(0)).unwrap_err();
    let text = format!("{:#}", anyhow::Error::new(error));
    assert!(
        text.contains("no storage space") && text.contains("can be replayed"),
        "{text}"
    );
    let (events, error) = read(&file.content());
    assert!(
        matches!(error, Some(ReadError::Cut { offset: 600_000 })),
        "{error:?}"
    );
    assert!(events.len() > 200, "{}", events.len());
}

#[test]
fn a_full_disk_at_the_start_is_an_error() {
    let error = Writer::start(Memory::with_room(20), &head()).unwrap_err();
    assert!(matches!(error, WriteError::Beginning(_)));
}

#[test]
fn a_chunk_of_a_hostile_length_is_refused() {
    for length in [u32::MAX, 4, (1 << 20) + 8] {
        let mut header = ChunkHeader::of(&[], 0);
        header.length = length;
        let file = [file_header(), header.to_bytes()].concat();
        let (_, error) = read(&file);
        assert!(
            matches!(error, Some(ReadError::Damaged { offset: 16, .. })),
            "{error:?}"
        );
    }
}
