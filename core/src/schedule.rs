//! Calls that are to be placed later: when whose turn it is.
//!
//! An [`Agenda`] hands every call to one holder at a time, who places it, changes it or deletes it, and
//! says afterwards what is to become of it. A call is handed out to be dialled within its
//! [`Appointment`] alone; once that has passed, to be ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use crate::campaign::WallTime;

/// When a call may be dialled: from `earliest` on, before `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appointment {
    pub earliest: WallTime,
    pub latest: WallTime,
}

/// What is wrong with an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAppointment {
    EarliestPassed,
    LatestPassed,
    LatestBeforeEarliest,
    TooFar { field: &'static str },
}

/// How far ahead calls may be scheduled: beyond a year it is a slip of the pen.
const AHEAD_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How far a client's clock may be behind ours.
const PAST_MAX: Duration = Duration::from_secs(60);

impl fmt::Display for BadAppointment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EarliestPassed => f.write_str(
                "schedulePlan.earliestAt has passed: leave schedulePlan out to call at once",
            ),
            Self::LatestPassed => f.write_str("schedulePlan.latestAt has passed"),
            Self::LatestBeforeEarliest => {
                f.write_str("schedulePlan.latestAt must be after schedulePlan.earliestAt")
            }
            Self::TooFar { field } => {
                let days = AHEAD_MAX.as_secs() / (24 * 60 * 60);
                write!(f, "schedulePlan.{field} must be within {days} days from now")
            }
        }
    }
}

impl Appointment {
    /// Makes an appointment; without `latest`, a call may be `late_max` late.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn new(
        now: WallTime,
        earliest: WallTime,
        latest: Option<WallTime>,
        late_max: Duration,
    ) -> Result<Self, Vec<BadAppointment>> {
        let mut problems = Vec::new();
        let horizon = now + AHEAD_MAX;
        if earliest < now.before(PAST_MAX) {
            problems.push(BadAppointment::EarliestPassed);
        } else if earliest > horizon {
            problems.push(BadAppointment::TooFar { field: "earliestAt" });
        }
        if let Some(latest) = latest {
            if latest <= earliest {
                problems.push(BadAppointment::LatestBeforeEarliest);
            } else if latest <= now {
                problems.push(BadAppointment::LatestPassed);
            } else if latest > horizon {
                problems.push(BadAppointment::TooFar { field: "latestAt" });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { earliest, latest: latest.unwrap_or(earliest + late_max) })
    }
}

/// What an agenda may cost.
#[derive(Clone, Copy, Debug)]
pub struct AgendaRules {
    /// Calls that wait, in all.
    pub calls_max: usize,
    /// Calls that are handed out to be dialled at the same time, and as many more to be ended.
    pub turns_max: usize,
}

/// What a call's turn is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Dial {
        latest: WallTime,
    },
    /// Its time is over. `was_there`: it could have been dialled while this agenda had it.
    Lapsed {
        was_there: bool,
    },
}

/// The agenda has as many calls as it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgendaFull {
    pub calls_max: usize,
}

/// What became of somebody's wish to hold a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    Yes,
    /// Somebody else holds it: ask again.
    Busy,
    /// There is no such call, or it was dialled.
    Unknown,
}

/// Calls and their turns; `K` names a call.
#[derive(Clone, Debug)]
pub struct Agenda<K> {
    rules: AgendaRules,
    calls: BTreeMap<K, Entry>,
    /// Nobody holds these; by when it is their turn.
    turns: BTreeSet<(WallTime, K)>,
    /// The same, by when their time is over.
    lapses: BTreeSet<(WallTime, K)>,
    turns_out: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    appointment: Appointment,
    not_before: WallTime,
    since: WallTime,
    holder: Holder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Nobody,
    /// Whoever [`Agenda::next_turn`] gave it to.
    Turn,
    Client,
}

impl<K: Ord + Clone> Agenda<K> {
    pub fn new(rules: AgendaRules) -> Self {
        Self {
            rules,
            calls: BTreeMap::new(),
            turns: BTreeSet::new(),
            lapses: BTreeSet::new(),
            turns_out: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.calls.len()
    }

    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes a call in, held by whoever adds it: it has no turn before it is put back.
    pub fn add(
        &mut self,
        now: WallTime,
        call: K,
        appointment: Appointment,
    ) -> Result<(), AgendaFull> {
        if self.calls.len() >= self.rules.calls_max {
            return Err(AgendaFull { calls_max: self.rules.calls_max });
        }
        self.forget(&call);
        let (not_before, holder) = (appointment.earliest, Holder::Client);
        self.calls.insert(call, Entry { appointment, not_before, since: now, holder });
        Ok(())
    }

    /// Takes a call out of everybody's reach, so that its client may change it.
    pub fn hold(&mut self, call: &K) -> Holding {
        let Some(entry) = self.calls.get_mut(call) else { return Holding::Unknown };
        if entry.holder != Holder::Nobody {
            return Holding::Busy;
        }
        entry.holder = Holder::Client;
        let entry = *entry;
        self.take_out(call, entry);
        Holding::Yes
    }

    /// The next call whose turn it is, which is held from then on.
    pub fn next_turn(&mut self, now: WallTime) -> Option<(K, Turn)> {
        let lapsed = self.first_lapse().filter(|(latest, _)| *latest <= now);
        let is_lapsed = lapsed.is_some();
        let due = match lapsed {
            Some(_) => lapsed,
            None if self.turns_out >= self.rules.turns_max => None,
            None => self.turns.first().filter(|(at, _)| *at <= now),
        };
        let call = due.map(|(_, call)| call.clone())?;
        let entry = self.calls.get_mut(&call)?;
        entry.holder = Holder::Turn;
        let entry = *entry;
        self.turns_out += 1;
        self.take_out(&call, entry);
        let latest = entry.appointment.latest;
        let turn = match is_lapsed {
            true => Turn::Lapsed { was_there: entry.since < latest },
            false => Turn::Dial { latest },
        };
        Some((call, turn))
    }

    /// Gives a held call a new appointment.
    pub fn move_to(&mut self, call: &K, appointment: Appointment) {
        if let Some(entry) = self.calls.get_mut(call).filter(|it| it.holder != Holder::Nobody) {
            entry.appointment = appointment;
            entry.not_before = appointment.earliest;
        }
    }

    /// Puts a held call back; its turn comes at `not_before`, or as it would have come.
    pub fn put_back(&mut self, call: &K, not_before: Option<WallTime>) {
        let Some(entry) = self.calls.get_mut(call).filter(|it| it.holder != Holder::Nobody) else {
            return;
        };
        if entry.holder == Holder::Turn {
            self.turns_out -= 1;
        }
        entry.holder = Holder::Nobody;
        let earliest = entry.appointment.earliest;
        entry.not_before = not_before.unwrap_or(entry.not_before).max(earliest);
        self.turns.insert((entry.not_before, call.clone()));
        self.lapses.insert((entry.appointment.latest, call.clone()));
    }

    /// Forgets a call: it was dialled, ended or deleted.
    pub fn forget(&mut self, call: &K) {
        let Some(entry) = self.calls.remove(call) else { return };
        match entry.holder {
            Holder::Nobody => self.take_out(call, entry),
            Holder::Turn => self.turns_out -= 1,
            Holder::Client => {}
        }
    }

    /// When [`Agenda::next_turn`] has something to give, as far as is known.
    pub fn next_deadline(&self) -> Option<(WallTime, &'static str)> {
        let lapse = self.first_lapse().map(|&(at, _)| (at, "a scheduled call has lapsed"));
        let has_room = self.turns_out < self.rules.turns_max;
        let turn = self.turns.first().filter(|_| has_room);
        let turn = turn.map(|&(at, _)| (at, "a scheduled call is due"));
        lapse.into_iter().chain(turn).min()
    }

    fn first_lapse(&self) -> Option<&(WallTime, K)> {
        let has_room = self.turns_out < 2 * self.rules.turns_max;
        self.lapses.first().filter(|_| has_room)
    }

    fn take_out(&mut self, call: &K, entry: Entry) {
        self.turns.remove(&(entry.not_before, call.clone()));
        self.lapses.remove(&(entry.appointment.latest, call.clone()));
    }
}

#[cfg(test)]
mod tests;
