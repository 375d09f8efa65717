//! Where messages end when senders are careless or hostile: read as RFC 9112 says, or invalid.

use super::{Invalid, Seen, ends, head, read, request, response};
use crate::protocol::{
    http::{HeaderName, HttpVersion},
    http1::{Answering, Event, Kind, MAX_HEAD, MessageReader, Upgrade},
};

fn post(fields: &str) -> Vec<Seen> {
    request(format!("POST / HTTP/1.1\r\n{fields}\r\n").as_bytes())
}

/// Whether the request is chunked, as its first bytes behind the head show.
fn is_chunked(fields: &str) -> bool {
    let head = format!("POST / HTTP/1.1\r\n{fields}\r\n");
    let whole = format!("{head}5\r\nhello\r\n0\r\n\r\n");
    ends(&request(whole.as_bytes())) == [whole.len()]
}

#[test]
fn transfer_encodings_that_are_chunked() {
    for fields in [
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding:\t CHUNKED \t\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip;q=\", x\", chunked\r\n",
        "Transfer-Encoding: ,gzip,,chunked,\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\nContent-Length: 3\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: no\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert!(is_chunked(fields), "{fields:?}");
    }
}

#[test]
fn transfer_encodings_that_hide_a_length() {
    for fields in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked;a=b\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 1\r\n",
        "Transfer-Encoding:\r\nContent-Length: 1\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding: chunked\x0c\r\n",
        "Transfer-Encoding: chunked\0\r\n",
        "Transfer-Encoding: chunked\rX\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\nContent-Length: 1\r\n",
        "Transfer-Encoding\r\n : chunked\r\n",
        "Transfer-Encoding\r: chunked\r\n",
        "Content-Length : 1\r\n",
        "Content-Length: 1\x0b\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1, 2\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length: 1\r1\r\n",
        "Content-Length: 1\r\n 1\r\n",
        "Content-Length: 1\0\r\n",
        "Content-Length: \r\n",
    ] {
        assert_eq!(
            post(fields),
            [Seen::Invalid(Invalid::Framing)],
            "{fields:?}"
        );
    }
    // HTTP/1.0 has no transfer codings (RFC 9112 section 6.1).
    let old = request(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(old, [Seen::Invalid(Invalid::Framing)]);
}

#[test]
fn fields_that_only_look_like_lengths() {
    for fields in [
        "X: y\rContent-Length: 5\r\n",
        "X: y\r\n Content-Length: 5\r\n",
        "Transfer_Encoding: chunked\r\n",
        "X-Content-Length: 5\r\n",
        "Content-Length\r\n",
        "Content-Length 5\r\n",
        ": chunked\r\n",
        "X\0Y: z\r\n",
    ] {
        let seen = post(fields);
        assert!(
            matches!(seen[..], [Seen::Request(..), Seen::Complete(_)]),
            "{fields:?}"
        );
    }
    // A line of white space before the first field is no field (RFC 9112 section 2.2).
    let seen = post(" Content-Length: 5\r\n");
    assert_eq!(ends(&seen).len(), 1);
}

#[test]
fn responses_are_read_where_requests_are_refused() {
    for (fields, body) in [
        ("Content-Length : 2\r\n", "hi"),
        ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "hi"),
        (
            "Transfer-Encoding: gzip, Chunked\r\nContent-Length: 9\r\n",
            "0\r\n\r\n",
        ),
        ("Content-Length: 2, 2\r\nContent-Length: 2\r\n", "hi"),
    ] {
        let whole = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}");
        assert_eq!(ends(&response(whole.as_bytes())), [whole.len()], "{fields}");
    }
    for fields in [
        "Content-Length: 2, 3\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
    ] {
        let seen = response(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes());
        assert_eq!(seen, [Seen::Invalid(Invalid::Framing)], "{fields}");
    }
    // A length does not matter where there is no body.
    let seen = response(b"HTTP/1.1 304 x\r\nContent-Length: x\r\n\r\n");
    assert_eq!(ends(&seen).len(), 1);
}

fn chunks(body: &str) -> Vec<Seen> {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut seen = request(format!("{head}{body}").as_bytes());
    seen.remove(0);
    seen
}

#[test]
fn chunked_bodies() {
    for body in [
        "0\r\n\r\n",
        "000000000000000000000000\r\n\r\n",
        "5;a=b;c=\"d;e,\\\"f\"\r\nhello\r\n0;x\r\n\r\n",
        "5 \t;a\r\nhello\r\n0\r\n\r\n",
        "5  \r\nhello\r\n0\r\n\r\n",
        "0000000000000000000000005\r\nhello\r\n0\r\n\r\n",
        "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
        "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
        "0\r\nA: b\r\n C: d\r\n\r\n",
        "0\r\n\rA: b\r\n\r\n",
        "0\r\n\r\r\n\r\n",
        "5\nhello\n0\n\n",
    ] {
        let [Seen::Complete(at)] = chunks(body)[..] else {
            panic!("{body:?}: {:?}", chunks(body));
        };
        assert_eq!(at, body.len() + 47, "{body:?}");
    }
    for body in [
        "5;a\nhello\r\n",
        "5\rX\nhello\r\n",
        "5;a\rb\r\nhello\r\n",
        "5;a\0\r\nhello\r\n",
        "5 5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        ";a\r\n",
        " 5\r\nhello\r\n",
        "5\r\nhello0\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
        "_5\r\n",
        "5,\r\n",
    ] {
        assert_eq!(chunks(body), [Seen::Invalid(Invalid::Framing)], "{body:?}");
    }
    let long = format!("5;{}\r\n", "x".repeat(20_000));
    assert_eq!(chunks(&long), [Seen::Invalid(Invalid::TooLong)]);
    let trailers = format!("0\r\n{}", "A: b\r\n".repeat(20_000));
    assert_eq!(chunks(&trailers), [Seen::Invalid(Invalid::TooLong)]);
}

#[test]
fn content_comes_without_the_chunks() {
    let bytes = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\n";
    for size in 1..bytes.len() {
        let mut reader = MessageReader::new(Kind::Request);
        let mut content = Vec::new();
        for part in bytes.chunks(size) {
            let mut rest = part;
            loop {
                let step = reader.feed_content(rest, Answering::Other, |bytes| {
                    content.extend_from_slice(bytes);
                });
                rest = &rest[step.consumed..];
                if step.event == Event::Partial {
                    break;
                }
            }
        }
        assert_eq!(content, b"hello world");
        assert!(reader.is_at_start());
    }
}

#[test]
fn start_lines_that_are_refused() {
    for line in [
        "GET\t/ HTTP/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/1.",
        "GET / HTTP /1.1",
        "GET /",
        "G\0T / HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /a\rb HTTP/1.1",
        "G@T / HTTP/1.1",
    ] {
        let seen = request(format!("{line}\r\n\r\n").as_bytes());
        assert_eq!(seen, [Seen::Invalid(Invalid::StartLine)], "{line:?}");
    }
    // A CR alone ends no line.
    assert_eq!(request(b"GET / HTTP/1.1\rHost: x\r\r"), []);
    assert_eq!(request(b"GET / HTTP/1.1\r\nHost: x\r\n\r"), []);
}

#[test]
fn header_sections_up_to_64_kib() {
    let mut whole = b"GET / HTTP/1.1\r\nCookie: ".to_vec();
    whole.resize(16 + 64 * 1024 - 4, b'c');
    whole.extend_from_slice(b"\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    assert_eq!(ends(&request(&whole)).len(), 2);
    let parts: Vec<&[u8]> = whole.chunks(1000).collect();
    assert_eq!(
        ends(&read(Kind::Request, Answering::Other, &parts)).len(),
        2
    );
    // However the bytes come, the same heads are too long.
    for (length, fits) in [(MAX_HEAD, true), (MAX_HEAD + 1, false)] {
        let mut whole = b"GET / HTTP/1.1\r\nCookie: ".to_vec();
        whole.resize(length - 4, b'c');
        whole.extend_from_slice(b"\r\n\r\n");
        let parts: Vec<&[u8]> = whole.chunks(5000).collect();
        for seen in [
            request(&whole),
            read(Kind::Request, Answering::Other, &parts),
        ] {
            assert_eq!(ends(&seen).len(), usize::from(fits));
        }
    }
}

#[test]
fn values_with_characters_that_cannot_be() {
    let head = head(b"GET / HTTP/1.1\r\nUser-Agent: a\0b\rc\r\nHost: h\r\nhost: H\r\n\r\n");
    assert_eq!(head.header(HeaderName::UserAgent), Some("a b c"));
    assert_eq!(head.header(HeaderName::Host), Some("h"));
    // Two hosts are none.
    let head = super::head(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nHost: a\r\n\r\n");
    assert_eq!(head.header(HeaderName::Host), None);
    // White space before the colon makes a field of a request none.
    let head = super::head(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    assert_eq!(head.header(HeaderName::Host), None);
}

#[test]
fn what_a_response_says_beside_its_length() {
    let one = |bytes: &[u8]| {
        let mut reader = MessageReader::new(Kind::Response);
        match reader.feed(bytes, Answering::Other).event {
            Event::Response(head) => head,
            other => panic!("{other:?}"),
        }
    };
    for (value, upgrade) in [
        ("websocket", Upgrade::WebSocket),
        ("WebSocket", Upgrade::WebSocket),
        ("h2c", Upgrade::H2c),
        ("TLS/1.0, HTTP/1.1", Upgrade::Other),
    ] {
        let head = one(format!("HTTP/1.1 101 x\r\nUpgrade: {value}\r\n\r\n").as_bytes());
        assert_eq!(head.upgrade, Some(upgrade));
        assert_eq!(head.rpc, None);
    }
    let head = one(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\nGrpc-Status: 5\r\n\
          grpc-message: no%20such\r\n\r\n",
    );
    let rpc = head.rpc.unwrap();
    assert_eq!(
        rpc.content_type.as_deref(),
        Some("application/grpc-web+proto")
    );
    assert_eq!(
        (rpc.status.as_deref(), rpc.message.as_deref()),
        (Some("5"), Some("no%20such"))
    );
    let head = one(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n");
    assert_eq!((head.version, head.rpc), (HttpVersion::Http10, None));
}

#[test]
fn a_request_can_wait_for_a_100() {
    let expects = |value: &str| {
        let mut reader = MessageReader::new(Kind::Request);
        let bytes = format!("PUT / HTTP/1.1\r\nExpect: {value}\r\nContent-Length: 1\r\n\r\n");
        match reader.feed(bytes.as_bytes(), Answering::Other).event {
            Event::Request { expects, .. } => expects,
            other => panic!("{other:?}"),
        }
    };
    assert!(expects("100-continue"));
    assert!(expects("100-Continue "));
    assert!(!expects("200-ok"));
}
