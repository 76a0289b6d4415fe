//! The providers that may serve a stage of a call, and who serves it now.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use offhook_core::{CallTime, Failover, Intensity, Stage};
use offhook_providers::{llm::Llm, stt::Stt, tts::Tts};

use crate::provider_health::{HealthKey, ProviderHealth};

/// A provider and what its document calls it.
pub struct Staged<P: ?Sized> {
    pub name: String,
    pub provider: Arc<P>,
    /// Whose health it shares.
    pub health: HealthKey,
}

impl<P: ?Sized> Staged<P> {
    /// A provider that is reached in but one way.
    pub fn new(stage: Stage, name: &str, provider: Arc<P>) -> Self {
        Self { name: name.to_owned(), provider, health: HealthKey::new(stage, name) }
    }
}

impl<P: ?Sized> Clone for Staged<P> {
    fn clone(&self) -> Self {
        let Self { name, provider, health } = self;
        Self { name: name.clone(), provider: provider.clone(), health: health.clone() }
    }
}

/// Who may serve a stage, in the order in which they are promoted; never empty.
pub struct Roster<P: ?Sized>(Vec<Staged<P>>);

impl<P: ?Sized> Roster<P> {
    /// `None`: there is nobody.
    pub fn new(candidates: Vec<Staged<P>>) -> Option<Self> {
        (!candidates.is_empty()).then_some(Self(candidates))
    }

    pub fn candidates(&self) -> &[Staged<P>] {
        &self.0
    }

    /// The one that is wanted, whether it serves or not.
    pub fn first(&self) -> &Staged<P> {
        &self.0[0]
    }
}

impl<P: ?Sized> Clone for Roster<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: ?Sized> From<Staged<P>> for Roster<P> {
    fn from(only: Staged<P>) -> Self {
        Self(vec![only])
    }
}

/// The providers of a call.
#[derive(Clone)]
pub struct Stages {
    pub transcriber: Roster<dyn Stt>,
    pub model: Roster<dyn Llm>,
    pub voice: Roster<dyn Tts>,
}

/// Who serves a stage, and what its sessions went through: the part that outlives the stage's actor.
pub(crate) struct Succession {
    failover: Mutex<Failover>,
    /// The session at hand was opened; set by its task.
    pub opened: Arc<AtomicBool>,
    /// When the session was lost in whose place nothing has been heard yet.
    lost_at: Mutex<Option<CallTime>>,
}

impl Succession {
    /// `start`: who serves first.
    pub fn new(candidates: usize, start: usize, intensity: Intensity) -> Self {
        Self {
            failover: Mutex::new(Failover::new(candidates, start, intensity)),
            opened: Arc::default(),
            lost_at: Mutex::default(),
        }
    }

    pub fn failover(&self) -> MutexGuard<'_, Failover> {
        self.failover.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn current(&self) -> usize {
        self.failover().current()
    }

    /// Prefers to wait for a provider that says that it will be back within this.
    pub fn waiting(self, retry_after_max: Duration) -> Self {
        let failover = self.failover.into_inner().unwrap_or_else(PoisonError::into_inner);
        Self { failover: Mutex::new(failover.waiting(retry_after_max)), ..self }
    }

    pub fn has_other(&self, now: CallTime) -> bool {
        self.failover().has_other(now)
    }

    /// Takes note that the session is gone; true when it had been open.
    pub fn lost(&self, now: CallTime) -> bool {
        self.lost_at().get_or_insert(now);
        self.opened.swap(false, Ordering::AcqRel)
    }

    /// A session answers. How long nothing did, if one was lost.
    pub fn answered(&self, now: CallTime) -> Option<Duration> {
        self.lost_at().take().map(|at| now.after(at))
    }

    fn lost_at(&self) -> MutexGuard<'_, Option<CallTime>> {
        self.lost_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who serves first: the first whose breaker lets it be asked, else the one that is wanted.
pub(crate) fn first_well<P: ?Sized>(roster: &Roster<P>, health: &ProviderHealth) -> usize {
    let is_well = |staged: &Staged<P>| health.allows(&staged.health);
    roster.candidates().iter().position(is_well).unwrap_or_default()
}
