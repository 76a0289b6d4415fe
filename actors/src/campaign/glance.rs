//! A campaign as clients see it.

use std::sync::Arc;

use offhook_core::campaign::{
    Attempt, Book, Contact, ContactId, ContactStatus, Counters, Outcome, Phase, Standing, WallTime,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::load::Reasons;

/// A campaign in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glance {
    pub phase: Phase,
    pub counters: Counters,
    /// Contacts of whom an answering machine was reached.
    pub voicemails: u32,
    /// Calls a second that the campaign allows itself; nothing when it is over.
    pub pace: Option<f64>,
}

impl Glance {
    pub fn of(book: &Book, pace: Option<f64>) -> Self {
        let reached = |contact: &Contact| contact.outcomes(Outcome::Voicemail) > 0;
        let voicemails = book.contacts().filter(|(_, contact)| reached(contact)).count();
        Self {
            phase: book.phase(),
            counters: book.counters(),
            voicemails: u32::try_from(voicemails).unwrap_or(u32::MAX),
            pace,
        }
    }
}

/// Which contacts somebody wants to see.
#[derive(Clone, Debug, Default)]
pub struct ContactsAsk {
    /// All, when empty.
    pub statuses: Vec<ContactStatus>,
    pub by_status: bool,
    pub skip: usize,
    pub max: usize,
}

/// Where a contact stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ContactGlance {
    pub id: ContactId,
    pub status: ContactStatus,
    pub is_unclear: bool,
    /// The latest call.
    pub call: Option<Uuid>,
    pub dialled: Option<WallTime>,
    pub attempts: usize,
    pub reason: Option<Arc<str>>,
}

/// A page of contacts, and how many there are in all.
pub fn page(
    campaign: Uuid,
    book: &Book,
    reasons: &Reasons,
    ask: &ContactsAsk,
) -> (usize, Vec<ContactGlance>) {
    let asked = |contact: &Contact| {
        ask.statuses.is_empty() || ask.statuses.contains(&contact.standing.status())
    };
    let mut found: Vec<_> = book.contacts().filter(|(_, contact)| asked(contact)).collect();
    if ask.by_status {
        found.sort_by_key(|(id, contact)| (contact.standing.status(), *id));
    }
    let total = found.len();
    let shown = found.into_iter().skip(ask.skip).take(ask.max);
    let glance = |(id, contact): (ContactId, &Contact)| ContactGlance {
        id,
        status: contact.standing.status(),
        is_unclear: contact.standing == Standing::Unclear,
        call: contact.dialled().last().map(|_| intent_id(campaign, id, contact.attempt)),
        dialled: contact.dialled().last(),
        attempts: contact.dialled().len(),
        reason: reasons.of(id).cloned(),
    };
    (total, shown.map(glance).collect())
}

/// Names an attempt, and its call.
pub fn intent_id(campaign: Uuid, contact: ContactId, attempt: Attempt) -> Uuid {
    let digest = Sha256::digest(format!("{campaign} {} {}", contact.0, attempt.0));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Names a contact.
pub fn contact_uuid(campaign: Uuid, contact: ContactId) -> Uuid {
    let digest = Sha256::digest(format!("{campaign} {}", contact.0));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
