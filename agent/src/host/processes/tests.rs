//! Processes of a made-up `/proc`, and this one.

use std::{os::unix::fs::symlink, process::Command};

use compact_str::ToCompactString;
use proptest::prelude::*;
use tempfile::TempDir;
use wirespan_ebpf::records::{EXEC_ARGUMENTS, EXEC_ENVIRONMENT};

use super::*;
use crate::span::model::Value;

const ID: &str = "3f4e5d6c7b8a99887766554433221100ffeeddccbbaa99887766554433221100";
const SECOND: u64 = 1_000_000_000;

struct Fixture {
    folder: TempDir,
    counters: Arc<Counters>,
    processes: Processes,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("cgroup")).unwrap();
        let counters = Arc::new(Counters::default());
        let host = HostIdentity {
            name: "box".into(),
            id: Some("0123456789abcdef0123456789abcdef".into()),
            arch: "amd64",
            boot_id: "5f0e9d6c-0000-4000-8000-000000000000".into(),
            booted: 1_700_000_000 * SECOND,
        };
        let processes = Processes::new(
            ProcRoot::new(folder.path()),
            host,
            CgroupTree::new(folder.path().join("cgroup")),
            Arc::clone(&counters),
        );
        Self {
            folder,
            counters,
            processes,
        }
    }

    /// A process as `/proc` shows it.
    fn run(&self, pid: u32, ticks: u64, path: &str, arguments: &str, environment: &str) {
        self.end(pid);
        let folder = self.folder.path().join(pid.to_string());
        std::fs::create_dir(&folder).unwrap();
        let stat = format!("{pid} (x) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {ticks} 1 2");
        std::fs::write(folder.join("stat"), stat).unwrap();
        symlink(path, folder.join("exe")).unwrap();
        std::fs::write(folder.join("cmdline"), arguments.replace(' ', "\0") + "\0").unwrap();
        std::fs::write(folder.join("environ"), environment).unwrap();
        std::fs::write(folder.join("cgroup"), format!("0::/docker/{ID}\n")).unwrap();
    }

    fn end(&self, pid: u32) {
        let _ = std::fs::remove_dir_all(self.folder.path().join(pid.to_string()));
    }

    fn service(&mut self, pid: u32) -> String {
        self.processes.resource(pid).service_name.to_string()
    }

    fn unknown(&self) -> u64 {
        self.counters.loss(Loss::ProcessUnknown)
    }
}

fn attribute<'a>(resource: &'a Resource, key: &str) -> Option<&'a Value> {
    let mut found = resource.attributes.iter().filter(|(other, _)| other == key);
    let value = found.next().map(|(_, value)| value);
    assert!(found.next().is_none(), "{key} is there twice");
    value
}

fn text<'a>(resource: &'a Resource, key: &str) -> Option<&'a str> {
    match attribute(resource, key) {
        Some(Value::Str(text)) => Some(text),
        None => None,
        other => panic!("{key} is {other:?}"),
    }
}

fn fill(target: &mut [u8], source: &[u8]) -> u32 {
    let length = source.len().min(target.len());
    target[..length].copy_from_slice(&source[..length]);
    u32::try_from(length).unwrap()
}

fn exec(tgid: u32, ticks: u64, filename: &str, arguments: &str, environment: &str) -> ExecRecord {
    let mut record = ExecRecord {
        kind: 4,
        reserved: [0; 3],
        tgid,
        time: ticks * 10_000_000 + 5,
        start_time: ticks * 10_000_000 + 3,
        cgroup: 0,
        parent_tgid: 1,
        arguments_length: 0,
        environment_length: 0,
        reserved_tail: 0,
        executable: [0; 64],
        filename: [0; 192],
        payload: [0; EXEC_ARGUMENTS + EXEC_ENVIRONMENT],
    };
    fill(&mut record.executable[..63], base_name(filename.as_bytes()));
    fill(&mut record.filename[..191], filename.as_bytes());
    let arguments = arguments.replace(' ', "\0") + "\0";
    record.arguments_length = fill(&mut record.payload[..EXEC_ARGUMENTS], arguments.as_bytes());
    record.environment_length = fill(
        &mut record.payload[EXEC_ARGUMENTS..],
        environment.as_bytes(),
    );
    record
}

fn fork(tgid: u32, ticks: u64, parent_tgid: u32) -> ForkRecord {
    ForkRecord {
        kind: 5,
        reserved: [0; 3],
        tgid,
        time: ticks * 10_000_000,
        start_time: ticks * 10_000_000,
        parent_tgid,
        reserved_tail: 0,
    }
}

fn exit(tgid: u32, time: u64) -> ExitRecord {
    ExitRecord {
        kind: 6,
        reserved: [0; 3],
        tgid,
        time,
    }
}

#[test]
fn a_running_process_has_all_attributes() {
    let mut fixture = Fixture::new();
    fixture.run(
        7,
        12345,
        "/usr/bin/python3.11",
        "python3 /srv/shop.py --key secret",
        "A=b\0",
    );
    fixture.processes.backfill();
    let resource = fixture.processes.resource(7);
    for (key, expected) in [
        ("service.name", "shop"),
        ("process.creation.time", "2023-11-14T22:15:23.45Z"),
        ("process.executable.name", "python3.11"),
        ("process.executable.path", "/usr/bin/python3.11"),
        ("process.command", "python3"),
        ("process.runtime.name", "cpython"),
        ("container.id", ID),
        ("host.name", "box"),
        ("host.id", "0123456789abcdef0123456789abcdef"),
        ("host.arch", "amd64"),
        ("os.type", "linux"),
        ("telemetry.sdk.name", "wirespan"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.distro.name", "wirespan"),
    ] {
        assert_eq!(text(&resource, key), Some(expected), "{key}");
    }
    assert_eq!(attribute(&resource, "process.pid"), Some(&Value::Int(7)));
    assert_eq!(text(&resource, "service.instance.id").unwrap().len(), 36);
    assert!(!format!("{resource:?}").contains("secret"));
    assert!(Arc::ptr_eq(&resource, &fixture.processes.resource(7)));
    assert_eq!(fixture.unknown(), 0);
}

#[test]
fn the_environment_names_the_service_and_adds_attributes() {
    let mut fixture = Fixture::new();
    let environment = "OTEL_RESOURCE_ATTRIBUTES=service.name=x,service.version=1.2,\
        service.instance.id=mine,process.pid=1,telemetry.sdk.name=fake,team=a%20b\0\
        OTEL_SERVICE_NAME=checkout\0";
    fixture.run(7, 1, "/usr/bin/node", "node /srv/index.js", environment);
    let resource = fixture.processes.resource(7);
    assert_eq!(text(&resource, "service.name"), Some("checkout"));
    assert_eq!(resource.service_name, "checkout");
    assert_eq!(text(&resource, "service.version"), Some("1.2"));
    assert_eq!(text(&resource, "service.instance.id"), Some("mine"));
    assert_eq!(text(&resource, "team"), Some("a b"));
    assert_eq!(attribute(&resource, "process.pid"), Some(&Value::Int(7)));
    assert_eq!(text(&resource, "telemetry.sdk.name"), Some("wirespan"));
}

#[test]
fn a_process_that_is_gone_is_known_by_its_record() {
    let mut fixture = Fixture::new();
    let scope = fixture
        .folder
        .path()
        .join(format!("cgroup/docker-{ID}.scope"));
    std::fs::create_dir(&scope).unwrap();
    let mut record = exec(
        9,
        500,
        "/usr/bin/curl",
        "curl http://x/",
        "OTEL_SERVICE_NAME=probe\0",
    );
    record.cgroup = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&scope).unwrap());
    fixture.processes.exec(&record);
    std::fs::remove_dir(&scope).unwrap();
    fixture.processes.exit(&exit(9, 6 * SECOND));
    let resource = fixture.processes.resource(9);
    assert_eq!(text(&resource, "service.name"), Some("probe"));
    assert_eq!(
        text(&resource, "process.executable.path"),
        Some("/usr/bin/curl")
    );
    assert_eq!(text(&resource, "process.command"), Some("curl"));
    assert_eq!(text(&resource, "container.id"), Some(ID));
    assert_eq!(fixture.unknown(), 0);
}

#[test]
fn the_record_is_better_than_a_title_written_later() {
    let mut fixture = Fixture::new();
    fixture.run(9, 500, "/usr/bin/python3.11", "title", "");
    let mut record = exec(
        9,
        500,
        "/usr/local/bin/gunicorn",
        "python3 /usr/local/bin/gunicorn",
        "",
    );
    record.executable[..16].copy_from_slice(b"python3.11\0\0\0\0\0\0");
    fixture.processes.exec(&record);
    assert_eq!(fixture.service(9), "gunicorn");
    let resource = fixture.processes.resource(9);
    assert_eq!(
        text(&resource, "process.executable.path"),
        Some("/usr/bin/python3.11")
    );
}

#[test]
fn a_cut_record_gives_way_to_proc() {
    let mut fixture = Fixture::new();
    let filler = format!("A={}\0", "x".repeat(EXEC_ENVIRONMENT));
    let environment = format!("{filler}OTEL_SERVICE_NAME=late\0");
    fixture.run(9, 500, "/usr/bin/app", "app", &environment);
    fixture
        .processes
        .exec(&exec(9, 500, "/usr/bin/app", "app", &environment));
    assert_eq!(fixture.service(9), "late");
    // Not to that of another process with the same id.
    fixture
        .processes
        .exec(&exec(9, 501, "/usr/bin/app", "app", &environment));
    assert_eq!(fixture.service(9), "app");
}

#[test]
fn a_forked_child_has_its_parents_program_and_an_own_identity() {
    let mut fixture = Fixture::new();
    fixture.run(10, 100, "/usr/sbin/nginx", "nginx: master process", "");
    fixture.processes.backfill();
    fixture.processes.fork(&fork(11, 200, 10));
    fixture.processes.fork(&fork(12, 200, 11));
    let master = fixture.processes.resource(10);
    let worker = fixture.processes.resource(12);
    assert_eq!(worker.service_name, "nginx");
    assert_eq!(attribute(&worker, "process.pid"), Some(&Value::Int(12)));
    assert_eq!(text(&worker, "container.id"), Some(ID));
    for key in ["service.instance.id", "process.creation.time"] {
        assert_ne!(text(&master, key), text(&worker, key), "{key}");
    }
    assert_eq!(fixture.unknown(), 0);
}

#[test]
fn a_late_fork_does_not_undo_an_exec() {
    let mut fixture = Fixture::new();
    fixture
        .processes
        .exec(&exec(10, 1, "/bin/bash", "bash", ""));
    fixture
        .processes
        .exec(&exec(11, 200, "/usr/bin/curl", "curl", ""));
    fixture.processes.fork(&fork(11, 200, 10));
    assert_eq!(fixture.service(11), "curl");
}

#[test]
fn exec_gives_a_new_name_and_keeps_the_instance() {
    let mut fixture = Fixture::new();
    fixture
        .processes
        .exec(&exec(10, 1, "/bin/bash", "bash", ""));
    let before = fixture.processes.resource(10);
    fixture
        .processes
        .exec(&exec(10, 1, "/usr/bin/curl", "curl", ""));
    let after = fixture.processes.resource(10);
    assert_eq!(after.service_name, "curl");
    let key = "service.instance.id";
    assert_eq!(text(&before, key), text(&after, key));
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut fixture = Fixture::new();
    fixture
        .processes
        .exec(&exec(10, 1, "/usr/bin/old", "old", ""));
    fixture.processes.exit(&exit(10, 2 * SECOND));
    assert_eq!(fixture.service(10), "old");
    fixture
        .processes
        .exec(&exec(1, 0, "/sbin/init", "init", ""));
    fixture.processes.fork(&fork(10, 300, 1));
    assert_eq!(fixture.service(10), "init");
    fixture
        .processes
        .exec(&exec(10, 300, "/usr/bin/new", "new", ""));
    assert_eq!(fixture.service(10), "new");
    // The end of its predecessor does not remove it.
    fixture.processes.exit(&exit(99, 100 * SECOND));
    assert_eq!(fixture.service(10), "new");
}

#[test]
fn an_exited_process_is_remembered_for_a_while() {
    let mut fixture = Fixture::new();
    fixture
        .processes
        .exec(&exec(10, 1, "/usr/bin/curl", "curl", ""));
    fixture.processes.exit(&exit(10, 2 * SECOND));
    fixture.processes.exit(&exit(99, 12 * SECOND));
    assert_eq!(fixture.service(10), "curl");
    fixture.processes.exit(&exit(99, 12 * SECOND + 1));
    assert_eq!(fixture.service(10), "unknown_service");
    assert_eq!(fixture.unknown(), 1);
}

#[test]
fn an_unknown_process_is_counted_each_time() {
    let mut fixture = Fixture::new();
    assert!(fixture.processes.executable(5).is_none());
    assert_eq!(fixture.unknown(), 0);
    let resource = fixture.processes.resource(5);
    fixture.processes.resource(5);
    assert_eq!(fixture.unknown(), 2);
    assert_eq!(text(&resource, "service.name"), Some("unknown_service"));
    assert_eq!(attribute(&resource, "process.pid"), Some(&Value::Int(5)));
    assert_eq!(text(&resource, "process.executable.name"), None);
    assert_eq!(text(&resource, "host.name"), Some("box"));
    // It is looked for again: it may only just have begun.
    fixture.run(5, 1, "/usr/bin/app", "app", "");
    assert_eq!(fixture.service(5), "app");
}

#[test]
fn kernel_threads_are_no_processes() {
    let mut fixture = Fixture::new();
    fixture.run(2, 0, "/x", "", "");
    let stat = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0";
    std::fs::write(fixture.folder.path().join("2/stat"), stat).unwrap();
    fixture.processes.backfill();
    assert_eq!(fixture.service(2), "unknown_service");
}

#[test]
fn backfill_mends_what_lost_records_left_wrong() {
    let mut fixture = Fixture::new();
    for pid in 1..=3 {
        fixture.run(pid, 100, "/bin/bash", "bash", "");
    }
    fixture.processes.backfill();
    let kept = fixture.processes.resource(1);
    fixture.service(2);
    fixture.service(3);
    fixture.run(2, 100, "/usr/bin/curl", "curl", "");
    fixture.run(3, 400, "/bin/bash", "bash /opt/run.sh", "");
    fixture.processes.backfill();
    assert!(Arc::ptr_eq(&kept, &fixture.processes.resource(1)));
    assert_eq!(fixture.service(2), "curl");
    assert_eq!(fixture.service(3), "run");
}

#[test]
fn executables_are_told_for_the_filters() {
    let mut fixture = Fixture::new();
    fixture.run(5, 1, "/usr/sbin/nginx (deleted)", "nginx", "");
    let executable = fixture.processes.executable(5).unwrap();
    assert_eq!(executable.path.as_deref(), Some("/usr/sbin/nginx"));
    fixture.processes.exec(&exec(6, 1, "./curl", "curl", ""));
    let executable = fixture.processes.executable(6).unwrap();
    assert_eq!(
        (executable.name.as_str(), &executable.path),
        ("curl", &None)
    );
}

#[test]
fn the_table_is_bounded() {
    let mut fixture = Fixture::new();
    fixture
        .processes
        .exec(&exec(1, 1, "/sbin/init", "init", ""));
    fixture.processes.exit(&exit(1, SECOND));
    let limit = u32::try_from(PROCESSES_LIMIT).unwrap();
    fixture.processes.exec(&exec(2, 1, "/bin/bash", "bash", ""));
    for pid in 3..limit + 100 {
        fixture.processes.fork(&fork(pid, 150, pid - 1));
    }
    assert_eq!(fixture.processes.table.len(), PROCESSES_LIMIT);
    assert_eq!(
        fixture.service(1),
        "unknown_service",
        "the exited one left first"
    );
    assert_eq!(fixture.service(limit + 99), "bash", "the newcomer is kept");
}

#[test]
fn real_processes_are_found() {
    let counters = Arc::new(Counters::default());
    let mut processes = Processes::new(
        ProcRoot::default(),
        HostIdentity::detect(),
        CgroupTree::of_host(),
        Arc::clone(&counters),
    );
    let mut child = Command::new("sleep")
        .arg("60")
        .env("OTEL_SERVICE_NAME", "sleeper")
        .spawn()
        .unwrap();
    processes.backfill();
    let sleeper = processes.resource(child.id());
    let own = processes.resource(std::process::id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sleeper.service_name, "sleeper");
    let executable = std::env::current_exe().unwrap();
    assert_eq!(text(&own, "process.executable.path"), executable.to_str());
    assert_eq!(
        own.service_name,
        executable
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_compact_string()
    );
    let created: jiff::Timestamp = text(&own, "process.creation.time")
        .unwrap()
        .parse()
        .unwrap();
    let age = jiff::Timestamp::now().duration_since(created);
    assert!(age.as_secs().abs() < 600, "{created} is {age} ago");
    assert_eq!(counters.loss(Loss::ProcessUnknown), 0);
}

proptest! {
    #[test]
    fn any_record_is_read(
        bytes in prop::collection::vec(any::<u8>(), size_of::<ExecRecord>()),
        arguments_length: u32,
        environment_length: u32,
    ) {
        let mut record = <ExecRecord as zerocopy::FromBytes>::read_from_bytes(&bytes[..]).unwrap();
        record.arguments_length = arguments_length;
        record.environment_length = environment_length;
        let mut fixture = Fixture::new();
        fixture.processes.exec(&record);
        let resource = fixture.processes.resource(record.tgid);
        prop_assert!(attribute(&resource, "service.instance.id").is_some());
    }

    #[test]
    fn any_files_are_read(
        stat_tail: Vec<u8>, arguments: Vec<u8>, environment: Vec<u8>, cgroup: Vec<u8>,
    ) {
        let mut fixture = Fixture::new();
        fixture.run(5, 1, "/usr/bin/python3", "", "");
        let folder = fixture.folder.path().join("5");
        std::fs::write(folder.join("cmdline"), arguments).unwrap();
        std::fs::write(folder.join("environ"), environment).unwrap();
        std::fs::write(folder.join("cgroup"), cgroup).unwrap();
        fixture.processes.resource(5);
        std::fs::write(folder.join("stat"), stat_tail).unwrap();
        fixture.processes.backfill();
    }
}
