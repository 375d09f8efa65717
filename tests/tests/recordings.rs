//! Recordings of real servers and clients: a replay gives what the client counted.
//!
//! `tests/data/recordings/README.md` says how they are made.

use std::{collections::BTreeSet, env, fs, path::Path, path::PathBuf};

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::port_arguments,
    artifacts::source_directory,
    calls::{Call, End, Grpc},
    client::{Client, Wire},
    golden, needs_root,
    plan::Plan,
    recording::{Recorder, Recording, replay},
    server::{Kind, Server},
    span,
};

/// Names the directory to record into, to make the recordings anew.
const MAKE: &str = "WIRESPAN_MAKE_RECORDINGS";

fn directory() -> PathBuf {
    source_directory().join("data/recordings")
}

#[test]
fn each_gives_what_the_client_counted() -> Result<()> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            names.insert(path);
        }
    }
    ensure!(names.len() >= 10, "only {} recordings", names.len());
    for expectation in names {
        replayed(&expectation).with_context(|| expectation.display().to_string())?;
    }
    Ok(())
}

fn replayed(expectation: &Path) -> Result<()> {
    let text = fs::read_to_string(expectation)?;
    let mut expected: Vec<&str> = text.lines().collect();
    expected.sort_unstable();
    let replayed = replay(&expectation.with_extension("wirespan"), &[])?;
    ensure!(replayed.code == 0, "{}", replayed.log);
    let spans = replayed.spans()?;
    for kind in [span::Kind::Server, span::Kind::Client] {
        let found = golden::of_spans(&spans, kind);
        ensure!(
            found == expected,
            "{kind:?} spans: {found:#?}, the client counted {expected:#?}; {}",
            replayed.log
        );
    }
    Ok(())
}

/// Exchanges by HTTP that are recorded.
const HTTP: [(&str, Kind, Wire, Client); 9] = [
    ("nginx-http1-curl", Kind::Nginx, Wire::Http1, Client::Curl),
    ("nginx-http2-curl", Kind::Nginx, Wire::Http2, Client::Curl),
    ("nginx-http2-go", Kind::Nginx, Wire::Http2, Client::Go),
    ("go-h2c-curl", Kind::Go, Wire::Upgrade, Client::Curl),
    ("go-h2c-java", Kind::Go, Wire::Upgrade, Client::Java),
    ("java-http1-java", Kind::Java, Wire::Http1, Client::Java),
    ("node-http2-node", Kind::Node, Wire::Http2, Client::Node),
    (
        "hypercorn-http2-httpx",
        Kind::Hypercorn,
        Wire::Http2,
        Client::Httpx,
    ),
    ("hyper-http2-hyper", Kind::Hyper, Wire::Http2, Client::Hyper),
];

#[test]
fn they_can_be_made_anew() -> Result<()> {
    needs_root!("they_can_be_made_anew");
    let made = tempfile::tempdir()?;
    let wanted = env::var_os(MAKE).map(PathBuf::from);
    let into = wanted.as_deref().unwrap_or(made.path());
    // One of each kind is enough to see that it works.
    let (http, rpc) = if wanted.is_some() {
        (HTTP.as_slice(), Grpc::ALL.as_slice())
    } else {
        (&HTTP[..1], &Grpc::ALL[..1])
    };
    for &(name, kind, wire, client) in http {
        record_http(into, name, kind, wire, client).with_context(|| name.to_owned())?;
    }
    for &library in rpc {
        record_calls(into, library).with_context(|| format!("{library:?}"))?;
    }
    Ok(())
}

fn record_http(into: &Path, name: &str, kind: Kind, wire: Wire, client: Client) -> Result<()> {
    client.prepare()?;
    let server = if wire == Wire::Http1 {
        Server::start(kind)?
    } else {
        Server::start_http2(kind)?
    };
    let mut plan = Plan::short(kind.dialect());
    if wire == Wire::Upgrade {
        plan = plan.below(1000);
    }
    let recorder = Recorder::start(&port_arguments(&[server.port]))?;
    client.run_over(wire, &server.base(), &plan)?;
    keep(into, name, &recorder.stop()?, &golden::of_plan(&plan))
}

fn record_calls(into: &Path, library: Grpc) -> Result<()> {
    let calls: Vec<Call> = Call::standard()
        .into_iter()
        .filter(|call| {
            let is_short = call.requests == 1 || call.request_size < 50;
            // A server need not read what it has no method for.
            matches!(call.end, End::Status(code) if code != 12) && is_short
        })
        .collect();
    let server = library.serve()?;
    let recorder = Recorder::start(&port_arguments(&[server.port]))?;
    let outcomes = library.call(&server.base(), &calls)?;
    let name = format!("grpc-{}", format!("{library:?}").to_lowercase());
    let counted = golden::of_calls(&calls, &outcomes)?;
    keep(into, &name, &recorder.stop()?, &counted)
}

/// Keeps a recording with what the client counted, and replays it.
fn keep(into: &Path, name: &str, recording: &Recording, counted: &[String]) -> Result<()> {
    let expectation = into.join(name).with_extension("txt");
    fs::write(&expectation, counted.join("\n") + "\n")?;
    fs::copy(recording.file(), expectation.with_extension("wirespan"))?;
    replayed(&expectation)
}
