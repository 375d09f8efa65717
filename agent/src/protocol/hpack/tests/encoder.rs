//! An encoder that writes every representation that the RFC allows, at the choice of a test, and
//! keeps the table by the RFC's words. It shares nothing with the decoder but the static table.

use std::collections::VecDeque;

use super::super::static_table;

/// A field, as name and value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// How a field is written, where there is a choice.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// By its index, if it has one.
    Index,
    /// As a literal that is put into the table; its name by its index, if it has one.
    Insert,
    /// The same, its name as a string.
    InsertNew,
    /// As a literal that is not put into the table.
    Plain,
    /// As a literal that must never be.
    Never,
}

#[derive(Debug)]
pub(super) struct Encoder {
    table: VecDeque<Pair>,
    limit: usize,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            table: VecDeque::new(),
            limit: 4096,
        }
    }

    pub(super) fn resize(&mut self, limit: usize, block: &mut Vec<u8>) {
        integer(0x20, 5, limit, block);
        self.limit = limit;
        self.evict(0);
    }

    pub(super) fn field(&mut self, field: &Pair, how: How, block: &mut Vec<u8>) {
        let (name, value) = field;
        let whole = self.index(|other| other == (name, value));
        if let (How::Index, Some(index)) = (how, whole) {
            integer(0x80, 7, index, block);
            return;
        }
        let name_index = match how {
            How::InsertNew => None,
            _ => self.index(|(other, _)| other == name),
        };
        let (first, prefix) = match how {
            How::Insert | How::InsertNew => (0x40, 6),
            How::Plain | How::Index => (0, 4),
            How::Never => (0x10, 4),
        };
        integer(first, prefix, name_index.unwrap_or(0), block);
        if name_index.is_none() {
            string(name, block);
        }
        string(value, block);
        if prefix == 6 {
            self.evict(cost(field));
            if cost(field) <= self.limit {
                self.table.push_front(field.clone());
            }
        }
    }

    fn index(&self, is: impl Fn((&[u8], &[u8])) -> bool) -> Option<usize> {
        static_table::ENTRIES
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .chain(
                self.table
                    .iter()
                    .map(|(name, value)| (&name[..], &value[..])),
            )
            .position(is)
            .map(|index| index + 1)
    }

    fn evict(&mut self, room: usize) {
        while !self.table.is_empty()
            && self.table.iter().map(cost).sum::<usize>() + room > self.limit
        {
            self.table.pop_back();
        }
    }
}

fn cost((name, value): &Pair) -> usize {
    name.len() + value.len() + 32
}

pub(super) fn integer(first: u8, prefix: u32, value: usize, block: &mut Vec<u8>) {
    let mask = (1 << prefix) - 1;
    if value < mask {
        block.push(first | u8::try_from(value).unwrap());
        return;
    }
    block.push(first | u8::try_from(mask).unwrap());
    let mut rest = value - mask;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 0x80);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

pub(super) fn string(octets: &[u8], block: &mut Vec<u8>) {
    integer(0, 7, octets.len(), block);
    block.extend(octets);
}
