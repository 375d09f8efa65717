//! What was recorded is replayed: the same spans as live, every time, anywhere.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use wirespan_tests::{
    agent::{Agent, binary, port_arguments},
    needs_root,
    process::{Process, output, wait_until},
    recording::{Recorder, replay, replay_without_rights},
    server::{Kind, Server},
    skip,
    span::{Kind as SpanKind, Span},
};

const REQUESTS: usize = 60;

fn send(server: &Server) -> Result<()> {
    let base = server.base();
    let url = format!("{base}/bytes/100?n=[1-50]");
    output(Command::new("curl").args(["-sS", "-f", &url]))?;
    for n in 0..8 {
        output(Command::new("curl").args(["-sS", "-I", &format!("{base}/bytes/100?head={n}")]))?;
    }
    for n in 0..2 {
        output(Command::new("curl").args(["-sS", &format!("{base}/absent?n={n}")]))?;
    }
    Ok(())
}

/// What two observers of the same traffic must agree on.
fn fact(span: &Span) -> String {
    let Span {
        kind,
        name,
        error,
        attributes,
        resource,
        ..
    } = span;
    // The two agents ask at different times for what depends on it.
    format!("{kind:?} {name} {error} {attributes:?} {resource:?}")
}

fn facts(spans: &[Span]) -> BTreeMap<String, usize> {
    let mut facts = BTreeMap::new();
    for span in spans {
        *facts.entry(fact(span)).or_default() += 1;
    }
    facts
}

/// Nanoseconds by which two agents may see one event apart: their hooks run one after the other.
const HOOKS: u64 = 20_000_000;

#[test]
fn a_replay_gives_the_spans_of_the_live_run() -> Result<()> {
    needs_root!("a_replay_gives_the_spans_of_the_live_run");
    let server = Server::start(Kind::Nginx)?;
    let agent = Agent::on_ports(&[server.port])?;
    let recorder = Recorder::start(&port_arguments(&[server.port]))?;
    send(&server)?;
    let recording = recorder.stop()?;
    let live = agent.stop()?.spans;
    ensure!(live.len() == 2 * REQUESTS, "{} live spans", live.len());
    ensure!(recording.log.contains("\nrecorded "), "{}", recording.log);
    ensure!(
        recording.log.contains("\nlosses          none"),
        "{}",
        recording.log
    );
    let mode = fs::metadata(recording.file())?.permissions().mode();
    ensure!(
        mode.trailing_zeros() >= 6,
        "others can read the recording: {mode:o}"
    );

    let first = replay(&recording.file(), &[])?;
    ensure!(first.code == 0, "{}", first.log);
    let replayed = first.spans()?;
    ensure!(
        facts(&replayed) == facts(&live),
        "replayed {:#?}, live {:#?}",
        facts(&replayed),
        facts(&live)
    );
    let in_order = |spans: &[Span]| {
        let mut times: Vec<_> = spans.iter().map(|span| (span.start, span.end)).collect();
        times.sort_unstable();
        times
    };
    for (one, other) in in_order(&replayed).into_iter().zip(in_order(&live)) {
        ensure!(one.0.abs_diff(other.0) < HOOKS && one.1.abs_diff(other.1) < HOOKS);
    }
    let second = replay(&recording.file(), &[])?;
    ensure!(first.output == second.output, "two replays differ");
    let elsewhere = replay_without_rights(&recording.file())?;
    ensure!(elsewhere.code == 0, "{}", elsewhere.log);
    ensure!(
        first.output == elsewhere.output,
        "a replay elsewhere differs"
    );
    Ok(())
}

#[test]
fn a_filter_and_a_limit_of_time_hold() -> Result<()> {
    needs_root!("a_filter_and_a_limit_of_time_hold");
    let server = Server::start(Kind::Nginx)?;
    let other = Server::start(Kind::Nginx)?;
    let mut arguments = port_arguments(&[server.port]);
    arguments.extend(["--seconds".to_owned(), "2".to_owned()]);
    let recorder = Recorder::start(&arguments)?;
    output(Command::new("curl").args(["-sS", &format!("{}/bytes/7", server.base())]))?;
    output(Command::new("curl").args(["-sS", &format!("{}/secret", other.base())]))?;
    let recording = recorder.wait(Duration::from_secs(15))?;
    let content = fs::read(recording.file())?;
    ensure!(!content.windows(7).any(|bytes| bytes == b"/secret"));
    let spans = replay(&recording.file(), &[])?.spans()?;
    ensure!(spans.len() == 2, "{spans:?}");
    ensure!(spans.iter().all(|span| span.target() == "/bytes/7"));
    Ok(())
}

#[test]
fn what_is_cut_or_damaged_gives_what_comes_before() -> Result<()> {
    needs_root!("what_is_cut_or_damaged_gives_what_comes_before");
    let server = Server::start(Kind::Nginx)?;
    let recorder = Recorder::start(&port_arguments(&[server.port]))?;
    send(&server)?;
    // Chunks of the recording are a second old at most.
    std::thread::sleep(Duration::from_millis(1_500));
    let recording = recorder.kill()?;
    let file = recording.file();
    let cut = replay(&file, &[])?;
    ensure!(
        cut.code == 0 && cut.log.contains("it was cut"),
        "{}",
        cut.log
    );
    let spans = cut.spans()?;
    ensure!(spans.len() == 2 * REQUESTS, "{} spans", spans.len());

    let mut content = fs::read(&file)?;
    let last = content.len() - 1;
    content[last] ^= 1;
    fs::write(&file, &content)?;
    let damaged = replay(&file, &[])?;
    ensure!(damaged.code == 1, "{}", damaged.log);
    ensure!(
        damaged.log.contains("it is damaged at byte"),
        "{}",
        damaged.log
    );
    let known: Vec<_> = spans.iter().map(fact).collect();
    ensure!(
        damaged
            .spans()?
            .iter()
            .all(|span| known.contains(&fact(span)))
    );
    Ok(())
}

#[test]
fn wrong_files_and_options_are_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    let absent = replay(&file, &[])?;
    ensure!(
        absent.code == 1 && absent.log.contains("cannot read"),
        "{}",
        absent.log
    );
    fs::write(&file, "GET / HTTP/1.1\r\n\r\n")?;
    let foreign = replay(&file, &[])?;
    ensure!(
        foreign.code == 1 && foreign.log.contains("neither a recording"),
        "{}",
        foreign.log
    );
    fs::write(&file, b"wirespan\x01\0\0\0")?;
    let captures_only = replay(&file, &["--perspective", "client"])?;
    ensure!(
        captures_only.code == 2
            && captures_only
                .log
                .contains("--perspective is for packet captures"),
        "{}",
        captures_only.log
    );
    Ok(())
}

#[test]
fn a_recording_that_cannot_be_written_is_told() -> Result<()> {
    needs_root!("a_recording_that_cannot_be_written_is_told");
    for (file, told) in [
        ("/dev/full", "No space left"),
        ("/absent/file", "choose another"),
    ] {
        let output = Command::new(binary()?)
            .args(["record", "--seconds", "1", "-o", file])
            .output()?;
        let log = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(2) && log.contains(told),
            "{log}"
        );
    }
    Ok(())
}

/// Captures what goes through a port while `traffic` runs.
fn tcpdump(file: &Path, port: u16, traffic: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut capture = Process::spawn(
        Command::new("tcpdump")
            .args(["-i", "lo", "--immediate-mode", "-U", "-w"])
            .arg(file)
            .args(["tcp", "port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )?;
    wait_until("tcpdump", Duration::from_secs(10), || {
        fs::metadata(file).is_ok_and(|file| file.len() >= 24)
    })?;
    traffic()?;
    std::thread::sleep(Duration::from_millis(500));
    capture.signal(Signal::INT)?;
    capture.wait(Duration::from_secs(10))?;
    Ok(())
}

#[test]
fn a_packet_capture_gives_one_span_for_each_exchange() -> Result<()> {
    needs_root!("a_packet_capture_gives_one_span_for_each_exchange");
    let test = "a_packet_capture_gives_one_span_for_each_exchange";
    if Command::new("tcpdump").arg("--version").output().is_err() {
        return skip(test, "tcpdump is not installed");
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("capture");
    let server = Server::start(Kind::Nginx)?;
    let agent = Agent::on_ports(&[server.port])?;
    // Where tcpdump runs as another user.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    tcpdump(&file, server.port, || send(&server))?;
    let live = agent.stop()?.spans;
    for (perspective, kind) in [("server", SpanKind::Server), ("client", SpanKind::Client)] {
        let arguments = ["--perspective", perspective];
        let first = replay(&file, &arguments)?;
        ensure!(first.code == 0, "{}", first.log);
        let spans = first.spans()?;
        ensure!(
            spans.len() == REQUESTS,
            "{} spans: {}",
            spans.len(),
            first.log
        );
        ensure!(spans.iter().all(|span| span.kind == kind));
        ensure!(spans.iter().all(|span| span.service() == "unknown_service"));
        let facts = |spans: &[Span]| {
            let mut facts: Vec<_> = spans
                .iter()
                .filter(|span| span.kind == kind)
                .map(|span| {
                    let status = span.number("http.response.status_code");
                    let size = span.number("http.response.body.size");
                    (span.name.clone(), span.target(), status, size)
                })
                .collect();
            facts.sort();
            facts
        };
        ensure!(facts(&spans) == facts(&live), "{:#?}", facts(&spans));
        ensure!(first.output == replay(&file, &arguments)?.output);
    }
    ensure!(replay(&file, &[])?.output == replay(&file, &["--perspective", "server"])?.output);
    Ok(())
}
