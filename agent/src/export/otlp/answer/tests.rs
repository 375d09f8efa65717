//! What each answer of a back end means.

use super::*;

fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
        .collect()
}

fn is_retry(answer: &Answer) -> bool {
    matches!(answer, Answer::Retry { .. })
}

#[test]
fn http_is_retried_on_exactly_four_codes() {
    for code in 300..600 {
        let status = StatusCode::from_u16(code).unwrap();
        let answer = http(status, &HeaderMap::new(), b"text", SystemTime::now());
        let expected = [429, 502, 503, 504].contains(&code);
        assert_eq!(is_retry(&answer), expected, "{code}");
        let too_large = matches!(answer, Answer::TooLarge { .. });
        assert_eq!(too_large, code == 413, "{code}");
    }
}

#[test]
fn grpc_is_retried_on_exactly_the_retryable_codes() {
    for code in 0..20 {
        let trailers = map(&[("grpc-status", &code.to_string())]);
        let answer = grpc(StatusCode::OK, Some(&trailers), b"");
        let expected = [1, 4, 10, 11, 14, 15].contains(&code);
        assert_eq!(is_retry(&answer), expected, "{code}");
        let too_large = matches!(answer, Answer::TooLarge { .. });
        assert_eq!(too_large, code == 8, "{code}");
        let accepted = matches!(answer, Answer::Accepted { .. });
        assert_eq!(accepted, code == 0, "{code}");
    }
    assert!(is_retry(&grpc(StatusCode::BAD_GATEWAY, None, b"")));
    let missing = grpc(StatusCode::OK, None, b"");
    assert!(matches!(missing, Answer::Refused { .. }));
    let denied = grpc(StatusCode::FORBIDDEN, None, b"");
    assert!(matches!(denied, Answer::Refused { reason } if reason.contains("PERMISSION_DENIED")));
}

#[test]
fn retry_info_gives_the_time_and_makes_exhaustion_retryable() {
    let info = RetryInfo {
        retry_delay: Some(ProtoDuration {
            seconds: 2,
            nanos: 500_000_000,
        }),
    };
    let status = RpcStatus {
        message: String::new(),
        details: vec![Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: info.encode_to_vec(),
        }],
    };
    let padded = base64::prelude::BASE64_STANDARD.encode(status.encode_to_vec());
    for details in [padded.trim_end_matches('='), &padded] {
        for code in ["8", "14"] {
            let trailers = map(&[("grpc-status", code), ("grpc-status-details-bin", details)]);
            let Answer::Retry { after, .. } = grpc(StatusCode::OK, Some(&trailers), b"") else {
                panic!("{code} is not retried");
            };
            assert_eq!(after, Some(Duration::from_millis(2_500)));
        }
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 5);
    for (value, expected) in [
        ("7", Some(Duration::from_secs(7))),
        (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            Some(Duration::from_secs(5)),
        ),
        ("Sun, 06 Nov 1983 08:49:37 GMT", Some(Duration::ZERO)),
        ("soon", None),
    ] {
        let headers = map(&[("retry-after", value)]);
        let answer = http(StatusCode::SERVICE_UNAVAILABLE, &headers, b"", now);
        assert!(
            matches!(answer, Answer::Retry { after, .. } if after == expected),
            "{value}"
        );
    }
}

#[test]
fn partial_success_in_every_form() {
    let json = map(&[("content-type", "application/json")]);
    let ok =
        |headers: &HeaderMap, body: &[u8]| http(StatusCode::OK, headers, body, SystemTime::now());
    let accepted = |rejected, message: &str| Answer::Accepted {
        rejected,
        message: message.to_owned(),
    };
    let none = HeaderMap::new();
    assert_eq!(ok(&none, b""), accepted(0, ""));
    assert_eq!(ok(&none, b"\x0a\x00"), accepted(0, ""));
    assert_eq!(ok(&none, b"\x0a\x05\x08\x03\x12\x01x"), accepted(3, "x"));
    assert_eq!(ok(&json, b"{\"partialSuccess\":{}}"), accepted(0, ""));
    assert_eq!(ok(&json, b"{}"), accepted(0, ""));
    let body = b"{\"partialSuccess\":{\"rejectedSpans\":\"4\",\"errorMessage\":\"m\"}}";
    assert_eq!(ok(&json, body), accepted(4, "m"));
    let body = b"{\"partialSuccess\":{\"rejectedSpans\":5}}";
    assert_eq!(ok(&json, body), accepted(5, ""));
    let page = ok(&none, b"<html>");
    assert!(matches!(page, Answer::Accepted { rejected: 0, message } if !message.is_empty()));
    let trailers = map(&[("grpc-status", "0")]);
    let body = b"\0\0\0\0\x07\x0a\x05\x08\x03\x12\x01x";
    assert_eq!(
        grpc(StatusCode::OK, Some(&trailers), body),
        accepted(3, "x")
    );
}

proptest::proptest! {
    #[test]
    fn foreign_bytes_never_panic(body: Vec<u8>, code in 100_u16..999, details: String, json: bool) {
        let status = StatusCode::from_u16(code).unwrap();
        let mut headers = HeaderMap::new();
        if json {
            headers = map(&[("content-type", "application/json")]);
        }
        if let Ok(value) = details.parse() {
            headers.insert("grpc-status-details-bin", value);
        }
        http(status, &headers, &body, SystemTime::now());
        grpc(status, Some(&headers), &body);
        for code in ["0", "8"] {
            headers.insert("grpc-status", code.parse().unwrap());
            grpc(status, Some(&headers), &body);
        }
    }
}
