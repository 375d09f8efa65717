//! Header sequences of independent encoders, whose tables change in size on the way. The data is
//! written by the programs in `tests/programs/hpack`.

use super::{super::Decoder, encoder::Pair, independent::fields, sequences::compare};

const ENCODERS: [&str; 5] = [
    include_str!("../testdata/go.txt"),
    include_str!("../testdata/java.txt"),
    include_str!("../testdata/nghttp2.txt"),
    include_str!("../testdata/node.txt"),
    include_str!("../testdata/python-hpack.txt"),
];

/// A block's bytes and its fields.
type Encoded = (Vec<u8>, Vec<Pair>);

/// The name of the encoder and its blocks.
fn sequence(data: &str) -> (&str, Vec<Encoded>) {
    let (name, data) = data.split_once('\n').unwrap();
    let mut blocks: Vec<Encoded> = Vec::new();
    for line in data.lines() {
        if let Some(hex) = line.strip_prefix("block ") {
            let octet = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            blocks.push(((0..hex.len()).step_by(2).map(octet).collect(), Vec::new()));
        } else {
            let (name, value) = line.split_once('\t').unwrap();
            let field = (octets(name), octets(value));
            blocks.last_mut().unwrap().1.push(field);
        }
    }
    assert_eq!(blocks.len(), 60, "{name}");
    (name, blocks)
}

/// The octets of a text in which some are written as `\xNN`.
fn octets(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut octets = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        octets.push(u8::from_str_radix(&part[..2], 16).unwrap());
        octets.extend(part[2..].bytes());
    }
    octets
}

#[test]
fn sequences_of_five_encoders() {
    for data in ENCODERS {
        let (name, blocks) = sequence(data);
        let mut decoder = Decoder::new();
        for (number, (block, truth)) in blocks.iter().enumerate() {
            let found = fields(&mut decoder, block);
            assert_eq!(found.as_ref(), Some(truth), "{name}, block {number}");
            assert!(decoder.is_certain());
        }
    }
}

/// Whichever block is lost, what is known of those behind it is right, and all is known from
/// block 20 on, where the table is emptied.
#[test]
fn a_lost_block_of_five_encoders() {
    for data in ENCODERS {
        let (name, blocks) = sequence(data);
        for lost in 0..blocks.len() {
            let mut decoder = Decoder::new();
            for (number, (block, truth)) in blocks.iter().enumerate() {
                if number == lost {
                    decoder.lose();
                    continue;
                }
                let unknown = compare(&mut decoder, block, truth);
                let is_known = number < lost || (lost < 20 && number >= 20);
                assert!(
                    unknown == 0 || !is_known,
                    "{name}, blocks {lost} and {number}"
                );
            }
        }
    }
}

/// A connection that is joined before any block is understood in part at once, and as a whole
/// when the table has turned over.
#[test]
fn joining_five_encoders() {
    for data in ENCODERS {
        let (name, blocks) = sequence(data);
        for start in 1..blocks.len() {
            let mut decoder = Decoder::uncertain();
            let mut unknown = 0;
            for (block, truth) in &blocks[start..] {
                unknown = compare(&mut decoder, block, truth);
            }
            assert!(unknown == 0 || start > 45, "{name}, from block {start}");
        }
    }
}
