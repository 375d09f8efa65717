//! The attributes of one span in the making: every string within its limit, and the names of those
//! that could not be known. Knows no conventions.

use compact_str::CompactString;

use crate::span::model::{Attribute, Value};

/// Bytes of an attribute's value at most; what is longer is cut at a character's border, after
/// redaction.
pub const VALUE_LIMIT: usize = 4096;

/// As many as a span has, with room for one that the caller adds; errors may need one allocation
/// more.
pub(super) const ROOM: usize = 16;

/// Cuts a value to its limit.
pub(super) fn cut(value: &str) -> &str {
    if value.len() <= VALUE_LIMIT {
        return value;
    }
    &value[..value.floor_char_boundary(VALUE_LIMIT)]
}

/// Attributes in the making.
#[derive(Debug)]
pub(super) struct Attributes {
    list: Vec<Attribute>,
    unknown: Vec<&'static str>,
}

impl Attributes {
    pub(super) fn new() -> Self {
        Self {
            list: Vec::with_capacity(ROOM),
            unknown: Vec::new(),
        }
    }

    pub(super) fn text(&mut self, key: &'static str, value: &str) {
        self.list.push((key, cut(value).into()));
    }

    /// A text that is not copied.
    pub(super) fn constant(&mut self, key: &'static str, value: &'static str) {
        self.list
            .push((key, Value::Str(CompactString::const_new(value))));
    }

    pub(super) fn number(&mut self, key: &'static str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.list.push((key, value.into()));
    }

    pub(super) fn value(&mut self, key: &'static str, value: impl Into<Value>) {
        self.list.push((key, value.into()));
    }

    /// A number that is always there, unless it is not known.
    pub(super) fn count(&mut self, key: &'static str, count: Option<u64>) {
        match count {
            Some(count) => self.number(key, count),
            None => self.unknown(&[key]),
        }
    }

    /// The span may or should have these, and what they would say was not seen.
    pub(super) fn unknown(&mut self, keys: &[&'static str]) {
        self.unknown.extend_from_slice(keys);
    }

    /// Those that are known, and `wirespan.unknown` with the names of the others.
    pub(super) fn finish(mut self) -> Vec<Attribute> {
        if !self.unknown.is_empty() {
            let names = self.unknown.into_iter().map(Into::into).collect();
            self.list.push(("wirespan.unknown", Value::List(names)));
        }
        self.list
    }
}
