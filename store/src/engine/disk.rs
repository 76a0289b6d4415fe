//! sled, with what it lacks: reach beyond the kernel, and a way back from a failed disk.
//!
//! Facts about sled 0.34.7 that shape this (read in its source, seen with `strace`):
//!
//! - `flush` ends in `sync_file_range`, which covers neither the file's length nor the disk's cache.
//! - Pages that outgrow a quarter of a segment (128 KiB) are handled badly: see [`values`].
//! - After the first failed write every later one fails, until the database is opened anew. What was
//!   flushed before is whole then.
//! - A failed write does not always wake who waits for it.

mod values;

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{error, info};

use super::{Change, Engine, EngineError, KeyRange, Order, Reach, Row, Table};
use crate::{StoreError, StoreOptions};

/// Segment of sled's log, in bytes: fixed for the life of a folder.
///
/// Small enough that opening after a crash, which rewrites one, stays within milliseconds.
const SEGMENT_BYTES: usize = 512 << 10;

/// How often a flush under way is checked for a failure that nobody was told of.
const STUCK_FLUSH_CHECK: Duration = Duration::from_secs(1);

const LOCK_FILE: &str = "lock";

pub(crate) struct DiskEngine {
    path: PathBuf,
    cache_bytes: u64,
    reopen_every: Duration,
    state: RwLock<State>,
    /// Whether a flush is under way that [`watch`] should look after.
    flushing: Arc<AtomicBool>,
    /// Held locked as long as the engine lives; declared last so that it is released last.
    _lock: File,
}

enum State {
    Open(Arc<Opened>),
    Failed { error: EngineError, tried: Instant },
}

/// An error of one operation; `fatal` when the database must be opened anew.
struct Failure {
    reason: String,
    fatal: bool,
}

impl DiskEngine {
    pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let failed =
            |reason: io::Error| StoreError::Open { path: path.into(), reason: reason.to_string() };
        create_private_folder(path).map_err(failed)?;
        let lock = lock(path)?;
        let opened = Opened::open(path, options.cache_bytes)
            .map_err(|reason| StoreError::Open { path: path.into(), reason })?;
        let opened = Arc::new(opened);
        let flushing = Arc::new(AtomicBool::new(false));
        watch(&opened, &flushing).map_err(failed)?;
        Ok(Self {
            path: path.into(),
            cache_bytes: options.cache_bytes,
            reopen_every: options.reopen_every,
            state: RwLock::new(State::Open(opened)),
            flushing,
            _lock: lock,
        })
    }

    fn run<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Opened) -> Result<T, Failure>,
    ) -> Result<T, EngineError> {
        let opened = self.opened(operation)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&opened))).unwrap_or_else(|_| {
            Err(Failure { reason: "the storage engine panicked".into(), fatal: true })
        });
        match outcome {
            Ok(value) => {
                drop_quietly(opened);
                Ok(value)
            }
            Err(failure) => {
                let error = self.error(operation, failure.reason);
                if failure.fatal {
                    self.fail(opened, &error);
                } else {
                    drop_quietly(opened);
                }
                Err(error)
            }
        }
    }

    /// The open database, opened anew where it failed and it is time to try.
    fn opened(&self, operation: &'static str) -> Result<Arc<Opened>, EngineError> {
        if let State::Open(opened) = &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(opened.clone());
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let (error, tried) = match &mut *state {
            State::Open(opened) => return Ok(opened.clone()),
            State::Failed { error, tried } => (error, tried),
        };
        if tried.elapsed() < self.reopen_every {
            return Err(EngineError { operation, ..error.clone() });
        }
        let reopened = Opened::open(&self.path, self.cache_bytes).map(Arc::new).and_then(|it| {
            watch(&it, &self.flushing).map_err(|error| error.to_string())?;
            Ok(it)
        });
        match reopened {
            Ok(opened) => {
                info!(path = %self.path.display(), "store opened anew after a failure");
                *state = State::Open(opened.clone());
                Ok(opened)
            }
            Err(reason) => {
                *tried = Instant::now();
                *error = self.error(operation, reason);
                Err(error.clone())
            }
        }
    }

    /// Gives up a database that failed, unless somebody else already did.
    fn fail(&self, failed: Arc<Opened>, error: &EngineError) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let is_current = match &*state {
            State::Open(current) => Arc::ptr_eq(current, &failed),
            State::Failed { .. } => false,
        };
        if is_current {
            error!(%error, "store failed");
            *state = State::Failed { error: error.clone(), tried: Instant::now() };
        }
        drop(state);
        drop_aside(failed);
    }

    fn error(&self, operation: &'static str, reason: String) -> EngineError {
        EngineError {
            operation,
            place: self.path.display().to_string(),
            reason,
            hint: Some("; free space or repair the disk: it is tried again every few seconds"),
        }
    }
}

impl Drop for DiskEngine {
    fn drop(&mut self) {
        let gone =
            State::Failed { error: self.error("use", "closed".into()), tried: Instant::now() };
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(opened) = std::mem::replace(state, gone) {
            drop_quietly(opened);
        }
    }
}

impl Engine for DiskEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.run("read", |opened| values::get(opened.tree(table), key).map_err(Failure::reading))
    }

    fn write(&self, table: Table, changes: Vec<Change>) -> Result<(), EngineError> {
        self.run("write to", |opened| {
            let tree = opened.tree(table);
            let batch = values::batch(tree, changes).map_err(Failure::reading)?;
            tree.apply_batch(batch).map_err(Failure::writing)
        })
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        order: Order,
        max: usize,
    ) -> Result<Vec<Row>, EngineError> {
        self.run("read", |opened| {
            let tree = opened.tree(table);
            let rows = tree.range(stored(range));
            let own = |row: sled::Result<(sled::IVec, sled::IVec)>| {
                row.and_then(|(key, row)| values::found(tree, &key, &row)).transpose()
            };
            let rows: sled::Result<Vec<Row>> = match order {
                Order::Ascending => rows.filter_map(own).take(max).collect(),
                Order::Descending => rows.rev().filter_map(own).take(max).collect(),
            };
            rows.map_err(Failure::reading)
        })
    }

    fn flush(&self, reach: Reach) -> Result<(), EngineError> {
        self.run("flush", |opened| {
            self.flushing.store(true, Ordering::Release);
            let flushed = opened.db.flush();
            self.flushing.store(false, Ordering::Release);
            flushed.map_err(Failure::writing)?;
            match reach {
                Reach::ProcessDeath => Ok(()),
                Reach::PowerCut => opened
                    .log
                    .sync_data()
                    .map_err(|error| Failure { reason: error.to_string(), fatal: true }),
            }
        })
    }

    fn size_on_disk(&self) -> u64 {
        self.run("measure", |opened| opened.db.size_on_disk().map_err(Failure::reading))
            .unwrap_or_default()
    }
}

impl Failure {
    /// A page that cannot be read leaves the others readable.
    fn reading(error: sled::Error) -> Self {
        Self { reason: error.to_string(), fatal: false }
    }

    fn writing(error: sled::Error) -> Self {
        Self { reason: error.to_string(), fatal: true }
    }
}

struct Opened {
    db: sled::Db,
    trees: [sled::Tree; Table::ALL.len()],
    /// Our own handle on sled's log.
    log: File,
}

impl Opened {
    fn open(path: &Path, cache_bytes: u64) -> Result<Self, String> {
        let open = || -> Result<Self, String> {
            let db = sled::Config::new()
                .path(path)
                .cache_capacity(cache_bytes)
                .segment_size(SEGMENT_BYTES)
                .open()
                .map_err(|error| error.to_string())?;
            let mut trees = Vec::with_capacity(Table::ALL.len());
            for table in Table::ALL {
                trees.push(db.open_tree(table.name()).map_err(|error| error.to_string())?);
            }
            let trees = trees.try_into().expect("one tree a table");
            let opened = Self {
                db,
                trees,
                log: File::open(path.join("db")).map_err(|error| error.to_string())?,
            };
            // The names of the files, too, have to be there after a power cut.
            let synced = opened.log.sync_data().and_then(|()| File::open(path)?.sync_all());
            synced.map_err(|error| error.to_string())?;
            Ok(opened)
        };
        catch_unwind(AssertUnwindSafe(open))
            .unwrap_or_else(|_| Err("the storage engine panicked over its files".into()))
    }

    fn tree(&self, table: Table) -> &sled::Tree {
        &self.trees[table as usize]
    }
}

/// Wakes a flush that waits for a write which failed without a word.
///
/// Entering a flush when the database has failed wakes all others; doing so before would only wait
/// with them.
fn watch(opened: &Arc<Opened>, flushing: &Arc<AtomicBool>) -> io::Result<()> {
    let (opened, flushing) = (Arc::downgrade(opened), flushing.clone());
    thread::Builder::new().name("store-watch".into()).spawn(move || {
        while opened.strong_count() > 0 {
            thread::sleep(STUCK_FLUSH_CHECK);
            if !flushing.load(Ordering::Acquire) {
                continue;
            }
            let Some(opened) = opened.upgrade() else { return };
            if opened.db.context.global_error().is_err() {
                // The error reaches whoever asked for the flush.
                let _woken = catch_unwind(AssertUnwindSafe(|| opened.db.flush()));
            }
            drop_quietly(opened);
        }
    })?;
    Ok(())
}

/// Drops a hold on a database that failed where nobody waits: it may try to flush once more.
fn drop_aside(opened: Arc<Opened>) {
    let dropping = thread::Builder::new().name("store-drop".into());
    if let Err(error) = dropping.spawn(move || drop_quietly(opened)) {
        error!(%error, "failed database closed in place");
    }
}

/// Drops what may be the last hold on a database: sled panics when it cannot sync at the end.
fn drop_quietly(opened: Arc<Opened>) {
    if catch_unwind(AssertUnwindSafe(|| drop(opened))).is_err() {
        error!("the storage engine panicked while closing");
    }
}

fn stored(range: &KeyRange) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let from = match &range.from {
        Bound::Unbounded => Bound::Included(values::FIRST_KEY.to_vec()),
        from @ (Bound::Included(_) | Bound::Excluded(_)) => {
            from.as_ref().map(|key| values::stored_key(key))
        }
    };
    let to = match &range.to {
        Bound::Unbounded => Bound::Excluded(values::AFTER_LAST_KEY.to_vec()),
        to @ (Bound::Included(_) | Bound::Excluded(_)) => {
            to.as_ref().map(|key| values::stored_key(key))
        }
    };
    (from, to)
}

fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let open = |error: io::Error| StoreError::Open { path: path.into(), reason: error.to_string() };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path.join(LOCK_FILE))
        .map_err(open)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::Locked { path: path.into(), pid });
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(open(error)),
    }
    // Best effort, for the error of whoever comes second: the lock holds without it.
    let _written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}
