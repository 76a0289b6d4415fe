use std::path::PathBuf;

use thiserror::Error;
use uuid::Uuid;

use crate::EngineError;

/// Why the store could not do what it was asked.
///
/// An error of a write means that it is not promised to be there, not that it is certainly absent: a
/// disk that failed while flushing may have kept it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    #[error(
        "cannot open the store in `{path}`: another process{} has it open; stop that process or \
         set `store.path` to another folder", holder(*.pid)
    )]
    Locked { path: PathBuf, pid: Option<u32> },

    #[error(
        "cannot open the store in `{path}`: {reason}; the folder must be writable and hold what \
         offhook wrote; if it is damaged, restore it from a backup or set `store.path` to an \
         empty folder"
    )]
    Open { path: PathBuf, reason: String },

    #[error(
        "the store in `{path}` has layout {found}, this version of offhook reads layout \
         {known}: use the version that wrote it, or a newer one"
    )]
    Layout { path: PathBuf, found: String, known: u32 },

    #[error(transparent)]
    Engine(#[from] EngineError),

    #[error("cannot read {what}: its stored form is damaged; restore the store from a backup")]
    Corrupt { what: String },

    #[error("organisation name of {length} bytes, at most {max} bytes can be stored")]
    OrgTooLong { length: usize, max: usize },

    #[error("the journal of call {call} was dropped; nothing can be added to it")]
    JournalDropped { call: Uuid },

    #[error("campaign {campaign} has another owner by now; nothing was added to it")]
    Superseded { campaign: Uuid },

    #[error(
        "cannot start the threads of the store: {0}; the system's limit of processes may be reached"
    )]
    Threads(String),

    #[error("the store is closed")]
    Closed,

    #[error("the operation on the store panicked")]
    Panicked,
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
