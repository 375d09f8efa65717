//! A packet capture as the source of a replay: passes are driven by the packets' times.

use std::{io::Read, sync::Arc};

use uuid::{Uuid, uuid};
use wirespan_ebpf::stats::KernelStats;

use super::{End, Played, Sink};
use crate::{
    clock::{KernelTime, WallClock},
    host,
    metrics::counters::Counters,
    pcap::{self, Capture, PcapError, Perspective, Progress},
    run::pipeline::{Pipeline, SpanOptions},
    span::{ids::Seed, model::Resource},
    stream::record::Record,
};

/// Nanoseconds between two passes, as live.
const INTERVAL: u64 = 10_000_000;

/// Seeds come from the captures' bytes.
const SEED_NAMESPACE: Uuid = uuid!("6ba0a3b0-7f5c-5a3e-9a55-2f1f5b0d7c11");

/// Makes the spans of a packet capture.
pub(super) fn play(
    source: impl Read,
    perspective: Perspective,
    options: &SpanOptions<'_>,
    counters: &Arc<Counters>,
    sink: &mut Sink<'_>,
) -> Played {
    let mut player = Player {
        pipeline: Pipeline::new(options, counters),
        clock: WallClock::with_offset(pcap::WALL_OFFSET),
        everyone: Arc::new(host::unidentified()),
        passed: None,
        stats: KernelStats::default(),
        sink,
    };
    let mut packets = Vec::new();
    let end = Capture::open(source, perspective).and_then(|mut capture| {
        let end = player.packets(&mut capture);
        packets = capture.counts().named().collect();
        end
    });
    Played {
        end: match end {
            Ok(()) => End::Whole,
            Err(error @ PcapError::Cut { .. }) => End::Cut(error.into()),
            Err(error) => End::Broken(error.into()),
        },
        stats: player.stats,
        packets,
    }
}

/// The seed of a capture that begins with these bytes, and another one for the spans of its other
/// ends.
pub(super) fn seed(beginning: &[u8], perspective: Perspective) -> Seed {
    let end = Uuid::new_v5(&SEED_NAMESPACE, format!("{perspective:?}").as_bytes());
    let first = Uuid::new_v5(&end, beginning);
    let second = Uuid::new_v5(&first, beginning);
    let mut seed = Seed::default();
    let (left, right) = seed.split_at_mut(first.as_bytes().len());
    left.copy_from_slice(first.as_bytes());
    right.copy_from_slice(second.as_bytes());
    seed
}

struct Player<'a, 'b> {
    pipeline: Pipeline,
    clock: WallClock,
    /// A capture does not tell who anyone is.
    everyone: Arc<Resource>,
    /// Time of the last pass.
    passed: Option<KernelTime>,
    stats: KernelStats,
    sink: &'a mut Sink<'b>,
}

impl Player<'_, '_> {
    fn packets(&mut self, capture: &mut Capture<impl Read>) -> Result<(), PcapError> {
        let end = loop {
            match capture.next(&mut |record| self.record(record)) {
                Ok(Progress::Packet(now)) => self.pass_until(now),
                Ok(Progress::End) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        capture.finish(&mut |record| self.record(record));
        let everyone = &self.everyone;
        let now = self.passed.unwrap_or_default();
        self.pipeline
            .finish(now, self.clock, &mut |_| Arc::clone(everyone));
        (self.sink)(self.pipeline.take_spans());
        end
    }

    fn record(&mut self, record: &Record<'_>) {
        match record {
            Record::Data(data, _) => {
                let uncaptured = data.length.saturating_sub(data.captured);
                let add = |total: Option<&mut u64>, bytes: u32| {
                    if let Some(total) = total {
                        *total += u64::from(bytes);
                    }
                };
                let stats = &mut self.stats;
                add(
                    stats.bytes_seen.get_mut(usize::from(data.direction)),
                    data.length,
                );
                add(Some(&mut stats.bytes_captured), data.captured);
                add(
                    stats.uncaptured_bytes.get_mut(usize::from(data.cause)),
                    uncaptured,
                );
                self.pass_until(KernelTime(data.time));
            }
            Record::Open(open) => self.pass_until(KernelTime(open.time)),
            Record::Close(close) => self.pass_until(KernelTime(close.time)),
            Record::Exec(_) | Record::Fork(_) | Record::Exit(_) => {}
        }
        self.stats.records += 1;
        self.pipeline.record(record, &mut |_, _| true);
    }

    /// What live would have been done since the last pass. The longer nothing came, the longer the
    /// steps: a capture may sleep for days.
    fn pass_until(&mut self, now: KernelTime) {
        let mut passed = *self.passed.get_or_insert(now);
        let mut step = INTERVAL;
        while now.since(passed) >= INTERVAL {
            passed = KernelTime(passed.0.saturating_add(step).min(now.0));
            step = step.saturating_mul(2);
            let everyone = &self.everyone;
            self.pipeline
                .pass(passed, self.clock, &mut |_| Arc::clone(everyone));
            // There is no kernel to tell.
            drop(self.pipeline.take_verdicts());
            (self.sink)(self.pipeline.take_spans());
        }
        self.passed = Some(passed);
    }
}
