//! What is in use, what it may not exceed, and how fast carriers are asked.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use super::{Refusal, SlotRequest, Source};

/// Where calls are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Node,
    Org(Arc<str>),
    Assistant(Arc<str>),
    Number(Arc<str>),
    Campaign(Arc<str>),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("this node"),
            Self::Org(id) => write!(f, "organisation `{id}`"),
            Self::Assistant(id) => write!(f, "assistant `{id}`"),
            Self::Number(id) => write!(f, "phone number `{id}`"),
            Self::Campaign(id) => write!(f, "campaign `{id}`"),
        }
    }
}

/// How many calls a scope takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub slots: u32,
    /// How many of `slots` outbound calls never get.
    pub inbound_reserve: u32,
}

impl Limit {
    pub const fn of(slots: u32) -> Self {
        Self { slots, inbound_reserve: 0 }
    }

    const fn for_outbound(self) -> u32 {
        self.slots.saturating_sub(self.inbound_reserve)
    }
}

/// At most so many calls begin within any span of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub calls: u32,
    pub per: Duration,
}

/// What a scope has, and what of it is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub limit: Option<Limit>,
    pub inbound: u32,
    pub outbound: u32,
}

impl Usage {
    pub const fn in_use(self) -> u32 {
        self.inbound + self.outbound
    }

    /// Slots that an outbound call could have; `None`: no limit.
    pub fn free_for_outbound(self) -> Option<u32> {
        let limit = self.limit?;
        let free = limit.slots.saturating_sub(self.in_use());
        Some(free.min(limit.for_outbound().saturating_sub(self.outbound)))
    }

    fn has_room(self, is_inbound: bool) -> bool {
        match self.limit {
            None => true,
            Some(limit) if is_inbound => self.in_use() < limit.slots,
            Some(_) => self.free_for_outbound() != Some(0),
        }
    }
}

/// The use of every scope that is limited or in use.
#[derive(Clone, Debug, Default)]
pub struct Usages {
    scopes: BTreeMap<Scope, Usage>,
    carriers: BTreeMap<Arc<str>, Carrier>,
}

#[derive(Clone, Debug)]
struct Carrier {
    rate: Rate,
    /// When calls were granted, the latest last; never more than the rate's number.
    calls: VecDeque<Duration>,
}

impl Usages {
    pub fn set_limit(&mut self, scope: Scope, limit: Option<Limit>) {
        self.scopes.entry(scope.clone()).or_default().limit = limit;
        self.forget_idle(&scope);
    }

    pub fn set_rate(&mut self, carrier: Arc<str>, rate: Option<Rate>) {
        let Some(rate) = rate else {
            self.carriers.remove(&carrier);
            return;
        };
        let known = self
            .carriers
            .entry(carrier)
            .or_insert_with(|| Carrier { rate, calls: VecDeque::new() });
        known.rate = rate;
        while known.calls.len() > rate.calls as usize {
            known.calls.pop_front();
        }
    }

    pub fn of(&self, scope: &Scope) -> Usage {
        self.scopes.get(scope).copied().unwrap_or_default()
    }

    /// Whether the node itself has a slot that an outbound call may take.
    pub fn has_room_for_outbound(&self) -> bool {
        self.of(&Scope::Node).has_room(false)
    }

    /// What keeps a request from being granted.
    pub fn refusal(&self, now: Duration, request: &SlotRequest) -> Option<Refusal> {
        let is_inbound = request.source == Source::Inbound;
        let full = scopes(request).find_map(|scope| {
            let usage = self.of(&scope);
            if usage.has_room(is_inbound) {
                return None;
            }
            let slots = usage.limit.map_or(0, |limit| limit.slots);
            Some(Refusal::Full { scope, limit: slots })
        });
        full.or_else(|| {
            let due = self.carrier(request)?.free_at();
            (due > now)
                .then(|| Refusal::TooFast { carrier: request.carrier.clone().unwrap_or_default() })
        })
    }

    /// A limit that leaves nothing for such a request, ever.
    pub fn never(&self, request: &SlotRequest) -> Option<Refusal> {
        scopes(request).find_map(|scope| {
            let limit = self.of(&scope).limit?;
            (limit.for_outbound() == 0).then_some(Refusal::Never { scope })
        })
    }

    /// When the carrier takes the call, if it would not now.
    pub fn rate_due(&self, now: Duration, request: &SlotRequest) -> Option<Duration> {
        self.carrier(request).map(Carrier::free_at).filter(|&due| due > now)
    }

    pub fn take(&mut self, now: Duration, request: &SlotRequest) {
        for scope in scopes(request) {
            let usage = self.scopes.entry(scope).or_default();
            match request.source {
                Source::Inbound => usage.inbound += 1,
                Source::Interactive | Source::Campaign(_) => usage.outbound += 1,
            }
        }
        if request.source == Source::Inbound {
            return;
        }
        let carrier = request.carrier.as_ref().and_then(|name| self.carriers.get_mut(name));
        if let Some(carrier) = carrier {
            if carrier.calls.len() >= carrier.rate.calls as usize {
                carrier.calls.pop_front();
            }
            carrier.calls.push_back(now);
        }
    }

    pub fn release(&mut self, request: &SlotRequest) {
        for scope in scopes(request) {
            if let Some(usage) = self.scopes.get_mut(&scope) {
                match request.source {
                    Source::Inbound => usage.inbound -= 1,
                    Source::Interactive | Source::Campaign(_) => usage.outbound -= 1,
                }
            }
            self.forget_idle(&scope);
        }
    }

    #[cfg(test)]
    pub fn scopes_in_use(&self) -> usize {
        self.scopes.values().filter(|usage| usage.in_use() > 0).count()
    }

    fn carrier(&self, request: &SlotRequest) -> Option<&Carrier> {
        if request.source == Source::Inbound {
            return None;
        }
        self.carriers.get(request.carrier.as_ref()?)
    }

    /// A scope without limit costs nothing once nothing of it is in use.
    fn forget_idle(&mut self, scope: &Scope) {
        if self.of(scope) == Usage::default() {
            self.scopes.remove(scope);
        }
    }
}

impl Carrier {
    /// When it takes another call; zero: it does.
    fn free_at(&self) -> Duration {
        if self.rate.calls == 0 {
            return Duration::MAX;
        }
        if self.calls.len() < self.rate.calls as usize {
            return Duration::ZERO;
        }
        self.calls.front().map_or(Duration::ZERO, |&first| first.saturating_add(self.rate.per))
    }
}

/// Every scope that a call counts in, the widest first.
fn scopes(request: &SlotRequest) -> impl Iterator<Item = Scope> {
    let campaign = match &request.source {
        Source::Inbound | Source::Interactive => None,
        Source::Campaign(id) => Some(Scope::Campaign(id.clone())),
    };
    [
        Some(Scope::Node),
        Some(Scope::Org(request.org.clone())),
        request.assistant.clone().map(Scope::Assistant),
        request.number.clone().map(Scope::Number),
        campaign,
    ]
    .into_iter()
    .flatten()
}
