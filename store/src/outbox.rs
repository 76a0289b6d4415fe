//! Server events that nobody has acknowledged yet.
//!
//! Rows are keyed by a number that only ever grows, also across restarts: it is kept beside the rows,
//! since the newest row may be acknowledged and gone.

use std::{
    fmt,
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
};

use metrics::gauge;
use uuid::Uuid;

use crate::{
    Store, StoreError,
    engine::{Change, Engine, KeyRange, Order, Table, visit_rows},
    writer::Promise,
};

const ROW: u8 = b'r';
/// Events given up.
const DEAD: u8 = b'd';
const LAST_SEQUENCE: &[u8] = b"last";
const CALL_BYTES: usize = size_of::<Uuid>();
const PENDING: &str = "offhook_outbox_pending";
const DEAD_LETTERS: &str = "offhook_outbox_dead_letters";

/// A server event on its way.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Grows over the whole node, so that the events of one call keep their order.
    pub sequence: u64,
    pub call: Uuid,
    pub body: Vec<u8>,
}

impl fmt::Debug for OutboxRow {
    /// Leaves the body out: it may hold what a caller said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxRow")
            .field("sequence", &self.sequence)
            .field("call", &self.call)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

impl Store {
    /// Adds an event and says its sequence; `Ok` means that it is on disk.
    pub async fn outbox_add(&self, call: Uuid, body: Vec<u8>) -> Result<u64, StoreError> {
        let store = self.clone();
        let sequence = self
            .write(Promise::Durable, move |engine| {
                let sequence = store.outbox_sequence().next();
                let value = [call.as_bytes().as_slice(), &body].concat();
                engine.write(
                    Table::Outbox,
                    vec![
                        Change::Put(row_key(sequence), value),
                        Change::Put(LAST_SEQUENCE.to_vec(), sequence.to_be_bytes().to_vec()),
                    ],
                )?;
                Ok(sequence)
            })
            .await?;
        gauge!(PENDING).increment(1);
        Ok(sequence)
    }

    /// Every event not acknowledged, oldest first.
    pub async fn outbox_pending(&self) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.outbox_rows(ROW).await?;
        gauge!(PENDING).set(rows.len() as f64);
        Ok(rows)
    }

    /// Every event given up, oldest first.
    pub async fn outbox_dead(&self) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.outbox_rows(DEAD).await?;
        gauge!(DEAD_LETTERS).set(rows.len() as f64);
        Ok(rows)
    }

    /// Gives an event up: it is kept as `body` until it is forgotten. `Ok` means that it is on disk.
    pub async fn outbox_bury(
        &self,
        sequence: u64,
        call: Uuid,
        body: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.write(Promise::Durable, move |engine| {
            let value = [call.as_bytes().as_slice(), &body].concat();
            let changes =
                vec![Change::Remove(row_key(sequence)), Change::Put(key_of(DEAD, sequence), value)];
            Ok(engine.write(Table::Outbox, changes)?)
        })
        .await?;
        gauge!(PENDING).decrement(1);
        gauge!(DEAD_LETTERS).increment(1);
        Ok(())
    }

    /// Forgets an event that was given up. An unknown sequence is no error.
    pub async fn outbox_forget(&self, sequence: u64) -> Result<(), StoreError> {
        self.write(Promise::Durable, move |engine| {
            Ok(engine.write(Table::Outbox, vec![Change::Remove(key_of(DEAD, sequence))])?)
        })
        .await?;
        gauge!(DEAD_LETTERS).decrement(1);
        Ok(())
    }

    async fn outbox_rows(&self, kind: u8) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(move |engine| {
            let mut rows = Vec::new();
            let range = KeyRange::suffixes(&[kind], size_of::<u64>());
            visit_rows(engine, Table::Outbox, range, Order::Ascending, |key, value| {
                let row = decode(key, value)
                    .ok_or_else(|| StoreError::Corrupt { what: "a row of the outbox".into() })?;
                rows.push(row);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(rows)
        })
        .await
    }

    /// One event by its sequence; `None` when it was acknowledged.
    pub async fn outbox_get(&self, sequence: u64) -> Result<Option<OutboxRow>, StoreError> {
        self.read(move |engine| {
            let key = row_key(sequence);
            let Some(value) = engine.get(Table::Outbox, &key)? else { return Ok(None) };
            let row = decode(&key, &value)
                .ok_or_else(|| StoreError::Corrupt { what: "a row of the outbox".into() })?;
            Ok(Some(row))
        })
        .await
    }

    /// Forgets an event that was delivered, or given up.
    ///
    /// On disk within 100 ms: an event acknowledged just before a crash is delivered again, with the
    /// same sequence. An unknown sequence is no error.
    pub async fn outbox_ack(&self, sequence: u64) -> Result<(), StoreError> {
        let was_there = self
            .write(Promise::Applied, move |engine| {
                let key = row_key(sequence);
                let was_there = engine.get(Table::Outbox, &key)?.is_some();
                if was_there {
                    engine.write(Table::Outbox, vec![Change::Remove(key)])?;
                }
                Ok(was_there)
            })
            .await?;
        if was_there {
            gauge!(PENDING).decrement(1);
        }
        Ok(())
    }
}

/// The number of the next event.
pub(crate) struct OutboxSequence(AtomicU64);

impl OutboxSequence {
    pub(crate) fn load(engine: &dyn Engine) -> Result<Self, StoreError> {
        let last = match engine.get(Table::Outbox, LAST_SEQUENCE)? {
            None => 0,
            Some(bytes) => u64::from_be_bytes(bytes.try_into().map_err(|_| {
                StoreError::Corrupt { what: "the last sequence of the outbox".into() }
            })?),
        };
        Ok(Self(AtomicU64::new(last + 1)))
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Default for OutboxSequence {
    /// That of an empty outbox.
    fn default() -> Self {
        Self(AtomicU64::new(1))
    }
}

fn row_key(sequence: u64) -> Vec<u8> {
    key_of(ROW, sequence)
}

fn key_of(kind: u8, sequence: u64) -> Vec<u8> {
    [[kind].as_slice(), &sequence.to_be_bytes()].concat()
}

fn decode(key: &[u8], value: &[u8]) -> Option<OutboxRow> {
    let sequence = u64::from_be_bytes(key.get(1..)?.try_into().ok()?);
    let (call, body) = value.split_at_checked(CALL_BYTES)?;
    Some(OutboxRow { sequence, call: Uuid::from_slice(call).ok()?, body: body.to_vec() })
}

#[cfg(test)]
mod tests;
