//! A header block that did not come in one piece: its frames' payloads, merged (RFC 9113 section
//! 4.3). Knows no field and no other frame.

use super::frame::{FrameHeader, Invalid, Kind, PADDED, PRIORITY};

/// Longest header block that is read. Of longer ones the beginning is.
pub const MAX_BLOCK: usize = 64 * 1024;

/// The part of a frame's payload that belongs to the header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    start: usize,
    end: usize,
    /// The stream that a `PUSH_PROMISE` promises.
    pub(super) promised: Option<u32>,
}

impl Fragment {
    /// Finds it in the first bytes of a payload, which may be all of them.
    pub(super) fn find(header: &FrameHeader, payload: &[u8]) -> Result<Self, Invalid> {
        let length = header.length as usize;
        let (mut start, mut padding) = (0, 0);
        if header.kind != Kind::Continuation && header.has(PADDED) {
            padding = payload.first().copied().unwrap_or_default().into();
            start = 1;
        }
        let mut promised = None;
        if header.kind == Kind::PushPromise {
            promised = payload
                .get(start..)
                .and_then(<[u8]>::first_chunk)
                .map(|id| u32::from_be_bytes(*id) & 0x7fff_ffff);
            start += 4;
        } else if header.kind == Kind::Headers && header.has(PRIORITY) {
            start += 5;
        }
        match length.checked_sub(padding) {
            Some(end) if start <= end => Ok(Self {
                start,
                end,
                promised,
            }),
            _ => Err(Invalid::Padding),
        }
    }

    /// Its bytes, as far as they are there.
    pub(super) fn of<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        let end = self.end.min(payload.len());
        payload.get(self.start..end).unwrap_or_default()
    }
}

/// A header block of which a part was read.
#[derive(Debug)]
pub(super) struct Pending {
    /// The header of the frame that began it.
    pub(super) first: FrameHeader,
    /// The header of the frame that is being read.
    pub(super) current: FrameHeader,
    /// The fragments so far, then the payload of the current frame as far as it was read.
    bytes: Vec<u8>,
    /// Where the payload of the current frame begins.
    payload: usize,
    /// Bytes on the wire since the first frame's first.
    pub(super) length: u64,
    pub(super) promised: Option<u32>,
}

impl Pending {
    pub(super) fn new(first: FrameHeader) -> Self {
        Self {
            first,
            current: first,
            bytes: Vec::new(),
            payload: 0,
            length: super::frame::HEADER as u64,
            promised: None,
        }
    }

    /// Goes on with the next frame.
    pub(super) fn resume(&mut self, header: FrameHeader) {
        self.current = header;
        self.payload = self.bytes.len();
        self.length += super::frame::HEADER as u64;
    }

    /// How many bytes can still be read.
    pub(super) fn room(&self) -> usize {
        MAX_BLOCK.saturating_sub(self.bytes.len())
    }

    pub(super) fn read(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        self.length += payload.len() as u64;
    }

    /// Leaves only what belongs to the block of the current frame, whose payload ends here or is
    /// cut here.
    pub(super) fn end_frame(&mut self) -> Result<(), Invalid> {
        let payload = self.bytes.get(self.payload..).unwrap_or_default();
        let fragment = Fragment::find(&self.current, payload)?;
        let length = fragment.of(payload).len();
        self.promised = self.promised.or(fragment.promised);
        let start = (self.payload + fragment.start).min(self.bytes.len());
        self.bytes.drain(self.payload..start);
        self.bytes.truncate(self.payload + length);
        Ok(())
    }

    /// The block.
    pub(super) fn block(&self) -> &[u8] {
        &self.bytes
    }
}
