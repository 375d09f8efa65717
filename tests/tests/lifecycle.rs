//! Start, filters, signals, failures: what the agent leaves behind is its output, nothing else.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use wirespan_tests::{
    agent::{self, Agent},
    client::Client,
    needs_root,
    plan::{Dialect, Plan},
    process::{Process, output, wait_until},
    server::{Kind, Server},
    span::Span,
};

/// Ids of kernel programs, maps and links that a process holds.
fn held(pid: u32) -> Result<BTreeSet<(&'static str, String)>> {
    let mut held = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        // A link's descriptor names its program too.
        for (key, kind) in [
            ("prog_id:", "prog"),
            ("map_id:", "map"),
            ("link_id:", "link"),
        ] {
            for line in text.lines() {
                if let Some(id) = line.strip_prefix(key) {
                    held.insert((kind, id.trim().to_owned()));
                }
            }
        }
    }
    Ok(held)
}

/// Those of them that the kernel still has, by bpftool.
fn left(held: &BTreeSet<(&'static str, String)>) -> Vec<String> {
    held.iter()
        .filter(|(kind, id)| output(Command::new("bpftool").args([kind, "show", "id", id])).is_ok())
        .map(|(kind, id)| format!("{kind} {id}"))
        .collect()
}

fn wait_clean(held: &BTreeSet<(&'static str, String)>) -> Result<()> {
    for kind in ["prog", "map"] {
        ensure!(
            held.iter().any(|(other, _)| *other == kind),
            "the agent held no {kind}: {held:?}"
        );
    }
    wait_until("the kernel to be clean", Duration::from_secs(5), || {
        left(held).is_empty()
    })
    .with_context(|| format!("left: {:?}", left(held)))
}

#[test]
fn both_signals_end_it_in_order() -> Result<()> {
    needs_root!("both_signals_end_it_in_order");
    let server = Server::start(Kind::Go)?;
    for signal in [Signal::INT, Signal::TERM] {
        let mut agent = Agent::on_ports(&[server.port])?;
        let held = held(agent.process().pid())?;
        output(Command::new("curl").args(["-sS", &server.base()]))?;
        let report = agent.stop_by(signal)?;
        ensure!(report.spans.len() == 2, "{:?}", report.spans);
        ensure!(report.summary.number("spans", "server")? == 1);
        ensure!(report.summary.number("spans", "client")? == 1);
        ensure!(
            report.stopped_in < Duration::from_secs(3),
            "{:?}",
            report.stopped_in
        );
        report.summary.lost_nothing()?;
        wait_clean(&held)?;
    }
    Ok(())
}

#[test]
fn killed_under_load() -> Result<()> {
    needs_root!("killed_under_load");
    Client::Go.prepare()?;
    let server = Server::start(Kind::Nginx)?;
    let base = server.base();
    let plan = Plan::standard(Dialect::Files);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| -> Result<u32> {
            let mut rounds = 0;
            while !over.load(Ordering::Relaxed) {
                // Every answer is checked: a single error or wrong byte count fails.
                let tag = format!("round{rounds}");
                Client::Go.run(&base, &plan.clone().tagged(&tag))?;
                rounds += 1;
            }
            Ok(rounds)
        });
        let killed = (|| -> Result<()> {
            let mut agent = Agent::on_ports(&[server.port])?;
            agent.wait_spans(100, Duration::from_secs(20))?;
            let held = held(agent.process().pid())?;
            agent.kill()?;
            wait_clean(&held)?;
            thread::sleep(Duration::from_millis(500));
            Ok(())
        })();
        over.store(true, Ordering::Relaxed);
        let rounds = load.join().ok().context("the load panicked")??;
        killed?;
        ensure!(rounds > 0, "no load");
        Ok(())
    })
}

/// Runs the agent until it ends by itself.
fn run(command: &mut Command) -> Result<Output> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(child.wait_with_output()?)
}

/// Checks for exit code 2, one sentence on standard error and nothing on standard output.
fn one_sentence(output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(2), "{}: {text}", output.status);
    ensure!(
        text.trim_end().lines().count() == 1,
        "not one sentence: {text}"
    );
    ensure!(output.stdout.is_empty());
    Ok(text)
}

#[test]
fn without_privilege() -> Result<()> {
    needs_root!("without_privilege");
    // Where it was built may be closed to others.
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    let binary = directory.path().join("wirespan");
    fs::copy(agent::binary()?, &binary)?;
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&binary)
        .args(["run", "--export", "otlp-json"]);
    let text = one_sentence(&run(&mut command)?)?;
    ensure!(text.contains("root") || text.contains("CAP_"), "{text}");
    Ok(())
}

#[test]
fn hooks_that_this_kernel_lacks() -> Result<()> {
    needs_root!("hooks_that_this_kernel_lacks");
    let server = Server::start(Kind::Go)?;
    let port = server.port.to_string();
    let mut any = false;
    for hooks in ["tracepoint", "trampoline"] {
        let Ok(agent) = Agent::start(&["--hooks", hooks, "--port", &port]) else {
            let mut command = Command::new(agent::binary()?);
            command.args(["run", "--export", "otlp-json", "--hooks", hooks]);
            one_sentence(&run(&mut command)?)?;
            continue;
        };
        any = true;
        output(Command::new("curl").args(["-sS", &server.base()]))?;
        let report = agent.stop()?;
        ensure!(report.spans.len() == 2, "{hooks}: {:?}", report.spans);
    }
    ensure!(any, "this kernel has no hooks at all");
    Ok(())
}

#[test]
fn arguments_that_make_no_sense() -> Result<()> {
    for arguments in [
        ["run", "--export", "nowhere"],
        ["run", "--port", "seventy"],
        ["run", "--hooks", "none"],
    ] {
        let output = run(Command::new(agent::binary()?).args(arguments))?;
        ensure!(output.status.code() == Some(2), "{arguments:?}: {output:?}");
        ensure!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
    Ok(())
}

/// Two services, each called by curl, seen through filters; gives `service kind target` of each
/// span.
fn filtered(one: &Server, other: &Server, arguments: &[&str]) -> Result<Vec<String>> {
    let agent = Agent::start(arguments)?;
    for (server, tag) in [(one, "one"), (other, "other")] {
        let url = format!("{}/bytes/1?filter={tag}", server.base());
        output(Command::new("curl").args(["-sS", &url]))?;
    }
    let report = agent.stop()?;
    let mine = |span: &&Span| span.target().starts_with("/bytes/1?filter=");
    let mut seen: Vec<_> = report
        .spans
        .iter()
        .filter(mine)
        .map(|span| {
            let target = span.target();
            let tag = target.rsplit('=').next().unwrap_or_default();
            format!("{} {:?} {tag}", span.service(), span.kind)
        })
        .collect();
    seen.sort();
    Ok(seen)
}

#[test]
fn filters_narrow_it() -> Result<()> {
    needs_root!("filters_narrow_it");
    let (go, python) = (
        Server::start(Kind::Go)?,
        Server::start(Kind::PythonThreads)?,
    );
    let (go_port, python_port) = (go.port.to_string(), python.port.to_string());
    let go_pid = go.pid().to_string();
    let of_go = ["curl Client one", "go-server Server one"];
    let of_python = ["curl Client other", "http_server Server other"];
    let both = [of_go, of_python].concat();
    let cases: [(&[&str], Vec<&str>); 8] = [
        (&["--port", &go_port], of_go.to_vec()),
        (&["--port", &go_port, "--port", &python_port], both.clone()),
        (
            &[
                "--port",
                &go_port,
                "--port",
                &python_port,
                "--exclude-port",
                &go_port,
            ],
            of_python.to_vec(),
        ),
        (&["--pid", &go_pid], vec!["go-server Server one"]),
        (&["--exe", "*/go-ser*"], vec!["go-server Server one"]),
        (
            &["--port", &go_port, "--exclude-pid", &go_pid],
            vec!["curl Client one"],
        ),
        (
            &["--port", &go_port, "--exclude-exe", "*/curl"],
            vec!["go-server Server one"],
        ),
        (&["--exclude-port", &go_port], of_python.to_vec()),
    ];
    for (arguments, mut expected) in cases {
        expected.sort_unstable();
        let seen = filtered(&go, &python, arguments)?;
        ensure!(
            seen == expected,
            "{arguments:?}: {seen:?}, not {expected:?}"
        );
    }
    Ok(())
}

#[test]
fn traces_within_a_second() -> Result<()> {
    needs_root!("traces_within_a_second");
    let server = Server::start(Kind::Go)?;
    let agent = Agent::on_ports(&[server.port])?;
    let started = agent.started_in();
    agent.stop()?;
    ensure!(started < Duration::from_secs(1), "it took {started:?}");
    Ok(())
}

#[test]
fn the_console_shows_a_line_for_each_span() -> Result<()> {
    needs_root!("the_console_shows_a_line_for_each_span");
    let server = Server::start(Kind::Go)?;
    let directory = tempfile::tempdir()?;
    let (out, log) = (directory.path().join("out"), directory.path().join("log"));
    // Without a subcommand and without a terminal: `run`, to a console without colours.
    let mut command = Command::new(agent::binary()?);
    command
        .args(["--port", &server.port.to_string()])
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .stdout(fs::File::create(&out)?)
        .stderr(fs::File::create(&log)?);
    let mut agent = Process::spawn(&mut command)?;
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    wait_until("the agent to trace", Duration::from_secs(10), || {
        read(&log).contains("wirespan: tracing")
    })?;
    let url = format!("{}/status/404?n=1", server.base());
    output(Command::new("curl").args(["-sS", &url]))?;
    wait_until("two lines", Duration::from_secs(5), || {
        read(&out).lines().count() >= 2
    })?;
    agent.signal(Signal::INT)?;
    ensure!(agent.wait(Duration::from_secs(10))?.success());
    let shown = read(&out);
    ensure!(!shown.contains('\u{1b}'), "colours: {shown:?}");
    for word in ["GET", "/status/404", "404", "curl", "go-server"] {
        ensure!(shown.contains(word), "no {word} in {shown}");
    }
    Ok(())
}
