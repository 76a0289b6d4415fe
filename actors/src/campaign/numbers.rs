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

#[derive(Default)]
struct Known {
    barred: HashMap<Arc<str>, HashSet<NumberKey>>,
    /// Whose call it was, and when.
    calls: HashMap<NumberKey, Vec<(Uuid, WallTime)>>,
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

    /// Remembers a call; `owner` is the campaign it belongs to, or nil.
    pub fn note_call(&self, number: NumberKey, owner: Uuid, at: WallTime) {
        self.change(|known| {
            let calls = known.calls.entry(number).or_default();
            if !calls.contains(&(owner, at)) {
                calls.push((owner, at));
            }
            known.noted += 1;
            if known.noted.is_multiple_of(SWEEP_EVERY) {
                let since = at.before(MEMORY);
                known.calls.retain(|_, calls| {
                    calls.retain(|&(_, at)| at > since);
                    !calls.is_empty()
                });
            }
        });
    }

    /// Calls to a number since a moment that are somebody else's.
    pub fn calls_elsewhere(&self, number: NumberKey, owner: Uuid, since: WallTime) -> u32 {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let calls = known.calls.get(&number).into_iter().flatten();
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
        numbers.note_call(NUMBER, own, at(10));
        numbers.note_call(NUMBER, other, at(11));
        assert_eq!(numbers.calls_elsewhere(NUMBER, own, at(9)), 1);
        assert_eq!(numbers.calls_elsewhere(NUMBER, own, at(11)), 0);
        for index in 0..SWEEP_EVERY as u64 {
            numbers.note_call(NumberKey(1_000_000 + index), other, at(30 * 24));
        }
        assert_eq!(numbers.calls_elsewhere(NUMBER, own, at(9)), 0);
    }
}
