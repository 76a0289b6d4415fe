//! Who has been called, and how it went: what must survive the death of the process.
//!
//! A [`Book`] changes by [`Fact`]s only. Its facts in their order give the same book again.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::{Index, IndexMut},
};

use serde::{Deserialize, Serialize};

use super::{ATTEMPTS_MAX, LineId, Outcome, WallTime, ZoneId};

/// A contact, by its place in the campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContactId(pub u32);

/// The digits of an E.164 number, which has fifteen at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NumberKey(pub u64);

/// Tells the attempts of a contact apart; an attempt that was called off has one too.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Attempt(pub u16);

/// Somebody to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub number: NumberKey,
    pub zone: ZoneId,
    pub pool: u16,
    pub standing: Standing,
    /// The latest attempt.
    pub attempt: Attempt,
    /// When it was dialled, in seconds since 1970; at most [`ATTEMPTS_MAX`].
    dialled_s: Vec<u32>,
    /// Outcomes so far, by kind.
    outcomes: [u8; 5],
    last: Option<Outcome>,
    /// Whether the carrier ever took a call for it.
    was_placed: bool,
}

/// Where a contact is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Waiting {
        not_before: WallTime,
    },
    /// It is written down that the carrier will be asked; whether it was, only the carrier knows.
    Intended {
        at: WallTime,
        line: LineId,
    },
    /// The carrier took the call.
    Placed {
        at: WallTime,
        line: LineId,
    },
    Over(Outcome),
    Skipped(Skip),
    PredialFailed,
    /// Whether the carrier dialled cannot be found out: for a human to decide.
    Unclear,
}

/// Why somebody is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    DoNotCall,
    /// The client's server said so.
    NotEligible,
    AttemptsUsed,
    TooLate,
    Stopped,
}

/// A contact's status in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContactStatus {
    Pending,
    Dispatched,
    Completed,
    Failed,
    Skipped,
    PredialFailed,
}

impl Standing {
    pub const fn status(self) -> ContactStatus {
        match self {
            Self::Waiting { .. } => ContactStatus::Pending,
            Self::Intended { .. } | Self::Placed { .. } => ContactStatus::Dispatched,
            Self::Over(Outcome::Failed) | Self::Unclear => ContactStatus::Failed,
            Self::Over(
                Outcome::Answered | Outcome::Busy | Outcome::NoAnswer | Outcome::Voicemail,
            ) => ContactStatus::Completed,
            Self::Skipped(_) => ContactStatus::Skipped,
            Self::PredialFailed => ContactStatus::PredialFailed,
        }
    }

    pub const fn is_final(self) -> bool {
        match self {
            Self::Waiting { .. } | Self::Intended { .. } | Self::Placed { .. } => false,
            Self::Over(_) | Self::Skipped(_) | Self::PredialFailed | Self::Unclear => true,
        }
    }
}

/// Where a campaign is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Scheduled,
    Running,
    Paused,
    Ended(Close),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Close {
    /// Nobody is left.
    Done,
    Stopped,
    /// `latestAt` came first.
    TooLate,
}

/// What happened, as the journal keeps it. Short names: there are several for each contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Fact {
    Began,
    Paused,
    Resumed,
    Closed {
        how: Close,
    },
    /// The carrier is about to be asked. On disk before it is.
    Intended {
        contact: ContactId,
        attempt: Attempt,
        line: LineId,
        at: WallTime,
    },
    /// The carrier was not asked after all, and will not be.
    Revoked {
        contact: ContactId,
        attempt: Attempt,
    },
    Placed {
        contact: ContactId,
        attempt: Attempt,
    },
    Finished {
        contact: ContactId,
        attempt: Attempt,
        outcome: Outcome,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<WallTime>,
    },
    Skipped {
        contact: ContactId,
        why: Skip,
    },
    PredialFailed {
        contact: ContactId,
    },
    Unclear {
        contact: ContactId,
        attempt: Attempt,
    },
}

/// Contacts by status, and what the contract calls call metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub pending: u32,
    pub dispatched: u32,
    pub completed: u32,
    pub failed: u32,
    pub skipped: u32,
    pub predial_failed: u32,
    /// Of those that failed, the ones a human must look at.
    pub unclear: u32,
    /// Contacts for which the carrier took at least one call.
    pub dialled: u32,
    /// Of those, contacts where somebody picked up.
    pub connected: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    contacts: Vec<Contact>,
    by_number: BTreeMap<NumberKey, ContactId>,
    phase: Phase,
    counters: Counters,
    /// How many attempts each pool's lines have had.
    turns: Vec<u32>,
}

/// A number that the campaign calls already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    pub of: ContactId,
}

impl Book {
    pub fn new(pools: usize) -> Self {
        Self {
            contacts: Vec::new(),
            by_number: BTreeMap::new(),
            phase: Phase::Scheduled,
            counters: Counters::default(),
            turns: vec![0; pools],
        }
    }

    pub fn add(
        &mut self,
        number: NumberKey,
        zone: ZoneId,
        pool: u16,
    ) -> Result<ContactId, Duplicate> {
        if let Some(&of) = self.by_number.get(&number) {
            return Err(Duplicate { of });
        }
        let id = ContactId(u32::try_from(self.contacts.len()).expect("contacts fit in memory"));
        self.by_number.insert(number, id);
        self.counters.pending += 1;
        self.contacts.push(Contact {
            number,
            zone,
            pool,
            standing: Standing::Waiting { not_before: WallTime::ZERO },
            attempt: Attempt::default(),
            dialled_s: Vec::new(),
            outcomes: [0; 5],
            last: None,
            was_placed: false,
        });
        Ok(id)
    }

    pub const fn phase(&self) -> Phase {
        self.phase
    }

    pub const fn counters(&self) -> Counters {
        self.counters
    }

    pub const fn len(&self) -> usize {
        self.contacts.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.contacts.is_empty()
    }

    pub fn contact(&self, id: ContactId) -> Option<&Contact> {
        self.contacts.get(id.0 as usize)
    }

    pub fn contacts(&self) -> impl Iterator<Item = (ContactId, &Contact)> {
        (0..).map(ContactId).zip(&self.contacts)
    }

    pub fn with_number(&self, number: NumberKey) -> Option<ContactId> {
        self.by_number.get(&number).copied()
    }

    pub fn zones(&self) -> BTreeSet<ZoneId> {
        self.contacts.iter().map(|contact| contact.zone).collect()
    }

    /// Whether every contact has come to an end.
    pub const fn is_done(&self) -> bool {
        self.counters.pending == 0 && self.counters.dispatched == 0
    }

    /// Whose turn it is among the lines of a pool.
    pub fn turn(&self, pool: u16) -> usize {
        self.turns.get(usize::from(pool)).map_or(0, |&turn| turn as usize)
    }

    /// Takes a fact in. False: it does not fit what is known, and changes nothing.
    pub fn apply(&mut self, fact: &Fact) -> bool {
        match *fact {
            Fact::Began => self.move_to(Phase::Running, |from| from == Phase::Scheduled),
            Fact::Paused => self
                .move_to(Phase::Paused, |from| matches!(from, Phase::Scheduled | Phase::Running)),
            Fact::Resumed => self.move_to(Phase::Running, |from| from == Phase::Paused),
            Fact::Closed { how } => self.close(how),
            Fact::Intended { contact, attempt, line, at } => {
                let Some(it) = self.get_mut(contact).filter(|it| it.is_waiting()) else {
                    return false;
                };
                it.attempt = attempt;
                it.note_dialled(at);
                let pool = usize::from(it.pool);
                if let Some(turn) = self.turns.get_mut(pool) {
                    *turn = turn.wrapping_add(1);
                }
                self.stand(contact, Standing::Intended { at, line });
                true
            }
            Fact::Revoked { contact, attempt } => {
                let Some(it) = self.get_mut(contact).filter(|it| it.is_at(attempt)) else {
                    return false;
                };
                it.dialled_s.pop();
                self.stand(contact, Standing::Waiting { not_before: WallTime::ZERO });
                self.give_up_if_closed(contact);
                true
            }
            Fact::Placed { contact, attempt } => {
                let it = self.get_mut(contact).filter(|it| it.is_at(attempt));
                let Some(Standing::Intended { at, line }) = it.map(|it| it.standing) else {
                    return false;
                };
                self.stand(contact, Standing::Placed { at, line });
                self.note_placed(contact);
                true
            }
            Fact::Finished { contact, attempt, outcome, retry_at } => {
                let Some(it) = self.get_mut(contact).filter(|it| it.is_at(attempt)) else {
                    return false;
                };
                let count = &mut it.outcomes[outcome as usize];
                *count = count.saturating_add(1);
                it.last = Some(outcome);
                let standing = match retry_at {
                    None => Standing::Over(outcome),
                    Some(not_before) => Standing::Waiting { not_before },
                };
                if outcome == Outcome::Answered {
                    self.counters.connected += 1;
                }
                self.stand(contact, standing);
                if outcome != Outcome::Failed {
                    self.note_placed(contact);
                }
                self.give_up_if_closed(contact);
                true
            }
            Fact::Skipped { contact, why } => self.settle(contact, Standing::Skipped(why)),
            Fact::PredialFailed { contact } => self.settle(contact, Standing::PredialFailed),
            Fact::Unclear { contact, attempt } => {
                let is_known = self.get_mut(contact).is_some_and(|it| it.is_at(attempt));
                if is_known {
                    self.counters.unclear += 1;
                    self.stand(contact, Standing::Unclear);
                }
                is_known
            }
        }
    }

    fn move_to(&mut self, to: Phase, may: impl Fn(Phase) -> bool) -> bool {
        let may = may(self.phase);
        if may {
            self.phase = to;
        }
        may
    }

    /// Nobody is dialled from here on; calls that are under way come to their own end.
    fn close(&mut self, how: Close) -> bool {
        if matches!(self.phase, Phase::Ended(_)) {
            return false;
        }
        self.phase = Phase::Ended(how);
        for index in 0..self.contacts.len() {
            self.give_up_if_closed(ContactId(index as u32));
        }
        true
    }

    fn give_up_if_closed(&mut self, contact: ContactId) {
        let why = match self.phase {
            Phase::Scheduled | Phase::Running | Phase::Paused | Phase::Ended(Close::Done) => return,
            Phase::Ended(Close::Stopped) => Skip::Stopped,
            Phase::Ended(Close::TooLate) => Skip::TooLate,
        };
        let last = self.contact(contact).and_then(|it| it.last);
        self.settle(contact, last.map_or(Standing::Skipped(why), Standing::Over));
    }

    fn note_placed(&mut self, contact: ContactId) {
        if let Some(it) = self.get_mut(contact)
            && !mem::replace(&mut it.was_placed, true)
        {
            self.counters.dialled += 1;
        }
    }

    fn settle(&mut self, contact: ContactId, standing: Standing) -> bool {
        let is_waiting = self.get_mut(contact).is_some_and(|it| it.is_waiting());
        if is_waiting {
            self.stand(contact, standing);
        }
        is_waiting
    }

    fn stand(&mut self, contact: ContactId, standing: Standing) {
        let Some(it) = self.contacts.get_mut(contact.0 as usize) else {
            return;
        };
        let before = mem::replace(&mut it.standing, standing).status();
        self.counters[before] -= 1;
        self.counters[standing.status()] += 1;
    }

    fn get_mut(&mut self, contact: ContactId) -> Option<&mut Contact> {
        self.contacts.get_mut(contact.0 as usize)
    }
}

impl Contact {
    /// When it was dialled, the latest last.
    pub fn dialled(&self) -> impl DoubleEndedIterator<Item = WallTime> + ExactSizeIterator {
        self.dialled_s.iter().map(|&s| WallTime::from_millis(u64::from(s) * 1_000))
    }

    /// How often an attempt ended like this.
    pub const fn outcomes(&self, outcome: Outcome) -> u8 {
        self.outcomes[outcome as usize]
    }

    pub const fn is_waiting(&self) -> bool {
        matches!(self.standing, Standing::Waiting { .. })
    }

    /// Whether this attempt is under way.
    pub fn is_at(&self, attempt: Attempt) -> bool {
        let is_under_way =
            matches!(self.standing, Standing::Intended { .. } | Standing::Placed { .. });
        is_under_way && self.attempt == attempt
    }

    fn note_dialled(&mut self, at: WallTime) {
        if self.dialled_s.len() == usize::from(ATTEMPTS_MAX) {
            self.dialled_s.remove(0);
        }
        self.dialled_s.push(u32::try_from(at.as_millis() / 1_000).unwrap_or(u32::MAX));
    }
}

impl Index<ContactStatus> for Counters {
    type Output = u32;

    fn index(&self, status: ContactStatus) -> &u32 {
        match status {
            ContactStatus::Pending => &self.pending,
            ContactStatus::Dispatched => &self.dispatched,
            ContactStatus::Completed => &self.completed,
            ContactStatus::Failed => &self.failed,
            ContactStatus::Skipped => &self.skipped,
            ContactStatus::PredialFailed => &self.predial_failed,
        }
    }
}

impl IndexMut<ContactStatus> for Counters {
    fn index_mut(&mut self, status: ContactStatus) -> &mut u32 {
        match status {
            ContactStatus::Pending => &mut self.pending,
            ContactStatus::Dispatched => &mut self.dispatched,
            ContactStatus::Completed => &mut self.completed,
            ContactStatus::Failed => &mut self.failed,
            ContactStatus::Skipped => &mut self.skipped,
            ContactStatus::PredialFailed => &mut self.predial_failed,
        }
    }
}
