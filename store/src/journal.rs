//! What happened in each call, in order, enough to rebuild it after a crash.
//!
//! A row is keyed by its call and its number within the call.

use std::{
    collections::HashMap,
    fmt,
    ops::{Bound, ControlFlow},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::counter;
use tracing::error;
use uuid::Uuid;

use crate::{
    Store, StoreError, StoreOptions,
    engine::{Change, Engine, EngineError, KeyRange, Order, Table, visit_rows},
    writer::{Promise, Request},
};

const CALL_BYTES: usize = size_of::<Uuid>();
const NUMBER_BYTES: usize = size_of::<u64>();

/// How often losses are logged: a dead disk loses thousands of entries a second.
const LOSS_LOG_EVERY: Duration = Duration::from_secs(1);

/// Rows removed in one change, so that dropping a long journal does not hold up the other writers.
const DROP_ROWS: usize = 1_024;

/// Appends to the journal of one call. Clones append to the same journal.
#[derive(Clone)]
pub struct JournalWriter {
    store: Store,
    journal: Arc<CallJournal>,
}

impl JournalWriter {
    /// Adds an entry, at most 100 ms behind on disk.
    ///
    /// Never waits and never fails: an entry that cannot be written is counted by
    /// [`JournalWriter::lost`]. After [`Store::drop_journal`] it does nothing.
    pub fn append(&self, entry: Vec<u8>) {
        let journals = self.store.journals();
        if self.journal.dropped.load(Ordering::Acquire) {
            return;
        }
        let bytes = entry.len();
        if !journals.queue(bytes) {
            journals.lost(&self.journal, &"the disk is slower than the calls, the queue is full");
            return;
        }
        let request = Request::Append { journal: self.journal.clone(), entry };
        if let Err(error) = self.store.submit(request) {
            journals.unqueue(bytes);
            journals.lost(&self.journal, &error);
        }
    }

    /// Adds an entry; `Ok` means that it, and every entry before it that was not lost, is on disk.
    ///
    /// For what has an effect outside: write it down here first, then do it.
    pub async fn append_durable(&self, entry: Vec<u8>) -> Result<(), StoreError> {
        let journal = self.journal.clone();
        self.store
            .write(Promise::Durable, move |engine| {
                let change = journal.change(engine, entry)?;
                Ok(engine.write(Table::Journal, vec![change])?)
            })
            .await
    }

    /// Entries of this call that never reached the disk, as far as known.
    pub fn lost(&self) -> u64 {
        self.journal.lost.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for JournalWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalWriter").field("call", &self.journal.call).finish_non_exhaustive()
    }
}

impl Store {
    /// The journal of a call, to append to; it begins with its first entry.
    pub fn journal(&self, call: Uuid) -> JournalWriter {
        JournalWriter { store: self.clone(), journal: self.journals().of(call) }
    }

    /// All entries of a call, oldest first, those included that are still on their way to the disk.
    pub async fn read_journal(&self, call: Uuid) -> Result<Vec<Vec<u8>>, StoreError> {
        self.write(Promise::Applied, |_| Ok(())).await?;
        self.read(move |engine| {
            let range = KeyRange::suffixes(call.as_bytes(), NUMBER_BYTES);
            let mut entries = Vec::new();
            visit_rows(engine, Table::Journal, range, Order::Ascending, |_, entry| {
                entries.push(entry.to_vec());
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(entries)
        })
        .await
    }

    /// The calls that have a journal, in the order of their ids.
    pub async fn journaled_calls(&self) -> Result<Vec<Uuid>, StoreError> {
        self.write(Promise::Applied, |_| Ok(())).await?;
        self.read(|engine| {
            let mut calls = Vec::new();
            let mut range = KeyRange { from: Bound::Unbounded, to: Bound::Unbounded };
            loop {
                let rows = engine.scan(Table::Journal, &range, Order::Ascending, 1)?;
                let Some((key, _)) = rows.first() else { return Ok(calls) };
                let call = key.get(..CALL_BYTES).and_then(|bytes| Uuid::from_slice(bytes).ok());
                let call = call.ok_or_else(|| StoreError::Corrupt { what: "a journal".into() })?;
                calls.push(call);
                range.from = Bound::Excluded(row_key(call, u64::MAX));
            }
        })
        .await
    }

    /// Forgets the journal of a call; writers that are left write nowhere.
    pub async fn drop_journal(&self, call: Uuid) -> Result<(), StoreError> {
        self.journals().forget(call);
        self.write(Promise::Durable, move |engine| {
            let range = KeyRange::suffixes(call.as_bytes(), NUMBER_BYTES);
            loop {
                let rows = engine.scan(Table::Journal, &range, Order::Ascending, DROP_ROWS)?;
                let is_last = rows.len() < DROP_ROWS;
                let changes = rows.into_iter().map(|(key, _)| Change::Remove(key)).collect();
                engine.write(Table::Journal, changes)?;
                if is_last {
                    return Ok(());
                }
            }
        })
        .await
    }
}

/// The state of one call's journal that its writers share.
pub(crate) struct CallJournal {
    call: Uuid,
    /// Number of the next row; looked up with the first entry, since a journal outlives the process.
    next: Mutex<Option<u64>>,
    lost: AtomicU64,
    dropped: AtomicBool,
    home: Weak<Journals>,
}

impl CallJournal {
    /// The change that adds `entry`. Called by the store's writer alone, in the order of the rows.
    pub(crate) fn change(&self, engine: &dyn Engine, entry: Vec<u8>) -> Result<Change, StoreError> {
        if self.dropped.load(Ordering::Acquire) {
            return Err(StoreError::JournalDropped { call: self.call });
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let number = match *next {
            Some(number) => number,
            None => self.first_free(engine)?,
        };
        *next = Some(number + 1);
        Ok(Change::Put(row_key(self.call, number), entry))
    }

    fn first_free(&self, engine: &dyn Engine) -> Result<u64, EngineError> {
        let range = KeyRange::suffixes(self.call.as_bytes(), NUMBER_BYTES);
        let last = engine.scan(Table::Journal, &range, Order::Descending, 1)?;
        let number = last.first().and_then(|(key, _)| key.get(CALL_BYTES..)?.try_into().ok());
        Ok(number.map_or(0, |number| u64::from_be_bytes(number) + 1))
    }
}

impl Drop for CallJournal {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.release(self.call);
        }
    }
}

/// The journals that are being written, and what they may queue together.
pub(crate) struct Journals {
    live: Mutex<HashMap<Uuid, Weak<CallJournal>>>,
    queued_entries: AtomicUsize,
    queued_bytes: AtomicUsize,
    entries_max: usize,
    bytes_max: usize,
    loss_log: Mutex<LossLog>,
}

#[derive(Default)]
struct LossLog {
    unsaid: u64,
    said_at: Option<Instant>,
}

impl Journals {
    pub(crate) fn new(options: &StoreOptions) -> Arc<Self> {
        Arc::new(Self {
            live: Mutex::default(),
            queued_entries: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            entries_max: options.journal_queue_entries,
            bytes_max: options.journal_queue_bytes,
            loss_log: Mutex::default(),
        })
    }

    /// Claims room for an entry of so many bytes; `false` when there is none.
    fn queue(&self, bytes: usize) -> bool {
        let entries = self.queued_entries.fetch_add(1, Ordering::Relaxed) + 1;
        let total = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = entries <= self.entries_max && total <= self.bytes_max;
        if !fits {
            self.unqueue(bytes);
        }
        fits
    }

    pub(crate) fn unqueue(&self, bytes: usize) {
        self.queued_entries.fetch_sub(1, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts an entry that will not reach the disk.
    pub(crate) fn lost(&self, journal: &CallJournal, cause: &dyn fmt::Display) {
        journal.lost.fetch_add(1, Ordering::Relaxed);
        counter!("offhook_journal_lost_entries_total").increment(1);
        let mut log = self.loss_log.lock().unwrap_or_else(PoisonError::into_inner);
        log.unsaid += 1;
        if log.said_at.is_none_or(|at| at.elapsed() >= LOSS_LOG_EVERY) {
            log.said_at = Some(Instant::now());
            let entries = std::mem::take(&mut log.unsaid);
            error!(entries, call = %journal.call, %cause, "journal entries lost");
        }
    }

    fn of(self: &Arc<Self>, call: Uuid) -> Arc<CallJournal> {
        let mut live = self.live();
        if let Some(journal) = live.get(&call).and_then(Weak::upgrade) {
            return journal;
        }
        let journal = Arc::new(CallJournal {
            call,
            next: Mutex::new(None),
            lost: AtomicU64::new(0),
            dropped: AtomicBool::new(false),
            home: Arc::downgrade(self),
        });
        live.insert(call, Arc::downgrade(&journal));
        journal
    }

    fn forget(&self, call: Uuid) {
        let journal = self.live().remove(&call);
        if let Some(journal) = journal.and_then(|it| it.upgrade()) {
            journal.dropped.store(true, Ordering::Release);
        }
    }

    /// Lets go of a call whose last writer is gone, unless a new one came meanwhile.
    fn release(&self, call: Uuid) {
        let mut live = self.live();
        if live.get(&call).is_some_and(|journal| journal.strong_count() == 0) {
            live.remove(&call);
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<Uuid, Weak<CallJournal>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row_key(call: Uuid, number: u64) -> Vec<u8> {
    [call.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests;
