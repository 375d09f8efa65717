//! What is read of whole frames, however they are split.

use proptest::{collection::vec, prelude::*};

use super::{
    super::{FieldName, FrameReader, HeaderBlock, Invalid, MAX_BLOCK, Settings, Value},
    bytes::*,
};

fn only_head(seen: &[Seen]) -> &HeaderBlock {
    match seen {
        [Seen::Headers(_, _, head, _, _)] => head,
        _ => panic!("{seen:?}"),
    }
}

#[test]
fn a_request_and_its_body() {
    let settings = [preface(), frame(SETTINGS, 0, 0, &[0, 5, 0, 1, 0, 0])].concat();
    let block = [
        &[0x82, 0x86, 0x84][..],
        &literal(":authority", "h:1"),
        &literal("traceparent", "00-1"),
        &literal("accept", "*/*"),
    ]
    .concat();
    let bytes = [
        settings.clone(),
        frame(HEADERS, 0x04, 1, &block),
        frame(DATA, 0, 1, b"abc"),
        frame(PING, 0, 0, &[0; 8]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(0x20, 0xff, 7, b"an extension"),
        frame(DATA, 0x09, 1, b"\x02de\0\0"),
    ]
    .concat();
    let seen = read(&mut FrameReader::client(), &[Part::Copied(&bytes)]);
    let [
        Seen::Settings(found),
        Seen::Headers(1, false, head, position, length),
        Seen::Data(1, content, 5, true),
    ] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert_eq!(found.max_frame_size, Some(65536));
    assert_eq!(*position, settings.len() as u64);
    assert_eq!(*length, 9 + block.len() as u64);
    assert_eq!(content, b"abcde");
    assert_eq!(
        known(head),
        [
            (FieldName::Method, "GET"),
            (FieldName::Scheme, "http"),
            (FieldName::Path, "/"),
            (FieldName::Authority, "h:1"),
            (FieldName::Traceparent, "00-1"),
        ]
    );
    assert_eq!(head.get(FieldName::Protocol), Value::Absent);
}

#[test]
fn padding_and_priority_are_removed() {
    let bytes = frame(
        HEADERS,
        0x2d,
        3,
        &[3, 0x80, 0, 0, 1, 255, 0x88, 0xff, 0xff, 0xff],
    );
    let seen = server(&bytes);
    assert_eq!(known(only_head(&seen)), [(FieldName::Status, "200")]);
    assert!(matches!(seen[..], [Seen::Headers(3, true, _, 0, 19)]));
}

#[test]
fn continuations_are_merged() {
    let block = [&[0x88][..], &indexed("grpc-status", "13")].concat();
    for cut in 0..=block.len() {
        let bytes = [
            frame(HEADERS, 0x09, 5, &[&[1], &block[..cut], &[0]].concat()),
            frame(CONTINUATION, 0, 5, &[]),
            frame(CONTINUATION, 4, 5, &block[cut..]),
            frame(HEADERS, 5, 5, &[0xbe]),
        ]
        .concat();
        let seen = server(&bytes);
        let [
            Seen::Headers(5, true, first, 0, length),
            Seen::Headers(5, true, second, position, 10),
        ] = &seen[..]
        else {
            panic!("{seen:?}");
        };
        assert_eq!(first.get(FieldName::Status), Value::Known("200"));
        assert_eq!(first.get(FieldName::GrpcStatus), Value::Known("13"));
        assert_eq!(known(second), [(FieldName::GrpcStatus, "13")]);
        assert_eq!(*length, 29 + block.len() as u64);
        assert_eq!(position, length);
    }
}

#[test]
fn other_frames() {
    let bytes = [
        frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 2, 0, 0, 9, 1, 1, 1, 1]),
        frame(SETTINGS, 1, 0, &[]),
        frame(PUSH_PROMISE, 0x0c, 1, &[1, 0x80, 0, 0, 2, 0x82, 0]),
        frame(PRIORITY, 0, 9, &[0; 5]),
        frame(DATA, 0, 1, &[]),
        frame(DATA, 1, 1, &[]),
        frame(RST_STREAM, 0, 3, &[0, 0, 0, 8]),
        frame(GOAWAY, 0, 0, b"\x80\0\0\x07\0\0\0\x0bwhy"),
        frame(RST_STREAM, 0, 5, &[0, 0, 0, 7]),
    ]
    .concat();
    let seen = server(&bytes);
    let Seen::Push(1, 2, pushed, 30) = &seen[2] else {
        panic!("{seen:?}");
    };
    assert_eq!(known(pushed), [(FieldName::Method, "GET")]);
    let settings = Settings {
        header_table_size: Some(512),
        ..Settings::default()
    };
    let confirmed = Settings {
        ack: true,
        ..Settings::default()
    };
    assert_eq!(
        seen,
        [
            Seen::Settings(settings),
            Seen::Settings(confirmed),
            seen[2].clone(),
            Seen::Data(1, vec![], 0, true),
            Seen::Rst(3, Some(8)),
            Seen::GoAway(7, 11),
            Seen::Rst(5, Some(7)),
        ]
    );
}

#[test]
fn what_is_not_http2() {
    for (bytes, invalid) in [
        (frame(DATA, 0, 0, b"x"), Invalid::Stream),
        (frame(HEADERS, 4, 0, &[0x88]), Invalid::Stream),
        (frame(SETTINGS, 0, 1, &[]), Invalid::Stream),
        (frame(PING, 0, 3, &[0; 8]), Invalid::Stream),
        (frame(PING, 0, 0, &[0; 7]), Invalid::Length),
        (frame(SETTINGS, 0, 0, &[0; 7]), Invalid::Length),
        (frame(SETTINGS, 1, 0, &[0; 6]), Invalid::Length),
        (frame(RST_STREAM, 0, 1, &[0; 5]), Invalid::Length),
        (frame(PRIORITY, 0, 1, &[0; 4]), Invalid::Length),
        (frame(GOAWAY, 0, 0, &[0; 7]), Invalid::Length),
        (frame(WINDOW_UPDATE, 0, 0, &[0; 3]), Invalid::Length),
        (header(16385, DATA, 0, 1), Invalid::Length),
        (frame(DATA, 8, 1, &[]), Invalid::Padding),
        (frame(DATA, 8, 1, &[1]), Invalid::Padding),
        (frame(HEADERS, 0x0c, 1, &[2, 0x88]), Invalid::Padding),
        (frame(HEADERS, 0x24, 1, &[0; 4]), Invalid::Padding),
        (frame(CONTINUATION, 4, 1, &[]), Invalid::Continuation),
        (
            [
                frame(HEADERS, 0, 1, &[0x88]),
                frame(CONTINUATION, 4, 3, &[]),
            ]
            .concat(),
            Invalid::Continuation,
        ),
        (
            [frame(HEADERS, 0, 1, &[0x88]), frame(DATA, 1, 1, &[])].concat(),
            Invalid::Continuation,
        ),
    ] {
        assert_eq!(server(&bytes), [Seen::Invalid(invalid)], "{bytes:?}");
    }
    let mut reader = FrameReader::client();
    let parts = [Part::Copied(b"PRI * HTTP/1"), Part::Copied(b"")];
    assert_eq!(read(&mut reader, &parts), [Seen::Invalid(Invalid::Preface)]);
    assert!(!reader.is_in_step());
}

#[test]
fn frame_sizes_that_settings_allow() {
    let mut reader = FrameReader::server();
    reader.allow_frame_size(20000);
    let bytes = frame(DATA, 1, 1, &vec![7; 20000]);
    let seen = read(&mut reader, &[Part::Copied(&bytes)]);
    assert_eq!(seen, [Seen::Data(1, vec![7; 20000], 20000, true)]);
    let bytes = header(20001, DATA, 0, 1);
    let seen = read(&mut reader, &[Part::Copied(&bytes)]);
    assert_eq!(seen, [Seen::Invalid(Invalid::Length)]);
}

#[test]
fn a_block_that_cannot_be_decoded_leaves_the_frames_in_step() {
    let bytes = [
        frame(HEADERS, 4, 1, &[0x88, 0xbe]),
        frame(HEADERS, 4, 3, &[&[0x88][..], &indexed("te", "x")].concat()),
        frame(HEADERS, 4, 5, &[0xbe, 0xbf]),
    ]
    .concat();
    let mut reader = FrameReader::server();
    let seen = read(&mut reader, &[Part::Copied(&bytes)]);
    let [
        Seen::Headers(1, _, first, ..),
        Seen::Headers(3, _, second, ..),
        Seen::Headers(5, _, third, ..),
    ] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert!(first.error.is_some() && first.hidden && first.fields.is_empty());
    assert_eq!(first.get(FieldName::Status), Value::Unknown);
    assert!(!second.hidden && second.error.is_none());
    assert_eq!(known(third), [(FieldName::Te, "x")]);
    assert_eq!(third.get(FieldName::GrpcStatus), Value::Unknown);
    assert_eq!(third.get(FieldName::Status), Value::Absent);
    assert!(third.hidden && !reader.is_certain());
}

#[test]
fn blocks_without_end_are_cut_and_passed_over() {
    let mut reader = FrameReader::server();
    let mut bytes = frame(HEADERS, 1, 1, &[&[0x88][..], &literal("te", "x")].concat());
    let long = [&[0][..], &[0x7f, 0x80, 0x7f], &[b'n'; 16000]].concat();
    for _ in 0..9 {
        bytes.extend(frame(CONTINUATION, 0, 1, &long));
    }
    bytes.extend(frame(CONTINUATION, 4, 1, &[0x88]));
    bytes.extend(frame(HEADERS, 4, 3, &[0x88, 0xbe]));
    let seen = read(&mut reader, &[Part::Copied(&bytes)]);
    let [
        Seen::Headers(1, true, first, 0, length),
        Seen::Headers(3, false, second, ..),
    ] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert!(*length < MAX_BLOCK as u64 + 100);
    assert!(first.truncated && first.error.is_none());
    assert_eq!(first.get(FieldName::Status), Value::Known("200"));
    assert_eq!(first.get(FieldName::Path), Value::Absent);
    assert_eq!(first.get(FieldName::GrpcStatus), Value::Unknown);
    assert!(second.hidden && !second.truncated);
}

#[test]
fn fields_that_are_repeated_without_end() {
    let mut block = vec![0x88];
    for _ in 0..100 {
        block.extend(literal("tracestate", "a=1"));
    }
    block.extend(literal("grpc-status", "0"));
    let seen = server(&frame(HEADERS, 4, 1, &block));
    let head = only_head(&seen);
    assert_eq!(head.fields.len(), 64);
    assert_eq!(head.get(FieldName::GrpcStatus), Value::Unknown);
    assert_eq!(head.get(FieldName::GrpcMessage), Value::Absent);
}

/// Frames of a server's direction, each with its bytes.
pub(super) fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let stream = || (0u32..4).prop_map(|n| 2 * n + 1);
    let block = vec(
        prop_oneof![
            Just(vec![0x88]),
            Just(vec![0xbe]),
            Just(literal("grpc-status", "0")),
            "[a-z]{0,9}".prop_map(|value| indexed("content-type", &value)),
            "[a-z]{0,9}".prop_map(|name| indexed(&name, "value")),
        ],
        0..5,
    )
    .prop_map(|fields| [indexed("te", "first"), fields.concat()].concat());
    let one = prop_oneof![
        (stream(), vec(any::<u8>(), 0..40), 0u8..2)
            .prop_map(|(stream, content, end)| frame(DATA, end, stream, &content)),
        (stream(), vec(any::<u8>(), 0..40), 0u8..9).prop_map(|(stream, content, padding)| {
            let payload = [&[padding][..], &content, &vec![0; padding.into()]].concat();
            frame(DATA, 9, stream, &payload)
        }),
        (stream(), block.clone()).prop_map(|(stream, block)| frame(HEADERS, 4, stream, &block)),
        (stream(), block, 0usize..99).prop_map(|(stream, block, cut)| {
            let (first, second) = block.split_at(cut % (block.len() + 1));
            let first = [&[2, 0, 0, 0, 0, 16][..], first, &[0, 0]].concat();
            [
                frame(HEADERS, 0x29, stream, &first),
                frame(CONTINUATION, 4, stream, second),
            ]
            .concat()
        }),
        stream().prop_map(|stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])),
        Just(frame(
            SETTINGS,
            0,
            0,
            &[0, 1, 0, 0, 16, 0, 0, 5, 0, 0, 64, 0]
        )),
        Just(frame(SETTINGS, 1, 0, &[])),
        Just(frame(PING, 0, 0, &[1; 8])),
        Just(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0])),
        Just(frame(GOAWAY, 0, 0, b"\0\0\0\x05\0\0\0\0bye")),
        Just(frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x82])),
        Just(frame(0xfa, 0x55, 1, b"extension")),
    ];
    vec(one, 1..12)
}

proptest! {
    #[test]
    fn splitting_changes_nothing(frames in frames(), cut: usize) {
        let bytes = frames.concat();
        let whole = server(&bytes);
        let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
        let halves = read(
            &mut FrameReader::server(),
            &[Part::Copied(first), Part::Copied(second)],
        );
        prop_assert_eq!(&halves, &whole);
        let singles: Vec<_> = bytes.chunks(1).map(Part::Copied).collect();
        prop_assert_eq!(&read(&mut FrameReader::server(), &singles), &whole);
    }

    #[test]
    fn foreign_bytes_never_panic(
        parts in vec(
            (vec(prop_oneof![any::<u8>(), Just(0), Just(1), Just(4), Just(9)], 0..60), any::<u64>()),
            0..20,
        ),
        start in 0usize..9,
    ) {
        let beginnings = [
            vec![],
            header(30, HEADERS, 0x2c, 1),
            header(30, HEADERS, 0, 1),
            header(30, CONTINUATION, 0, 1),
            header(30, DATA, 9, 1),
            header(30, PUSH_PROMISE, 12, 1),
            header(30, SETTINGS, 0, 0),
            header(30, GOAWAY, 0, 0),
            header(4, RST_STREAM, 0, 1),
        ];
        let mut reader = FrameReader::server();
        read(&mut reader, &[Part::Copied(&beginnings[start])]);
        for (bytes, skip) in &parts {
            read(&mut reader, &[Part::Copied(bytes), Part::Skipped(skip % 50)]);
            if skip % 7 == 0 {
                reader.lose();
            }
            if !reader.is_in_step() {
                reader.resync(&[&beginnings[start][..], bytes].concat(), *skip);
            }
        }
    }
}
