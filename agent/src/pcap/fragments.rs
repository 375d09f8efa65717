//! Puts fragmented IP datagrams together (RFC 791, RFC 8200 section 4.5). Overlapping fragments
//! are not resolved, because hosts resolve them differently: the datagram is given up.

use std::{collections::VecDeque, net::IpAddr};

use hashbrown::HashMap;

use super::ip::{Datagram, Fragment};

/// Datagrams that wait for fragments at a time, and the bytes of these.
const DATAGRAMS: usize = 1024;
const BYTES: usize = 8 << 20;

/// Nanoseconds after which a host gives up (Linux: 30 s for IPv4, 60 s for IPv6).
const AGE: u64 = 60_000_000_000;

/// Bytes of the longest payload: offsets have 13 bits of 8 bytes, lengths 16 bits.
const LONGEST: usize = 65_535;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    protocol: u8,
}

#[derive(Debug)]
struct Piece {
    offset: usize,
    length: usize,
    /// What was captured of it.
    data: Box<[u8]>,
}

/// A datagram of which fragments are missing.
#[derive(Debug)]
struct Assembly {
    began: u64,
    /// In order, none overlapping.
    pieces: Vec<Piece>,
    /// Bytes of the whole, once the last fragment was seen.
    total: Option<usize>,
    /// Fragments contradicted each other; what comes is dropped.
    spoiled: bool,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It waits for others.
    Waits,
    /// The payload is whole: what was captured up to the first byte that was not, and its length.
    Whole(Vec<u8>, usize),
    /// It was one too many.
    Dropped,
}

/// Datagrams of which fragments are missing.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    open: HashMap<Key, Assembly>,
    /// The oldest first.
    order: VecDeque<(u64, Key)>,
    bytes: usize,
    /// Fragments that were given up after they had waited.
    given_up: u64,
}

impl Fragments {
    /// Takes a fragment that came at `now`.
    pub(super) fn push(
        &mut self,
        datagram: &Datagram<'_>,
        fragment: Fragment,
        now: u64,
    ) -> Outcome {
        self.expire(now);
        let key = Key {
            source: datagram.source,
            destination: datagram.destination,
            id: fragment.id,
            protocol: datagram.protocol,
        };
        let end = fragment.offset + datagram.length;
        if end > LONGEST || datagram.length == 0 {
            return Outcome::Dropped;
        }
        let order = &mut self.order;
        let assembly = self.open.entry(key).or_insert_with(|| {
            order.push_back((now, key));
            Assembly {
                began: now,
                pieces: Vec::new(),
                total: None,
                spoiled: false,
            }
        });
        if assembly.spoiled {
            return Outcome::Dropped;
        }
        match assembly.insert(datagram, fragment) {
            Inserted::Again => return Outcome::Waits,
            Inserted::New => self.bytes += datagram.payload.len() + size_of::<Piece>(),
            Inserted::Contradicts => {
                assembly.spoiled = true;
                let pieces = std::mem::take(&mut assembly.pieces);
                self.bytes -= size(&pieces);
                self.given_up += pieces.len() as u64;
                return Outcome::Dropped;
            }
        }
        if !assembly.is_whole() {
            return Outcome::Waits;
        }
        let Some(assembly) = self.open.remove(&key) else {
            return Outcome::Waits;
        };
        self.bytes -= size(&assembly.pieces);
        let length = assembly.total.unwrap_or_default();
        Outcome::Whole(assembly.captured(), length)
    }

    /// Fragments that waited in vain, since the last call.
    pub(super) fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// No more packets come.
    pub(super) fn finish(&mut self) {
        while !self.order.is_empty() {
            self.drop_oldest();
        }
    }

    fn expire(&mut self, now: u64) {
        while let Some((began, _)) = self.order.front()
            && (now.saturating_sub(*began) >= AGE
                || self.order.len() >= DATAGRAMS
                || self.bytes >= BYTES)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((began, key)) = self.order.pop_front() else {
            return;
        };
        // Since then the datagram may have become whole, and another one may have its number.
        if self.open.get(&key).is_some_and(|open| open.began == began)
            && let Some(assembly) = self.open.remove(&key)
        {
            self.bytes -= size(&assembly.pieces);
            self.given_up += assembly.pieces.len() as u64;
        }
    }
}

fn size(pieces: &[Piece]) -> usize {
    pieces
        .iter()
        .map(|piece| piece.data.len() + size_of::<Piece>())
        .sum()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inserted {
    New,
    /// The same fragment was there.
    Again,
    Contradicts,
}

impl Assembly {
    fn insert(&mut self, datagram: &Datagram<'_>, fragment: Fragment) -> Inserted {
        let (start, end) = (fragment.offset, fragment.offset + datagram.length);
        let at = self.pieces.partition_point(|piece| piece.offset < start);
        if let Some(piece) = self.pieces.get(at)
            && piece.offset == start
            && piece.length == datagram.length
            && *piece.data == *datagram.payload
        {
            return Inserted::Again;
        }
        let overlaps_next = self.pieces.get(at).is_some_and(|next| next.offset < end);
        let overlaps_last = at
            .checked_sub(1)
            .and_then(|last| self.pieces.get(last))
            .is_some_and(|last| last.offset + last.length > start);
        let is_beyond = self.total.is_some_and(|total| end > total);
        let is_odd = fragment.more && !datagram.length.is_multiple_of(8);
        if overlaps_next || overlaps_last || is_beyond || is_odd {
            return Inserted::Contradicts;
        }
        if !fragment.more {
            let is_last = at == self.pieces.len();
            if self.total.is_some_and(|total| total != end) || !is_last {
                return Inserted::Contradicts;
            }
            self.total = Some(end);
        }
        self.pieces.insert(
            at,
            Piece {
                offset: start,
                length: datagram.length,
                data: datagram.payload.into(),
            },
        );
        Inserted::New
    }

    fn is_whole(&self) -> bool {
        let bytes: usize = self.pieces.iter().map(|piece| piece.length).sum();
        self.total == Some(bytes)
    }

    fn captured(&self) -> Vec<u8> {
        let mut captured = Vec::with_capacity(self.total.unwrap_or_default());
        for piece in &self.pieces {
            captured.extend_from_slice(&piece.data);
            if piece.data.len() < piece.length {
                break;
            }
        }
        captured
    }
}
