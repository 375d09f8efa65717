//! Why a recording cannot be read, or not any further. Knows what is wrong, not how it was found.

use std::{fmt, io};

use wirespan_ebpf::ABI_VERSION;

use super::format::VERSION;
use crate::stream::record::RecordError;

/// Why there is no next event.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It begins with something else.
    #[error("it is not a recording of wirespan")]
    Foreign,
    /// A later format.
    #[error(
        "it has version {found} of the format, and this wirespan reads version {VERSION}: replay it \
         with the wirespan that recorded it"
    )]
    Version {
        /// The file's.
        found: u32,
    },
    /// Records of another kernel object.
    #[error(
        "its kernel records have ABI version {found} (it was recorded by wirespan {agent}), and this \
         wirespan reads version {ABI_VERSION}: replay it with the wirespan that recorded it"
    )]
    Abi {
        /// The file's.
        found: u32,
        /// Version of the agent that recorded it.
        agent: String,
    },
    /// The system cannot read it.
    #[error("reading failed at byte {offset}")]
    Io {
        /// Bytes that were read before.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It ends in the middle, as when its writer was killed.
    #[error("it was cut: it ends at byte {offset}, without its last event")]
    Cut {
        /// Its length.
        offset: u64,
    },
    /// It is not what was written.
    #[error("it is damaged at byte {offset}: {damage}")]
    Damaged {
        /// Where the part that is damaged begins.
        offset: u64,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// What is wrong with a recording.
#[derive(Debug)]
pub enum Damage {
    /// The file's header does not match its checksum.
    FileHeader,
    /// A chunk's header does not match its checksum.
    ChunkHeader,
    /// A chunk's events do not match their checksum.
    Events,
    /// A chunk does not follow the one before it.
    Order {
        /// Its number.
        found: u32,
        /// The number that follows.
        expected: u32,
    },
    /// A chunk of a length that is not written.
    Length(u32),
    /// An event is longer than its chunk.
    EventLength,
    /// No such event.
    EventKind(u8),
    /// An event where it does not belong.
    EventOrder,
    /// A record that is none.
    Record(RecordError),
    /// A description that is none.
    Description(serde_json::Error),
    /// Numbers that are too few or too many.
    Numbers,
    /// Something follows the end.
    Trailing,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileHeader => write!(f, "the file's header does not match its checksum"),
            Self::ChunkHeader => write!(f, "a chunk's header does not match its checksum"),
            Self::Events => write!(f, "the events of a chunk do not match their checksum"),
            Self::Order { found, expected } => {
                write!(f, "chunk {found} is where chunk {expected} should be")
            }
            Self::Length(length) => write!(f, "a chunk says that it has {length} bytes"),
            Self::EventLength => write!(f, "an event is longer than its chunk"),
            Self::EventKind(kind) => write!(f, "an event is of the unknown kind {kind}"),
            Self::EventOrder => write!(f, "an event is where it does not belong"),
            Self::Record(error) => write!(f, "{error}"),
            Self::Description(error) => write!(f, "a description is not readable: {error}"),
            Self::Numbers => write!(f, "an event has another length than its kind"),
            Self::Trailing => write!(f, "something follows the end of the recording"),
        }
    }
}
