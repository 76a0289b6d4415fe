//! What a campaign's server is told and asked.

use offhook_core::campaign::{Close, ContactStatus, Fact, Phase};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A campaign's status in the contract.
pub const fn phase_status(phase: Phase) -> &'static str {
    match phase {
        Phase::Scheduled => "scheduled",
        Phase::Running | Phase::Paused => "in-progress",
        Phase::Ended(Close::Done | Close::TooLate) => "ended",
        Phase::Ended(Close::Stopped) => "cancelled",
    }
}

/// Why a campaign ended, in the contract; `has_begun`: somebody was called, or might have been.
pub const fn ended_reason(phase: Phase, has_begun: bool) -> Option<&'static str> {
    match phase {
        Phase::Ended(Close::Done) => Some("campaign.ended.success"),
        Phase::Ended(Close::Stopped) if has_begun => Some("campaign.in-progress.ended-by-user"),
        Phase::Ended(Close::Stopped) => Some("campaign.scheduled.ended-by-user"),
        // The contract has no reason for a campaign whose time was over.
        Phase::Ended(Close::TooLate) | Phase::Scheduled | Phase::Running | Phase::Paused => None,
    }
}

/// A contact's status in the contract.
pub const fn contact_status(status: ContactStatus) -> &'static str {
    match status {
        ContactStatus::Pending => "contact.pending",
        ContactStatus::Dispatched => "contact.dispatched",
        ContactStatus::Completed => "contact.completed",
        ContactStatus::Failed => "contact.failed",
        ContactStatus::Skipped => "contact.skipped",
        ContactStatus::PredialFailed => "contact.predial-failed",
    }
}

/// The name of the server message that a fact is told with, if it is; `status` is where its contact
/// stands after it.
pub fn fact_message(fact: &Fact, status: Option<ContactStatus>) -> Option<&'static str> {
    match fact {
        Fact::Began => Some("campaign.started"),
        Fact::Closed { how: Close::Stopped } => Some("campaign.cancelled"),
        Fact::Closed { how: Close::Done | Close::TooLate } => Some("campaign.ended"),
        Fact::Placed { .. } => Some("contact.dispatched"),
        // Who will be called again is not through.
        Fact::Finished { retry_at: Some(_), .. } => None,
        Fact::Finished { retry_at: None, .. }
        | Fact::Skipped { .. }
        | Fact::PredialFailed { .. }
        | Fact::Unclear { .. } => status.map(contact_status),
        Fact::Paused | Fact::Resumed | Fact::Intended { .. } | Fact::Revoked { .. } => None,
    }
}

/// The body with which the client's server is asked whether somebody may be called.
pub fn predial_message(campaign: Uuid, contact: &Value, now_ms: i64) -> Value {
    let mut message = Map::new();
    message.insert("type".into(), "campaign.predial".into());
    message.insert("timestamp".into(), now_ms.into());
    message.insert("campaignId".into(), campaign.to_string().into());
    message.insert("contact".into(), contact.clone());
    json!({ "message": message })
}
