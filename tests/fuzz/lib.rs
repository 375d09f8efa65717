//! What the fuzz targets share: how an input is cut into a plan and the bytes that it is about.
#![forbid(unsafe_code)]

/// One part of a direction's bytes, as a parser gets it.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// So many bytes that were never copied.
    Skipped(u64),
    /// Bytes are missing, and not even their number is known.
    Lost,
}

/// Cuts an input into parts: a byte says what the next part is and how long.
pub fn parts(mut input: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let (first, rest) = input.split_first()?;
        input = rest;
        Some(match first {
            0 => Part::Lost,
            1..=8 => Part::Skipped(1 << (4 * (first - 1))),
            9..=16 => Part::Skipped(u64::from(*first - 8)),
            length => {
                let (bytes, rest) = input.split_at(usize::from(*length).min(input.len()));
                input = rest;
                Part::Bytes(bytes)
            }
        })
    })
}

/// The input cut in two at a place that its first byte chooses.
#[must_use]
pub fn halves(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (place, bytes) = input.split_first()?;
    Some(bytes.split_at(usize::from(*place) * bytes.len() / 256))
}
