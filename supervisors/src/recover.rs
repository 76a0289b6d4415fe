//! Calls that end without a tree: refused before they began, or left by a process that is gone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use offhook_actors::{Outbox, call::Orphan, outbox::OutboxItem};
use offhook_api::{
    AssistantView, CallDocument, ServerTarget,
    artifact::{self, ArtifactSource, CallClock},
    call::CallEnd,
    cost::CallCosts,
    envelope::{self, EnvelopeContext},
    performance::Performance,
};
use offhook_core::{CallStatus, CallTime, EndedReason, Entry, Message, ServerEvent};
use offhook_store::{Kind, Store};
use serde::Deserialize;
use uuid::Uuid;

/// A call that has no tree.
pub(crate) struct Treeless<'a> {
    pub org: &'a str,
    pub assistant: &'a AssistantView,
    pub server: Option<ServerTarget>,
    pub preamble: &'a [Message],
    pub history: &'a [Entry],
    pub created_ms: i64,
    pub reason: &'a EndedReason,
    pub message: &'a str,
}

impl Treeless<'_> {
    /// Writes the call's record and publishes what the end of a call publishes.
    pub(crate) async fn end(
        &self,
        store: &Store,
        outbox: &Outbox,
        mut record: CallDocument,
    ) -> bool {
        let Some(id) = record.id() else { return true };
        let now_ms = Timestamp::now().as_millisecond();
        let artifact = artifact::build(ArtifactSource {
            preamble: self.preamble,
            history: self.history,
            clock: self.clock(),
            plan: &self.assistant.artifact_plan(),
            performance: &Performance::default(),
            recording: None,
            variable_values: None,
        });
        record.end(CallEnd {
            reason: self.reason.clone(),
            message: Some(self.message.to_owned()),
            at_ms: now_ms,
            artifact,
            costs: CallCosts::default(),
        });
        let body = record.as_value().clone();
        let stored = store
            .update(self.org, Kind::Call, id, move |stored| {
                stored.updated_at_ms = now_ms;
                stored.body = body;
            })
            .await;
        if let Err(error) = stored {
            tracing::error!(call = %id, %error, "the record of the ended call is not on disk");
        }
        crate::finish::count(record.type_name(), self.reason);
        tracing::info!(call = %id, reason = %self.reason, message = self.message, "call ended");
        self.publish(outbox, &record).await
    }

    /// Publishes what the end of a call publishes, from its written record.
    ///
    /// False: the disk refused some of it, the journal is still needed.
    async fn publish(&self, outbox: &Outbox, record: &CallDocument) -> bool {
        let (Some(id), Some(server)) = (record.id(), &self.server) else { return true };
        let mut all_stored = true;
        let ended_reason = self.reason.clone();
        let events = [
            ServerEvent::StatusUpdate {
                status: CallStatus::Ended,
                ended_reason: Some(ended_reason.clone()),
            },
            ServerEvent::EndOfCallReport { ended_reason },
        ];
        let filter = self.assistant.server_messages();
        for event in events.iter().filter(|event| filter.allows(event)) {
            let body = envelope::server_message(
                event,
                &EnvelopeContext {
                    call: record.as_value(),
                    assistant: self.assistant.document(),
                    tools: self.assistant.tools(),
                    preamble: self.preamble,
                    history: self.history,
                    clock: self.clock(),
                    artifact: record.as_value().get("artifact"),
                    now_ms: Timestamp::now().as_millisecond(),
                },
            );
            let item = OutboxItem::new(self.org, id, event, server, body);
            all_stored &= outbox.send_durable(item).await;
        }
        all_stored
    }

    fn clock(&self) -> CallClock {
        CallClock { created_ms: self.created_ms, connected: CallTime::ZERO }
    }
}

/// Ends the calls that were under way when a former process died.
pub(crate) async fn end_orphans(
    store: &Store,
    outbox: &Outbox,
    server_of: impl Fn(&AssistantView) -> Option<ServerTarget>,
) {
    let calls = match store.journaled_calls().await {
        Ok(calls) => calls,
        Err(error) => {
            tracing::error!(%error, "journals of former calls cannot be read");
            return;
        }
    };
    // Side by side, so that they share the disk's flushes.
    stream::iter(calls)
        .for_each_concurrent(ORPHANS_AT_ONCE, |id| end_orphan(id, store, outbox, &server_of))
        .await;
}

/// Calls of a former process that are ended at the same time.
const ORPHANS_AT_ONCE: usize = 32;

async fn end_orphan(
    id: Uuid,
    store: &Store,
    outbox: &Outbox,
    server_of: &impl Fn(&AssistantView) -> Option<ServerTarget>,
) {
    let lines = store.read_journal(id).await.unwrap_or_default();
    // A journal that crashed its process must not crash the next one.
    let replayed = catch_unwind(AssertUnwindSafe(|| Orphan::read(&lines)));
    let read = replayed.ok().flatten().and_then(|orphan| {
        let assistant = AssistantView::new(orphan.assistant.clone()).ok()?;
        Some((orphan, assistant))
    });
    let Some((orphan, assistant)) = read else {
        tracing::error!(call = %id, "journal of a former call is unreadable, it is kept");
        return;
    };
    let document = store.get(&orphan.org, Kind::Call, id).await.ok().flatten();
    if let Some(record) = document.map(|document| CallDocument::from_value(document.body)) {
        let reason = ended_reason(&record);
        let call = Treeless {
            org: &orphan.org,
            server: server_of(&assistant),
            assistant: &assistant,
            preamble: &orphan.options.preamble,
            history: &orphan.history,
            created_ms: orphan.started_ms,
            reason: reason.as_ref().unwrap_or(&EndedReason::WorkerDied),
            message: "the process that held the call is gone",
        };
        let all_stored = match reason {
            // It had ended, but its journal was not struck off: whether its report is on disk is
            // unknown. It is published again, with the same id.
            Some(_) => call.publish(outbox, &record).await,
            None => call.end(store, outbox, record).await,
        };
        if !all_stored {
            return;
        }
    }
    if let Err(error) = store.drop_journal(id).await {
        tracing::warn!(call = %id, %error, "the journal of the ended call stays on disk");
    }
}

/// Why a call ended, if its record says that it did.
fn ended_reason(record: &CallDocument) -> Option<EndedReason> {
    if !record.has_ended() {
        return None;
    }
    EndedReason::deserialize(record.as_value().get("endedReason")?).ok()
}
