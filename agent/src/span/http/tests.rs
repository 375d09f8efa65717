//! The conventions, rule by rule.

use crate::{
    span::{
        attributes::{ROOM, VALUE_LIMIT},
        describe::Conventions,
        model::Status,
        testing::{Case, case, get, response, some},
    },
    stream::exchange::{ExchangeError, HeaderName, HttpVersion, Response, Role},
};

mod hostile;
mod http2;
mod unknown;

fn client(target: &str, headers: &[(HeaderName, &str)]) -> Case {
    case(Role::Client, target, headers)
}

fn server(target: &str, headers: &[(HeaderName, &str)]) -> Case {
    case(Role::Server, target, headers)
}

#[test]
fn client_span() {
    let description = client("/a/b?q=1", &[(HeaderName::Host, "shop.example:8443")]).describe();
    assert_eq!(description.name, "GET");
    assert_eq!(description.status, Status::Unset);
    let expected = [
        ("http.request.method", "GET"),
        ("server.address", "shop.example"),
        ("server.port", "8443"),
        ("url.full", "http://shop.example:8443/a/b?q=1"),
        ("network.protocol.version", "1.1"),
        ("network.peer.address", "10.0.0.7"),
        ("network.peer.port", "8080"),
        ("http.response.status_code", "200"),
        ("http.request.body.size", "3"),
        ("http.response.body.size", "12"),
    ];
    for (key, value) in expected {
        assert_eq!(get(&description, key), some(value), "{key}");
    }
    assert_eq!(description.attributes.len(), expected.len());
}

#[test]
fn server_span() {
    let headers = [
        (HeaderName::Host, "shop.example"),
        (HeaderName::UserAgent, "curl/8"),
    ];
    let description = server("/a/b?q=1", &headers).describe();
    let expected = [
        ("http.request.method", "GET"),
        ("url.scheme", "http"),
        ("url.path", "/a/b"),
        ("url.query", "q=1"),
        ("server.address", "shop.example"),
        ("server.port", "80"),
        ("client.address", "10.0.0.7"),
        ("user_agent.original", "curl/8"),
        ("network.protocol.version", "1.1"),
        ("network.peer.address", "10.0.0.7"),
        ("network.peer.port", "8080"),
        ("http.response.status_code", "200"),
        ("http.request.body.size", "3"),
        ("http.response.body.size", "12"),
    ];
    for (key, value) in expected {
        assert_eq!(get(&description, key), some(value), "{key}");
    }
    assert_eq!(description.attributes.len(), expected.len());
}

#[test]
fn unknown_methods() {
    for method in ["GeT", "get", "PROPFIND", "G"] {
        let mut case = server("/", &[]);
        case.method = Some(method);
        assert_eq!(case.describe().name, "HTTP");
        assert_eq!(case.get("http.request.method"), some("_OTHER"));
        assert_eq!(case.get("http.request.method_original"), some(method));
    }
}

#[test]
fn known_methods_are_replaced_as_a_whole() {
    let methods = ["PROPFIND".to_owned(), "GeT".to_owned()];
    let conventions = Conventions::default().with_known_methods(&methods);
    let mut case = server("/", &[]);
    assert_eq!(case.describe_with(&conventions).name, "HTTP");
    case.method = Some("PROPFIND");
    assert_eq!(case.describe_with(&conventions).name, "PROPFIND");
}

#[test]
fn status_rules() {
    use Role::{Client, Server};
    use Status::{Error, Unset};
    let cases = [
        (Server, Some(101), None, Unset, None),
        (Server, Some(302), None, Unset, None),
        (Server, Some(404), None, Unset, None),
        (Server, Some(499), None, Unset, None),
        (Server, Some(500), None, Error, some("500")),
        (Server, Some(799), None, Error, some("799")),
        (Client, Some(399), None, Unset, None),
        (Client, Some(404), None, Error, some("404")),
        (Client, Some(503), None, Error, some("503")),
        (
            Client,
            None,
            Some(ExchangeError::Reset),
            Error,
            some("connection_reset"),
        ),
        (
            Server,
            None,
            Some(ExchangeError::Closed),
            Error,
            some("connection_closed"),
        ),
        (
            Client,
            Some(200),
            Some(ExchangeError::TimedOut),
            Error,
            some("timeout"),
        ),
        (
            Server,
            Some(404),
            Some(ExchangeError::ProcessExited),
            Error,
            some("process_exited"),
        ),
        (
            Server,
            None,
            Some(ExchangeError::AgentStopped),
            Error,
            some("agent_stopped"),
        ),
        (
            Client,
            Some(500),
            Some(ExchangeError::Reset),
            Error,
            some("500"),
        ),
    ];
    for (role, status, error, expected, error_type) in cases {
        let case = Case {
            response: status.and_then(response),
            error,
            ..case(role, "/", &[])
        };
        let name = format!("{role:?} {status:?} {error:?}");
        assert_eq!(case.describe().status, expected, "{name}");
        assert_eq!(case.get("error.type"), error_type, "{name}");
        let code = status.map(|status| status.to_string());
        assert_eq!(case.get("http.response.status_code"), code, "{name}");
    }
}

#[test]
fn client_server_address() {
    use HeaderName::Host;
    // Host header, address, port, URL
    let cases: &[(&str, Option<&str>, &str, &str, &str)] = &[
        (
            "/x",
            Some("a.example"),
            "a.example",
            "80",
            "http://a.example/x",
        ),
        (
            "/x",
            Some("a.example:80"),
            "a.example",
            "80",
            "http://a.example:80/x",
        ),
        ("/x", Some("[::1]:81"), "::1", "81", "http://[::1]:81/x"),
        (
            "/x",
            Some("[2001:db8::1]"),
            "2001:db8::1",
            "80",
            "http://[2001:db8::1]/x",
        ),
        ("/x", Some("a:bad"), "a", "80", "http://a/x"),
        ("/x", Some("a:70000"), "a", "80", "http://a/x"),
        ("/x", Some(""), "10.0.0.7", "8080", "http://10.0.0.7:8080/x"),
        ("/x", None, "10.0.0.7", "8080", "http://10.0.0.7:8080/x"),
        (
            "http://b.example/y?z",
            Some("proxy"),
            "b.example",
            "80",
            "http://b.example/y?z",
        ),
        (
            "https://b.example",
            Some("proxy"),
            "b.example",
            "443",
            "https://b.example/",
        ),
        (
            "http://b.example?z=1",
            Some("proxy"),
            "b.example",
            "80",
            "http://b.example/?z=1",
        ),
        (
            "http://u:p@b.example:81/y",
            None,
            "b.example",
            "81",
            "http://REDACTED:REDACTED@b.example:81/y",
        ),
        (
            "http://u@b.example/y",
            None,
            "b.example",
            "80",
            "http://REDACTED:REDACTED@b.example/y",
        ),
        ("/x#frag", Some("a"), "a", "80", "http://a/x"),
        ("*", Some("a"), "a", "80", "http://a"),
    ];
    for (target, host, address, port, url) in cases {
        let headers: Vec<_> = host.iter().map(|host| (Host, *host)).collect();
        let case = client(target, &headers);
        assert_eq!(
            case.get("server.address"),
            some(address),
            "{target} {host:?}"
        );
        assert_eq!(case.get("server.port"), some(port), "{target} {host:?}");
        assert_eq!(case.get("url.full"), some(url), "{target} {host:?}");
    }
}

#[test]
fn connect_names_its_target() {
    let mut case = client("b.example:443", &[(HeaderName::Host, "proxy")]);
    case.method = Some("CONNECT");
    assert_eq!(case.get("server.address"), some("b.example"));
    assert_eq!(case.get("server.port"), some("443"));
    assert_eq!(case.get("url.full"), some("http://b.example:443"));
}

#[test]
fn secrets_in_queries_are_redacted() {
    let cases = [
        ("sig=abc", "sig=REDACTED"),
        (
            "a=1&X-Amz-Signature=abc&b=2",
            "a=1&X-Amz-Signature=REDACTED&b=2",
        ),
        (
            "AWSAccessKeyId=1&Signature=2",
            "AWSAccessKeyId=REDACTED&Signature=REDACTED",
        ),
        ("X-Goog-Signature=1=2", "X-Goog-Signature=REDACTED"),
        (
            "X-Amz-Credential=&X-Amz-Security-Token=t",
            "X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED",
        ),
        ("Sig=abc&sig&asig=1", "Sig=abc&sig&asig=1"),
    ];
    for (query, expected) in cases {
        let target = format!("/p?{query}");
        let url = client(&target, &[(HeaderName::Host, "h")]).get("url.full");
        assert_eq!(url, Some(format!("http://h/p?{expected}")));
        assert_eq!(server(&target, &[]).get("url.query"), some(expected));
    }
}

#[test]
fn server_target_parts() {
    let cases = [
        ("/", "/", None),
        ("/p?", "/p", None),
        ("/p?a?b", "/p", Some("a?b")),
        ("/a//b/%2F", "/a//b/%2F", None),
        ("http://h/p?q", "/p", Some("q")),
        ("http://h", "/", None),
        ("/p?u=http://x/", "/p", Some("u=http://x/")),
        ("*", "*", None),
    ];
    for (target, path, query) in cases {
        let case = server(target, &[]);
        assert_eq!(case.get("url.path"), some(path), "{target}");
        assert_eq!(case.get("url.query"), query.map(str::to_owned), "{target}");
    }
}

#[test]
fn forwarded_headers() {
    use HeaderName::{Forwarded, Host, XForwardedFor, XForwardedHost, XForwardedProto};
    let header = r#"For="[2001:db8:cafe::17]:4711";Proto=HTTPS;host="shop.example:8443", for=10.1.1.1;proto=http"#;
    let all = [
        (Host, "internal:1"),
        (XForwardedFor, "192.0.2.1"),
        (XForwardedHost, "other.example"),
        (XForwardedProto, "http"),
        (Forwarded, header),
    ];
    let check = |headers: &[(HeaderName, &str)], expected: [&str; 4]| {
        let case = server("/", headers);
        let keys = [
            "url.scheme",
            "server.address",
            "server.port",
            "client.address",
        ];
        for (key, value) in keys.iter().zip(expected) {
            assert_eq!(case.get(key), some(value), "{key} {headers:?}");
        }
    };
    check(&all, ["https", "shop.example", "8443", "2001:db8:cafe::17"]);
    check(&all[..4], ["http", "other.example", "80", "192.0.2.1"]);
    check(&all[..1], ["http", "internal", "1", "10.0.0.7"]);
    check(
        &[
            (XForwardedProto, "https, http"),
            (XForwardedHost, "a.example, b"),
            (XForwardedFor, "2001:db8::5, 10.0.0.1"),
        ],
        ["https", "a.example", "443", "2001:db8::5"],
    );
    check(
        &[
            (Host, "h"),
            (Forwarded, "for=unknown"),
            (XForwardedFor, "203.0.113.9:1234"),
        ],
        ["http", "h", "80", "203.0.113.9"],
    );
    check(
        &[
            (Forwarded, "by=1.1.1.1"),
            (Forwarded, r#"for=_secret;host="a\"b,c;d""#),
            (XForwardedProto, "<script>"),
        ],
        ["http", "a\"b,c;d", "80", "_secret"],
    );
}

#[test]
fn unix_sockets_have_no_addresses() {
    let mut case = server("/", &[(HeaderName::Host, "localhost")]);
    case.peer = None;
    assert_eq!(case.get("network.transport"), some("unix"));
    assert_eq!(case.get("network.peer.address"), None);
    assert_eq!(case.get("client.address"), None);
    case.role = Role::Client;
    assert_eq!(case.get("url.full"), some("http://localhost/"));
}

#[test]
fn values_are_bounded() {
    let long = format!("/{}", "é".repeat(5000));
    let path = server(&long, &[]).get("url.path").unwrap();
    assert!(path.len() <= VALUE_LIMIT && path.len() >= VALUE_LIMIT - 1);
    let redacted = format!("/?{}&sig=secret", "a".repeat(VALUE_LIMIT - 9));
    assert!(
        !server(&redacted, &[])
            .get("url.query")
            .unwrap()
            .contains("sec")
    );
}
