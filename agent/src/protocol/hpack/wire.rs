//! Integers and string literals (RFC 7541 section 5). Knows no fields and no tables.

use super::{decoder::Invalid, huffman};

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end here.
    Short,
    /// They are not what the RFC allows.
    Invalid(Invalid),
}

impl From<Invalid> for Stop {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

/// The rest of a header block.
#[derive(Debug)]
pub(super) struct Wire<'a> {
    bytes: &'a [u8],
}

impl<'a> Wire<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next byte, which stays.
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    fn octet(&mut self) -> Result<u8, Stop> {
        let (first, rest) = self.bytes.split_first().ok_or(Stop::Short)?;
        self.bytes = rest;
        Ok(*first)
    }

    /// An integer that begins in the low `prefix` bits of the next byte (section 5.1). Values
    /// beyond 32 bits are invalid, and so are more bytes than those need.
    #[inline]
    pub(super) fn integer(&mut self, prefix: u8) -> Result<usize, Stop> {
        let mask = u8::MAX >> (8 - prefix);
        let first = self.octet()? & mask;
        if first < mask {
            return Ok(usize::from(first));
        }
        self.long_integer(mask)
    }

    /// The rest of an integer that does not fit into its first byte.
    fn long_integer(&mut self, mask: u8) -> Result<usize, Stop> {
        let mut value = u64::from(mask);
        for shift in [0, 7, 14, 21, 28] {
            let octet = self.octet()?;
            value += u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return match u32::try_from(value) {
                    Ok(value) => Ok(value as usize),
                    Err(_) => Err(Invalid::Integer.into()),
                };
            }
        }
        Err(Invalid::Integer.into())
    }

    /// A string literal (section 5.2): as it is, or decoded into `decoded`, which is emptied.
    pub(super) fn string<'b>(&mut self, decoded: &'b mut Vec<u8>) -> Result<&'b [u8], Stop>
    where
        'a: 'b,
    {
        let coded = self.peek().ok_or(Stop::Short)? & 0x80 != 0;
        let length = self.integer(7)?;
        let (string, rest) = self.bytes.split_at_checked(length).ok_or(Stop::Short)?;
        self.bytes = rest;
        if !coded {
            return Ok(string);
        }
        decoded.clear();
        huffman::decode(string, decoded)?;
        Ok(decoded)
    }
}
