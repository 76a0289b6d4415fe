//! The one place that changes anything: requests in order, one flush for all that wait.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use metrics::{gauge, histogram};

use crate::{
    StoreError,
    engine::{Change, Engine, Reach, Table},
    journal::{CallJournal, Journals},
    store::Size,
};

/// Requests taken together, so that the first of them is not kept waiting by those that come after.
const BATCH_REQUESTS: usize = 1_024;

/// How old the size on disk may be while there are writes.
const SIZE_EVERY: Duration = Duration::from_secs(10);

/// Answers whoever asked, once it is known whether the flush worked.
pub(crate) type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Makes its changes and says how to answer.
pub(crate) type Work = Box<dyn FnOnce(&dyn Engine) -> Reply + Send>;

pub(crate) enum Request {
    Append { journal: Arc<CallJournal>, entry: Vec<u8> },
    Job { work: Work, promise: Promise },
}

/// What an answer without an error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Safe from a power cut.
    Durable,
    /// Readable; on disk with the next batch.
    Applied,
}

pub(crate) struct Writer {
    engine: Arc<dyn Engine>,
    journals: Arc<Journals>,
    size: Arc<Size>,
    flush_every: Duration,
    /// When the oldest change was made that no flush has covered.
    dirty_since: Option<Instant>,
    /// Appended entries that no flush has covered: lost should it fail.
    unflushed: Vec<Arc<CallJournal>>,
    size_taken: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        journals: Arc<Journals>,
        size: Arc<Size>,
        flush_every: Duration,
    ) -> Self {
        let mut writer = Self {
            engine,
            journals,
            size,
            flush_every,
            dirty_since: None,
            unflushed: Vec::new(),
            size_taken: None,
        };
        writer.take_size();
        writer
    }

    pub(crate) fn engine(&self) -> Arc<dyn Engine> {
        self.engine.clone()
    }

    /// Serves requests until nobody can make one any more, and leaves everything on disk.
    ///
    /// Appended entries are held until they are due on disk, or until a job comes that has to see
    /// them: each write of the engine's wakes all its threads, however small it is.
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        let mut held: Vec<Request> = Vec::new();
        let mut held_since: Option<Instant> = None;
        loop {
            let next = match held_since.or(self.dirty_since) {
                None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(since) => requests.recv_timeout((since + self.flush_every) - Instant::now()),
            };
            let timed_out = matches!(next, Err(RecvTimeoutError::Timeout));
            match next {
                Ok(request) => {
                    held_since.get_or_insert_with(|| self.dirty_since.unwrap_or_else(Instant::now));
                    let can_wait = matches!(request, Request::Append { .. });
                    held.push(request);
                    if can_wait && held.len() < BATCH_REQUESTS {
                        continue;
                    }
                    held.extend(requests.try_iter().take(BATCH_REQUESTS - held.len()));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            held_since = None;
            self.process(held.drain(..));
            let is_due = self.dirty_since.is_some_and(|since| since.elapsed() >= self.flush_every);
            if is_due || (timed_out && self.dirty_since.is_some()) {
                // The entries it may have lost are counted; nobody else waits for it.
                let _counted = self.flush(Reach::ProcessDeath);
            }
        }
        self.process(held.drain(..));
        let _counted = self.flush(Reach::PowerCut);
    }

    pub(crate) fn process(&mut self, requests: impl Iterator<Item = Request>) {
        let mut replies: Vec<Reply> = Vec::new();
        let mut appends = Appends::default();
        for request in requests {
            match request {
                Request::Append { journal, entry } => {
                    self.journals.unqueue(entry.len());
                    self.append(&mut appends, journal, entry);
                }
                Request::Job { work, promise } => {
                    self.write(std::mem::take(&mut appends));
                    self.dirty_since.get_or_insert_with(Instant::now);
                    let reply = work(&*self.engine);
                    match promise {
                        Promise::Durable => replies.push(reply),
                        Promise::Applied => reply(Ok(())),
                    }
                }
            }
        }
        self.write(appends);
        if !replies.is_empty() {
            let flushed = self.flush(Reach::PowerCut);
            for reply in replies {
                reply(flushed.clone());
            }
        }
    }

    fn append(&self, appends: &mut Appends, journal: Arc<CallJournal>, entry: Vec<u8>) {
        match journal.change(&*self.engine, entry) {
            Ok(change) => {
                appends.changes.push(change);
                appends.journals.push(journal);
            }
            Err(StoreError::JournalDropped { .. }) => {}
            Err(error) => self.journals.lost(&journal, &error),
        }
    }

    fn write(&mut self, appends: Appends) {
        if appends.changes.is_empty() {
            return;
        }
        self.dirty_since.get_or_insert_with(Instant::now);
        match self.engine.write(Table::Journal, appends.changes) {
            Ok(()) => self.unflushed.extend(appends.journals),
            Err(error) => {
                for journal in &appends.journals {
                    self.journals.lost(journal, &error);
                }
            }
        }
    }

    fn flush(&mut self, reach: Reach) -> Result<(), StoreError> {
        let started = Instant::now();
        let flushed = self.engine.flush(reach);
        histogram!("offhook_journal_flush_seconds").record(started.elapsed().as_secs_f64());
        self.dirty_since = None;
        let appended = std::mem::take(&mut self.unflushed);
        if let Err(error) = &flushed {
            for journal in &appended {
                self.journals.lost(journal, error);
            }
        }
        if self.size_taken.is_none_or(|at| at.elapsed() >= SIZE_EVERY) {
            self.take_size();
        }
        Ok(flushed?)
    }

    fn take_size(&mut self) {
        let bytes = self.engine.size_on_disk();
        self.size.set(bytes);
        gauge!("offhook_store_bytes").set(bytes as f64);
        self.size_taken = Some(Instant::now());
    }
}

/// Appends on their way into the engine together.
#[derive(Default)]
struct Appends {
    changes: Vec<Change>,
    journals: Vec<Arc<CallJournal>>,
}
