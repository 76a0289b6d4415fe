//! What has to outlive the process: documents, the journal of each call, the rows of campaigns, the
//! outbox.
//!
//! # What each kind of data is promised
//!
//! | data | written when | survives `kill -9` | survives a power cut |
//! |---|---|---|---|
//! | documents, [`Store::outbox_add`], [`JournalWriter::append_durable`], [`Append::Durable`] | before the answer | yes | yes |
//! | [`JournalWriter::append`], [`Append::Behind`], [`Store::outbox_ack`] | at most 100 ms behind | all but the last 100 ms | what the kernel had written by then |
//!
//! The storage engine's own flush hands its pages to the kernel and waits for the disk to take them,
//! but neither the file's length nor the disk's cache is covered by that. What must survive a power
//! cut is therefore followed by `fdatasync` through a handle of this crate's own on the engine's data
//! file. Writes that wait at the same time share one flush. What the engine moves within its file
//! while it cleans up is ordered by its own flush alone.
//!
//! # Assumptions
//!
//! - One process owns a folder at a time; a lock file sees to it.
//! - The disk may be full, slow or gone. Documents and the outbox then answer with errors, journals
//!   count what they lose, and the engine is opened anew every few seconds until it works again.
//! - Nothing here waits with a limit of its own: who awaits an answer bounds it. A write whose caller
//!   gave up is carried out all the same.

mod campaigns;
mod documents;
mod engine;
mod error;
mod journal;
mod options;
mod outbox;
mod readers;
mod seal;
mod store;
mod writer;

pub use campaigns::{Append, CAMPAIGN_ROWS_MAX, CampaignPart};
pub use documents::{Bounds, Document, Kind, LIST_LIMIT_DEFAULT, ListFilter, Predicate};
pub use engine::{EngineError, Faults};
pub use error::StoreError;
pub use journal::JournalWriter;
pub use options::StoreOptions;
pub use outbox::OutboxRow;
pub use seal::{Place, SEAL_KEY_BYTES, SealError, Sealer};
pub use store::Store;
