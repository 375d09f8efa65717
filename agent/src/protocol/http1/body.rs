//! Where a body ends (RFC 9112 sections 6 and 7). Looks at chunk sizes, never at content.

use super::message::Invalid;

/// Longest size line of a chunk, extensions included.
const MAX_SIZE_LINE: u32 = 16 * 1024;

/// Longest trailer section.
const MAX_TRAILERS: u32 = 64 * 1024;

/// How a body's length is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    None,
    /// `Content-Length`
    Length(u64),
    /// `Transfer-Encoding: chunked`
    Chunked,
    /// All until the sender closes.
    UntilClose,
    /// The connection is no longer HTTP.
    Handover,
}

/// A body of which a part was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// All until the sender closes.
    UntilClose,
}

/// Place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the digits of a size.
    Size { value: u64, read: u32 },
    /// Behind the digits, before the line's end.
    SizeEnd { value: u64, read: u32 },
    /// So many bytes of the chunk are to come.
    Data(u64),
    /// Before the line end behind a chunk; whether its CR was read.
    DataEnd { returned: bool },
    /// In the trailer section; whether this line is empty so far.
    Trailer { empty: bool, read: u32 },
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Handover => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunk::Size { value: 0, read: 0 }),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Reads on; how many bytes belonged to the body, and whether it is whole now.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(usize, bool), Invalid> {
        match self {
            Self::Length(left) => {
                let taken = at_most(*left, bytes.len());
                *left -= taken as u64;
                Ok((taken, *left == 0))
            }
            Self::UntilClose => Ok((bytes.len(), false)),
            Self::Chunked(chunk) => chunk.feed(bytes),
        }
    }

    /// Passes over bytes that were never copied; how many belonged to the body, and whether it is
    /// whole now. `None` when the body's end can no longer be found.
    pub(super) fn skip(&mut self, count: u64) -> Option<(u64, bool)> {
        match self {
            Self::Length(left) => {
                let taken = count.min(*left);
                *left -= taken;
                Some((taken, *left == 0))
            }
            Self::UntilClose => Some((count, false)),
            Self::Chunked(Chunk::Data(left)) if count <= *left => {
                *left -= count;
                if *left == 0 {
                    *self = Self::Chunked(Chunk::DataEnd { returned: false });
                }
                Some((count, false))
            }
            Self::Chunked(_) => (count == 0).then_some((0, false)),
        }
    }
}

fn at_most(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}

impl Chunk {
    fn feed(&mut self, bytes: &[u8]) -> Result<(usize, bool), Invalid> {
        let mut at = 0;
        while at < bytes.len() {
            if let Self::Data(left) = self {
                let taken = at_most(*left, bytes.len() - at);
                *left -= taken as u64;
                at += taken;
                if *left == 0 {
                    *self = Self::DataEnd { returned: false };
                }
                continue;
            }
            let done = self.step(bytes[at])?;
            at += 1;
            if done {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    /// Reads one byte that is not content; whether the body is whole now.
    fn step(&mut self, byte: u8) -> Result<bool, Invalid> {
        *self = match (*self, byte) {
            (Self::Size { read: 0, .. }, byte) if !byte.is_ascii_hexdigit() => {
                return Err(Invalid::Framing);
            }
            (Self::Size { value, .. } | Self::SizeEnd { value, .. }, b'\n') => match value {
                0 => Self::Trailer {
                    empty: true,
                    read: 0,
                },
                _ => Self::Data(value),
            },
            (Self::Size { value, read }, byte) => match char::from(byte).to_digit(16) {
                Some(digit) => Self::Size {
                    value: value
                        .checked_mul(16)
                        .ok_or(Invalid::Framing)?
                        .saturating_add(u64::from(digit)),
                    read: counted(read, MAX_SIZE_LINE)?,
                },
                None if matches!(byte, b'\r' | b';' | b' ' | b'\t') => {
                    Self::SizeEnd { value, read }
                }
                None => return Err(Invalid::Framing),
            },
            (Self::SizeEnd { value, read }, _) => Self::SizeEnd {
                value,
                read: counted(read, MAX_SIZE_LINE)?,
            },
            (Self::DataEnd { returned: false }, b'\r') => Self::DataEnd { returned: true },
            (Self::DataEnd { .. }, b'\n') => Self::Size { value: 0, read: 0 },
            (Self::DataEnd { .. } | Self::Data(_), _) => return Err(Invalid::Framing),
            (Self::Trailer { empty: true, .. }, b'\n') => return Ok(true),
            (Self::Trailer { read, empty }, _) => Self::Trailer {
                empty: byte == b'\n' || (empty && byte == b'\r'),
                read: counted(read, MAX_TRAILERS)?,
            },
        };
        Ok(false)
    }
}

fn counted(read: u32, limit: u32) -> Result<u32, Invalid> {
    if read >= limit {
        return Err(Invalid::TooLong);
    }
    Ok(read + 1)
}
