//! From a contact to a call: the client's server is asked, a slot, the carrier.

use offhook_api::campaign as wire;
use offhook_core::campaign::{AskId, Attempt, ContactId, Event, LineId, Predial, WallTime};
use offhook_store::{CampaignPart, Store, StoreError};
use serde_json::Value;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{
    ASK_AGAIN, Desk, DialError, DialOrder, Found, Inner, Live, ROW_MAX, intent_id,
    running::Running, tell, told,
};
use crate::Leaf;

impl<D: Desk> Running<D> {
    pub(super) fn predial(&mut self, contact: ContactId) {
        let (args, myself) = (self.args.clone(), self.myself.clone());
        self.tasks.insert(
            contact,
            Leaf::spawn(async move {
                let spec = args.spec.clone();
                let verdict = match customer(&args.store, spec.id, contact).await {
                    Some(customer) => {
                        let shown = told::shown_contact(&spec, contact, &customer);
                        let now_ms = i64::try_from(args.desk.now().as_millis()).unwrap_or(i64::MAX);
                        let body = wire::predial_message(spec.id, &shown, now_ms);
                        args.desk.ask_server(spec, body).await
                    }
                    None => Predial::Failed,
                };
                tell(&myself, Inner::Event(Event::Predialled { contact, verdict }));
            }),
        );
    }

    pub(super) fn request_slot(&mut self, contact: ContactId, ask: AskId, lines: Vec<LineId>) {
        let spec = &self.args.spec;
        let named = |line| Some((line, spec.view.line(line)?.clone()));
        let lines = lines.into_iter().filter_map(named).collect();
        let waiting = self.args.desk.take_slot(spec, lines);
        let myself = self.myself.clone();
        self.asks.insert(
            ask,
            Leaf::spawn(async move {
                let slot = waiting.await;
                tell(&myself, Inner::Slot { contact, ask, slot });
            }),
        );
    }

    pub(super) fn dial(&mut self, contact: ContactId, attempt: Attempt, line: LineId, ask: AskId) {
        let number = self.campaign.book().contact(contact).map(|it| it.number);
        if let Some(number) = number {
            let (spec, now) = (&self.args.spec, self.args.desk.now());
            self.args.numbers.note_call(&spec.org, number, spec.id, now);
        }
        let slot = self.slots.remove(&ask);
        let since = self.args.desk.now();
        let order = self.order(contact, attempt, line, since);
        let (desk, myself) = (self.args.desk.clone(), self.myself.clone());
        self.tasks.insert(
            contact,
            Leaf::spawn(async move {
                let placed = match (order.await, slot) {
                    (Some(order), Some(slot)) => desk.place(order, slot).await,
                    // The carrier was not asked, which its records will say, too.
                    (None, _) | (_, None) => Err(DialError::Unclear),
                };
                tell(&myself, Inner::Placed { contact, attempt, placed });
            }),
        );
    }

    pub(super) fn ask_carrier(
        &mut self,
        contact: ContactId,
        attempt: Attempt,
        line: LineId,
        since: WallTime,
    ) {
        let (args, myself) = (self.args.clone(), self.myself.clone());
        let orders = [(); 2].map(|()| self.order(contact, attempt, line, since));
        let [first, again] = orders;
        self.tasks.insert(
            contact,
            Leaf::spawn(async move {
                let order = match first.await {
                    Some(order) => Some(order),
                    None => again.await,
                };
                let Some(order) = order else {
                    tell(&myself, Inner::Found { contact, attempt, found: Found::Unknown });
                    return;
                };
                // The campaign gives up on us when it has waited for long enough.
                loop {
                    match args.desk.look_up(order.clone()).await {
                        Found::Unreachable => sleep(ASK_AGAIN).await,
                        found @ (Found::NeverDialled
                        | Found::Live(_)
                        | Found::Over(_)
                        | Found::Unknown) => {
                            tell(&myself, Inner::Found { contact, attempt, found });
                            return;
                        }
                    }
                }
            }),
        );
    }

    pub(super) fn watch(&mut self, contact: ContactId, attempt: Attempt, live: Live) {
        let myself = self.myself.clone();
        self.tasks.insert(
            contact,
            Leaf::spawn(async move {
                let ending = live.over.await;
                tell(&myself, Inner::Over { contact, attempt, ending });
            }),
        );
    }

    /// An attempt as whoever dials needs it; nothing when the disk does not give it.
    pub(super) fn order(
        &self,
        contact: ContactId,
        attempt: Attempt,
        line: LineId,
        since: WallTime,
    ) -> impl Future<Output = Option<DialOrder>> + Send + use<D> {
        let (spec, store) = (self.args.spec.clone(), self.args.store.clone());
        async move {
            let customer = customer(&store, spec.id, contact).await?;
            Some(DialOrder {
                intent: intent_id(spec.id, contact, attempt),
                phone_number_id: spec.view.line(line)?.clone(),
                campaign: spec,
                customer,
                since,
            })
        }
    }
}

async fn customer(store: &Store, campaign: Uuid, contact: ContactId) -> Option<Value> {
    let number = u64::from(contact.0);
    let reading = store.campaign_row(campaign, CampaignPart::Contacts, number);
    let row = match timeout(ROW_MAX, reading).await {
        Ok(Ok(row)) => row?,
        Ok(Err(StoreError::Closed)) => return None,
        Ok(Err(error)) => {
            tracing::error!(%campaign, contact = contact.0, %error, "contact cannot be read");
            return None;
        }
        Err(_) => return None,
    };
    Some(wire::ContactRow::decode(&row)?.customer)
}
