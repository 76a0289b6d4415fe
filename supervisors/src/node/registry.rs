//! The running calls, and whose slots they have.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use offhook_actors::CallContext;
use offhook_core::slots::LeaseId;
use ractor::ActorRef;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Lease, calls::CallsMsg};

/// Longest wait for the supervisors to take a call: they wait for nothing themselves.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// The running calls by id.
#[derive(Clone)]
pub(crate) struct Registry {
    calls: Arc<RwLock<HashMap<Uuid, Handle>>>,
    changed: watch::Sender<()>,
    supervisor: Arc<RwLock<Option<ActorRef<CallsMsg>>>>,
}

pub(super) struct Handle {
    pub(super) context: Arc<CallContext>,
    pub(super) leg_token: String,
    /// As the contract names it: one of four.
    pub(super) call_type: String,
    /// Given back when the call leaves the registry, which is when its end is complete.
    pub(super) lease: Lease,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self { calls: Arc::default(), changed: watch::Sender::new(()), supervisor: Arc::default() }
    }

    pub(crate) fn set_supervisor(&self, actor: ActorRef<CallsMsg>) {
        *self.supervisor.write().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }

    pub(super) fn supervisor(&self) -> Option<ActorRef<CallsMsg>> {
        self.supervisor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn start(&self, context: Arc<CallContext>) -> bool {
        let Some(calls) = self.supervisor() else { return false };
        let asked = calls.call(|reply| CallsMsg::Start(context, reply), Some(START_TIMEOUT)).await;
        matches!(asked, Ok(ractor::rpc::CallResult::Success(true)))
    }

    pub(super) fn insert(&self, id: Uuid, handle: Handle) {
        active(&handle).increment(1);
        self.write(|calls| drop(calls.insert(id, handle)));
    }

    pub(crate) fn remove(&self, id: Uuid) {
        drop(self.take(id));
    }

    /// Removes a call without giving back its slot.
    pub(super) fn take(&self, id: Uuid) -> Option<Lease> {
        let mut lease = None;
        self.write(|calls| {
            if let Some(handle) = calls.remove(&id) {
                active(&handle).decrement(1);
                lease = Some(handle.lease);
            }
        });
        lease
    }

    /// Takes a call off the line that it changed over to; names its slot.
    pub(super) fn leave_line(&self, id: Uuid) -> Option<LeaseId> {
        let mut calls = self.calls.write().unwrap_or_else(PoisonError::into_inner);
        Some(calls.get_mut(&id)?.lease.leave_line())
    }

    /// Gives a call another line.
    pub(super) fn change_over(&self, id: Uuid, line: Lease) -> Option<()> {
        let mut calls = self.calls.write().unwrap_or_else(PoisonError::into_inner);
        calls.get_mut(&id)?.lease.change_over(line);
        Some(())
    }

    fn write(&self, change: impl FnOnce(&mut HashMap<Uuid, Handle>)) {
        let mut calls = self.calls.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut calls);
        drop(calls);
        self.changed.send_replace(());
    }

    pub(super) fn read<T>(&self, id: Uuid, look: impl FnOnce(&Handle) -> T) -> Option<T> {
        self.calls.read().unwrap_or_else(PoisonError::into_inner).get(&id).map(look)
    }

    pub(crate) fn all(&self) -> Vec<Arc<CallContext>> {
        let calls = self.calls.read().unwrap_or_else(PoisonError::into_inner);
        calls.values().map(|handle| handle.context.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.calls.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) async fn wait_until(&self, done: impl Fn(&HashMap<Uuid, Handle>) -> bool) {
        let mut changed = self.changed.subscribe();
        loop {
            if done(&self.calls.read().unwrap_or_else(PoisonError::into_inner)) {
                return;
            }
            // The sender lives in `self`.
            let _ = changed.changed().await;
        }
    }
}

/// The gauge of the running calls of this one's type.
fn active(handle: &Handle) -> metrics::Gauge {
    metrics::gauge!("offhook_calls_active", "type" => handle.call_type.clone())
}
