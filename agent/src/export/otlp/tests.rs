//! A real server in this process that gives every answer there is.

use std::time::{Duration, Instant};

use super::{settings::Protocol, *};
use crate::{
    export::testing,
    metrics::counters::{Flow, Loss},
};

mod collector;

use collector::{Collector, Reply};

const GOOD: Reply = Reply::Http(200, None, b"\x0a\x00");
const GOOD_GRPC: Reply = Reply::Grpc("0", b"\0\0\0\0\x02\x0a\x00");

struct Run {
    counters: Arc<Counters>,
    queue: Arc<Queue>,
}

impl Run {
    fn start(settings: OtlpSettings) -> Self {
        let counters = Arc::new(Counters::default());
        let queue = start(settings, Pace::Live, Arc::clone(&counters)).unwrap();
        Self { counters, queue }
    }

    fn offer(&self, count: u64) {
        self.queue.offer(&testing::spans(count));
    }

    /// Waits until `count` spans are settled.
    fn settled(&self, count: u64) {
        let limit = Instant::now() + Duration::from_secs(30);
        while self.totals().iter().sum::<u64>() < count {
            assert!(Instant::now() < limit, "{:?}", self.counters);
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn totals(&self) -> [u64; 3] {
        [
            Flow::ExportAccepted,
            Flow::ExportRejected,
            Flow::ExportDropped,
        ]
        .map(|flow| self.counters.flow(flow))
    }

    fn shutdown(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        self.queue.close(deadline);
        self.queue.join(deadline);
    }
}

fn settings(collector: &Collector, protocol: Protocol) -> OtlpSettings {
    let mut settings = OtlpSettings {
        endpoint: format!("http://{}/v1/traces", collector.address),
        protocol,
        ..OtlpSettings::default()
    };
    settings.batch.schedule_delay = Duration::from_millis(20);
    settings
}

#[test]
fn every_transport_delivers_with_and_without_gzip() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson] {
        for gzip in [false, true] {
            let grpc = protocol == Protocol::Grpc;
            let collector = Collector::start(grpc, &[], if grpc { GOOD_GRPC } else { GOOD });
            let mut settings = settings(&collector, protocol);
            settings.gzip = gzip;
            settings.headers.insert("api-key", "k".parse().unwrap());
            let run = Run::start(settings);
            run.offer(200);
            run.shutdown(Duration::from_secs(10));
            assert_eq!(run.totals(), [200, 0, 0], "{protocol:?} {gzip}");
            let arrived = collector.arrived();
            assert_eq!(
                arrived.iter().map(|request| request.spans).sum::<usize>(),
                200
            );
            assert_eq!(arrived[0].resources, 2);
            assert_eq!(arrived[0].headers["api-key"], "k");
            let agent = arrived[0].headers["user-agent"].to_str().unwrap();
            assert!(agent.starts_with("wirespan/") && agent.contains(" OTel-OTLP-Exporter-Rust/"));
            let path = if grpc {
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            } else {
                "/v1/traces"
            };
            assert_eq!(arrived[0].path, path);
        }
    }
}

#[test]
fn partial_success_is_counted_and_not_repeated() {
    let body = b"\0\0\0\0\x07\x0a\x05\x08\x03\x12\x01x";
    for (grpc, protocol, reply) in [
        (true, Protocol::Grpc, Reply::Grpc("0", body)),
        (
            false,
            Protocol::HttpProtobuf,
            Reply::Http(200, None, &body[5..]),
        ),
    ] {
        let collector = Collector::start(grpc, &[], reply);
        let run = Run::start(settings(&collector, protocol));
        run.offer(10);
        run.shutdown(Duration::from_secs(10));
        assert_eq!(run.totals(), [7, 3, 0]);
        assert_eq!(run.counters.loss(Loss::ExportRejected), 3);
        assert_eq!(collector.arrived().len(), 1);
    }
}

#[test]
fn what_must_not_be_retried_is_dropped_at_once() {
    for (grpc, protocol, reply) in [
        (
            false,
            Protocol::HttpProtobuf,
            Reply::Http(400, None, b"unexpected EOF"),
        ),
        (false, Protocol::HttpProtobuf, Reply::Http(500, None, b"")),
        (true, Protocol::Grpc, Reply::Grpc("3", b"")),
        (true, Protocol::Grpc, Reply::Grpc("13", b"")),
    ] {
        let collector = Collector::start(grpc, &[], reply);
        let run = Run::start(settings(&collector, protocol));
        run.offer(10);
        run.settled(10);
        assert_eq!(run.totals(), [0, 0, 10]);
        assert_eq!(run.counters.loss(Loss::ExportFailed), 10);
        assert_eq!(collector.arrived().len(), 1);
    }
}

#[test]
fn what_may_be_retried_is_retried_after_the_time_that_is_asked_for() {
    let later = Some(("retry-after", "2"));
    for (grpc, protocol, script, wait) in [
        (
            false,
            Protocol::HttpProtobuf,
            Reply::Http(429, later, b""),
            2_000,
        ),
        (
            false,
            Protocol::HttpProtobuf,
            Reply::Http(503, None, b""),
            500,
        ),
        (false, Protocol::HttpProtobuf, Reply::Close, 500),
        (true, Protocol::Grpc, Reply::Grpc("14", b""), 500),
    ] {
        let collector = Collector::start(grpc, &[script], if grpc { GOOD_GRPC } else { GOOD });
        let run = Run::start(settings(&collector, protocol));
        run.offer(10);
        run.settled(10);
        assert_eq!(run.totals(), [10, 0, 0], "{script:?}");
        let arrived = collector.arrived();
        let waited = arrived[arrived.len() - 1].at - arrived[0].at;
        assert!(
            waited >= Duration::from_millis(wait),
            "{script:?} {waited:?}"
        );
    }
}

#[test]
fn what_is_too_large_is_sent_in_halves() {
    for (grpc, protocol, reply) in [
        (false, Protocol::HttpProtobuf, Reply::Http(413, None, b"")),
        (true, Protocol::Grpc, Reply::Grpc("8", b"")),
    ] {
        let good = if grpc { GOOD_GRPC } else { GOOD };
        let collector = Collector::start(grpc, &[reply], good);
        let run = Run::start(settings(&collector, protocol));
        run.offer(10);
        run.settled(10);
        assert_eq!(run.totals(), [10, 0, 0]);
        let sizes: Vec<_> = collector.arrived().iter().map(|one| one.spans).collect();
        assert_eq!(sizes, [10, 5, 5]);
    }
    let collector = Collector::start(false, &[], Reply::Http(413, None, b""));
    let run = Run::start(settings(&collector, Protocol::HttpProtobuf));
    run.offer(4);
    run.settled(4);
    assert_eq!(run.totals(), [0, 0, 4]);
    assert_eq!(collector.arrived().len(), 7);
}

#[test]
fn requests_stay_below_the_limit_of_four_mebibytes() {
    let collector = Collector::start(true, &[], GOOD_GRPC);
    let mut settings = settings(&collector, Protocol::Grpc);
    settings.batch.max_export_batch_size = 16_384;
    let run = Run::start(settings);
    run.offer(16_384);
    run.shutdown(Duration::from_secs(30));
    assert_eq!(run.totals(), [16_384, 0, 0]);
    assert!(collector.arrived().len() > 1);
}

#[test]
fn a_back_end_that_hangs_holds_up_no_shutdown() {
    let collector = Collector::start(true, &[], Reply::Hang);
    let mut settings = settings(&collector, Protocol::Grpc);
    settings.batch.max_queue_size = 100;
    settings.batch.max_export_batch_size = 50;
    let run = Run::start(settings);
    run.offer(250);
    let begun = Instant::now();
    run.shutdown(Duration::from_millis(500));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(run.totals(), [0, 0, 250]);
    assert!(run.counters.loss(Loss::QueueFull) >= 100);
    assert!(run.counters.loss(Loss::ShutdownTimeout) >= 100);
}

#[test]
fn an_absent_back_end_loses_nothing_but_what_is_counted() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let run = Run::start(OtlpSettings {
        endpoint: format!("http://{address}"),
        ..OtlpSettings::default()
    });
    run.offer(20);
    run.shutdown(Duration::from_millis(300));
    assert_eq!(run.totals(), [0, 0, 20]);
}

struct Tls {
    folder: tempfile::TempDir,
    server: rustls::ServerConfig,
}

fn tls() -> Tls {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), own.cert.pem()).unwrap();
    std::fs::write(
        folder.path().join("key.pem"),
        own.signing_key.serialize_pem(),
    )
    .unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let mut trusted = rustls::RootCertStore::empty();
    trusted.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(trusted),
        Arc::clone(&provider),
    )
    .build()
    .unwrap();
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    Tls { folder, server }
}

#[test]
fn both_sides_prove_who_they_are() {
    let Tls { folder, server } = tls();
    let collector = Collector::with_tls(true, &[], GOOD_GRPC, Some(server));
    let mut right = settings(&collector, Protocol::Grpc);
    right.endpoint = format!("https://localhost:{}", collector.address.port());
    right.certificate = Some(folder.path().join("cert.pem"));
    right.client_certificate = Some(folder.path().join("cert.pem"));
    right.client_key = Some(folder.path().join("key.pem"));
    let run = Run::start(right.clone());
    run.offer(5);
    run.shutdown(Duration::from_secs(10));
    assert_eq!(run.totals(), [5, 0, 0]);

    let other = tls();
    let mut wrong = right;
    wrong.certificate = Some(other.folder.path().join("cert.pem"));
    let run = Run::start(wrong);
    run.offer(5);
    run.shutdown(Duration::from_millis(500));
    assert_eq!(run.totals(), [0, 0, 5]);
}

#[test]
fn files_that_cannot_be_used_are_named_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for path in [empty, folder.path().join("missing.pem")] {
        let settings = OtlpSettings {
            certificate: Some(path.clone()),
            ..OtlpSettings::default()
        };
        let error = start(settings, Pace::Live, Arc::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(12))]
    #[test]
    fn what_goes_in_is_accepted_rejected_or_dropped(
        replies in proptest::collection::vec(0_usize..5, 0..6),
        offers in proptest::collection::vec(1_u64..60, 1..6),
    ) {
        let kinds = [
            GOOD,
            Reply::Http(200, None, b"\x0a\x02\x08\x03"),
            Reply::Http(400, None, b""),
            Reply::Http(413, None, b""),
            Reply::Http(503, None, b""),
        ];
        let script: Vec<_> = replies.into_iter().map(|kind| kinds[kind]).collect();
        let collector = Collector::start(false, &script, GOOD);
        let mut settings = settings(&collector, Protocol::HttpProtobuf);
        settings.batch.max_queue_size = 100;
        settings.batch.max_export_batch_size = 30;
        let run = Run::start(settings);
        for &count in &offers {
            run.offer(count);
        }
        run.shutdown(Duration::from_millis(400));
        proptest::prop_assert_eq!(run.totals().iter().sum::<u64>(), offers.iter().sum::<u64>());
    }
}
