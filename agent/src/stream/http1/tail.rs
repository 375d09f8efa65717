//! The last bytes of a direction, which tell the end of a chunked body that is not copied whole.
//! Knows neither messages nor where the bytes came from.

/// How a chunked body without trailers ends (RFC 9112 section 7.1).
const LAST_CHUNK: &[u8; 7] = b"\r\n0\r\n\r\n";

/// Bytes that are kept.
const KEPT: usize = 8;

/// Whether a chunked body has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By all signs.
    Whole,
    /// It has not.
    Open,
    /// The last bytes are not known, or may be a trailer section.
    Unknown,
}

/// The last bytes that moved, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tail {
    bytes: [u8; KEPT],
    known: usize,
}

impl Tail {
    /// Bytes follow that are not known.
    pub(super) fn forget(&mut self) {
        self.known = 0;
    }

    /// `bytes` follow.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(KEPT)..];
        self.bytes.copy_within(new.len().., 0);
        self.bytes[KEPT - new.len()..].copy_from_slice(new);
        self.known = (self.known + new.len()).min(KEPT);
    }

    /// What the bytes say of a chunked body.
    pub(super) fn ending(&self) -> Ending {
        let known = &self.bytes[KEPT - self.known..];
        if known.ends_with(LAST_CHUNK) {
            return Ending::Whole;
        }
        let trailers = known.ends_with(b"\r\n\r\n") || known.ends_with(b"\n\n");
        if trailers || LAST_CHUNK.ends_with(known) {
            Ending::Unknown
        } else {
            Ending::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Ending, Tail};

    fn ending(parts: &[&[u8]]) -> Ending {
        let mut tail = Tail::default();
        for part in parts {
            tail.push(part);
        }
        tail.ending()
    }

    #[test]
    fn a_body_ends_with_its_last_chunk() {
        assert_eq!(ending(&[b"5\r\nhello\r\n0\r\n\r\n"]), Ending::Whole);
        assert_eq!(
            ending(&[b"hello", b"\r\n0\r", b"\n\r", b"\n"]),
            Ending::Whole
        );
        assert_eq!(ending(&[b"\r\n0\r\n\r\n", b"x"]), Ending::Open);
        assert_eq!(ending(&[b"10\r\n\r\n"]), Ending::Unknown);
        assert_eq!(ending(&[b"0\r\nA: b\r\n\r\n"]), Ending::Unknown);
        assert_eq!(ending(&[b"0\r\n\r\n"]), Ending::Unknown);
        assert_eq!(ending(&[b"x0\r\n\r"]), Ending::Open);
        assert_eq!(ending(&[]), Ending::Unknown);
    }

    #[test]
    fn bytes_that_are_not_known_separate() {
        let mut tail = Tail::default();
        tail.push(b"hello\r\n");
        tail.forget();
        tail.push(b"0\r\n\r\n");
        assert_eq!(tail.ending(), Ending::Unknown);
        tail.push(b"7\r\n");
        assert_eq!(tail.ending(), Ending::Open);
    }

    proptest! {
        #[test]
        fn how_the_bytes_came_does_not_matter(
            bytes in "[a0\r\n]{0,20}",
            cuts in proptest::collection::vec(0usize..21, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts
                .windows(2)
                .map(|pair| &bytes.as_bytes()[pair[0]..pair[1]])
                .collect();
            prop_assert_eq!(ending(&parts), ending(&[bytes.as_bytes()]));
        }
    }
}
