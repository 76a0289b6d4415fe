//! Providers that do what a script says, on audio and text that are real.
//!
//! They speak and hear in [`tones`](crate::tones), so that every word on the way is accounted for,
//! and run on tokio's clock, so that a call of minutes is tested in milliseconds.

mod llm;
mod stt;
mod tts;

pub use llm::{FakeLlm, Fault, Line, Reply, Resuming, last_user};
pub use stt::FakeStt;
pub use tts::FakeTts;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts the sessions or requests of a fake: opened so far, and open now.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    opened: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Sessions {
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Acquire)
    }

    /// Sessions that were neither closed nor dropped yet.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn begin(&self) -> Session {
        self.opened.fetch_add(1, Ordering::AcqRel);
        self.open.fetch_add(1, Ordering::AcqRel);
        Session(self.open.clone())
    }
}

pub(crate) struct Session(Arc<AtomicUsize>);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
