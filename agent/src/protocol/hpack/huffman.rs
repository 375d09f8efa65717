//! The Huffman code of string literals (RFC 7541 section 5.2 and appendix B). Knows no fields.
//!
//! The code is canonical: its codes, in the order of their lengths and then of their symbols,
//! count upwards. So the lengths say everything, and the tables are derived when this compiles.

use super::decoder::Invalid;

/// Length of each octet's code in bits (RFC 7541 appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// Longest code. Only the end-of-string symbol and three octets have it.
const LONGEST: usize = 30;

/// Bits that are looked up at once. Two codes of common octets fit.
const LOOKED_UP: u32 = 12;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Row {
    /// The first of them, left-aligned in 32 bits.
    first: u64,
    /// What is left-aligned below this has a code of at most this length.
    end: u64,
    /// Place of the first one's octet in [`Tables::octets`].
    place: usize,
}

/// What bits begin with.
#[derive(Clone, Copy)]
struct Beginning {
    octets: [u8; 2],
    /// Length of the first octet's code; 0 where it is longer than what is looked up.
    first: u8,
    /// Length of both codes, or of the first where the second one does not fit.
    length: u8,
}

struct Tables {
    beginnings: [Beginning; 1 << LOOKED_UP],
    rows: [Row; LONGEST + 1],
    /// All octets in the order of their codes. The end-of-string symbol would follow.
    octets: [u8; 256],
}

static TABLES: Tables = tables();

#[expect(
    clippy::cast_possible_truncation,
    reason = "constants: lengths below 31, octets below 256"
)]
const fn tables() -> Tables {
    let mut tables = Tables {
        beginnings: [Beginning {
            octets: [0; 2],
            first: 0,
            length: 0,
        }; 1 << LOOKED_UP],
        rows: [Row {
            first: 0,
            end: 0,
            place: 0,
        }; LONGEST + 1],
        octets: [0; 256],
    };
    let mut next: u64 = 0;
    let mut place = 0;
    let mut length = 1;
    while length <= LONGEST {
        let unit = 1u64 << (32 - length);
        tables.rows[length].first = next;
        tables.rows[length].place = place;
        let mut octet = 0;
        while octet < 256 {
            if LENGTHS[octet] as usize == length {
                tables.octets[place] = octet as u8;
                place += 1;
                let mut bits = next >> (32 - LOOKED_UP);
                next += unit;
                while length <= LOOKED_UP as usize && bits < next >> (32 - LOOKED_UP) {
                    tables.beginnings[bits as usize] = Beginning {
                        octets: [octet as u8, 0],
                        first: length as u8,
                        length: length as u8,
                    };
                    bits += 1;
                }
            }
            octet += 1;
        }
        tables.rows[length].end = next;
        length += 1;
    }
    // The end-of-string symbol is the last code, all ones.
    assert!(next + (1 << (32 - LONGEST)) == 1 << 32 && place == 256);
    add_second_octets(&mut tables.beginnings);
    tables
}

const fn add_second_octets(beginnings: &mut [Beginning; 1 << LOOKED_UP]) {
    let mut bits = 0;
    while bits < beginnings.len() {
        let first = beginnings[bits].first;
        if first > 0 {
            let second = beginnings[(bits << first) & (beginnings.len() - 1)];
            if second.first > 0 && (first + second.first) as u32 <= LOOKED_UP {
                beginnings[bits].octets[1] = second.octets[0];
                beginnings[bits].length = first + second.first;
            }
        }
        bits += 1;
    }
}

/// Appends what `encoded` stands for.
pub(super) fn decode(encoded: &[u8], decoded: &mut Vec<u8>) -> Result<(), Invalid> {
    let start = decoded.len();
    // No code is shorter than five bits; two octets are written at once.
    decoded.resize(start + encoded.len() * 8 / 5 + 2, 0);
    let places = decoded.get_mut(start..).unwrap_or_default();
    let length = decode_into(encoded, places)?;
    decoded.truncate(start + length);
    Ok(())
}

/// Writes what `encoded` stands for; gives its length.
fn decode_into(mut encoded: &[u8], places: &mut [u8]) -> Result<usize, Invalid> {
    let mut written = 0;
    // The next bits, left-aligned, and how many of them there are.
    let (mut window, mut held) = (0u64, 0u32);
    loop {
        if held <= 32 {
            if let Some((four, rest)) = encoded.split_first_chunk() {
                window |= u64::from(u32::from_be_bytes(*four)) << (32 - held);
                held += 32;
                encoded = rest;
            } else {
                for octet in std::mem::take(&mut encoded) {
                    window |= u64::from(*octet) << (56 - held);
                    held += 8;
                }
            }
        }
        let beginning = TABLES.beginnings[(window >> (64 - LOOKED_UP)) as usize];
        let (octets, count, length) = match u32::from(beginning.length) {
            length @ 1.. if length <= held => {
                let count = 1 + usize::from(beginning.length > beginning.first);
                (beginning.octets, count, length)
            }
            _ => match single(beginning, window, held)? {
                Some((octet, length)) => ([octet, 0], 1, length),
                None => break,
            },
        };
        if let Some(place) = places.get_mut(written..written + 2) {
            place.copy_from_slice(&octets);
        }
        written += count;
        window <<= length;
        held -= length;
    }
    // What is left must be the beginning of the end-of-string symbol, shorter than an octet.
    if held > 7 || window != !(u64::MAX >> held) {
        return Err(Invalid::Huffman);
    }
    Ok(written)
}

/// The next octet and its code's length, where its code is long or one of the last. `None` when
/// there is none any more.
#[cold]
fn single(beginning: Beginning, window: u64, held: u32) -> Result<Option<(u8, u32)>, Invalid> {
    let (octet, length) = match (beginning.octets, beginning.first) {
        (_, 0) => long(window >> 32),
        ([octet, _], first) => (Some(octet), first.into()),
    };
    if length > held {
        return Ok(None);
    }
    octet
        .map(|octet| Some((octet, length)))
        .ok_or(Invalid::Huffman)
}

/// The octet whose code is longer than what is looked up, and that length. `None` is the end of
/// string.
fn long(window: u64) -> (Option<u8>, u32) {
    for (row, length) in TABLES.rows.iter().zip(0u32..).skip(LOOKED_UP as usize + 1) {
        if window < row.end {
            let behind = usize::try_from((window - row.first) >> (32 - length));
            let place = behind.ok().map(|behind| row.place + behind);
            return (
                place.and_then(|place| TABLES.octets.get(place).copied()),
                length,
            );
        }
    }
    (None, 30)
}
