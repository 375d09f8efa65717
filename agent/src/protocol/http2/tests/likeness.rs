//! Telling HTTP/2 from other bytes.

use proptest::{collection::vec, prelude::*};

use super::{
    super::{Event, FrameReader, PREFACE, like_frames, like_preface},
    bytes::*,
    reading::frames,
};
use crate::protocol::http1::Likeness;

#[test]
fn prefaces() {
    for length in 0..PREFACE.len() {
        assert_eq!(like_preface(&PREFACE[..length]), Likeness::Partly);
    }
    assert_eq!(like_preface(PREFACE), Likeness::Yes);
    assert_eq!(
        like_preface(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"),
        Likeness::No
    );
    assert_eq!(like_preface(b"POST"), Likeness::No);
}

#[test]
fn frames_and_what_looks_like_them() {
    let like = |parts: &[Vec<u8>]| like_frames(&parts.concat());
    assert_eq!(like(&[frame(SETTINGS, 0, 0, &[])]), Likeness::Yes);
    assert_eq!(like(&[frame(PING, 0, 0, &[0; 8])]), Likeness::Yes);
    assert_eq!(like(&[header(100, DATA, 0, 1)]), Likeness::Partly);
    assert_eq!(
        like(&[frame(WINDOW_UPDATE, 0, 0, &[0; 4]), header(100, DATA, 0, 1)]),
        Likeness::Yes
    );
    assert_eq!(like_frames(&[0, 0, 4]), Likeness::Partly);
    for other in [
        // Messages of gRPC, of which the length is told in the same place.
        &b"\0\0\0\0\x05\x0a\x03foo"[..],
        b"\0\0\0\0\x09\x08\x01\x12\x03foo..",
        b"\0\0\0\x01\x08\x0a\x03foo",
        b"\x01\0\0\x01\x08\x0a\x03foo",
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc",
        b"\0\0\0\x08\x04\xd2\x16\x2f\0",
        &[0; 100],
        &[0xff; 100],
        &[&header(4, RST_STREAM, 0, 1)[..], &[0; 4], b"and more here"].concat(),
    ] {
        assert_eq!(like_frames(other), Likeness::No, "{other:?}");
    }
    for frame in [
        header(0, HEADERS, 4, 1),
        header(1, HEADERS, 0x0c, 1),
        header(5, HEADERS, 0x24, 1),
        header(5, HEADERS, 0x14, 1),
        header(5, CONTINUATION, 4, 1),
        header(5, DATA, 0, 0x8000_0001),
        header(16385, DATA, 0, 1),
        header(5, 10, 0, 1),
    ] {
        assert_eq!(like_frames(&frame), Likeness::No, "{frame:?}");
    }
}

#[test]
fn calls_that_were_not_copied_whole() {
    let in_step = |copied: &[u8], uncaptured| FrameReader::out_of_step().resync(copied, uncaptured);
    let data = header(1000, DATA, 0, 1);
    assert!(in_step(&[&data[..], &[0; 16]].concat(), 984));
    assert!(in_step(&[&data[..], &[0; 16]].concat(), 5000));
    // The rest of the payload comes with the next call.
    assert!(in_step(&[&data[..], &[0; 16]].concat(), 0));
    assert!(in_step(&data, 0));
    let headers = header(1000, HEADERS, 4, 1);
    assert!(in_step(&headers, 1000));
    assert!(!in_step(&headers, 999));
    let ping = frame(PING, 0, 0, &[0; 8]);
    assert!(in_step(&[&ping[..], &data[..5]].concat(), 5));
    assert!(!in_step(&[&ping[..], &data[..5]].concat(), 0));
    assert!(!in_step(&data[..5], 5));
    assert!(!in_step(&[], 0));
}

#[test]
fn a_header_and_its_payload_by_calls_of_their_own() {
    let payload = b"\x82\x86\x84\x41\x01a";
    let begin = header(6, HEADERS, 5, 1);
    let mut reader = FrameReader::out_of_step();
    assert!(!reader.resync(&begin, 0));
    // As much as is there of the payload.
    assert!(reader.resync(&payload[..4], 0));
    let mut rest = &payload[..];
    let event = loop {
        let step = reader.feed(rest);
        rest = &rest[step.consumed..];
        if step.event != Event::Partial || rest.is_empty() {
            break step.event;
        }
    };
    assert!(matches!(event, Event::Headers(_)), "{event:?}");
    assert!(reader.is_between_frames());

    // More than the payload, nothing, a loss in between, or no header to begin with.
    for (first, second, uncaptured) in [
        (&begin[..], &payload[..], 1),
        (&begin[..8], &payload[..], 0),
        (&header(6, CONTINUATION, 4, 1), &payload[..], 0),
        (&begin[..], b"", 0),
    ] {
        let mut reader = FrameReader::out_of_step();
        assert!(!reader.resync(first, 0));
        assert!(!reader.resync(second, uncaptured));
    }
    let mut reader = FrameReader::out_of_step();
    assert!(!reader.resync(&begin, 0));
    assert_eq!(reader.skip(1).event, Event::Lost);
    assert!(!reader.resync(payload, 0));
}

proptest! {
    #[test]
    fn frames_are_like_frames(frames in frames()) {
        let bytes: Vec<u8> = frames
            .into_iter()
            .filter(|frame| frame[3] <= 9)
            .flatten()
            .collect();
        prop_assume!(!bytes.is_empty());
        prop_assert_eq!(like_frames(&bytes), Likeness::Yes);
        prop_assert!(FrameReader::out_of_step().resync(&bytes, 0));
    }

    /// Printable bytes, which is what most other protocols and most content begin with.
    #[test]
    fn text_is_not_like_frames(bytes in vec(b' '..0x7f, 1..200)) {
        prop_assert_eq!(like_frames(&bytes), Likeness::No);
    }
}
