use std::sync::{Condvar, atomic::AtomicUsize};

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{
    Document, Kind,
    engine::{EngineError, KeyRange, Order, Reach, Row},
};

/// Runs a test on a store in memory, on threads in memory, and on disk.
pub(crate) async fn on_each_store(test: impl AsyncFn(Store)) {
    test(Store::in_memory(Faults::default())).await;

    let memory = Arc::new(MemoryEngine::new(Faults::default()));
    test(Store::on_threads(memory, &StoreOptions::default()).unwrap()).await;

    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    test(store.clone()).await;
    store.close().await.unwrap();
}

pub(crate) fn document(id: u128, created_at_ms: i64) -> Document {
    Document {
        org: "org".into(),
        kind: Kind::Call,
        id: Uuid::from_u128(id),
        created_at_ms,
        updated_at_ms: created_at_ms,
        body: json!({"number": id as u64, "nested": {"text": "ü", "none": null}}),
    }
}

/// An engine in memory whose flushes wait until they are let through, and are counted.
pub(crate) struct GatedEngine {
    memory: MemoryEngine,
    is_open: Mutex<bool>,
    opened: Condvar,
    pub(crate) flushes: AtomicUsize,
}

impl GatedEngine {
    pub(crate) fn closed() -> Arc<Self> {
        Arc::new(Self {
            memory: MemoryEngine::new(Faults::default()),
            is_open: Mutex::new(false),
            opened: Condvar::new(),
            flushes: AtomicUsize::new(0),
        })
    }

    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    /// Returns once a flush waits at the gate.
    pub(crate) fn wait_for_flush(&self) {
        while self.flushes.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
    }
}

impl Engine for GatedEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.memory.get(table, key)
    }

    fn write(&self, table: Table, changes: Vec<Change>) -> Result<(), EngineError> {
        self.memory.write(table, changes)
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        order: Order,
        max: usize,
    ) -> Result<Vec<Row>, EngineError> {
        self.memory.scan(table, range, order, max)
    }

    fn flush(&self, reach: Reach) -> Result<(), EngineError> {
        self.flushes.fetch_add(1, Ordering::AcqRel);
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
        self.memory.flush(reach)
    }

    fn size_on_disk(&self) -> u64 {
        self.memory.size_on_disk()
    }
}

#[tokio::test]
async fn writes_that_wait_together_share_one_flush() {
    let engine = GatedEngine::closed();
    let store = Store::on_threads(engine.clone(), &StoreOptions::default()).unwrap();
    let put = |id| {
        tokio::spawn({
            let store = store.clone();
            async move { store.put(document(id, 0)).await }
        })
    };
    let mut writes = vec![put(0)];
    tokio::task::yield_now().await;
    engine.wait_for_flush();
    writes.extend((1..100).map(put));
    let Mode::Threads(threads) = &store.inner.mode else { panic!("on threads") };
    while threads.places.available_permits() > StoreOptions::default().requests_in_flight - 100 {
        tokio::task::yield_now().await;
    }
    engine.open();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert_eq!(engine.flushes.load(Ordering::Acquire), 2);
}

#[tokio::test]
async fn a_folder_in_use_is_refused_with_the_process_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
    let pid = std::process::id();
    assert_eq!(error, StoreError::Locked { path: folder.path().into(), pid: Some(pid) });
    assert!(error.to_string().contains("another process"), "{error}");
    store.close().await.unwrap();
    Store::open(folder.path(), StoreOptions::default()).unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_one_is_named_with_what_would_work() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(file.path(), StoreOptions::default()).unwrap_err().to_string();
    assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    assert!(error.contains("`store.path`"), "{error}");
}

#[tokio::test]
async fn a_closed_store_refuses_everything_and_closes_again() {
    on_each_store(async |store| {
        let journal = store.journal(Uuid::nil());
        store.close().await.unwrap();
        assert_eq!(store.put(document(1, 0)).await, Err(StoreError::Closed));
        assert_eq!(
            store.get("org", Kind::Call, Uuid::nil()).await.unwrap_err(),
            StoreError::Closed
        );
        journal.append(b"late".to_vec());
        assert_eq!(journal.lost(), 1);
        assert_eq!(store.close().await, Ok(()));
    })
    .await;
}

#[tokio::test]
async fn everything_is_there_after_closing_and_opening() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    store.put(document(1, 5)).await.unwrap();
    store.journal(Uuid::nil()).append(b"entry".to_vec());
    store.outbox_add(Uuid::nil(), b"event".to_vec()).await.unwrap();
    store.close().await.unwrap();

    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert!(store.size_on_disk() > 0);
    let found = store.get("org", Kind::Call, Uuid::from_u128(1)).await.unwrap();
    assert_eq!(found, Some(document(1, 5)));
    assert_eq!(store.read_journal(Uuid::nil()).await.unwrap(), [b"entry"]);
    assert_eq!(store.outbox_pending().await.unwrap()[0].body, b"event");
}

#[test]
fn a_newer_layout_is_refused() {
    let engine = MemoryEngine::new(Faults::default());
    check_layout(&engine, Path::new("here")).unwrap();
    check_layout(&engine, Path::new("here")).unwrap();
    engine.write(Table::Meta, vec![Change::Put(LAYOUT_KEY.into(), b"2".into())]).unwrap();
    let error = check_layout(&engine, Path::new("here")).unwrap_err();
    assert_eq!(error, StoreError::Layout { path: "here".into(), found: "2".into(), known: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_store_in_memory_answers_without_letting_time_pass() {
    let store = Store::in_memory(Faults::default());
    let started = tokio::time::Instant::now();
    store.put(document(1, 0)).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(started.elapsed(), std::time::Duration::ZERO);
}
