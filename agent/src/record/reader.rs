//! Reads a recording, chunk by chunk. Memory is bounded by one chunk, whatever the file says.

use std::io::{ErrorKind, Read};

use serde::Deserialize;
use wirespan_ebpf::ABI_VERSION;
use zerocopy::IntoBytes as _;

use super::{
    error::{Damage, ReadError},
    format::{self, ALIGNMENT, CHUNK_LIMIT, ChunkHeader, HEADER, HeaderError, Kind, split_event},
    meta::{Head, Process, Totals},
};
use crate::{
    clock::{KernelTime, WallOffset},
    span::model::Resource,
    stream::record::Record,
};

/// What happened next.
#[derive(Debug)]
pub enum Event<'a> {
    /// A record came.
    Record(Record<'a>),
    /// A record came whose connection the filters leave out.
    Refused(Record<'a>),
    /// From now on this is who a process is.
    Process(u32, Resource),
    /// The agent had read all records that came before.
    Pass(KernelTime, WallOffset),
    /// Totals so far.
    Totals(Totals),
    /// The recording ends.
    End(KernelTime, WallOffset),
}

/// A recording that is read.
pub struct Reader<R> {
    chunks: Chunks<R>,
    head: Head,
    chunk: Chunk,
    ended: bool,
}

/// What every version of the head has.
#[derive(Deserialize)]
struct Version {
    agent_version: String,
    abi_version: u32,
}

impl<R: Read> Reader<R> {
    /// Reads the beginning of a recording.
    ///
    /// # Errors
    ///
    /// When it is none, or none that this agent can read.
    pub fn open(mut source: R) -> Result<Self, ReadError> {
        let mut header = [0; HEADER];
        let read = fill(&mut source, &mut header, 0)?;
        let begins = header.get(..read).unwrap_or_default();
        if read < HEADER && format::is_recording(begins) {
            let offset = read as u64;
            return Err(ReadError::Cut { offset });
        }
        format::check_file_header(&header).map_err(|error| match error {
            HeaderError::Foreign => ReadError::Foreign,
            HeaderError::Version(found) => ReadError::Version { found },
            HeaderError::Damaged => ReadError::Damaged {
                offset: 0,
                damage: Damage::FileHeader,
            },
        })?;
        let mut chunks = Chunks {
            source,
            offset: HEADER as u64,
            number: 0,
        };
        let mut chunk = Chunk::default();
        if !chunks.next(&mut chunk)? {
            let offset = chunks.offset;
            return Err(ReadError::Cut { offset });
        }
        let head = chunk.head()?;
        Ok(Self {
            chunks,
            head,
            chunk,
            ended: false,
        })
    }

    /// What the recording is of.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next event; `None` after the last one, which is [`Event::End`].
    ///
    /// # Errors
    ///
    /// When the recording is damaged or ends too early. What came before is as it was recorded.
    pub fn read(&mut self) -> Result<Option<Event<'_>>, ReadError> {
        while self.chunk.is_empty() {
            match (self.chunks.next(&mut self.chunk)?, self.ended) {
                (true, false) => {}
                (false, true) => return Ok(None),
                (true, true) => return Err(self.chunk.damaged(Damage::Trailing)),
                (false, false) => {
                    let offset = self.chunks.offset;
                    return Err(ReadError::Cut { offset });
                }
            }
        }
        if self.ended {
            return Err(self.chunk.damaged(Damage::Trailing));
        }
        let event = self.chunk.event()?;
        self.ended = matches!(event, Event::End(..));
        Ok(Some(event))
    }
}

/// The chunks of a file.
struct Chunks<R> {
    source: R,
    /// Bytes that were read.
    offset: u64,
    /// Number of the next one.
    number: u32,
}

impl<R: Read> Chunks<R> {
    /// Reads the next chunk. Gives false where the file ends before it.
    fn next(&mut self, chunk: &mut Chunk) -> Result<bool, ReadError> {
        let offset = self.offset;
        let damaged = |damage| Err(ReadError::Damaged { offset, damage });
        let mut header = [0; HEADER];
        match self.fill(&mut header)? {
            0 => return Ok(false),
            HEADER => {}
            read => {
                let offset = offset + read as u64;
                return Err(ReadError::Cut { offset });
            }
        }
        let Some(header) = ChunkHeader::from_bytes(&header) else {
            return damaged(Damage::ChunkHeader);
        };
        if header.number != self.number {
            return damaged(Damage::Order {
                found: header.number,
                expected: self.number,
            });
        }
        let length = usize::try_from(header.length)
            .ok()
            .filter(|length| *length <= CHUNK_LIMIT && length.is_multiple_of(ALIGNMENT));
        let Some(length) = length else {
            return damaged(Damage::Length(header.length));
        };
        chunk.begin(offset, length);
        let read = self.fill(chunk.events.as_mut_bytes())?;
        if read < length {
            let offset = self.offset;
            return Err(ReadError::Cut { offset });
        }
        if !format::matches(header.checksum, chunk.events.as_bytes()) {
            return damaged(Damage::Events);
        }
        self.number = self.number.wrapping_add(1);
        Ok(true)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let read = fill(&mut self.source, buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(source: &mut impl Read, buffer: &mut [u8], offset: u64) -> Result<usize, ReadError> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                let offset = offset + read as u64;
                return Err(ReadError::Io { offset, source });
            }
        }
    }
    Ok(read)
}

/// One chunk in memory.
#[derive(Default)]
struct Chunk {
    /// Where it begins in the file.
    offset: u64,
    /// In units of their alignment.
    events: Vec<u64>,
    /// Where the next event begins.
    at: usize,
}

impl Chunk {
    fn begin(&mut self, offset: u64, length: usize) {
        self.offset = offset;
        self.events.resize(length / ALIGNMENT, 0);
        self.at = 0;
    }

    fn is_empty(&self) -> bool {
        self.at >= self.events.as_bytes().len()
    }

    /// Something is wrong with the event that comes next.
    fn damaged(&self, damage: Damage) -> ReadError {
        ReadError::Damaged {
            offset: self.offset + (HEADER + self.at) as u64,
            damage,
        }
    }

    fn head(&mut self) -> Result<Head, ReadError> {
        let (number, body, whole) =
            split_event(self.events.as_bytes()).ok_or_else(|| self.damaged(Damage::EventLength))?;
        if Kind::of(number) != Some(Kind::Head) {
            return Err(self.damaged(Damage::EventOrder));
        }
        let unreadable = |error| self.damaged(Damage::Description(error));
        let version: Version = serde_json::from_slice(body).map_err(unreadable)?;
        if version.abi_version != ABI_VERSION {
            return Err(ReadError::Abi {
                found: version.abi_version,
                agent: version.agent_version,
            });
        }
        let head = serde_json::from_slice(body).map_err(unreadable)?;
        self.at = whole;
        Ok(head)
    }

    fn event(&mut self) -> Result<Event<'_>, ReadError> {
        let offset = self.offset + (HEADER + self.at) as u64;
        let damaged = |damage| ReadError::Damaged { offset, damage };
        let events = self.events.as_bytes().get(self.at..).unwrap_or_default();
        let (number, body, whole) =
            split_event(events).ok_or_else(|| damaged(Damage::EventLength))?;
        self.at += whole;
        decode(number, body).map_err(damaged)
    }
}

fn decode(number: u8, body: &[u8]) -> Result<Event<'_>, Damage> {
    let record = || Record::decode(body).map_err(Damage::Record);
    Ok(match Kind::of(number).ok_or(Damage::EventKind(number))? {
        Kind::Head => return Err(Damage::EventOrder),
        Kind::Record => Event::Record(record()?),
        Kind::Refused => Event::Refused(record()?),
        Kind::Process => {
            let process: Process = serde_json::from_slice(body).map_err(Damage::Description)?;
            Event::Process(process.pid, process.resource())
        }
        Kind::Pass => {
            let (now, offset) = times(body)?;
            Event::Pass(now, offset)
        }
        Kind::Totals => Event::Totals(serde_json::from_slice(body).map_err(Damage::Description)?),
        Kind::End => {
            let (now, offset) = times(body)?;
            Event::End(now, offset)
        }
    })
}

fn times(body: &[u8]) -> Result<(KernelTime, WallOffset), Damage> {
    let (now, rest) = body.split_first_chunk().ok_or(Damage::Numbers)?;
    let offset = rest.try_into().map_err(|_| Damage::Numbers)?;
    Ok((
        KernelTime(u64::from_le_bytes(*now)),
        WallOffset(i64::from_le_bytes(offset)),
    ))
}
