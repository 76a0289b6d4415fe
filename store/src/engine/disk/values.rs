//! Values of any length in a tree whose pages must stay small.
//!
//! sled keeps up to some twenty rows in a page, and writes a page that outgrows a quarter of a segment
//! to a file of its own. It never syncs those files, and where it cannot write one, every later flush
//! waits for ever. So no row is longer than [`ROW_BYTES`]: a longer value is cut into pieces that lie
//! under an id which is never used again, and its row says where they are.

use uuid::Uuid;

use super::super::{Change, Row};

/// Longest value of a row, in bytes. Thirty such rows still fit a quarter of a segment.
const ROW_BYTES: usize = 4 << 10;

/// How often a value is looked up again that was replaced while its pieces were read.
const READ_TRIES: usize = 100;

const KEY: u8 = b'k';
const PIECE: u8 = b'p';

const WHOLE: u8 = 0;
const IN_PIECES: u8 = 1;

/// A key as it is stored; keeps the order of keys.
pub(super) fn stored_key(key: &[u8]) -> Vec<u8> {
    [&[KEY], key].concat()
}

/// The bounds of all stored keys.
pub(super) const FIRST_KEY: [u8; 1] = [KEY];
pub(super) const AFTER_LAST_KEY: [u8; 1] = [KEY + 1];

pub(super) fn get(tree: &sled::Tree, key: &[u8]) -> sled::Result<Option<Vec<u8>>> {
    let key = stored_key(key);
    for _ in 0..READ_TRIES {
        let Some(row) = tree.get(&key)? else { return Ok(None) };
        if let Some(value) = assemble(tree, &row)? {
            return Ok(Some(value));
        }
    }
    Err(damaged())
}

/// The row that a scan found, `None` if it was removed since.
pub(super) fn found(tree: &sled::Tree, key: &[u8], row: &[u8]) -> sled::Result<Option<Row>> {
    let key = key.get(1..).unwrap_or_default();
    let value = match assemble(tree, row)? {
        Some(value) => Some(value),
        None => get(tree, key)?,
    };
    Ok(value.map(|value| (key.to_vec(), value)))
}

/// What is to be written for changes of different keys.
pub(super) fn batch(tree: &sled::Tree, changes: Vec<Change>) -> sled::Result<sled::Batch> {
    let mut batch = sled::Batch::default();
    for change in changes {
        match change {
            Change::Put(key, value) => {
                let key = stored_key(&key);
                remove_pieces(tree, &key, &mut batch)?;
                let row = put_pieces(&value, &mut batch);
                batch.insert(key, row);
            }
            Change::Remove(key) => {
                let key = stored_key(&key);
                remove_pieces(tree, &key, &mut batch)?;
                batch.remove(key);
            }
        }
    }
    Ok(batch)
}

/// Where the pieces of a value lie.
struct Pieces {
    id: Uuid,
    count: u32,
}

impl Pieces {
    fn read(row: &[u8]) -> sled::Result<Option<Self>> {
        match row.split_first() {
            Some((&WHOLE, _)) => Ok(None),
            Some((&IN_PIECES, rest)) => {
                let (id, count) = rest.split_first_chunk().ok_or_else(damaged)?;
                let count = count.try_into().map_err(|_| damaged())?;
                let (id, count) = (Uuid::from_bytes(*id), u32::from_be_bytes(count));
                Ok(Some(Self { id, count }))
            }
            Some(_) | None => Err(damaged()),
        }
    }

    fn row(&self) -> Vec<u8> {
        [&[IN_PIECES], self.id.as_bytes().as_slice(), &self.count.to_be_bytes()].concat()
    }

    fn keys(&self) -> impl Iterator<Item = Vec<u8>> {
        let id = self.id;
        (0..self.count)
            .map(move |n| [&[PIECE], id.as_bytes().as_slice(), &n.to_be_bytes()].concat())
    }
}

/// The value of a row; `None` when it was replaced since the row was read.
fn assemble(tree: &sled::Tree, row: &[u8]) -> sled::Result<Option<Vec<u8>>> {
    let Some(pieces) = Pieces::read(row)? else { return Ok(Some(row[1..].to_vec())) };
    let mut value = Vec::with_capacity(pieces.count as usize * ROW_BYTES);
    for key in pieces.keys() {
        let Some(piece) = tree.get(key)? else { return Ok(None) };
        value.extend_from_slice(&piece);
    }
    Ok(Some(value))
}

/// Adds the pieces of a value, if it needs any, and says what goes into its row.
fn put_pieces(value: &[u8], batch: &mut sled::Batch) -> Vec<u8> {
    if value.len() < ROW_BYTES {
        return [&[WHOLE], value].concat();
    }
    let parts = value.chunks(ROW_BYTES);
    let count = u32::try_from(parts.len()).expect("a value is shorter than 16 TiB");
    // Ordered by time, so that what is written together lies together.
    let pieces = Pieces { id: Uuid::now_v7(), count };
    for (key, part) in pieces.keys().zip(parts) {
        batch.insert(key, part);
    }
    pieces.row()
}

fn remove_pieces(tree: &sled::Tree, key: &[u8], batch: &mut sled::Batch) -> sled::Result<()> {
    let Some(row) = tree.get(key)? else { return Ok(()) };
    for key in Pieces::read(&row)?.iter().flat_map(Pieces::keys) {
        batch.remove(key);
    }
    Ok(())
}

fn damaged() -> sled::Error {
    sled::Error::Corruption { at: None, bt: () }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> sled::Tree {
        let db = sled::Config::new().temporary(true).open().unwrap();
        (*db).clone()
    }

    fn put(tree: &sled::Tree, key: &[u8], value: Vec<u8>) {
        let changes = vec![Change::Put(key.to_vec(), value)];
        tree.apply_batch(batch(tree, changes).unwrap()).unwrap();
    }

    #[test]
    fn values_of_any_length_come_back_and_leave_nothing_behind() {
        let tree = tree();
        for length in [0, 1, ROW_BYTES - 1, ROW_BYTES, ROW_BYTES + 1, 1_000_000, 5] {
            let value: Vec<u8> = (0..length).map(|n| n as u8).collect();
            put(&tree, b"key", value.clone());
            assert_eq!(get(&tree, b"key").unwrap(), Some(value));
            let rows: Vec<usize> = tree.iter().map(|row| row.unwrap().1.len()).collect();
            assert_eq!(
                rows.len(),
                1 + if length < ROW_BYTES { 0 } else { length.div_ceil(ROW_BYTES) }
            );
            assert!(rows.iter().all(|&length| length <= ROW_BYTES));
        }
        put(&tree, b"key", vec![7; 100_000]);
        let remove = vec![Change::Remove(b"key".into())];
        tree.apply_batch(batch(&tree, remove).unwrap()).unwrap();
        assert_eq!(get(&tree, b"key").unwrap(), None);
        assert_eq!(tree.len(), 0);
    }

    #[test]
    fn a_reader_never_sees_pieces_of_two_values() {
        let tree = tree();
        put(&tree, b"key", vec![0; 50_000]);
        let writer = std::thread::spawn({
            let tree = tree.clone();
            move || (1..200_u8).for_each(|n| put(&tree, b"key", vec![n; 50_000 + n as usize]))
        });
        while !writer.is_finished() {
            let value = get(&tree, b"key").unwrap().unwrap();
            assert!(value.iter().all(|&byte| byte == value[0]));
            let row = tree.get(stored_key(b"key")).unwrap().unwrap();
            let (_, value) = found(&tree, &stored_key(b"key"), &row).unwrap().unwrap();
            assert_eq!(value.len(), 50_000 + value[0] as usize);
        }
        writer.join().unwrap();
    }
}
