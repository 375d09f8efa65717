//! Which endpoints are taken, which refused.

use super::*;

fn url(endpoint: &str, protocol: Protocol, insecure: bool) -> Result<String, String> {
    let settings = OtlpSettings {
        endpoint: endpoint.to_owned(),
        protocol,
        insecure,
        ..OtlpSettings::default()
    };
    resolve(&settings)
        .map(|uri| uri.to_string())
        .map_err(|error| error.to_string())
}

#[test]
fn grpc_uses_scheme_and_host_only() {
    for (endpoint, insecure, expected) in [
        ("http://h:4317", false, "http://h:4317"),
        ("https://h/x/y?z", true, "https://h"),
        ("h:4317", true, "http://h:4317"),
        ("h:4317", false, "https://h:4317"),
        ("[::1]:4317", true, "http://[::1]:4317"),
    ] {
        let expected = format!("{expected}{GRPC_PATH}");
        assert_eq!(url(endpoint, Protocol::Grpc, insecure), Ok(expected));
    }
}

#[test]
fn http_uses_the_url_as_it_is() {
    for (endpoint, expected) in [
        ("http://h:1", "http://h:1/"),
        ("https://h/x/?k=v", "https://h/x/?k=v"),
        ("http://[::1]/p", "http://[::1]/p"),
    ] {
        let url = url(endpoint, Protocol::HttpProtobuf, false);
        assert_eq!(url, Ok(expected.to_owned()));
    }
}

#[test]
fn what_cannot_work_is_refused_without_showing_a_password() {
    for endpoint in [
        "",
        "h:4318",
        "ftp://h",
        "http://",
        "http://h:x",
        "http://h:0",
        "http://h:99999",
        "unix:///run/x",
        "http://user:secret@h",
        "http://a b",
        "user:secret@h",
    ] {
        let error = url(endpoint, Protocol::HttpProtobuf, true).unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }
}
