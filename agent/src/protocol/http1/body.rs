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
    /// In the line that says a chunk's size.
    Size { value: u64, read: u32, at: Line },
    /// So many bytes of the chunk are to come.
    Data(u64),
    /// Before the line end behind a chunk; whether its CR was read.
    DataEnd { returned: bool },
    /// In the trailer section.
    Trailer { line: Trailer, read: u32 },
}

/// Place in the line that says a chunk's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// In the digits.
    Digits,
    /// In white space behind them.
    Space,
    /// In the extensions.
    Extension,
    /// Behind the CR.
    Returned,
}

/// Place in a line of the trailer section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trailer {
    /// Before its first byte.
    Start,
    /// Behind a CR that is its first byte.
    Returned,
    /// The line is not the empty one.
    Field,
}

const SIZE: Chunk = Chunk::Size {
    value: 0,
    read: 0,
    at: Line::Digits,
};

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Handover => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(SIZE),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Reads on; how many bytes belonged to the body, and whether it is whole now. `content` gets
    /// what is not framing.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        content: &mut impl FnMut(&[u8]),
    ) -> Result<(usize, bool), Invalid> {
        match self {
            Self::Length(left) => {
                let taken = at_most(*left, bytes.len());
                *left -= taken as u64;
                content(&bytes[..taken]);
                Ok((taken, *left == 0))
            }
            Self::UntilClose => {
                content(bytes);
                Ok((bytes.len(), false))
            }
            Self::Chunked(chunk) => chunk.feed(bytes, content),
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
    fn feed(
        &mut self,
        bytes: &[u8],
        content: &mut impl FnMut(&[u8]),
    ) -> Result<(usize, bool), Invalid> {
        let mut at = 0;
        while at < bytes.len() {
            if let Self::Data(left) = self {
                let taken = at_most(*left, bytes.len() - at);
                *left -= taken as u64;
                content(&bytes[at..at + taken]);
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
            (Self::Size { value, read, at }, byte) => size(value, read, at, byte)?,
            (Self::DataEnd { returned: false }, b'\r') => Self::DataEnd { returned: true },
            (Self::DataEnd { .. }, b'\n') => SIZE,
            (Self::DataEnd { .. } | Self::Data(_), _) => return Err(Invalid::Framing),
            (
                Self::Trailer {
                    line: Trailer::Start | Trailer::Returned,
                    ..
                },
                b'\n',
            ) => return Ok(true),
            (Self::Trailer { line, read }, byte) => Self::Trailer {
                line: match (line, byte) {
                    (_, b'\n') => Trailer::Start,
                    (Trailer::Start, b'\r') => Trailer::Returned,
                    _ => Trailer::Field,
                },
                read: counted(read, MAX_TRAILERS)?,
            },
        };
        Ok(false)
    }
}

/// Reads one byte of the line that says a chunk's size (RFC 9112 section 7.1). A lone LF ends it,
/// but not behind an extension, where recipients differ in what they make of it.
fn size(value: u64, read: u32, at: Line, byte: u8) -> Result<Chunk, Invalid> {
    let (value, at) = match (at, byte) {
        (Line::Digits, byte) if byte.is_ascii_hexdigit() => {
            let digit = char::from(byte).to_digit(16).unwrap_or_default();
            let value = value.checked_mul(16).ok_or(Invalid::Framing)?;
            (value | u64::from(digit), Line::Digits)
        }
        (Line::Digits, _) if read == 0 => return Err(Invalid::Framing),
        (Line::Digits | Line::Space | Line::Returned, b'\n') => {
            return Ok(match value {
                0 => Chunk::Trailer {
                    line: Trailer::Start,
                    read: 0,
                },
                _ => Chunk::Data(value),
            });
        }
        (Line::Digits | Line::Space | Line::Extension, b'\r') => (value, Line::Returned),
        (Line::Digits | Line::Space, b' ' | b'\t') => (value, Line::Space),
        (Line::Digits | Line::Space, b';') => (value, Line::Extension),
        (Line::Extension, byte) if byte == b'\t' || !byte.is_ascii_control() => {
            (value, Line::Extension)
        }
        _ => return Err(Invalid::Framing),
    };
    Ok(Chunk::Size {
        value,
        read: counted(read, MAX_SIZE_LINE)?,
        at,
    })
}

fn counted(read: u32, limit: u32) -> Result<u32, Invalid> {
    if read >= limit {
        return Err(Invalid::TooLong);
    }
    Ok(read + 1)
}
