//! When somebody may be called, by the time where they live.

use std::{collections::BTreeSet, ops, time::Duration};

use serde::{Deserialize, Serialize};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A clock that stands open is looked at again after this: zones change their offset on the quarter
/// hour.
const QUARTER_MS: u64 = 15 * 60_000;

/// Days that are searched for the next opening: whoever is closed for a year is closed for good.
const SEARCH_DAYS: i32 = 366;

/// A moment, as milliseconds since 1970-01-01T00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WallTime(u64);

impl WallTime {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u64::MAX);

    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long until `self`, seen from `now`; zero once it has passed.
    pub const fn after(self, now: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(now.0))
    }

    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }
}

impl ops::Add<Duration> for WallTime {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A time zone, by its place in a list that the owner of the campaign keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZoneId(pub u16);

/// A date as days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalDay(pub i32);

/// Days of the week, Monday first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weekdays(pub [bool; 7]);

impl Weekdays {
    pub const ALL: Self = Self([true; 7]);
    pub const WORKING: Self = Self([true, true, true, true, true, false, false]);
}

/// A span of the day in which people may be called, in minutes since local midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub days: Weekdays,
    pub from_minute: u16,
    /// Exclusive; 1440 is midnight.
    pub to_minute: u16,
}

/// When a campaign may call; without windows, always but on holidays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    pub windows: Vec<Window>,
    pub holidays: BTreeSet<LocalDay>,
}

/// Whether people of a zone may be called, and how long that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    Open { until: WallTime },
    Closed { until: WallTime },
    Never,
}

impl Calendar {
    /// `offsets_s`: how far clocks are ahead of UTC at a moment, in seconds, the least and the most.
    /// Open is what is open by both.
    pub fn opening(&self, now: WallTime, offsets_s: impl Fn(WallTime) -> (i32, i32)) -> Opening {
        let (least, most) = offsets_s(now);
        let opening = self.opening_in(now, |at| offsets_s(at).0);
        if least == most {
            return opening;
        }
        match (opening, self.opening_in(now, |at| offsets_s(at).1)) {
            (Opening::Never, _) | (_, Opening::Never) => Opening::Never,
            (Opening::Open { until: one }, Opening::Open { until: other }) => {
                Opening::Open { until: one.min(other) }
            }
            (Opening::Closed { until: one }, Opening::Closed { until: other }) => {
                Opening::Closed { until: one.max(other) }
            }
            (closed @ Opening::Closed { .. }, Opening::Open { .. })
            | (Opening::Open { .. }, closed @ Opening::Closed { .. }) => closed,
        }
    }

    fn opening_in(&self, now: WallTime, offset_s: impl Fn(WallTime) -> i32) -> Opening {
        let local = local_ms(now, offset_s(now));
        let day = day_of(local);
        let minute = local.rem_euclid(DAY_MS) / MINUTE_MS;
        let open = self.spans(day).find(|&(from, to)| (from..to).contains(&minute));
        if let Some((_, to)) = open {
            let closes = utc(i64::from(day.0) * DAY_MS + to * MINUTE_MS, offset_s(now));
            let quarter = WallTime((now.0 / QUARTER_MS + 1) * QUARTER_MS);
            return Opening::Open { until: closes.min(quarter) };
        }
        let next = (0..SEARCH_DAYS).find_map(|ahead| {
            let day = LocalDay(day.0 + ahead);
            let starts = self.spans(day).map(|(from, _)| from);
            let from = starts.filter(|&from| ahead > 0 || from > minute).min()?;
            Some(i64::from(day.0) * DAY_MS + from * MINUTE_MS)
        });
        match next {
            None => Opening::Never,
            Some(local) => {
                // The offset may be another one by then.
                let about = utc(local, offset_s(now));
                let until = utc(local, offset_s(about)).max(now + Duration::from_millis(1));
                Opening::Closed { until }
            }
        }
    }

    /// The spans of a day, in minutes.
    fn spans(&self, day: LocalDay) -> impl Iterator<Item = (i64, i64)> {
        // 1970-01-01 was a Thursday.
        let weekday = (day.0 + 3).rem_euclid(7) as usize;
        let always = self.windows.is_empty().then_some((0, 24 * 60));
        let windows = self.windows.iter().filter(move |window| window.days.0[weekday]);
        let spans = windows.map(|it| (i64::from(it.from_minute), i64::from(it.to_minute)));
        let is_holiday = self.holidays.contains(&day);
        spans.chain(always).filter(move |_| !is_holiday)
    }
}

/// The date somewhere, and the moment at which it began there.
pub fn day_at(at: WallTime, offset_s: i32) -> (LocalDay, WallTime) {
    let day = day_of(local_ms(at, offset_s));
    (day, utc(i64::from(day.0) * DAY_MS, offset_s))
}

fn local_ms(at: WallTime, offset_s: i32) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX / 2) + i64::from(offset_s) * 1_000
}

fn utc(local_ms: i64, offset_s: i32) -> WallTime {
    WallTime(u64::try_from(local_ms - i64::from(offset_s) * 1_000).unwrap_or(0))
}

fn day_of(local_ms: i64) -> LocalDay {
    LocalDay(i32::try_from(local_ms.div_euclid(DAY_MS)).unwrap_or(i32::MAX - SEARCH_DAYS - 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2026-11-23T00:00Z.
    const MONDAY_MS: u64 = 1_795_392_000_000;
    const HOUR: u64 = 3_600_000;

    fn office() -> Calendar {
        let window = Window { days: Weekdays::WORKING, from_minute: 9 * 60, to_minute: 17 * 60 };
        Calendar { windows: vec![window], holidays: BTreeSet::new() }
    }

    fn at(hours: u64) -> WallTime {
        WallTime(MONDAY_MS + hours * HOUR)
    }

    #[test]
    fn nine_in_the_morning_is_where_the_callee_lives() {
        for (offset_h, opens_at) in [(0, 9), (-5, 14), (8, 1)] {
            let offset = move |_| (offset_h * 3_600, offset_h * 3_600);
            let calendar = office();
            let closed = calendar.opening(WallTime(at(opens_at).0 - 1), offset);
            assert_eq!(closed, Opening::Closed { until: at(opens_at) }, "{offset_h}");
            assert!(matches!(calendar.opening(at(opens_at), offset), Opening::Open { .. }));
        }
    }

    #[test]
    fn what_is_open_is_asked_again_by_the_quarter_hour_and_at_closing_time() {
        let open = office().opening(at(10), |_| (0, 0));
        assert_eq!(open, Opening::Open { until: WallTime(at(10).0 + QUARTER_MS) });
        let last = office().opening(WallTime(at(17).0 - 60_000), |_| (0, 0));
        assert_eq!(last, Opening::Open { until: at(17) });
    }

    #[test]
    fn weekends_and_holidays_are_passed_over() {
        let mut calendar = office();
        let friday_evening = at(4 * 24 + 18);
        let closed = calendar.opening(friday_evening, |_| (0, 0));
        assert_eq!(closed, Opening::Closed { until: at(7 * 24 + 9) });
        let monday = day_of(at(7 * 24).0 as i64);
        calendar.holidays.insert(monday);
        let closed = calendar.opening(friday_evening, |_| (0, 0));
        assert_eq!(closed, Opening::Closed { until: at(8 * 24 + 9) });
    }

    #[test]
    fn an_opening_beyond_a_change_of_clocks_is_at_the_new_local_time() {
        let change = at(3);
        let offset = |at: WallTime| if at < change { (7_200, 7_200) } else { (3_600, 3_600) };
        let closed = office().opening(at(0), offset);
        assert_eq!(closed, Opening::Closed { until: at(8) });
    }

    #[test]
    fn where_a_number_may_be_in_two_zones_both_must_be_open() {
        let zones = |_| (-8 * 3_600, -5 * 3_600);
        let opening = |hours| office().opening(at(hours), zones);
        // Nine o'clock in New York is six in Los Angeles, where it is nine at 17:00Z.
        assert_eq!(opening(14), Opening::Closed { until: at(17) });
        assert!(matches!(opening(17), Opening::Open { .. }));
        // New York closes at 22:00Z, Los Angeles at one.
        assert_eq!(opening(22), Opening::Closed { until: at(24 + 14) });
        assert_eq!(opening(24 + 14), Opening::Closed { until: at(24 + 17) });
    }

    #[test]
    fn a_calendar_without_a_day_never_opens() {
        let window = Window { days: Weekdays([false; 7]), from_minute: 0, to_minute: 1440 };
        let calendar = Calendar { windows: vec![window], ..Calendar::default() };
        assert_eq!(calendar.opening(at(0), |_| (0, 0)), Opening::Never);
    }
}
