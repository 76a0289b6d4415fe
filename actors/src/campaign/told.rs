//! What others are told of a campaign: the client's server, the operator's graphs.

use offhook_api::campaign as wire;
use offhook_core::campaign::{ContactId, Counters};
use serde_json::{Value, json};

use super::{CampaignSpec, Desk, Entry, contact_of, contact_uuid, intent_id, running::Running};

impl<D: Desk> Running<D> {
    /// Tells the client's server what happened, if it wants to know.
    pub(super) fn announce(&self, entry: &Entry) {
        let spec = &self.args.spec;
        let contact = contact_of(&entry.fact);
        let standing = contact.and_then(|id| self.campaign.book().contact(id));
        let status = standing.map(|it| it.standing.status());
        let Some(event) = wire::fact_message(&entry.fact, status) else { return };
        if !spec.view.tells(event) {
            return;
        }
        let mut message = json!({
            "type": event,
            "timestamp": self.args.desk.now().as_millis(),
            "campaignId": spec.id,
        });
        if let (Some(id), Some(it)) = (contact, standing) {
            message["contact"] = json!({
                "id": contact_uuid(spec.id, id),
                "number": wire::number_of(it.number),
                "status": wire::contact_status(it.standing.status()),
            });
            if it.dialled().len() > 0 {
                message["callId"] = intent_id(spec.id, id, it.attempt).to_string().into();
            }
        }
        if let Some(why) = &entry.why {
            message["endedReason"] = why.as_str().into();
        }
        self.args.desk.tell_server(spec, event, json!({ "message": message }));
    }

    pub(super) fn note_counters(&mut self) {
        let counters = self.campaign.book().counters();
        show(self.shown, counters);
        self.shown = counters;
    }
}

impl<D: Desk> Drop for Running<D> {
    fn drop(&mut self) {
        show(self.shown, Counters::default());
    }
}

/// Keeps the gauge of all campaigns' contacts.
fn show(from: Counters, to: Counters) {
    let statuses = |it: Counters| {
        [
            ("pending", it.pending),
            ("dispatched", it.dispatched),
            ("completed", it.completed),
            ("failed", it.failed),
            ("skipped", it.skipped),
            ("predial-failed", it.predial_failed),
        ]
    };
    for ((status, before), (_, after)) in statuses(from).into_iter().zip(statuses(to)) {
        if before != after {
            metrics::gauge!("offhook_campaign_contacts", "status" => status)
                .increment(f64::from(after) - f64::from(before));
        }
    }
}

/// A contact as the client's server is shown it: the contract's `CampaignContact`.
pub(super) fn shown_contact(spec: &CampaignSpec, contact: ContactId, customer: &Value) -> Value {
    let mut shown = json!({
        "id": contact_uuid(spec.id, contact),
        "campaignId": spec.id,
        "orgId": &*spec.org,
        "createdAt": spec.document.get("createdAt"),
    });
    for field in ["number", "name", "assistantOverrides"] {
        if let Some(value) = customer.get(field) {
            shown[field] = value.clone();
        }
    }
    if let Some(id) = customer.get("externalId") {
        shown["customerId"] = id.clone();
    }
    shown
}
