//! How a WebSocket is told.

use crate::{
    span::{
        model::Status,
        testing::{Case, case, response, some},
    },
    stream::exchange::{ExchangeError, HeaderName, HttpVersion, Role, Session, WebSocket},
};

fn socket(role: Role, close_code: Option<u16>, error: Option<ExchangeError>) -> Case {
    let headers = [(HeaderName::Host, "chat.example")];
    Case {
        response: response(101),
        session: Session::WebSocket(Box::new(WebSocket {
            request_messages: Some(2),
            response_messages: Some(3),
            close_code,
        })),
        error,
        ..case(role, "/room/7", &headers)
    }
}

#[test]
fn it_is_the_span_of_its_upgrade() {
    let case = socket(Role::Client, Some(1000), None);
    let description = case.describe();
    assert_eq!(description.name, "GET");
    assert_eq!(description.status, Status::Unset);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.full", "http://chat.example/room/7"),
        ("http.response.status_code", "101"),
        ("http.request.body.size", "3"),
        ("http.response.body.size", "12"),
        ("wirespan.websocket.request.messages", "2"),
        ("wirespan.websocket.response.messages", "3"),
        ("wirespan.websocket.close_code", "1000"),
    ] {
        assert_eq!(case.get(key), some(value), "{key}");
    }
    assert_eq!(case.get("error.type"), None);
    let case = Case {
        method: Some("CONNECT"),
        version: HttpVersion::Http2,
        response: response(200),
        ..case
    };
    assert_eq!(case.describe().name, "CONNECT");
    assert_eq!(case.get("http.response.status_code"), some("200"));
}

#[test]
fn the_close_frame_says_why_it_ended() {
    let reset = Some(ExchangeError::Reset);
    let cancelled = Some(ExchangeError::StreamReset {
        code: Some(8),
        by: Role::Client,
    });
    for role in [Role::Client, Role::Server] {
        for (code, error, expected) in [
            (Some(1000), None, None),
            (Some(1001), reset, None),
            (None, None, None),
            (Some(3000), None, None),
            (Some(4999), None, None),
            (Some(u16::MAX), None, None),
            (Some(1002), None, Some("1002")),
            (Some(1011), reset, Some("1011")),
            (Some(0), None, Some("_OTHER")),
            (Some(2500), None, Some("_OTHER")),
            (None, reset, Some("connection_reset")),
            (None, Some(ExchangeError::Closed), Some("connection_closed")),
            (None, cancelled, (role == Role::Server).then_some("CANCEL")),
        ] {
            let case = socket(role, code, error);
            assert_eq!(case.get("error.type").as_deref(), expected, "{code:?}");
            let status = expected.map_or(Status::Unset, |_| Status::Error);
            assert_eq!(case.describe().status, status, "{code:?}");
        }
    }
}

#[test]
fn messages_that_could_not_be_counted() {
    let mut case = socket(Role::Server, None, None);
    case.session = Session::WebSocket(Box::default());
    assert_eq!(
        case.unknown(),
        [
            "wirespan.websocket.request.messages",
            "wirespan.websocket.response.messages"
        ]
    );
}
