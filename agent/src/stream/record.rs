//! Views of the kernel's records in ring memory. Knows their layout, not their meaning.

use thiserror::Error;
use wirespan_ebpf::records::{
    CloseRecord, DataRecord, ExecRecord, ExitRecord, ForkRecord, OpenRecord, direction, kind,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// One record, in place.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// Bytes were sent or received; the first of them follow.
    Data(&'a DataRecord, &'a [u8]),
    /// A socket was established, or first seen.
    Open(&'a OpenRecord),
    /// A TCP connection was shut down or closed.
    Close(&'a CloseRecord),
    /// A process has a new program.
    Exec(&'a ExecRecord),
    /// A process was created.
    Fork(&'a ForkRecord),
    /// A process has exited.
    Exit(&'a ExitRecord),
}

/// Why bytes are not a record. Only a kernel object of another ABI writes such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Nothing at all.
    #[error("an empty record")]
    Empty,
    /// No such kind.
    #[error("a record of the unknown kind {kind}")]
    Kind {
        /// What stands where the kind should.
        kind: u8,
    },
    /// Too short for its kind, or not aligned to 8 bytes.
    #[error("a record of kind {kind} in {length} bytes, which are too few or not aligned")]
    Layout {
        /// Its kind.
        kind: u8,
        /// Its bytes.
        length: usize,
    },
    /// A data record says that it has more bytes than follow it or than the call moved.
    #[error("a data record says {captured} bytes follow, of {length} moved; {present} do")]
    Payload {
        /// Bytes it says follow.
        captured: u32,
        /// Bytes the call moved.
        length: u32,
        /// Bytes that follow.
        present: usize,
    },
    /// A data record in neither direction.
    #[error("a data record of the unknown direction {direction}")]
    Direction {
        /// What it says.
        direction: u8,
    },
}

impl<'a> Record<'a> {
    /// Reads the record that a ring holds.
    ///
    /// # Errors
    ///
    /// When the bytes are not a record of this ABI.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let kind = *bytes.first().ok_or(RecordError::Empty)?;
        Ok(match kind {
            kind::DATA => {
                let (data, rest) = view::<DataRecord>(kind, bytes)?;
                data_record(data, rest)?
            }
            kind::OPEN => Self::Open(view(kind, bytes)?.0),
            kind::CLOSE => Self::Close(view(kind, bytes)?.0),
            kind::EXEC => Self::Exec(view(kind, bytes)?.0),
            kind::FORK => Self::Fork(view(kind, bytes)?.0),
            kind::EXIT => Self::Exit(view(kind, bytes)?.0),
            kind => return Err(RecordError::Kind { kind }),
        })
    }
}

fn data_record<'a>(data: &'a DataRecord, rest: &'a [u8]) -> Result<Record<'a>, RecordError> {
    if !matches!(data.direction, direction::SEND | direction::RECEIVE) {
        return Err(RecordError::Direction {
            direction: data.direction,
        });
    }
    usize::try_from(data.captured)
        .ok()
        .filter(|_| data.captured <= data.length)
        .and_then(|captured| rest.get(..captured))
        .map(|payload| Record::Data(data, payload))
        .ok_or(RecordError::Payload {
            captured: data.captured,
            length: data.length,
            present: rest.len(),
        })
}

fn view<T: FromBytes + KnownLayout + Immutable>(
    kind: u8,
    bytes: &[u8],
) -> Result<(&T, &[u8]), RecordError> {
    T::ref_from_prefix(bytes).map_err(|_| RecordError::Layout {
        kind,
        length: bytes.len(),
    })
}
