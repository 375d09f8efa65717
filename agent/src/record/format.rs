//! The layout of a recording: headers and checksums. Knows no files and no meanings.

use crc32fast::hash;

const _: () = assert!(
    cfg!(target_endian = "little"),
    "the kernel's records are taken as they are, and are little-endian in a recording"
);

/// The first bytes of a recording.
const MAGIC: [u8; 8] = *b"wirespan";
/// The only version there is so far.
pub(super) const VERSION: u32 = 1;

/// Bytes of the file's and of each chunk's header.
pub(super) const HEADER: usize = 16;
/// Bytes before the body of an event.
pub(super) const EVENT_HEADER: usize = 8;
/// Bytes of events in a chunk at most: what a reader must hold.
pub(super) const CHUNK_LIMIT: usize = 1 << 20;
/// Everything begins at a multiple of this.
pub(super) const ALIGNMENT: usize = 8;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Head = 1,
    Record = 2,
    Refused = 3,
    Process = 4,
    Pass = 5,
    Totals = 6,
    End = 7,
}

impl Kind {
    pub(super) fn of(number: u8) -> Option<Self> {
        [
            Self::Head,
            Self::Record,
            Self::Refused,
            Self::Process,
            Self::Pass,
            Self::Totals,
            Self::End,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == number)
    }
}

/// Whether a file that begins with these bytes is a recording, of whatever version.
#[must_use]
pub fn is_recording(beginning: &[u8]) -> bool {
    beginning.starts_with(&MAGIC)
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Foreign,
    Damaged,
    Version(u32),
}

/// The file's header.
pub(super) fn file_header() -> [u8; HEADER] {
    let [m0, m1, m2, m3, m4, m5, m6, m7] = MAGIC;
    let first = u32::from_le_bytes([m0, m1, m2, m3]);
    let second = u32::from_le_bytes([m4, m5, m6, m7]);
    sealed([first, second, VERSION])
}

pub(super) fn check_file_header(bytes: &[u8; HEADER]) -> Result<(), HeaderError> {
    if !is_recording(bytes) {
        return Err(HeaderError::Foreign);
    }
    match opened(bytes) {
        None => Err(HeaderError::Damaged),
        Some([_, _, VERSION]) => Ok(()),
        Some([_, _, version]) => Err(HeaderError::Version(version)),
    }
}

/// A chunk's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkHeader {
    pub(super) length: u32,
    pub(super) number: u32,
    pub(super) checksum: u32,
}

impl ChunkHeader {
    /// Of a chunk with these events.
    pub(super) fn of(events: &[u8], number: u32) -> Self {
        Self {
            length: u32::try_from(events.len()).unwrap_or(u32::MAX),
            number,
            checksum: hash(events),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        sealed([self.length, self.number, self.checksum])
    }

    /// `None` where it is damaged.
    pub(super) fn from_bytes(bytes: &[u8; HEADER]) -> Option<Self> {
        let [length, number, checksum] = opened(bytes)?;
        Some(Self {
            length,
            number,
            checksum,
        })
    }
}

/// The header of an event with a body of this length, which must fit into a chunk.
pub(super) fn event_header(kind: Kind, length: usize) -> [u8; EVENT_HEADER] {
    let [l0, l1, l2, l3] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    [kind as u8, 0, 0, 0, l0, l1, l2, l3]
}

/// The number of an event's kind and its body, and what follows; `None` where the events end
/// within it.
pub(super) fn split_event(events: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&[kind, _, _, _, l0, l1, l2, l3], rest) = events.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?;
    let body = rest.get(..length)?;
    let whole = EVENT_HEADER + length.checked_next_multiple_of(ALIGNMENT)?;
    (whole <= events.len()).then_some((kind, body, whole))
}

/// Three numbers and their checksum.
fn sealed(numbers: [u32; 3]) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let words = bytes.chunks_exact_mut(4);
    for (place, number) in words.zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    let checksum = hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Whether a checksum is the one of these bytes. No fuzzer finds checksums, so it is spared them.
pub(super) fn matches(checksum: u32, bytes: &[u8]) -> bool {
    cfg!(fuzzing) || checksum == hash(bytes)
}

fn opened(bytes: &[u8; HEADER]) -> Option<[u32; 3]> {
    let mut words = bytes.as_chunks().0.iter().copied().map(u32::from_le_bytes);
    let numbers = [words.next()?, words.next()?, words.next()?];
    matches(words.next()?, &bytes[..12]).then_some(numbers)
}
