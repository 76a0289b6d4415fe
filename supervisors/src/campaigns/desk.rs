//! What the node does for its campaigns: slots, calls, webhooks, documents.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use offhook_actors::{
    campaign::{CampaignSpec, Desk, DialError, DialOrder, Filing, Found, Live},
    egress::Post,
    outbox::OutboxItem,
};
use offhook_api::{campaign as wire, server_fields};
use offhook_core::{
    campaign::{LineId, Predial, WallTime},
    slots::{LineLimits, SlotRequest, Source},
};
use offhook_store::Kind;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::{FILE_MAX, Shared};
use crate::Lease;

/// Places the calls of campaigns, and finds out about them.
pub trait Dialer: Send + Sync {
    /// Places a call whose id is the order's intent, at most once. The slot is the call's from here on.
    /// Whoever drops the answer has died: a request that has not left must not leave any more.
    fn place(&self, order: DialOrder, slot: Lease) -> BoxFuture<'static, Result<Live, DialError>>;

    /// Finds out what became of an order that may have been placed, also by a former process.
    fn look_up(&self, order: DialOrder) -> BoxFuture<'static, Found>;

    /// What calls over a phone number are limited by, or over the one of `fallbacks` that stands in for
    /// it for now; `None`: that cannot be told, and whoever places the call will say why.
    fn line(
        &self,
        org: Arc<str>,
        phone_number_id: Arc<str>,
        fallbacks: Vec<Arc<str>>,
    ) -> BoxFuture<'static, Option<LineLimits>>;
}

/// Phone numbers that a campaign tries for one call before it waits.
const LINES_TRIED: usize = 16;

/// Phone numbers for which it waits at the same time: of those that are all taken, one is as good as
/// another.
const LINES_AWAITED: usize = 4;

/// Where campaigns have the time from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// Windows are of the world outside: when its clock is set, they move along.
    Wall,
    /// Of tests: the runtime's time, from this moment on.
    #[cfg(test)]
    Since(WallTime, tokio::time::Instant),
}

impl Clock {
    pub(crate) fn now(self) -> WallTime {
        match self {
            Self::Wall => {
                let ms = Timestamp::now().as_millisecond();
                WallTime::from_millis(u64::try_from(ms).unwrap_or_default())
            }
            #[cfg(test)]
            Self::Since(at, began) => at + began.elapsed(),
        }
    }
}

/// The node, as a campaign sees it.
pub struct NodeDesk {
    pub(super) shared: Arc<Shared>,
    pub(super) dialer: Arc<dyn Dialer>,
}

impl Desk for NodeDesk {
    type Slot = Lease;

    fn now(&self) -> WallTime {
        self.shared.clock.now()
    }

    fn take_slot(
        &self,
        campaign: &CampaignSpec,
        lines: Vec<(LineId, Arc<str>)>,
    ) -> BoxFuture<'static, Option<(LineId, Lease)>> {
        let source = Source::Campaign(campaign.id.to_string().into());
        let request = SlotRequest {
            assistant: campaign.view.assistant_id.clone(),
            ..SlotRequest::new(source, campaign.org.clone())
        };
        let fallbacks = campaign.view.fallback_lines.clone();
        let (shared, dialer) = (self.shared.clone(), self.dialer.clone());
        async move {
            if shared.is_draining() {
                return None;
            }
            if let Some(assistant) = &request.assistant {
                shared.slots.heed_assistant(&shared.store, &request.org, assistant).await;
            }
            let (mut known, mut requests) = (Vec::new(), Vec::new());
            for (line, number) in lines.into_iter().take(LINES_TRIED) {
                let org = request.org.clone();
                let limits = dialer.line(org, number.clone(), fallbacks.clone()).await;
                let request = match limits {
                    Some(limits) => {
                        shared.slots.heed(&limits);
                        let (number, carrier) = (limits.number, Some(limits.carrier));
                        SlotRequest { number, carrier, ..request.clone() }
                    }
                    None => SlotRequest { number: Some(number), ..request.clone() },
                };
                if let Ok(lease) = shared.slots.take_now(request.clone()) {
                    return Some((line, lease));
                }
                known.push(line);
                requests.push(request);
            }
            requests.truncate(LINES_AWAITED);
            match shared.slots.take_any_in_turn(requests).await {
                Ok((index, lease)) if !shared.is_draining() => Some((*known.get(index)?, lease)),
                Ok(_) => None,
                Err(error) => {
                    tracing::debug!(%error, "no slot for a campaign");
                    None
                }
            }
        }
        .boxed()
    }

    fn place(&self, order: DialOrder, slot: Lease) -> BoxFuture<'static, Result<Live, DialError>> {
        self.dialer.place(order, slot)
    }

    fn look_up(&self, order: DialOrder) -> BoxFuture<'static, Found> {
        self.dialer.look_up(order)
    }

    fn ask_server(&self, campaign: Arc<CampaignSpec>, body: Value) -> BoxFuture<'static, Predial> {
        let egress = self.shared.egress.clone();
        async move {
            let Some(target) = &campaign.view.server else { return Predial::Failed };
            let event_id = Uuid::new_v4().to_string();
            let post = Post { target, org: &campaign.org, body: &body, event_id: &event_id };
            let answer = match egress.post(post).await {
                Ok(answer) if (200..300).contains(&answer.status) => answer.body,
                Ok(answer) => {
                    tracing::warn!(campaign = %campaign.id, status = answer.status, "campaign.predial refused");
                    return Predial::Failed;
                }
                Err(error) => {
                    tracing::warn!(campaign = %campaign.id, %error, "campaign.predial failed");
                    return Predial::Failed;
                }
            };
            let answer = serde_json::from_slice::<Value>(&answer).unwrap_or_default();
            match answer.get("eligible").and_then(Value::as_bool) {
                Some(true) => Predial::Eligible,
                Some(false) => Predial::NotEligible,
                None => Predial::Failed,
            }
        }
        .boxed()
    }

    fn tell_server(&self, campaign: &CampaignSpec, event: &'static str, body: Value) {
        if let Some(target) = &campaign.view.server {
            let item = OutboxItem::of_campaign(&campaign.org, campaign.id, event, target, body);
            self.shared.outbox.send(item);
        }
    }

    fn file(&self, campaign: Arc<CampaignSpec>, filing: Filing) -> BoxFuture<'static, bool> {
        let shared = self.shared.clone();
        async move {
            let now_ms = Timestamp::now().as_millisecond();
            let change = move |document: &mut offhook_store::Document| {
                document.updated_at_ms = now_ms;
                note_filing(&mut document.body, &filing);
                server_fields::stamp_updated(&mut document.body, now_ms);
            };
            let filed = shared.store.update(&campaign.org, Kind::Campaign, campaign.id, change);
            match timeout(FILE_MAX, filed).await {
                Ok(Ok(_)) => {
                    shared.note_filed(campaign.id);
                    tracing::info!(campaign = %campaign.id, "campaign over");
                    true
                }
                Ok(Err(error)) => {
                    tracing::error!(campaign = %campaign.id, %error, "campaign's end cannot be stored");
                    false
                }
                Err(_) => false,
            }
        }
        .boxed()
    }
}

/// Writes into a document that its campaign is over.
fn note_filing(document: &mut Value, filing: &Filing) {
    document["status"] = wire::phase_status(filing.phase).into();
    let ended_reason = wire::ended_reason(filing.phase, filing.has_begun);
    if let Some(reason) = ended_reason {
        document["endedReason"] = reason.into();
    }
    let counters = filing.counters;
    document["filed"] = json!({
        "pending": counters.pending, "dispatched": counters.dispatched,
        "completed": counters.completed, "failed": counters.failed,
        "skipped": counters.skipped, "predialFailed": counters.predial_failed,
        "unclear": counters.unclear, "dialed": counters.dialled,
        "connected": counters.connected, "voicemails": filing.voicemails,
    });
}
