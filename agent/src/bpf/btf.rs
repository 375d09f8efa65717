//! A reader of BTF, the kernel's own description of its types: names to byte offsets.
//!
//! The format is the kernel's `Documentation/bpf/btf.rst`. Only what the offsets and the probes
//! need is read, and nothing is copied: beside the file's own bytes there are 4 bytes for each type
//! and 8 for each name.
//! This module knows neither which members are wanted nor what they are for.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

mod enums;
mod format;
#[cfg(test)]
pub(crate) mod tests;

use format::{MEMBER_LENGTH, TYPE_LENGTH, Type, index_types, kind, type_at, u16_at, u32_at};

/// Where a kernel built with `CONFIG_DEBUG_INFO_BTF` shows its types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const HEADER_LENGTH: usize = 24;
/// Typedefs, qualifiers and anonymous members that are followed in a row. Real ones stay below 8.
const DEPTH_LIMIT: u32 = 32;
/// Members that one look-up visits. The largest structure of a kernel has a few hundred.
const VISIT_LIMIT: u32 = 100_000;
/// Bytes of a name and its end: the kernel's own limit (`KSYM_NAME_LEN` since Linux 6.1).
const NAME_LIMIT: usize = 512;
/// Wirespan runs on 64-bit kernels only.
const POINTER_LENGTH: u64 = 8;

/// Why a type or a member was not found.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BtfError {
    /// The file could not be read.
    #[error("cannot read the kernel's type information at {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The bytes are not BTF of a version that is known here.
    #[error("the kernel's type information is malformed at byte {offset}: {what}")]
    Malformed {
        /// Byte in the file.
        offset: usize,
        /// What was found there.
        what: &'static str,
    },
    /// No structure or union of this name is defined.
    #[error("the kernel has no structure named {name}")]
    NoSuchType {
        /// The name that was looked for.
        name: String,
    },
    /// The structure exists, but a member on the path does not.
    #[error("the kernel's structures have no {path}: no member named {member}")]
    NoSuchMember {
        /// The whole path.
        path: String,
        /// The part of it that is missing.
        member: String,
    },
    /// The member is a bit-field, where a whole number of bytes was wanted.
    #[error("{path} is a bit-field in this kernel")]
    BitField {
        /// The whole path.
        path: String,
    },
    /// Two structures of the same name disagree about the member.
    #[error("the kernel has several structures for {path}, with different offsets")]
    Ambiguous {
        /// The whole path.
        path: String,
    },
}

/// Where a member lies in the structure that its path begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bits from the start of the structure.
    pub bit_offset: u64,
    /// Width in bits.
    pub bit_size: u64,
    /// Whether it is a bit-field, which has no byte offset to load from.
    pub bit_field: bool,
}

/// A member that starts and ends at whole bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteMember {
    /// Bytes from the start of the structure.
    pub offset: u32,
    /// Width in bytes.
    pub size: u32,
}

/// The types of one BTF file.
#[derive(Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    /// Where the string section lies in `bytes`.
    strings: std::ops::Range<usize>,
    /// Byte of each type in `bytes`; the type with number `n` is at `n - 1` (0 is `void`).
    types: Vec<u32>,
    /// Hash of the name, and number, of each type that is looked up by its name; sorted.
    names: Vec<(u32, u32)>,
}

/// What is left of one look-up's limits.
struct Visits(u32);

impl Btf {
    /// Reads the running kernel's types.
    ///
    /// # Errors
    ///
    /// [`BtfError::Unreadable`] where the kernel shows none, [`BtfError::Malformed`] where they
    /// cannot be understood.
    pub fn from_kernel() -> Result<Self, BtfError> {
        Self::from_file(Path::new(KERNEL_BTF))
    }

    /// Reads a file of raw BTF.
    ///
    /// # Errors
    ///
    /// As [`Btf::from_kernel`].
    pub fn from_file(path: &Path) -> Result<Self, BtfError> {
        let bytes = std::fs::read(path).map_err(|source| BtfError::Unreadable {
            path: path.to_owned(),
            source: Arc::new(source),
        })?;
        Self::parse(bytes)
    }

    /// Indexes raw little-endian BTF.
    ///
    /// # Errors
    ///
    /// [`BtfError::Malformed`] where the sections or a type do not fit the file.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let malformed = |offset, what| BtfError::Malformed { offset, what };
        if u16_at(&bytes, 0) != Some(MAGIC) {
            return Err(malformed(0, "not little-endian BTF"));
        }
        if bytes.get(2) != Some(&1) {
            return Err(malformed(2, "not version 1"));
        }
        let field = |index: usize| {
            let at = 4 + 4 * index;
            u32_at(&bytes, at)
                .map(|value| value as usize)
                .ok_or_else(|| malformed(at, "the header ends early"))
        };
        let header = field(0)?;
        if header < HEADER_LENGTH {
            return Err(malformed(4, "the header is too short"));
        }
        let section = |offset: usize, length: usize, at| {
            let start = header.checked_add(offset);
            let end = start.and_then(|start| start.checked_add(length));
            match (start, end) {
                (Some(start), Some(end)) if end <= bytes.len() => Ok(start..end),
                _ => Err(malformed(at, "a section ends past the file")),
            }
        };
        let types = section(field(1)?, field(2)?, 8)?;
        let strings = section(field(3)?, field(4)?, 16)?;
        let types = index_types(&bytes, types)?;
        let mut btf = Self {
            bytes,
            strings,
            types,
            names: Vec::new(),
        };
        btf.names = btf.index_names();
        Ok(btf)
    }

    /// Finds a member by its path, such as `sock.__sk_common.skc_family`. Anonymous structures
    /// and unions on the way need no name, as in C.
    ///
    /// # Errors
    ///
    /// Every variant of [`BtfError`] but `Unreadable` and `BitField`.
    pub fn member(&self, path: &str) -> Result<Member, BtfError> {
        let (structure, members) = path.split_once('.').unwrap_or((path, ""));
        let mut found: Option<Member> = None;
        let mut missing: Option<BtfError> = None;
        // A name can be defined more than once, where parts of the kernel were built with
        // different options. The copies that have the member must then agree.
        for number in self.composites(structure) {
            match self.member_of(number, members, path) {
                Ok(member) if found.is_some_and(|other| other != member) => {
                    return Err(BtfError::Ambiguous {
                        path: path.to_owned(),
                    });
                }
                Ok(member) => found = Some(member),
                Err(error @ BtfError::NoSuchMember { .. }) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        found.ok_or_else(|| {
            missing.unwrap_or_else(|| BtfError::NoSuchType {
                name: structure.to_owned(),
            })
        })
    }

    /// As [`Btf::member`], for a member that a program loads as whole bytes.
    ///
    /// # Errors
    ///
    /// As [`Btf::member`], and [`BtfError::BitField`].
    pub fn byte_member(&self, path: &str) -> Result<ByteMember, BtfError> {
        let member = self.member(path)?;
        let whole = |bits: u64| {
            bits.is_multiple_of(8)
                .then(|| u32::try_from(bits / 8).ok())?
        };
        match (whole(member.bit_offset), whole(member.bit_size)) {
            (Some(offset), Some(size)) if !member.bit_field => Ok(ByteMember { offset, size }),
            _ => Err(BtfError::BitField {
                path: path.to_owned(),
            }),
        }
    }

    /// Whether a structure or union of this name is defined.
    #[must_use]
    pub fn has_struct(&self, name: &str) -> bool {
        self.composites(name).next().is_some()
    }

    /// Whether the kernel has a function of this name that a trampoline could attach to.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.function(name).is_some()
    }

    /// The number of the function of this name: what an attachment to it refers to.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<u32> {
        self.named(name, |found| found.kind == kind::FUNCTION)
            .next()
    }

    /// Whether the kernel has a tracepoint of this name that `tp_btf` programs attach to.
    #[must_use]
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoint(name).is_some()
    }

    /// The number of what an attachment to this tracepoint refers to: a typedef named
    /// `btf_trace_` and the tracepoint's name.
    #[must_use]
    pub fn tracepoint(&self, name: &str) -> Option<u32> {
        let name = format!("btf_trace_{name}");
        self.named(&name, |found| found.kind == kind::TYPEDEF)
            .next()
    }

    fn composites(&self, name: &str) -> impl Iterator<Item = u32> {
        self.named(name, Type::is_composite)
    }

    fn named(&self, name: &str, wanted: fn(Type) -> bool) -> impl Iterator<Item = u32> {
        let hash = hash(name.as_bytes());
        let first = self.names.partition_point(|(other, _)| *other < hash);
        let rest = self.names.get(first..).unwrap_or_default();
        let same = rest.iter().take_while(move |(other, _)| *other == hash);
        same.filter_map(move |&(_, number)| {
            let found = self.type_by_number(number)?;
            (wanted(found) && self.is_named(found.name, name)).then_some(number)
        })
    }

    fn index_names(&self) -> Vec<(u32, u32)> {
        let numbered = (1u32..).zip(&self.types);
        let entries = numbered.filter_map(|(number, _)| {
            let found = self.type_by_number(number)?;
            let by_name = found.is_composite()
                || found.is_enumeration()
                || (found.kind == kind::FUNCTION || found.kind == kind::TYPEDEF);
            let name = by_name.then(|| self.string(found.name))??;
            (!name.is_empty()).then(|| (hash(name), number))
        });
        let mut names: Vec<_> = entries.collect();
        names.shrink_to_fit();
        names.sort_unstable();
        names
    }

    fn member_of(&self, number: u32, members: &str, path: &str) -> Result<Member, BtfError> {
        let mut current = number;
        let mut found = Member {
            bit_offset: 0,
            bit_size: self.size_of(number, DEPTH_LIMIT)? * 8,
            bit_field: false,
        };
        for name in members.split('.').filter(|name| !name.is_empty()) {
            let mut visits = Visits(VISIT_LIMIT);
            let (member, number) = self
                .find_member(current, name, DEPTH_LIMIT, &mut visits)?
                .ok_or_else(|| BtfError::NoSuchMember {
                    path: path.to_owned(),
                    member: name.to_owned(),
                })?;
            found = Member {
                bit_offset: found.bit_offset + member.bit_offset,
                ..member
            };
            current = number;
        }
        Ok(found)
    }

    /// Looks for a member in a composite type and, as C does, in its anonymous members. Gives
    /// where it lies and the number of its type.
    fn find_member(
        &self,
        number: u32,
        name: &str,
        depth: u32,
        visits: &mut Visits,
    ) -> Result<Option<(Member, u32)>, BtfError> {
        let Some(composite) = self.resolve(number)?.filter(|found| found.is_composite()) else {
            return Ok(None);
        };
        for index in 0..composite.count {
            let at = composite.at + TYPE_LENGTH + MEMBER_LENGTH * index;
            visits.0 = visits.0.checked_sub(1).ok_or(BtfError::Malformed {
                offset: at,
                what: "members nest without end",
            })?;
            let member_name = self.word(at)?;
            let member_type = self.word(at + 4)?;
            let placed = self.word(at + 8)?;
            let (bit_offset, bits) = if composite.flag {
                (placed & 0x00ff_ffff, placed >> 24)
            } else {
                (placed, 0)
            };
            let bit_offset = u64::from(bit_offset);
            if self.is_named(member_name, name) {
                let member = self.placed(member_type, bit_offset, bits)?;
                return Ok(Some((member, member_type)));
            }
            if depth == 0 || !self.is_named(member_name, "") {
                continue;
            }
            if let Some((inner, inner_type)) =
                self.find_member(member_type, name, depth - 1, visits)?
            {
                let bit_offset = bit_offset + inner.bit_offset;
                return Ok(Some((
                    Member {
                        bit_offset,
                        ..inner
                    },
                    inner_type,
                )));
            }
        }
        Ok(None)
    }

    fn placed(&self, number: u32, bit_offset: u64, bits: u32) -> Result<Member, BtfError> {
        let whole = self.size_of(number, DEPTH_LIMIT)? * 8;
        // Before structures had the flag, the integer type itself carried offset and width.
        let (inner_offset, width) = match self.resolve(number)? {
            Some(found) if bits == 0 && found.kind == kind::INT => {
                let encoding = self.word(found.at + TYPE_LENGTH)?;
                let inner_offset = u64::from((encoding >> 16) & 0xff);
                (inner_offset, u64::from(encoding & 0xff))
            }
            _ if bits == 0 => (0, whole),
            _ => (0, u64::from(bits)),
        };
        Ok(Member {
            bit_offset: bit_offset + inner_offset,
            bit_size: width,
            bit_field: bits != 0 || width != whole || inner_offset != 0,
        })
    }

    /// Follows typedefs and qualifiers; `None` for `void`.
    fn resolve(&self, number: u32) -> Result<Option<Type>, BtfError> {
        let mut number = number;
        for _ in 0..DEPTH_LIMIT {
            if number == 0 {
                return Ok(None);
            }
            let found = self.type_by_number(number).ok_or(BtfError::Malformed {
                offset: self.bytes.len(),
                what: "a type refers to one that does not exist",
            })?;
            match found.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    number = found.operand;
                }
                _ => return Ok(Some(found)),
            }
        }
        Err(BtfError::Malformed {
            offset: self.bytes.len(),
            what: "typedefs refer to each other without end",
        })
    }

    /// Size of a type in bytes; 0 for what has none.
    fn size_of(&self, number: u32, depth: u32) -> Result<u64, BtfError> {
        let Some(found) = self.resolve(number)? else {
            return Ok(0);
        };
        match found.kind {
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::FLOAT => {
                Ok(u64::from(found.operand))
            }
            kind::POINTER => Ok(POINTER_LENGTH),
            kind::ARRAY => {
                let malformed = BtfError::Malformed {
                    offset: found.at,
                    what: "an array's size is impossible",
                };
                if depth == 0 {
                    return Err(malformed);
                }
                let element = self.size_of(self.word(found.at + TYPE_LENGTH)?, depth - 1)?;
                let length = u64::from(self.word(found.at + TYPE_LENGTH + 8)?);
                let size = element.checked_mul(length);
                size.filter(|size| u32::try_from(*size).is_ok())
                    .ok_or(malformed)
            }
            _ => Ok(0),
        }
    }

    fn type_by_number(&self, number: u32) -> Option<Type> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let at = usize::try_from(*self.types.get(index)?).ok()?;
        type_at(&self.bytes, at)
    }

    fn is_named(&self, name: u32, wanted: &str) -> bool {
        let rest = self.strings_from(name);
        rest.strip_prefix(wanted.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The string at a place of the string section; `None` where it does not end in time.
    fn string(&self, at: u32) -> Option<&[u8]> {
        let rest = self.strings_from(at);
        let rest = rest.get(..NAME_LIMIT).unwrap_or(rest);
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest.get(..end)
    }

    fn strings_from(&self, at: u32) -> &[u8] {
        let strings = self.bytes.get(self.strings.clone()).unwrap_or_default();
        strings.get(at as usize..).unwrap_or_default()
    }

    fn word(&self, at: usize) -> Result<u32, BtfError> {
        u32_at(&self.bytes, at).ok_or(BtfError::Malformed {
            offset: at,
            what: "a type ends past the file",
        })
    }
}

/// FNV-1a: spreads names well enough, and costs little.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
