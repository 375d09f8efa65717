//! Values of enumerators, which kernels number anew now and then.
#![forbid(unsafe_code)]

use super::Btf;
use super::format::{TYPE_LENGTH, Type, kind, u32_at};

/// Bytes of each enumerator: its name, and a value of 32 or 64 bits.
const ENUMERATOR_LENGTH: usize = 8;
const ENUMERATOR64_LENGTH: usize = 12;

impl Btf {
    /// The value of an enumerator, such as `ITER_UBUF` of `iter_type`. `None` where there is no
    /// such enumeration or enumerator, where it does not fit, and where enumerations of the same
    /// name disagree.
    #[must_use]
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        let mut values = self
            .named(enumeration, Type::is_enumeration)
            .filter_map(|number| self.enumerator_of(number, name));
        let first = values.next()?;
        let agreed = values.all(|other| other == first);
        u32::try_from(first).ok().filter(|_| agreed)
    }

    fn enumerator_of(&self, number: u32, name: &str) -> Option<u64> {
        let found = self.type_by_number(number)?;
        let wide = found.kind == kind::ENUM64;
        let length = if wide {
            ENUMERATOR64_LENGTH
        } else {
            ENUMERATOR_LENGTH
        };
        let word = |at: usize| u32_at(&self.bytes, at).map(u64::from);
        (0..found.count).find_map(|index| {
            let at = found.at + TYPE_LENGTH + length * index;
            if !self.is_named(u32_at(&self.bytes, at)?, name) {
                return None;
            }
            let high = if wide { word(at + 8)? } else { 0 };
            Some(high << 32 | word(at + 4)?)
        })
    }
}
