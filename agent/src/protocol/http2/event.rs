//! What reading frames comes to. Knows nothing of how they are read.

use super::{frame::Invalid, header_block::HeaderBlock};

/// What reading on came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes that were read.
    pub consumed: usize,
    /// What they came to.
    pub event: Event,
}

/// What passing over bytes that were never copied came to.
#[derive(Debug, PartialEq, Eq)]
pub struct SkipStep {
    /// Bytes that were passed over; none when what happened is that they are missing.
    pub consumed: u64,
    /// What they came to.
    pub event: Event,
}

/// What happened at the last byte that was read or passed over.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing yet, and more bytes are needed.
    Partial,
    /// A header block or trailer section is whole, or cut.
    Headers(Headers),
    /// A promise of a pushed response is whole, or cut.
    PushPromise(PushPromise),
    /// A part of a DATA frame's content, which is never empty unless it ends the stream. When
    /// read, it is the last `content` of the consumed bytes; when passed over, all of them.
    Data {
        /// Its stream.
        stream: u32,
        /// Bytes of content, without padding.
        content: u64,
        /// Whether the sender's side of the stream ends here.
        end_stream: bool,
    },
    /// DATA of which it is not known how much is padding, because that byte was never copied.
    /// What its stream's content comes to is no longer known.
    Unmeasured {
        /// Its stream.
        stream: u32,
        /// Whether the sender's side of the stream ends here.
        end_stream: bool,
    },
    /// `RST_STREAM`
    RstStream {
        /// Its stream.
        stream: u32,
        /// The error code, `None` when it was never copied.
        code: Option<u32>,
    },
    /// `GOAWAY`
    GoAway {
        /// The last of the receiver's streams that the sender may have acted on.
        last_stream: u32,
        /// The error code.
        code: u32,
    },
    /// `SETTINGS`
    Settings(Settings),
    /// Bytes that were never copied had frames' headers in them. All of them were passed over; the
    /// reader is out of step, and which streams they were about is not known.
    Lost,
    /// These bytes are not HTTP/2. The reader is out of step.
    Invalid(Invalid),
}

/// `HEADERS` with its `CONTINUATION`.
#[derive(Debug, PartialEq, Eq)]
pub struct Headers {
    /// Its stream.
    pub stream: u32,
    /// Whether the sender's side of the stream ends here.
    pub end_stream: bool,
    /// The fields.
    pub head: HeaderBlock,
    /// Bytes on the wire from the frame's first one up to and including the last one that was
    /// consumed.
    pub length: u64,
}

/// `PUSH_PROMISE` with its `CONTINUATION`.
#[derive(Debug, PartialEq, Eq)]
pub struct PushPromise {
    /// The stream on which it came.
    pub stream: u32,
    /// The stream that will have the response.
    pub promised: u32,
    /// The fields of the request that the response will answer.
    pub head: HeaderBlock,
    /// Bytes on the wire from the frame's first one up to and including the last one that was
    /// consumed.
    pub length: u64,
}

/// What `SETTINGS` say, as far as someone needs it (RFC 9113 section 6.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether it confirms the peer's settings, and has none of its own.
    pub ack: bool,
    /// `SETTINGS_HEADER_TABLE_SIZE` in bytes: the other direction's dynamic table may be so large.
    pub header_table_size: Option<u32>,
    /// `SETTINGS_MAX_FRAME_SIZE` in bytes: for [`allow_frame_size`] of the other direction.
    ///
    /// [`allow_frame_size`]: super::FrameReader::allow_frame_size
    pub max_frame_size: Option<u32>,
}

impl Settings {
    pub(super) fn set(&mut self, id: u16, value: u32) {
        match id {
            1 => self.header_table_size = Some(value),
            5 => self.max_frame_size = Some(value),
            _ => {}
        }
    }
}
