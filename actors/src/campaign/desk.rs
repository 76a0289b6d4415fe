//! What a campaign needs of the node: slots, a carrier, the client's server, a place for its result.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use offhook_api::campaign::CampaignView;
use offhook_core::campaign::{Counters, LineId, Outcome, Phase, Predial, WallTime};
use serde_json::Value;
use uuid::Uuid;

/// A campaign that is carried out.
#[derive(Debug)]
pub struct CampaignSpec {
    pub id: Uuid,
    pub org: Arc<str>,
    pub view: CampaignView,
    /// As it is stored, without its contacts.
    pub document: Value,
}

/// One attempt to call somebody.
#[derive(Clone, Debug)]
pub struct DialOrder {
    /// Names the attempt, and the call that comes of it. It follows from the campaign, the contact and
    /// the attempt, so that a successor of whoever dialled knows it.
    pub intent: Uuid,
    pub campaign: Arc<CampaignSpec>,
    pub phone_number_id: Arc<str>,
    /// Whom to call, as the client described them.
    pub customer: Value,
    /// When the intent was written down.
    pub since: WallTime,
}

/// A call that the carrier took.
pub struct Live {
    /// Resolves when it is over.
    pub over: BoxFuture<'static, Ending>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub outcome: Outcome,
    /// The ended reason, as the contract spells it.
    pub reason: Arc<str>,
}

/// Why there is no call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialError {
    /// Nobody was dialled, and why.
    Refused(Ending),
    /// The carrier may have dialled.
    Unclear,
}

/// What is known of an attempt.
pub enum Found {
    NeverDialled,
    Live(Live),
    Over(Ending),
    /// The carrier did not answer: it may be asked again.
    Unreachable,
    /// The carrier cannot tell.
    Unknown,
}

/// What is left of a campaign that is over.
#[derive(Clone, Copy, Debug)]
pub struct Filing {
    pub phase: Phase,
    pub counters: Counters,
    /// Contacts of whom an answering machine was reached.
    pub voicemails: u32,
    /// Whether somebody was called, or might have been: it was not over before it began.
    pub has_begun: bool,
}

/// Whom a campaign asks for everything outside. No answer is waited for in a handler; whoever is
/// dropped is not to go on.
pub trait Desk: Send + Sync + 'static {
    /// Occupied by a call until it is dropped.
    type Slot: Send + 'static;

    fn now(&self) -> WallTime;

    /// Waits for a slot of one of these phone numbers, an earlier one rather; `None`: there was none in
    /// time.
    fn take_slot(
        &self,
        campaign: &CampaignSpec,
        lines: Vec<(LineId, Arc<str>)>,
    ) -> BoxFuture<'static, Option<(LineId, Self::Slot)>>;

    /// Places the call of an attempt, once.
    fn place(
        &self,
        order: DialOrder,
        slot: Self::Slot,
    ) -> BoxFuture<'static, Result<Live, DialError>>;

    /// Finds out what became of an attempt.
    fn look_up(&self, order: DialOrder) -> BoxFuture<'static, Found>;

    /// Asks the client's server whether somebody may be called.
    fn ask_server(&self, campaign: Arc<CampaignSpec>, body: Value) -> BoxFuture<'static, Predial>;

    /// Tells the client's server.
    fn tell_server(&self, campaign: &CampaignSpec, event: &'static str, body: Value);

    /// Writes down that a campaign is over; false: try again.
    fn file(&self, campaign: Arc<CampaignSpec>, filing: Filing) -> BoxFuture<'static, bool>;
}
