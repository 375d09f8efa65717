//! The W3C's cases, and hostile headers.

use proptest::prelude::*;

use super::*;
use crate::stream::exchange::HttpVersion;

const VALID: &str = "00-12345678901234567890123456789012-1234567890123456-01";

fn request(headers: &[(HeaderName, &str)]) -> RequestHead {
    RequestHead {
        method: Some("GET".into()),
        target: Some("/".into()),
        hidden: false,
        version: HttpVersion::Http11,
        headers: headers
            .iter()
            .map(|(name, value)| (*name, (*value).into()))
            .collect(),
    }
}

fn with_state(states: &[&str]) -> CompactString {
    let mut headers = vec![(HeaderName::Traceparent, VALID)];
    headers.extend(states.iter().map(|state| (HeaderName::Tracestate, *state)));
    extract(&request(&headers)).unwrap().state
}

/// Cases of the W3C's own test suite (`w3c/trace-context`, `test/test.py`), and whether they are
/// valid.
const TRACEPARENTS: &[(&str, bool)] = &[
    (VALID, true),
    (
        "\t 00-12345678901234567890123456789012-1234567890123456-01 \t",
        true,
    ),
    (
        "00-12345678901234567890123456789012-1234567890123456-ff",
        true,
    ),
    (
        "00-12345678901234567890123456789012-1234567890123456-00",
        true,
    ),
    (
        "00-12345678901234567890123456789012-1234567890123456-01.",
        false,
    ),
    (
        "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        false,
    ),
    (
        "cc-12345678901234567890123456789012-1234567890123456-01",
        true,
    ),
    (
        "cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        true,
    ),
    (
        "cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like",
        false,
    ),
    (
        "ff-12345678901234567890123456789012-1234567890123456-01",
        false,
    ),
    (
        ".0-12345678901234567890123456789012-1234567890123456-01",
        false,
    ),
    (
        "0.-12345678901234567890123456789012-1234567890123456-01",
        false,
    ),
    (
        "000-12345678901234567890123456789012-1234567890123456-01",
        false,
    ),
    (
        "0-12345678901234567890123456789012-1234567890123456-01",
        false,
    ),
    (
        "00-00000000000000000000000000000000-1234567890123456-01",
        false,
    ),
    (
        "00-.2345678901234567890123456789012-1234567890123456-01",
        false,
    ),
    (
        "00-1234567890123456789012345678901.-1234567890123456-01",
        false,
    ),
    (
        "00-123456789012345678901234567890123-1234567890123456-01",
        false,
    ),
    (
        "00-1234567890123456789012345678901-1234567890123456-01",
        false,
    ),
    (
        "00-12345678901234567890123456789012-0000000000000000-01",
        false,
    ),
    (
        "00-12345678901234567890123456789012-.234567890123456-01",
        false,
    ),
    (
        "00-12345678901234567890123456789012-123456789012345.-01",
        false,
    ),
    (
        "00-12345678901234567890123456789012-12345678901234567-01",
        false,
    ),
    (
        "00-12345678901234567890123456789012-123456789012345-01",
        false,
    ),
    (
        "00-12345678901234567890123456789012-1234567890123456-.0",
        false,
    ),
    (
        "00-12345678901234567890123456789012-1234567890123456-0.",
        false,
    ),
    (
        "00-12345678901234567890123456789012-1234567890123456-001",
        false,
    ),
    (
        "00-12345678901234567890123456789012-1234567890123456-1",
        false,
    ),
    (
        "00-ABCDEF78901234567890123456789012-1234567890123456-01",
        false,
    ),
    (
        "00-12345678901234567890123456789012-1234567890ABCDEF-01",
        false,
    ),
    (
        "00_12345678901234567890123456789012_1234567890123456_01",
        false,
    ),
    ("", false),
    ("-", false),
];

#[test]
fn traceparent_cases_of_w3c() {
    for (value, valid) in TRACEPARENTS {
        assert_eq!(parse_traceparent(value).is_some(), *valid, "{value:?}");
    }
}

#[test]
fn traceparent_fields() {
    let parent =
        parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff").unwrap();
    assert_eq!(parent.trace_id.0[..4], [0x0a, 0xf7, 0x65, 0x19]);
    assert_eq!(parent.trace_id.0[15], 0x9c);
    assert_eq!(
        parent.span_id.0,
        [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
    );
    assert_eq!(parent.flags, 0x03, "only the bits with a meaning");
}

#[test]
fn two_traceparents_are_none() {
    use HeaderName::Traceparent;
    let other = "00-12345678901234567890123456789011-1234567890123456-01";
    assert!(extract(&request(&[(Traceparent, VALID), (Traceparent, other)])).is_none());
    assert!(extract(&request(&[(Traceparent, VALID), (Traceparent, VALID)])).is_none());
    assert!(extract(&request(&[(Traceparent, "foo"), (Traceparent, VALID)])).is_none());
}

#[test]
fn tracestate_needs_a_traceparent() {
    use HeaderName::{Traceparent, Tracestate};
    assert!(extract(&request(&[(Tracestate, "foo=1")])).is_none());
    assert!(extract(&request(&[(Traceparent, "bad"), (Tracestate, "foo=1")])).is_none());
}

/// Cases of the W3C's own test suite, the member grammar as of 2026.
#[test]
fn tracestate_cases_of_w3c() {
    let long_key = format!("{}=1", "z".repeat(256));
    let too_long_key = format!("{}=1", "z".repeat(257));
    let long_value = format!("foo={}", "v".repeat(256));
    let too_long_value = format!("foo={}", "v".repeat(257));
    let kept: &[(&[&str], &str)] = &[
        (&["foo=1"], "foo=1"),
        (&["foo=1,bar=2"], "foo=1,bar=2"),
        (&["foo=1,"], "foo=1"),
        (&["foo=1", "bar=2"], "foo=1,bar=2"),
        (&["foo=1,", "", ",bar=2"], "foo=1,bar=2"),
        (&["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (&["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3"),
        (&[" foo=1", "\tbar=2"], "foo=1,bar=2"),
        (&["foo= 1"], "foo= 1"),
        (&["foo=1,foo=1"], "foo=1,foo=1"),
        (&["t@v=1,foo@=1,a@b@c=1,1a=2"], "t@v=1,foo@=1,a@b@c=1,1a=2"),
        (&[&long_key], &long_key),
        (&[&long_value], &long_value),
        (&[""], ""),
    ];
    for (headers, expected) in kept {
        assert_eq!(with_state(headers), *expected, "{headers:?}");
    }
    let discarded: &[&str] = &[
        "foo",
        "foo=",
        "=1",
        "=",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "@foo=1",
        "_foo=1",
        "foo=bar=baz",
        "foo=1,foo@bar",
        "foo=\u{7f}",
        "foo=\u{e9}",
        "foo=a\tb",
        "foo=1;bar=2",
        &too_long_key,
        &too_long_value,
    ];
    for header in discarded {
        assert_eq!(with_state(&["ok=1", header]), "", "{header:?}");
    }
}

#[test]
fn tracestate_of_all_allowed_characters() {
    let state: String = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@="
        .chars()
        .chain(('\u{20}'..='\u{7e}').filter(|character| !",=".contains(*character)))
        .collect();
    assert_eq!(with_state(&[&state]), state);
}

#[test]
fn tracestate_member_limit() {
    let members = |count: usize| {
        let list: Vec<_> = (0..count).map(|n| format!("bar{n:02}=1")).collect();
        list.join(",")
    };
    assert_eq!(with_state(&[&members(32)]), members(32));
    assert_eq!(with_state(&[&members(33)]), "");
    assert_eq!(with_state(&[&members(32), "one=more"]), "");
}

proptest! {
    #[test]
    fn foreign_bytes_do_not_panic(parent in ".{0,80}", states in prop::collection::vec(".{0,80}", 0..3)) {
        let _ = parse_traceparent(&parent);
        let _ = join_tracestate(states.iter().map(String::as_str));
    }

    #[test]
    fn a_valid_traceparent_is_read_back(version in 0u8..=254, trace: [u8; 16], span: [u8; 8], flags: u8) {
        prop_assume!(trace != [0; 16] && span != [0; 8]);
        let (trace_number, span_number) = (u128::from_be_bytes(trace), u64::from_be_bytes(span));
        let value = format!("{version:02x}-{trace_number:032x}-{span_number:016x}-{flags:02x}");
        let parsed = parse_traceparent(&value);
        prop_assert_eq!(parsed, Some(TraceParent { trace_id: TraceId(trace), span_id: SpanId(span), flags: flags & 3 }));
        for cut in 0..value.len() {
            prop_assert_eq!(parse_traceparent(&value[..cut]), None);
        }
    }

    #[test]
    fn one_wrong_character_is_invalid(at in 0usize..55, wrong in "[^0-9a-f \t-]") {
        let mut value = VALID.to_owned();
        value.replace_range(at..=at, &wrong);
        prop_assert_eq!(parse_traceparent(&value), None);
    }

    #[test]
    fn joining_is_idempotent(members in prop::collection::vec("[a-z][a-z0-9@]{0,5}=[ -+.-<>-~]{0,6}[!-+.-<>-~]", 0..32)) {
        let once = join_tracestate(members.iter().map(String::as_str));
        prop_assert!(once.is_some());
        let again = join_tracestate(once.iter().map(CompactString::as_str));
        prop_assert_eq!(again, once);
    }
}
