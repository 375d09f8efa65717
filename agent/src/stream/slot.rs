//! One connection in the table: its records in order, those that are late or lost aside.

use wirespan_ebpf::records::{CloseRecord, DataRecord, OpenRecord, family};

use super::{
    Wanted,
    connection::Conn,
    link::{Context, Fate},
};

/// A record that waits for earlier ones.
pub(super) struct Held {
    pub(super) sequence: u32,
    /// Pass in which it came.
    pub(super) pass: u64,
    pub(super) body: Body<Box<[u8]>>,
}

pub(super) enum Body<B> {
    Open(OpenRecord),
    Data(DataRecord, B),
    Close(CloseRecord),
}

impl Held {
    pub(super) fn size(&self) -> usize {
        size_of::<Self>()
            + match &self.body {
                Body::Data(_, payload) => payload.len(),
                _ => 0,
            }
    }
}

/// A connection and the order of its records.
pub(super) struct Slot {
    pub(super) conn: Conn,
    /// Number of the record that comes next.
    pub(super) next: u32,
    /// In order of their numbers.
    pub(super) held: Vec<Held>,
    pub(super) is_wanted: bool,
    pub(super) is_watched: bool,
    pub(super) unix: Option<(u64, u64)>,
}

impl Slot {
    pub(super) fn new(id: u64) -> Self {
        Self {
            conn: Conn::new(id),
            next: 1,
            held: Vec::new(),
            is_wanted: false,
            is_watched: false,
            unix: None,
        }
    }

    /// Takes a record whose turn it is. The opening record comes first, so that `wanted` is asked
    /// with the addresses; where there is no one to ask, the next data will.
    pub(super) fn apply(
        &mut self,
        body: &Body<&[u8]>,
        missing: u32,
        wanted: Option<&mut Wanted<'_>>,
        cx: &mut Context<'_>,
    ) -> Fate {
        match body {
            Body::Open(open) => {
                if open.family == family::UNIX && open.receive_base != 0 {
                    self.unix = Some((open.send_base, open.receive_base));
                }
                self.conn.open(open, missing, cx);
                Fate::Keep
            }
            Body::Data(data, payload) => {
                if !self.is_wanted
                    && let Some(wanted) = wanted
                {
                    self.is_wanted = wanted(data.tgid, self.conn.link().identity.addresses());
                    if !self.is_wanted {
                        return Fate::Ignore;
                    }
                }
                self.conn.data(data, payload, missing, cx)
            }
            Body::Close(close) => self.conn.close(close, missing, cx),
        }
    }

    /// Takes what was held as far as nothing is missing before it, or what came before pass
    /// `lost_before` and so waited long enough. Gives the bytes that are free again.
    pub(super) fn release(
        &mut self,
        lost_before: u64,
        mut wanted: Option<&mut Wanted<'_>>,
        cx: &mut Context<'_>,
    ) -> (Fate, usize) {
        let mut taken = 0;
        let mut freed = 0;
        let mut fate = Fate::Keep;
        let mut held = std::mem::take(&mut self.held);
        for record in &held {
            let missing = record.sequence.wrapping_sub(self.next);
            if missing != 0 && record.pass >= lost_before {
                break;
            }
            taken += 1;
            freed += record.size();
            self.next = record.sequence.wrapping_add(1);
            let asked = wanted.as_deref_mut();
            fate = self.apply(&record.body.borrowed(), missing, asked, cx);
            if fate != Fate::Keep {
                taken = held.len();
                freed = held.iter().map(Held::size).sum();
                break;
            }
        }
        held.drain(..taken);
        if !held.is_empty() {
            self.held = held;
        }
        (fate, freed)
    }
}

impl Body<Box<[u8]>> {
    pub(super) fn borrowed(&self) -> Body<&[u8]> {
        match self {
            Self::Open(open) => Body::Open(*open),
            Self::Data(data, payload) => Body::Data(*data, payload),
            Self::Close(close) => Body::Close(*close),
        }
    }
}

impl Body<&[u8]> {
    pub(super) fn owned(&self) -> Body<Box<[u8]>> {
        match self {
            Self::Open(open) => Body::Open(*open),
            Self::Data(data, payload) => Body::Data(*data, (*payload).into()),
            Self::Close(close) => Body::Close(*close),
        }
    }

    pub(super) fn place(&self) -> (u64, u32) {
        match self {
            Self::Open(open) => (open.connection, open.sequence),
            Self::Data(data, _) => (data.connection, data.sequence),
            Self::Close(close) => (close.connection, close.sequence),
        }
    }
}
