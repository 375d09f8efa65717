//! A recording as the source of a replay: at each pass of the agent that recorded, the stages do
//! what they would have done then.

use std::{io::Read, sync::Arc};

use anyhow::anyhow;
use hashbrown::HashMap;

use super::{End, Played, Sink};
use crate::{
    clock::{KernelTime, WallClock, WallOffset},
    metrics::counters::{Counters, Loss},
    record::{Event, PROCESSES, ReadError, Reader, Totals},
    run::pipeline::{Pipeline, SpanOptions},
    span::model::Resource,
};

/// Makes the spans of a recording.
pub(super) fn play(source: impl Read, counters: &Arc<Counters>, sink: &mut Sink<'_>) -> Played {
    let mut totals = Totals::default();
    let end = match Reader::open(source) {
        Ok(mut reader) => {
            let head = reader.head();
            let options = SpanOptions {
                seed: head.seed,
                known_methods: head.naming.known_methods.as_deref(),
                former_rpc_names: head.naming.former_rpc_names,
            };
            let mut player = Player {
                pipeline: Pipeline::new(&options, counters),
                counters: Arc::clone(counters),
                processes: HashMap::new(),
                unknown: Arc::new(head.unknown()),
                now: KernelTime(head.start_time_boot_nano),
                offset: head.offset(),
                totals,
            };
            let end = player.play(&mut reader, sink);
            totals = player.totals;
            end
        }
        Err(error) => Err(error),
    };
    counters.set_loss(Loss::RecordingFull, totals.recording_full);
    Played {
        end: match end {
            Ok(()) => End::Whole,
            Err(error @ ReadError::Cut { .. }) => End::Cut(anyhow!(error)),
            Err(error) => End::Broken(anyhow!(error)),
        },
        stats: totals.kernel(),
        packets: Vec::new(),
    }
}

struct Player {
    pipeline: Pipeline,
    counters: Arc<Counters>,
    processes: HashMap<u32, Arc<Resource>>,
    unknown: Arc<Resource>,
    now: KernelTime,
    offset: WallOffset,
    totals: Totals,
}

impl Player {
    fn play(
        &mut self,
        reader: &mut Reader<impl Read>,
        sink: &mut Sink<'_>,
    ) -> Result<(), ReadError> {
        let end = loop {
            match reader.read() {
                Ok(Some(event)) => self.event(event, sink),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // What was open when the recording ended, ends now, as live.
        let clock = WallClock::with_offset(self.offset);
        let resource_of = &mut resource_of(&self.processes, &self.unknown, &self.counters);
        self.pipeline.finish(self.now, clock, resource_of);
        sink(self.pipeline.take_spans());
        end
    }

    fn event(&mut self, event: Event<'_>, sink: &mut Sink<'_>) {
        match event {
            Event::Record(record) => self.pipeline.record(&record, &mut |_, _| true),
            Event::Refused(record) => self.pipeline.record(&record, &mut |_, _| false),
            Event::Process(pid, resource) => {
                if self.processes.len() >= PROCESSES {
                    self.processes.clear();
                }
                self.processes.insert(pid, Arc::new(resource));
            }
            Event::Totals(totals) => self.totals = totals,
            Event::Pass(now, offset) => {
                (self.now, self.offset) = (now, offset);
                let clock = WallClock::with_offset(offset);
                let resource_of = &mut resource_of(&self.processes, &self.unknown, &self.counters);
                self.pipeline.pass(now, clock, resource_of);
                // The kernel that they were for is gone.
                drop(self.pipeline.take_verdicts());
                sink(self.pipeline.take_spans());
            }
            Event::End(now, offset) => (self.now, self.offset) = (now, offset),
        }
    }
}

fn resource_of<'a>(
    processes: &'a HashMap<u32, Arc<Resource>>,
    unknown: &'a Arc<Resource>,
    counters: &'a Counters,
) -> impl FnMut(u32) -> Arc<Resource> + 'a {
    move |pid| {
        let known = processes.get(&pid).map(Arc::clone);
        known.unwrap_or_else(|| {
            counters.lose(Loss::ProcessUnknown, 1);
            Arc::clone(unknown)
        })
    }
}
