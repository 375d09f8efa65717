//! Tells HTTP/2 from other bytes, also in the middle of a connection. Knows no connection.

use super::frame::{DEFAULT_MAX_FRAME, END_HEADERS, FrameHeader, HEADER, Kind, LONGEST_FRAME};
use crate::protocol::http1::Likeness;

/// What a client's connection begins with (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether `bytes` can be the beginning of what an HTTP/2 client sends.
#[must_use]
pub fn like_preface(bytes: &[u8]) -> Likeness {
    if bytes.starts_with(PREFACE) {
        Likeness::Yes
    } else if PREFACE.starts_with(bytes) {
        Likeness::Partly
    } else {
        Likeness::No
    }
}

/// Whether `bytes`, the beginning of a call, can begin with a frame: `Yes` when they are a chain
/// of at least two plausible frames, or end exactly where a frame does.
#[must_use]
pub fn like_frames(bytes: &[u8]) -> Likeness {
    let chain = Chain::walk(bytes, DEFAULT_MAX_FRAME);
    match chain.end {
        End::Implausible => Likeness::No,
        End::Exact if chain.frames > 0 => Likeness::Yes,
        _ if chain.frames > 1 => Likeness::Yes,
        _ => Likeness::Partly,
    }
}

/// Whether a call's bytes, of which the first were copied and `uncaptured` were not, are frames
/// from the first byte on: a chain up to the end of what was copied, that ends with the call
/// unless its last frame is DATA. `max` is the longest payload.
pub(super) fn begins_in_step(copied: &[u8], uncaptured: u64, max: u32) -> bool {
    let chain = Chain::walk(copied, max);
    match chain.end {
        End::Implausible => false,
        End::Exact => chain.frames > 0,
        End::InHeader => chain.frames > 0 && uncaptured > 0,
        End::InPayload { kind, missing } => {
            kind == Kind::Data || u64::try_from(missing).is_ok_and(|missing| missing <= uncaptured)
        }
    }
}

/// A frame's header that was all of a call: some programs ask for a header first, and then for as
/// much as it announces.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoneHeader([u8; HEADER]);

impl LoneHeader {
    /// `None` if a call's bytes are not just that.
    pub(super) fn of_call(bytes: &[u8], max: u32) -> Option<Self> {
        let header: [u8; HEADER] = bytes.try_into().ok()?;
        let parsed = FrameHeader::parse(header);
        // A CONTINUATION goes on with something that was not read.
        let is_beginning = parsed.kind != Kind::Continuation && parsed.length > 0;
        (is_beginning && parsed.is_plausible(max)).then_some(Self(header))
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> [u8; HEADER] {
        self.0
    }

    /// The most that a call for the payload moves.
    pub(super) fn payload_length(self) -> u64 {
        FrameHeader::parse(self.0).length.into()
    }
}

/// Where a chain of plausible frames ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Where the bytes end.
    Exact,
    /// The bytes end in a frame's header.
    InHeader,
    /// The bytes end in the payload of a frame.
    InPayload { kind: Kind, missing: usize },
    /// Before the bytes end, at something that is no frame.
    Implausible,
}

/// A chain of plausible frames.
struct Chain {
    /// Headers of frames that were seen.
    frames: usize,
    end: End,
}

impl Chain {
    fn walk(bytes: &[u8], max: u32) -> Self {
        let mut rest = bytes;
        let mut frames = 0;
        // The stream whose header block must go on.
        let mut open = None;
        let end = loop {
            let Some((header, behind)) = rest.split_first_chunk::<HEADER>() else {
                break Self::partial(rest, max, frames);
            };
            let header = FrameHeader::parse(*header);
            // Only the first frame has to prove itself by its length as well.
            let max = if header.kind == Kind::Data && frames > 0 {
                LONGEST_FRAME
            } else {
                max
            };
            let continues = (header.kind == Kind::Continuation).then_some(header.stream);
            if !header.is_plausible(max) || continues != open {
                break End::Implausible;
            }
            open = match header.kind {
                Kind::Headers | Kind::PushPromise | Kind::Continuation
                    if !header.has(END_HEADERS) =>
                {
                    Some(header.stream)
                }
                _ => None,
            };
            frames += 1;
            let length = header.length as usize;
            match behind.get(length..) {
                Some(next) => rest = next,
                None => {
                    break End::InPayload {
                        kind: header.kind,
                        missing: length - behind.len(),
                    };
                }
            }
        };
        Self { frames, end }
    }

    /// The end of a chain behind which there are less bytes than a header has.
    fn partial(rest: &[u8], max: u32, frames: usize) -> End {
        if rest.is_empty() {
            return End::Exact;
        }
        let digit = |place| rest.get(place).copied().unwrap_or_default();
        let length = u32::from_be_bytes([0, digit(0), digit(1), digit(2)]);
        let is_length = frames > 0 || length <= max;
        let is_kind = rest.get(3).is_none_or(|kind| *kind <= 9);
        if is_length && is_kind {
            End::InHeader
        } else {
            End::Implausible
        }
    }
}
