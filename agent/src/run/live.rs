//! The kernel of this host as a source of records, with what belongs to it: who its processes are,
//! which of them are wanted, what its clock says. Knows nothing of what is made of the records.

use std::{sync::Arc, time::Instant};

use anyhow::Context as _;
use wirespan_ebpf::{stats::KernelStats, verdict::Verdict};

use crate::{
    bpf::{
        load::{Kernel, LoadError},
        ring::Rings,
        support::{self, HookSet, Support},
    },
    cli::Hooks,
    clock::{KernelTime, WallClock},
    config::Filters,
    host::{CgroupTree, HostIdentity, ProcRoot, Processes},
    metrics::{
        self,
        counters::{Counters, Loss},
        log::LossLog,
    },
    stream::{Wanted, exchange::Addresses, record::Record},
};

/// Added to the agent's nice value: a share of about a tenth beside a busy program of normal
/// priority, all of a CPU that is idle.
const NICENESS: i32 = 10;
/// Nanoseconds between two looks at clocks and counters.
const HOUSEKEEPING: u64 = 1_000_000_000;
/// A record may be written a little after the time that it bears; a pass leaves it to the next.
const SLACK: u64 = 50_000;

/// The programs in the kernel, and this host.
pub(super) struct Live {
    counters: Arc<Counters>,
    hooks: HookSet,
    kernel: Kernel,
    rings: Rings,
    pub(super) processes: Processes,
    pub(super) clock: WallClock,
    filters: Filters,
    losses: LossLog,
    housekept: KernelTime,
    /// [`Loss::RingFullOther`] when processes were last read from `/proc`.
    lifecycle_lost: u64,
}

impl Live {
    /// Begins to capture.
    pub(super) fn start(
        hooks: Hooks,
        filters: Filters,
        counters: &Arc<Counters>,
    ) -> anyhow::Result<Self> {
        yield_to_applications();
        let chosen = support::choose(hooks.into(), &Support::probe())?;
        let (kernel, rings) = Kernel::load(&chosen)?;
        for program in kernel.programs() {
            tracing::debug!(
                program = program.name,
                verified_instructions = program.verified_instructions,
                "attached"
            );
        }
        let mut processes = Processes::new(
            ProcRoot::default(),
            HostIdentity::detect(),
            CgroupTree::of_host(),
            Arc::clone(counters),
        );
        // Processes that are older than the agent. The kernel's records flow already.
        processes.backfill();
        Ok(Self {
            counters: Arc::clone(counters),
            hooks: chosen.hooks,
            kernel,
            rings,
            processes,
            clock: WallClock::new(),
            filters,
            losses: LossLog::new(Instant::now()),
            housekept: KernelTime::now(),
            lifecycle_lost: 0,
        })
    }

    /// The hooks in use.
    pub(super) fn hooks(&self) -> HookSet {
        self.hooks
    }

    /// Sleeps until it is time for the next pass.
    pub(super) fn wait(&mut self) -> anyhow::Result<()> {
        self.rings.wait().context("cannot wait for records")
    }

    /// One pass: everything that was written before now, which is returned. `take` gets each
    /// record, its bytes, and whom to ask whether its connection is wanted.
    pub(super) fn drain(
        &mut self,
        take: impl FnMut(&Record<'_>, &[u8], &mut Wanted<'_>),
    ) -> KernelTime {
        let now = KernelTime::now();
        self.drain_until(KernelTime(now.0.saturating_sub(SLACK)), take);
        now
    }

    /// Ends capture: the last pass.
    pub(super) fn stop(
        &mut self,
        take: impl FnMut(&Record<'_>, &[u8], &mut Wanted<'_>),
    ) -> KernelTime {
        self.kernel.detach();
        self.drain_until(KernelTime(u64::MAX), take);
        KernelTime::now()
    }

    fn drain_until(
        &mut self,
        until: KernelTime,
        mut take: impl FnMut(&Record<'_>, &[u8], &mut Wanted<'_>),
    ) {
        let Self {
            counters,
            filters,
            processes,
            ..
        } = self;
        self.rings.drain(until, |bytes| {
            let Ok(record) = Record::decode(bytes) else {
                counters.lose(Loss::RecordInvalid, 1);
                return;
            };
            match &record {
                Record::Exec(exec) => processes.exec(exec),
                Record::Fork(fork) => processes.fork(fork),
                Record::Exit(exit) => processes.exit(exit),
                Record::Open(_) | Record::Data(..) | Record::Close(_) => {}
            }
            take(&record, bytes, &mut |tgid, addresses| {
                is_wanted(filters, processes, tgid, addresses)
            });
        });
    }

    /// Tells the kernel what is known of connections.
    pub(super) fn tell(&mut self, verdicts: Vec<(u64, Verdict)>) {
        for (connection, verdict) in verdicts {
            if self.kernel.tell(connection, verdict).is_err() {
                self.counters.lose(Loss::VerdictFailed, 1);
            }
        }
    }

    /// Looks at clocks and counters once a second; gives the kernel's then.
    pub(super) fn housekeep(&mut self, now: KernelTime) -> Result<Option<KernelStats>, LoadError> {
        #[cfg(feature = "debug-log")]
        self.kernel.flush_log();
        if now.since(self.housekept) < HOUSEKEEPING {
            return Ok(None);
        }
        self.housekept = now;
        self.clock.remeasure();
        let stats = self.kernel.stats()?;
        metrics::kernel::absorb(&self.counters, &stats);
        self.refill_processes();
        self.losses.tick(&self.counters, Instant::now());
        Ok(Some(stats))
    }

    /// Records that were lost may have told of processes.
    fn refill_processes(&mut self) {
        let lost = self.counters.loss(Loss::RingFullOther);
        if lost != self.lifecycle_lost {
            self.lifecycle_lost = lost;
            self.processes.backfill();
        }
    }

    /// The kernel's counters.
    pub(super) fn stats(&self) -> Result<KernelStats, LoadError> {
        self.kernel.stats()
    }
}

/// On a host without spare CPU the traced programs go first: what the agent cannot read in time is
/// lost and counted, but costs them nothing.
fn yield_to_applications() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "the agent runs at normal priority");
    }
}

/// What the command line says of a connection.
fn is_wanted(
    filters: &Filters,
    processes: &mut Processes,
    tgid: u32,
    addresses: Option<&Addresses>,
) -> bool {
    let port = addresses.map_or_else(
        || filters.wants_portless(),
        |addresses| filters.wants_port(addresses.local.port(), addresses.peer.port()),
    );
    let executable = if filters.needs_exe() {
        processes.executable(tgid)
    } else {
        None
    };
    port && filters.wants_process(tgid, executable)
}
