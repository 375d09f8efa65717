//! What HTTP/2 says otherwise than HTTP/1: pseudo-header fields, and streams that end by an error.

use super::*;

fn http2(role: Role, target: &str, headers: &[(HeaderName, &str)]) -> Case {
    Case {
        version: HttpVersion::Http2,
        ..case(role, target, headers)
    }
}

#[test]
fn pseudo_header_fields_name_the_server() {
    use HeaderName::{Authority, Host, Scheme};
    let headers = [
        (Host, "other.example"),
        (Scheme, "https"),
        (Authority, "shop.example"),
    ];
    let client = http2(Role::Client, "/a?q=1", &headers);
    assert_eq!(client.get("network.protocol.version"), some("2"));
    assert_eq!(client.get("url.full"), some("https://shop.example/a?q=1"));
    assert_eq!(client.get("server.address"), some("shop.example"));
    assert_eq!(client.get("server.port"), some("443"));
    let server = http2(Role::Server, "/a?q=1", &headers);
    assert_eq!(server.get("url.scheme"), some("https"));
    assert_eq!(server.get("url.path"), some("/a"));
    assert_eq!(server.get("url.query"), some("q=1"));
    assert_eq!(server.get("server.address"), some("shop.example"));
    assert_eq!(server.get("server.port"), some("443"));
    // Proxies' headers tell what the first client asked for.
    let forwarded = [headers[2], (HeaderName::XForwardedHost, "www.example:81")];
    let server = http2(Role::Server, "/", &forwarded);
    assert_eq!(server.get("server.address"), some("www.example"));
    assert_eq!(server.get("server.port"), some("81"));
    // Without them it is as in HTTP/1.
    let client = http2(Role::Client, "/", &headers[..1]);
    assert_eq!(client.get("url.full"), some("http://other.example/"));
    let wrong = http2(Role::Client, "/", &[headers[2], (Scheme, "<b>")]);
    assert_eq!(wrong.get("url.full"), some("http://shop.example/"));
}

#[test]
fn connect_has_an_authority_and_no_path() {
    let headers = [(HeaderName::Authority, "db.example:5432")];
    for target in [None, Some(String::new())] {
        let mut case = http2(Role::Client, "", &headers);
        case.method = Some("CONNECT");
        case.target = target;
        assert_eq!(case.describe().name, "CONNECT");
        assert_eq!(case.get("server.address"), some("db.example"));
        assert_eq!(case.get("url.full"), some("http://db.example:5432"));
        assert_eq!(case.get("wirespan.unknown"), None);
    }
    let mut extended = http2(
        Role::Server,
        "/chat?room=1",
        &[headers[0], (HeaderName::Protocol, "websocket")],
    );
    extended.method = Some("CONNECT");
    assert_eq!(extended.describe().name, "CONNECT");
    assert_eq!(extended.get("url.path"), some("/chat"));
    assert_eq!(extended.get("url.query"), some("room=1"));
}

#[test]
fn streams_that_were_reset() {
    use Role::{Client, Server};
    let reset = |code, by| {
        let code = Some(code);
        Some(ExchangeError::StreamReset { code, by })
    };
    let away = |code| Some(ExchangeError::GoneAway { code });
    // Span's kind, error, expected type.
    let cases = [
        // Given up on purpose by the client, which is no error of its own.
        (Client, reset(8, Client), None),
        (Client, reset(0, Client), None),
        (Server, reset(8, Client), Some("CANCEL")),
        (Server, reset(0, Client), Some("stream_reset")),
        // Reset by the server.
        (Client, reset(8, Server), Some("CANCEL")),
        (Client, reset(0, Server), Some("stream_reset")),
        (Client, reset(7, Server), Some("REFUSED_STREAM")),
        (Server, reset(2, Server), Some("INTERNAL_ERROR")),
        (Client, reset(1, Client), Some("PROTOCOL_ERROR")),
        (Client, reset(13, Server), Some("HTTP_1_1_REQUIRED")),
        (Client, reset(14, Server), Some("_OTHER")),
        (Server, reset(u32::MAX, Client), Some("_OTHER")),
        (Client, away(0), Some("connection_shutdown")),
        (Client, away(11), Some("ENHANCE_YOUR_CALM")),
    ];
    for (role, error, expected) in cases {
        for answer in [None, response(200)] {
            let case = Case {
                error,
                response: answer,
                ..http2(role, "/", &[])
            };
            let status = expected.map_or(Status::Unset, |_| Status::Error);
            assert_eq!(case.describe().status, status, "{role:?} {error:?}");
            assert_eq!(case.get("error.type").as_deref(), expected);
        }
    }
    // What the server said counts more.
    let case = Case {
        error: reset(8, Client),
        response: response(503),
        ..http2(Client, "/", &[])
    };
    assert_eq!(case.get("error.type"), some("503"));
}
