//! Whatever head `httparse` accepts is read in the same way. Our reader accepts more: lines that are
//! no fields, obs-fold in requests, minor versions above 1, spaces in targets (all of which
//! servers let pass), and it judges framing, which `httparse` leaves to its caller.

use proptest::{collection::vec, prelude::*};

use super::{Invalid, Seen, request, response};
use crate::protocol::http::HeaderName;

const NAMES: [(&str, HeaderName); 9] = [
    ("host", HeaderName::Host),
    ("user-agent", HeaderName::UserAgent),
    ("content-type", HeaderName::ContentType),
    ("forwarded", HeaderName::Forwarded),
    ("x-forwarded-for", HeaderName::XForwardedFor),
    ("x-forwarded-host", HeaderName::XForwardedHost),
    ("x-forwarded-proto", HeaderName::XForwardedProto),
    ("traceparent", HeaderName::Traceparent),
    ("tracestate", HeaderName::Tracestate),
];

fn field() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => prop::sample::select(NAMES.map(|(name, _)| name.to_owned()).to_vec()),
        2 => "[A-Za-z!#-]{1,12}",
        1 => prop::sample::select(vec!["Content-Length".to_owned(), "TRANSFER-encoding".to_owned()]),
        1 => "[A-Za-z :\t\r\0]{0,6}",
    ];
    let value = prop_oneof![
        6 => "[ -~]{0,20}",
        2 => "[0-9]{1,3}",
        1 => Just("chunked".to_owned()),
        1 => "[ -~\u{e4}\t\r\0\u{1}]{0,10}",
    ];
    let between = prop_oneof![6 => Just(": "), 2 => Just(":"), 1 => Just(" :"), 1 => Just(":\t ")];
    let end =
        prop_oneof![6 => Just("\r\n"), 2 => Just("\n"), 1 => Just(" \r\n"), 1 => Just("\r\n ")];
    (name, between, value, end)
        .prop_map(|(name, between, value, end)| format!("{name}{between}{value}{end}"))
}

fn start_line() -> impl Strategy<Value = String> {
    let target =
        prop_oneof![4 => "/[!-~]{0,20}", 1 => Just("*".to_owned()), 1 => "[!-~\u{e4}]{1,20}"];
    let version = prop_oneof![8 => Just("HTTP/1.1"), 2 => Just("HTTP/1.0"), 1 => Just("HTTP/2.0")];
    let end = prop_oneof![8 => Just("\r\n"), 2 => Just("\n"), 1 => Just(" \r\n"), 1 => Just("\r")];
    ("[A-Z!a-z-]{1,10}", target, version, end)
        .prop_map(|(method, target, version, end)| format!("{method} {target} {version}{end}"))
}

fn status_line() -> impl Strategy<Value = String> {
    let end = prop_oneof![8 => Just("\r\n"), 2 => Just("\n")];
    (0u16..2, 90u16..1000, "( [ -~\u{e4}]{0,10})?", end)
        .prop_map(|(minor, status, reason, end)| format!("HTTP/1.{minor} {status:03}{reason}{end}"))
}

/// One byte becomes another.
fn mutated(mut bytes: Vec<u8>, change: Option<(usize, u8)>) -> Vec<u8> {
    if let Some((at, byte)) = change {
        let at = at % bytes.len();
        bytes[at] = byte;
    }
    bytes
}

/// The fields that are kept, as `httparse` has them.
fn kept(headers: &[httparse::Header<'_>]) -> Vec<(HeaderName, String)> {
    let mut kept: Vec<_> = headers
        .iter()
        .filter_map(|header| {
            let (_, name) = NAMES
                .iter()
                .find(|(name, _)| header.name.eq_ignore_ascii_case(name))?;
            Some((*name, String::from_utf8_lossy(header.value).into_owned()))
        })
        .collect();
    let mut hosts: Vec<_> = kept
        .iter()
        .filter(|(name, _)| *name == HeaderName::Host)
        .map(|(_, value)| value.to_ascii_lowercase())
        .collect();
    hosts.dedup();
    if hosts.len() > 1 {
        kept.retain(|(name, _)| *name != HeaderName::Host);
    }
    kept
}

fn has_length(headers: &[httparse::Header<'_>]) -> bool {
    headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("content-length")
            || header.name.eq_ignore_ascii_case("transfer-encoding")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn requests_are_read_as_httparse_reads_them(
        line in start_line(),
        fields in vec(field(), 0..6),
        change in proptest::option::of((any::<usize>(), any::<u8>())),
    ) {
        let bytes = mutated(format!("{line}{}\r\n", fields.concat()).into_bytes(), change);
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut theirs = httparse::Request::new(&mut headers);
        if let Ok(httparse::Status::Complete(length)) = theirs.parse(&bytes) {
            match request(&bytes).first() {
                Some(Seen::Request(head, ours, at)) => {
                    prop_assert_eq!(head.method.as_deref(), theirs.method);
                    prop_assert_eq!(head.target.as_deref(), theirs.path);
                    prop_assert_eq!(*at, length);
                    prop_assert!(*ours <= length);
                    let found: Vec<_> = head
                        .headers
                        .iter()
                        .map(|(name, value)| (*name, value.to_string()))
                        .collect();
                    prop_assert_eq!(found, kept(theirs.headers));
                }
                Some(Seen::Invalid(Invalid::Framing)) => prop_assert!(has_length(theirs.headers)),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn responses_are_read_as_httparse_reads_them(
        line in status_line(),
        fields in vec(field(), 0..6),
        change in proptest::option::of((any::<usize>(), any::<u8>())),
    ) {
        let bytes = mutated(format!("{line}{}\r\n", fields.concat()).into_bytes(), change);
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut theirs = httparse::Response::new(&mut headers);
        if let Ok(httparse::Status::Complete(length)) = theirs.parse(&bytes) {
            let code = theirs.code.unwrap();
            match response(&bytes).first() {
                Some(Seen::Response(status, _, at)) => {
                    prop_assert_eq!((*status, *at), (code, length));
                }
                Some(Seen::Interim(at)) => {
                    prop_assert!((100..200).contains(&code));
                    prop_assert_eq!(*at, length);
                }
                Some(Seen::Invalid(Invalid::Framing)) => prop_assert!(has_length(theirs.headers)),
                // There is no status below 100 (RFC 9110 section 15).
                Some(Seen::Invalid(Invalid::StartLine)) => prop_assert!(code < 100),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
