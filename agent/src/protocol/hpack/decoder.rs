//! Field representations (RFC 7541 section 6), one block after the other. Knows no frames.

use super::{
    dynamic_table::{DynamicTable, Pair},
    static_table,
    wire::{Stop, Wire},
};

/// Buffers that grew beyond this for one block are given back after it.
const KEPT_BUFFER: usize = 1024;

/// One field of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, `None` when it came from an entry that was never seen.
    pub name: Option<&'a [u8]>,
    /// Its value, `None` when it came from an entry that was never seen, or was cut.
    pub value: Option<&'a [u8]>,
}

/// Why a block cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It ends within a field.
    #[error("the header block ends within a field")]
    Truncated,
    /// An index leads to no entry.
    #[error("the header block refers to an entry that does not exist")]
    Index,
    /// An integer has more than 32 bits, or more bytes than those need.
    #[error("the header block has an integer that is too large")]
    Integer,
    /// A string's Huffman code is wrong, or wrongly padded.
    #[error("the header block has a string that is not Huffman code")]
    Huffman,
}

/// Decodes the header blocks of one direction. It needs all of them, in order, or to be told when
/// one is missing ([`Decoder::lose`]): then what it cannot know any more is unknown, never wrong.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// For a connection that is seen from its start.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: DynamicTable::new(),
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// For a connection that is joined in its middle.
    #[must_use]
    pub fn uncertain() -> Self {
        let mut decoder = Self::new();
        decoder.lose();
        decoder
    }

    /// A block, or a part of one, was not seen: all entries up to here are unknown.
    pub fn lose(&mut self) {
        self.table.lose();
    }

    /// Whether every entry that an index can lead to is known.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.table.is_certain()
    }

    /// Decodes a whole block.
    ///
    /// # Errors
    ///
    /// When the block is not valid. The fields before that place were visited, and the decoder
    /// has lost the table.
    pub fn decode(
        &mut self,
        block: &[u8],
        mut visit: impl FnMut(Field<'_>),
    ) -> Result<(), Invalid> {
        let result = self.fields(block, &mut visit).map_err(|stop| match stop {
            Stop::Short => Invalid::Truncated,
            Stop::Invalid(invalid) => invalid,
        });
        if result.is_err() {
            self.lose();
        }
        self.tidy();
        result
    }

    /// Decodes the first part of a block whose rest was not seen. A field that is cut in its
    /// value is visited without one. The decoder has lost the table afterwards.
    ///
    /// # Errors
    ///
    /// When that part is not valid.
    pub fn decode_cut(
        &mut self,
        block: &[u8],
        mut visit: impl FnMut(Field<'_>),
    ) -> Result<(), Invalid> {
        let result = match self.fields(block, &mut visit) {
            Ok(()) | Err(Stop::Short) => Ok(()),
            Err(Stop::Invalid(invalid)) => Err(invalid),
        };
        self.lose();
        self.tidy();
        result
    }

    fn fields(&mut self, block: &[u8], visit: &mut impl FnMut(Field<'_>)) -> Result<(), Stop> {
        let mut wire = Wire::new(block);
        while let Some(octet) = wire.peek() {
            match octet {
                // Indexed field (section 6.1).
                0x80.. => {
                    let index = wire.integer(7)?;
                    let (name, value) = entry(&mut self.table, index)?;
                    visit(Field { name, value });
                }
                // Literal with incremental indexing (6.2.1).
                0x40..0x80 => self.literal(&mut wire, 6, visit)?,
                // Size update (6.3). It belongs before all fields (4.2), but Go's server, told of
                // another size while it writes a block, puts it between two.
                0x20..0x40 => self.table.resize(wire.integer(5)?),
                // Literal without indexing (6.2.2) and never indexed (6.2.3).
                _ => self.literal(&mut wire, 4, visit)?,
            }
        }
        Ok(())
    }

    /// A literal field whose name's index has `prefix` bits; 6 bits mean that it is inserted.
    fn literal(
        &mut self,
        wire: &mut Wire<'_>,
        prefix: u8,
        visit: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Stop> {
        let index = wire.integer(prefix)?;
        let name = if index == 0 {
            Some(wire.string(&mut self.name)?)
        } else {
            let (name, _) = entry(&mut self.table, index)?;
            // Inserting moves the entry or evicts it, so its name is taken along.
            name.map(|name| {
                self.name.clear();
                self.name.extend_from_slice(name);
                self.name.as_slice()
            })
        };
        let value = match wire.string(&mut self.value) {
            Ok(value) => value,
            Err(stop) => {
                if stop == Stop::Short {
                    visit(Field { name, value: None });
                }
                return Err(stop);
            }
        };
        visit(Field {
            name,
            value: Some(value),
        });
        if prefix == 6 {
            self.table.insert(name, value);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn table_mut(&mut self) -> &mut DynamicTable {
        &mut self.table
    }

    fn tidy(&mut self) {
        for buffer in [&mut self.name, &mut self.value] {
            buffer.clear();
            buffer.shrink_to(KEPT_BUFFER);
        }
    }
}

/// The entry with this index in both tables (section 2.3.3).
fn entry(table: &mut DynamicTable, index: usize) -> Result<Pair<'_>, Invalid> {
    let index = index.checked_sub(1).ok_or(Invalid::Index)?;
    match static_table::ENTRIES.get(index) {
        Some((name, value)) => Ok((Some(name), Some(value))),
        None => table.get(index - static_table::ENTRIES.len()),
    }
}
