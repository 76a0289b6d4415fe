//! Contacts between their turn and the end of their call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{AskId, Attempt, ContactId, LineId, WallTime};

/// How far somebody is who is being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Predial,
    Asking {
        ask: AskId,
    },
    /// The slot is in hand.
    Ready {
        ask: AskId,
        line: LineId,
    },
    Writing {
        ask: AskId,
        attempt: Attempt,
        line: LineId,
    },
    Dialling {
        attempt: Attempt,
    },
    Live {
        attempt: Attempt,
    },
    /// The carrier is to be asked what became of it.
    Unsure {
        attempt: Attempt,
    },
    Asked {
        attempt: Attempt,
    },
}

impl Step {
    /// Whether the carrier has certainly not been asked.
    pub const fn is_early(self) -> bool {
        match self {
            Self::Predial | Self::Asking { .. } | Self::Ready { .. } | Self::Writing { .. } => true,
            Self::Dialling { .. }
            | Self::Live { .. }
            | Self::Unsure { .. }
            | Self::Asked { .. } => false,
        }
    }

    pub const fn attempt(self) -> Option<Attempt> {
        match self {
            Self::Predial | Self::Asking { .. } | Self::Ready { .. } => None,
            Self::Writing { attempt, .. }
            | Self::Dialling { attempt }
            | Self::Live { attempt }
            | Self::Unsure { attempt }
            | Self::Asked { attempt } => Some(attempt),
        }
    }
}

/// Everybody who is being called, and by when each step must be over.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    of: BTreeMap<ContactId, (Step, WallTime)>,
    dues: BTreeSet<(WallTime, ContactId)>,
    /// Who has a slot and waits for the pace.
    ready: VecDeque<ContactId>,
    early: usize,
}

impl Steps {
    pub fn of(&self, contact: ContactId) -> Option<Step> {
        self.of.get(&contact).map(|&(step, _)| step)
    }

    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// How many the carrier has not been asked for.
    pub const fn early(&self) -> usize {
        self.early
    }

    pub fn all_early(&self) -> Vec<ContactId> {
        let early = self.of.iter().filter(|(_, (step, _))| step.is_early());
        early.map(|(&contact, _)| contact).collect()
    }

    /// The first that must be over, and when.
    pub fn first_due(&self) -> Option<(WallTime, ContactId)> {
        self.dues.first().copied()
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Who got a slot first.
    pub fn first_ready(&self) -> Option<(ContactId, AskId, LineId)> {
        let contact = *self.ready.front()?;
        match self.of(contact)? {
            Step::Ready { ask, line } => Some((contact, ask, line)),
            Step::Predial
            | Step::Asking { .. }
            | Step::Writing { .. }
            | Step::Dialling { .. }
            | Step::Live { .. }
            | Step::Unsure { .. }
            | Step::Asked { .. } => None,
        }
    }

    /// Puts a contact at a step that must be over by `due`.
    pub fn set(&mut self, contact: ContactId, step: Step, due: WallTime) {
        self.end(contact);
        self.early += usize::from(step.is_early());
        if matches!(step, Step::Ready { .. }) {
            self.ready.push_back(contact);
        }
        self.dues.insert((due, contact));
        self.of.insert(contact, (step, due));
    }

    pub fn end(&mut self, contact: ContactId) {
        if let Some((step, due)) = self.of.remove(&contact) {
            self.early -= usize::from(step.is_early());
            self.dues.remove(&(due, contact));
            if matches!(step, Step::Ready { .. }) {
                self.ready.retain(|&other| other != contact);
            }
        }
    }
}
