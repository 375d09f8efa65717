//! The dynamic table of one direction (RFC 7541 sections 2.3.2 and 4), as far as it was seen.
//! Knows no encoding.
//!
//! Indices count from the newest entry, so an entry that was seen keeps a known index as long as
//! every later insertion is seen. Keeping entries that the peers have evicted does no harm, because
//! no valid index leads to them; only evicting too early costs something: entries become unknown.

use std::collections::VecDeque;

use super::{decoder::Invalid, octets::Octets};

/// Largest table that is kept of one direction, in the RFC's measure. Of larger ones the oldest
/// entries are treated as never seen.
pub const MAX_TABLE_SIZE: usize = 64 * 1024;

/// The size that a table has until told otherwise (RFC 9113 section 6.5.2).
const DEFAULT_TABLE_SIZE: usize = 4096;

/// What an entry costs beside its octets (RFC 7541 section 4.1).
const OVERHEAD: usize = 32;

/// One entry. Its value was always seen, its name only if that was not an unknown entry's.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Option<Octets>,
    pub(super) value: Octets,
}

impl Entry {
    /// An unknown name counts as empty: the true cost may be higher, never lower.
    fn cost(&self) -> usize {
        self.name.as_ref().map_or(0, Octets::len) + self.value.len() + OVERHEAD
    }
}

/// What is known of the entries.
#[derive(Debug)]
pub(super) struct DynamicTable {
    /// The newest first.
    entries: VecDeque<Entry>,
    /// Their cost, at least.
    size: usize,
    /// How many have an unknown name.
    nameless: usize,
    /// The table's size limit.
    capacity: usize,
    /// Whether a change of the limit may have gone by unseen.
    is_capacity_assumed: bool,
    /// Whether there may be older entries than those here.
    has_unseen: bool,
}

impl DynamicTable {
    /// The empty table of a connection's start.
    pub(super) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            nameless: 0,
            capacity: DEFAULT_TABLE_SIZE,
            is_capacity_assumed: false,
            has_unseen: false,
        }
    }

    /// Insertions went by unseen: no index is known any more.
    pub(super) fn lose(&mut self) {
        self.entries.clear();
        self.size = 0;
        self.nameless = 0;
        self.is_capacity_assumed = true;
        self.has_unseen = true;
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether every entry that an index can lead to is known.
    pub(super) fn is_certain(&self) -> bool {
        !self.has_unseen && self.nameless == 0
    }

    /// The entry with this index, 0 for the newest; `None` when it was never seen.
    pub(super) fn get(&mut self, index: usize) -> Result<Option<&Entry>, Invalid> {
        if index >= self.entries.len() && !self.has_unseen {
            if !self.is_capacity_assumed {
                return Err(Invalid::Index);
            }
            self.enlarge();
        }
        Ok(self.entries.get(index))
    }

    /// Inserts a field.
    pub(super) fn insert(&mut self, entry: Entry) {
        let cost = entry.cost();
        if self.is_capacity_assumed && cost > self.capacity {
            self.enlarge();
        }
        let limit = self.capacity.min(MAX_TABLE_SIZE);
        self.evict(limit.saturating_sub(cost));
        if cost > limit {
            // It empties the table and does not fit (section 4.4), or only does not fit here.
            self.has_unseen = limit < self.capacity;
            return;
        }
        self.size += cost;
        self.nameless += usize::from(entry.name.is_none());
        self.entries.push_front(entry);
        self.forget_unseen();
    }

    /// Changes the limit (section 6.3).
    pub(super) fn resize(&mut self, capacity: usize) {
        // What was evicted by an assumed limit may be there still, if the true one was larger.
        self.has_unseen |= self.is_capacity_assumed && capacity > self.capacity;
        self.capacity = capacity;
        self.is_capacity_assumed = false;
        self.evict(capacity.min(MAX_TABLE_SIZE));
        self.forget_unseen();
    }

    /// Evicts the oldest until the cost is at most `size`.
    fn evict(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.cost();
            self.nameless -= usize::from(oldest.name.is_none());
            // Where the limit is the table's own, all that is older is gone as well.
            self.has_unseen = self.capacity > MAX_TABLE_SIZE;
        }
    }

    /// Where not even the smallest entry would fit beside those here, there is no older one.
    fn forget_unseen(&mut self) {
        if self.size + OVERHEAD > self.capacity {
            self.has_unseen = false;
        }
    }

    /// The table proved to be larger than assumed; how large is not known.
    fn enlarge(&mut self) {
        self.capacity = self.capacity.max(MAX_TABLE_SIZE);
        self.has_unseen = true;
    }
}
