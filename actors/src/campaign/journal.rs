//! The journal of a campaign: its facts on their way to the disk, in their order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use offhook_core::campaign::{Attempt, ContactId, Fact};
use offhook_store::{Append, CAMPAIGN_ROWS_MAX, CampaignPart, Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};
use uuid::Uuid;

use crate::Leaf;

/// Facts that may wait for the disk. A campaign that skips contacts makes 256 at a time.
const QUEUE_MAX: usize = 16_384;

/// With less room than this, the campaign is to wait for the disk.
const ROOM_MIN: usize = 2_048;

/// How often facts are offered to a disk that refuses them.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// A row of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    #[serde(flatten)]
    pub fact: Fact,
    /// The ended reason of a call that finished. Its name in the row is none that a fact has.
    #[serde(rename = "ended", default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Entry {
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("facts have string keys")
    }

    pub fn decode(row: &[u8]) -> Option<Self> {
        serde_json::from_slice(row).ok()
    }
}

/// Who may write: the latest owner of a campaign. Shared by all of them, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Ownership(Arc<AtomicU64>);

/// One owner's right to write.
#[derive(Clone, Debug)]
pub struct Token {
    of: Ownership,
    number: u64,
}

impl Ownership {
    /// Takes the campaign over: whoever had it writes nothing any more.
    pub fn take(&self) -> Token {
        Token { of: self.clone(), number: self.0.fetch_add(1, Ordering::SeqCst) + 1 }
    }
}

impl Token {
    pub fn is_valid(&self) -> bool {
        self.of.0.load(Ordering::SeqCst) == self.number
    }
}

/// The way into the journal; its writer ends with it.
#[derive(Debug)]
pub struct Journal {
    queue: mpsc::Sender<Item>,
    _writer: Leaf,
}

#[derive(Debug)]
enum Item {
    Entry(Entry),
    /// To be on disk before anything is done about it.
    Intent(Entry, ContactId, Attempt),
    /// Answered when everything before is on disk.
    Barrier(oneshot::Sender<()>),
}

impl Journal {
    /// `tell` learns whether an intent is on disk.
    pub fn new(
        store: Store,
        campaign: Uuid,
        token: Token,
        tell: impl Fn(ContactId, Attempt, bool) + Send + 'static,
    ) -> Self {
        let (queue, items) = mpsc::channel(QUEUE_MAX);
        let writer = Leaf::spawn(write(store, campaign, token, items, tell));
        Self { queue, _writer: writer }
    }

    /// Whether the disk keeps up.
    pub fn has_room(&self) -> bool {
        self.queue.capacity() >= ROOM_MIN
    }

    pub fn append(&self, entry: Entry) {
        self.put(Item::Entry(entry));
    }

    /// Has an intent written down. Without room it is never told of, and runs into its time limit.
    pub fn append_intent(&self, entry: Entry, contact: ContactId, attempt: Attempt) {
        self.put(Item::Intent(entry, contact, attempt));
    }

    /// Tells when everything that was appended before is on disk.
    pub fn barrier(&self) -> oneshot::Receiver<()> {
        let (told, done) = oneshot::channel();
        self.put(Item::Barrier(told));
        done
    }

    fn put(&self, item: Item) {
        if self.queue.try_send(item).is_err() {
            metrics::counter!("offhook_journal_lost_entries_total").increment(1);
            tracing::error!("fact of a campaign lost, the disk is slower than its calls");
        }
    }
}

async fn write(
    store: Store,
    campaign: Uuid,
    token: Token,
    mut items: mpsc::Receiver<Item>,
    tell: impl Fn(ContactId, Attempt, bool),
) {
    let mut batch = Vec::new();
    loop {
        let room = CAMPAIGN_ROWS_MAX - batch.len();
        if room > 0 && (batch.is_empty() || !items.is_empty()) {
            items.recv_many(&mut batch, room).await;
        }
        if batch.is_empty() {
            return;
        }
        let mut rows = Vec::with_capacity(batch.len());
        let mut append = Append::Behind;
        for item in &batch {
            match item {
                Item::Entry(entry) => rows.push(entry.encode()),
                Item::Intent(entry, ..) => {
                    append = Append::Durable;
                    rows.push(entry.encode());
                }
                Item::Barrier(_) => append = Append::Durable,
            }
        }
        let may_write = {
            let token = token.clone();
            move || token.is_valid()
        };
        let facts = CampaignPart::Facts;
        match store.campaign_append(campaign, facts, rows, append, may_write).await {
            Ok(_) => {
                for item in batch.drain(..) {
                    match item {
                        Item::Entry(_) => {}
                        Item::Intent(_, contact, attempt) => tell(contact, attempt, true),
                        // Whoever asked may have given up.
                        Item::Barrier(told) => drop(told.send(())),
                    }
                }
            }
            Err(StoreError::Superseded { .. }) => return,
            Err(error) => {
                tracing::error!(%campaign, %error, waiting = batch.len(), "campaign's journal cannot be written");
                // An intent is not offered again: by then it may be too late to call. It may be on disk
                // all the same, and is revoked there by the fact that comes of this.
                batch.retain(|item| match item {
                    Item::Entry(_) => true,
                    Item::Intent(_, contact, attempt) => {
                        tell(*contact, *attempt, false);
                        false
                    }
                    Item::Barrier(told) => !told.is_closed(),
                });
                sleep(RETRY_EVERY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use offhook_core::campaign::{Close, LineId, Outcome, Skip, WallTime};

    use super::*;

    #[test]
    fn every_fact_is_read_as_it_was_written() {
        let (contact, attempt, at) = (ContactId(7), Attempt(2), WallTime::ZERO);
        let (line, how, why) = (LineId(1), Close::TooLate, Skip::DoNotCall);
        let outcome = Outcome::Busy;
        let facts = [
            Fact::Began,
            Fact::Paused,
            Fact::Resumed,
            Fact::Closed { how },
            Fact::Intended { contact, attempt, line, at },
            Fact::Revoked { contact, attempt },
            Fact::Placed { contact, attempt },
            Fact::Finished { contact, attempt, outcome, retry_at: Some(at) },
            Fact::Skipped { contact, why },
            Fact::PredialFailed { contact },
            Fact::Unclear { contact, attempt },
        ];
        for fact in facts {
            for why in [None, Some("customer-busy".to_owned())] {
                let entry = Entry { fact, why };
                assert_eq!(Entry::decode(&entry.encode()), Some(entry));
            }
        }
    }
}
