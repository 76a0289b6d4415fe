//! What happened behind the call, with the time of each: for measures that begin with a fault, and
//! for the picture of a run.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::fault::Who;

/// Notes of one run; beyond them nothing is kept.
const NOTES_MAX: usize = 100_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Since the run began.
    pub at: Duration,
    /// The call it belongs to, by its number in the run.
    pub call: usize,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A provider is asked for a session or a reply.
    Asked(Who),
    /// The node asks a provider that was down whether it is well again.
    Probed(Who),
    Refused(Who),
    Opened(Who),
    /// A session is given its first audio or text.
    Fed(Who),
    /// A session says its first word.
    Spoke(Who),
    /// A session or a reply is over, whoever ended it.
    Left(Who),
    /// Something was broken.
    Broke(String),
    /// An actor was started again.
    Restarted(String),
}

/// Takes the notes of a run.
#[derive(Clone)]
pub struct Trace {
    began: Instant,
    notes: Arc<Mutex<Vec<Note>>>,
}

impl Trace {
    pub fn begin() -> Self {
        Self { began: Instant::now(), notes: Arc::default() }
    }

    pub fn note(&self, call: usize, what: What) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES_MAX {
            notes.push(Note { at: self.began.elapsed(), call, what });
        }
    }

    /// Since the run began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
