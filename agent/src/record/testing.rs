//! For tests: records as a ring holds them, and a file in memory.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use wirespan_ebpf::records::{
    CloseRecord, DataRecord, ExitRecord, OpenRecord, close_how, data_flags, direction, family,
    kind, role,
};

use super::{Head, Naming};
use crate::{clock::KernelTime, span::model::Resource};

/// A file whose content stays when its writer is gone.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    content: Arc<Mutex<Vec<u8>>>,
    /// Bytes that it takes before it is full.
    room: Option<usize>,
    /// How long it takes for each write.
    pause: Duration,
}

impl Memory {
    pub(crate) fn with_room(room: usize) -> Self {
        Self {
            room: Some(room),
            ..Self::default()
        }
    }

    pub(crate) fn slow(pause: Duration) -> Self {
        Self {
            pause,
            ..Self::default()
        }
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.content.lock().unwrap().clone()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::thread::sleep(self.pause);
        let mut content = self.content.lock().unwrap();
        let room = self.room.unwrap_or(usize::MAX) - content.len();
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(room);
        content.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn head() -> Head {
    let unknown = Resource {
        service_name: "unknown_service".into(),
        attributes: vec![
            ("service.name".into(), "unknown_service".into()),
            ("host.name".into(), "here".into()),
        ],
    };
    let started = (KernelTime(1_000), 1_700_000_000_000_001_000);
    Head::new([7; 32], started, Naming::default(), &unknown)
}

pub(crate) fn resource(name: &str) -> Arc<Resource> {
    Arc::new(Resource {
        service_name: name.into(),
        attributes: vec![
            ("service.name".into(), name.into()),
            ("process.pid".into(), 4242_i64.into()),
        ],
    })
}

/// Fields one after the other.
fn bytes<const N: usize>(fields: [&[u8]; N], size: usize) -> Vec<u8> {
    let bytes = fields.concat();
    assert_eq!(bytes.len(), size);
    bytes
}

/// A server's socket on this host.
pub(crate) struct Socket {
    pub(crate) id: u64,
    pub(crate) tgid: u32,
    pub(crate) port: u16,
    pub(crate) time: u64,
    sequence: u32,
    turn: u32,
    position: [u64; 2],
}

impl Socket {
    pub(crate) fn new(id: u64, tgid: u32, port: u16, time: u64) -> Self {
        Self {
            id,
            tgid,
            port,
            time,
            sequence: 0,
            turn: 0,
            position: [0; 2],
        }
    }

    fn next(&mut self) -> [[u8; 8]; 2] {
        self.time += 1_000;
        self.sequence += 1;
        [self.time.to_le_bytes(), self.id.to_le_bytes()]
    }

    pub(crate) fn open(&mut self) -> Vec<u8> {
        let [time, id] = self.next();
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[127, 0, 0, 1]);
        bytes(
            [
                &[kind::OPEN, family::INET, role::SERVER, 0],
                &[0; 4],
                &time,
                &id,
                &(2 * self.id).to_le_bytes(),
                &(2 * self.id + 1).to_le_bytes(),
                &address,
                &address,
                &self.port.to_le_bytes(),
                &40_000_u16.to_le_bytes(),
                &self.sequence.to_le_bytes(),
            ],
            size_of::<OpenRecord>(),
        )
    }

    pub(crate) fn receives(&mut self, payload: &[u8]) -> Vec<u8> {
        self.moves(direction::RECEIVE, payload)
    }

    pub(crate) fn sends(&mut self, payload: &[u8]) -> Vec<u8> {
        self.moves(direction::SEND, payload)
    }

    fn moves(&mut self, way: u8, payload: &[u8]) -> Vec<u8> {
        let [time, id] = self.next();
        self.turn += 1;
        let length = u32::try_from(payload.len()).unwrap();
        let position = &mut self.position[usize::from(way)];
        let begins = *position;
        *position += u64::from(length);
        let mut record = bytes(
            [
                &[kind::DATA, way, role::SERVER << data_flags::ROLE_SHIFT, 0],
                &self.tgid.to_le_bytes(),
                &time,
                &id,
                &begins.to_le_bytes(),
                &self.sequence.to_le_bytes(),
                &self.turn.to_le_bytes(),
                &length.to_le_bytes(),
                &length.to_le_bytes(),
                &self.tgid.to_le_bytes(),
                &[0; 4],
                &[0; 8],
            ],
            size_of::<DataRecord>(),
        );
        record.extend_from_slice(payload);
        record
    }

    pub(crate) fn closes(&mut self) -> Vec<u8> {
        let [time, id] = self.next();
        bytes(
            [
                &[kind::CLOSE, close_how::CLOSED, role::SERVER, 0],
                &[0; 4],
                &time,
                &id,
                &self.position[0].to_le_bytes(),
                &self.position[1].to_le_bytes(),
                &self.sequence.to_le_bytes(),
                &self.turn.to_le_bytes(),
                &[0; 8],
            ],
            size_of::<CloseRecord>(),
        )
    }
}

pub(crate) fn exit(tgid: u32, time: u64) -> Vec<u8> {
    bytes(
        [
            &[kind::EXIT, 0, 0, 0],
            &tgid.to_le_bytes(),
            &time.to_le_bytes(),
        ],
        size_of::<ExitRecord>(),
    )
}
