//! The JSON form, against the official messages.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::*;
use crate::export::{protobuf, testing};

#[test]
fn is_the_json_of_the_protobuf() {
    let spans = testing::spans(7);
    let (mut json, mut binary) = (Vec::new(), Vec::new());
    encode_request(&spans, &mut json);
    protobuf::encode_request(&spans, &mut binary);
    let mut read: ExportTraceServiceRequest = serde_json::from_slice(&json).unwrap();
    let expected = ExportTraceServiceRequest::decode(binary.as_slice()).unwrap();
    // `"status":{}` is a status of defaults, which protobuf leaves out.
    for resource in &mut read.resource_spans {
        for span in &mut resource.scope_spans[0].spans {
            span.status = span.status.take().filter(|status| status.code != 0);
        }
    }
    assert_eq!(read, expected);
}

#[test]
fn has_the_form_of_the_specification() {
    let mut json = Vec::new();
    encode_request(&testing::spans(1), &mut json);
    let text = String::from_utf8(json).unwrap();
    assert!(!text.contains('\n'));
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    let resource = &read["resourceSpans"][0];
    assert_eq!(
        resource["resource"]["attributes"][1]["value"]["intValue"],
        "4242"
    );
    let span = &resource["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "00000000000000010000000000000001");
    assert_eq!(span["spanId"], "0000000000000001");
    assert_eq!(span["parentSpanId"], "abababababababab");
    assert_eq!(span["kind"], 2);
    assert_eq!(span["flags"], 0x303);
    assert_eq!(span["startTimeUnixNano"], "1700000000000000000");
    assert_eq!(span["endTimeUnixNano"], "18446744073709551615");
    assert_eq!(span["status"]["code"], 2);
    assert_eq!(span["attributes"][6]["value"]["boolValue"], false);
}
