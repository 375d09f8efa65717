//! Bytes that were never copied, and getting into step again.

use proptest::prelude::*;

use super::{
    super::{FieldName, FrameReader, Value},
    bytes::*,
    reading::frames,
};

#[test]
fn content_that_was_never_copied() {
    let mut reader = FrameReader::server();
    let parts = [
        Part::Copied(&header(1000, DATA, 0, 1)),
        Part::Copied(&[7; 16]),
        Part::Skipped(984),
        Part::Copied(&header(300, DATA, 9, 1)),
        Part::Copied(&[10, 8, 8]),
        Part::Skipped(290),
        Part::Skipped(7),
        Part::Copied(&frame(RST_STREAM, 0, 3, &[0; 4])),
    ];
    assert_eq!(
        read(&mut reader, &parts),
        [
            Seen::Data(1, [vec![7; 16], vec![8; 2]].concat(), 1289, true),
            Seen::Rst(3, Some(0)),
        ]
    );
    assert!(reader.is_between_frames());
}

#[test]
fn padding_that_was_never_told() {
    let mut reader = FrameReader::server();
    let parts = [
        Part::Copied(&header(300, DATA, 9, 1)),
        Part::Skipped(20),
        Part::Copied(&[0; 280]),
        Part::Copied(&frame(RST_STREAM, 0, 3, &[0; 4])),
    ];
    assert_eq!(
        read(&mut reader, &parts),
        [Seen::Unmeasured(1, true), Seen::Rst(3, Some(0))]
    );
}

#[test]
fn a_hole_in_a_header_block() {
    let block = [
        &[0x88][..],
        &indexed("content-type", "application/grpc"),
        &literal("grpc-message", "a long one"),
    ]
    .concat();
    let bytes = frame(HEADERS, 5, 1, &block);
    for cut in 10..bytes.len() {
        let mut reader = FrameReader::server();
        let parts = [
            Part::Copied(&bytes[..cut]),
            Part::Skipped((bytes.len() - cut) as u64),
            Part::Copied(&frame(HEADERS, 4, 3, &[0xbe])),
        ];
        let seen = read(&mut reader, &parts);
        let [
            Seen::Headers(1, true, first, 0, length),
            Seen::Headers(3, false, second, ..),
        ] = &seen[..]
        else {
            panic!("{cut}: {seen:?}");
        };
        assert_eq!(*length, cut as u64);
        assert!(first.truncated && first.error.is_none());
        assert_eq!(first.get(FieldName::Status), Value::Known("200"));
        assert_ne!(first.get(FieldName::GrpcMessage), Value::Absent);
        assert_ne!(first.get(FieldName::Traceparent), Value::Absent);
        // What that block inserted was not all seen.
        assert_eq!(second.get(FieldName::ContentType), Value::Unknown);
        assert!(second.hidden);
    }
}

#[test]
fn a_hole_before_the_continuation() {
    let mut reader = FrameReader::server();
    let parts = [
        Part::Copied(&frame(HEADERS, 0, 1, &[0x88])),
        Part::Skipped(9),
        Part::Copied(&frame(HEADERS, 4, 3, &[0x88])),
    ];
    let seen = read(&mut reader, &parts);
    let [Seen::Headers(1, false, head, 0, 10), Seen::Lost] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(head.truncated);
    assert!(!reader.is_in_step());
}

#[test]
fn holes_in_other_frames() {
    let mut reader = FrameReader::server();
    let parts = [
        Part::Copied(&header(4, RST_STREAM, 0, 3)),
        Part::Skipped(4),
        Part::Copied(&header(12, SETTINGS, 0, 0)),
        Part::Copied(&[0, 1, 0]),
        Part::Skipped(9),
        Part::Copied(&header(9, GOAWAY, 0, 0)),
        Part::Copied(&[0, 0, 0]),
        Part::Skipped(5),
        Part::Copied(&[0]),
        Part::Copied(&frame(DATA, 1, 5, &[])),
        Part::Skipped(1),
    ];
    assert_eq!(
        read(&mut reader, &parts),
        [
            Seen::Rst(3, None),
            Seen::Data(5, vec![], 0, true),
            Seen::Lost,
        ]
    );
}

#[test]
fn losing_the_place() {
    let mut reader = FrameReader::server();
    let bytes = frame(HEADERS, 4, 1, &indexed("te", "x"));
    read(&mut reader, &[Part::Copied(&bytes)]);
    read(&mut reader, &[Part::Copied(&bytes[..12])]);
    assert!(reader.lose().is_some());
    assert!(!reader.is_in_step() && reader.lose().is_none());
    assert_eq!(read(&mut reader, &[Part::Copied(&bytes)]), []);
    assert!(reader.resync(&bytes, 0));
    let seen = read(
        &mut reader,
        &[
            Part::Copied(&bytes),
            Part::Copied(&frame(HEADERS, 4, 1, &[0xbe, 0xbf])),
        ],
    );
    let [
        Seen::Headers(1, _, first, ..),
        Seen::Headers(1, _, second, ..),
    ] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert!(!first.hidden);
    assert!(second.hidden);
    assert_eq!(known(second), [(FieldName::Te, "x")]);
}

#[test]
fn a_connection_that_begins_while_out_of_step() {
    let mut reader = FrameReader::out_of_step();
    let bytes = [preface(), frame(SETTINGS, 0, 0, &[])].concat();
    assert!(reader.resync(&bytes, 0));
    read(&mut reader, &[Part::Copied(&bytes)]);
    assert!(reader.is_in_step() && reader.is_certain());
}

/// What is known of a head is the truth.
fn is_part_of(part: &Seen, truth: &[Seen]) -> bool {
    let Seen::Headers(stream, end, head, position, length) = part else {
        return truth.contains(part);
    };
    truth.iter().any(|whole| {
        let Seen::Headers(stream2, end2, whole, position2, length2) = whole else {
            return false;
        };
        (stream, end, position) == (stream2, end2, position2)
            && (length == length2 || (head.truncated && length < length2))
            && head.fields.iter().all(|field| whole.fields.contains(field))
            && [FieldName::Te, FieldName::ContentType, FieldName::GrpcStatus]
                .into_iter()
                .all(|name| match head.get(name) {
                    Value::Known(value) => whole.all(name).any(|other| other == value),
                    Value::Absent => whole.get(name) == Value::Absent,
                    Value::Unknown => true,
                })
    })
}

proptest! {
    #[test]
    fn the_first_part_gives_the_first_part(frames in frames(), cut: usize) {
        let bytes = frames.concat();
        let whole = server(&bytes);
        let cut = cut % (bytes.len() + 1);
        let mut reader = FrameReader::server();
        let part = read(&mut reader, &[Part::Copied(&bytes[..cut])]);
        for (part, whole) in part.iter().zip(&whole) {
            let (Seen::Data(stream, bytes, ..), Seen::Data(stream2, bytes2, ..)) = (part, whole)
            else {
                prop_assert_eq!(part, whole);
                continue;
            };
            prop_assert_eq!(stream, stream2);
            prop_assert!(bytes2.starts_with(bytes));
        }
    }

    /// A run of frames is lost. Whatever is read behind it is a part of the truth.
    #[test]
    fn a_lost_range_gives_nothing_false(frames in frames(), first: usize, length: usize) {
        let truth = server(&frames.concat());
        let first = first % frames.len();
        let behind = first + length % (frames.len() - first + 1);
        let (before, lost, after) = (
            frames[..first].concat(),
            frames[first..behind].concat(),
            frames[behind..].concat(),
        );
        let mut reader = FrameReader::server();
        let mut parts = vec![Part::Copied(&before), Part::Skipped(lost.len() as u64)];
        let mut seen = read(&mut reader, &parts);
        if !reader.is_in_step() && reader.resync(&after, 0) {
            // Positions count from the connection's start.
            parts.push(Part::Copied(&after));
            let mut behind = read(&mut reader, &parts[2..]);
            let start = (before.len() + lost.len()) as u64;
            for one in &mut behind {
                match one {
                    Seen::Headers(_, _, _, at, _) | Seen::Push(_, _, _, at) => {
                        *at = at.wrapping_add(start);
                    }
                    _ => {}
                }
            }
            seen.extend(behind);
        }
        for one in &seen {
            match one {
                // Content is put together over the frames between which it lies.
                Seen::Data(..) | Seen::Lost => {}
                _ => prop_assert!(is_part_of(one, &truth), "{:?} of {:?}", one, truth),
            }
        }
    }
}
