//! Field representations (RFC 7541 section 6), one block after the other. Knows no frames.

use super::{
    dynamic_table::{DynamicTable, Entry},
    octets::Octets,
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
    /// The value as text, where it is already known to be UTF-8.
    pub text: Option<&'a str>,
}

impl<'a> Field<'a> {
    fn new(name: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Self {
        Self {
            name,
            value,
            text: None,
        }
    }
}

/// An entry of either table.
enum Found<'a> {
    Static(&'static str, &'static str),
    Dynamic(&'a Entry),
    /// One that was never seen.
    Unknown,
}

impl<'a> Found<'a> {
    /// The entry with this index (section 2.3.3).
    fn find(table: &'a mut DynamicTable, index: usize) -> Result<Self, Invalid> {
        let index = index.checked_sub(1).ok_or(Invalid::Index)?;
        if let Some((name, value)) = static_table::ENTRIES.get(index) {
            return Ok(Self::Static(name, value));
        }
        let entry = table.get(index - static_table::ENTRIES.len())?;
        Ok(entry.map_or(Self::Unknown, Self::Dynamic))
    }

    fn field(&self) -> Field<'a> {
        let (name, value) = match self {
            Self::Static(name, value) => {
                return Field {
                    name: Some(name.as_bytes()),
                    value: Some(value.as_bytes()),
                    text: Some(value),
                };
            }
            Self::Dynamic(entry) => (&entry.name, &entry.value),
            Self::Unknown => return Field::new(None, None),
        };
        Field {
            name: name.as_ref().map(Octets::bytes),
            value: Some(value.bytes()),
            text: value.text(),
        }
    }

    /// The name, to be kept.
    fn name(&self) -> Option<Octets> {
        match self {
            Self::Static(name, _) => Some(Octets::of_static(name)),
            Self::Dynamic(entry) => entry.name.clone(),
            Self::Unknown => None,
        }
    }
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
                    visit(Found::find(&mut self.table, index)?.field());
                }
                // Literal with incremental indexing (6.2.1).
                0x40..0x80 => self.inserted(&mut wire, visit)?,
                // Size update (6.3). It belongs before all fields (4.2), but Go's server, told of
                // another size while it writes a block, puts it between two.
                0x20..0x40 => self.table.resize(wire.integer(5)?),
                // Literal without indexing (6.2.2) and never indexed (6.2.3).
                _ => self.literal(&mut wire, visit)?,
            }
        }
        Ok(())
    }

    /// A literal field that is put into the table.
    fn inserted(
        &mut self,
        wire: &mut Wire<'_>,
        visit: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Stop> {
        let index = wire.integer(6)?;
        let name = if index == 0 {
            Some(Octets::new(wire.string(&mut self.name)?))
        } else {
            Found::find(&mut self.table, index)?.name()
        };
        let known = name.as_ref().map(Octets::bytes);
        let value = Octets::new(value(wire, &mut self.value, known, visit)?);
        visit(Field {
            name: known,
            value: Some(value.bytes()),
            text: value.text(),
        });
        self.table.insert(Entry { name, value });
        Ok(())
    }

    /// A literal field that is not.
    fn literal(
        &mut self,
        wire: &mut Wire<'_>,
        visit: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Stop> {
        let index = wire.integer(4)?;
        let name = if index == 0 {
            Some(wire.string(&mut self.name)?)
        } else {
            Found::find(&mut self.table, index)?.field().name
        };
        let value = value(wire, &mut self.value, name, visit)?;
        visit(Field::new(name, Some(value)));
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

/// The value of a literal field. Where it is cut, the field is visited without one.
fn value<'a, 'b: 'a>(
    wire: &mut Wire<'b>,
    decoded: &'a mut Vec<u8>,
    name: Option<&[u8]>,
    visit: &mut impl FnMut(Field<'_>),
) -> Result<&'a [u8], Stop> {
    wire.string(decoded).inspect_err(|stop| {
        if *stop == Stop::Short {
            visit(Field::new(name, None));
        }
    })
}
