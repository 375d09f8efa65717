//! Programs that make and answer [`Call`]s, by unmodified libraries.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{Call, Outcome, check};
use crate::{
    artifacts,
    process::{free_port, output, wait_listening},
    server::Server,
};

/// A library that has both ends of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grpc {
    /// grpc-go
    Go,
    /// grpc-java
    Java,
    /// grpcio
    Python,
    /// tonic
    Rust,
}

impl Grpc {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Go, Self::Java, Self::Python, Self::Rust];

    /// `service.name` of its spans.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Go => "go-grpc",
            Self::Java => "Streams",
            Self::Python => "grpc_streams",
            Self::Rust => "grpc-streams",
        }
    }

    fn command(self) -> Result<Command> {
        match self {
            Self::Go => Ok(Command::new(artifacts::go_grpc()?)),
            Self::Java => {
                let mut command = artifacts::java()?;
                command.arg("Streams");
                Ok(command)
            }
            Self::Python => artifacts::python_program("grpc_streams.py"),
            Self::Rust => Ok(Command::new(artifacts::rust_program("grpc-streams")?)),
        }
    }

    /// Starts a service and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub fn serve(self) -> Result<Server> {
        let port = free_port()?;
        let mut command = self.command()?;
        command.args(["serve", "127.0.0.1", &port.to_string()]);
        let server = Server::spawn(&mut command, tempfile::tempdir()?, port)?;
        wait_listening(([127, 0, 0, 1], port).into())
            .with_context(|| format!("{self:?}: {}", server.log()))?;
        Ok(server)
    }

    /// Makes the calls and checks that each ended as it must.
    ///
    /// # Errors
    /// When the client fails, or a call ends otherwise.
    pub fn call(self, base: &str, calls: &[Call]) -> Result<Vec<Outcome>> {
        let directory = tempfile::tempdir()?;
        let printed = output(&mut self.client(base, calls, directory.path())?)?;
        check(calls, &printed).with_context(|| format!("{self:?}"))
    }

    fn client(self, base: &str, calls: &[Call], directory: &Path) -> Result<Command> {
        let mut text = String::new();
        for (number, call) in calls.iter().enumerate() {
            call.write(number, &mut text)?;
        }
        let file = directory.join("plan");
        fs::write(&file, text)?;
        let mut command = self.command()?;
        command.args(["call", base]).arg(&file);
        Ok(command)
    }
}
