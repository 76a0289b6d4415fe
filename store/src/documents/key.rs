//! Keys of documents and of their index.

use std::ops::Bound;

use uuid::Uuid;

use crate::{Kind, StoreError, engine::KeyRange};

const DOCUMENT: u8 = b'd';
const INDEX: u8 = b'c';
const ID_BYTES: usize = size_of::<Uuid>();
const TIME_BYTES: usize = size_of::<i64>();

/// Longest name of an organisation, in bytes: its length is one byte of the key.
const ORG_BYTES_MAX: usize = u8::MAX as usize;

/// The documents of one kind of one organisation.
pub(super) struct Scope {
    org: String,
    kind: Kind,
    /// Both names with their lengths, so that no scope is the beginning of another.
    prefix: Vec<u8>,
}

impl Scope {
    pub(super) fn new(org: &str, kind: Kind) -> Result<Self, StoreError> {
        let too_long = |_| StoreError::OrgTooLong { length: org.len(), max: ORG_BYTES_MAX };
        let mut prefix = vec![u8::try_from(org.len()).map_err(too_long)?];
        prefix.extend(org.as_bytes());
        prefix.push(u8::try_from(kind.name().len()).expect("kinds have short names"));
        prefix.extend(kind.name().as_bytes());
        Ok(Self { org: org.into(), kind, prefix })
    }

    pub(super) fn org(&self) -> &str {
        &self.org
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn document(&self, id: Uuid) -> Vec<u8> {
        [&[DOCUMENT], self.prefix.as_slice(), id.as_bytes()].concat()
    }

    pub(super) fn index(&self, created_at_ms: i64, id: Uuid) -> Vec<u8> {
        [&[INDEX], self.prefix.as_slice(), &ordered(created_at_ms), id.as_bytes()].concat()
    }

    /// The index of what was created in this time, both ends included.
    pub(super) fn created_between(&self, oldest_ms: i64, newest_ms: i64) -> KeyRange {
        KeyRange {
            from: Bound::Included(self.index(oldest_ms, Uuid::nil())),
            to: Bound::Included(self.index(newest_ms, Uuid::max())),
        }
    }
}

pub(super) struct IndexEntry {
    pub(super) id: Uuid,
    pub(super) created_at_ms: i64,
    pub(super) updated_at_ms: i64,
}

pub(super) fn read_index(key: &[u8], value: &[u8]) -> Option<IndexEntry> {
    let (rest, id) = key.split_last_chunk::<ID_BYTES>()?;
    let (_, created) = rest.split_last_chunk::<TIME_BYTES>()?;
    Some(IndexEntry {
        id: Uuid::from_bytes(*id),
        created_at_ms: (u64::from_be_bytes(*created) ^ SIGN) as i64,
        updated_at_ms: i64::from_be_bytes(value.try_into().ok()?),
    })
}

const SIGN: u64 = 1 << 63;

/// Bytes that sort as the times do, those before 1970 included.
fn ordered(ms: i64) -> [u8; TIME_BYTES] {
    (ms as u64 ^ SIGN).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_keys_sort_by_time_then_by_id() {
        let scope = Scope::new("org", Kind::Call).unwrap();
        let (low, high) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let keys = [
            scope.index(i64::MIN, low),
            scope.index(-1, high),
            scope.index(0, low),
            scope.index(0, high),
            scope.index(i64::MAX, low),
        ];
        assert!(keys.is_sorted());
        let entry = read_index(&keys[1], &7_i64.to_be_bytes()).unwrap();
        assert_eq!((entry.id, entry.created_at_ms, entry.updated_at_ms), (high, -1, 7));
    }

    #[test]
    fn an_organisation_name_that_does_not_fit_is_refused() {
        assert!(Scope::new(&"x".repeat(255), Kind::Call).is_ok());
        let error = Scope::new(&"x".repeat(256), Kind::Call).err().unwrap();
        assert_eq!(error, StoreError::OrgTooLong { length: 256, max: 255 });
    }
}
