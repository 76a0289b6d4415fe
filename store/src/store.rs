use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    Faults, StoreError, StoreOptions,
    engine::{Change, DiskEngine, Engine, MemoryEngine, Table},
    journal::Journals,
    outbox::OutboxSequence,
    readers::{self, Read},
    writer::{Promise, Request, Work, Writer},
};

/// Layout of keys and values; a store written in a newer one is refused.
const LAYOUT: u32 = 1;
const LAYOUT_KEY: &[u8] = b"layout";

/// A handle on the store; clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    mode: Mode,
    journals: Arc<Journals>,
    outbox_sequence: OutboxSequence,
    size: Arc<Size>,
}

enum Mode {
    /// Threads of their own do the work, since the disk blocks.
    Threads(Threads),
    /// Whoever asks does the work: nothing blocks, and tests in virtual time stay exact.
    Inline(Mutex<Inline>),
}

struct Inline {
    writer: Option<Writer>,
    /// What was asked for while the store is stalled, in order; as much as a test asks for.
    held: Option<Vec<Request>>,
}

struct Threads {
    writer: RwLock<Option<Sender<Request>>>,
    readers: RwLock<Option<Sender<Read>>>,
    /// Held from the question until the work is done, also where nobody awaits it any more.
    places: Arc<Semaphore>,
    /// Closed once every thread has let go of the engine.
    alive: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Store {
    /// Opens the store in a folder, which is created where it is missing. Blocks for some
    /// milliseconds.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let engine = DiskEngine::open(path, &options)?;
        check_layout(&engine, path)?;
        Self::on_threads(Arc::new(engine), &options)
    }

    /// A store that forgets everything with the process, and that can be made to fail.
    ///
    /// It works on the caller's thread: an answer is there at the first poll.
    pub fn in_memory(faults: Faults) -> Self {
        let options = StoreOptions::default();
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new(faults));
        let (journals, size) = (Journals::new(&options), Arc::<Size>::default());
        let outbox_sequence = OutboxSequence::default();
        let writer = Writer::new(engine, journals.clone(), size.clone(), options.flush_every);
        let mode = Mode::Inline(Mutex::new(Inline { writer: Some(writer), held: None }));
        Self { inner: Arc::new(Inner { mode, journals, outbox_sequence, size }) }
    }

    pub(crate) fn on_threads(
        engine: Arc<dyn Engine>,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let cannot_start = |error: std::io::Error| StoreError::Threads(error.to_string());
        let outbox_sequence = OutboxSequence::load(&*engine)?;
        let (journals, size) = (Journals::new(options), Arc::<Size>::default());
        let (alive_sender, alive) = mpsc::channel(1);
        let readers =
            readers::start(&engine, options.readers, &alive_sender).map_err(cannot_start)?;
        let writer = Writer::new(engine, journals.clone(), size.clone(), options.flush_every);
        let (sender, requests) = channel();
        thread::Builder::new()
            .name("store-write".into())
            .spawn(move || {
                writer.run(&requests);
                drop(alive_sender);
            })
            .map_err(cannot_start)?;
        let mode = Mode::Threads(Threads {
            writer: RwLock::new(Some(sender)),
            readers: RwLock::new(Some(readers)),
            places: Arc::new(Semaphore::new(options.requests_in_flight)),
            alive: tokio::sync::Mutex::new(alive),
        });
        Ok(Self { inner: Arc::new(Inner { mode, journals, outbox_sequence, size }) })
    }

    /// Returns once everything asked for before is on disk.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.write(Promise::Durable, |_| Ok(())).await
    }

    /// Brings everything to disk and lets go of the folder. Whatever is asked for afterwards, through
    /// any clone, is refused.
    pub async fn close(&self) -> Result<(), StoreError> {
        let flushed = match self.flush().await {
            Err(StoreError::Closed) => Ok(()),
            flushed => flushed,
        };
        match &self.inner.mode {
            Mode::Threads(threads) => {
                threads.writer.write().unwrap_or_else(PoisonError::into_inner).take();
                threads.readers.write().unwrap_or_else(PoisonError::into_inner).take();
                let mut alive = threads.alive.lock().await;
                while alive.recv().await.is_some() {}
            }
            Mode::Inline(inline) => {
                inline.lock().unwrap_or_else(PoisonError::into_inner).writer.take();
            }
        }
        flushed
    }

    /// Bytes that the store takes on disk, as of at most ten seconds before the last write.
    pub fn size_on_disk(&self) -> u64 {
        self.inner.size.0.load(Ordering::Relaxed)
    }

    pub(crate) fn journals(&self) -> &Arc<Journals> {
        &self.inner.journals
    }

    pub(crate) fn outbox_sequence(&self) -> &OutboxSequence {
        &self.inner.outbox_sequence
    }

    /// Hands a request to the writer without waiting for anything.
    pub(crate) fn submit(&self, request: Request) -> Result<(), StoreError> {
        match &self.inner.mode {
            Mode::Threads(threads) => {
                let writer = threads.writer.read().unwrap_or_else(PoisonError::into_inner);
                let writer = writer.as_ref().ok_or(StoreError::Closed)?;
                writer.send(request).map_err(|_| StoreError::Closed)
            }
            Mode::Inline(inline) => {
                let mut inline = inline.lock().unwrap_or_else(PoisonError::into_inner);
                let Inline { writer, held } = &mut *inline;
                let writer = writer.as_mut().ok_or(StoreError::Closed)?;
                match held {
                    Some(held) => held.push(request),
                    None => writer.process(std::iter::once(request)),
                }
                Ok(())
            }
        }
    }

    /// Has a store in memory do nothing of what is written from here, or do it now. Reads see what was
    /// written before. A store on a disk takes no notice.
    pub fn stall(&self, is_stalled: bool) {
        let Mode::Inline(inline) = &self.inner.mode else { return };
        let mut inline = inline.lock().unwrap_or_else(PoisonError::into_inner);
        if is_stalled {
            inline.held.get_or_insert_default();
        } else if let Some(held) = inline.held.take()
            && let Some(writer) = &mut inline.writer
        {
            writer.process(held.into_iter());
        }
    }

    /// Has `work` done by the writer, after everything asked for before.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        promise: Promise,
        work: impl FnOnce(&dyn Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = self.place().await?;
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |engine| {
            let outcome = guarded(|| work(engine));
            Box::new(move |flushed| {
                // Whoever asked may have given up.
                let _unheard = answer.send(outcome.and_then(|value| flushed.map(|()| value)));
                drop(place);
            })
        });
        self.submit(Request::Job { work, promise })?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Has `work` done by a reader.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = self.place().await?;
        let answered = match &self.inner.mode {
            Mode::Threads(threads) => {
                let (answer, answered) = oneshot::channel();
                let read: Read = Box::new(move |engine| {
                    if !answer.is_closed() {
                        let _unheard = answer.send(guarded(|| work(engine)));
                    }
                    drop(place);
                });
                let readers = threads.readers.read().unwrap_or_else(PoisonError::into_inner);
                let readers = readers.as_ref().ok_or(StoreError::Closed)?;
                readers.send(read).map_err(|_| StoreError::Closed)?;
                answered
            }
            Mode::Inline(inline) => {
                let inline = inline.lock().unwrap_or_else(PoisonError::into_inner);
                let engine = inline.writer.as_ref().ok_or(StoreError::Closed)?.engine();
                drop(inline);
                return guarded(|| work(&*engine));
            }
        };
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn place(&self) -> Result<Option<OwnedSemaphorePermit>, StoreError> {
        match &self.inner.mode {
            Mode::Threads(threads) => {
                let place = threads.places.clone().acquire_owned().await;
                place.map(Some).map_err(|_| StoreError::Closed)
            }
            Mode::Inline(_) => Ok(None),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// Bytes on disk when last measured.
#[derive(Default)]
pub(crate) struct Size(AtomicU64);

impl Size {
    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// Keeps a panic in a caller's closure from taking a thread of the store along.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(StoreError::Panicked))
}

fn check_layout(engine: &dyn Engine, path: &Path) -> Result<(), StoreError> {
    let known = LAYOUT.to_string().into_bytes();
    match engine.get(Table::Meta, LAYOUT_KEY)? {
        None => Ok(engine.write(Table::Meta, vec![Change::Put(LAYOUT_KEY.to_vec(), known)])?),
        Some(found) if found == known => Ok(()),
        Some(found) => Err(StoreError::Layout {
            path: path.into(),
            found: String::from_utf8_lossy(&found).into_owned(),
            known: LAYOUT,
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
