//! The services and clients keep their own promises, without any agent. No root needed.

use anyhow::{Context, Result};
use wirespan_tests::{
    calls::{Call, Grpc},
    client::{Client, Wire},
    plan::Plan,
    server::{Kind, Server},
};

fn answers(kind: Kind, client: Client) -> Result<()> {
    client.prepare()?;
    let server = Server::start(kind)?;
    let plan = Plan::standard(kind.dialect());
    client
        .run(&server.base(), &plan)
        .with_context(|| format!("{kind:?} by {client:?}: {}", server.log()))
}

#[test]
fn nginx_answers_as_promised() -> Result<()> {
    answers(Kind::Nginx, Client::Curl)
}

#[test]
fn apache_answers_as_promised() -> Result<()> {
    answers(Kind::Apache, Client::Curl)
}

#[test]
fn python_threads_answers_as_promised() -> Result<()> {
    answers(Kind::PythonThreads, Client::Curl)
}

#[test]
fn python_forks_answers_as_promised() -> Result<()> {
    answers(Kind::PythonForks, Client::Curl)
}

#[test]
fn wsgi_answers_as_promised() -> Result<()> {
    answers(Kind::Wsgi, Client::Curl)
}

#[test]
fn node_answers_as_promised() -> Result<()> {
    answers(Kind::Node, Client::Curl)
}

#[test]
fn go_answers_as_promised() -> Result<()> {
    answers(Kind::Go, Client::Curl)
}

#[test]
fn java_answers_as_promised() -> Result<()> {
    answers(Kind::Java, Client::Curl)
}

#[test]
fn hyper_answers_as_promised() -> Result<()> {
    answers(Kind::Hyper, Client::Curl)
}

#[test]
fn every_client_carries_out_its_plan() -> Result<()> {
    for client in [Client::Go, Client::Java, Client::Requests] {
        answers(Kind::Go, client)?;
    }
    Ok(())
}

fn answers_http2(kind: Kind, wire: Wire, clients: &[Client]) -> Result<()> {
    let server = Server::start_http2(kind)?;
    for client in clients {
        client.prepare()?;
        let plan = Plan::standard(kind.dialect())
            .over_http2()
            .tagged(client.tag());
        client
            .run_over(wire, &server.base(), &plan)
            .with_context(|| format!("{kind:?} by {client:?} {wire:?}: {}", server.log()))?;
    }
    Ok(())
}

#[test]
fn every_service_speaks_http2() -> Result<()> {
    for kind in [Kind::Nginx, Kind::Node, Kind::Hyper, Kind::Hypercorn] {
        answers_http2(kind, Wire::Http2, &[Client::Go])?;
    }
    Ok(())
}

#[test]
fn every_client_speaks_http2() -> Result<()> {
    let clients = [
        Client::Curl,
        Client::Go,
        Client::Node,
        Client::Httpx,
        Client::Hyper,
    ];
    answers_http2(Kind::Go, Wire::Http2, &clients)
}

#[test]
fn connections_are_upgraded() -> Result<()> {
    answers_http2(Kind::Go, Wire::Upgrade, &[Client::Curl, Client::Java])?;
    answers_http2(Kind::Hypercorn, Wire::Upgrade, &[Client::Curl])
}

#[test]
fn grpc_calls_end_as_planned() -> Result<()> {
    for service in Grpc::ALL {
        let server = service.serve()?;
        for client in Grpc::ALL {
            client
                .call(&server.base(), &Call::standard())
                .with_context(|| format!("{service:?} by {client:?}: {}", server.log()))?;
        }
    }
    Ok(())
}
