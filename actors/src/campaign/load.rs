//! A campaign as its rows tell it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use offhook_api::campaign::{CampaignView, ContactRow, Zones};
use offhook_core::campaign::{Book, ContactId};
use offhook_store::{CampaignPart, Store, StoreError};
use uuid::Uuid;

use super::{contact_of, journal::Entry};

/// What the rows add up to.
#[derive(Debug)]
pub struct Loaded {
    pub book: Book,
    pub zones: Zones,
    /// How the latest calls ended.
    pub reasons: Reasons,
}

/// Ended reasons of contacts. There are few different ones, which contacts share.
#[derive(Debug, Default)]
pub struct Reasons {
    of: HashMap<ContactId, Arc<str>>,
    known: HashSet<Arc<str>>,
}

impl Reasons {
    pub fn set(&mut self, contact: ContactId, reason: Arc<str>) {
        let shared = match self.known.get(&reason) {
            Some(known) => known.clone(),
            None => {
                self.known.insert(reason.clone());
                reason
            }
        };
        self.of.insert(contact, shared);
    }

    pub fn of(&self, contact: ContactId) -> Option<&Arc<str>> {
        self.of.get(&contact)
    }
}

/// Reads a campaign. The work is done on a thread of the store.
pub async fn load(store: &Store, id: Uuid, view: &CampaignView) -> Result<Loaded, StoreError> {
    let damaged = move |what: &str, number: u64| StoreError::Corrupt {
        what: format!("{what} {number} of campaign {id}"),
    };
    let time_zone = view.time_zone.clone();
    let empty = (Book::new(view.plan.pools.len()), Zones::default());
    let see = move |(book, zones): &mut (Book, Zones), number, row: &[u8]| {
        let head = ContactRow::decode_head(row);
        let (key, pool, zone) = head.ok_or_else(|| damaged("contact", number))?;
        let zone = zones.of(key, zone, time_zone.as_deref());
        // Its place is its name: one that is left out would shift all others.
        book.add(key, zone, pool).map_err(|_| damaged("contact", number))?;
        Ok(())
    };
    let (book, zones) = store.campaign_fold(id, CampaignPart::Contacts, empty, see).await?;
    let see = move |(book, reasons): &mut (Book, Reasons), number, row: &[u8]| {
        let entry = Entry::decode(row).ok_or_else(|| damaged("fact", number))?;
        // What a disk wrote twice, or a revoked intent that it did not write, changes nothing.
        let fits = book.apply(&entry.fact);
        if let (true, Some(contact), Some(why)) = (fits, contact_of(&entry.fact), entry.why) {
            reasons.set(contact, why.into());
        }
        Ok(())
    };
    let begun = (book, Reasons::default());
    let (book, reasons) = store.campaign_fold(id, CampaignPart::Facts, begun, see).await?;
    Ok(Loaded { book, zones, reasons })
}
