//! Concurrency slots: who may have a call now, who waits, who is refused.
//!
//! A slot is a lease. It counts in every [`Scope`] that its call belongs to, and is given back once:
//! by [`Slots::release`], or by the reaper when nobody renewed it. Inbound calls are granted or
//! refused at once. Outbound ones may wait, interactive ones before campaigns, and whoever was served
//! longest ago first.
//!
//! Times count from the start of the node.

mod queue;
mod usage;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, mem,
    sync::Arc,
    time::Duration,
};

pub use self::usage::{Limit, Rate, Scope, Usage};
use self::{
    queue::{Queue, Waiting},
    usage::Usages,
};

/// What holds for a node as a whole.
#[derive(Clone, Copy, Debug)]
pub struct SlotRules {
    pub node: Limit,
    /// How long a lease lasts that nobody renews: what a crashed owner holds is free after it.
    pub lease_ttl: Duration,
    /// Requests that wait at once, of interactive calls and of campaigns each.
    pub queue_max: usize,
}

/// Names a lease, and before it is granted the request for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

/// Where a call comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Somebody calls: there is no waiting.
    Inbound,
    /// A client asked for this one call.
    Interactive,
    Campaign(Arc<str>),
}

/// What of a call a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    #[default]
    Call,
    /// Its phone number and carrier alone: the call has a slot, and changes over to another line.
    Line,
}

/// A wish for a slot. Requests that are equal in all of this wait in one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotRequest {
    pub source: Source,
    pub share: Share,
    pub org: Arc<str>,
    pub assistant: Option<Arc<str>>,
    /// The phone number of ours that the call uses.
    pub number: Option<Arc<str>>,
    /// Who is asked to dial; only outbound calls count towards its rate.
    pub carrier: Option<Arc<str>>,
}

impl SlotRequest {
    /// For a call of which nothing else is known.
    pub fn new(source: Source, org: Arc<str>) -> Self {
        Self { source, share: Share::Call, org, assistant: None, number: None, carrier: None }
    }
}

/// What is known of a phone number of ours when a call over it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct LineLimits {
    /// `None`: a request brought the number itself.
    pub number: Option<Arc<str>>,
    /// Calls over the number at the same time.
    pub slots: Option<u32>,
    /// Calls that begin from the number.
    pub number_rate: Option<Rate>,
    /// The account that its carrier is asked with.
    pub carrier: Arc<str>,
    pub carrier_rate: Option<Rate>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Granted(LeaseId),
    /// [`Slots::tick`] says when it is granted, or that its time is over.
    Queued(LeaseId),
    Refused(Refusal),
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// All slots that this source may use are taken.
    Full {
        scope: Scope,
        limit: u32,
    },
    /// There is no slot that this source may ever use.
    Never {
        scope: Scope,
    },
    TooFast {
        carrier: Arc<str>,
    },
    QueueFull {
        limit: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { scope, limit } => {
                write!(f, "all {limit} concurrency slots of {scope} are taken")
            }
            Self::Never { scope } => {
                write!(f, "{scope} has no concurrency slot for calls of this kind")
            }
            Self::TooFast { carrier } => {
                write!(f, "`{carrier}` is asked for as many calls a second as it takes")
            }
            Self::QueueFull { limit } => write!(f, "{limit} calls wait for a slot already"),
        }
    }
}

/// A request that waited and was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: LeaseId,
    pub waited: Duration,
}

/// What happened by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    pub grants: Vec<Grant>,
    /// Requests whose time to live is over. They hold nothing.
    pub given_up: Vec<LeaseId>,
    /// Leases that nobody renewed. They are released.
    pub reaped: Vec<LeaseId>,
}

/// All slots of a node.
#[derive(Clone, Debug)]
pub struct Slots {
    rules: SlotRules,
    usages: Usages,
    leases: BTreeMap<LeaseId, Lease>,
    queue: Queue,
    /// By when: leases and waiting requests alike.
    expiries: BTreeSet<(Duration, LeaseId)>,
    /// Nobody who waits could be granted a slot when last looked at, and nothing was freed since.
    is_settled: bool,
    /// When a carrier's rate lets somebody go on who waits.
    rate_due: Option<Duration>,
    /// Granted while another request was handled; told by the next tick.
    untold: Vec<Grant>,
    next_id: u64,
}

#[derive(Clone, Debug)]
struct Lease {
    request: SlotRequest,
    expires_at: Duration,
}

impl Slots {
    pub fn new(rules: SlotRules) -> Self {
        let mut usages = Usages::default();
        usages.set_limit(Scope::Node, Some(rules.node));
        Self {
            rules,
            usages,
            leases: BTreeMap::new(),
            queue: Queue::default(),
            expiries: BTreeSet::new(),
            is_settled: true,
            rate_due: None,
            untold: Vec::new(),
            next_id: 1,
        }
    }

    /// Limits a scope from now on; `None` lifts its limit. Leases above a lower limit run on.
    pub fn set_limit(&mut self, scope: Scope, limit: Option<Limit>) {
        if self.usages.of(&scope).limit != limit {
            self.usages.set_limit(scope, limit);
            self.is_settled = false;
        }
    }

    /// Limits how fast a carrier is asked to dial.
    pub fn set_rate(&mut self, carrier: Arc<str>, rate: Option<Rate>) {
        self.usages.set_rate(carrier, rate);
        self.is_settled = false;
    }

    /// Limits how fast calls begin from a phone number.
    pub fn set_number_rate(&mut self, number: Arc<str>, rate: Option<Rate>) {
        self.usages.set_number_rate(number, rate);
        self.is_settled = false;
    }

    /// Takes the limits of a phone number and of its carrier as they are by now.
    pub fn heed(&mut self, line: &LineLimits) {
        if let Some(number) = &line.number {
            self.set_limit(Scope::Number(number.clone()), line.slots.map(Limit::of));
        }
        if !self.usages.has_rates(line) {
            self.set_rate(line.carrier.clone(), line.carrier_rate);
            if let Some(number) = &line.number {
                self.set_number_rate(number.clone(), line.number_rate);
            }
        }
    }

    /// Counts a call towards its carrier's rate that needs no slot: that of somebody who is to take a
    /// caller.
    pub fn count_call(&mut self, now: Duration, carrier: &Arc<str>) {
        self.usages.count_call(now, carrier);
    }

    /// Asks for a slot. `ttl`: how long an outbound request may wait; zero: it may not.
    pub fn request(&mut self, now: Duration, request: SlotRequest, ttl: Duration) -> Answer {
        if request.source == Source::Inbound {
            return match self.usages.refusal(now, &request) {
                Some(refusal) => Answer::Refused(refusal),
                None => Answer::Granted(self.grant_new(now, request)),
            };
        }
        if self.rate_due.is_some_and(|due| due <= now) {
            self.is_settled = false;
        }
        if !self.is_settled {
            self.serve_queue(now);
        }
        if let Some(refusal) = self.usages.never(&request) {
            return Answer::Refused(refusal);
        }
        let refusal = self.usages.refusal(now, &request);
        match refusal {
            None if ttl.is_zero() || !self.queue.has_like(&request) => {
                Answer::Granted(self.grant_new(now, request))
            }
            Some(refusal) if ttl.is_zero() => Answer::Refused(refusal),
            None | Some(_) => self.enqueue(now, request, ttl),
        }
    }

    /// Counts a granted call in the slots of its assistant, who was not known when it was granted.
    pub fn assign(&mut self, id: LeaseId, assistant: Arc<str>) -> Result<(), Refusal> {
        let Some(lease) = self.leases.get_mut(&id) else { return Ok(()) };
        if lease.request.assistant.is_some() {
            return Ok(());
        }
        let scope = Scope::Assistant(assistant.clone());
        let source = &lease.request.source;
        if let Some(refusal) = self.usages.full(scope.clone(), source) {
            return Err(refusal);
        }
        self.usages.count(scope, source);
        lease.request.assistant = Some(assistant);
        Ok(())
    }

    /// Takes a granted call off its phone number and carrier, which would not have it; it keeps its
    /// slot. What is left is what a request for another line says of the call; `None`: it has no slot.
    pub fn leave_line(&mut self, id: LeaseId) -> Option<SlotRequest> {
        let lease = self.leases.get_mut(&id)?;
        lease.request.carrier = None;
        if let Some(number) = lease.request.number.take() {
            self.usages.discount(&Scope::Number(number), &lease.request.source);
            self.is_settled = false;
        }
        Some(lease.request.clone())
    }

    /// What a lease was asked for with.
    pub fn request_of(&self, id: LeaseId) -> Option<&SlotRequest> {
        self.leases.get(&id).map(|lease| &lease.request)
    }

    /// Puts back a lease of a call that outlived a crash, whatever the limits say.
    pub fn restore(&mut self, now: Duration, request: SlotRequest) -> LeaseId {
        self.grant_new(now, request)
    }

    /// Gives a lease back, or withdraws a request that waits. True exactly once for each.
    pub fn release(&mut self, id: LeaseId) -> bool {
        if let Some(lease) = self.leases.remove(&id) {
            self.expiries.remove(&(lease.expires_at, id));
            self.usages.release(&lease.request);
            self.untold.retain(|grant| grant.id != id);
            self.is_settled = false;
            return true;
        }
        let Some(waiting) = self.queue.remove(id) else {
            return false;
        };
        self.expiries.remove(&(waiting.expires_at, id));
        true
    }

    /// Keeps a lease for another [`SlotRules::lease_ttl`]. False: it is gone.
    pub fn renew(&mut self, now: Duration, id: LeaseId) -> bool {
        let Some(lease) = self.leases.get_mut(&id) else {
            return false;
        };
        self.expiries.remove(&(lease.expires_at, id));
        lease.expires_at = now + self.rules.lease_ttl;
        self.expiries.insert((lease.expires_at, id));
        true
    }

    /// Reaps, gives up, and serves who waits.
    pub fn tick(&mut self, now: Duration) -> Ticked {
        let mut ticked = Ticked::default();
        while let Some(&(due, id)) = self.expiries.first()
            && due <= now
        {
            let is_lease = self.leases.contains_key(&id);
            self.release(id);
            if is_lease {
                ticked.reaped.push(id);
            } else {
                ticked.given_up.push(id);
            }
        }
        if !self.is_settled || self.rate_due.is_some_and(|due| due <= now) {
            self.serve_queue(now);
        }
        ticked.grants = mem::take(&mut self.untold);
        ticked
    }

    /// When [`Slots::tick`] has something to do, and what.
    pub fn next_deadline(&self) -> Option<(Duration, &'static str)> {
        if !self.untold.is_empty() || (!self.is_settled && !self.queue.is_empty()) {
            return Some((Duration::ZERO, "a slot may be granted"));
        }
        let expiry = self.expiries.first().map(|&(due, _)| (due, "a lease or a request expires"));
        let rate = self.rate_due.map(|due| (due, "a carrier takes the next call"));
        expiry.into_iter().chain(rate).min()
    }

    pub fn usage(&self, scope: &Scope) -> Usage {
        self.usages.of(scope)
    }

    /// Requests that wait, interactive and of campaigns.
    pub fn waiting(&self) -> (usize, usize) {
        self.queue.lens()
    }

    fn enqueue(&mut self, now: Duration, request: SlotRequest, ttl: Duration) -> Answer {
        let limit = self.rules.queue_max;
        if self.queue.len_beside(&request.source) >= limit {
            return Answer::Refused(Refusal::QueueFull { limit });
        }
        let id = self.new_id();
        let expires_at = now.saturating_add(ttl);
        if let Some(due) = self.usages.rate_due(now, &request) {
            self.rate_due = Some(self.rate_due.map_or(due, |other| other.min(due)));
        }
        self.queue.insert(id, Waiting { request, since: now, expires_at });
        self.expiries.insert((expires_at, id));
        Answer::Queued(id)
    }

    /// Grants whatever can be granted to those who wait.
    fn serve_queue(&mut self, now: Duration) {
        self.is_settled = true;
        self.rate_due = None;
        let mut round = self.queue.round();
        // Whoever has a slot and waits for a line does not need one of the node's.
        while self.usages.has_room_for_outbound() || self.queue.has_line_waiting() {
            let usages = &self.usages;
            let fits = |request: &SlotRequest| usages.refusal(now, request).is_none();
            let Some((id, waiting)) = self.queue.take_next(&mut round, fits) else {
                break;
            };
            self.expiries.remove(&(waiting.expires_at, id));
            self.untold.push(Grant { id, waited: now.saturating_sub(waiting.since) });
            self.grant(now, id, waiting.request);
        }
        let usages = &self.usages;
        self.rate_due =
            self.queue.heads().filter_map(|request| usages.rate_due(now, request)).min();
    }

    fn grant_new(&mut self, now: Duration, request: SlotRequest) -> LeaseId {
        let id = self.new_id();
        self.grant(now, id, request);
        id
    }

    fn grant(&mut self, now: Duration, id: LeaseId, request: SlotRequest) {
        self.usages.take(now, &request);
        let expires_at = now + self.rules.lease_ttl;
        self.expiries.insert((expires_at, id));
        self.leases.insert(id, Lease { request, expires_at });
    }

    fn new_id(&mut self) -> LeaseId {
        let id = LeaseId(self.next_id);
        self.next_id += 1;
        id
    }
}

#[cfg(test)]
mod tests;
