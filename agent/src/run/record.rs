//! `wirespan record`: everything that a replay needs, into a file.
//!
//! The connections are followed as in `wirespan run`, for what the kernel is to be told of them and
//! for who their processes are at the moment at which `wirespan run` would ask. No span is made.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hashbrown::HashSet;

use super::{live::Live, pipeline::ResourceOf, signals::Signals};
use crate::{
    cli::RecordArgs,
    clock::{KernelTime, WallOffset},
    config::{Config, Filters},
    memory,
    metrics::{
        counters::{Counters, Loss},
        summary::{Summary, grouped},
    },
    record::{Head, Naming, Totals, WriteError, Writer, Written},
    span::ids,
    stream::{Limits, Streams, Wanted, exchange::Activity, record::Record},
};

/// Only the owner reads what others have sent.
const MODE: u32 = 0o600;

/// A recording under way.
pub(super) struct Recorder {
    path: PathBuf,
    until: Option<Instant>,
    counters: Arc<Counters>,
    signals: Signals,
    live: Live,
    tape: Tape,
}

/// Starts recording.
pub(super) fn start(config: &Config, args: RecordArgs) -> anyhow::Result<Recorder> {
    let path = args.output;
    let file = create(&path).with_context(|| {
        format!(
            "cannot record to {}; choose another --output",
            path.display()
        )
    })?;
    let signals = Signals::listen().context("cannot listen for signals")?;
    let counters = Arc::new(Counters::default());
    let live = Live::start(args.hooks, Filters::new(args.filters), &counters)?;
    let started = KernelTime::now();
    let head = Head::new(
        ids::new_seed()?,
        (started, live.clock.to_unix(started)),
        Naming {
            known_methods: config.known_methods.clone(),
            former_rpc_names: config.former_rpc_names,
        },
        &live.processes.unidentified(),
    );
    let writer = Writer::start(file, &head)
        .with_context(|| format!("cannot record to {}", path.display()))?;
    let tape = Tape::new(writer, &counters);
    memory::release_unused();
    eprintln!(
        "wirespan: recording this host by {} hooks to {}",
        live.hooks(),
        path.display()
    );
    let seconds = args
        .seconds
        .map(|seconds| Duration::from_secs(seconds.into()));
    Ok(Recorder {
        path,
        until: seconds.map(|seconds| Instant::now() + seconds),
        counters,
        signals,
        live,
        tape,
    })
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(path)
}

impl Recorder {
    /// Passes over the rings until a signal comes, the time is over or the file is full.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let result = self.passes();
        self.stop()?;
        result
    }

    fn passes(&mut self) -> anyhow::Result<()> {
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= Instant::now());
        while !self.signals.stop_wanted() && !is_over(self.until) && !self.tape.writer.has_failed()
        {
            self.live.wait()?;
            self.pass()?;
        }
        Ok(())
    }

    fn pass(&mut self) -> anyhow::Result<()> {
        let Self { live, tape, .. } = self;
        let now = live.drain(|record, bytes, wanted| tape.record(record, bytes, wanted));
        let offset = live.clock.offset();
        tape.pass(now, offset, &mut |tgid| live.processes.resource(tgid));
        live.tell(tape.streams.take_verdicts());
        let dropped = tape.writer.dropped();
        self.counters.set_loss(Loss::RecordingFull, dropped);
        if let Some(stats) = live.housekeep(now)? {
            tape.writer.totals(&Totals::new(&stats, dropped));
        }
        Ok(())
    }

    fn stop(self) -> anyhow::Result<()> {
        let Self {
            path,
            counters,
            mut live,
            mut tape,
            ..
        } = self;
        let now = live.stop(|record, bytes, wanted| tape.record(record, bytes, wanted));
        let stats = live.stats()?;
        let dropped = tape.writer.dropped();
        tape.writer.totals(&Totals::new(&stats, dropped));
        let offset = live.clock.offset();
        let written = tape.finish(now, offset, &mut |tgid| live.processes.resource(tgid));
        let path = path.display();
        let written = written.with_context(|| format!("cannot record to {path}"))?;
        counters.set_loss(Loss::RecordingFull, written.dropped);
        eprint!(
            "recorded        {} records, {} bytes in {path}\n{}",
            grouped(written.records),
            grouped(written.bytes),
            Summary::new(&counters, &stats).capture()
        );
        Ok(())
    }
}

/// What is written, and what is needed to know it.
pub(super) struct Tape {
    writer: Writer,
    streams: Streams,
    activities: Vec<Activity>,
    refused: Refused,
}

impl Tape {
    pub(super) fn new(writer: Writer, counters: &Arc<Counters>) -> Self {
        Self {
            writer,
            streams: Streams::new(Limits::default(), Arc::clone(counters)),
            activities: Vec::new(),
            refused: Refused::default(),
        }
    }

    /// Takes a record and its bytes.
    pub(super) fn record(&mut self, record: &Record<'_>, bytes: &[u8], wanted: &mut Wanted<'_>) {
        let connection = match record {
            // Who processes are is told by their resources.
            Record::Exec(_) | Record::Fork(_) => return,
            Record::Exit(_) => None,
            Record::Data(data, _) => Some(data.connection),
            Record::Open(open) => Some(open.connection),
            Record::Close(close) => Some(close.connection),
        };
        if connection.is_some_and(|connection| self.refused.has(connection)) {
            return;
        }
        let mut is_refused = false;
        let mut ask = |tgid, addresses: Option<&_>| {
            let is_wanted = wanted(tgid, addresses);
            is_refused |= !is_wanted;
            is_wanted
        };
        self.streams.record(record, &mut ask, &mut self.activities);
        match connection.filter(|_| is_refused) {
            Some(connection) => {
                self.refused.add(connection);
                self.writer.refused(bytes);
            }
            None => self.writer.record(bytes),
        }
    }

    /// All records that were written before `now` have been taken.
    pub(super) fn pass(
        &mut self,
        now: KernelTime,
        offset: WallOffset,
        resource_of: &mut ResourceOf<'_>,
    ) {
        self.streams.drained(now, &mut self.activities);
        self.tell_processes(resource_of);
        self.writer.pass(now, offset);
        self.refused.turn(now);
    }

    /// No record comes any more.
    pub(super) fn finish(
        mut self,
        now: KernelTime,
        offset: WallOffset,
        resource_of: &mut ResourceOf<'_>,
    ) -> Result<Written, WriteError> {
        self.streams.stop(now, &mut self.activities);
        self.tell_processes(resource_of);
        self.writer.finish(now, offset)
    }

    /// `wirespan run` would ask now who these are.
    fn tell_processes(&mut self, resource_of: &mut ResourceOf<'_>) {
        for activity in self.activities.drain(..) {
            if let Activity::Opened(opened) = activity {
                let resource = resource_of(opened.tgid);
                self.writer.process(opened.tgid, &resource);
            }
        }
    }
}

/// Connections that the filters leave out, until the kernel ignores them too: none of their bytes
/// comes into the file. They are forgotten when nothing came of them for a while.
#[derive(Default)]
struct Refused {
    young: HashSet<u64>,
    old: HashSet<u64>,
    turned: KernelTime,
}

/// Nanoseconds: the kernel knows of a refusal at the end of the pass.
const REFUSED_TURN: u64 = 5_000_000_000;

impl Refused {
    fn has(&mut self, connection: u64) -> bool {
        if self.old.remove(&connection) {
            self.young.insert(connection);
        }
        self.young.contains(&connection)
    }

    fn add(&mut self, connection: u64) {
        self.young.insert(connection);
    }

    fn turn(&mut self, now: KernelTime) {
        if now.since(self.turned) >= REFUSED_TURN {
            self.turned = now;
            self.old = std::mem::take(&mut self.young);
        }
    }
}
