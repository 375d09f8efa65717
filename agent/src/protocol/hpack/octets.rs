//! A name or a value that is kept. Knows no table.

use compact_str::CompactString;

/// A name or a value, which is looked at for being text once, not each time it is referred to.
#[derive(Clone, Debug)]
pub(super) enum Octets {
    Text(CompactString),
    Raw(Box<[u8]>),
}

impl Octets {
    pub(super) fn new(octets: &[u8]) -> Self {
        match str::from_utf8(octets) {
            Ok(text) => Self::Text(CompactString::new(text)),
            Err(_) => Self::Raw(octets.into()),
        }
    }

    /// Of the static table, without a copy.
    pub(super) fn of_static(text: &'static str) -> Self {
        Self::Text(CompactString::const_new(text))
    }

    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Raw(octets) => octets,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Raw(_) => None,
        }
    }
}
