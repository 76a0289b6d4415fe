//! The campaigns of a node: the way in for the API, and what they share.

mod desk;
mod shared;
mod supervisor;

use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use offhook_actors::{
    Outbox,
    campaign::{
        CampaignMsg, CampaignSpec, ContactGlance, ContactsAsk, Glance, Loaded, Numbers, Ownership,
        load, page,
    },
    egress::Egress,
    outbox::OutboxItem,
};
use offhook_api::{
    CallDocument,
    campaign::{CampaignView, ContactRow, number_key},
};
use offhook_core::campaign::{Counters, Event, NumberKey, Phase, WallTime};
use offhook_store::{
    Append, Bounds, CAMPAIGN_ROWS_MAX, CampaignPart, Document, Kind, ListFilter, Store, StoreError,
};
use ractor::{ActorRef, RpcReplyPort, rpc::CallResult};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

pub(crate) use self::desk::Clock;
pub use self::desk::Dialer;
use self::shared::Open;
pub(crate) use self::shared::Shared;
pub(crate) use self::supervisor::{CampaignsMsg, CampaignsSupervisor};
use crate::{Lease, Slots};

/// Contacts of one campaign: a hundred bytes of memory each.
pub const CONTACTS_MAX: u64 = 1_000_000;

/// Longest wait for a campaign's actor, which may have to wait for the disk itself.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Longest wait for the end of a campaign to be stored.
const FILE_MAX: Duration = Duration::from_secs(10);

/// Campaigns that are read from the disk at once, for somebody who looks at one that is over.
const READ_AT_ONCE: usize = 2;

/// Lists that are being filled and whose numbers are kept in memory.
const DRAFTS_MAX: usize = 16;

/// How far back calls of campaigns that are over count for caps of numbers.
const CALLS_MATTER: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// The campaigns of a node; cheap to clone.
#[derive(Clone)]
pub struct Campaigns {
    pub(crate) shared: Arc<Shared>,
}

/// Why something was not done to a campaign.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the campaign does not answer; whether it was done is not certain, look before you try again"
    )]
    NoAnswer,
    #[error("a campaign has at most {CONTACTS_MAX} contacts; begin another one")]
    TooMany,
    #[error("dialing has begun: contacts and settings stay as they are")]
    HasBegun,
}

/// What became of contacts that were to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    pub added: usize,
    /// Places in what was given of those whose numbers are on the list already.
    pub duplicates: Vec<usize>,
}

impl Campaigns {
    pub(crate) fn new(
        store: Store,
        slots: Slots,
        egress: Egress,
        outbox: Outbox,
        clock: Clock,
    ) -> Self {
        let shared = Shared {
            store,
            slots,
            egress,
            outbox,
            clock,
            numbers: Numbers::default(),
            dialer: OnceLock::new(),
            supervisor: RwLock::new(None),
            open: RwLock::default(),
            drafts: Mutex::default(),
            listed: Mutex::default(),
            recalled: Mutex::default(),
            has_history: Mutex::new(false),
            readers: Semaphore::new(READ_AT_ONCE),
            draining: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes up the campaigns of the store, and from here on carries out those that are begun.
    pub async fn run(&self, dialer: Arc<dyn Dialer>) -> Result<(), StoreError> {
        if self.shared.dialer.set(dialer).is_err() {
            return Ok(());
        }
        for (id, head) in self.shared.store.campaigns().await? {
            let Some(org) = org_of(&head) else { continue };
            match self.shared.store.get(&org, Kind::Campaign, id).await {
                Ok(Some(document)) if is_open(&document.body) => {
                    if let Err(error) = self.start(&document).await {
                        tracing::error!(campaign = %id, %error, "campaign cannot be taken up");
                    }
                }
                Ok(Some(_)) => {}
                // Its creation was never acknowledged.
                Ok(None) => self.drop_rows(id).await?,
                Err(error) => {
                    tracing::error!(campaign = %id, %error, "campaign cannot be read");
                }
            }
        }
        Ok(())
    }

    /// Stores a campaign with its contacts, whose numbers must differ; `Ok`: it is on disk.
    pub async fn create(
        &self,
        document: Document,
        contacts: &[ContactRow],
    ) -> Result<(), CampaignError> {
        let head = json!({ "org": document.org }).to_string().into_bytes();
        let store = &self.shared.store;
        store
            .campaign_append(document.id, CampaignPart::Head, vec![head], Append::Durable, || true)
            .await?;
        self.write_contacts(document.id, contacts).await?;
        store.put(document.clone()).await?;
        if is_open(&document.body) {
            self.start(&document).await?;
        }
        Ok(())
    }

    /// Adds contacts to a campaign that is not begun; numbers that it has already are left out.
    pub async fn add_contacts(
        &self,
        document: &Document,
        contacts: Vec<ContactRow>,
    ) -> Result<Added, CampaignError> {
        let mut drafts = self.shared.drafts.lock().await;
        // Whoever begins the campaign changes its document, and then waits for us.
        let store = &self.shared.store;
        let current = store.get(&document.org, Kind::Campaign, document.id).await?;
        let is_draft = |it: &Document| !is_open(&it.body) && !is_over(&it.body);
        if !current.as_ref().is_some_and(is_draft) {
            return Err(CampaignError::HasBegun);
        }
        if !drafts.contains_key(&document.id) {
            let see = |known: &mut HashSet<NumberKey>, _, row: &[u8]| {
                known.extend(ContactRow::decode_head(row).map(|(number, ..)| number));
                Ok(())
            };
            let part = CampaignPart::Contacts;
            let known = store.campaign_fold(document.id, part, HashSet::new(), see).await?;
            if drafts.len() >= DRAFTS_MAX {
                drafts.clear();
            }
            drafts.insert(document.id, known);
        }
        let known = drafts.entry(document.id).or_default();
        let mut added = Added::default();
        let mut fresh = Vec::new();
        let mut numbers = HashSet::new();
        for (index, contact) in contacts.into_iter().enumerate() {
            if known.contains(&contact.number) || !numbers.insert(contact.number) {
                added.duplicates.push(index);
            } else {
                fresh.push(contact);
            }
        }
        if known.len() as u64 + fresh.len() as u64 > CONTACTS_MAX {
            return Err(CampaignError::TooMany);
        }
        let written = self.write_contacts(document.id, &fresh).await;
        if let Err(error) = written {
            // How far it came is on the disk alone.
            drafts.remove(&document.id);
            return Err(error);
        }
        known.extend(numbers);
        added.added = fresh.len();
        Ok(added)
    }

    /// Takes new contacts for those that a campaign had; nobody may have been called.
    pub async fn replace_contacts(
        &self,
        id: Uuid,
        contacts: &[ContactRow],
    ) -> Result<(), CampaignError> {
        self.shared.drafts.lock().await.remove(&id);
        self.shared.store.campaign_drop(id, CampaignPart::Contacts).await?;
        self.write_contacts(id, contacts).await
    }

    /// Has a campaign carried out.
    pub async fn start(&self, document: &Document) -> Result<(), CampaignError> {
        let spec = spec_of(document)?;
        self.shared.drafts.lock().await.remove(&spec.id);
        self.list_barred(&spec.org).await?;
        let caps = &spec.view.plan.caps;
        if caps.number_per_day.is_some() || caps.number_per_week.is_some() {
            self.recall_calls().await?;
            self.recall_singles(&spec.org).await?;
        }
        let id = spec.id;
        self.shared.open().entry(id).or_insert_with(|| Open {
            spec,
            ownership: Ownership::default(),
            actor: None,
            is_filed: Arc::default(),
            is_halted: false,
        });
        if let Some(supervisor) = self.supervisor() {
            // A supervisor that is gone has a successor, which starts all of them.
            let _ = supervisor.cast(CampaignsMsg::Start(id));
        }
        Ok(())
    }

    /// Takes a campaign out of the hands of its actor, provided that nobody was called.
    pub async fn withdraw(&self, document: &Document) -> Result<(), CampaignError> {
        if let Some(supervisor) = self.supervisor() {
            let ask = |reply| CampaignsMsg::Withdraw(document.id, reply);
            let asked = supervisor.call(ask, Some(ANSWER_MAX)).await;
            if !matches!(asked, Ok(CallResult::Success(()))) {
                return Err(CampaignError::NoAnswer);
            }
        }
        let glance = self.read(document).await?;
        if glance.book.phase() == Phase::Scheduled {
            return Ok(());
        }
        self.start(document).await?;
        Err(CampaignError::HasBegun)
    }

    /// Forgets a campaign that is not carried out.
    pub async fn remove(&self, document: &Document) -> Result<(), CampaignError> {
        self.shared.store.delete(&document.org, Kind::Campaign, document.id).await?;
        self.drop_rows(document.id).await?;
        Ok(())
    }

    /// Pauses, resumes or stops a campaign; `Ok`: it is on disk, and nobody is dialled against it.
    pub async fn act(&self, id: Uuid, event: Event) -> Result<(), CampaignError> {
        let halts = matches!(event, Event::Pause | Event::Stop);
        self.ask(id, |reply| CampaignMsg::Do(event, reply)).await?;
        self.shared.note_halted(id, halts);
        Ok(())
    }

    /// Whether a campaign was paused or stopped since it was begun here, or may not call this number any
    /// more.
    pub fn has_given_up(&self, id: Uuid, number: &str) -> bool {
        let open = self.shared.open();
        let Some(campaign) = open.get(&id) else { return false };
        let numbers = &self.shared.numbers;
        let is_barred = |key| numbers.is_barred(&campaign.spec.org, key);
        campaign.is_halted || number_key(number).is_some_and(is_barred)
    }

    /// Whether a campaign has an actor.
    pub fn is_running(&self, id: Uuid) -> bool {
        self.shared.open().contains_key(&id)
    }

    /// A campaign in numbers.
    pub async fn glance(&self, document: &Document) -> Result<Glance, CampaignError> {
        if self.is_running(document.id)
            && let Ok(glance) = self.ask(document.id, CampaignMsg::Glance).await
        {
            return Ok(glance);
        }
        let store = &self.shared.store;
        if store.campaign_len(document.id, CampaignPart::Facts).await? == 0 {
            // Nothing has happened to anybody.
            let contacts = store.campaign_len(document.id, CampaignPart::Contacts).await?;
            let pending = u32::try_from(contacts).unwrap_or(u32::MAX);
            return Ok(Glance {
                phase: Phase::Scheduled,
                counters: Counters { pending, ..Counters::default() },
                voicemails: 0,
                pace: None,
            });
        }
        Ok(Glance::of(&self.read(document).await?.book, None))
    }

    /// A page of a campaign's contacts with their rows, and how many there are in all.
    pub async fn contacts(
        &self,
        document: &Document,
        ask: ContactsAsk,
    ) -> Result<(usize, Vec<(ContactGlance, ContactRow)>), CampaignError> {
        let asked = ask.clone();
        let answered = match self.is_running(document.id) {
            true => self.ask(document.id, |reply| CampaignMsg::Contacts(asked, reply)).await.ok(),
            false => None,
        };
        let (total, glances) = match answered {
            Some(found) => found,
            None => {
                let Loaded { book, reasons, .. } = self.read(document).await?;
                page(document.id, &book, &reasons, &ask)
            }
        };
        let mut contacts = Vec::with_capacity(glances.len());
        for run in glances.chunk_by(|one, next| one.id.0 + 1 == next.id.0) {
            let from = run.first().map_or(0, |glance| u64::from(glance.id.0));
            let part = CampaignPart::Contacts;
            let rows = self.shared.store.campaign_rows(document.id, part, from, run.len()).await?;
            for (glance, row) in run.iter().zip(rows) {
                let damaged = || StoreError::Corrupt {
                    what: format!("contact {} of campaign {}", glance.id.0, document.id),
                };
                contacts.push((glance.clone(), ContactRow::decode(&row).ok_or_else(damaged)?));
            }
        }
        Ok((total, contacts))
    }

    /// Counts a call that is no campaign's towards the caps of the number that is called.
    pub fn note_single(&self, org: &str, number: &str, call: Uuid) {
        if let Some(number) = number_key(number) {
            self.shared.numbers.note_single(org, number, call, self.shared.clock.now());
        }
    }

    /// Has a number not be called any more, from the next dial on.
    pub fn bar(&self, org: &str, number: NumberKey) {
        self.shared.numbers.bar(org, number);
        for open in self.shared.open().values() {
            if &*open.spec.org == org
                && let Some(actor) = &open.actor
            {
                // An actor that is gone has a successor, which asks the list.
                let _ = actor.cast(CampaignMsg::Barred(number));
            }
        }
    }

    /// Tells a campaign's server something of its document.
    pub fn tell(&self, document: &Document, event: &'static str) {
        let Ok(spec) = spec_of(document) else { return };
        if let Some(target) = spec.view.server.as_ref().filter(|_| spec.view.tells(event)) {
            let body = json!({"message": {
                "type": event,
                "timestamp": Timestamp::now().as_millisecond(),
                "campaignId": spec.id,
            }});
            let item = OutboxItem::of_campaign(&spec.org, spec.id, event, target, body);
            self.shared.outbox.send(item);
        }
    }

    pub fn unbar(&self, org: &str, number: NumberKey) {
        self.shared.numbers.unbar(org, number);
    }

    /// Dials nobody any more; calls under way go on.
    pub(crate) fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
    }

    pub(crate) fn set_supervisor(&self, actor: ActorRef<CampaignsMsg>) {
        *self.shared.supervisor.write().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }

    fn supervisor(&self) -> Option<ActorRef<CampaignsMsg>> {
        self.shared.supervisor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask<T: Send + 'static>(
        &self,
        id: Uuid,
        message: impl FnOnce(RpcReplyPort<T>) -> CampaignMsg<Lease>,
    ) -> Result<T, CampaignError> {
        let actor = self.shared.open().get(&id).and_then(|open| open.actor.clone());
        let asked = actor.ok_or(CampaignError::NoAnswer)?.call(message, Some(ANSWER_MAX)).await;
        match asked {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => {
                Err(CampaignError::NoAnswer)
            }
        }
    }

    async fn read(&self, document: &Document) -> Result<Loaded, CampaignError> {
        let _turn = self.shared.readers.acquire().await.map_err(|_| CampaignError::NoAnswer)?;
        let spec = spec_of(document)?;
        Ok(load(&self.shared.store, spec.id, &spec.view).await?)
    }

    async fn write_contacts(&self, id: Uuid, contacts: &[ContactRow]) -> Result<(), CampaignError> {
        for contacts in contacts.chunks(CAMPAIGN_ROWS_MAX) {
            let rows = contacts.iter().map(ContactRow::encode).collect();
            let part = CampaignPart::Contacts;
            let append = Append::Durable;
            self.shared.store.campaign_append(id, part, rows, append, || true).await?;
        }
        Ok(())
    }

    async fn drop_rows(&self, id: Uuid) -> Result<(), StoreError> {
        // The head last: by it the others are found should the process die.
        for part in [CampaignPart::Facts, CampaignPart::Contacts, CampaignPart::Head] {
            self.shared.store.campaign_drop(id, part).await?;
        }
        Ok(())
    }

    /// Takes an organisation's do-not-call list into memory.
    async fn list_barred(&self, org: &Arc<str>) -> Result<(), StoreError> {
        let mut listed = self.shared.listed.lock().await;
        if listed.contains(org) {
            return Ok(());
        }
        let filter = ListFilter { limit: usize::MAX, ..ListFilter::default() };
        let barred = self.shared.store.list(org, Kind::DoNotCall, filter, None).await?;
        for number in barred.iter().filter_map(|it| number_key(it.body["number"].as_str()?)) {
            self.shared.numbers.bar(org, number);
        }
        listed.insert(org.clone());
        Ok(())
    }

    /// Takes an organisation's calls that are no campaign's into memory, as far as they matter for caps.
    async fn recall_singles(&self, org: &Arc<str>) -> Result<(), StoreError> {
        let mut recalled = self.shared.recalled.lock().await;
        if recalled.contains(org) {
            return Ok(());
        }
        let since_ms = Timestamp::now().as_millisecond() - CALLS_MATTER.as_millis() as i64;
        let (numbers, owner) = (self.shared.numbers.clone(), org.clone());
        let note = move |document: &Document| {
            note_stored(&numbers, &owner, document);
            false
        };
        let updated = Bounds { ge: Some(since_ms), ..Bounds::default() };
        let filter = ListFilter { limit: usize::MAX, updated, ..ListFilter::default() };
        self.shared.store.list(org, Kind::Call, filter, Some(Box::new(note))).await?;
        recalled.insert(org.clone());
        Ok(())
    }

    /// Takes the calls of campaigns that are over into memory, as far as they matter for caps.
    async fn recall_calls(&self) -> Result<(), CampaignError> {
        let mut has_history = self.shared.has_history.lock().await;
        if *has_history {
            return Ok(());
        }
        let since_ms = Timestamp::now().as_millisecond() - CALLS_MATTER.as_millis() as i64;
        for (id, head) in self.shared.store.campaigns().await? {
            let Some(org) = org_of(&head) else { continue };
            let found = self.shared.store.get(&org, Kind::Campaign, id).await?;
            let matters =
                |document: &Document| is_over(&document.body) && document.updated_at_ms > since_ms;
            let Some(document) = found.filter(matters) else { continue };
            let Loaded { book, .. } = self.read(&document).await?;
            for (_, contact) in book.contacts() {
                for at in contact.dialled() {
                    self.shared.numbers.note_call(&org, contact.number, id, at);
                }
            }
        }
        *has_history = true;
        Ok(())
    }
}

/// Counts a stored call that its carrier took and that is no campaign's.
fn note_stored(numbers: &Numbers, org: &str, document: &Document) {
    let body = &document.body;
    let is_single = body["type"] == "outboundPhoneCall" && body.get("campaignId").is_none();
    if !is_single || !body["phoneCallProviderId"].is_string() {
        return;
    }
    let number = body["customer"]["number"].as_str().and_then(number_key);
    // Calls that were scheduled were dialled long after they were created.
    let call = CallDocument::from_value(body.clone());
    let at = call.started_at_ms().or(call.ended_at_ms()).unwrap_or(document.created_at_ms);
    if let (Some(number), Ok(at)) = (number, u64::try_from(at)) {
        numbers.note_single(org, number, document.id, WallTime::from_millis(at));
    }
}

/// Whether a campaign was begun and is not over.
fn is_open(document: &Value) -> bool {
    document["paused"].as_bool() != Some(true) && !is_over(document)
}

/// Whether a campaign was filed.
fn is_over(document: &Value) -> bool {
    document.get("filed").is_some()
}

fn org_of(head: &[u8]) -> Option<String> {
    let head: Value = serde_json::from_slice(head).ok()?;
    Some(head["org"].as_str()?.to_owned())
}

fn spec_of(document: &Document) -> Result<Arc<CampaignSpec>, CampaignError> {
    let id = document.id;
    let view = CampaignView::read(&document.body).map_err(|problems| StoreError::Corrupt {
        what: format!("campaign {id}: {}", problems.join(", ")),
    })?;
    let org = document.org.as_str().into();
    Ok(Arc::new(CampaignSpec { id, org, view, document: document.body.clone() }))
}

#[cfg(test)]
mod tests;
