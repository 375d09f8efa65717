//! Frame headers (RFC 6455 section 5.2). Knows no payload.

/// Longest header: two bytes, a length of 64 bits and a mask.
pub(super) const LONGEST: usize = 14;

/// Longest payload of a control frame (section 5.5).
const MAX_CONTROL: u64 = 125;

/// Who sends a direction's frames. Only clients mask them (section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Why bytes are not `WebSocket` frames. What follows them cannot be found until the reader is in
/// step again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A type or a bit that has no meaning.
    #[error("a WebSocket frame has a type that does not exist")]
    Type,
    /// A control frame that is long or is a fragment.
    #[error("a WebSocket control frame is longer than it may be, or in parts")]
    Control,
    /// A length that is not told in the shortest way, or has more than 63 bits.
    #[error("a WebSocket frame has a length that is not allowed")]
    Length,
    /// A client's frame that is not masked, or a server's that is.
    #[error("a WebSocket frame is masked by a server, or not masked by a client")]
    Mask,
    /// A fragment that continues nothing, or a message within another one.
    #[error("the fragments of a WebSocket message are not contiguous")]
    Fragment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Continuation,
    /// Text or binary.
    Message,
    Close,
    /// Ping or pong.
    Probe,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) is_final: bool,
    pub(super) length: u64,
    /// Zero where there is none.
    pub(super) mask: [u8; 4],
}

impl Header {
    /// How long a header is that begins with these two bytes.
    pub(super) fn length([_, second]: [u8; 2]) -> usize {
        let mask = usize::from(second >> 7) * 4;
        mask + match second & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        }
    }

    /// Parses a whole header.
    pub(super) fn parse(bytes: &[u8], sender: Sender) -> Result<Self, Invalid> {
        let ([first, second], rest) = bytes.split_first_chunk().ok_or(Invalid::Length)?;
        let kind = match first & 0x0f {
            0 => Kind::Continuation,
            1 | 2 => Kind::Message,
            8 => Kind::Close,
            9 | 10 => Kind::Probe,
            _ => return Err(Invalid::Type),
        };
        // Of the reserved bits only the first has a meaning, in the first frame of a message:
        // compression (RFC 7692 section 6).
        if first & 0x30 != 0 || (first & 0x40 != 0 && kind != Kind::Message) {
            return Err(Invalid::Type);
        }
        let (length, rest) = match (second & 0x7f, rest) {
            (126, [l0, l1, rest @ ..]) => (u64::from(u16::from_be_bytes([*l0, *l1])), rest),
            (127, rest) => {
                let (length, rest) = rest.split_first_chunk().ok_or(Invalid::Length)?;
                (u64::from_be_bytes(*length), rest)
            }
            (length, rest) => (u64::from(length), rest),
        };
        let shortest = match second & 0x7f {
            126 => 126,
            127 => 1 << 16,
            _ => 0,
        };
        if length < shortest || length > i64::MAX as u64 {
            return Err(Invalid::Length);
        }
        let is_final = first & 0x80 != 0;
        if matches!(kind, Kind::Close | Kind::Probe) && (length > MAX_CONTROL || !is_final) {
            return Err(Invalid::Control);
        }
        if (second & 0x80 != 0) != (sender == Sender::Client) {
            return Err(Invalid::Mask);
        }
        Ok(Self {
            kind,
            is_final,
            length,
            mask: rest.first_chunk().copied().unwrap_or_default(),
        })
    }
}
