//! Who waits to be called, by time zone: whoever was promised another attempt first, then the others
//! in their order.

use std::collections::{BTreeMap, BTreeSet};

use super::{Calendar, ContactId, Opening, Outside, WallTime, ZoneId};

#[derive(Clone, Debug, Default)]
pub struct LineUp {
    zones: BTreeMap<ZoneId, Zone>,
}

#[derive(Clone, Debug)]
struct Zone {
    fresh: BTreeSet<ContactId>,
    /// Not before a time.
    later: BTreeSet<(WallTime, ContactId)>,
    opening: Opening,
}

impl LineUp {
    /// `not_before`: zero for whoever has not been tried.
    pub fn insert(&mut self, zone: ZoneId, contact: ContactId, not_before: WallTime) {
        let zone = self.zones.entry(zone).or_insert_with(|| Zone {
            fresh: BTreeSet::new(),
            later: BTreeSet::new(),
            opening: Opening::Closed { until: WallTime::ZERO },
        });
        if not_before == WallTime::ZERO {
            zone.fresh.insert(contact);
        } else {
            zone.later.insert((not_before, contact));
        }
    }

    /// Takes out who is called next.
    pub fn take_next(
        &mut self,
        now: WallTime,
        calendar: &Calendar,
        outside: &dyn Outside,
    ) -> Option<ContactId> {
        let mut best: Option<((bool, WallTime, ContactId), ZoneId)> = None;
        for (&id, zone) in &mut self.zones {
            if !zone.look_up(now, calendar, |at| outside.offsets_s(id, at)) {
                continue;
            }
            let Some(key) = zone.first(now) else { continue };
            if best.is_none_or(|(other, _)| key < other) {
                best = Some((key, id));
            }
        }
        let ((is_fresh, at, contact), id) = best?;
        let zone = self.zones.get_mut(&id)?;
        if is_fresh {
            zone.fresh.remove(&contact);
        } else {
            zone.later.remove(&(at, contact));
        }
        if zone.fresh.is_empty() && zone.later.is_empty() {
            self.zones.remove(&id);
        }
        Some(contact)
    }

    /// When somebody may be called, as far as is known; zero: somebody may be now.
    pub fn next_at(&self) -> Option<WallTime> {
        self.zones.values().filter_map(Zone::next_at).min()
    }

    pub fn clear(&mut self) {
        self.zones.clear();
    }
}

impl Zone {
    /// Whether people of the zone may be called.
    fn look_up(
        &mut self,
        now: WallTime,
        calendar: &Calendar,
        offsets_s: impl Fn(WallTime) -> (i32, i32),
    ) -> bool {
        let (Opening::Open { until } | Opening::Closed { until }) = self.opening else {
            return false;
        };
        if until <= now {
            self.opening = calendar.opening(now, offsets_s);
        }
        matches!(self.opening, Opening::Open { .. })
    }

    /// Promised attempts sort before fresh ones.
    fn first(&self, now: WallTime) -> Option<(bool, WallTime, ContactId)> {
        let due = self.later.first().filter(|&&(at, _)| at <= now);
        due.map(|&(at, contact)| (false, at, contact))
            .or_else(|| self.fresh.first().map(|&contact| (true, WallTime::ZERO, contact)))
    }

    fn next_at(&self) -> Option<WallTime> {
        match self.opening {
            Opening::Never => None,
            Opening::Closed { until } => Some(until),
            Opening::Open { .. } if !self.fresh.is_empty() => Some(WallTime::ZERO),
            Opening::Open { .. } => self.later.first().map(|&(at, _)| at),
        }
    }
}
