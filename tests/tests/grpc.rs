//! gRPC by each library: one SERVER and one CLIENT span for each call, however it ends, with its
//! messages counted.

use anyhow::{Context, Result, ensure};
use wirespan_tests::{
    agent::Agent,
    calls::{Call, Grpc, compare},
    check::Services,
    needs_root,
};

/// Lets a client of each library make every kind of call, all on one connection.
fn trace(server: Grpc, clients: &[Grpc]) -> Result<()> {
    let service = server.serve()?;
    for &client in clients {
        let agent = Agent::on_ports(&[service.port])?;
        let calls = Call::standard();
        let outcomes = client
            .call(&service.base(), &calls)
            .with_context(|| service.log())?;
        let report = agent.stop()?;
        let services = Services {
            server: server.service(),
            client: client.service(),
        };
        compare::calls(&calls, &outcomes, &report.spans, services)
            .with_context(|| format!("{server:?} by {client:?}; {}", report.log))?;
        ensure!(report.spans.len() == 2 * calls.len());
        report.summary.lost_nothing()?;
    }
    Ok(())
}

#[test]
fn go_by_every_client() -> Result<()> {
    needs_root!("go_by_every_client");
    trace(Grpc::Go, &Grpc::ALL)
}

#[test]
fn java() -> Result<()> {
    needs_root!("java");
    trace(Grpc::Java, &[Grpc::Go, Grpc::Java])
}

#[test]
fn python() -> Result<()> {
    needs_root!("python");
    trace(Grpc::Python, &[Grpc::Go, Grpc::Python])
}

#[test]
fn rust() -> Result<()> {
    needs_root!("rust");
    trace(Grpc::Rust, &[Grpc::Go, Grpc::Rust])
}
