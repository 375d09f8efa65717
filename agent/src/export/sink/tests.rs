//! Local outputs that are slow, closed or broken.

use std::{
    fs::File,
    io::{BufRead, BufReader, pipe},
    os::fd::OwnedFd,
};

use super::*;
use crate::{
    export::{stdout::Patient, testing},
    metrics::counters::{Flow, Loss},
};

fn lines(writer: io::PipeWriter) -> Output<Patient> {
    Output::JsonLines(JsonLines::new(Patient::new(File::from(OwnedFd::from(
        writer,
    )))))
}

fn shutdown(queue: &Queue, limit: Duration) {
    let deadline = Instant::now() + limit;
    queue.close(deadline);
    queue.join(deadline);
}

#[test]
fn lines_come_promptly_and_are_counted() {
    let (reader, writer) = pipe().unwrap();
    let counters = Arc::new(Counters::default());
    let queue = start(lines(writer), Pace::Live, Arc::clone(&counters)).unwrap();
    queue.offer(&testing::spans(3));
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"resourceSpans\":["), "{line}");
    shutdown(&queue, Duration::from_secs(10));
    assert_eq!(counters.flow(Flow::ExportAccepted), 3);
}

#[test]
fn a_closed_reader_is_counted() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let counters = Arc::new(Counters::default());
    let queue = start(lines(writer), Pace::Live, Arc::clone(&counters)).unwrap();
    queue.offer(&testing::spans(3));
    shutdown(&queue, Duration::from_secs(10));
    assert_eq!(counters.loss(Loss::ExportFailed), 3);
    assert_eq!(counters.flow(Flow::ExportDropped), 3);
}

#[test]
fn a_reader_that_hangs_holds_up_no_shutdown() {
    let (_reader, writer) = pipe().unwrap();
    let counters = Arc::new(Counters::default());
    let queue = start(lines(writer), Pace::Live, Arc::clone(&counters)).unwrap();
    for _ in 0..100 {
        queue.offer(&testing::spans(1_000));
    }
    let begun = Instant::now();
    shutdown(&queue, Duration::from_millis(300));
    assert!(begun.elapsed() < Duration::from_secs(5));
    let flows = [Flow::ExportAccepted, Flow::ExportDropped].map(|flow| counters.flow(flow));
    assert_eq!(flows.iter().sum::<u64>(), 100_000);
    assert!(counters.loss(Loss::QueueFull) > 0);
    assert!(counters.loss(Loss::ShutdownTimeout) > 0);
}

/// What a replay writes, its spans offered in parts of this size.
fn replayed(part: usize) -> String {
    let (mut reader, writer) = pipe().unwrap();
    let counters = Arc::new(Counters::default());
    let queue = start(lines(writer), Pace::Replay, Arc::clone(&counters)).unwrap();
    let read = thread::spawn(move || {
        let mut text = String::new();
        io::Read::read_to_string(&mut reader, &mut text).unwrap();
        text
    });
    for part in testing::spans(2_500).chunks(part) {
        queue.offer(part);
    }
    shutdown(&queue, Duration::from_secs(10));
    assert_eq!(counters.flow(Flow::ExportAccepted), 2_500);
    read.join().unwrap()
}

#[test]
fn what_a_replay_writes_does_not_depend_on_time() {
    let text = replayed(1);
    assert_eq!(text.lines().count(), 3);
    for part in [7, 1_000, 2_500] {
        assert!(replayed(part) == text, "{part} at a time");
    }
}
