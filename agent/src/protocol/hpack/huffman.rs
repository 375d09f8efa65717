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

struct Tables {
    /// The octet that begins with these eight bits and the length of its code; 0 for none.
    short: [(u8, u8); 256],
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
    let empty = Row {
        first: 0,
        end: 0,
        place: 0,
    };
    let mut tables = Tables {
        short: [(0, 0); 256],
        rows: [empty; LONGEST + 1],
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
                let mut prefix = next >> 24;
                next += unit;
                while length <= 8 && prefix < next >> 24 {
                    tables.short[prefix as usize] = (octet as u8, length as u8);
                    prefix += 1;
                }
            }
            octet += 1;
        }
        tables.rows[length].end = next;
        length += 1;
    }
    // The end-of-string symbol is the last code, all ones.
    assert!(next + (1 << (32 - LONGEST)) == 1 << 32 && place == 256);
    tables
}

/// Appends what `encoded` stands for.
pub(super) fn decode(encoded: &[u8], decoded: &mut Vec<u8>) -> Result<(), Invalid> {
    let mut octets = encoded.iter();
    // The next bits, left-aligned, and how many of them there are.
    let (mut window, mut held) = (0u64, 0u32);
    loop {
        while held <= 56
            && let Some(octet) = octets.next()
        {
            window |= u64::from(*octet) << (56 - held);
            held += 8;
        }
        let (octet, length) = match TABLES.short[usize::from(window.to_be_bytes()[0])] {
            (_, 0) => long(window >> 32),
            (octet, length) => (Some(octet), u32::from(length)),
        };
        if length > held {
            break;
        }
        decoded.push(octet.ok_or(Invalid::Huffman)?);
        window <<= length;
        held -= length;
    }
    // What is left must be the beginning of the end-of-string symbol, shorter than an octet.
    if held > 7 || window != !(u64::MAX >> held) {
        return Err(Invalid::Huffman);
    }
    Ok(())
}

/// The octet whose code is longer than eight bits, and that length. `None` is the end of string.
fn long(window: u64) -> (Option<u8>, u32) {
    for (row, length) in TABLES.rows.iter().zip(0u32..).skip(9) {
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
