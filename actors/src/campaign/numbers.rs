//! What a node knows of phone numbers: who must not be called, and who was called when.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use offhook_core::campaign::{NumberKey, WallTime};
use uuid::Uuid;

/// How long calls are remembered: the longest that a cap looks back, and a while for clocks.
const MEMORY: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// Calls that are noted between two searches for those that may be forgotten.
const SWEEP_EVERY: usize = 10_000;

/// Shared by all campaigns of a node; cheap to clone.
#[derive(Clone, Default)]
pub struct Numbers {
    known: Arc<RwLock<Known>>,
}

/// Calls to each number.
type Calls = HashMap<NumberKey, Vec<(Uuid, WallTime)>>;

#[derive(Default)]
struct Known {
    barred: HashMap<Arc<str>, HashSet<NumberKey>>,
    /// Whose call it was, and when, by organisation.
    calls: HashMap<Arc<str>, Calls>,
    noted: usize,
}

impl Numbers {
    /// Has a number not be called for an organisation any more.
    pub fn bar(&self, org: &str, number: NumberKey) {
        self.change(|known| {
            known.barred.entry(org.into()).or_default().insert(number);
        });
    }

    pub fn unbar(&self, org: &str, number: NumberKey) {
        self.change(|known| {
            if let Some(barred) = known.barred.get_mut(org) {
                barred.remove(&number);
            }
        });
    }

    pub fn is_barred(&self, org: &str, number: NumberKey) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.barred.get(org).is_some_and(|barred| barred.contains(&number))
    }

    /// Remembers a call of a campaign.
    pub fn note_call(&self, org: &str, number: NumberKey, campaign: Uuid, at: WallTime) {
        self.note(org, number, at, |calls| {
            if !calls.contains(&(campaign, at)) {
                calls.push((campaign, at));
            }
        });
    }

    /// Remembers a call that is no campaign's, once.
    pub fn note_single(&self, org: &str, number: NumberKey, call: Uuid, at: WallTime) {
        self.note(org, number, at, |calls| {
            if calls.iter().all(|&(other, _)| other != call) {
                calls.push((call, at));
            }
        });
    }

    fn note(
        &self,
        org: &str,
        number: NumberKey,
        at: WallTime,
        note: impl FnOnce(&mut Vec<(Uuid, WallTime)>),
    ) {
        self.change(|known| {
            let calls = match known.calls.get_mut(org) {
                Some(calls) => calls,
                None => known.calls.entry(org.into()).or_default(),
            };
            note(calls.entry(number).or_default());
            known.noted += 1;
            if known.noted.is_multiple_of(SWEEP_EVERY) {
                let since = at.before(MEMORY);
                for calls in known.calls.values_mut() {
                    calls.retain(|_, calls| {
                        calls.retain(|&(_, at)| at > since);
                        !calls.is_empty()
                    });
                }
            }
        });
    }

    /// Calls of an organisation to a number since a moment that are not this campaign's.
    pub fn calls_elsewhere(
        &self,
        org: &str,
        number: NumberKey,
        owner: Uuid,
        since: WallTime,
    ) -> u32 {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let calls = known.calls.get(org).and_then(|calls| calls.get(&number));
        let calls = calls.into_iter().flatten();
        let others = calls.filter(|&&(other, at)| other != owner && at > since).count();
        u32::try_from(others).unwrap_or(u32::MAX)
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: NumberKey = NumberKey(14_155_550_100);

    #[test]
    fn a_number_is_barred_for_whoever_barred_it() {
        let numbers = Numbers::default();
        numbers.bar("a", NUMBER);
        assert!(numbers.is_barred("a", NUMBER) && !numbers.is_barred("b", NUMBER));
        numbers.unbar("a", NUMBER);
        assert!(!numbers.is_barred("a", NUMBER));
    }

    #[test]
    fn calls_of_others_are_counted_and_old_ones_forgotten() {
        let numbers = Numbers::default();
        let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let at = |hours: u64| WallTime::from_millis(hours * 3_600_000);
        let elsewhere = |org, hours| numbers.calls_elsewhere(org, NUMBER, own, at(hours));
        numbers.note_call("a", NUMBER, own, at(10));
        numbers.note_call("a", NUMBER, other, at(11));
        assert_eq!((elsewhere("a", 9), elsewhere("a", 11)), (1, 0));
        assert_eq!(elsewhere("b", 9), 0, "another organisation's calls are its own business");
        let call = Uuid::from_u128(3);
        numbers.note_single("a", NUMBER, call, at(12));
        numbers.note_single("a", NUMBER, call, at(13));
        assert_eq!(elsewhere("a", 9), 2);
        for index in 0..SWEEP_EVERY as u64 {
            numbers.note_call("a", NumberKey(1_000_000 + index), other, at(30 * 24));
        }
        assert_eq!(elsewhere("a", 9), 0);
    }
}
