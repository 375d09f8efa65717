//! Reading the rings: one pass over all of them at a time, merged by time, no copies.
//!
//! Records become visible without a wake-up. The agent sleeps for [`DRAIN_INTERVAL`] between two
//! passes, or until a program sees its ring filling and forces a wake-up. The programs know when it
//! sleeps, and leave it alone when it does not.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use aya::maps::{Array, MapData, MapError, RingBuf};
use rustix::event::{Timespec, epoll};

use crate::clock::KernelTime;

/// Longest time between two passes.
pub const DRAIN_INTERVAL: Duration = Duration::from_millis(10);

/// Where every record holds its time, see [`wirespan_ebpf::records::RecordHeader`].
const TIME_OFFSET: usize = 8;

/// The rings in use.
pub struct Rings {
    readers: Vec<RingBuf<MapData>>,
    /// Whether the agent sleeps, for the programs.
    asleep: Array<MapData, u32>,
    wake_ups: OwnedFd,
}

impl Rings {
    pub(super) fn new(
        readers: Vec<RingBuf<MapData>>,
        asleep: Array<MapData, u32>,
    ) -> io::Result<Self> {
        let wake_ups = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for ring in &readers {
            // Edge-triggered: a ring that holds records is always ready; only a forced wake-up
            // is an edge.
            epoll::add(
                &wake_ups,
                ring.as_fd(),
                epoll::EventData::new_u64(0),
                epoll::EventFlags::IN | epoll::EventFlags::ET,
            )?;
        }
        Ok(Self {
            readers,
            asleep,
            wake_ups,
        })
    }

    /// Sleeps until a ring fills up, at most for [`DRAIN_INTERVAL`].
    ///
    /// # Errors
    ///
    /// Those of `epoll_wait`, interruption by a signal aside, and of the map.
    pub fn wait(&mut self) -> io::Result<()> {
        let limit = Timespec {
            tv_sec: 0,
            tv_nsec: DRAIN_INTERVAL.subsec_nanos().into(),
        };
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 8];
        self.tell(true)?;
        let woken = epoll::wait(&self.wake_ups, &mut events, Some(&limit));
        self.tell(false)?;
        match woken {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn tell(&mut self, asleep: bool) -> io::Result<()> {
        let told = self.asleep.set(0, u32::from(asleep), 0);
        told.map_err(|error| match error {
            MapError::SyscallError(error) => error.io_error,
            other => io::Error::other(other),
        })
    }

    /// Gives every record that was written before `until` to `each`, over all rings in order of
    /// time. Later records stay where they are: another ring may still get an earlier one.
    pub fn drain(&mut self, until: KernelTime, mut each: impl FnMut(&[u8])) {
        let mut heads: Vec<Option<u64>> = self.readers.iter_mut().map(head).collect();
        while let Some((number, time)) = earliest(&heads) {
            if time > until.0 {
                return;
            }
            let ring = &mut self.readers[number];
            if let Some(record) = ring.next() {
                each(&record);
            }
            heads[number] = head(ring);
        }
    }
}

/// Time of the oldest record in a ring, which stays in it.
fn head(ring: &mut RingBuf<MapData>) -> Option<u64> {
    let record = ring.next()?;
    let time = record
        .get(TIME_OFFSET..TIME_OFFSET + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_ne_bytes);
    // Dropping the record would consume it.
    std::mem::forget(record);
    Some(time)
}

fn earliest(heads: &[Option<u64>]) -> Option<(usize, u64)> {
    heads
        .iter()
        .enumerate()
        .filter_map(|(number, time)| Some((number, (*time)?)))
        .min_by_key(|&(_, time)| time)
}
