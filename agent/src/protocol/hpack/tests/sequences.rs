//! Sequences of blocks on one connection, and what is known when some of them are missing.

use proptest::{collection::vec, prelude::*};

use super::{
    super::{Decoder, Field, Invalid, MAX_TABLE_SIZE},
    encoder::{Encoder, How, Pair, integer, string},
    independent::fields,
};

/// The fields of a block, and how each is written.
#[derive(Clone, Debug)]
pub(super) struct Block(pub(super) Vec<(Pair, How)>);

/// Few names and values, so that they come again, of sizes that turn the table over.
pub(super) fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let name = prop_oneof![
        Just(b":path".to_vec()),
        Just(b":status".to_vec()),
        Just(b"grpc-status".to_vec()),
        "x-[a-f]{1,9}".prop_map(String::into_bytes),
    ];
    let value = prop_oneof![
        Just(b"200".to_vec()),
        "[a-c]{1,2}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..20),
        (100usize..3000).prop_map(|length| vec![b'v'; length]),
    ];
    let how = prop_oneof![
        3 => Just(How::Index),
        3 => Just(How::Insert),
        1 => Just(How::InsertNew),
        1 => Just(How::Plain),
        1 => Just(How::Never),
    ];
    vec(vec(((name, value), how), 1..8).prop_map(Block), 1..12)
}

/// Writes a block; gives its fields as well.
pub(super) fn encode(
    encoder: &mut Encoder,
    block: &Block,
    limit: Option<usize>,
) -> (Vec<u8>, Vec<Pair>) {
    let mut bytes = Vec::new();
    if let Some(limit) = limit {
        encoder.resize(limit, &mut bytes);
    }
    let mut truth = Vec::new();
    for (field, how) in &block.0 {
        encoder.field(field, *how, &mut bytes);
        truth.push(field.clone());
    }
    (bytes, truth)
}

/// Whether what is known of a field is right.
fn is_right(field: Field<'_>, (name, value): &Pair) -> bool {
    field.name.is_none_or(|known| known == name) && field.value.is_none_or(|known| known == value)
}

/// Decodes a block of which not everything need be known; how many names and values were unknown.
pub(super) fn compare(decoder: &mut Decoder, block: &[u8], truth: &[Pair]) -> usize {
    let (mut at, mut unknown) = (0, 0);
    decoder
        .decode(block, |field| {
            assert!(is_right(field, &truth[at]), "{field:?} is {:?}", truth[at]);
            unknown += usize::from(field.name.is_none()) + usize::from(field.value.is_none());
            at += 1;
        })
        .unwrap();
    assert_eq!(at, truth.len());
    unknown
}

/// A block that inserts a field of this cost and nothing else.
fn filling(cost: usize) -> Vec<u8> {
    let mut block = vec![0x40];
    string(b"fill", &mut block);
    string(&vec![b'f'; cost - 32 - 4], &mut block);
    block
}

#[test]
fn a_table_is_certain_again_when_it_has_turned_over() {
    let mut decoder = Decoder::uncertain();
    for _ in 0..31 {
        assert_eq!(
            compare(&mut decoder, &[0xff, 0x80, 0x08], &[(vec![], vec![])]),
            2
        );
        decoder.decode(&filling(128), |_| {}).unwrap();
        assert!(!decoder.is_certain());
    }
    decoder.decode(&filling(128), |_| {}).unwrap();
    assert!(decoder.is_certain());
    assert!(fields(&mut decoder, &[0xc0]).is_some());
}

#[test]
fn a_table_is_certain_again_when_it_was_emptied() {
    let mut decoder = Decoder::uncertain();
    let mut block = vec![0x20];
    integer(0x20, 5, 4096, &mut block);
    decoder.decode(&block, |_| {}).unwrap();
    assert!(decoder.is_certain());
    assert_eq!(decoder.decode(&[0xbe], |_| {}), Err(Invalid::Index));
    // What was wrong once may be so again.
    assert!(!decoder.is_certain());
    assert_eq!(decoder.decode(&[0xbe], |_| {}), Ok(()));
}

#[test]
fn a_table_that_is_larger_than_assumed() {
    let mut decoder = Decoder::uncertain();
    for _ in 0..40 {
        decoder.decode(&filling(128), |_| {}).unwrap();
    }
    assert!(decoder.is_certain());
    // An index to the 40th entry, which 4096 octets do not hold.
    let mut block = Vec::new();
    integer(0x80, 7, 62 + 39, &mut block);
    let truth = [(b"fill".to_vec(), vec![b'f'; 92])];
    assert_eq!(compare(&mut decoder, &block, &truth), 2);
    assert!(!decoder.is_certain());
    for _ in 0..40 {
        decoder.decode(&filling(128), |_| {}).unwrap();
    }
    assert_eq!(compare(&mut decoder, &block, &truth), 0);
}

#[test]
fn an_entry_whose_name_is_unknown_has_an_index() {
    let mut decoder = Decoder::uncertain();
    // Literals with the names of entries that were never seen.
    decoder.decode(b"\x7e\x01a\x7f\x00\x01b", |_| {}).unwrap();
    let truth = [
        (b"x".to_vec(), b"b".to_vec()),
        (b"y".to_vec(), b"a".to_vec()),
        (b"z".to_vec(), b"c".to_vec()),
    ];
    assert_eq!(compare(&mut decoder, &[0xbe, 0xbf, 0xc0], &truth), 4);
    // A literal with the name of an entry whose name is unknown.
    assert_eq!(
        compare(&mut decoder, b"\x0f\x2f\x02de", &[(vec![], b"de".to_vec())]),
        1
    );
}

#[test]
fn a_table_beyond_the_bound_is_kept_in_part() {
    let mut decoder = Decoder::new();
    let mut block = Vec::new();
    integer(0x20, 5, 10 * MAX_TABLE_SIZE, &mut block);
    decoder.decode(&block, |_| {}).unwrap();
    for _ in 0..MAX_TABLE_SIZE / 1024 {
        decoder.decode(&filling(1024), |_| {}).unwrap();
        assert!(decoder.is_certain());
    }
    decoder.decode(&filling(1024), |_| {}).unwrap();
    assert!(!decoder.is_certain());
    assert_eq!(decoder.table_mut().size(), MAX_TABLE_SIZE);
    let mut block = Vec::new();
    integer(0x80, 7, 62 + 64, &mut block);
    assert_eq!(compare(&mut decoder, &block, &[(vec![], vec![])]), 2);
    // An entry that does not fit by itself, and one behind it.
    decoder
        .decode(&filling(2 * MAX_TABLE_SIZE), |_| {})
        .unwrap();
    assert_eq!(compare(&mut decoder, &[0xbe], &[(vec![], vec![])]), 2);
    decoder.decode(&filling(100), |_| {}).unwrap();
    let truth = [(b"fill".to_vec(), vec![b'f'; 64]), (vec![], vec![])];
    assert_eq!(compare(&mut decoder, &[0xbe, 0xbf], &truth), 2);
}

#[test]
fn a_limit_that_rises_behind_a_loss_leaves_older_entries_unknown() {
    let mut decoder = Decoder::new();
    // The lost block raised the limit.
    decoder.lose();
    for _ in 0..2 {
        decoder.decode(&filling(3000), |_| {}).unwrap();
    }
    let mut block = Vec::new();
    integer(0x20, 5, 9000, &mut block);
    integer(0x80, 7, 63, &mut block);
    let mut seen = Vec::new();
    decoder
        .decode(&block, |field| {
            seen.push((field.name.is_some(), field.value.is_some()));
        })
        .unwrap();
    assert_eq!(seen, [(false, false)]);
}

#[test]
fn what_is_not_valid() {
    for (block, invalid) in [
        (&b"\x80"[..], Invalid::Index),
        (b"\xbe", Invalid::Index),
        (b"\x7f\x00\x01x", Invalid::Index),
        (b"\xff", Invalid::Truncated),
        (b"\xff\x80", Invalid::Truncated),
        (b"\xff\x80\x80\x80\x80\x10", Invalid::Integer),
        (b"\xff\x80\x80\x80\x80\x80\x00", Invalid::Integer),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff", Invalid::Integer),
        (b"\x00\x7f\xff\xff\xff\xff\x07", Invalid::Truncated),
        (b"\x00\x02x", Invalid::Truncated),
        (b"\x00\x01x", Invalid::Truncated),
        (b"\x00\x01x\x02y", Invalid::Truncated),
        // Huffman code: padding of eight bits, of zeros, and the end of the string itself.
        (b"\x00\x82\x1f\xff\x00", Invalid::Huffman),
        (b"\x00\x81\x18\x00", Invalid::Huffman),
        (b"\x00\x84\xff\xff\xff\xff\x00", Invalid::Huffman),
        (b"\x00\x85\xff\xff\xff\xfc\x1f\x00", Invalid::Huffman),
    ] {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(block, |_| {}), Err(invalid), "{block:x?}");
        assert!(!decoder.is_certain());
    }
    // The largest integer that is read.
    let mut decoder = Decoder::uncertain();
    assert_eq!(decoder.decode(b"\xff\x80\xff\xff\xff\x0f", |_| {}), Ok(()));
    // Values of no octets, in code or not.
    assert!(fields(&mut Decoder::new(), b"\x00\x80\x00").is_some());
}

#[test]
fn a_table_bomb_costs_its_own_length() {
    let mut decoder = Decoder::new();
    let mut block = Vec::new();
    integer(0x20, 5, u32::MAX as usize, &mut block);
    for _ in 0..3 {
        block.extend(filling(60_000));
    }
    block.extend(vec![0xbe; 50_000]);
    let mut seen = 0;
    decoder
        .decode(&block, |field| seen += field.value.unwrap().len())
        .unwrap();
    assert_eq!(seen, 50_003 * (60_000 - 36));
    assert!(decoder.table_mut().size() <= MAX_TABLE_SIZE);
}

proptest! {
    /// A block is missing, and the decoder is told so. From then on what it knows is right.
    #[test]
    fn a_lost_block_gives_nothing_false(
        blocks in blocks(),
        limits in vec(prop::option::of(0usize..9000), 12),
        lost: usize,
    ) {
        let lost = lost % blocks.len();
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::new();
        for (at, block) in blocks.iter().enumerate() {
            let (bytes, truth) = encode(&mut encoder, block, limits[at]);
            if at == lost {
                decoder.lose();
                continue;
            }
            let unknown = compare(&mut decoder, &bytes, &truth);
            prop_assert!(at > lost || unknown == 0);
        }
        // Once everything in the table was seen, everything is known.
        let (bytes, _) = encode(&mut encoder, &Block(vec![]), Some(0));
        decoder.decode(&bytes, |_| {}).unwrap();
        prop_assert!(decoder.is_certain());
        for block in &blocks {
            let (bytes, truth) = encode(&mut encoder, block, Some(2000));
            prop_assert_eq!(compare(&mut decoder, &bytes, &truth), 0);
        }
    }

    /// A connection is joined between two blocks.
    #[test]
    fn joining_gives_nothing_false(blocks in blocks(), start: usize) {
        let start = start % blocks.len();
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::uncertain();
        for (at, block) in blocks.iter().enumerate() {
            let (bytes, truth) = encode(&mut encoder, block, None);
            if at >= start {
                compare(&mut decoder, &bytes, &truth);
            }
        }
    }

    /// A block is cut. What is read of it is right, and so is what comes behind it.
    #[test]
    fn a_cut_block_gives_its_beginning(blocks in blocks(), which: usize, cut: usize) {
        let which = which % blocks.len();
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::new();
        for (at, block) in blocks.iter().enumerate() {
            let (bytes, truth) = encode(&mut encoder, block, None);
            if at == which {
                let cut = cut % (bytes.len() + 1);
                let mut seen = 0;
                decoder
                    .decode_cut(&bytes[..cut], |field| {
                        assert!(is_right(field, &truth[seen]));
                        seen += 1;
                    })
                    .unwrap();
                prop_assert!(seen <= truth.len());
                prop_assert!(cut < bytes.len() || seen == truth.len());
                prop_assert!(!decoder.is_certain());
                // As a whole block it is not valid, unless it ends with a field.
                let mut strict = Decoder::uncertain();
                let mut whole = 0;
                let result = strict.decode(&bytes[..cut], |field| {
                    whole += usize::from(field.value.is_some());
                });
                prop_assert!(matches!(result, Ok(()) | Err(Invalid::Truncated)));
                continue;
            }
            compare(&mut decoder, &bytes, &truth);
        }
    }

    #[test]
    fn foreign_bytes_never_panic(blocks in vec((vec(any::<u8>(), 0..80), 0u8..4), 1..9)) {
        let mut decoder = Decoder::new();
        for (block, what) in &blocks {
            let _ = match what {
                0 => decoder.decode_cut(block, |_| {}),
                _ => decoder.decode(block, |_| {}),
            };
            prop_assert!(decoder.table_mut().size() <= MAX_TABLE_SIZE);
        }
    }
}
