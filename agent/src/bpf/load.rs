//! Loads the kernel programs, attaches them, and holds them: when this is dropped, or the agent
//! dies, the kernel removes every program, map and link. Nothing is ever pinned.

use std::{io, num::NonZero, thread};

use aya::{
    Ebpf, EbpfError, EbpfLoader, Pod,
    maps::{Array, ArrayOfMaps, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::{
        BtfTracePoint, FExit, Iter, Program, ProgramError, fexit::FExitLink,
        tp_btf::BtfTracePointLink,
    },
};
use wirespan_ebpf::{
    MAX_RINGS, offsets::KernelOffsets, stats::KernelStats, syscalls::TABLE_SIZE, verdict::Verdict,
};

use super::{
    object::{self, ObjectError},
    ring::Rings,
    sockets,
    support::{Chosen, HookSet},
    syscalls,
};

/// Bytes of all rings together.
const RING_BYTES: u32 = 4 << 20;
/// A ring wakes the agent when one part in so many of it waits to be read.
const WAKE_FRACTION: u64 = 4;

/// Why tracing could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The agent's own object is not usable.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The kernel's type information could not be read by the loader.
    #[error("the kernel's BTF cannot be read: {0}")]
    LoaderBtf(#[from] aya::BtfError),
    /// The object could not be loaded.
    #[error("the kernel refused the maps of wirespan: {0}")]
    Maps(#[from] EbpfError),
    /// A map could not be used.
    #[error("a map of wirespan cannot be used: {0}")]
    Map(#[from] MapError),
    /// The programs' log cannot be read.
    #[cfg(feature = "debug-log")]
    #[error("the kernel programs' log cannot be read: {0}; build them with the same features")]
    Log(#[from] aya_log::Error),
    /// The object has no program or map of this name, or one of another type.
    #[error("the kernel object has no usable `{name}`; build it again with `cargo xtask build`")]
    Absent {
        /// Its name.
        name: &'static str,
    },
    /// A program could not be loaded or attached.
    #[error("the kernel refused the program `{name}`: {source}")]
    Program {
        /// Its name.
        name: &'static str,
        /// The kernel's answer, with the verifier's last words.
        source: Box<ProgramError>,
    },
    /// The rings could not be watched.
    #[error("the rings cannot be watched: {0}")]
    Rings(#[source] io::Error),
}

impl LoadError {
    fn refused(name: &'static str, source: ProgramError) -> Self {
        Self::Program {
            name,
            source: Box::new(source),
        }
    }

    /// The kernel does not have the function that a program is for.
    fn is_missing_function(&self) -> bool {
        let Self::Program { source, .. } = self else {
            return false;
        };
        matches!(
            **source,
            ProgramError::Btf(aya::BtfError::UnknownBtfTypeName { .. })
        )
    }
}

/// The offsets as bytes for the loader.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct OffsetsBytes(KernelOffsets);

// SAFETY: `KernelOffsets` is `repr(C)` and made of `u32` only: no padding, valid for any bits.
unsafe impl Pod for OffsetsBytes {}

/// One CPU's counters as bytes for the loader.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct StatsBytes(KernelStats);

// SAFETY: `KernelStats` is `repr(C)` and made of `u64` only: no padding, valid for any bits.
unsafe impl Pod for StatsBytes {}

/// The programs at work.
pub struct Kernel {
    ebpf: Ebpf,
    links: Vec<Link>,
    stats: PerCpuArray<MapData, StatsBytes>,
    verdicts: HashMap<MapData, u64, u8>,
    #[cfg(feature = "debug-log")]
    log: aya_log::EbpfLogger<&'static dyn log::Log>,
}

/// An attachment; dropping it detaches.
#[expect(dead_code, reason = "held for what dropping them does")]
enum Link {
    Tracepoint(BtfTracePointLink),
    Trampoline(FExitLink),
}

/// What one program cost the verifier.
#[derive(Clone, Debug)]
pub struct ProgramReport {
    /// Its name.
    pub name: String,
    /// Instructions that the verifier walked through; `None` before Linux 5.16.
    pub verified_instructions: Option<u32>,
}

impl Kernel {
    /// Loads and attaches the programs of a hook set.
    ///
    /// # Errors
    ///
    /// See [`LoadError`]; nothing stays in the kernel then.
    pub fn load(chosen: &Chosen) -> Result<(Self, Rings), LoadError> {
        let object = object::embedded()?;
        let offsets = OffsetsBytes(chosen.offsets);
        let count = ring_count();
        let size = (RING_BYTES / count).max(page_size());
        let mut ebpf = load_maps(object, &offsets, count, size)?;
        let rings = take_rings(&mut ebpf, count)?;
        let stats = PerCpuArray::try_from(take_map(&mut ebpf, "STATS")?)?;
        let verdicts = HashMap::try_from(take_map(&mut ebpf, "VERDICTS")?)?;
        let asleep = Array::try_from(take_map(&mut ebpf, "ASLEEP")?)?;
        #[cfg(feature = "debug-log")]
        let log = aya_log::EbpfLogger::init(&mut ebpf)?;
        let mut kernel = Self {
            #[cfg(feature = "debug-log")]
            log,
            ebpf,
            links: Vec::new(),
            stats,
            verdicts,
        };
        kernel.attach(chosen.hooks)?;
        kernel.mark_unix_sockets()?;
        let rings = Rings::new(rings, asleep).map_err(LoadError::Rings)?;
        Ok((kernel, rings))
    }

    fn attach(&mut self, hooks: HookSet) -> Result<(), LoadError> {
        let btf = aya::Btf::from_sys_fs()?;
        for name in [
            "sched_process_exec",
            "sched_process_fork",
            "sched_process_exit",
            "inet_sock_set_state",
        ] {
            self.attach_tracepoint(name, &btf)?;
        }
        match hooks {
            HookSet::Tracepoint => {
                self.attach_tracepoint("sock_send_length", &btf)?;
                self.attach_tracepoint("sock_recv_length", &btf)?;
            }
            HookSet::Trampoline => {
                for name in [
                    "tcp_sendmsg",
                    "tcp_recvmsg",
                    "unix_stream_sendmsg",
                    "unix_stream_recvmsg",
                ] {
                    self.attach_trampoline(name, &btf)?;
                }
                for name in ["tcp_sendpage", "unix_stream_sendpage"] {
                    // Gone since Linux 6.5, where sendfile calls `tcp_sendmsg`.
                    match self.attach_trampoline(name, &btf) {
                        Err(error) if error.is_missing_function() => {}
                        attached => attached?,
                    }
                }
            }
        }
        self.load_iterator("iter_unix", "unix", &btf)?;
        self.load_iterator("iter_tcp", "tcp", &btf)
    }

    fn load_iterator(
        &mut self,
        name: &'static str,
        over: &str,
        btf: &aya::Btf,
    ) -> Result<(), LoadError> {
        let iterator: &mut Iter = self.program(name)?;
        iterator
            .load(over, btf)
            .map_err(|source| LoadError::refused(name, source))
    }

    fn attach_tracepoint(&mut self, name: &'static str, btf: &aya::Btf) -> Result<(), LoadError> {
        let refused = |source| LoadError::refused(name, source);
        let program: &mut BtfTracePoint = self.program(name)?;
        program.load(name, btf).map_err(refused)?;
        let link = program.attach().map_err(refused)?;
        let link = program.take_link(link).map_err(refused)?;
        self.links.push(Link::Tracepoint(link));
        Ok(())
    }

    fn attach_trampoline(&mut self, name: &'static str, btf: &aya::Btf) -> Result<(), LoadError> {
        let refused = |source| LoadError::refused(name, source);
        let program: &mut FExit = self.program(name)?;
        program.load(name, btf).map_err(refused)?;
        let link = program.attach().map_err(refused)?;
        let link = program.take_link(link).map_err(refused)?;
        self.links.push(Link::Trampoline(link));
        Ok(())
    }

    fn program<'a, T>(&'a mut self, name: &'static str) -> Result<&'a mut T, LoadError>
    where
        &'a mut T: TryFrom<&'a mut Program>,
    {
        self.ebpf
            .program_mut(name)
            .and_then(|program| program.try_into().ok())
            .ok_or(LoadError::Absent { name })
    }

    /// Unix sockets seen from now on are new, and so are their streams. Where this fails, no unix
    /// socket counts as new, and their two ends are not linked.
    fn mark_unix_sockets(&mut self) -> Result<(), LoadError> {
        let iterator: &mut Iter = self.program("iter_unix")?;
        match sockets::walk(iterator) {
            Ok(namespaces) => {
                tracing::debug!(namespaces, "marked the unix sockets that are in use");
                let mut marked: Array<_, u32> =
                    Array::try_from(take_map(&mut self.ebpf, "UNIX_MARKED")?)?;
                marked.set(0, 1, 0)?;
            }
            Err(error) => tracing::warn!(
                %error,
                "unix sockets that are in use could not be marked: the two ends of a unix \
                 connection will not be linked"
            ),
        }
        Ok(())
    }

    /// Tells the kernel what a socket carries; it acts on it at one of the socket's next calls.
    ///
    /// # Errors
    ///
    /// That of the map.
    pub fn tell(&mut self, connection: u64, verdict: Verdict) -> Result<(), LoadError> {
        Ok(self.verdicts.insert(connection, verdict as u8, 0)?)
    }

    /// Writes what the kernel programs logged since the last call to the agent's log.
    #[cfg(feature = "debug-log")]
    pub fn flush_log(&mut self) {
        self.log.flush();
    }

    /// Stops capture; rings and counters stay readable. What was lost on connections that stay
    /// open is counted.
    pub fn detach(&mut self) {
        self.links.clear();
        let walked = self
            .program("iter_tcp")
            .map_err(Into::into)
            .and_then(sockets::walk);
        if let Err(error) = walked {
            tracing::warn!(%error, "losses of open connections are not counted");
        }
    }

    /// The counters of all CPUs, added up.
    ///
    /// # Errors
    ///
    /// That of the map.
    pub fn stats(&self) -> Result<KernelStats, LoadError> {
        let mut total = KernelStats::default();
        for StatsBytes(cpu) in self.stats.get(&0, 0)?.iter() {
            add(&mut total, cpu);
        }
        Ok(total)
    }

    /// What each program at work cost the verifier.
    #[must_use]
    pub fn programs(&self) -> Vec<ProgramReport> {
        self.ebpf
            .programs()
            .filter_map(|(name, program)| {
                let info = program.info().ok()?;
                Some(ProgramReport {
                    name: name.to_owned(),
                    verified_instructions: info.verified_instruction_count(),
                })
            })
            .collect()
    }
}

fn load_maps(
    object: &[u8],
    offsets: &OffsetsBytes,
    ring_count: u32,
    ring_size: u32,
) -> Result<Ebpf, LoadError> {
    let agent = std::process::id();
    let ring_mask = ring_count - 1;
    let wake_mark = u64::from(ring_size) / WAKE_FRACTION;
    let native: [u8; TABLE_SIZE] = syscalls::native();
    let compat: [u8; TABLE_SIZE] = syscalls::compat();
    let mut loader = EbpfLoader::new();
    loader
        .override_global("AGENT_TGID", &agent, true)
        .override_global("RING_MASK", &ring_mask, true)
        .override_global("WAKE_MARK", &wake_mark, true)
        .override_global("OFFSETS", offsets, true)
        .override_global("SYSCALLS", &native, true)
        .override_global("SYSCALLS_COMPAT", &compat, true);
    for name in &RING_NAMES[..ring_count as usize] {
        loader.map_max_entries(name, ring_size);
    }
    Ok(loader.load(object)?)
}

const RING_NAMES: [&str; MAX_RINGS as usize] = [
    "RING_0", "RING_1", "RING_2", "RING_3", "RING_4", "RING_5", "RING_6", "RING_7",
];

fn take_rings(ebpf: &mut Ebpf, count: u32) -> Result<Vec<RingBuf<MapData>>, LoadError> {
    let names = &RING_NAMES[..count as usize];
    let rings: Vec<RingBuf<MapData>> = names
        .iter()
        .map(|&name| Ok(RingBuf::try_from(take_map(ebpf, name)?)?))
        .collect::<Result<_, LoadError>>()?;
    // Stays with the loader: programs that are loaded later refer to it by its descriptor.
    let name = "RINGS";
    let outer = ebpf.map_mut(name).ok_or(LoadError::Absent { name })?;
    let mut outer: ArrayOfMaps<_, RingBuf<MapData>> = ArrayOfMaps::try_from(outer)?;
    for (number, ring) in (0..count).zip(&rings) {
        outer.set(number, ring, 0)?;
    }
    Ok(rings)
}

fn take_map(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, LoadError> {
    ebpf.take_map(name).ok_or(LoadError::Absent { name })
}

/// One ring for each group of CPUs, so that cores do not wait for one lock. A power of two.
fn ring_count() -> u32 {
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    let wanted = u32::try_from(cpus).unwrap_or(MAX_RINGS).next_power_of_two();
    wanted.min(MAX_RINGS)
}

fn page_size() -> u32 {
    u32::try_from(rustix::param::page_size()).unwrap_or(4096)
}

fn add(total: &mut KernelStats, cpu: &KernelStats) {
    let KernelStats {
        records,
        ring_full,
        ring_full_other,
        storage_failed,
        bytes_seen,
        bytes_captured,
        uncaptured_bytes,
        exchanges_lost,
    } = cpu;
    total.records += records;
    total.ring_full += ring_full;
    total.ring_full_other += ring_full_other;
    total.storage_failed += storage_failed;
    total.bytes_captured += bytes_captured;
    add_each(&mut total.bytes_seen, bytes_seen);
    add_each(&mut total.uncaptured_bytes, uncaptured_bytes);
    add_each(&mut total.exchanges_lost, exchanges_lost);
}

fn add_each<const N: usize>(total: &mut [u64; N], more: &[u64; N]) {
    for (total, more) in total.iter_mut().zip(more) {
        *total += more;
    }
}
