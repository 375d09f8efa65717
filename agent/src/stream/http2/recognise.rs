//! Tells that a connection speaks HTTP/2: by the prefaces of its two ends (RFC 9113 section 3.4),
//! or in its middle, by frames that follow each other. Knows nothing of what the frames say.

use wirespan_ebpf::records::DataRecord;

use super::Http2;
use crate::{
    protocol::{
        http1::Likeness,
        http2::{PREFACE, like_frames},
    },
    stream::{
        exchange::Role,
        link::{Link, SEND},
    },
};

/// So much of the client's preface is not the beginning of anything else: the method `PRI` is
/// reserved for it (RFC 9113 section 11.6).
const SURE: usize = 4;

/// Header of a SETTINGS frame that is not an acknowledgement, without the length.
const SETTINGS: [u8; 6] = [4, 0, 0, 0, 0, 0];

/// How a connection is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stream) enum Recognised {
    /// From its first byte on; so much of the client's preface came before.
    Start { client_way: usize, preface: usize },
    /// In its middle.
    Middle,
}

/// Whether a connection of which nothing was understood yet speaks HTTP/2. `before` is what was
/// read of the direction of `data`.
pub(in crate::stream) fn recognise(
    link: &Link,
    before: &[u8],
    data: &DataRecord,
    payload: &[u8],
) -> Option<Recognised> {
    if payload.is_empty() {
        return None;
    }
    let way = usize::from(data.direction & 1);
    let from_first = data.position == before.len() as u64;
    let is_request = link.ways().map(|(request, _)| request == way);
    if from_first && is_request != Some(false) && begins_preface(before, payload) {
        return Some(Recognised::Start {
            client_way: way,
            preface: before.len(),
        });
    }
    // A server may speak first.
    if from_first && before.is_empty() && is_request == Some(false) && begins_settings(payload) {
        return Some(Recognised::Start {
            client_way: 1 - way,
            preface: 0,
        });
    }
    let is_joined = link.identity.is_old || link.has_losses;
    (is_joined && like_frames(payload) == Likeness::Yes).then_some(Recognised::Middle)
}

fn begins_preface(before: &[u8], payload: &[u8]) -> bool {
    let mut begin = before.iter().chain(payload).take(PREFACE.len());
    before.len() + payload.len() >= SURE && {
        let expected = &PREFACE[..PREFACE.len().min(before.len() + payload.len())];
        expected.iter().all(|byte| begin.next() == Some(byte))
    }
}

fn begins_settings(payload: &[u8]) -> bool {
    let Some(([l0, l1, l2], rest)) = payload.split_first_chunk::<3>() else {
        return false;
    };
    let length = u32::from_be_bytes([0, *l0, *l1, *l2]);
    length.is_multiple_of(6) && length <= 1024 && rest.starts_with(&SETTINGS)
}

impl Recognised {
    /// The connection's state from here on.
    pub(in crate::stream) fn connection(self, mut link: Link) -> Http2 {
        match self {
            Self::Start {
                client_way,
                preface,
            } => {
                if link.identity.role.is_none() {
                    link.identity.role = Some(if client_way == SEND {
                        Role::Client
                    } else {
                        Role::Server
                    });
                }
                Http2::from_start(link, client_way, preface)
            }
            Self::Middle => Http2::joined(link),
        }
    }
}
