//! Who waits for a slot, and whose turn it is.
//!
//! Equal requests stand in one line. Lines belong to a party: the organisation of interactive calls,
//! or a campaign. Of those who can be granted a slot, the party served longest ago comes first, and of
//! its lines the one served longest ago: nobody can be passed over for good.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{LeaseId, Share, SlotRequest, Source};

/// Interactive calls that go before a campaign's in a row: campaigns come last, and still come.
const INTERACTIVE_RUN_MAX: u32 = 16;

/// A request that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub request: SlotRequest,
    pub since: Duration,
    pub expires_at: Duration,
}

#[derive(Clone, Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<LeaseId, Waiting>,
    interactive: Class,
    campaigns: Class,
    /// Those who wait for a line alone.
    for_lines: usize,
    /// Interactive calls granted in a row while campaigns waited.
    run: u32,
    /// Counts what was served or joined.
    clock: u64,
}

#[derive(Clone, Debug, Default)]
struct Class {
    parties: BTreeMap<Arc<str>, Party>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Party {
    served: u64,
    lines: BTreeMap<SlotRequest, Line>,
}

#[derive(Clone, Debug)]
struct Line {
    served: u64,
    ids: BTreeSet<LeaseId>,
}

/// One look at everybody who waits; whoever cannot be served is not looked at again.
pub struct Round {
    interactive: BTreeSet<(u64, Arc<str>)>,
    campaigns: BTreeSet<(u64, Arc<str>)>,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn lens(&self) -> (usize, usize) {
        (self.interactive.len, self.campaigns.len)
    }

    /// Whether a call waits that has a slot and lacks a line.
    pub fn has_line_waiting(&self) -> bool {
        self.for_lines > 0
    }

    /// How many of this kind wait.
    pub fn len_beside(&self, source: &Source) -> usize {
        match source {
            Source::Inbound | Source::Interactive => self.interactive.len,
            Source::Campaign(_) => self.campaigns.len,
        }
    }

    /// Whether an equal request waits, and so comes first.
    pub fn has_like(&self, request: &SlotRequest) -> bool {
        let parties = match request.source {
            Source::Inbound | Source::Interactive => &self.interactive.parties,
            Source::Campaign(_) => &self.campaigns.parties,
        };
        parties.get(party(request)).is_some_and(|party| party.lines.contains_key(request))
    }

    pub fn insert(&mut self, id: LeaseId, waiting: Waiting) {
        self.clock += 1;
        let served = self.clock;
        let request = &waiting.request;
        self.for_lines += usize::from(request.share == Share::Line);
        let class = self.class(&request.source);
        class.len += 1;
        class
            .parties
            .entry(party(request).clone())
            .or_insert_with(|| Party { served, lines: BTreeMap::new() })
            .lines
            .entry(request.clone())
            .or_insert_with(|| Line { served, ids: BTreeSet::new() })
            .ids
            .insert(id);
        self.waiting.insert(id, waiting);
    }

    pub fn remove(&mut self, id: LeaseId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        let request = &waiting.request;
        self.for_lines -= usize::from(request.share == Share::Line);
        let class = self.class(&request.source);
        class.len -= 1;
        let key = party(request);
        if let Some(party) = class.parties.get_mut(key) {
            if let Some(line) = party.lines.get_mut(request) {
                line.ids.remove(&id);
                if line.ids.is_empty() {
                    party.lines.remove(request);
                }
            }
            if party.lines.is_empty() {
                class.parties.remove(key);
            }
        }
        Some(waiting)
    }

    /// The first of each line.
    pub fn heads(&self) -> impl Iterator<Item = &SlotRequest> {
        [&self.interactive, &self.campaigns]
            .into_iter()
            .flat_map(|class| class.parties.values())
            .flat_map(|party| party.lines.keys())
    }

    pub fn round(&self) -> Round {
        let order = |class: &Class| {
            class.parties.iter().map(|(key, party)| (party.served, key.clone())).collect()
        };
        Round { interactive: order(&self.interactive), campaigns: order(&self.campaigns) }
    }

    /// Takes out whose turn it is, of those that `fits` lets pass.
    pub fn take_next(
        &mut self,
        round: &mut Round,
        fits: impl Fn(&SlotRequest) -> bool,
    ) -> Option<(LeaseId, Waiting)> {
        self.clock += 1;
        let clock = self.clock;
        let due = self.run >= INTERACTIVE_RUN_MAX;
        if due && let Some(id) = self.campaigns.serve(&mut round.campaigns, clock, &fits) {
            self.run = 0;
            return Some((id, self.remove(id)?));
        }
        if let Some(id) = self.interactive.serve(&mut round.interactive, clock, &fits) {
            self.run = if self.campaigns.len == 0 { 0 } else { self.run.saturating_add(1) };
            return Some((id, self.remove(id)?));
        }
        let id = self.campaigns.serve(&mut round.campaigns, clock, &fits)?;
        self.run = 0;
        Some((id, self.remove(id)?))
    }

    fn class(&mut self, source: &Source) -> &mut Class {
        match source {
            Source::Inbound | Source::Interactive => &mut self.interactive,
            Source::Campaign(_) => &mut self.campaigns,
        }
    }
}

impl Class {
    fn serve(
        &mut self,
        order: &mut BTreeSet<(u64, Arc<str>)>,
        clock: u64,
        fits: &impl Fn(&SlotRequest) -> bool,
    ) -> Option<LeaseId> {
        while let Some((_, key)) = order.pop_first() {
            let Some(party) = self.parties.get_mut(&key) else {
                continue;
            };
            let next = party
                .lines
                .iter_mut()
                .filter(|(request, _)| fits(request))
                .min_by_key(|(_, line)| line.served);
            let Some((_, line)) = next else {
                continue;
            };
            line.served = clock;
            party.served = clock;
            order.insert((clock, key));
            return line.ids.first().copied();
        }
        None
    }
}

/// Whose request it is, among those of its kind.
fn party(request: &SlotRequest) -> &Arc<str> {
    match &request.source {
        Source::Inbound | Source::Interactive => &request.org,
        Source::Campaign(id) => id,
    }
}
