//! Against an independent decoder and its encoder.

use proptest::{collection::vec, prelude::*};

use super::{
    super::{Decoder, huffman},
    encoder::{Encoder, Pair},
    sequences::{Block, blocks, encode},
};

/// All fields of a valid block. What is unknown is as no test has it.
pub(super) fn fields(decoder: &mut Decoder, block: &[u8]) -> Option<Vec<Pair>> {
    let mut fields = Vec::new();
    decoder
        .decode(block, |field| {
            fields.push((
                field.name.unwrap_or(b"?").to_vec(),
                field.value.unwrap_or(b"?").to_vec(),
            ));
        })
        .ok()
        .map(|()| fields)
}

/// Strings of one and two octets, and longer ones that begin with ones, as the codes of rare
/// octets do: all octets, all paddings, and the end of the string.
#[test]
fn the_huffman_code() {
    let mut theirs = loona_hpack::huffman::HuffmanDecoder::new();
    let strings = (0..=u16::MAX).flat_map(|two| {
        let [first, second] = two.to_be_bytes();
        [
            vec![second],
            vec![first, second],
            vec![0xff, 0xff, first, second],
            vec![0xff, 0xff, 0xff, first & 7 | 0xf8, second],
        ]
    });
    let mut right = 0;
    for string in strings {
        let mut octets = Vec::new();
        let found = huffman::decode(&string, &mut octets).ok().map(|()| octets);
        assert_eq!(found, theirs.decode(&string).ok(), "{string:x?}");
        right += usize::from(found.is_some());
    }
    assert!(right > 10_000);
}

proptest! {
    #[test]
    fn all_representations(blocks in blocks(), limits in vec(0usize..9000, 0..4)) {
        let mut encoder = Encoder::new();
        let mut ours = Decoder::new();
        let mut theirs = loona_hpack::Decoder::new();
        theirs.set_max_allowed_table_size(10_000);
        for (at, block) in blocks.iter().enumerate() {
            let (bytes, truth) = encode(&mut encoder, block, limits.get(at).copied());
            prop_assert_eq!(&theirs.decode(&bytes).unwrap(), &truth);
            prop_assert_eq!(&fields(&mut ours, &bytes).unwrap(), &truth);
            prop_assert!(ours.is_certain());
        }
    }

    #[test]
    fn their_encoder(blocks in blocks(), limits in vec(0usize..9000, 0..4)) {
        let mut encoder = loona_hpack::Encoder::new();
        let mut decoder = Decoder::new();
        for (at, Block(fields_of)) in blocks.iter().enumerate() {
            let mut bytes = Vec::new();
            if let Some(limit) = limits.get(at) {
                super::encoder::integer(0x20, 5, *limit, &mut bytes);
                encoder.set_max_table_size(*limit);
            }
            let truth: Vec<Pair> = fields_of.iter().map(|(field, _)| field.clone()).collect();
            bytes.extend(encoder.encode(
                truth.iter().map(|(name, value)| (&name[..], &value[..])),
            ));
            prop_assert_eq!(&fields(&mut decoder, &bytes).unwrap(), &truth);
        }
    }

    /// Whatever both accept, they read alike.
    #[test]
    fn foreign_bytes(blocks in vec(vec(any::<u8>(), 0..60), 1..6)) {
        let mut ours = Decoder::new();
        let mut theirs = loona_hpack::Decoder::new();
        theirs.set_max_allowed_table_size(usize::MAX);
        for block in &blocks {
            let (ours, theirs) = (fields(&mut ours, block), theirs.decode(block).ok());
            match (ours, theirs) {
                (Some(ours), Some(theirs)) => prop_assert_eq!(ours, theirs),
                _ => break,
            }
        }
    }
}
