//! Server events of a call: to the client on the leg, and to the outbox.

use std::sync::{Arc, atomic::Ordering};

use offhook_api::{
    CallDocument,
    envelope::{self, EnvelopeContext},
};
use offhook_core::{CallStatus, EndedReason, Entry, ServerEvent};
use offhook_store::Kind;
use serde_json::Value;

use crate::{CallContext, outbox::OutboxItem, transport::TransportInput};

impl CallContext {
    /// Tells everybody who asked for events of this kind; never waits for them.
    pub fn publish(&self, event: ServerEvent, history: &[Entry]) {
        if let ServerEvent::StatusUpdate { status, ended_reason } = &event {
            self.note_status(*status, ended_reason.as_ref());
        }
        if self.client_messages.allows(&event) {
            let record = self.record();
            let message = envelope::client_message(&event, &self.envelope(&record, history, None));
            drop(record);
            self.ports.transport.send(TransportInput::Message(Arc::new(message)));
        }
        // A tool's server is asked by the tool executor, which waits for the answer.
        if matches!(event, ServerEvent::ToolCalls { .. }) {
            return;
        }
        if let Some(item) = self.outbox_item(&event, history, None) {
            self.outbox.send(item);
        }
    }

    /// The event as the outbox takes it; `None` when nobody asked for it.
    pub fn outbox_item(
        &self,
        event: &ServerEvent,
        history: &[Entry],
        artifact: Option<&Value>,
    ) -> Option<OutboxItem> {
        let server = self.spec.server.as_ref()?;
        self.server_messages.allows(event).then(|| {
            let body = self.server_message(event, history, artifact);
            OutboxItem::new(&self.spec.org, self.spec.id, event, server, body)
        })
    }

    /// The body of a server message.
    pub fn server_message(
        &self,
        event: &ServerEvent,
        history: &[Entry],
        artifact: Option<&Value>,
    ) -> Value {
        envelope::server_message(event, &self.envelope(&self.record(), history, artifact))
    }

    /// Keeps the call's document at the status that is told to everybody.
    fn note_status(&self, status: CallStatus, ended_reason: Option<&EndedReason>) {
        let now_ms = self.clock.epoch_ms_of(self.clock.now());
        match ended_reason {
            Some(_) => self.end_published.store(true, Ordering::Release),
            None => self.record().set_status(status, now_ms),
        }
        if status == CallStatus::InProgress {
            metrics::histogram!("offhook_call_setup_seconds")
                .record(self.clock.now().as_secs_f64());
        }
        if matches!(status, CallStatus::InProgress | CallStatus::Ringing) {
            self.save_record(now_ms);
        }
    }

    /// Writes the document through to the store, off the call's path.
    fn save_record(&self, now_ms: i64) {
        let (store, id, org) = (self.store.clone(), self.spec.id, self.spec.org.clone());
        let record = self.record().as_value().clone();
        tokio::spawn(async move {
            let saved = store
                .update(&org, Kind::Call, id, move |stored| {
                    stored.updated_at_ms = now_ms;
                    stored.body = record;
                })
                .await;
            if let Err(error) = saved {
                tracing::error!(call = %id, %error, "the call's status cannot be stored");
            }
        });
    }

    fn envelope<'a>(
        &'a self,
        record: &'a CallDocument,
        history: &'a [Entry],
        artifact: Option<&'a Value>,
    ) -> EnvelopeContext<'a> {
        EnvelopeContext {
            call: record.as_value(),
            assistant: self.spec.assistant.document(),
            tools: self.spec.assistant.tools(),
            preamble: &self.spec.options.preamble,
            history,
            clock: self.wire_clock(),
            artifact,
            now_ms: self.clock.epoch_ms_of(self.clock.now()),
        }
    }
}
