//! The report's two forms, of hosts that can be traced and of hosts that cannot.

use std::path::PathBuf;

use super::host::Cgroup;
use super::*;
use crate::bpf::btf::BtfError;
use crate::bpf::support::tests::{capable, refused};
use crate::bpf::support::{Capabilities, HookState, Lockdown};

fn host() -> Host {
    Host {
        cgroup: Cgroup::V2(PathBuf::from("/sys/fs/cgroup")),
        available_memory: Some(1 << 30),
    }
}

fn text(report: &Report, colours: bool) -> String {
    let mut text = Vec::new();
    report.write_text(&mut text, colours).unwrap();
    String::from_utf8(text).unwrap()
}

fn json(report: &Report) -> serde_json::Value {
    let mut text = Vec::new();
    report.write_json(&mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn state<'a>(json: &'a serde_json::Value, check: &str) -> &'a str {
    json["checks"][check]["state"].as_str().unwrap()
}

#[test]
fn a_capable_host_costs_nothing() {
    let report = Report::new(&capable(), &host());
    assert_eq!(report.exit_code(), 0);
    let json = json(&report);
    assert_eq!(json["tracing_possible"], true);
    assert_eq!(json["hooks"], "tracepoint");
    assert_eq!(json["reason"], serde_json::Value::Null);
    assert_eq!(json["kernel"]["release"], "6.12.9-amd64");
    let checks = json["checks"].as_object().unwrap();
    let expected = [
        "btf",
        "capabilities",
        "cgroup",
        "kernel",
        "kernel_structures",
        "lifecycle_tracepoints",
        "lockdown",
        "memory",
        "tracepoint_hooks",
        "trampoline_hooks",
    ];
    assert_eq!(
        checks.keys().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
    for (name, check) in checks {
        assert_eq!(check["state"], "ok", "{name}");
        assert_eq!(check["cost"], serde_json::Value::Null, "{name}");
    }
    let detail = |check: &str| checks[check]["detail"].as_str().unwrap().to_owned();
    assert!(detail("tracepoint_hooks").contains("io_uring moves is counted"));
    assert!(detail("trampoline_hooks").contains("io_uring moves is read"));
}

#[test]
fn a_hardened_host_is_traced_by_tracepoints() {
    let mut support = capable();
    support.trampoline = refused();
    support.lockdown = Lockdown::Integrity;
    let report = Report::new(&support, &host());
    assert_eq!(report.exit_code(), 0);
    let json = json(&report);
    assert_eq!(state(&json, "trampoline_hooks"), "missing");
    assert_eq!(state(&json, "lockdown"), "ok");
    assert_eq!(json["hooks"], "tracepoint");
    let cost = json["checks"]["trampoline_hooks"]["cost"].as_str().unwrap();
    assert!(cost.contains("moved by io_uring"), "{cost}");
}

#[test]
fn an_older_host_is_traced_by_trampolines() {
    let mut support = capable();
    support.tracepoint = HookState::Absent {
        targets: vec!["sock_send_length", "sock_recv_length"],
    };
    let json = json(&Report::new(&support, &host()));
    assert_eq!(json["hooks"], "trampoline");
    assert_eq!(state(&json, "tracepoint_hooks"), "missing");
    let detail = json["checks"]["tracepoint_hooks"]["detail"]
        .as_str()
        .unwrap();
    assert!(detail.contains("sock_send_length"), "{detail}");
    let cost = json["checks"]["tracepoint_hooks"]["cost"].as_str().unwrap();
    assert!(cost.starts_with("nothing"), "{cost}");
}

#[test]
fn without_privilege_the_rest_is_still_reported() {
    let mut support = capable();
    support.capabilities = Capabilities::of_mask(0);
    support.tracepoint = HookState::Untried;
    support.trampoline = HookState::Untried;
    let report = Report::new(&support, &host());
    assert_eq!(report.exit_code(), 2);
    let json = json(&report);
    assert_eq!(json["tracing_possible"], false);
    assert_eq!(json["hooks"], serde_json::Value::Null);
    assert_eq!(state(&json, "capabilities"), "missing");
    assert_eq!(state(&json, "tracepoint_hooks"), "unknown");
    assert_eq!(state(&json, "btf"), "ok");
    let text = text(&report, false);
    assert!(
        text.contains("This host cannot be traced: no privilege"),
        "{text}"
    );
}

#[test]
fn without_types_nothing_is_guessed() {
    let mut support = capable();
    support.types = Err(BtfError::NoSuchType {
        name: "sock".to_owned(),
    });
    support.tracepoint = HookState::Unknown;
    support.trampoline = HookState::Unknown;
    let report = Report::new(&support, &host());
    assert_eq!(report.exit_code(), 2);
    let json = json(&report);
    assert_eq!(state(&json, "btf"), "missing");
    for check in [
        "kernel_structures",
        "tracepoint_hooks",
        "lifecycle_tracepoints",
    ] {
        assert_eq!(state(&json, check), "unknown");
    }
}

#[test]
fn a_poor_host_is_told_the_costs() {
    let poor = Host {
        cgroup: Cgroup::V1,
        available_memory: Some(1 << 20),
    };
    let report = Report::new(&capable(), &poor);
    assert_eq!(report.exit_code(), 0);
    let json = json(&report);
    assert_eq!(state(&json, "cgroup"), "missing");
    assert_eq!(state(&json, "memory"), "missing");
}

#[test]
fn everything_that_is_not_there_names_its_cost() {
    let mut support = capable();
    support.capabilities = Capabilities::of_mask(1 << 21);
    support.lockdown = Lockdown::Unknown;
    support.kernel.version = None;
    support.trampoline = HookState::Unknown;
    let unknown = Host {
        cgroup: Cgroup::Unknown,
        available_memory: None,
    };
    for check in Report::new(&support, &unknown).checks {
        assert_eq!(check.cost.is_some(), check.state != State::Ok, "{check:?}");
    }
}

#[test]
fn columns_are_aligned_and_colours_optional() {
    let mut support = capable();
    support.trampoline = refused();
    let report = Report::new(&support, &host());
    let plain = text(&report, false);
    assert!(!plain.contains('\u{1b}'));
    let details = [
        "6.12.9-amd64 (",
        "/sys/kernel/btf/vmlinux",
        "works",
        "costs:",
    ];
    let columns = details.map(|detail| {
        let mut lines = plain.lines().skip(1);
        lines.find_map(|line| line.find(detail)).unwrap()
    });
    assert_eq!(columns, [columns[0]; 4], "{plain}");
    let coloured = text(&report, true);
    assert!(coloured.contains("\u{1b}[31mmissing\u{1b}[0m"));
    let stripped = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"];
    let stripped = stripped
        .iter()
        .fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(stripped, plain);
}
