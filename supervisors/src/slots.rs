//! Concurrency slots: how many calls this node takes, and who waits for one.
//!
//! [`offhook_core::slots`] decides; here is the clock, the lock around it, and who is woken.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::select_ok;
use offhook_api::concurrency_limit;
use offhook_config::Calls;
use offhook_core::slots::{
    self, Answer, Grant, LeaseId, Limit, LineLimits, Rate, Refusal, Scope, Share, SlotRequest,
    SlotRules, Source, Usage,
};
use offhook_store::{Kind, Store};
use serde_json::Value;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout},
};
use uuid::Uuid;

/// The longest that a call may last (twelve hours in the contract), and a while: whoever still has
/// its slot then has forgotten it.
const LEASE_TTL: Duration = Duration::from_secs(12 * 60 * 60 + 15 * 60);

/// Requests that wait at once, of clients and of campaigns each: a request is a few hundred bytes.
const QUEUE_MAX: usize = 10_000;

/// The node's slots; cheap to clone.
#[derive(Clone)]
pub struct Slots {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    started: Instant,
    queue_ttl: Duration,
    /// There may be another deadline than before.
    changed: Notify,
}

struct State {
    table: slots::Slots,
    /// Who is told of a grant.
    waiting: HashMap<LeaseId, oneshot::Sender<Lease>>,
    /// Somebody waits, and a task looks after time for them.
    is_driven: bool,
}

/// What a client is told about slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLimits {
    pub limit: u32,
    pub in_use: u32,
}

/// A slot in use; dropping it gives it back.
pub struct Lease {
    shared: Arc<Shared>,
    id: LeaseId,
    /// The line that the call changed over to.
    line: Option<Box<Lease>>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.id).finish()
    }
}

/// Why there is no slot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSlot {
    #[error("{0}")]
    Refused(Refusal),
    #[error("no concurrency slot was free within {0:?}")]
    TooLong(Duration),
    /// The call that asks is over.
    #[error("the call has no slot any more")]
    Gone,
}

impl Slots {
    pub fn new(calls: &Calls) -> Self {
        let (slots, inbound_reserve) = (calls.concurrency_limit, calls.inbound_reserve);
        metrics::gauge!("offhook_slots_limit").set(slots);
        metrics::gauge!("offhook_slots_in_use").set(0);
        let table = slots::Slots::new(SlotRules {
            node: Limit { slots, inbound_reserve },
            lease_ttl: LEASE_TTL,
            queue_max: QUEUE_MAX,
        });
        let state = Mutex::new(State { table, waiting: HashMap::new(), is_driven: false });
        let (started, queue_ttl) = (Instant::now(), calls.queue_ttl);
        Self { shared: Arc::new(Shared { state, started, queue_ttl, changed: Notify::new() }) }
    }

    /// Takes a slot for a call of which nothing else is known; `None`: there is none.
    pub fn take(&self) -> Option<Lease> {
        self.take_now(of_a_client()).ok()
    }

    /// Takes a slot, or says at once why there is none.
    pub fn take_now(&self, request: SlotRequest) -> Result<Lease, Refusal> {
        match self.shared.ask(request, Duration::ZERO, None) {
            Answer::Granted(id) => Ok(self.lease(id)),
            Answer::Refused(refusal) => Err(refusal),
            Answer::Queued(_) => unreachable!("without a time to live nobody waits"),
        }
    }

    /// Takes a slot for a call that had one before the process was started anew, whatever the limit
    /// is by now.
    pub(crate) fn take_again(&self, request: SlotRequest) -> Lease {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let id = state.table.restore(now, request);
        self.shared.tell(state, Vec::new());
        self.lease(id)
    }

    /// Takes a slot, and waits for one if need be, `calls.queue_ttl` at most. Inbound calls do not
    /// wait.
    pub async fn take_in_turn(&self, request: SlotRequest) -> Result<Lease, NoSlot> {
        self.take_within(request, self.shared.queue_ttl).await
    }

    /// Takes a call over to another line, for whose number and carrier it waits, `patience` at most.
    /// Where that fails it has its slot and no line.
    pub async fn change_line(
        &self,
        lease: &mut Lease,
        line: &LineLimits,
        patience: Duration,
    ) -> Result<(), NoSlot> {
        let id = lease.leave_line();
        lease.change_over(self.take_line(id, line, patience).await?);
        Ok(())
    }

    /// What a call has another line with; see [`Lease::change_over`].
    pub(crate) async fn take_line(
        &self,
        call: LeaseId,
        line: &LineLimits,
        patience: Duration,
    ) -> Result<Lease, NoSlot> {
        self.heed(line);
        let mut left = None;
        self.shared.change(|table| left = table.leave_line(call));
        let left = left.ok_or(NoSlot::Gone)?;
        let request = SlotRequest {
            share: Share::Line,
            assistant: None,
            number: line.number.clone(),
            carrier: Some(line.carrier.clone()),
            ..left
        };
        self.take_within(request, patience.min(self.shared.queue_ttl)).await
    }

    async fn take_within(&self, request: SlotRequest, ttl: Duration) -> Result<Lease, NoSlot> {
        let since = Instant::now();
        let (told, granted) = oneshot::channel();
        let waiting = match self.shared.ask(request, ttl, Some(told)) {
            Answer::Granted(id) => {
                note_wait(Duration::ZERO);
                return Ok(self.lease(id));
            }
            Answer::Refused(refusal) => return Err(NoSlot::Refused(refusal)),
            // Whoever stops waiting withdraws the request by dropping this.
            Answer::Queued(id) => self.lease(id),
        };
        let lease = timeout(ttl, granted).await.ok().and_then(Result::ok);
        let lease = lease.ok_or(NoSlot::TooLong(ttl))?;
        // The two are one slot, which only the lease gives back.
        waiting.forget();
        note_wait(since.elapsed());
        Ok(lease)
    }

    /// The same for whichever of several requests is granted first; says which.
    pub async fn take_any_in_turn(
        &self,
        requests: Vec<SlotRequest>,
    ) -> Result<(usize, Lease), NoSlot> {
        let waits = requests.into_iter().enumerate().map(|(index, request)| {
            Box::pin(async move { Ok((index, self.take_in_turn(request).await?)) })
        });
        let mut waits = waits.peekable();
        if waits.peek().is_none() {
            return Err(NoSlot::TooLong(Duration::ZERO));
        }
        // Those that are dropped are withdrawn, or given back.
        let (granted, _) = select_ok(waits).await?;
        Ok(granted)
    }

    /// Takes the limits of a phone number and of its carrier as they are by now.
    pub fn heed(&self, line: &LineLimits) {
        self.shared.change(|table| table.heed(line));
    }

    /// Takes the limit of a stored assistant as it is by now. One that cannot be read keeps what it had:
    /// whoever sets the call up finds out.
    pub async fn heed_assistant(&self, store: &Store, org: &str, assistant: &str) {
        let Ok(id) = Uuid::try_parse(assistant) else { return };
        if let Ok(Some(found)) = store.get(org, Kind::Assistant, id).await {
            self.heed_assistant_of(assistant, &found.body);
        }
    }

    /// The same where its document is at hand.
    pub fn heed_assistant_of(&self, assistant: &str, document: &Value) {
        let limit = concurrency_limit(document).map(Limit::of);
        self.set_limit(Scope::Assistant(assistant.into()), limit);
    }

    /// Counts a call towards its carrier's rate that needs no slot.
    pub fn count_call(&self, carrier: &Arc<str>) {
        let now = self.shared.now();
        self.shared.change(|table| table.count_call(now, carrier));
    }

    /// Limits an organisation, an assistant, a phone number or a campaign from now on.
    pub fn set_limit(&self, scope: Scope, limit: Option<Limit>) {
        self.shared.change(|table| table.set_limit(scope, limit));
    }

    /// Limits how fast a carrier is asked to dial.
    pub fn set_rate(&self, carrier: Arc<str>, rate: Option<Rate>) {
        self.shared.change(|table| table.set_rate(carrier, rate));
    }

    pub fn usage(&self, scope: &Scope) -> Usage {
        self.shared.lock().table.usage(scope)
    }

    pub fn limits(&self) -> SlotLimits {
        let usage = self.usage(&Scope::Node);
        let limit = usage.limit.map_or(0, |limit| limit.slots);
        SlotLimits { limit, in_use: usage.in_use() }
    }

    /// What an organisation has: its own limit where it is lower than the node's, and as much of it in
    /// use as leaves what it may still have.
    pub fn limits_of(&self, org: &str) -> SlotLimits {
        let node = self.limits();
        let usage = self.usage(&Scope::Org(org.into()));
        let Some(own) = usage.limit.filter(|own| own.slots < node.limit) else { return node };
        let free = own.slots.saturating_sub(usage.in_use());
        let free = free.min(node.limit.saturating_sub(node.in_use));
        SlotLimits { limit: own.slots, in_use: own.slots - free }
    }

    fn lease(&self, id: LeaseId) -> Lease {
        Lease { shared: self.shared.clone(), id, line: None }
    }
}

fn note_wait(wait: Duration) {
    metrics::histogram!("offhook_slot_queue_seconds").record(wait);
}

/// What counts for the node alone.
fn of_a_client() -> SlotRequest {
    SlotRequest::new(Source::Interactive, Arc::default())
}

impl Lease {
    /// Gives up the line that the call changed over to, if it did; names its slot.
    pub(crate) fn leave_line(&mut self) -> LeaseId {
        self.line = None;
        self.id
    }

    /// Whether the call may use this line: it was granted with its number and its carrier.
    pub fn is_for(&self, line: &LineLimits) -> bool {
        let lease = self.line.as_deref().unwrap_or(self);
        let state = self.shared.lock();
        state.table.request_of(lease.id).is_some_and(|request| {
            request.number == line.number && request.carrier.as_ref() == Some(&line.carrier)
        })
    }

    /// Keeps the line that the call changed over to, for as long as its slot.
    pub(crate) fn change_over(&mut self, line: Lease) {
        self.line = Some(Box::new(line));
    }

    /// Counts the call in the slots of its assistant, who was not known when it was granted.
    pub fn assign(&self, assistant: Arc<str>) -> Result<(), Refusal> {
        self.shared.lock().table.assign(self.id, assistant)
    }

    /// Gives up the right to give the slot back.
    fn forget(mut self) {
        // No lease has this id.
        self.id = LeaseId(0);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let id = self.id;
        drop(self.shared.lock().waiting.remove(&id));
        self.shared.change(|table| {
            table.release(id);
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn ask(
        self: &Arc<Self>,
        request: SlotRequest,
        ttl: Duration,
        told: Option<oneshot::Sender<Lease>>,
    ) -> Answer {
        let now = self.now();
        let mut state = self.lock();
        // Leases that expired are free before anybody is refused.
        let mut grants = state.table.tick(now).grants;
        let answer = state.table.request(now, request, ttl);
        if let (Answer::Queued(id), Some(told)) = (&answer, told) {
            state.waiting.insert(*id, told);
            if !mem::replace(&mut state.is_driven, true) {
                tokio::spawn(self.clone().drive());
            }
        }
        grants.extend(state.table.tick(now).grants);
        self.tell(state, grants);
        answer
    }

    /// Changes something, and serves whoever can be served then.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut slots::Slots)) {
        let now = self.now();
        let mut state = self.lock();
        change(&mut state.table);
        let grants = state.table.tick(now).grants;
        self.tell(state, grants);
    }

    /// Hands the slots out. The lock is given up first: whoever is gone drops its lease, which takes
    /// the lock.
    fn tell(self: &Arc<Self>, mut state: MutexGuard<'_, State>, grants: Vec<Grant>) {
        let in_use = state.table.usage(&Scope::Node).in_use();
        metrics::gauge!("offhook_slots_in_use").set(in_use);
        let told: Vec<_> =
            grants.iter().map(|grant| (grant.id, state.waiting.remove(&grant.id))).collect();
        if state.is_driven {
            self.changed.notify_one();
        }
        drop(state);
        for (id, told) in told {
            let lease = Lease { shared: self.clone(), id, line: None };
            if let Some(told) = told {
                // A lease that nobody takes is dropped, and so given back.
                drop(told.send(lease));
            }
        }
    }

    /// Serves those who wait when a carrier's rate or an expired lease lets one of them go on, until
    /// nobody waits.
    async fn drive(self: Arc<Self>) {
        loop {
            let wait = {
                let mut state = self.lock();
                if state.waiting.is_empty() {
                    state.is_driven = false;
                    return;
                }
                let due = state.table.next_deadline().map(|(due, _)| due);
                due.map_or(Duration::MAX, |due| due.saturating_sub(self.now()))
            };
            if timeout(wait, self.changed.notified()).await.is_err() {
                self.change(|_| {});
            }
        }
    }
}

#[cfg(test)]
mod tests;
