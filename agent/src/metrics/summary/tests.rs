//! What is shown, and how the file is written.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::*;
use crate::metrics::kernel::tests::stats;

fn counters() -> Counters {
    let counters = Counters::default();
    counters.add(Flow::ServerSpans, 1234);
    counters.add(Flow::ClientSpans, 1_234_567);
    counters.add(Flow::ServerExchangesLost, 5);
    counters.add(Flow::BytesGap, 60);
    counters.add(Flow::ExportAccepted, 11);
    counters.add(Flow::ExportRejected, 12);
    counters.add(Flow::ExportDropped, 13);
    counters.lose(Loss::Gap, 3);
    counters
}

#[test]
fn json_has_every_counter() {
    let found = serde_json::to_value(Summary::new(&counters(), &stats())).unwrap();
    assert_eq!(found["spans"], json!({"server": 1234, "client": 1_234_567}));
    assert_eq!(
        found["exchanges_lost"],
        json!({"server": 305, "client": 20, "unknown": 1})
    );
    assert_eq!(
        found["bytes"],
        json!({"seen": 1500, "captured": 900, "skipped": 540, "gap": 60})
    );
    assert_eq!(
        found["export"],
        json!({"accepted": 11, "rejected": 12, "dropped": 13})
    );
    assert_eq!(
        found["uncaptured_bytes"],
        json!({
            "budget": 450, "sendfile": 100, "splice": 0, "io_uring": 0, "unknown_syscall": 0,
            "unreadable": 0, "iovec_limit": 0, "message_unknown": 50, "frame_limit": 0,
        })
    );
    let losses = found["losses"].as_object().unwrap();
    assert_eq!(losses.len(), Loss::ALL.len());
    assert_eq!(losses["ring_full_records"], 7);
    assert_eq!(losses["gap_exchanges"], 3);
    assert_eq!(losses["export_shutdown_timeout_spans"], 0);
}

#[test]
fn text_names_every_counter() {
    let text = Summary::new(&counters(), &stats()).to_string();
    let head = "\
spans           1,234 server, 1,234,567 client
exchanges lost  305 server, 20 client, 1 of unknown role
exported        11 accepted, 12 rejected, 13 dropped
bytes           1,500 seen, 900 captured, 540 skipped, 60 gap
not captured    450 budget, 50 message_unknown, 100 sendfile
losses          \n  ring_full_records                              7  Data records that the";
    assert!(text.starts_with(head), "{text}");
    for reason in Loss::ALL {
        assert_eq!(text.matches(reason.name()).count(), 1, "{reason:?}: {text}");
    }
    assert!(text.lines().skip(6).all(|line| line.len() < 160), "{text}");
}

#[test]
fn packets_are_shown_where_there_are_any() {
    let summary = || Summary::new(&counters(), &stats());
    let json = |summary| serde_json::to_value::<Summary>(summary).unwrap();
    assert_eq!(
        json(summary().with_packets(Vec::new())).get("packets"),
        None
    );
    let some = || summary().with_packets(vec![("packets", 1_500), ("cut_bytes", 0)]);
    assert_eq!(
        json(some())["packets"],
        json!({"packets": 1500, "cut_bytes": 0})
    );
    let text = some().to_string();
    assert!(text.contains("\ncapture         1,500 packets\n"), "{text}");
}

#[test]
fn text_says_when_nothing_was_lost() {
    let text = Summary::new(&Counters::default(), &KernelStats::default()).to_string();
    assert!(
        text.contains("\nlosses          none\n  0: ring_full_records "),
        "{text}"
    );
    assert!(!text.contains("not captured"));
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_file_is_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.json");
    let link = folder.path().join("link.json");
    symlink(&path, &link).unwrap();
    let summary = Summary::new(&counters(), &stats());
    fs::write(&path, "x".repeat(10_000)).unwrap();
    summary.write(&link).unwrap();
    assert_eq!(read(&path)["spans"]["server"], 1234);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    fs::remove_file(&path).unwrap();
    summary.write(&path).unwrap();
    assert_eq!(read(&path)["losses"]["ring_full_records"], 7);
}

#[test]
fn a_device_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("null");
    symlink("/dev/null", &link).unwrap();
    Summary::new(&counters(), &stats()).write(&link).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn an_error_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent/summary.json");
    let error = Summary::new(&counters(), &stats())
        .write(&path)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("absent/summary.json: No such file")
    );
}

#[test]
fn a_check_finds_what_cannot_be_written_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.json");
    Summary::check(&path).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::write(&path, "before").unwrap();
    Summary::check(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"before");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    Summary::check(Path::new("/dev/null")).unwrap();
    for bad in [
        folder.path().join("absent/summary.json"),
        folder.path().to_owned(),
    ] {
        let error = Summary::check(&bad).unwrap_err().to_string();
        assert!(error.contains("choose another --summary"), "{error}");
    }
}

#[test]
fn digits_are_grouped() {
    for (number, text) in [
        (0, "0"),
        (999, "999"),
        (1000, "1,000"),
        (1_234_567, "1,234,567"),
    ] {
        assert_eq!(grouped(number), text);
    }
}
