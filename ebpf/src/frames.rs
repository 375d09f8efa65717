//! Frame headers of HTTP/2 (RFC 9113 section 4.1) and `WebSocket` (RFC 6455 section 5.2): where a
//! frame ends, and how much of it is copied to the agent. Knows neither sockets nor memory; the
//! kernel programs walk with it, and the agent can rely on what it promises.

/// Bytes that an HTTP/2 client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Payloads of DATA frames up to this length are copied whole.
pub const DATA_WHOLE: u32 = 1024;
/// Of longer ones the first bytes, so many: a gRPC message's prefix lies in them.
pub const DATA_START: u32 = 16;
/// Payloads of other frames are copied up to this length.
pub const OTHER_WHOLE: u32 = 65_536;
/// Longest payload of a `WebSocket` control frame, which is copied whole.
pub const CONTROL_WHOLE: u64 = 125;

/// Bytes of an HTTP/2 frame header.
pub const HTTP2_HEADER: u32 = 9;

/// What a socket's bytes are made of, by the kernel programs' or the agent's judgement.
pub mod framing {
    use crate::verdict::Verdict;

    /// Nothing was seen yet that would tell.
    pub const UNKNOWN: u8 = 0;
    /// No frames that are walked: HTTP/1, or something else.
    pub const NONE: u8 = 1;
    /// HTTP/2
    pub const HTTP2: u8 = Verdict::Http2 as u8;
    /// `WebSocket`
    pub const WEBSOCKET: u8 = Verdict::WebSocket as u8;
}

/// Bytes that a frame header is collected in: a preface, the longest of them.
pub type Header = [u8; 24];

/// What follows a frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Its length in bytes.
    pub length: u64,
    /// The first of them that are copied.
    pub copied: u32,
}

/// Length of the frame header that begins with the first `have` bytes of `header`, as far as they
/// tell: it can grow when more is known.
#[inline]
#[must_use]
pub fn header_length(framing: u8, header: &Header, have: u32) -> u32 {
    if framing != framing::WEBSOCKET {
        return HTTP2_HEADER;
    }
    if have < 2 {
        return 2;
    }
    let mut length = 2;
    if header[1] & 0x80 != 0 {
        length += 4;
    }
    if header[1] & 0x7f == 126 {
        length += 2;
    }
    if header[1] & 0x7f == 127 {
        length += 8;
    }
    length
}

/// What follows a whole frame header; `None` for what no header looks like. `strict` refuses what
/// is merely allowed and never seen, for bytes that may be anything.
#[inline]
#[must_use]
pub fn payload(framing: u8, header: &Header, strict: bool) -> Option<Payload> {
    if framing == framing::WEBSOCKET {
        websocket(header)
    } else {
        http2(header, strict)
    }
}

/// Types of RFC 9113 section 6.
mod http2_type {
    pub(super) const DATA: u8 = 0;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
    /// Extensions are registered below this one (RFC 7838, 8336, 9218).
    pub(super) const EXTENSIONS: u8 = 0x20;
}

#[inline]
fn http2(header: &Header, strict: bool) -> Option<Payload> {
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let kind = header[3];
    let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
    if stream >> 31 != 0 {
        return None;
    }
    // Compared one by one: the compiler would make a table of a `match`.
    let of_connection =
        kind == http2_type::SETTINGS || kind == http2_type::PING || kind == http2_type::GOAWAY;
    if kind <= http2_type::CONTINUATION
        && kind != http2_type::WINDOW_UPDATE
        && of_connection != (stream == 0)
    {
        return None;
    }
    if (kind == http2_type::PRIORITY && length != 5)
        || (kind == http2_type::RST_STREAM && length != 4)
        || (kind == http2_type::SETTINGS && !length.is_multiple_of(6))
        || (kind == http2_type::PING && length != 8)
        || (kind == http2_type::GOAWAY && length < 8)
        || (kind == http2_type::WINDOW_UPDATE && length != 4)
        || (strict && kind >= http2_type::EXTENSIONS)
    {
        return None;
    }
    let copied = if kind != http2_type::DATA {
        if length < OTHER_WHOLE {
            length
        } else {
            OTHER_WHOLE
        }
    } else if length <= DATA_WHOLE {
        length
    } else {
        DATA_START
    };
    Some(Payload {
        length: u64::from(length),
        copied,
    })
}

#[inline]
fn websocket(header: &Header) -> Option<Payload> {
    let is_control = header[0] & 0x08 != 0;
    // Two reserved bits that no extension uses (the first is RFC 7692's), and the opcodes from 3
    // to 7 and from 11 on.
    if header[0] & 0x30 != 0 || header[0] & 0x07 > 2 {
        return None;
    }
    let short = header[1] & 0x7f;
    let length = if short == 126 {
        u64::from(u16::from_be_bytes([header[2], header[3]]))
    } else if short == 127 {
        u64::from_be_bytes([
            header[2], header[3], header[4], header[5], header[6], header[7], header[8], header[9],
        ])
    } else {
        u64::from(short)
    };
    // The shortest form is the only one allowed.
    if (short == 126 && length < 126) || (short == 127 && (length < 65_536 || length >> 63 != 0)) {
        return None;
    }
    if !is_control {
        return Some(Payload { length, copied: 0 });
    }
    // Neither cut into fragments nor compressed, and short.
    if header[0] & 0xc0 != 0x80 || length > CONTROL_WHOLE {
        return None;
    }
    Some(Payload {
        length,
        copied: u32::from(short),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: &[u8]) -> Header {
        let mut header = [0; 24];
        header[..bytes.len()].copy_from_slice(bytes);
        header
    }

    fn h2(length: u32, kind: u8, stream: u32) -> Header {
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, 0]);
        bytes.extend(stream.to_be_bytes());
        header(&bytes)
    }

    fn plan(header: &Header) -> Option<(u64, u32)> {
        payload(framing::HTTP2, header, true).map(|payload| (payload.length, payload.copied))
    }

    #[test]
    fn data_is_copied_when_it_is_short() {
        assert_eq!(plan(&h2(0, 0, 1)), Some((0, 0)));
        assert_eq!(plan(&h2(1024, 0, 1)), Some((1024, 1024)));
        assert_eq!(plan(&h2(1025, 0, 1)), Some((1025, 16)));
        assert_eq!(plan(&h2(0xff_ffff, 0, 1)), Some((0xff_ffff, 16)));
    }

    #[test]
    fn other_frames_are_copied_whole() {
        for (length, kind, stream) in [
            (16_384, 1, 3),
            (5, 2, 3),
            (4, 3, 3),
            (36, 4, 0),
            (100, 5, 2),
            (8, 6, 0),
            (20, 7, 0),
            (4, 8, 0),
            (4, 8, 5),
            (300, 9, 3),
            (30, 0x10, 0),
        ] {
            let expected = Some((u64::from(length), length));
            assert_eq!(plan(&h2(length, kind, stream)), expected, "{kind}");
        }
        assert_eq!(plan(&h2(70_000, 1, 3)), Some((70_000, 65_536)));
    }

    #[test]
    fn what_no_frame_looks_like_is_refused() {
        for (length, kind, stream) in [
            (10, 0, 0),
            (10, 1, 0),
            (10, 1, 1 << 31 | 1),
            (6, 2, 1),
            (5, 3, 1),
            (5, 4, 0),
            (6, 4, 1),
            (4, 6, 0),
            (8, 6, 1),
            (7, 7, 0),
            (5, 8, 1),
        ] {
            assert_eq!(plan(&h2(length, kind, stream)), None, "{kind}");
        }
        // A type of a later day is followed where the walker knows where it is.
        let unknown = h2(3, 0x49, 1);
        assert_eq!(payload(framing::HTTP2, &unknown, true), None);
        assert!(payload(framing::HTTP2, &unknown, false).is_some());
    }

    #[test]
    fn a_websocket_header_tells_its_own_length() {
        let length = |bytes: &[u8]| {
            let have = u32::try_from(bytes.len()).expect("short");
            header_length(framing::WEBSOCKET, &header(bytes), have)
        };
        assert_eq!(length(&[]), 2);
        assert_eq!(length(&[0x81]), 2);
        assert_eq!(length(&[0x81, 5]), 2);
        assert_eq!(length(&[0x81, 0x85]), 6);
        assert_eq!(length(&[0x82, 126]), 4);
        assert_eq!(length(&[0x82, 0xff]), 14);
    }

    #[test]
    fn of_websocket_only_control_frames_are_copied() {
        let plan = |bytes: &[u8]| {
            payload(framing::WEBSOCKET, &header(bytes), true)
                .map(|payload| (payload.length, payload.copied))
        };
        assert_eq!(plan(&[0x81, 5]), Some((5, 0)));
        assert_eq!(plan(&[0xc2, 0xfe, 1, 0]), Some((256, 0)));
        let long = [0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(plan(&long), Some((65_536, 0)));
        assert_eq!(plan(&[0x88, 2]), Some((2, 2)));
        assert_eq!(plan(&[0x8a, 0xfd]), Some((125, 125)));
        // Fragmented or long control frames, reserved bits and opcodes, lengths in a long form.
        for refused in [
            &[0x08, 2][..],
            &[0x88, 126, 0, 200],
            &[0x91, 1],
            &[0x83, 1],
            &[0x8b, 1],
            &[0x82, 126, 0, 125],
            &[0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255],
            &[0x82, 127, 128, 0, 0, 0, 0, 1, 0, 0],
        ] {
            assert_eq!(plan(refused), None, "{refused:?}");
        }
    }
}
