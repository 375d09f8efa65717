//! One end of a connection: writes what the kernel programs write about it.

use std::mem::offset_of;

use anyhow::Result;
use wirespan_ebpf::records::{DataRecord, OpenRecord, direction, family, kind, role};
use zerocopy::IntoBytes as _;

use crate::agent::Agent;

/// An established TCP socket of one process.
pub(crate) struct Socket {
    cookie: u64,
    is_server: bool,
    sequence: u32,
    turn: u32,
    direction: u8,
    position: [u64; 2],
    /// The record that is being written, aligned as in a ring.
    ring: Vec<u64>,
}

/// Where the ends of the connection are.
const SERVER_PORT: u16 = 8080;
const CLIENT_PORT: u16 = 50_000;

impl Socket {
    /// Writes the opening record.
    pub(crate) fn open(agent: &mut Agent, is_server: bool) -> Result<Self> {
        let mut socket = Self {
            cookie: 77 + u64::from(is_server),
            is_server,
            sequence: 1,
            turn: 0,
            direction: u8::MAX,
            position: [0; 2],
            ring: vec![0; 1024],
        };
        let (own, other) = if is_server {
            (200_u64, 100_u64)
        } else {
            (100, 200)
        };
        let (local, peer) = if is_server {
            (SERVER_PORT, CLIENT_PORT)
        } else {
            (CLIENT_PORT, SERVER_PORT)
        };
        let loopback = [127, 0, 0, 1];
        socket.ring.fill(0);
        socket.put(offset_of!(OpenRecord, kind), &[kind::OPEN]);
        socket.put(offset_of!(OpenRecord, family), &[family::INET]);
        socket.put(offset_of!(OpenRecord, role), &[socket.role()]);
        socket.put(offset_of!(OpenRecord, time), &agent.now().to_ne_bytes());
        socket.put(
            offset_of!(OpenRecord, connection),
            &socket.cookie.to_ne_bytes(),
        );
        socket.put(offset_of!(OpenRecord, send_base), &own.to_ne_bytes());
        socket.put(offset_of!(OpenRecord, receive_base), &other.to_ne_bytes());
        socket.put(offset_of!(OpenRecord, local_address), &loopback);
        socket.put(offset_of!(OpenRecord, peer_address), &loopback);
        socket.put(offset_of!(OpenRecord, local_port), &local.to_ne_bytes());
        socket.put(offset_of!(OpenRecord, peer_port), &peer.to_ne_bytes());
        socket.put(offset_of!(OpenRecord, sequence), &1_u32.to_ne_bytes());
        agent.record(socket.written(size_of::<OpenRecord>()))?;
        socket.ring.fill(0);
        Ok(socket)
    }

    fn role(&self) -> u8 {
        if self.is_server {
            role::SERVER
        } else {
            role::CLIENT
        }
    }

    /// The client says something: this end sends or receives it.
    pub(crate) fn client_says(&mut self, agent: &mut Agent, bytes: &[u8]) -> Result<()> {
        let way = if self.is_server {
            direction::RECEIVE
        } else {
            direction::SEND
        };
        self.moved(agent, way, bytes)
    }

    /// The server says something.
    pub(crate) fn server_says(&mut self, agent: &mut Agent, bytes: &[u8]) -> Result<()> {
        let way = if self.is_server {
            direction::SEND
        } else {
            direction::RECEIVE
        };
        self.moved(agent, way, bytes)
    }

    /// A call whose bytes are all copied.
    fn moved(&mut self, agent: &mut Agent, way: u8, bytes: &[u8]) -> Result<()> {
        self.sequence += 1;
        if self.direction != way {
            self.direction = way;
            self.turn += 1;
        }
        let length = u32::try_from(bytes.len())?;
        let position = self.position[usize::from(way)];
        self.position[usize::from(way)] += u64::from(length);
        let process = if self.is_server { 4242_u32 } else { 4343 };
        let flags = self.role() << wirespan_ebpf::records::data_flags::ROLE_SHIFT;
        self.put(offset_of!(DataRecord, kind), &[kind::DATA, way, flags, 0]);
        self.put(offset_of!(DataRecord, tgid), &process.to_ne_bytes());
        self.put(offset_of!(DataRecord, time), &agent.now().to_ne_bytes());
        self.put(
            offset_of!(DataRecord, connection),
            &self.cookie.to_ne_bytes(),
        );
        self.put(offset_of!(DataRecord, position), &position.to_ne_bytes());
        self.put(
            offset_of!(DataRecord, sequence),
            &self.sequence.to_ne_bytes(),
        );
        self.put(offset_of!(DataRecord, turn), &self.turn.to_ne_bytes());
        self.put(offset_of!(DataRecord, length), &length.to_ne_bytes());
        self.put(offset_of!(DataRecord, captured), &length.to_ne_bytes());
        self.put(offset_of!(DataRecord, tid), &process.to_ne_bytes());
        self.put(size_of::<DataRecord>(), bytes);
        agent.record(self.written(size_of::<DataRecord>() + bytes.len()))
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.ring.as_mut_bytes()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn written(&self, length: usize) -> &[u8] {
        &self.ring.as_bytes()[..length]
    }
}
