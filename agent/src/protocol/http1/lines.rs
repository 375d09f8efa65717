//! Where a byte is, eight bytes at a time. Knows nothing of what they say.
//!
//! A head has a line end every few dozen bytes: a search that begins anew behind each one spends
//! most of its time on beginning.

use std::{iter::Enumerate, slice::ChunksExact};

/// Bytes of a word.
const WORD: usize = 8;

/// The lowest bit of each byte of a word.
const LOWEST: u64 = u64::from_le_bytes([1; WORD]);

/// The highest bit of each byte of a word.
const HIGHEST: u64 = LOWEST << 7;

/// The places of all line feeds, in order.
#[derive(Debug)]
pub(super) struct LineEnds<'a> {
    words: Enumerate<ChunksExact<'a, u8>>,
    /// What is behind the last whole word, until it is looked at.
    rest: Option<&'a [u8]>,
    /// Where the word begins that is looked at.
    at: usize,
    /// The highest bit of each of its bytes that is a line feed and was not given yet.
    found: u64,
    from: usize,
    length: usize,
}

impl<'a> LineEnds<'a> {
    /// From a place on.
    pub(super) fn from(bytes: &'a [u8], from: usize) -> Self {
        let words = bytes.get(from..).unwrap_or_default().chunks_exact(WORD);
        Self {
            rest: Some(words.remainder()),
            words: words.enumerate(),
            at: from,
            found: 0,
            from,
            length: bytes.len(),
        }
    }

    /// Goes on to the next word that has a line feed.
    #[inline]
    fn advance(&mut self) -> Option<()> {
        for (index, chunk) in &mut self.words {
            let word = word(chunk);
            if has(word, b'\n') {
                self.at = self.from + index * WORD;
                self.found = places(word, b'\n');
                return Some(());
            }
        }
        let rest = self.rest.take()?;
        self.at = self.length - rest.len();
        self.found = places(word(rest), b'\n');
        (self.found != 0).then_some(())
    }
}

impl Iterator for LineEnds<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.found == 0 {
            self.advance()?;
        }
        let end = self.at + self.found.trailing_zeros() as usize / 8;
        self.found &= self.found - 1;
        Some(end)
    }
}

/// Words in which [`near`] looks.
const NEAR: usize = 3;

/// The first place of a byte that is not zero among the first `NEAR * WORD` bytes.
#[inline]
pub(super) fn near(bytes: &[u8], byte: u8) -> Option<usize> {
    for (index, chunk) in bytes.chunks(WORD).take(NEAR).enumerate() {
        let word = word(chunk);
        if has(word, byte) {
            return Some(index * WORD + places(word, byte).trailing_zeros() as usize / 8);
        }
    }
    None
}

/// A word of up to eight bytes, filled with zeros.
#[inline]
fn word(chunk: &[u8]) -> u64 {
    if let Some(word) = chunk.first_chunk() {
        return u64::from_le_bytes(*word);
    }
    chunk
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Whether a word has a byte. What is subtracted carries only beyond a byte that is there.
#[inline]
fn has(word: u64, byte: u8) -> bool {
    let word = word ^ (LOWEST * u64::from(byte));
    word.wrapping_sub(LOWEST) & !word & HIGHEST != 0
}

/// The highest bit of each byte of a word that is this one. The sums carry into no other byte.
#[inline]
fn places(word: u64, byte: u8) -> u64 {
    let word = word ^ (LOWEST * u64::from(byte));
    !(((word & !HIGHEST) + !HIGHEST) | word | !HIGHEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_line_end_is_found(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(0x8a), Just(0x0b), any::<u8>()], 0..80),
            from in 0_usize..90,
        ) {
            let expected: Vec<usize> = bytes
                .iter()
                .enumerate()
                .skip(from)
                .filter_map(|(at, byte)| (*byte == b'\n').then_some(at))
                .collect();
            prop_assert_eq!(LineEnds::from(&bytes, from).collect::<Vec<_>>(), expected);
            let first = bytes.iter().take(NEAR * WORD).position(|byte| *byte == b'\n');
            prop_assert_eq!(near(&bytes, b'\n'), first);
        }
    }
}
