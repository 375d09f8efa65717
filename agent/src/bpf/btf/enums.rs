//! Values of enumerators, which kernels number anew now and then.
#![forbid(unsafe_code)]

use super::format::{TYPE_LENGTH, Type, kind, u32_at};
use super::{Btf, VISIT_LIMIT};

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
        values
            .all(|other| other == first)
            .then_some(first)
            .flatten()
    }

    /// The enumerator's value in one enumeration: `None` where it does not have it, `Some(None)`
    /// where the value does not fit.
    fn enumerator_of(&self, number: u32, name: &str) -> Option<Option<u32>> {
        let found = self.type_by_number(number)?;
        let length = if found.kind == kind::ENUM64 {
            ENUMERATOR64_LENGTH
        } else {
            ENUMERATOR_LENGTH
        };
        (0..found.count.min(VISIT_LIMIT as usize)).find_map(|index| {
            let at = found.at + TYPE_LENGTH + length * index;
            let is_this = self.is_named(u32_at(&self.bytes, at)?, name);
            let fits = length == ENUMERATOR_LENGTH || u32_at(&self.bytes, at + 8)? == 0;
            is_this.then(|| u32_at(&self.bytes, at + 4).filter(|_| fits))
        })
    }
}
