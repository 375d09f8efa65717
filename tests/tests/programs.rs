//! The services and clients keep their own promises, without any agent. No root needed.

use anyhow::{Context, Result};
use wirespan_tests::{
    client::Client,
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
