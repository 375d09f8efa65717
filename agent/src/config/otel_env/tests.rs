//! Every variable: its default, its values, what is warned of.

use super::*;

fn settings(variables: &[(&str, &str)]) -> (OtlpSettings, Vec<String>) {
    let (settings, warnings) = otlp_settings(|name| {
        variables
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| (*value).to_owned())
    });
    let variables = warnings.into_iter().map(|warning| warning.variable);
    (settings, variables.collect())
}

#[test]
fn nothing_set_gives_the_defaults() {
    assert_eq!(settings(&[]), (OtlpSettings::default(), vec![]));
    let empty = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", " "),
        ("OTEL_BSP_MAX_QUEUE_SIZE", ""),
    ];
    assert_eq!(settings(&empty), (OtlpSettings::default(), vec![]));
}

#[test]
fn endpoints() {
    let general = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    for (variables, expected) in [
        (vec![grpc], "http://localhost:4317"),
        (vec![(general, "http://h:1")], "http://h:1/v1/traces"),
        (vec![(general, "http://h:1/")], "http://h:1/v1/traces"),
        (vec![(general, "https://h/a/b/")], "https://h/a/b/v1/traces"),
        (
            vec![(general, "https://h/a?k=v")],
            "https://h/a/v1/traces?k=v",
        ),
        (
            vec![(general, "http://h:1"), (traces, "http://t:2")],
            "http://t:2",
        ),
        (vec![(traces, "http://t:2/x/")], "http://t:2/x/"),
        (
            vec![(general, "http://h:1"), (traces, "")],
            "http://h:1/v1/traces",
        ),
        (vec![grpc, (general, "http://h:1/a")], "http://h:1/a"),
        (vec![(general, "::::")], "::::"),
    ] {
        assert_eq!(settings(&variables).0.endpoint, expected, "{variables:?}");
    }
}

#[test]
fn values_for_traces_go_first() {
    let (read, warnings) = settings(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "HTTP/JSON"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "GZip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "TRUE"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/key.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/cert.pem"),
    ]);
    assert_eq!(read.protocol, Protocol::HttpJson);
    assert!(read.gzip && read.insecure);
    assert_eq!(read.timeout, Some(Duration::from_millis(250)));
    assert_eq!(read.certificate, Some("/ca.pem".into()));
    assert_eq!(read.client_key, Some("/key.pem".into()));
    assert_eq!(read.client_certificate, Some("/cert.pem".into()));
    assert!(warnings.is_empty());
}

#[test]
fn headers_are_decoded() {
    let (read, warnings) = settings(&[(
        "OTEL_EXPORTER_OTLP_HEADERS",
        " api-key = a%20b%3Dc== ,X=%C3%A9, ,bad,in valid=1",
    )]);
    assert_eq!(read.headers["api-key"], "a b=c==");
    assert_eq!(read.headers["x"].as_bytes(), "\u{e9}".as_bytes());
    assert_eq!(read.headers.len(), 2);
    assert_eq!(warnings, ["OTEL_EXPORTER_OTLP_HEADERS"; 2]);
    assert!(!format!("{read:?}").contains("a b"));
}

#[test]
fn what_cannot_be_used_is_ignored_with_a_warning() {
    for (variable, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "br"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
        ("OTEL_BSP_SCHEDULE_DELAY", "x"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "1.5"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-4"),
    ] {
        let (read, warnings) = settings(&[(variable, value)]);
        assert_eq!(read, OtlpSettings::default(), "{variable}");
        assert_eq!(warnings, [variable]);
    }
}

#[test]
fn batching() {
    let (read, warnings) = settings(&[
        ("OTEL_BSP_SCHEDULE_DELAY", "5000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
    ]);
    assert_eq!(read.batch.schedule_delay, Duration::from_secs(5));
    assert_eq!(read.batch.export_timeout, None);
    assert_eq!(read.batch.max_export_batch_size, 100);
    assert!(warnings.is_empty());
    let (read, warnings) = settings(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"),
    ]);
    assert_eq!(read.batch.max_export_batch_size, 100);
    assert_eq!(warnings, ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"]);
}
