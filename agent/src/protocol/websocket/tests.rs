//! Tests.

use proptest::{collection::vec, prelude::*};

use super::{Counts, Event, FrameReader, Invalid, Sender};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame whose first byte is `first`.
fn frame(sender: Sender, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = if sender == Sender::Client { 0x80 } else { 0 };
    let length = payload.len();
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(mask + u8::try_from(length).unwrap()),
        126..65536 => {
            bytes.push(mask + 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(mask + 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    if sender == Sender::Client {
        bytes.extend(MASK);
        bytes.extend(
            payload
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// Reads parts, of which some are only passed over.
fn read(reader: &mut FrameReader, parts: &[Result<&[u8], u64>]) -> Vec<Event> {
    let mut events = Vec::new();
    for part in parts {
        match part {
            Ok(bytes) => {
                let mut rest = *bytes;
                loop {
                    let step = reader.feed(rest);
                    rest = &rest[step.consumed..];
                    match step.event {
                        Event::Partial => break,
                        event => events.push(event),
                    }
                }
                assert!(rest.is_empty());
            }
            Err(count) => {
                let mut rest = *count;
                while rest > 0 {
                    let step = reader.skip(rest);
                    rest -= step.consumed;
                    if step.event != Event::Partial {
                        events.push(step.event);
                    }
                }
            }
        }
    }
    events
}

fn whole(sender: Sender, bytes: &[u8]) -> (Vec<Event>, Option<Counts>) {
    let mut reader = FrameReader::new(sender);
    let events = read(&mut reader, &[Ok(bytes)]);
    (events, reader.counts())
}

#[test]
fn examples_of_the_rfc() {
    // Section 5.7.
    for (sender, bytes) in [
        (Sender::Server, &b"\x81\x05Hello"[..]),
        (
            Sender::Client,
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        ),
        (Sender::Server, b"\x01\x03Hel\x80\x02lo"),
        (Sender::Server, b"\x01\x03Hel\x89\x05Hello\x80\x02lo"),
    ] {
        let counts = Counts {
            messages: 1,
            payload: 5,
        };
        assert_eq!(
            whole(sender, bytes),
            (vec![Event::Message], Some(counts)),
            "{bytes:?}"
        );
    }
    for length in [256, 65536] {
        let bytes = frame(Sender::Server, 0x82, &vec![7; length]);
        let counts = Counts {
            messages: 1,
            payload: length as u64,
        };
        assert_eq!(whole(Sender::Server, &bytes).1, Some(counts));
    }
}

#[test]
fn closing() {
    for sender in [Sender::Client, Sender::Server] {
        for (payload, code) in [
            (&b""[..], None),
            (b"\x03", None),
            (b"\x03\xe8", Some(1000)),
            (b"\x03\xf3going", Some(1011)),
        ] {
            let bytes = [
                frame(sender, 0x81, b"x"),
                frame(sender, 0x8a, b""),
                frame(sender, 0x88, payload),
            ]
            .concat();
            let (events, counts) = whole(sender, &bytes);
            assert_eq!(events, [Event::Message, Event::Close { code }]);
            assert_eq!(counts.unwrap().messages, 1);
            // The second Close does not have the first one's code.
            let again = [frame(sender, 0x88, b"\x03\xe9"), frame(sender, 0x88, b"")].concat();
            let events = whole(sender, &again).0;
            assert_eq!(events[1], Event::Close { code: None });
        }
    }
}

#[test]
fn what_is_no_frame() {
    for (bytes, invalid) in [
        (&b"\x83\0"[..], Invalid::Type),
        (b"\x8b\0", Invalid::Type),
        (b"\xa1\0", Invalid::Type),
        (b"\xc9\0", Invalid::Type),
        (b"\x09\0", Invalid::Control),
        (b"\x88\x7e\0\x7e", Invalid::Control),
        (b"\x82\x7e\0\x7d", Invalid::Length),
        (b"\x82\x7f\0\0\0\0\0\0\xff\xff", Invalid::Length),
        (b"\x82\x7f\x80\0\0\0\0\0\0\0", Invalid::Length),
        (b"\x81\x80\0\0\0\0", Invalid::Mask),
        (b"\x80\0", Invalid::Fragment),
        (b"\x01\0\x81\0", Invalid::Fragment),
    ] {
        let (events, counts) = whole(Sender::Server, bytes);
        assert_eq!(events, [Event::Invalid(invalid)], "{bytes:?}");
        assert_eq!(counts, None);
    }
    let (events, _) = whole(Sender::Client, b"\x81\0");
    assert_eq!(events, [Event::Invalid(Invalid::Mask)]);
}

#[test]
fn payload_that_was_never_copied() {
    let mut reader = FrameReader::new(Sender::Client);
    let bytes = frame(Sender::Client, 0xc2, &[0; 300]);
    let close = frame(Sender::Client, 0x88, b"\x03\xe8");
    let events = read(
        &mut reader,
        &[
            Ok(&bytes[..8]),
            Err(290),
            Err(10),
            Ok(&bytes[..20]),
            Err(288),
            Ok(&close[..6]),
            Err(2),
            Ok(&close[..7]),
            Err(1),
        ],
    );
    let unread = Event::Close { code: None };
    assert_eq!(events, [Event::Message, Event::Message, unread, unread]);
    assert_eq!(
        reader.counts(),
        Some(Counts {
            messages: 2,
            payload: 600
        })
    );
    assert_eq!(read(&mut reader, &[Err(1), Ok(&bytes)]), [Event::Lost]);
    assert_eq!((reader.counts(), reader.is_in_step()), (None, false));
}

#[test]
fn getting_into_step() {
    let call = [
        frame(Sender::Client, 0x00, b"the end of"),
        frame(Sender::Client, 0x80, b"a message"),
        frame(Sender::Client, 0x82, &[1; 500]),
    ]
    .concat();
    let mut reader = FrameReader::new(Sender::Client);
    reader.lose();
    assert!(!reader.resync(&call[1..], 0));
    assert!(!reader.resync(&call[..call.len() - 1], 0));
    assert!(!reader.resync(&call, 1));
    assert!(!reader.resync(&[], 0));
    assert!(!reader.is_in_step());
    assert!(reader.resync(&call[..100], call.len() as u64 - 100));
    assert!(reader.resync(&call, 0));
    let events = read(
        &mut reader,
        &[Ok(&call), Ok(&frame(Sender::Client, 0x88, b"\x03\xe8"))],
    );
    let close = Event::Close { code: Some(1000) };
    assert_eq!(events, [Event::Message, Event::Message, close]);
    assert_eq!(reader.counts(), None);
}

fn frames(sender: Sender) -> impl Strategy<Value = Vec<u8>> {
    let payload = || vec(any::<u8>(), 0..200);
    let message = prop_oneof![
        payload().prop_map(move |payload| frame(sender, 0x81, &payload)),
        payload().prop_map(move |payload| frame(sender, 0xc2, &payload)),
        vec(payload(), 1..4).prop_map(move |parts| {
            let mut bytes = frame(sender, 0x01, b"first");
            for part in parts {
                bytes.extend(frame(sender, 0x00, &part));
                bytes.extend(frame(sender, 0x89, b"ping"));
            }
            [bytes, frame(sender, 0x80, b"")].concat()
        }),
        Just(frame(sender, 0x8a, b"pong")),
        Just(frame(sender, 0x88, b"\x03\xe8bye")),
    ];
    vec(message, 1..6).prop_map(|messages| messages.concat())
}

fn streams() -> impl Strategy<Value = (Sender, Vec<u8>)> {
    prop_oneof![
        frames(Sender::Client).prop_map(|bytes| (Sender::Client, bytes)),
        frames(Sender::Server).prop_map(|bytes| (Sender::Server, bytes)),
    ]
}

proptest! {
    #[test]
    fn splitting_changes_nothing((sender, bytes) in streams(), cut: usize) {
        let expected = whole(sender, &bytes);
        let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
        let singles: Vec<_> = bytes.chunks(1).map(Ok).collect();
        for parts in [vec![Ok(first), Ok(second)], singles] {
            let mut reader = FrameReader::new(sender);
            let events = read(&mut reader, &parts);
            prop_assert_eq!(&(events, reader.counts()), &expected);
        }
        prop_assert!(FrameReader::new(sender).resync(&bytes, 0));
    }

    /// Whatever part is not copied, what is counted is right or unknown.
    #[test]
    fn holes_give_no_wrong_count((sender, bytes) in streams(), start: usize, length in 1usize..300) {
        let (_, expected) = whole(sender, &bytes);
        let start = start % (bytes.len() + 1);
        let end = (start + length).min(bytes.len());
        let mut reader = FrameReader::new(sender);
        read(
            &mut reader,
            &[Ok(&bytes[..start]), Err((end - start) as u64), Ok(&bytes[end..])],
        );
        if let Some(counts) = reader.counts() {
            prop_assert_eq!(Some(counts), expected);
        }
    }

    #[test]
    fn foreign_bytes_never_panic(
        parts in vec((vec(prop_oneof![any::<u8>(), Just(0x81), Just(0x7f), Just(0)], 0..40), any::<u64>()), 0..9),
        is_client: bool,
    ) {
        let sender = if is_client { Sender::Client } else { Sender::Server };
        let mut reader = FrameReader::new(sender);
        for (bytes, skip) in &parts {
            read(&mut reader, &[Ok(bytes)]);
            if skip % 3 == 0 {
                read(&mut reader, &[Err(*skip)]);
            }
            reader.resync(bytes, skip % 50);
        }
    }
}
