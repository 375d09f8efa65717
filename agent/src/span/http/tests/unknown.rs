//! What was not seen is absent, and named.

use super::*;

fn hidden(role: Role, headers: &[(HeaderName, &str)]) -> Case {
    Case {
        version: HttpVersion::Http2,
        hidden: true,
        ..case(role, "/a?b", headers)
    }
}

#[test]
fn a_head_that_was_seen_names_nothing() {
    for role in [Role::Client, Role::Server] {
        assert!(case(role, "/", &[]).unknown().is_empty());
    }
}

#[test]
fn hidden_headers_of_a_client() {
    use HeaderName::{Authority, Host, Scheme};
    // The peer's address is not what was asked for, perhaps.
    let case = hidden(Role::Client, &[(Host, "h"), (Scheme, "http")]);
    assert_eq!(
        case.unknown(),
        ["server.address", "server.port", "url.full"]
    );
    assert_eq!(case.get("network.peer.address"), some("10.0.0.7"));
    let case = hidden(Role::Client, &[(Authority, "h"), (Scheme, "https")]);
    assert!(case.unknown().is_empty());
    assert_eq!(case.get("url.full"), some("https://h/a?b"));
    let case = hidden(Role::Client, &[(Authority, "h:81")]);
    assert_eq!(case.unknown(), ["url.full"]);
    assert_eq!(case.get("server.port"), some("81"));
    let case = hidden(Role::Client, &[(Authority, "h")]);
    assert_eq!(case.unknown(), ["server.port", "url.full"]);
    assert_eq!(case.get("server.address"), some("h"));
}

#[test]
fn hidden_headers_of_a_server() {
    use HeaderName::{Authority, Scheme, UserAgent, XForwardedFor};
    // Any of them may be overruled by what a proxy said.
    let seen = [
        (Authority, "h"),
        (Scheme, "http"),
        (XForwardedFor, "192.0.2.1"),
    ];
    let origin = [
        "url.scheme",
        "server.address",
        "server.port",
        "client.address",
    ];
    let case = hidden(Role::Server, &seen);
    assert_eq!(case.unknown()[..4], origin);
    assert_eq!(case.unknown()[4..], ["user_agent.original"]);
    assert_eq!(case.get("url.path"), some("/a"));
    assert_eq!(case.get("url.query"), some("b"));
    let case = hidden(Role::Server, &[(UserAgent, "curl")]);
    assert_eq!(case.unknown(), origin);
    assert_eq!(case.get("user_agent.original"), some("curl"));
}

#[test]
fn method_and_target() {
    let headers = [
        (HeaderName::Authority, "h"),
        (HeaderName::Scheme, "http"),
        (HeaderName::UserAgent, "curl"),
    ];
    let mut case = hidden(Role::Client, &headers);
    case.hidden = false;
    case.method = None;
    assert_eq!(case.describe().name, "HTTP");
    assert_eq!(
        case.unknown(),
        ["http.request.method", "http.request.method_original"]
    );
    assert_eq!(case.get("url.full"), some("http://h/a?b"));
    case.method = Some("GET");
    case.target = None;
    assert_eq!(case.unknown(), ["url.full"]);
    assert_eq!(case.get("server.address"), some("h"));
    assert_eq!(case.get("server.port"), some("80"));
    case.role = Role::Server;
    assert_eq!(case.unknown(), ["url.path", "url.query"]);
    // It may be an extended CONNECT, which has a path.
    case.method = Some("CONNECT");
    case.hidden = true;
    assert!(case.unknown().contains(&"url.path".to_owned()));
}

#[test]
fn a_status_code_and_what_follows_from_it() {
    for role in [Role::Client, Role::Server] {
        let mut case = case(role, "/", &[]);
        case.response = Some(Response { status: None });
        assert_eq!(case.unknown(), ["http.response.status_code", "error.type"]);
        assert_eq!(case.describe().status, Status::Unset);
        assert_eq!(case.get("http.response.body.size"), some("12"));
        case.error = Some(ExchangeError::Reset);
        assert_eq!(case.unknown(), ["http.response.status_code"]);
        assert_eq!(case.get("error.type"), some("connection_reset"));
        assert_eq!(case.describe().status, Status::Error);
        case.response = None;
        assert!(case.unknown().is_empty());
    }
}

#[test]
fn the_code_of_a_reset() {
    let mut case = case(Role::Client, "/", &[]);
    case.response = None;
    case.error = Some(ExchangeError::StreamReset {
        code: None,
        by: Role::Client,
    });
    // It may have cancelled, which is no error of its own.
    assert_eq!(case.unknown(), ["error.type"]);
    assert_eq!(case.describe().status, Status::Unset);
    case.role = Role::Server;
    assert!(case.unknown().is_empty());
    assert_eq!(case.get("error.type"), some("stream_reset"));
}

#[test]
fn what_was_not_captured() {
    let mut case = case(Role::Server, "/", &[]);
    assert_eq!(case.get("wirespan.truncated"), None);
    assert_eq!(case.get("wirespan.gap_bytes"), None);
    case.truncated = true;
    case.gap_bytes = 7;
    case.response = None;
    assert_eq!(case.get("wirespan.truncated"), some("true"));
    assert_eq!(case.get("wirespan.gap_bytes"), some("7"));
    assert_eq!(case.get("http.request.body.size"), some("3"));
    assert_eq!(case.get("http.response.body.size"), None);
    case.body = None;
    assert_eq!(case.unknown(), ["http.request.body.size"]);
}
