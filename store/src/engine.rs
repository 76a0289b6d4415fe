//! What the store needs of a storage engine.

mod disk;
mod memory;

use std::{cmp::Ordering, ops::Bound, ops::ControlFlow};

use thiserror::Error;

use crate::StoreError;

pub(crate) use disk::DiskEngine;
pub use memory::Faults;
pub(crate) use memory::MemoryEngine;

/// Rows read at once; bounds memory where values are large and locks where they are many.
const PAGE_ROWS: usize = 256;

/// An ordered map of bytes to bytes, several of them, that can be told to reach the disk.
///
/// Every method may block.
pub(crate) trait Engine: Send + Sync {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// Makes all changes or none, also when the process dies in between.
    fn write(&self, table: Table, changes: Vec<Change>) -> Result<(), EngineError>;

    /// The first `max` rows of a range in the given order.
    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        order: Order,
        max: usize,
    ) -> Result<Vec<Row>, EngineError>;

    /// Returns once everything written before is safe from what `reach` names.
    fn flush(&self, reach: Reach) -> Result<(), EngineError>;

    fn size_on_disk(&self) -> u64;
}

pub(crate) type Row = (Vec<u8>, Vec<u8>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Documents,
    Journal,
    Outbox,
    Campaigns,
    /// Facts about the store itself.
    Meta,
}

impl Table {
    pub(crate) const ALL: [Self; 5] =
        [Self::Documents, Self::Journal, Self::Outbox, Self::Campaigns, Self::Meta];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Journal => "journal",
            Self::Outbox => "outbox",
            Self::Campaigns => "campaigns",
            Self::Meta => "meta",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// What flushed data is safe from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    ProcessDeath,
    PowerCut,
}

#[derive(Clone, Debug)]
pub(crate) struct KeyRange {
    pub(crate) from: Bound<Vec<u8>>,
    pub(crate) to: Bound<Vec<u8>>,
}

impl KeyRange {
    /// All keys that are `prefix` followed by `suffix_len` bytes.
    pub(crate) fn suffixes(prefix: &[u8], suffix_len: usize) -> Self {
        let bound = |byte| {
            let mut key = prefix.to_vec();
            key.resize(prefix.len() + suffix_len, byte);
            Bound::Included(key)
        };
        Self { from: bound(0), to: bound(0xff) }
    }

    /// What is left of the range when `key` has been read.
    pub(crate) fn after(self, key: &[u8], order: Order) -> Self {
        match order {
            Order::Ascending => Self { from: Bound::Excluded(key.to_vec()), to: self.to },
            Order::Descending => Self { from: self.from, to: Bound::Excluded(key.to_vec()) },
        }
    }

    /// Whether no key can be in it. An engine is never asked for such a range.
    pub(crate) fn is_empty(&self) -> bool {
        let (from, from_excluded) = match &self.from {
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
            Bound::Unbounded => return false,
        };
        let (to, to_excluded) = match &self.to {
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
            Bound::Unbounded => return false,
        };
        match from.cmp(to) {
            Ordering::Less => false,
            Ordering::Equal => from_excluded || to_excluded,
            Ordering::Greater => true,
        }
    }
}

/// Shows the rows of a range to `visit` until it breaks, a page at a time.
pub(crate) fn visit_rows(
    engine: &dyn Engine,
    table: Table,
    mut range: KeyRange,
    order: Order,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    while !range.is_empty() {
        let rows = engine.scan(table, &range, order, PAGE_ROWS)?;
        let Some((last, _)) = rows.last() else { break };
        range = range.after(last, order);
        for (key, value) in &rows {
            if visit(key, value)?.is_break() {
                return Ok(());
            }
        }
        if rows.len() < PAGE_ROWS {
            break;
        }
    }
    Ok(())
}

/// The storage engine failed: what it was doing, and what the system said.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot {operation} the store in `{place}`: {reason}{}", .hint.unwrap_or_default())]
pub struct EngineError {
    pub(crate) operation: &'static str,
    pub(crate) place: String,
    pub(crate) reason: String,
    pub(crate) hint: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_know_when_nothing_is_left() {
        let range = KeyRange::suffixes(b"a", 1);
        assert!(!range.is_empty());
        assert!(!range.clone().after(b"a\x10", Order::Ascending).is_empty());
        assert!(range.clone().after(b"a\xff", Order::Ascending).is_empty());
        assert!(range.after(b"a\x00", Order::Descending).is_empty());
    }

    #[test]
    fn rows_are_visited_in_order_across_pages_on_both_engines() {
        let folder = tempfile::tempdir().unwrap();
        let disk = DiskEngine::open(folder.path(), &crate::StoreOptions::default()).unwrap();
        let engines: [&dyn Engine; 2] = [&MemoryEngine::new(Faults::default()), &disk];
        for engine in engines {
            let keys: Vec<Vec<u8>> =
                (0..PAGE_ROWS as u32 * 2 + 1).map(|n| n.to_be_bytes().to_vec()).collect();
            let changes = keys.iter().map(|key| Change::Put(key.clone(), vec![])).collect();
            engine.write(Table::Meta, changes).unwrap();
            for order in [Order::Ascending, Order::Descending] {
                let mut seen = Vec::new();
                visit_rows(engine, Table::Meta, KeyRange::suffixes(b"", 4), order, |key, _| {
                    seen.push(key.to_vec());
                    Ok(ControlFlow::Continue(()))
                })
                .unwrap();
                if order == Order::Descending {
                    seen.reverse();
                }
                assert_eq!(seen, keys);
            }
        }
    }
}
