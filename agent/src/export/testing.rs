//! Spans for the tests of this module.

use std::sync::Arc;

use crate::span::model::{Kind, Parent, Resource, Span, SpanId, Status, TraceId, Value};

pub(super) fn resource(name: &str) -> Arc<Resource> {
    Arc::new(Resource {
        service_name: name.into(),
        attributes: vec![
            ("service.name".into(), name.into()),
            ("process.pid".into(), 4242_i64.into()),
        ],
    })
}

pub(super) fn span(number: u64, resource: &Arc<Resource>) -> Arc<Span> {
    let id = (number + 1).to_be_bytes();
    Arc::new(Span {
        trace_id: TraceId([id, id].concat().try_into().unwrap()),
        span_id: SpanId(id),
        parent: number.is_multiple_of(2).then_some(Parent {
            span_id: SpanId([0xab; 8]),
            remote: number.is_multiple_of(4),
        }),
        trace_flags: 3,
        trace_state: "vendor=\"1\"".into(),
        kind: if number.is_multiple_of(2) {
            Kind::Server
        } else {
            Kind::Client
        },
        name: "GET /\u{e9}\n\"".into(),
        start: 1_700_000_000_000_000_000 + number,
        end: u64::MAX,
        status: if number.is_multiple_of(3) {
            Status::Error
        } else {
            Status::Unset
        },
        status_message: "why \"".into(),
        attributes: vec![
            ("http.request.method", "GET".into()),
            ("url.path", Value::Str("/a".repeat(150).into())),
            ("http.response.status_code", 200_i64.into()),
            ("negative", (-1_i64).into()),
            ("zero", 0_i64.into()),
            ("empty", "".into()),
            ("flag", false.into()),
            ("seconds", 0.25.into()),
            ("list", Value::List(vec!["x".into(), "".into()])),
        ],
        resource: Arc::clone(resource),
    })
}

/// `count` spans of two resources, by turns.
pub(super) fn spans(count: u64) -> Vec<Arc<Span>> {
    let resources = [resource("front"), resource("back")];
    (0..count)
        .map(|number| span(number, &resources[usize::from(number % 2 == 1)]))
        .collect()
}
