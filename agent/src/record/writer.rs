//! Writes a recording: events into chunks in memory, chunks into the file on a thread of its own.
//! Whoever has events never waits for the file.

use std::{
    io::{self, Write},
    mem::offset_of,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use hashbrown::HashMap;
use serde::Serialize;
use wirespan_ebpf::records::{DataRecord, TAIL, kind};

use super::{
    format::{
        ALIGNMENT, CHUNK_LIMIT, ChunkHeader, EVENT_HEADER, HEADER, Kind, event_header, file_header,
    },
    meta::{Head, Process, Totals},
};
use crate::{
    clock::{KernelTime, WallOffset},
    span::model::Resource,
};

/// Bytes of a chunk at which it is handed to the file's thread. What is larger is one that waited
/// for its turn.
const CHUNK_FULL: usize = 256 << 10;
/// Chunks that wait for the file at most: with 4 MiB, some tenths of a second at full speed.
const WAITING: usize = 16;
/// Nanoseconds after which a chunk is handed over in any case.
const CHUNK_AGE: u64 = 1_000_000_000;
/// Processes whose resources are remembered at most, by writer and reader alike: before one more,
/// all are forgotten.
pub const PROCESSES: usize = 32_768;

/// The recording could not be written to its end.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The system cannot write even the beginning.
    #[error("its beginning cannot be written")]
    Beginning(#[source] io::Error),
    /// No thread for the file.
    #[error("cannot start the thread that writes the recording")]
    Thread(#[source] io::Error),
    /// The system cannot write it.
    #[error(
        "it could not be written any further, but what the file holds, {written} bytes, can be \
         replayed"
    )]
    Io {
        /// Bytes of whole chunks before.
        written: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The file's thread is gone.
    #[error("the thread that writes the recording has panicked")]
    Panicked,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Records.
    pub records: u64,
    /// Records that found the buffer full.
    pub dropped: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// A recording that is written.
#[derive(Debug)]
pub struct Writer {
    /// Header, to be filled in, and events.
    chunk: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    file: JoinHandle<Result<u64, WriteError>>,
    records: u64,
    dropped: u64,
    /// The file's thread has given up.
    failed: bool,
    handed_over: KernelTime,
    told: HashMap<u32, Arc<Resource>>,
}

impl Writer {
    /// Begins a recording in a file.
    ///
    /// # Errors
    ///
    /// When the beginning cannot be written, or the thread that writes the rest not be started.
    pub fn start(mut file: impl Write + Send + 'static, head: &Head) -> Result<Self, WriteError> {
        file.write_all(&file_header())
            .map_err(WriteError::Beginning)?;
        let mut chunk = vec![0; HEADER];
        append(&mut chunk, Kind::Head, &json(head));
        seal(&mut chunk, 0);
        file.write_all(&chunk).map_err(WriteError::Beginning)?;
        let written = (HEADER + chunk.len()) as u64;
        let (full, chunks) = sync_channel::<Vec<u8>>(WAITING);
        let (give_back, empty) = sync_channel(WAITING);
        let file = thread::Builder::new()
            .name("recording".to_owned())
            .spawn(move || write(file, written, &chunks, &give_back))
            .map_err(WriteError::Thread)?;
        chunk.truncate(HEADER);
        Ok(Self {
            chunk,
            full,
            empty,
            file,
            records: 0,
            dropped: 0,
            failed: false,
            handed_over: KernelTime(head.start_time_boot_nano),
            told: HashMap::new(),
        })
    }

    /// Whether writing has failed; [`Self::finish`] says why.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Records so far that found the buffer full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A record, as a ring held it.
    pub fn record(&mut self, record: &[u8]) {
        self.record_as(Kind::Record, record);
    }

    /// A record for which the filters refused its connection: what it carried is left out.
    pub fn refused(&mut self, record: &[u8]) {
        match record.first_chunk::<{ size_of::<DataRecord>() }>() {
            Some(data) if data.first() == Some(&kind::DATA) => {
                self.record_as(Kind::Refused, &without_payload(*data));
            }
            _ => self.record_as(Kind::Refused, record),
        }
    }

    fn record_as(&mut self, kind: Kind, record: &[u8]) {
        if self.event(kind, record, CHUNK_FULL) {
            self.records += 1;
        } else {
            self.dropped += 1;
        }
    }

    /// A process occurs, and this is who it is.
    pub fn process(&mut self, pid: u32, resource: &Arc<Resource>) {
        let known = self.told.get(&pid);
        if known.is_some_and(|known| Arc::ptr_eq(known, resource) || known == resource) {
            return;
        }
        if self.told.len() >= PROCESSES {
            self.told.clear();
        }
        if self.event(
            Kind::Process,
            &json(&Process::new(pid, resource)),
            CHUNK_LIMIT,
        ) {
            self.told.insert(pid, Arc::clone(resource));
        }
    }

    /// All records that were there have been read.
    pub fn pass(&mut self, now: KernelTime, offset: WallOffset) {
        self.event(Kind::Pass, &times(now, offset), CHUNK_LIMIT);
        if now.since(self.handed_over) >= CHUNK_AGE {
            self.handed_over = now;
            self.hand_over();
        }
    }

    /// The kernel's counters now.
    pub fn totals(&mut self, totals: &Totals) {
        self.event(Kind::Totals, &json(totals), CHUNK_LIMIT);
    }

    /// Ends the recording, and waits until the file has it.
    ///
    /// # Errors
    ///
    /// When the file could not take everything.
    pub fn finish(mut self, now: KernelTime, offset: WallOffset) -> Result<Written, WriteError> {
        append(&mut self.chunk, Kind::End, &times(now, offset));
        // Where the thread has given up, it says why.
        let _ = self.full.send(self.chunk);
        drop(self.full);
        let bytes = self.file.join().map_err(|_| WriteError::Panicked)??;
        Ok(Written {
            records: self.records,
            dropped: self.dropped,
            bytes,
        })
    }

    /// Adds an event where the chunk stays within `limit`. Gives false where it does not, because
    /// the file does not keep up.
    fn event(&mut self, kind: Kind, body: &[u8], limit: usize) -> bool {
        let size = EVENT_HEADER + body.len().next_multiple_of(ALIGNMENT);
        if self.chunk.len() + size > CHUNK_FULL {
            self.hand_over();
        }
        // The end of the recording always finds room.
        let fits = self.chunk.len() + size <= limit - ALIGNMENT * EVENT_HEADER;
        if fits {
            append(&mut self.chunk, kind, body);
        }
        fits
    }

    /// Hands the chunk over, if there is something in it and the file keeps up.
    fn hand_over(&mut self) {
        if self.chunk.len() <= HEADER || self.failed {
            return;
        }
        let next = self.empty.try_recv().unwrap_or_else(|_| vec![0; HEADER]);
        match self.full.try_send(std::mem::replace(&mut self.chunk, next)) {
            Ok(()) => {}
            Err(TrySendError::Full(chunk)) => self.chunk = chunk,
            Err(TrySendError::Disconnected(chunk)) => {
                self.chunk = chunk;
                self.failed = true;
            }
        }
    }
}

/// The file's thread. Gives the bytes that it has written.
fn write(
    mut file: impl Write,
    mut written: u64,
    chunks: &Receiver<Vec<u8>>,
    give_back: &SyncSender<Vec<u8>>,
) -> Result<u64, WriteError> {
    for (number, mut chunk) in (1..).zip(chunks) {
        seal(&mut chunk, number);
        file.write_all(&chunk)
            .map_err(|source| WriteError::Io { written, source })?;
        written += chunk.len() as u64;
        chunk.truncate(HEADER);
        // One too many is dropped.
        let _ = give_back.try_send(chunk);
    }
    file.flush()
        .map_err(|source| WriteError::Io { written, source })?;
    Ok(written)
}

/// Fills a chunk's header in.
fn seal(chunk: &mut [u8], number: u32) {
    if let Some((header, events)) = chunk.split_first_chunk_mut::<HEADER>() {
        *header = ChunkHeader::of(events, number).to_bytes();
    }
}

/// A data record that carries nothing.
fn without_payload(mut data: [u8; size_of::<DataRecord>()]) -> [u8; size_of::<DataRecord>()] {
    const CAPTURED: usize = offset_of!(DataRecord, captured);
    const TAIL_LENGTH: usize = offset_of!(DataRecord, tail_length);
    const TAIL_BYTES: usize = offset_of!(DataRecord, tail);
    data[CAPTURED..CAPTURED + 4].fill(0);
    data[TAIL_LENGTH..TAIL_LENGTH + 4].fill(0);
    data[TAIL_BYTES..TAIL_BYTES + TAIL].fill(0);
    data
}

fn append(chunk: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    chunk.extend_from_slice(&event_header(kind, body.len()));
    chunk.extend_from_slice(body);
    chunk.resize(chunk.len().next_multiple_of(ALIGNMENT), 0);
}

fn times(now: KernelTime, WallOffset(offset): WallOffset) -> [u8; 16] {
    let mut bytes = [0; 16];
    let (first, second) = bytes.split_at_mut(8);
    first.copy_from_slice(&now.0.to_le_bytes());
    second.copy_from_slice(&offset.to_le_bytes());
    bytes
}

/// Numbers and text: there is nothing in it that JSON cannot say.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
