//! Whether somebody may be called, and called again.

use std::time::Duration;

use super::{
    Campaign, ContactId, Opening, Outcome, Outside, Phase, Skip, WallTime,
    calendar::{DAY, day_at},
};

/// Whether a contact may be called now.
pub enum Admission {
    Go,
    Later(WallTime),
    Never(Skip),
}

impl Campaign {
    pub(super) fn admit(
        &self,
        now: WallTime,
        outside: &dyn Outside,
        contact: ContactId,
    ) -> Admission {
        let Some(it) = self.book.contact(contact) else {
            return Admission::Never(Skip::Stopped);
        };
        if outside.is_barred(it.number) {
            return Admission::Never(Skip::DoNotCall);
        }
        let caps = &self.plan.caps;
        let dialled = it.dialled().len();
        if dialled >= usize::from(caps.attempts) {
            return Admission::Never(Skip::AttemptsUsed);
        }
        match self.plan.calendar.opening(now, |at| outside.offsets_s(it.zone, at)) {
            Opening::Open { .. } => {}
            Opening::Closed { until } => return Admission::Later(until),
            Opening::Never => return Admission::Never(Skip::TooLate),
        }
        let (_, offset_s) = outside.offsets_s(it.zone, now);
        let (_, today) = day_at(now, offset_s);
        // Local midnight, give or take the hour by which clocks change.
        let tomorrow = today + DAY;
        let week_ago = now.before(7 * DAY);
        let since = |from: WallTime| it.dialled().filter(|&at| at > from).count() as u32;
        let elsewhere = |from| outside.calls_elsewhere(it.number, from);
        if caps.per_day.is_some_and(|cap| since(today) >= u32::from(cap)) {
            return Admission::Later(tomorrow);
        }
        if let Some(cap) = caps.per_week
            && since(week_ago) >= u32::from(cap)
        {
            let oldest = it.dialled().rev().nth(usize::from(cap) - 1);
            let free = oldest.map_or(tomorrow, |at| at + 7 * DAY);
            return Admission::Later(free.max(now + Duration::from_secs(1)));
        }
        if caps.number_per_day.is_some_and(|cap| since(today) + elsewhere(today) >= cap) {
            return Admission::Later(tomorrow);
        }
        if caps.number_per_week.is_some_and(|cap| since(week_ago) + elsewhere(week_ago) >= cap) {
            return Admission::Later(tomorrow);
        }
        Admission::Go
    }

    /// When to try again after an attempt that ends like this, if at all.
    pub(super) fn retry_at(
        &self,
        now: WallTime,
        outside: &dyn Outside,
        contact: ContactId,
        outcome: Outcome,
    ) -> Option<WallTime> {
        let it = self.book.contact(contact)?;
        let is_ended = matches!(self.book.phase(), Phase::Ended(_));
        let has_more = it.dialled().len() < usize::from(self.plan.caps.attempts);
        if is_ended || !has_more || outside.is_barred(it.number) {
            return None;
        }
        let rule = self.plan.retries.after(outcome)?;
        let at = now + rule.wait(it.outcomes(outcome).saturating_add(1))?;
        self.plan.latest.is_none_or(|latest| at < latest).then_some(at)
    }
}
