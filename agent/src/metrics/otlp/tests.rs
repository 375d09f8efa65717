//! The agent's own metrics, as a server receives them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    time::Instant,
};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, KeyValue as ProtoKeyValue, any_value},
    metrics::v1::{Metric, NumberDataPoint, metric::Data, number_data_point},
};
use prost::Message;

use super::*;
use crate::metrics::counters::{Flow, Loss};

fn settings(set: &[(&str, &str)]) -> Settings {
    Settings::from_environment(|name| {
        let found = set.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn own() -> Resource {
    Resource {
        service_name: "renamed".into(),
        attributes: vec![
            ("service.name".into(), "renamed".into()),
            ("host.name".into(), "box".into()),
            ("process.pid".into(), 7.into()),
            ("telemetry.sdk.name".into(), "wirespan".into()),
        ],
    }
}

/// One request's path and body, answered with an empty success.
fn answer(listener: &TcpListener) -> (String, Vec<u8>) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_ascii_lowercase());
    }
    let length = lines
        .iter()
        .find_map(|line| line.strip_prefix("content-length:"))
        .unwrap();
    let mut body = vec![0; length.trim().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    reader
        .get_mut()
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    (lines[0].clone(), body)
}

fn text(attributes: &[ProtoKeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()? {
        AnyValue {
            value: Some(any_value::Value::StringValue(text)),
        } => Some(text.clone()),
        _ => None,
    }
}

fn points(metric: &Metric) -> &[NumberDataPoint] {
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => &sum.data_points,
        other => panic!("{other:?}"),
    }
}

fn point(metrics: &[Metric], name: &str, key: &str, value: &str) -> u64 {
    let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
    let point = points(metric)
        .iter()
        .find(|point| text(&point.attributes, key).as_deref() == Some(value))
        .unwrap();
    match point.value.unwrap() {
        number_data_point::Value::AsInt(number) => u64::try_from(number).unwrap(),
        number_data_point::Value::AsDouble(number) => panic!("{number}"),
    }
}

#[test]
fn counters_arrive_as_metrics() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let counters = Arc::new(Counters::default());
    counters.add(Flow::ServerSpans, 41);
    counters.add(Flow::ClientExchangesLost, 3);
    counters.add(Flow::KernelClientExchangesLost, 4);
    counters.add(Flow::BytesSkipped, 512);
    counters.add(Flow::ExportDropped, 6);
    counters.lose(Loss::RingFull, 9);
    let settings = settings(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &endpoint)]);
    let telemetry = SelfMetrics::with_settings(&settings, &counters, &own()).unwrap();
    counters.add(Flow::ServerSpans, 1);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(answer(&listener)));
    telemetry.shutdown(Duration::from_secs(20));
    let (path, body) = receiver.recv_timeout(Duration::from_secs(20)).unwrap();

    assert_eq!(path, "post /v1/metrics http/1.1");
    let request = ExportMetricsServiceRequest::decode(&body[..]).unwrap();
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    let attribute = |key| text(&resource.attributes, key);
    assert_eq!(attribute("service.name").as_deref(), Some("wirespan"));
    assert_eq!(attribute("host.name").as_deref(), Some("box"));
    assert_eq!(
        attribute("telemetry.sdk.name").as_deref(),
        Some("opentelemetry")
    );
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    assert_eq!(
        point(metrics, "wirespan.spans", "wirespan.span.kind", "server"),
        42
    );
    assert_eq!(
        point(
            metrics,
            "wirespan.exchanges.lost",
            "wirespan.role",
            "client"
        ),
        7
    );
    assert_eq!(
        point(metrics, "wirespan.io", "wirespan.io.state", "skipped"),
        512
    );
    assert_eq!(
        point(
            metrics,
            "wirespan.export.spans",
            "wirespan.export.outcome",
            "dropped"
        ),
        6
    );
    for reason in Loss::ALL {
        let expected = if *reason == Loss::RingFull { 9 } else { 0 };
        let found = point(
            metrics,
            "wirespan.losses",
            "wirespan.loss.reason",
            reason.name(),
        );
        assert_eq!(found, expected, "{reason:?}");
    }
    for (name, unit) in [
        ("wirespan.losses", "{loss}"),
        ("wirespan.io", "By"),
        ("process.cpu.time", "s"),
        ("process.memory.usage", "By"),
    ] {
        let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
        assert_eq!(metric.unit, unit, "{name}");
        assert!(!points(metric).is_empty(), "{name}");
    }
}

#[test]
fn shutdown_keeps_its_limit_when_the_back_end_hangs() {
    for protocol in ["http/protobuf", "grpc"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let settings = settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ]);
        let telemetry = SelfMetrics::with_settings(&settings, &Arc::default(), &own()).unwrap();
        let start = Instant::now();
        telemetry.shutdown(Duration::from_millis(300));
        let taken = start.elapsed();
        assert!(taken >= Duration::from_millis(290), "{protocol}: {taken:?}");
        assert!(taken < Duration::from_secs(5), "{protocol}: {taken:?}");
    }
}

#[test]
fn the_environment_decides() {
    let default = settings(&[("OTEL_METRICS_EXPORTER", "")]);
    assert!(default.enabled && !default.grpc);
    assert_eq!(default.interval, Duration::from_mins(1));
    assert_eq!(default.timeout, Duration::from_secs(10));
    for (name, value) in [
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "None"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_SDK_DISABLED", "TRUE"),
    ] {
        assert!(!settings(&[(name, value)]).enabled, "{name}={value}");
    }
    assert!(settings(&[("OTEL_METRICS_EXPORTER", "console, otlp")]).enabled);
    let interval = |value| settings(&[("OTEL_METRIC_EXPORT_INTERVAL", value)]).interval;
    assert_eq!(interval("1500"), Duration::from_millis(1500));
    assert_eq!(interval("0"), Duration::from_mins(1));
    assert_eq!(interval("soon"), Duration::from_mins(1));
    let specific = settings(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
    ]);
    assert!(specific.grpc);
    assert!(specific.timeout > Duration::from_secs(1_000_000));
}

#[test]
fn an_unusable_certificate_is_named() {
    for protocol in ["http/protobuf", "grpc"] {
        let settings = settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/absent/ca.pem"),
        ]);
        let error = SelfMetrics::with_settings(&settings, &Arc::default(), &own()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(
                "cannot use /absent/ca.pem of OTEL_EXPORTER_OTLP_CERTIFICATE: No such"
            ),
            "{text}"
        );
    }
}
