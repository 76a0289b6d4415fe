use std::time::Duration;

/// How a store is run. The defaults fit a node of a thousand calls.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Memory for pages read and written, in bytes.
    pub cache_bytes: u64,
    /// How far the disk may be behind the journal: what a crash of the process may cost.
    pub flush_every: Duration,
    /// Journal entries that may wait for the disk, over all calls.
    ///
    /// A busy call makes some twenty a second: a thousand calls fill this in three seconds of a
    /// disk that stands still.
    pub journal_queue_entries: usize,
    /// Bytes of journal entries that may wait for the disk, over all calls.
    pub journal_queue_bytes: usize,
    /// Answers that may be awaited at the same time; who comes later waits for a place.
    pub requests_in_flight: usize,
    /// Threads that read documents, so that a long list does not hold up a short read.
    pub readers: usize,
    /// How often a failed disk is tried again.
    pub reopen_every: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 8 << 20,
            flush_every: Duration::from_millis(100),
            journal_queue_entries: 65_536,
            journal_queue_bytes: 64 << 20,
            requests_in_flight: 1_024,
            readers: 4,
            reopen_every: Duration::from_secs(5),
        }
    }
}
