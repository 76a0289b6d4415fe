//! What the campaigns of a node share, and which of them are to be carried out.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, OnceLock, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use offhook_actors::{
    Outbox,
    campaign::{CampaignMsg, CampaignSpec, Numbers, Ownership},
    egress::Egress,
};
use offhook_core::campaign::NumberKey;
use offhook_store::Store;
use ractor::ActorRef;
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

use super::{CampaignsMsg, Clock, Dialer};
use crate::{Lease, Slots};

pub(super) type CampaignRef = ActorRef<CampaignMsg<Lease>>;

pub(crate) struct Shared {
    pub(super) store: Store,
    pub(super) slots: Slots,
    pub(super) egress: Egress,
    pub(super) outbox: Outbox,
    pub(super) clock: Clock,
    pub(super) numbers: Numbers,
    pub(super) dialer: OnceLock<Arc<dyn Dialer>>,
    pub(super) supervisor: RwLock<Option<ActorRef<CampaignsMsg>>>,
    pub(super) open: RwLock<HashMap<Uuid, Open>>,
    /// Numbers of lists that are being filled.
    pub(super) drafts: Mutex<HashMap<Uuid, HashSet<NumberKey>>>,
    /// Organisations whose do-not-call lists are in memory.
    pub(super) listed: Mutex<HashSet<Arc<str>>>,
    /// Organisations whose single calls are in memory.
    pub(super) recalled: Mutex<HashSet<Arc<str>>>,
    pub(super) has_history: Mutex<bool>,
    pub(super) readers: Semaphore,
    pub(super) draining: AtomicBool,
}

/// A campaign that is to be carried out.
pub(super) struct Open {
    pub(super) spec: Arc<CampaignSpec>,
    pub(super) ownership: Ownership,
    pub(super) actor: Option<CampaignRef>,
    pub(super) is_filed: Arc<AtomicBool>,
    /// It was paused or stopped.
    pub(super) is_halted: bool,
}

impl Shared {
    pub(super) fn open(&self) -> RwLockWriteGuard<'_, HashMap<Uuid, Open>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all campaigns from their actors; names them.
    pub(super) fn take_over(&self) -> Vec<Uuid> {
        let mut open = self.open();
        for actor in open.values_mut().filter_map(|open| open.actor.take()) {
            actor.kill();
        }
        open.keys().copied().collect()
    }

    /// A campaign that is to be carried out and has no actor.
    pub(super) fn waiting(&self, id: Uuid) -> Option<(Arc<CampaignSpec>, Ownership)> {
        let open = self.open();
        let waiting = open.get(&id).filter(|open| open.actor.is_none())?;
        Some((waiting.spec.clone(), waiting.ownership.clone()))
    }

    pub(super) fn set_actor(&self, id: Uuid, actor: CampaignRef) {
        if let Some(open) = self.open().get_mut(&id) {
            open.actor = Some(actor);
        }
    }

    pub(super) fn forget_actor(&self, id: Uuid) {
        if let Some(open) = self.open().get_mut(&id) {
            open.actor = None;
        }
    }

    pub(super) fn close(&self, id: Uuid) -> Option<CampaignRef> {
        let open = self.open().remove(&id)?;
        // Whoever still has it writes nothing any more.
        open.ownership.take();
        open.actor
    }

    pub(super) fn note_halted(&self, id: Uuid, is_halted: bool) {
        if let Some(open) = self.open().get_mut(&id) {
            open.is_halted = is_halted;
        }
    }

    pub(super) fn note_filed(&self, id: Uuid) {
        if let Some(open) = self.open().get(&id) {
            open.is_filed.store(true, Ordering::Release);
        }
    }

    pub(super) fn is_filed(&self, id: Uuid) -> bool {
        self.open().get(&id).is_none_or(|open| open.is_filed.load(Ordering::Acquire))
    }

    pub(super) fn dialer(&self) -> Option<Arc<dyn Dialer>> {
        self.dialer.get().cloned()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
