//! Finding the ends of HTTP/1 heads and the starts of messages, eight bytes at a time and without
//! branches: a verifier walks every combination of branches. Pure; knows neither sockets nor memory.

/// Bytes that are looked at together.
pub const CHUNK: usize = 64;

/// What the last bytes before a chunk were, as far as it matters: bits.
pub mod carry {
    /// The last byte ends a line.
    pub const LINE: u64 = 1;
    /// The last two are the end of a line and a carriage return.
    pub const RETURN: u64 = 2;
}

/// What is in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Bit `i` is set when a blank line ends with byte `i`: the end of a head (RFC 9112 section
    /// 2.1; section 2.2 allows a line feed alone).
    pub blank: u64,
    /// Bit `i` is set when byte `i` begins a line and is a `c`, as that of `Content-Length`.
    pub field: u64,
    /// See [`carry`], for the next chunk.
    pub carry: u64,
    /// Not zero when a byte is one that no head holds.
    pub binary: u64,
}

/// Looks at the first `length` bytes of a chunk, 1 to 64 of them.
#[inline]
#[must_use]
pub fn look(words: &[u64; 8], length: u32, carry: u64) -> Found {
    let mut lines = 0;
    let mut returns = 0;
    let mut cs = 0;
    let mut binary = 0;
    let mut end: u32 = 0;
    let mut number = 0;
    while number < 8 {
        let word = words[number];
        lines |= mask(word, b'\n') << (8 * number);
        returns |= mask(word, b'\r') << (8 * number);
        cs |= mask(word | (ONES * 0x20), b'c') << (8 * number);
        // Bytes below a tab. Exact for the question whether there is one.
        let below = word.wrapping_sub(9 * ONES) & !word & HIGH;
        end += 8;
        let missing = end.saturating_sub(length);
        let known = if missing >= 8 {
            0
        } else {
            u64::MAX >> (8 * missing)
        };
        binary |= below & known;
        number += 1;
    }
    let known = u64::MAX >> (64 - length);
    lines &= known;
    let after_line = lines << 1 | carry & carry::LINE;
    let line_return = returns & after_line & known;
    let after_return = line_return << 1 | (carry & carry::RETURN) >> 1;
    let last = length - 1;
    Found {
        blank: lines & (after_line | after_return),
        field: cs & after_line & known,
        carry: (lines >> last & 1) | (line_return >> last & 1) << 1,
        binary,
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Bit `i` is set when byte `i` of a word is `byte`.
#[inline]
fn mask(word: u64, byte: u8) -> u64 {
    let differs = word ^ (ONES * u64::from(byte));
    let equal = !(((differs & !HIGH).wrapping_add(!HIGH)) | differs) & HIGH;
    gather(equal)
}

/// The highest bits of the eight bytes.
#[inline]
fn gather(high: u64) -> u64 {
    (high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// The value of a `Content-Length` field that begins with these bytes; `None` when they are not one,
/// or not all of it.
#[inline]
#[must_use]
pub fn content_length(bytes: &[u8; 32]) -> Option<u64> {
    let word = |at: usize| {
        u64::from_le_bytes([
            bytes[at],
            bytes[at + 1],
            bytes[at + 2],
            bytes[at + 3],
            bytes[at + 4],
            bytes[at + 5],
            bytes[at + 6],
            bytes[at + 7],
        ])
    };
    let is_named = word(0) | (ONES * 0x20) == u64::from_le_bytes(*b"content-")
        && (word(8) | (ONES * 0x20)) << 8 == u64::from_le_bytes(*b"\0length:");
    if !is_named {
        return None;
    }
    let mut value: u64 = 0;
    let mut at = if bytes[15] == b' ' { 16 } else { 15 };
    let start = at;
    while at < 32 {
        let digit = u64::from(bytes[at].wrapping_sub(b'0'));
        if digit > 9 {
            return if at > start { Some(value) } else { None };
        }
        // Fifteen digits at most: no overflow.
        value = value * 10 + digit;
        at += 1;
    }
    None
}

/// Number of the lowest bit that is set.
#[inline]
#[must_use]
pub fn lowest(bits: u64) -> u32 {
    // Counted by hand: the compiler would make a table of `trailing_zeros`.
    let mut count = bits.wrapping_neg() & bits;
    count = count.wrapping_sub(1);
    count -= count >> 1 & 0x5555_5555_5555_5555;
    count = (count & 0x3333_3333_3333_3333) + (count >> 2 & 0x3333_3333_3333_3333);
    count = (count + (count >> 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    (count.wrapping_mul(ONES) >> 56) as u32
}

/// Whether a message seems to begin with these bytes: `HTTP/1.`, or a method in capitals and the
/// start of a target.
#[inline]
#[must_use]
pub fn begins_message(words: [u64; 2]) -> bool {
    let both = |byte| mask(words[0], byte) | mask(words[1], byte) << 8;
    let is_response = words[0] << 8 == u64::from_le_bytes(*b"\0HTTP/1.");
    let spaces = both(b' ');
    let first = spaces & spaces.wrapping_neg();
    let capitals = capitals(words[0]) | capitals(words[1]) << 8;
    let method = first.wrapping_sub(1);
    let targets = both(b'/') | both(b'h') | both(b'*');
    let is_request = first > 1 && capitals & method == method && targets & first << 1 != 0;
    is_response || is_request
}

/// Bit `i` is set when byte `i` of a word is from 0x40 to 0x5f, capitals among them.
#[inline]
fn capitals(word: u64) -> u64 {
    mask(word & (ONES * 0xe0), 0x40)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Position after the first blank line, looked for in chunks of the given lengths in turn.
    fn head_end(bytes: &[u8], lengths: &[usize]) -> Option<usize> {
        let mut carry = 0;
        let mut at = 0;
        for length in lengths.iter().cycle() {
            let length = (*length).min(bytes.len() - at);
            if length == 0 {
                return None;
            }
            let mut chunk = [b'\n'; CHUNK];
            chunk[..length].copy_from_slice(&bytes[at..at + length]);
            let mut words = [0; 8];
            for (word, bytes) in words.iter_mut().zip(chunk.chunks(8)) {
                *word = u64::from_le_bytes(bytes.try_into().expect("eight"));
            }
            let found = look(&words, u32::try_from(length).expect("small"), carry);
            if found.blank != 0 {
                return Some(at + lowest(found.blank) as usize + 1);
            }
            carry = found.carry;
            at += length;
        }
        None
    }

    #[test]
    fn a_head_ends_with_a_blank_line() {
        for (text, end) in [
            ("GET / HTTP/1.1\r\n\r\nbody", Some(18)),
            ("GET / HTTP/1.1\n\nbody", Some(16)),
            ("GET / HTTP/1.1\r\nA: b\n\r\n\r\n", Some(23)),
            ("GET / HTTP/1.1\r\n\r", None),
            ("GET / HTTP/1.1\r\r\n\n", Some(18)),
            ("GET / HTTP/1.1\r\nA: b\r\nC: d", None),
        ] {
            for lengths in [&[64][..], &[1], &[3, 1, 7], &[17], &[2, 63]] {
                assert_eq!(
                    head_end(text.as_bytes(), lengths),
                    end,
                    "{text:?} {lengths:?}"
                );
            }
        }
        let mut long = [b'a'; 200];
        for at in 4..190 {
            long[at..at + 4].copy_from_slice(b"\r\n\r\n");
            for length in 1..=64 {
                assert_eq!(head_end(&long, &[length]), Some(at + 4));
            }
            long[at..at + 4].copy_from_slice(b"aaaa");
        }
    }

    #[test]
    fn bytes_of_no_head_are_told() {
        let words = |bytes: &[u8; 64]| {
            let mut words = [0; 8];
            for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
                *word = u64::from_le_bytes(bytes.try_into().expect("eight"));
            }
            words
        };
        let mut bytes = [b'\t'; 64];
        assert_eq!(look(&words(&bytes), 64, 0).binary, 0);
        for at in 0..64 {
            bytes[at as usize] = 8;
            assert_ne!(look(&words(&bytes), 64, 0).binary, 0);
            if at > 0 {
                assert_eq!(look(&words(&bytes), at, 0).binary, 0, "{at}");
            }
            bytes[at as usize] = 0xff;
        }
    }

    #[test]
    fn messages_are_told_by_their_first_bytes() {
        let begins = |text: &str| {
            let mut bytes = [0; 16];
            let length = text.len().min(16);
            bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
            let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
            begins_message([word(0), word(8)])
        };
        for text in [
            "HTTP/1.1 200 OK",
            "HTTP/1.0 404",
            "GET / HTTP/1.1",
            "POST http://a/",
            "OPTIONS * HTTP/1.1",
            "PROPFIND /a",
        ] {
            assert!(begins(text), "{text}");
        }
        for text in [
            "",
            "HTTP/2 200",
            "get / HTTP/1.1",
            " / ",
            "A BC",
            "{\"a\": /",
            "body",
            "GET/ /",
        ] {
            assert!(!begins(text), "{text}");
        }
    }

    #[test]
    fn a_content_length_is_read() {
        let value = |text: &str| {
            let mut bytes = [b'x'; 32];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            content_length(&bytes)
        };
        assert_eq!(value("Content-Length: 1234\r\n"), Some(1234));
        assert_eq!(value("content-length:0\n"), Some(0));
        assert_eq!(
            value("CONTENT-LENGTH: 99999999999999\r\n"),
            Some(99_999_999_999_999)
        );
        assert_eq!(value("Content-Length:  5\r\n"), None);
        assert_eq!(value("Content-Type: 5\r\n"), None);
        assert_eq!(value("Content-Length: 9999999999999999"), None);
    }

    #[test]
    fn the_lowest_bit_is_counted() {
        for at in 0..64 {
            assert_eq!(lowest(1 << at), at);
            assert_eq!(lowest(u64::MAX << at), at);
        }
    }
}
