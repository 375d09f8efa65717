//! Tests.

use std::{hint::black_box, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::{collection::vec, prelude::*};

use super::{Flavor, MessageCounter, Outcome, Status, connect_timeout, message, timeout};

fn prefixed(flags: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flags], &length[..], message].concat()
}

fn counter(flavor: Flavor) -> MessageCounter {
    MessageCounter::new(flavor).unwrap()
}

fn count(flavor: Flavor, bytes: &[u8]) -> Option<u64> {
    let mut counter = counter(flavor);
    counter.feed(bytes);
    counter.count()
}

fn outcome(flavor: Flavor, bytes: &[u8]) -> Option<Outcome> {
    let mut counter = counter(flavor);
    counter.feed(bytes);
    counter.outcome()
}

#[test]
fn flavors() {
    for (content_type, has_version, flavor) in [
        ("application/grpc", false, Some(Flavor::Grpc)),
        ("application/grpc+proto", false, Some(Flavor::Grpc)),
        ("Application/gRPC; charset=utf-8", false, Some(Flavor::Grpc)),
        ("application/grpc-web", false, Some(Flavor::GrpcWeb)),
        ("application/grpc-web+json", true, Some(Flavor::GrpcWeb)),
        (
            "application/grpc-web-text+proto",
            false,
            Some(Flavor::GrpcWebText),
        ),
        (
            "application/connect+json",
            false,
            Some(Flavor::ConnectStream),
        ),
        ("application/proto", true, Some(Flavor::ConnectUnary)),
        ("application/json", true, Some(Flavor::ConnectUnary)),
        ("application/json", false, None),
        ("application/grpcx", false, None),
        ("application/connect", false, None),
        ("text/html", false, None),
        ("", false, None),
    ] {
        assert_eq!(
            Flavor::of(content_type, has_version),
            flavor,
            "{content_type}"
        );
    }
    assert!(MessageCounter::new(Flavor::ConnectUnary).is_none());
    assert!(Flavor::ConnectUnary.is_connect() && !Flavor::GrpcWeb.is_connect());
}

#[test]
fn statuses() {
    for code in 0..17 {
        let status = Status::from_code(code).unwrap();
        assert_eq!(u32::from(status.code()), code);
        assert_eq!(Status::from_field(&code.to_string()), Some(status));
        if status != Status::Ok {
            assert_eq!(Status::from_connect(&status.connect_name()), Some(status));
        }
    }
    assert_eq!(Status::DeadlineExceeded.name(), "DEADLINE_EXCEEDED");
    assert_eq!(Status::Unauthenticated.code(), 16);
    for value in ["17", "", "+1", "-1", "1 ", "x", "99999999999999999999"] {
        assert_eq!(Status::from_field(value), None, "{value}");
    }
    for name in ["ok", "OK", "NOT_FOUND", "cancelled_", ""] {
        assert_eq!(Status::from_connect(name), None, "{name}");
    }
    assert_eq!(Status::of_http(404), Status::Unimplemented);
    assert_eq!(Status::of_http(503), Status::Unavailable);
    assert_eq!(Status::of_http(418), Status::Unknown);
    assert_eq!(Status::of_reset(8), Status::Cancelled);
    assert_eq!(Status::of_reset(0), Status::Internal);
}

#[test]
fn deadlines() {
    for (value, expected) in [
        ("1n", Some(Duration::from_nanos(1))),
        ("20u", Some(Duration::from_micros(20))),
        ("300m", Some(Duration::from_millis(300))),
        ("4S", Some(Duration::from_secs(4))),
        ("5M", Some(Duration::from_mins(5))),
        ("99999999H", Some(Duration::from_hours(99_999_999))),
        ("100000000S", None),
        ("S", None),
        ("", None),
        ("5", None),
        ("5s", None),
        ("+5S", None),
        ("5.0S", None),
        ("5\u{b5}", None),
    ] {
        assert_eq!(timeout(value), expected, "{value}");
    }
    assert_eq!(
        connect_timeout("9999999999"),
        Some(Duration::from_millis(9_999_999_999))
    );
    for value in ["", "10000000000", "1s", "-1"] {
        assert_eq!(connect_timeout(value), None);
    }
}

#[test]
fn messages_for_people() {
    assert_eq!(message("plain"), "plain");
    assert_eq!(message("gr%C3%BCn 100%25 %zz %"), "gr\u{fc}n 100% %zz %");
    assert_eq!(message("%ff"), "\u{fffd}");
}

#[test]
fn messages_are_counted_when_they_are_whole() {
    let bytes = [
        prefixed(0, b""),
        prefixed(1, b"abc"),
        prefixed(0, &[0; 300]),
    ]
    .concat();
    assert_eq!(count(Flavor::Grpc, &bytes), Some(3));
    assert_eq!(count(Flavor::Grpc, &bytes[..bytes.len() - 1]), Some(2));
    assert_eq!(count(Flavor::Grpc, &bytes[..4]), Some(0));
    assert_eq!(count(Flavor::Grpc, b""), Some(0));
    assert_eq!(outcome(Flavor::Grpc, &bytes), None);
    for flags in [2, 3, 0x40, 0x80] {
        let bytes = [bytes.clone(), prefixed(flags, b"x")].concat();
        assert_eq!(count(Flavor::Grpc, &bytes), None);
    }
}

#[test]
fn messages_that_were_not_copied() {
    let mut messages = counter(Flavor::Grpc);
    messages.feed(&prefixed(0, b"0123456789")[..8]);
    messages.skip(7);
    assert_eq!(messages.count(), Some(1));
    messages.feed(&[0, 0, 0, 0, 9]);
    messages.skip(4);
    messages.feed(b"x");
    messages.skip(4);
    assert_eq!(messages.count(), Some(2));
    messages.feed(&[0]);
    messages.skip(4);
    assert_eq!(messages.count(), None);
    messages.feed(&prefixed(0, b""));
    assert_eq!(messages.count(), None);

    let mut messages = counter(Flavor::Grpc);
    messages.feed(&[0, 0, 0, 0, 9]);
    messages.skip(10);
    assert_eq!(messages.count(), None);
    let mut messages = counter(Flavor::Grpc);
    messages.skip(0);
    assert_eq!(messages.count(), Some(0));
    messages.skip(u64::MAX);
    assert_eq!(messages.count(), None);
}

#[test]
fn trailers_in_a_body() {
    let trailers = b"grpc-status: 5\r\nGrpc-Message:no%20such\r\nx: y\r\n";
    let bytes = [prefixed(0, b"abc"), prefixed(0x80, trailers)].concat();
    let expected = Outcome {
        status: Some(Status::NotFound),
        message: Some("no such".into()),
    };
    assert_eq!(count(Flavor::GrpcWeb, &bytes), Some(1));
    assert_eq!(outcome(Flavor::GrpcWeb, &bytes), Some(expected.clone()));
    assert_eq!(outcome(Flavor::GrpcWeb, &bytes[..8]), None);
    // The first line is whole, the second one is not.
    let cut = outcome(Flavor::GrpcWeb, &bytes[..40]).unwrap();
    assert_eq!((cut.status, cut.message), (Some(Status::NotFound), None));
    let cut = outcome(Flavor::GrpcWeb, &bytes[..8 + 5 + 14]).unwrap();
    assert_eq!((cut.status, cut.message), (None, None));
    let compressed = prefixed(0x81, trailers);
    assert_eq!(outcome(Flavor::GrpcWeb, &compressed), None);

    // Each part of the text has its padding.
    let text = [prefixed(0, b"abc"), prefixed(0x80, trailers)]
        .map(|part| STANDARD.encode(part))
        .concat();
    assert_eq!(count(Flavor::GrpcWebText, text.as_bytes()), Some(1));
    assert_eq!(
        outcome(Flavor::GrpcWebText, text.as_bytes()),
        Some(expected)
    );
    assert_eq!(count(Flavor::GrpcWebText, b"AAAA$AAA"), None);
    let mut messages = counter(Flavor::GrpcWebText);
    messages.feed(b"AAAAAAkx");
    messages.skip(4);
    assert_eq!(messages.count(), None);
}

#[test]
fn trailers_of_which_a_part_was_not_copied() {
    let trailers = b"grpc-status: 0\r\ngrpc-message: a long one\r\n";
    let bytes = prefixed(0x80, trailers);
    let mut messages = counter(Flavor::GrpcWeb);
    messages.feed(&bytes[..30]);
    messages.skip((bytes.len() - 30) as u64);
    let found = messages.outcome().unwrap();
    assert_eq!((found.status, found.message), (Some(Status::Ok), None));

    let long = [&trailers[..], &vec![b'x'; 20_000]].concat();
    let found = outcome(Flavor::GrpcWeb, &prefixed(0x80, &long));
    assert_eq!(found, None);
    let mut messages = counter(Flavor::GrpcWeb);
    for byte in prefixed(0x80, &long) {
        messages.feed(&[byte]);
    }
    assert!(messages.end_length() < 10_000);
    assert_eq!(messages.outcome().unwrap().status, Some(Status::Ok));
}

#[test]
fn the_end_of_a_connect_stream() {
    let end = |json: &[u8]| {
        let bytes = [prefixed(0, b"abc"), prefixed(2, json)].concat();
        assert_eq!(count(Flavor::ConnectStream, &bytes), Some(1));
        outcome(Flavor::ConnectStream, &bytes)
    };
    assert_eq!(end(b"{}").unwrap().status, Some(Status::Ok));
    assert_eq!(
        end(br#"{"metadata":{"a":["b"]}}"#).unwrap().status,
        Some(Status::Ok)
    );
    let failed = br#"{"error":{"code":"data_loss","message":"\u00fc","details":[]}}"#;
    assert_eq!(
        end(failed),
        Some(Outcome {
            status: Some(Status::DataLoss),
            message: Some("\u{fc}".into()),
        })
    );
    assert_eq!(end(b"[").clone(), None);
    let bytes = prefixed(2, failed);
    assert_eq!(
        outcome(Flavor::ConnectStream, &bytes[..bytes.len() - 1]),
        None
    );
    assert_eq!(outcome(Flavor::ConnectStream, &prefixed(3, failed)), None);

    let body = br#"{"code":"canceled"}"#;
    let error = Outcome::of_connect_error(body).unwrap();
    assert_eq!(error.status, Some(Status::Cancelled));
    assert_eq!(Outcome::of_connect_error(&body[..9]), None);
    assert_eq!(Outcome::of_connect_error(b"<html>"), None);
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    vec(
        (0u8..2, vec(any::<u8>(), 0..50)).prop_map(|(flags, message)| prefixed(flags, &message)),
        0..8,
    )
    .prop_map(|messages| messages.concat())
}

proptest! {
    #[test]
    fn splitting_changes_nothing(bytes in content(), cuts in vec(1usize..60, 1..20)) {
        let trailers = prefixed(0x80, b"grpc-status: 3\r\n");
        let binary = [bytes, trailers].concat();
        let text = STANDARD.encode(&binary).into_bytes();
        for (flavor, bytes) in [(Flavor::GrpcWeb, binary), (Flavor::GrpcWebText, text)] {
            let mut split = counter(flavor);
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (part, behind) = rest.split_at((*cut).min(rest.len()));
                split.feed(part);
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(split.count(), count(flavor, &bytes));
            prop_assert_eq!(split.outcome(), outcome(flavor, &bytes));
            prop_assert_eq!(split.outcome().unwrap().status, Some(Status::InvalidArgument));
        }
    }

    /// Whatever part is not copied, the count is right or unknown.
    #[test]
    fn holes_give_no_wrong_count(bytes in content(), start: usize, length in 1usize..80) {
        let start = start % (bytes.len() + 1);
        let end = (start + length).min(bytes.len());
        let mut messages = counter(Flavor::Grpc);
        messages.feed(&bytes[..start]);
        messages.skip((end - start) as u64);
        messages.feed(&bytes[end..]);
        if messages.count().is_some() {
            prop_assert_eq!(messages.count(), count(Flavor::Grpc, &bytes));
        }
    }

    #[test]
    fn foreign_bytes_never_panic(
        parts in vec((vec(prop_oneof![any::<u8>(), 0u8..4], 0..40), 0u64..99), 0..9),
        flavor in prop_oneof![
            Just(Flavor::Grpc),
            Just(Flavor::GrpcWeb),
            Just(Flavor::GrpcWebText),
            Just(Flavor::ConnectStream),
        ],
    ) {
        let mut messages = counter(flavor);
        for (bytes, skip) in &parts {
            messages.feed(bytes);
            messages.skip(*skip / 50);
            black_box(messages.outcome());
        }
    }

    #[test]
    fn foreign_values_never_panic(value in any::<String>(), bytes in vec(any::<u8>(), 0..60)) {
        black_box((
            (timeout(&value), connect_timeout(&value), message(&value)),
            (Status::from_field(&value), Status::from_connect(&value)),
            (Flavor::of(&value, false), Outcome::of_connect_error(&bytes)),
        ));
    }
}
