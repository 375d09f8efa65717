//! The kernel programs alone: what they write of a program's sockets, before anything is made of
//! it.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use wirespan::{
    bpf::{
        load::Kernel,
        ring::Rings,
        support::{self, HooksChoice, Support},
    },
    clock::KernelTime,
    stream::{Verdict, record::Record},
};
use wirespan_ebpf::records::{OpenRecord, role};

use crate::{artifacts, process::Process};

/// Kernel programs at work, and what they have written so far.
pub struct Capture {
    kernel: Kernel,
    rings: Rings,
    sockets: BTreeMap<u64, Socket>,
}

/// What was written of one socket.
#[derive(Clone, Debug, Default)]
pub struct Socket {
    /// Process.
    pub tgid: u32,
    /// Which end it is.
    pub role: u8,
    /// Ports, local and the peer's.
    pub ports: (u16, u16),
    /// Data records, in order of their numbers.
    pub data: BTreeMap<u32, Data>,
}

/// One data record.
#[derive(Clone, Debug)]
pub struct Data {
    /// Direction.
    pub direction: u8,
    /// Position of its first byte.
    pub position: u64,
    /// Bytes moved.
    pub length: u32,
    /// Why not all were copied.
    pub cause: u8,
    /// Those copied.
    pub captured: Vec<u8>,
}

impl Socket {
    /// The bytes of one direction, `None` where they were not copied.
    ///
    /// # Errors
    /// When the records leave out a byte or tell one twice.
    pub fn bytes(&self, direction: u8) -> Result<Vec<Option<u8>>> {
        let mut bytes: Vec<Option<u8>> = Vec::new();
        for data in self
            .data
            .values()
            .filter(|data| data.direction == direction)
        {
            ensure!(
                data.position == bytes.len() as u64,
                "a record at {} follows {} bytes",
                data.position,
                bytes.len()
            );
            bytes.extend(data.captured.iter().copied().map(Some));
            let rest = data.length as usize - data.captured.len();
            bytes.extend(std::iter::repeat_n(None, rest));
        }
        Ok(bytes)
    }
}

impl Capture {
    /// Loads the programs that fit this kernel.
    ///
    /// # Errors
    /// When they cannot be loaded.
    pub fn start() -> Result<Self> {
        let chosen = support::choose(HooksChoice::Auto, &Support::probe())?;
        let (kernel, rings) = Kernel::load(&chosen)?;
        Ok(Self {
            kernel,
            rings,
            sockets: BTreeMap::new(),
        })
    }

    /// Reads what was written since the last call.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn drain(&mut self) -> Result<()> {
        let mut failed = None;
        let sockets = &mut self.sockets;
        self.rings
            .drain(KernelTime::now(), |bytes| match Record::decode(bytes) {
                Ok(record) => keep(sockets, &record),
                Err(error) => failed = Some(error),
            });
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The two sockets of the one connection between ends of a process: the client's, the server's.
    ///
    /// # Errors
    /// When there are not two.
    pub fn ends(&self, tgid: u32) -> Result<(u64, u64)> {
        let of = |wanted: u8| {
            let mut found = self
                .sockets
                .iter()
                .filter(|(_, socket)| socket.tgid == tgid && socket.role == wanted)
                .map(|(cookie, _)| *cookie);
            match (found.next(), found.next()) {
                (Some(cookie), None) => Ok(cookie),
                other => bail!("not one socket of role {wanted}: {other:?}"),
            }
        };
        Ok((of(role::CLIENT)?, of(role::SERVER)?))
    }

    /// What was written of a socket.
    ///
    /// # Errors
    /// When there is nothing.
    pub fn socket(&self, cookie: u64) -> Result<&Socket> {
        self.sockets.get(&cookie).context("no such socket")
    }

    /// Tells the kernel what a socket carries.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn tell(&mut self, cookie: u64, verdict: Verdict) -> Result<()> {
        Ok(self.kernel.tell(cookie, verdict)?)
    }
}

fn keep(sockets: &mut BTreeMap<u64, Socket>, record: &Record<'_>) {
    match record {
        Record::Open(open) => {
            let OpenRecord {
                connection,
                role,
                local_port,
                peer_port,
                ..
            } = **open;
            let socket = sockets.entry(connection).or_default();
            socket.role = role;
            socket.ports = (local_port, peer_port);
        }
        Record::Data(data, payload) => {
            let socket = sockets.entry(data.connection).or_default();
            socket.tgid = data.tgid;
            let known = Data {
                direction: data.direction,
                position: data.position,
                length: data.length,
                cause: data.cause,
                captured: payload.to_vec(),
            };
            socket.data.insert(data.sequence, known);
        }
        _ => {}
    }
}

/// `programs/python/mover.py`: a client and a server in one process.
pub struct Mover {
    process: Process,
    steps: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Mover {
    /// Starts it with the bytes that each end will send.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(directory: &Path, client: &[u8], server: &[u8]) -> Result<Self> {
        let mut command = Command::new("python3");
        command.arg(artifacts::program("python/mover.py"));
        for (name, bytes) in [("client", client), ("server", server)] {
            let path = directory.join(name);
            std::fs::write(&path, bytes)?;
            command.arg(path);
        }
        let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let child = process.child();
        let steps = child.stdin.take().context("no standard input")?;
        let answers = child.stdout.take().context("no standard output")?;
        Ok(Self {
            process,
            steps,
            answers: BufReader::new(answers),
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Has bytes written by calls with these parts, and read by such until all have come.
    ///
    /// # Errors
    /// When it has ended.
    pub fn step(&mut self, way: u8, write: &[&[usize]], read: &[&[usize]]) -> Result<()> {
        let step = serde_json::json!({"way": way, "write": write, "read": read});
        Ok(writeln!(self.steps, "{step}")?)
    }

    /// Has bytes sent from the file that they are in, and read.
    ///
    /// # Errors
    /// When it has ended.
    pub fn file(&mut self, way: u8, count: usize, read: &[&[usize]]) -> Result<()> {
        let step = serde_json::json!({"way": way, "sendfile": count, "read": read});
        Ok(writeln!(self.steps, "{step}")?)
    }

    /// Waits until all steps are done, and the records of them can be read.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&mut self) -> Result<()> {
        writeln!(self.steps, "pause")?;
        self.steps.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(line.trim() == "paused", "the mover has ended");
        thread::sleep(Duration::from_millis(5));
        Ok(())
    }
}
