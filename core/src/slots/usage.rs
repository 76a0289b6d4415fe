//! What is in use, what it may not exceed, and how fast carriers are asked.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use super::{LineLimits, Refusal, Share, SlotRequest, Source};

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

impl Rate {
    /// So many calls a second, on average and within any second; at least one in a while.
    pub fn per_second(calls_per_second: f64) -> Self {
        let calls = calls_per_second.clamp(1.0, f64::from(u32::MAX)) as u32;
        let slowest = 1.0 / SLOWEST.as_secs_f64();
        let per = f64::from(calls) / calls_per_second.max(slowest);
        Self { calls, per: Duration::from_secs_f64(per) }
    }
}

/// However slow a rate is, a call goes through within this.
const SLOWEST: Duration = Duration::from_secs(60 * 60);

/// What calls begin at a rate of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rated {
    Carrier(Arc<str>),
    Number(Arc<str>),
}

/// What a scope has, and what of it is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub limit: Option<Limit>,
    pub inbound: u32,
    pub outbound: u32,
    /// Of `outbound`, the calls of campaigns.
    pub of_campaigns: u32,
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
    rates: BTreeMap<Rated, Begun>,
}

#[derive(Clone, Debug)]
struct Begun {
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
        self.set_rate_of(Rated::Carrier(carrier), rate);
    }

    pub fn set_number_rate(&mut self, number: Arc<str>, rate: Option<Rate>) {
        self.set_rate_of(Rated::Number(number), rate);
    }

    fn set_rate_of(&mut self, what: Rated, rate: Option<Rate>) {
        let Some(rate) = rate else {
            self.rates.remove(&what);
            return;
        };
        let known =
            self.rates.entry(what).or_insert_with(|| Begun { rate, calls: VecDeque::new() });
        known.rate = rate;
        while known.calls.len() > rate.calls as usize {
            known.calls.pop_front();
        }
    }

    /// Whether rates are as given; then nothing needs to be set.
    pub fn has_rates(&self, line: &LineLimits) -> bool {
        let of = |what: Rated| self.rates.get(&what).map(|begun| begun.rate);
        of(Rated::Carrier(line.carrier.clone())) == line.carrier_rate
            && line.number.clone().is_none_or(|it| of(Rated::Number(it)) == line.number_rate)
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
        let full = scopes(request).find_map(|scope| self.full(scope, &request.source));
        full.or_else(|| {
            let slow = rated(request).find(|what| self.free_at(what) > now)?;
            Some(match slow {
                Rated::Carrier(carrier) => Refusal::TooFast { carrier },
                Rated::Number(number) => {
                    Refusal::TooFast { carrier: format!("phone number {number}").into() }
                }
            })
        })
    }

    /// What keeps a call from being counted in a scope.
    pub fn full(&self, scope: Scope, source: &Source) -> Option<Refusal> {
        let usage = self.of(&scope);
        if usage.has_room(*source == Source::Inbound) {
            return None;
        }
        let limit = usage.limit.map_or(0, |limit| limit.slots);
        Some(Refusal::Full { scope, limit })
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
        rated(request).map(|what| self.free_at(&what)).max().filter(|&due| due > now)
    }

    pub fn take(&mut self, now: Duration, request: &SlotRequest) {
        for scope in scopes(request) {
            self.count(scope, &request.source);
        }
        for what in rated(request) {
            if let Some(begun) = self.rates.get_mut(&what) {
                begun.note(now);
            }
        }
    }

    /// Counts a call that a carrier is asked for without a slot.
    pub fn count_call(&mut self, now: Duration, carrier: &Arc<str>) {
        if let Some(begun) = self.rates.get_mut(&Rated::Carrier(carrier.clone())) {
            begun.note(now);
        }
    }

    pub fn release(&mut self, request: &SlotRequest) {
        for scope in scopes(request) {
            self.discount(&scope, &request.source);
        }
    }

    /// Counts a call in a scope.
    pub fn count(&mut self, scope: Scope, source: &Source) {
        let usage = self.scopes.entry(scope).or_default();
        match source {
            Source::Inbound => usage.inbound += 1,
            Source::Interactive => usage.outbound += 1,
            Source::Campaign(_) => {
                usage.outbound += 1;
                usage.of_campaigns += 1;
            }
        }
    }

    /// Counts a call in a scope no more.
    pub fn discount(&mut self, scope: &Scope, source: &Source) {
        if let Some(usage) = self.scopes.get_mut(scope) {
            match source {
                Source::Inbound => usage.inbound -= 1,
                Source::Interactive => usage.outbound -= 1,
                Source::Campaign(_) => {
                    usage.outbound -= 1;
                    usage.of_campaigns -= 1;
                }
            }
        }
        self.forget_idle(scope);
    }

    #[cfg(test)]
    pub fn scopes_in_use(&self) -> usize {
        self.scopes.values().filter(|usage| usage.in_use() > 0).count()
    }

    /// When another call may begin; zero: it may.
    fn free_at(&self, what: &Rated) -> Duration {
        self.rates.get(what).map_or(Duration::ZERO, Begun::free_at)
    }

    /// A scope without limit costs nothing once nothing of it is in use.
    fn forget_idle(&mut self, scope: &Scope) {
        if self.of(scope) == Usage::default() {
            self.scopes.remove(scope);
        }
    }
}

impl Begun {
    fn note(&mut self, now: Duration) {
        if self.calls.len() >= self.rate.calls as usize {
            self.calls.pop_front();
        }
        self.calls.push_back(now);
    }

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

/// What an outbound call begins at a rate of.
fn rated(request: &SlotRequest) -> impl Iterator<Item = Rated> {
    let is_outbound = request.source != Source::Inbound;
    let carrier = request.carrier.clone().map(Rated::Carrier);
    let number = request.number.clone().map(Rated::Number);
    [carrier, number].into_iter().flatten().filter(move |_| is_outbound)
}

/// Every scope that a call counts in, the widest first.
fn scopes(request: &SlotRequest) -> impl Iterator<Item = Scope> {
    let campaign = match &request.source {
        Source::Inbound | Source::Interactive => None,
        Source::Campaign(id) => Some(Scope::Campaign(id.clone())),
    };
    let is_call = request.share == Share::Call;
    let of_call = [
        Some(Scope::Node),
        Some(Scope::Org(request.org.clone())),
        request.assistant.clone().map(Scope::Assistant),
        campaign,
    ];
    let number = request.number.clone().map(Scope::Number);
    of_call.into_iter().filter(move |_| is_call).flatten().chain(number)
}
