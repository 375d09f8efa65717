//! Frame headers (RFC 9113 sections 4.1 and 6) and what is allowed in them. Knows no payload.

/// Length of a frame's header.
pub(super) const HEADER: usize = 9;

/// Longest payload until the receiver's settings allow more (RFC 9113 section 6.5.2).
pub(super) const DEFAULT_MAX_FRAME: u32 = 16 * 1024;

/// Longest payload that a frame's header can tell.
pub(super) const LONGEST_FRAME: u32 = (1 << 24) - 1;

pub(super) const END_STREAM: u8 = 0x01;
pub(super) const ACK: u8 = 0x01;
pub(super) const END_HEADERS: u8 = 0x04;
pub(super) const PADDED: u8 = 0x08;
pub(super) const PRIORITY: u8 = 0x20;

/// Why bytes are not HTTP/2. What follows them cannot be found until the reader is in step again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The connection does not begin with the preface.
    #[error("the connection does not begin with the HTTP/2 preface")]
    Preface,
    /// A frame has a length that its type or the receiver's settings do not allow.
    #[error("an HTTP/2 frame has a length that is not allowed")]
    Length,
    /// A frame has a stream where its type has none, or none where it has one.
    #[error("an HTTP/2 frame is on a stream where it must not be")]
    Stream,
    /// A frame's padding is longer than its payload.
    #[error("an HTTP/2 frame's padding is longer than the frame")]
    Padding,
    /// A header block is not continued, or there is none to continue.
    #[error("an HTTP/2 header block is not contiguous")]
    Continuation,
}

/// Type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// An extension's.
    Other,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) length: u32,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// The bit that senders leave unset and receivers do not look at.
    reserved: bool,
}

impl FrameHeader {
    pub(super) fn parse(bytes: [u8; HEADER]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::RstStream,
            4 => Kind::Settings,
            5 => Kind::PushPromise,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            _ => Kind::Other,
        };
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
            reserved: s0 & 0x80 != 0,
        }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether the RFC allows this frame, up to `max` bytes long.
    pub(super) fn check(&self, max: u32) -> Result<(), Invalid> {
        let is_length = self.length <= max
            && match self.kind {
                Kind::Priority => self.length == 5,
                Kind::RstStream | Kind::WindowUpdate => self.length == 4,
                Kind::Ping => self.length == 8,
                Kind::GoAway => self.length >= 8,
                Kind::Settings if self.has(ACK) => self.length == 0,
                Kind::Settings => self.length.is_multiple_of(6),
                _ => true,
            };
        if !is_length {
            return Err(Invalid::Length);
        }
        let is_stream = match self.kind {
            Kind::Settings | Kind::Ping | Kind::GoAway => self.stream == 0,
            Kind::WindowUpdate | Kind::Other => true,
            _ => self.stream != 0,
        };
        if is_stream {
            Ok(())
        } else {
            Err(Invalid::Stream)
        }
    }

    /// Whether a sender that follows the RFC writes such a header: no bit set that has no
    /// meaning, and a length that has one. Tells frames from other bytes.
    pub(super) fn is_plausible(&self, max: u32) -> bool {
        let (flags, shortest) = match self.kind {
            Kind::Data => (END_STREAM | PADDED, 0),
            Kind::Headers => (END_STREAM | END_HEADERS | PADDED | PRIORITY, 1),
            Kind::PushPromise => (END_HEADERS | PADDED, 5),
            Kind::Settings | Kind::Ping => (ACK, 0),
            Kind::Continuation => (END_HEADERS, 0),
            Kind::Priority | Kind::RstStream | Kind::GoAway | Kind::WindowUpdate => (0, 0),
            Kind::Other => return false,
        };
        let shortest = shortest
            + u32::from(self.has(PADDED)) * u32::from(flags & PADDED != 0)
            + 5 * u32::from(self.has(PRIORITY)) * u32::from(flags & PRIORITY != 0);
        !self.reserved
            && self.flags & !flags == 0
            && self.length >= shortest
            && self.check(max).is_ok()
    }
}
