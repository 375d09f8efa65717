//! What is drawn, plain and coloured, also of hostile spans.

use compact_str::CompactString;
use proptest::prelude::*;

use super::*;
use crate::span::model::{Attribute, Kind, Parent, Resource, SpanId, Status, Value};

const START: u64 = 1_700_000_000_123_000_000;
const PLAIN: ConsoleOptions = ConsoleOptions {
    width: None,
    color: false,
};

fn span(trace: u8, id: u8, parent: Option<u8>, kind: Kind, attributes: Vec<Attribute>) -> Span {
    let service = if kind == Kind::Client {
        "curl"
    } else {
        "nginx"
    };
    Span {
        trace_id: TraceId([trace; 16]),
        span_id: SpanId([id; 8]),
        parent: parent.map(|id| Parent {
            span_id: SpanId([id; 8]),
            remote: false,
        }),
        trace_flags: 3,
        trace_state: CompactString::default(),
        kind,
        name: "GET".into(),
        start: START + u64::from(id) * 1_000_000,
        end: START + 20_000_000,
        status: Status::Unset,
        status_message: CompactString::default(),
        attributes,
        resource: Arc::new(Resource {
            service_name: service.into(),
            attributes: vec![("service.name".into(), service.into())],
        }),
    }
}

fn client(trace: u8, id: u8, parent: Option<u8>) -> Span {
    let attributes = vec![
        ("http.request.method", "GET".into()),
        ("url.full", "http://box:8080/users?id=7".into()),
        ("http.response.status_code", 200.into()),
        ("http.response.body.size", 1256.into()),
    ];
    span(trace, id, parent, Kind::Client, attributes)
}

fn server(trace: u8, id: u8, parent: Option<u8>) -> Span {
    let attributes = vec![
        ("http.request.method", "GET".into()),
        ("url.path", "/users".into()),
        ("url.query", "id=7".into()),
        ("http.response.status_code", 200.into()),
    ];
    span(trace, id, parent, Kind::Server, attributes)
}

fn console(options: ConsoleOptions) -> Console<Vec<u8>> {
    Console::in_zone(Vec::new(), options, TimeZone::UTC)
}

fn take(console: &mut Console<Vec<u8>>) -> String {
    String::from_utf8(std::mem::take(&mut console.writer)).unwrap()
}

fn drawn(options: ConsoleOptions, spans: Vec<Span>) -> String {
    let mut console = console(options);
    let spans: Vec<_> = spans.into_iter().map(Arc::new).collect();
    console.write(&spans).unwrap();
    console.finish().unwrap();
    take(&mut console)
}

#[test]
fn a_trace_is_drawn_as_a_tree() {
    let spans = vec![
        server(1, 6, Some(5)),
        server(1, 2, Some(1)),
        client(1, 5, Some(2)),
        client(1, 3, Some(2)),
        server(1, 4, Some(3)),
        client(1, 1, None),
    ];
    assert_eq!(
        drawn(PLAIN, spans),
        "\
22:13:20.124   19.0 ms  200  curl → GET http://box:8080/users?id=7  1.25 kB
22:13:20.125   18.0 ms  200  └─ nginx ← GET /users?id=7
22:13:20.126   17.0 ms  200     ├─ curl → GET http://box:8080/users?id=7  1.25 kB
22:13:20.127   16.0 ms  200     │  └─ nginx ← GET /users?id=7
22:13:20.128   15.0 ms  200     └─ curl → GET http://box:8080/users?id=7  1.25 kB
22:13:20.129   14.0 ms  200        └─ nginx ← GET /users?id=7
"
    );
}

#[test]
fn colours_tell_status_and_kind() {
    let options = ConsoleOptions {
        width: None,
        color: true,
    };
    let mut failed = server(1, 2, Some(1));
    failed.status = Status::Error;
    failed.attributes[3].1 = 503.into();
    failed.attributes.push(("error.type", "503".into()));
    assert_eq!(
        drawn(options, vec![client(1, 1, None), failed]),
        "\
\x1b[2m22:13:20.124\x1b[0m   19.0 ms\x1b[32m  200\x1b[0m\x1b[2m  \x1b[0m\x1b[1mcurl\x1b[0m\
\x1b[35m → \x1b[0mGET http://box:8080/users?id=7\x1b[2m  1.25 kB\x1b[0m
\x1b[2m22:13:20.125\x1b[0m   18.0 ms\x1b[1;31m  503\x1b[0m\x1b[2m  └─ \x1b[0m\x1b[1mnginx\x1b[0m\
\x1b[34m ← \x1b[0m\x1b[31mGET /users?id=7\x1b[0m
"
    );
}

#[test]
fn an_exchange_without_a_response_names_its_error() {
    let mut failed = client(1, 1, None);
    failed.status = Status::Error;
    failed.attributes.truncate(2);
    failed
        .attributes
        .push(("error.type", "connection_reset".into()));
    failed.attributes.push(("wirespan.truncated", true.into()));
    assert_eq!(
        drawn(PLAIN, vec![failed]),
        "22:13:20.124   19.0 ms  ERR  curl → GET http://box:8080/users?id=7  connection_reset  \
         truncated\n"
    );
}

fn call(kind: Kind, status: &str, counts: [i64; 2]) -> Span {
    let attributes = vec![
        ("rpc.system.name", "grpc".into()),
        ("rpc.method", "shop.Cart/Watch".into()),
        ("server.address", "cart".into()),
        ("server.port", 50051.into()),
        ("rpc.status_code", status.into()),
        ("wirespan.rpc.request.messages", counts[0].into()),
        ("wirespan.rpc.response.messages", counts[1].into()),
    ];
    span(1, 1, None, kind, attributes)
}

#[test]
fn calls_show_their_method_and_status() {
    let mut failed = call(Kind::Client, "NOT_FOUND", [1, 0]);
    failed.status = Status::Error;
    failed.attributes.push(("error.type", "NOT_FOUND".into()));
    let mut unimplemented = call(Kind::Server, "UNIMPLEMENTED", [1, 1]);
    unimplemented.attributes[1].1 = "_OTHER".into();
    unimplemented
        .attributes
        .push(("rpc.method_original", "shop.Cart/Nope".into()));
    for (span, expected) in [
        (
            call(Kind::Client, "OK", [1, 1]),
            "   19.0 ms   OK  curl → grpc cart:50051/shop.Cart/Watch",
        ),
        (
            call(Kind::Server, "OK", [1, 12]),
            "   19.0 ms   OK  nginx ← grpc shop.Cart/Watch  1 → 12 ← messages",
        ),
        (
            failed,
            "   19.0 ms  ERR  curl → grpc cart:50051/shop.Cart/Watch  NOT_FOUND  \
             1 → 0 ← messages",
        ),
        (
            call(Kind::Server, "NOT_FOUND", [1, 1]),
            "   19.0 ms    -  nginx ← grpc shop.Cart/Watch  NOT_FOUND",
        ),
        (
            unimplemented,
            "   19.0 ms    -  nginx ← grpc shop.Cart/Nope  UNIMPLEMENTED",
        ),
    ] {
        assert_eq!(
            drawn(PLAIN, vec![span]),
            format!("22:13:20.124{expected}\n")
        );
    }
}

#[test]
fn websockets_and_what_is_unknown_are_shown() {
    let mut socket = server(1, 1, None);
    socket.attributes[3].1 = 101.into();
    socket
        .attributes
        .push(("wirespan.websocket.request.messages", 3.into()));
    let unknown = Value::List(vec!["wirespan.websocket.response.messages".into()]);
    socket.attributes.push(("wirespan.unknown", unknown));
    assert_eq!(
        drawn(PLAIN, vec![socket]),
        "22:13:20.124   19.0 ms  101  nginx ← GET /users?id=7  3 → ? ← messages  partly unknown\n"
    );
}

#[test]
fn lines_are_cut_at_the_width() {
    let options = ConsoleOptions {
        width: Some(45),
        color: false,
    };
    assert_eq!(
        drawn(options, vec![client(1, 1, None)]),
        "22:13:20.124   19.0 ms  200  curl → GET http…\n"
    );
}

#[test]
fn foreign_text_cannot_control_the_terminal() {
    let mut hostile = server(1, 1, None);
    hostile.attributes[1].1 = "/\x1b]0;owned\x07\x1b[2J\n\u{202e}x".into();
    hostile.resource = Arc::new(Resource {
        service_name: "a\x1bb\rc".into(),
        attributes: vec![],
    });
    assert_eq!(
        drawn(PLAIN, vec![hostile]),
        "22:13:20.124   19.0 ms  200  a�b�c ← GET /�]0;owned��[2J��x?id=7\n"
    );
}

#[test]
fn rings_and_repeated_ids_are_drawn_once_each() {
    let spans = vec![
        server(1, 1, Some(2)),
        server(1, 2, Some(1)),
        server(1, 3, Some(3)),
        server(1, 3, Some(9)),
    ];
    assert_eq!(drawn(PLAIN, spans).lines().count(), 4);
}

#[test]
fn a_deep_trace_stays_readable() {
    let spans = (1..=200).map(|id| server(1, id, Some(id - 1))).collect();
    let text = drawn(PLAIN, spans);
    assert_eq!(text.lines().count(), 200);
    assert!(text.lines().all(|line| line.chars().count() < 140));
}

#[test]
fn a_trace_waits_for_its_root_and_then_for_quiet() {
    let mut console = console(PLAIN);
    let now = Instant::now();
    console.write(&[Arc::new(server(1, 2, Some(1)))]).unwrap();
    console.tick(now + Duration::from_millis(500)).unwrap();
    assert_eq!(take(&mut console), "");
    console.write(&[Arc::new(client(1, 1, None))]).unwrap();
    console.tick(now).unwrap();
    assert_eq!(take(&mut console), "");
    console.tick(now + Duration::from_millis(500)).unwrap();
    assert_eq!(take(&mut console).lines().count(), 2);
    assert_eq!((console.spans, console.held.len()), (0, 0));
}

#[test]
fn a_trace_without_a_root_waits_a_second() {
    let mut console = console(PLAIN);
    console.write(&[Arc::new(server(1, 2, Some(1)))]).unwrap();
    console.tick(Instant::now() + HELD).unwrap();
    assert_eq!(take(&mut console).lines().count(), 1);
}

#[test]
fn a_remote_parent_makes_a_local_root() {
    let mut console = console(PLAIN);
    let mut root = server(1, 2, Some(1));
    root.parent = Some(Parent {
        span_id: SpanId([1; 8]),
        remote: true,
    });
    console.write(&[Arc::new(root)]).unwrap();
    console.tick(Instant::now() + QUIET).unwrap();
    assert_eq!(take(&mut console).lines().count(), 1);
}

#[test]
fn held_spans_are_bounded_and_none_is_lost() {
    let mut console = console(PLAIN);
    let spans: Vec<_> = (0..=255)
        .map(|id| Arc::new(server(id, id, Some(77))))
        .collect();
    let mut written = 0;
    while written < 3 * SPANS_LIMIT {
        console.write(&spans).unwrap();
        written += spans.len();
        assert!(console.spans <= SPANS_LIMIT);
    }
    console.finish().unwrap();
    assert_eq!(take(&mut console).lines().count(), written);
}

#[test]
fn a_terminal_decides_about_width_and_colour() {
    let options = |columns, set: &[(&str, &str)]| {
        ConsoleOptions::of_terminal(columns, |name| {
            let found = set.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).into())
        })
    };
    let shown = |width, color| ConsoleOptions {
        width: Some(width),
        color,
    };
    assert_eq!(options(120, &[("COLUMNS", "60")]), shown(120, true));
    assert_eq!(options(0, &[("COLUMNS", "60")]), shown(60, true));
    assert_eq!(options(0, &[("COLUMNS", "0")]), shown(80, true));
    assert_eq!(
        options(0, &[("COLUMNS", "wide"), ("NO_COLOR", "")]),
        shown(80, true)
    );
    assert_eq!(options(99, &[("NO_COLOR", "1")]), shown(99, false));
    assert_eq!(options(99, &[("TERM", "dumb")]), shown(99, false));
}

#[test]
fn a_file_gets_whole_lines_without_colour() {
    let file = tempfile::tempfile().unwrap();
    assert_eq!(ConsoleOptions::detect(&file), PLAIN);
}

proptest! {
    #[test]
    fn any_text_is_one_line_within_the_width(
        path in "\\PC{0,40}|[\\x00-\\x9f\u{2028}日e\u{301}]{0,40}",
        service in "[\\x00-\\x9f日a]{0,20}",
        width in 1_usize..120,
    ) {
        use unicode_width::UnicodeWidthChar;
        let mut foreign = server(1, 1, None);
        foreign.attributes[1].1 = path.as_str().into();
        foreign.resource = Arc::new(Resource {
            service_name: service.into(),
            attributes: vec![],
        });
        let text = drawn(ConsoleOptions { width: Some(width), color: false }, vec![foreign]);
        let line = text.strip_suffix('\n').unwrap();
        prop_assert!(line.chars().all(|character| !character.is_control()));
        prop_assert!(line.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>() <= width);
    }
}
