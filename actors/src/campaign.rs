//! Carries out a campaign: [`offhook_core::campaign`] decides, this writes down, asks and dials.
//!
//! Its state is its journal. An actor that takes over reads it, and what its predecessor left unclear is
//! asked of the carrier before anybody is dialled again.

mod calls;
mod desk;
mod glance;
mod journal;
mod load;
mod numbers;
mod running;
mod told;

use std::{mem, sync::Arc, time::Duration};

use offhook_core::campaign::{AskId, Attempt, ContactId, Event, Fact, LineId, NumberKey};
use offhook_store::Store;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::time::sleep;

pub use self::{
    desk::{CampaignSpec, Desk, DialError, DialOrder, Ending, Filing, Found, Live},
    glance::{ContactGlance, ContactsAsk, Glance, contact_uuid, intent_id, page},
    journal::{Entry, Ownership},
    load::{Loaded, Reasons, load},
    numbers::Numbers,
    running::Running,
};
use crate::Leaf;

/// One per campaign that is not over.
pub struct CampaignActor<D>(std::marker::PhantomData<D>);

impl<D> Default for CampaignActor<D> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// What a campaign is told.
pub enum CampaignMsg<S> {
    /// Pause, resume, stop; answered once it is on disk.
    Do(Event, RpcReplyPort<()>),
    Glance(RpcReplyPort<Glance>),
    Contacts(ContactsAsk, RpcReplyPort<(usize, Vec<ContactGlance>)>),
    /// Somebody is not to be called any more.
    Barred(NumberKey),
    /// Of its own tasks.
    Inner(Inner<S>),
}

/// What came of something that the campaign began.
pub enum Inner<S> {
    Loaded(Box<Loaded>),
    Due,
    Event(Event),
    Slot { contact: ContactId, ask: AskId, slot: Option<(LineId, S)> },
    Placed { contact: ContactId, attempt: Attempt, placed: Result<Live, DialError> },
    Found { contact: ContactId, attempt: Attempt, found: Found },
    Over { contact: ContactId, attempt: Attempt, ending: Ending },
    Filed(bool),
}

pub struct CampaignArgs<D> {
    pub spec: Arc<CampaignSpec>,
    pub desk: Arc<D>,
    pub store: Store,
    pub numbers: Numbers,
    pub ownership: Ownership,
}

impl<D> Clone for CampaignArgs<D> {
    fn clone(&self) -> Self {
        Self {
            spec: self.spec.clone(),
            desk: self.desk.clone(),
            store: self.store.clone(),
            numbers: self.numbers.clone(),
            ownership: self.ownership.clone(),
        }
    }
}

pub enum CampaignState<D: Desk> {
    /// Its rows are being read; what it is told meanwhile waits.
    Loading {
        args: CampaignArgs<D>,
        told: Vec<CampaignMsg<D::Slot>>,
        _reading: Leaf,
    },
    Running(Box<Running<D>>),
}

/// What a campaign may be told while it is read. Whoever asks more is not answered.
const TOLD_MAX: usize = 256;

/// How often rows are tried again that cannot be read.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// The longest sleep: the wall's clock may be set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// How long a campaign waits for a disk that is behind.
const DISK_WAIT: Duration = Duration::from_millis(50);

/// Longest wait for a contact's row.
const ROW_MAX: Duration = Duration::from_secs(5);

/// How often a carrier is asked again that does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(15);

/// How often a campaign is filed anew whose filing failed.
const FILE_AGAIN: Duration = Duration::from_secs(5);

/// The ended reason of a contact that a human must look at.
const UNCLEAR: &str = "campaign.contact.unclear-whether-dialed";

impl<D: Desk> Actor for CampaignActor<D> {
    type Msg = CampaignMsg<D::Slot>;
    type State = CampaignState<D>;
    type Arguments = CampaignArgs<D>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: CampaignArgs<D>,
    ) -> Result<CampaignState<D>, ActorProcessingErr> {
        let (store, spec) = (args.store.clone(), args.spec.clone());
        // Before the first row is read: whoever wrote before us writes nothing after it.
        let token = args.ownership.take();
        let reading = Leaf::spawn(async move {
            while token.is_valid() {
                match load(&store, spec.id, &spec.view).await {
                    Ok(loaded) => {
                        tell(&myself, Inner::Loaded(Box::new(loaded)));
                        return;
                    }
                    Err(error) => {
                        tracing::error!(campaign = %spec.id, %error, "campaign cannot be read");
                    }
                }
                sleep(RELOAD_EVERY).await;
            }
        });
        Ok(CampaignState::Loading { args, told: Vec::new(), _reading: reading })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut CampaignState<D>,
    ) -> Result<(), ActorProcessingErr> {
        match state {
            CampaignState::Running(running) => running.handle(message),
            CampaignState::Loading { args, told, .. } => match message {
                CampaignMsg::Inner(Inner::Loaded(loaded)) => {
                    let told = mem::take(told);
                    let mut running = Running::new(args.clone(), *loaded, myself);
                    for message in told {
                        running.handle(message);
                    }
                    running.handle(CampaignMsg::Inner(Inner::Due));
                    *state = CampaignState::Running(Box::new(running));
                }
                message @ (CampaignMsg::Do(..)
                | CampaignMsg::Glance(_)
                | CampaignMsg::Contacts(..)
                | CampaignMsg::Barred(_)
                | CampaignMsg::Inner(_)) => {
                    // A reply port that is dropped says that there is no answer.
                    if told.len() < TOLD_MAX {
                        told.push(message);
                    }
                }
            },
        }
        Ok(())
    }
}

fn tell<S: Send + 'static>(actor: &ActorRef<CampaignMsg<S>>, inner: Inner<S>) {
    // An actor that is gone has a successor, which knows by itself.
    let _ = actor.cast(CampaignMsg::Inner(inner));
}

fn contact_of(fact: &Fact) -> Option<ContactId> {
    match *fact {
        Fact::Began | Fact::Paused | Fact::Resumed | Fact::Closed { .. } => None,
        Fact::Intended { contact, .. }
        | Fact::Revoked { contact, .. }
        | Fact::Placed { contact, .. }
        | Fact::Finished { contact, .. }
        | Fact::Skipped { contact, .. }
        | Fact::PredialFailed { contact }
        | Fact::Unclear { contact, .. } => Some(contact),
    }
}

#[cfg(test)]
mod tests;
