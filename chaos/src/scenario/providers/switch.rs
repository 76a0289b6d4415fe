use std::{
    future::{Future, pending},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use offhook_actors::{HealthKey, News, NewsReader, ProviderHealth};
use offhook_core::{BreakerState, FailureClass};
use offhook_providers::ProviderError;
use tokio::time::sleep;

use crate::scenario::{
    fault::{Trouble, Who},
    trace::{Trace, What},
};

/// Breaks one provider, and knows how far it has come.
#[derive(Clone)]
pub struct Switch {
    inner: Arc<Inner>,
}

struct Inner {
    who: Who,
    key: HealthKey,
    health: ProviderHealth,
    call: usize,
    trace: Trace,
    state: Mutex<State>,
    changed: News,
    open: AtomicUsize,
}

#[derive(Default)]
struct State {
    trouble: Option<Trouble>,
    /// Times that all sessions were dropped.
    drops: u64,
    /// Words understood, generated or spoken so far.
    words: f32,
    /// What happens when it has come so far.
    armed: Vec<(f32, Box<dyn FnOnce() + Send>)>,
}

/// One session or reply of a provider, as long as it lives.
pub struct Life {
    switch: Switch,
    drops: u64,
    is_muted: bool,
    has_spoken: bool,
    breaks_rules: bool,
    is_over: bool,
}

impl Switch {
    pub fn new(who: Who, health: ProviderHealth, trace: Trace, call: usize) -> Self {
        let inner = Inner {
            who,
            key: HealthKey::new(who.stage, &who.name()),
            health,
            call,
            trace,
            state: Mutex::default(),
            changed: News::default(),
            open: AtomicUsize::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Brings it into trouble, or out of it.
    pub fn set(&self, trouble: Option<Trouble>) {
        self.state().trouble = trouble;
        self.inner.changed.tell();
    }

    /// Ends every session that is open now.
    pub fn drop_sessions(&self) {
        self.state().drops += 1;
        self.inner.changed.tell();
    }

    /// Does something when the provider has come so many words far.
    pub fn arm(&self, words: f32, action: impl FnOnce() + Send + 'static) {
        self.state().armed.push((words, Box::new(action)));
    }

    pub fn open(&self) -> usize {
        self.inner.open.load(Ordering::Acquire)
    }

    /// Carries out a request for a session, as the trouble at hand allows.
    pub async fn admit<T>(
        &self,
        open: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<(Life, T), ProviderError> {
        let trouble = self.state().trouble;
        self.note(if self.is_probed() {
            What::Probed(self.inner.who)
        } else {
            What::Asked(self.inner.who)
        });
        if let Some(error) = trouble.and_then(Trouble::refusal) {
            self.note(What::Refused(self.inner.who));
            return Err(error);
        }
        if trouble == Some(Trouble::Hangs) {
            pending::<()>().await;
        }
        let life = Life::begin(self.clone());
        let opened = open.await?;
        self.note(What::Opened(self.inner.who));
        Ok((life, opened))
    }

    /// Whether this is the node's own question: no call asks while a probe is under way.
    fn is_probed(&self) -> bool {
        let rows = self.inner.health.rows("");
        let mut own = rows.iter().filter(|row| row.key == self.inner.key);
        own.any(|row| row.state == BreakerState::HalfOpen)
    }

    /// The provider has come further.
    fn advance(&self, words: f32) {
        let due: Vec<_> = {
            let mut state = self.state();
            state.words += words;
            // Parts of words add up with a small error.
            let reached = state.words + 0.01;
            state.armed.extract_if(.., |(words, _)| *words <= reached).collect()
        };
        for (_, action) in due {
            action();
        }
    }

    fn note(&self, what: What) {
        self.inner.trace.note(self.inner.call, what);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Life {
    fn begin(switch: Switch) -> Self {
        switch.inner.open.fetch_add(1, Ordering::AcqRel);
        let drops = switch.state().drops;
        Self {
            switch,
            drops,
            is_muted: false,
            has_spoken: false,
            breaks_rules: false,
            is_over: false,
        }
    }

    /// Wakes whoever must look whether a session still works.
    pub fn changes(&self) -> NewsReader {
        self.switch.inner.changed.reader()
    }

    /// The error that ends it now, if one does.
    pub fn fatal(&mut self) -> Option<ProviderError> {
        let (drops, trouble) = {
            let state = self.switch.state();
            (state.drops, state.trouble)
        };
        self.is_muted |= trouble.is_some_and(Trouble::silences);
        let error = if drops != self.drops {
            ProviderError::new(FailureClass::Closed, "dropped on purpose")
        } else if self.breaks_rules {
            ProviderError::new(FailureClass::Closed, "closed: audio came too fast")
        } else if trouble == Some(Trouble::Garbles) {
            ProviderError::new(FailureClass::Protocol, "garbled on purpose")
        } else {
            return None;
        };
        Some(error)
    }

    pub fn is_muted(&self) -> bool {
        self.is_muted
    }

    pub fn reads(&self) -> bool {
        self.switch.state().trouble != Some(Trouble::HalfOpen)
    }

    /// How much later than usual what is said comes.
    pub fn late_by(&self) -> Duration {
        match self.switch.state().trouble {
            Some(Trouble::Late(by)) => by,
            Some(
                Trouble::Refuses(_)
                | Trouble::Hangs
                | Trouble::Mute
                | Trouble::HalfOpen
                | Trouble::Garbles,
            )
            | None => Duration::ZERO,
        }
    }

    /// It is about to say so many words.
    pub fn says(&mut self, words: f32) {
        if words > 0.0 && !std::mem::replace(&mut self.has_spoken, true) {
            self.switch.note(What::Spoke(self.switch.inner.who));
        }
        self.switch.advance(words);
    }

    pub fn fed(&self) {
        self.switch.note(What::Fed(self.switch.inner.who));
    }

    /// It broke a rule of the provider, which closes it.
    pub fn close(&mut self) {
        self.breaks_rules = true;
        self.switch.inner.changed.tell();
    }

    /// Nothing more is said in it: whoever listens may go.
    pub fn fall_silent(&mut self) {
        self.is_over = true;
        self.switch.inner.changed.tell();
    }

    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.switch.inner.open.fetch_sub(1, Ordering::AcqRel);
        self.switch.note(What::Left(self.switch.inner.who));
    }
}

/// Clears a trouble after a while, unless there is another by then.
pub fn recover_after(switch: Switch, trouble: Trouble, lasts: Duration) {
    tokio::spawn(async move {
        sleep(lasts).await;
        let is_the_same = switch.state().trouble == Some(trouble);
        if is_the_same {
            switch.set(None);
        }
    });
}
