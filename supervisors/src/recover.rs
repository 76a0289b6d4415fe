//! Calls that end without a tree: refused before they began, or left by a process that is gone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use offhook_actors::{Outbox, Revival, outbox::OutboxItem};
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

use crate::{
    Node,
    phone::{self, Obstacle},
    plan,
};

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

/// Takes up the calls that were under way when a former process died, and ends those that cannot
/// go on.
pub(crate) async fn take_up_calls(node: &Node) {
    let calls = match node.store().journaled_calls().await {
        Ok(calls) => calls,
        Err(error) => {
            tracing::error!(%error, "journals of former calls cannot be read");
            return;
        }
    };
    // Side by side, so that they share the disk's flushes.
    stream::iter(calls).for_each_concurrent(CALLS_AT_ONCE, |id| take_up(id, node)).await;
}

/// Calls of a former process that are seen to at the same time.
const CALLS_AT_ONCE: usize = 32;

/// Why a call that cannot go on ended.
const PROCESS_GONE: &str = "the process that held the call is gone";

async fn take_up(id: Uuid, node: &Node) {
    let lines = node.store().read_journal(id).await.unwrap_or_default();
    // A journal that crashed its process must not crash the next one.
    let replayed = catch_unwind(AssertUnwindSafe(|| Revival::read(&lines)));
    let read = replayed.ok().flatten().and_then(|revival| {
        let assistant = AssistantView::new(revival.assistant.clone()).ok()?;
        Some((revival, assistant))
    });
    let Some((revival, assistant)) = read else {
        tracing::error!(call = %id, "journal of a former call is unreadable, it is kept");
        return;
    };
    let document = node.store().get(&revival.org, Kind::Call, id).await.ok().flatten();
    if let Some(record) = document.map(|document| CallDocument::from_value(document.body)) {
        let reason = ended_reason(&record);
        if reason.is_none() && !may_have_been_dialled(node, &revival.org, &record).await {
            // It is placed anew, as if it had not been begun.
            if let Err(error) = node.store().drop_journal(id).await {
                tracing::error!(call = %id, %error, "the journal of a scheduled call stays on disk");
            }
            return;
        }
        let (revival, learnt) = match reason {
            Some(_) => (revival, None),
            None => match node.resume_call(id, revival, &assistant, &record).await {
                Ok(()) => return,
                Err((revival, Obstacle { problem, reason })) => {
                    tracing::warn!(call = %id, problem, "call of a former process cannot go on");
                    // One that was sent on is its caller's and somebody else's.
                    if reason.is_none()
                        && revival.ended != Some(EndedReason::AssistantForwardedCall)
                    {
                        let (node, org) = (node.clone(), revival.org.clone());
                        let (record, keys) = (record.clone(), revival.keys.clone());
                        // The carrier may take its time; those who go on wait for nobody.
                        tokio::spawn(async move {
                            phone::hang_up_left(&node, &org, &record, &keys).await
                        });
                    }
                    (revival, reason)
                }
            },
        };
        if !end_left_call(node, &revival, &assistant, record, reason, learnt).await {
            return;
        }
    }
    if let Err(error) = node.store().drop_journal(id).await {
        tracing::warn!(call = %id, %error, "the journal of the ended call stays on disk");
    }
}

/// Whether the carrier may have been asked for a call. That of one which was scheduled is asked after
/// its row says so.
async fn may_have_been_dialled(node: &Node, org: &str, record: &CallDocument) -> bool {
    let Some(id) = record.id().filter(|_| record.type_name() == "outboundPhoneCall") else {
        return true;
    };
    let row = node.store().get(org, Kind::ScheduledCall, id).await;
    !matches!(row, Ok(Some(row)) if row.body["asked"] != true)
}

/// Ends a call that cannot go on, for the reason that its carrier told if there is no other; false: the disk refused some of it, the journal is still needed.
async fn end_left_call(
    node: &Node,
    revival: &Revival,
    assistant: &AssistantView,
    record: CallDocument,
    reason: Option<EndedReason>,
    learnt: Option<EndedReason>,
) -> bool {
    let decided = reason.clone().or_else(|| revival.ended.clone()).or(learnt);
    let call = Treeless {
        org: &revival.org,
        server: plan::server(assistant, None, node.settings()),
        assistant,
        preamble: &revival.options.preamble,
        history: &revival.history,
        created_ms: revival.started_ms,
        reason: decided.as_ref().unwrap_or(&EndedReason::WorkerDied),
        message: PROCESS_GONE,
    };
    match reason {
        // It had ended, but its journal was not struck off: whether its report is on disk is
        // unknown. It is published again, with the same id.
        Some(_) => call.publish(node.outbox(), &record).await,
        None => call.end(node.store(), node.outbox(), record).await,
    }
}

/// Why a call ended, if its record says that it did.
fn ended_reason(record: &CallDocument) -> Option<EndedReason> {
    if !record.has_ended() {
        return None;
    }
    EndedReason::deserialize(record.as_value().get("endedReason")?).ok()
}
