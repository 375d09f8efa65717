//! The protobuf form, against the official messages.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value},
};
use prost::Message;

use super::*;
use crate::export::testing;

fn plain(value: Option<AnyValue>) -> Value {
    match value.unwrap().value.unwrap() {
        any_value::Value::StringValue(text) => Value::from(text.as_str()),
        any_value::Value::IntValue(value) => value.into(),
        any_value::Value::BoolValue(value) => value.into(),
        any_value::Value::DoubleValue(value) => value.into(),
        any_value::Value::ArrayValue(list) => Value::List(
            list.values
                .into_iter()
                .map(|value| match plain(Some(value)) {
                    Value::Str(text) => text,
                    other => panic!("{other:?}"),
                })
                .collect(),
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn generated_types_read_what_is_written() {
    // 300 spans: lengths of one to three bytes occur.
    let spans = testing::spans(300);
    let mut out = Vec::new();
    encode_request(&spans, &mut out);
    let request = ExportTraceServiceRequest::decode(out.as_slice()).unwrap();
    // Canonical: the generated encoder writes the same number of bytes.
    assert_eq!(request.encoded_len(), out.len());
    assert_eq!(request.resource_spans.len(), 2);
    for (index, resource_spans) in request.resource_spans.into_iter().enumerate() {
        let resource = &spans[index].resource;
        let attributes: Vec<_> = resource_spans
            .resource
            .unwrap()
            .attributes
            .into_iter()
            .map(|pair| (pair.key.into(), plain(pair.value)))
            .collect();
        assert_eq!(attributes, resource.attributes);
        assert_eq!(resource_spans.schema_url, SCHEMA_URL);
        let scope_spans = &resource_spans.scope_spans[0];
        assert_eq!(scope_spans.scope.as_ref().unwrap().name, "wirespan");
        assert_eq!(scope_spans.schema_url, SCHEMA_URL);
        assert_eq!(scope_spans.spans.len(), 150);
        for (read, span) in scope_spans
            .spans
            .iter()
            .zip(spans.iter().skip(index).step_by(2))
        {
            assert_eq!(read.trace_id, span.trace_id.0);
            assert_eq!(read.span_id, span.span_id.0);
            let parent = span.parent.map_or(Vec::new(), |p| p.span_id.0.to_vec());
            assert_eq!(read.parent_span_id, parent);
            assert_eq!(read.trace_state, span.trace_state);
            assert_eq!(read.name, span.name);
            assert_eq!(read.kind, i32::from(kind_number(span.kind)));
            assert_eq!(read.start_time_unix_nano, span.start);
            assert_eq!(read.end_time_unix_nano, span.end);
            assert_eq!(read.flags, flags(span));
            let code = read.status.as_ref().map_or(0, |status| status.code);
            assert_eq!(code, if span.status == Status::Error { 2 } else { 0 });
            let message = read.status.as_ref().map_or("", |status| &status.message);
            assert_eq!(message, if code == 2 { "why \"" } else { "" });
            let attributes: Vec<_> = read
                .attributes
                .iter()
                .map(|pair| (pair.key.as_str(), plain(pair.value.clone())))
                .collect();
            let expected: Vec<_> = span.attributes.clone();
            assert_eq!(attributes, expected);
        }
    }
}

#[test]
fn wrong_guesses_of_a_length_are_mended() {
    for length in [0_usize, 1, 127, 128, 300, 16_383, 16_384, 70_000] {
        for guess in [Width::Small, Width::Medium, Width::Large] {
            let mut out = Vec::new();
            message(&mut out, 1, guess, |out| out.resize(out.len() + length, 7));
            let mut expected = Vec::new();
            bytes(&mut expected, 1, &vec![7; length]);
            assert_eq!(out, expected);
        }
    }
}
