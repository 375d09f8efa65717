//! The format's fixed parts: kinds, type headers, and the walk over a type section.
#![forbid(unsafe_code)]

use std::ops::Range;

use super::BtfError;

/// Bytes of the part that all types begin with.
pub(super) const TYPE_LENGTH: usize = 12;
/// Bytes of each member that follows a structure or union.
pub(super) const MEMBER_LENGTH: usize = 12;

/// Kinds of types, as the format numbers them.
pub(super) mod kind {
    pub(in crate::bpf::btf) const INT: u8 = 1;
    pub(in crate::bpf::btf) const POINTER: u8 = 2;
    pub(in crate::bpf::btf) const ARRAY: u8 = 3;
    pub(in crate::bpf::btf) const STRUCT: u8 = 4;
    pub(in crate::bpf::btf) const UNION: u8 = 5;
    pub(in crate::bpf::btf) const ENUM: u8 = 6;
    pub(in crate::bpf::btf) const FORWARD: u8 = 7;
    pub(in crate::bpf::btf) const TYPEDEF: u8 = 8;
    pub(in crate::bpf::btf) const VOLATILE: u8 = 9;
    pub(in crate::bpf::btf) const CONST: u8 = 10;
    pub(in crate::bpf::btf) const RESTRICT: u8 = 11;
    pub(in crate::bpf::btf) const FUNCTION: u8 = 12;
    pub(in crate::bpf::btf) const PROTOTYPE: u8 = 13;
    pub(in crate::bpf::btf) const VARIABLE: u8 = 14;
    pub(in crate::bpf::btf) const SECTION: u8 = 15;
    pub(in crate::bpf::btf) const FLOAT: u8 = 16;
    pub(in crate::bpf::btf) const DECLARATION_TAG: u8 = 17;
    pub(in crate::bpf::btf) const TYPE_TAG: u8 = 18;
    pub(in crate::bpf::btf) const ENUM64: u8 = 19;
}

/// The fixed part of a type.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) at: usize,
    pub(super) name: u32,
    pub(super) kind: u8,
    /// Members, enumerators or parameters.
    pub(super) count: usize,
    pub(super) flag: bool,
    /// Size in bytes, or the number of the type that it refers to.
    pub(super) operand: u32,
}

impl Type {
    pub(super) fn is_composite(self) -> bool {
        matches!(self.kind, kind::STRUCT | kind::UNION)
    }

    pub(super) fn is_enumeration(self) -> bool {
        matches!(self.kind, kind::ENUM | kind::ENUM64)
    }
}

/// Finds where each type of the section starts, and proves that all of them fit.
pub(super) fn index_types(bytes: &[u8], section: Range<usize>) -> Result<Vec<u32>, BtfError> {
    // Types of a kernel take about 25 bytes each; the rest of the capacity is given back.
    let mut types = Vec::with_capacity(section.len() / 24);
    let mut at = section.start;
    while at < section.end {
        let malformed = |what| BtfError::Malformed { offset: at, what };
        let found = type_at(bytes, at).ok_or_else(|| malformed("a type ends past the file"))?;
        let extra = match found.kind {
            kind::POINTER
            | kind::FORWARD
            | kind::TYPEDEF
            | kind::VOLATILE
            | kind::CONST
            | kind::RESTRICT
            | kind::FUNCTION
            | kind::FLOAT
            | kind::TYPE_TAG => 0,
            kind::INT | kind::VARIABLE | kind::DECLARATION_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::SECTION | kind::ENUM64 => 12 * found.count,
            kind::ENUM | kind::PROTOTYPE => 8 * found.count,
            _ => return Err(malformed("a type of an unknown kind")),
        };
        let end = at + TYPE_LENGTH + extra;
        if end > section.end {
            return Err(malformed("a type ends past its section"));
        }
        types.push(u32::try_from(at).map_err(|_| malformed("the file is too long"))?);
        at = end;
    }
    types.shrink_to_fit();
    Ok(types)
}

pub(super) fn type_at(bytes: &[u8], at: usize) -> Option<Type> {
    let info = u32_at(bytes, at.checked_add(4)?)?;
    Some(Type {
        at,
        name: u32_at(bytes, at)?,
        kind: u8::try_from((info >> 24) & 0x1f).ok()?,
        count: (info & 0xffff) as usize,
        flag: info >> 31 == 1,
        operand: u32_at(bytes, at.checked_add(8)?)?,
    })
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let (value, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u16::from_le_bytes(*value))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let (value, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u32::from_le_bytes(*value))
}
