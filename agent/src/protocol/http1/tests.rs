//! Messages of RFC 9112 and hostile ones.

mod differential;
mod framing;

use std::fmt::Write as _;

use proptest::{collection::vec, prelude::*};

use super::{
    Answering, CutHead, Event, Invalid, Kind, Likeness, MAX_HEAD, MessageReader, Skipped,
    like_request, like_response,
};
use crate::protocol::http::{HeaderName, HttpVersion, RequestHead};

/// What a stream came to, with the position behind each event.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Request(RequestHead, usize, usize),
    Response(u16, HttpVersion, usize),
    Interim(usize),
    Complete(usize),
    HandedOver(usize),
    Invalid(Invalid),
}

fn read(kind: Kind, answering: Answering, parts: &[&[u8]]) -> Vec<Seen> {
    let mut reader = MessageReader::new(kind);
    let mut seen = Vec::new();
    let mut at = 0;
    for part in parts {
        let mut rest = *part;
        loop {
            let step = reader.feed(rest, answering);
            rest = &rest[step.consumed..];
            at += step.consumed;
            match step.event {
                Event::Partial => break,
                Event::Request { head, length, .. } => seen.push(Seen::Request(head, length, at)),
                Event::Response(head) => seen.push(Seen::Response(head.status, head.version, at)),
                Event::Interim(_) => seen.push(Seen::Interim(at)),
                Event::Complete => seen.push(Seen::Complete(at)),
                Event::HandedOver => {
                    seen.push(Seen::HandedOver(at));
                    return seen;
                }
                Event::Invalid(invalid) => {
                    seen.push(Seen::Invalid(invalid));
                    return seen;
                }
            }
        }
        assert!(rest.is_empty());
    }
    seen
}

fn request(bytes: &[u8]) -> Vec<Seen> {
    read(Kind::Request, Answering::Other, &[bytes])
}

fn response(bytes: &[u8]) -> Vec<Seen> {
    read(Kind::Response, Answering::Other, &[bytes])
}

fn head(bytes: &[u8]) -> RequestHead {
    match request(bytes).into_iter().next() {
        Some(Seen::Request(head, ..)) => head,
        other => panic!("no request but {other:?}"),
    }
}

/// Where the messages of a response stream end.
fn ends(seen: &[Seen]) -> Vec<usize> {
    seen.iter()
        .filter_map(|one| match one {
            Seen::Complete(at) => Some(*at),
            _ => None,
        })
        .collect()
}

#[test]
fn start_lines() {
    for (line, method, target, version) in [
        ("GET / HTTP/1.1", "GET", "/", HttpVersion::Http11),
        ("GET /a?b=c HTTP/1.0", "GET", "/a?b=c", HttpVersion::Http10),
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*", HttpVersion::Http11),
        (
            "CONNECT h:443 HTTP/1.1",
            "CONNECT",
            "h:443",
            HttpVersion::Http11,
        ),
        (
            "GET http://h/p HTTP/1.1",
            "GET",
            "http://h/p",
            HttpVersion::Http11,
        ),
        ("M-SEARCH * HTTP/1.1", "M-SEARCH", "*", HttpVersion::Http11),
        ("PURGE!x /  HTTP/1.9 ", "PURGE!x", "/", HttpVersion::Http11),
        ("GET /a b HTTP/1.1", "GET", "/a b", HttpVersion::Http11),
    ] {
        for end in ["\n", "\r\n"] {
            let head = head(format!("{line}{end}{end}").as_bytes());
            assert_eq!(
                (
                    head.method.as_deref().unwrap(),
                    head.target.as_deref().unwrap(),
                    head.version
                ),
                (method, target, version)
            );
        }
    }
}

#[test]
fn what_is_no_request() {
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00",
        b"GET /\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1\r\n\r\n",
        b"GET / http/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b" GET / HTTP/1.1\r\n\r\n",
        b"PING\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"GET /\0 HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(
            request(bytes),
            [Seen::Invalid(Invalid::StartLine)],
            "{bytes:?}"
        );
    }
    assert_eq!(like_request(b"GE"), Likeness::Partly);
    assert_eq!(like_request(b"GET / HT"), Likeness::Partly);
    assert_eq!(like_request(&[b'A'; 65]), Likeness::No);
    assert_eq!(like_response(b"HTTP/1.1 20"), Likeness::Partly);
    assert_eq!(like_response(b"HTTP/2"), Likeness::No);
    assert_eq!(like_response(b"SSH-2.0-OpenSSH"), Likeness::No);
}

#[test]
fn status_lines() {
    for (line, status) in [
        ("HTTP/1.1 200 OK", 200),
        ("HTTP/1.1 404", 404),
        ("HTTP/1.0 999 ", 999),
        ("HTTP/1.1 500 Gr\u{fc}n", 500),
    ] {
        let seen = response(format!("{line}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        assert!(matches!(seen[0], Seen::Response(found, ..) if found == status));
    }
    for line in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 099 x",
        "HTTP/1.1 2000",
        "HTTP/2 200",
        "HTTP/1.1200",
    ] {
        let seen = response(format!("{line}\r\n\r\n").as_bytes());
        assert_eq!(seen, [Seen::Invalid(Invalid::StartLine)], "{line}");
    }
}

#[test]
fn headers_that_are_kept() {
    let head = head(
        b"GET / HTTP/1.1\r\nhOST:\t h \r\nUser-Agent: a\r\n  b\r\n\tc\r\nAccept: x\r\n\
          no colon here\r\nTraceParent: 00-1\r\ntracestate: a=1\r\ntracestate: b=2\r\n\
          X-Forwarded-For: 1\r\nx-forwarded-host: 2\r\nx-forwarded-proto: 3\r\nForwarded: 4\r\n\r\n",
    );
    let kept: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(
        kept,
        [
            (HeaderName::Host, "h"),
            (HeaderName::UserAgent, "a b c"),
            (HeaderName::Traceparent, "00-1"),
            (HeaderName::Tracestate, "a=1"),
            (HeaderName::Tracestate, "b=2"),
            (HeaderName::XForwardedFor, "1"),
            (HeaderName::XForwardedHost, "2"),
            (HeaderName::XForwardedProto, "3"),
            (HeaderName::Forwarded, "4"),
        ]
    );
    assert_eq!(head.header(HeaderName::Tracestate), Some("a=1"));
}

#[test]
fn lengths() {
    let body = |fields: &str, body: &str| {
        let head = format!("POST / HTTP/1.1\r\n{fields}\r\n");
        let seen = request(format!("{head}{body}").as_bytes());
        ends(&seen).first().map(|end| end - head.len())
    };
    assert_eq!(body("", ""), Some(0));
    assert_eq!(body("content-length: 3\r\n", "abc"), Some(3));
    assert_eq!(
        body("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
        Some(3)
    );
    assert_eq!(body("Content-Length: 3, 3\r\n", "abc"), Some(3));
    assert_eq!(body("Content-Length: 4\r\n", "abc"), None);
    let chunked = "2;x=\"y\"\r\nab\r\nA\n0123456789\n000\r\nTrailer: x\r\n\r\n";
    assert_eq!(
        body("Transfer-Encoding: gzip, CHUNKED\r\n", chunked),
        Some(chunked.len())
    );
    assert_eq!(
        body(
            "Transfer-Encoding: gzip\r\ntransfer-encoding: chunked\r\n",
            "0\r\n\r\n"
        ),
        Some(5)
    );
    assert_eq!(
        body(
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n"
        ),
        Some(5)
    );
}

#[test]
fn lengths_that_cannot_be() {
    for fields in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 3,\r\n",
        "Content-Length: 0x1\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
    ] {
        let seen = request(format!("POST / HTTP/1.1\r\n{fields}\r\n").as_bytes());
        assert_eq!(seen, [Seen::Invalid(Invalid::Framing)], "{fields}");
    }
    for chunks in [
        "g\r\n",
        "\r\n",
        "-1\r\n",
        "10000000000000000\r\n",
        "1\r\nab",
        "1\r\na\rb",
        "1 \r\na\r\r",
    ] {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let seen = request(format!("{head}{chunks}").as_bytes());
        assert_eq!(
            seen.last(),
            Some(&Seen::Invalid(Invalid::Framing)),
            "{chunks}"
        );
    }
    let seen =
        request(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc");
    assert_eq!(seen.len(), 1);
    let seen = request(b"POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nabc");
    assert_eq!(seen.len(), 1);
}

#[test]
fn responses_without_a_body() {
    for status in [204, 304] {
        let bytes = format!("HTTP/1.1 {status} x\r\nContent-Length: 9\r\n\r\n");
        assert_eq!(ends(&response(bytes.as_bytes())), [bytes.len()]);
    }
    let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let seen = read(Kind::Response, Answering::Head, &[bytes]);
    assert_eq!(ends(&seen), [bytes.len()]);
}

#[test]
fn responses_that_end_with_the_connection() {
    for fields in ["", "Transfer-Encoding: gzip\r\n"] {
        let mut reader = MessageReader::new(Kind::Response);
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        let step = reader.feed(bytes.as_bytes(), Answering::Other);
        assert!(matches!(step.event, Event::Response(_)));
        assert_eq!(reader.feed(b"abc", Answering::Other).event, Event::Partial);
        assert!(reader.is_until_close());
        assert_eq!(reader.skip(u64::MAX), Skipped::Within);
    }
}

#[test]
fn interim_responses_and_tunnels() {
    let seen = response(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
    );
    assert!(matches!(
        seen[..],
        [
            Seen::Interim(25),
            Seen::Interim(56),
            Seen::Response(204, ..),
            Seen::Complete(74)
        ]
    ));
    let seen = response(b"HTTP/1.1 101 x\r\n\r\n\x81\x05");
    assert_eq!(seen.last(), Some(&Seen::HandedOver(18)));
    let seen = read(
        Kind::Response,
        Answering::Connect,
        &[b"HTTP/1.1 200 x\r\n\r\n\x16"],
    );
    assert_eq!(seen.last(), Some(&Seen::HandedOver(18)));
    let refused = b"HTTP/1.1 407 x\r\nContent-Length: 1\r\n\r\na";
    let seen = read(Kind::Response, Answering::Connect, &[refused]);
    assert_eq!(ends(&seen), [refused.len()]);
}

#[test]
fn bytes_that_were_not_copied() {
    let mut reader = MessageReader::new(Kind::Request);
    reader.feed(
        b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n",
        Answering::Other,
    );
    assert_eq!(reader.skip(4), Skipped::Within);
    assert_eq!(reader.skip(9), Skipped::Complete { consumed: 6 });
    assert_eq!(reader.skip(3), Skipped::Lost);

    reader.reset();
    reader.feed(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        Answering::Other,
    );
    reader.feed(b"a\r\n12", Answering::Other);
    assert_eq!(reader.skip(8), Skipped::Within);
    let step = reader.feed(b"\r\n0\r\n\r\n", Answering::Other);
    assert_eq!((step.consumed, step.event), (7, Event::Complete));
    assert!(reader.is_at_start());

    reader.feed(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        Answering::Other,
    );
    reader.feed(b"a\r\n12", Answering::Other);
    assert_eq!(reader.skip(9), Skipped::Lost);
}

#[test]
fn heads_are_bounded() {
    let mut long = b"GET / HTTP/1.1\r\nCookie: ".to_vec();
    long.resize(MAX_HEAD, b'c');
    let seen = read(Kind::Request, Answering::Other, &[&long, b"cc"]);
    assert_eq!(seen, [Seen::Invalid(Invalid::TooLong)]);
    long.resize(MAX_HEAD + 1, b'c');
    assert_eq!(request(&long), [Seen::Invalid(Invalid::TooLong)]);
}

#[test]
fn heads_that_are_cut() {
    let mut reader = MessageReader::new(Kind::Request);
    reader.feed(
        b"GET /x HTTP/1.1\r\nHost: h\r\nCookie: abc",
        Answering::Other,
    );
    match reader.cut(Answering::Other) {
        Some(CutHead::Request { head, length }) => {
            assert_eq!(head.target.as_deref(), Some("/x"));
            assert_eq!((head.headers.len(), length), (1, 37));
        }
        other => panic!("{other:?}"),
    }
    reader.reset();
    reader.feed(b"GET /xxxxxxxxxxx", Answering::Other);
    assert_eq!(reader.cut(Answering::Other), None);
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let message = prop_oneof![
        Just("GET /a HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        Just("\r\n\nHEAD /b HTTP/1.0\nUser-Agent: x\n y\n\n".to_owned()),
        (0usize..40).prop_map(|length| format!(
            "POST /c HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{}",
            "p".repeat(length)
        )),
        vec(1usize..20, 0..4).prop_map(|chunks| {
            let mut text = "PUT /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
            for chunk in chunks {
                write!(text, "{chunk:x};e=1\r\n{}\r\n", "\n".repeat(chunk)).unwrap();
            }
            text + "0\r\nTrailer: 1\r\n\r\n"
        }),
    ];
    vec(message, 1..5).prop_map(|messages| messages.concat().into_bytes())
}

proptest! {
    #[test]
    fn splitting_changes_nothing(bytes in stream(), cut: usize) {
        let whole = request(&bytes);
        let cut = cut % (bytes.len() + 1);
        let halves = read(Kind::Request, Answering::Other, &[&bytes[..cut], &bytes[cut..]]);
        prop_assert_eq!(&halves, &whole);
        let singles: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&read(Kind::Request, Answering::Other, &singles), &whole);
    }

    #[test]
    fn a_part_gives_a_part_of_the_messages(bytes in stream(), cut: usize) {
        let whole = request(&bytes);
        let part = request(&bytes[..cut % (bytes.len() + 1)]);
        prop_assert_eq!(&whole[..part.len()], &part[..]);
    }

    #[test]
    fn foreign_bytes_never_panic(
        parts in vec((vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'1')], 0..40), any::<u64>()), 0..20),
        prefix in prop_oneof![
            Just(&b""[..]),
            Just(&b"POST / HTTP/1.1\r\n"[..]),
            Just(&b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"[..]),
            Just(&b"HTTP/1.1 200 x\r\n"[..]),
        ],
        is_request: bool,
    ) {
        let kind = if is_request { Kind::Request } else { Kind::Response };
        let mut reader = MessageReader::new(kind);
        reader.feed(prefix, Answering::Other);
        for (bytes, skip) in &parts {
            let mut rest = &bytes[..];
            loop {
                let step = reader.feed(rest, Answering::Other);
                prop_assert!(step.consumed <= rest.len());
                rest = &rest[step.consumed..];
                if matches!(step.event, Event::Partial | Event::Invalid(_) | Event::HandedOver) {
                    break;
                }
            }
            if skip % 3 == 0 {
                reader.skip(*skip);
            }
        }
        reader.cut(Answering::Other);
    }
}
