//! The one end of a call: idempotent, whatever died first.

use std::{sync::Arc, time::Duration};

use offhook_actors::{CallContext, recorder, transport::TransportInput};
use offhook_api::{
    artifact::{self, ArtifactSource},
    call::CallEnd,
    performance::{Performance, TurnLatency},
};
use offhook_core::{CallStatus, EndedReason, ServerEvent};
use offhook_store::Kind;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::costs;

/// Longest wait for the recording to be on disk.
const RECORDING_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the leg to send its last messages and its close frame.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest wait for the call's record to be on disk.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);

/// Between attempts to write it after that, to a disk that was full.
const RECORD_RETRY: Duration = Duration::from_secs(1);

/// Such attempts: ten minutes in which an operator may make room.
const RECORD_RETRIES_MAX: u32 = 600;

/// Normal closure (RFC 6455, section 7.4.1).
const CLOSE_NORMAL: u16 = 1000;

/// Ends the call, and returns even if that panics: its slot and its place must not be lost with it.
pub(crate) async fn finish_surely(context: &Arc<CallContext>) {
    let ended = context.clone();
    if tokio::spawn(async move { finish(&ended).await }).await.is_err() {
        tracing::error!(call = %context.spec.id, "the end of the call panicked, its record may be incomplete");
    }
}

/// Ends the call that `context` describes: hangs up, writes the record, reports. Only the first
/// call of it does anything.
pub(crate) async fn finish(context: &Arc<CallContext>) {
    if !context.begin_finish() {
        return;
    }
    let (reason, message) = context.ending().unwrap_or((EndedReason::WorkerDied, None));
    let history = context.history();
    if !context.end_was_published() {
        let ended_reason = Some(reason.clone());
        let event = ServerEvent::StatusUpdate { status: CallStatus::Ended, ended_reason };
        context.publish(event, &history);
    }
    let close = TransportInput::Close { code: CLOSE_NORMAL, reason: reason.to_string() };
    context.ports.transport.send(close);
    let hanging_up = tokio::spawn(hang_up(context.clone()));

    let recorded = timeout(RECORDING_TIMEOUT, recorder::finish(context)).await.ok().flatten();
    let plan = context.spec.assistant.artifact_plan();
    let artifact = artifact::build(ArtifactSource {
        preamble: &context.spec.options.preamble,
        history: &history,
        clock: context.wire_clock(),
        plan: &plan,
        performance: &performance(context),
        recording: recorded.and(context.spec.recording.as_ref()).map(|plan| &plan.urls),
        variable_values: Some(&context.spec.variable_values),
    });
    let end = CallEnd {
        reason: reason.clone(),
        message,
        at_ms: context.clock.epoch_ms_of(context.clock.now()),
        artifact: artifact.clone(),
        costs: costs::of_call(context),
    };
    let record = {
        let mut record = context.record();
        record.end(end);
        record.clone()
    };
    let id = context.spec.id;
    let ended_ms = context.clock.epoch_ms_of(context.clock.now());
    if !store_record(context, record.as_value(), ended_ms).await {
        tracing::error!(call = %id, "the record of the ended call is not on disk, trying again");
        tokio::spawn(store_later(context.clone(), record.as_value().clone(), ended_ms));
    }
    let report = ServerEvent::EndOfCallReport { ended_reason: reason.clone() };
    if let Some(item) = context.outbox_item(&report, &history, Some(&artifact))
        && !context.outbox.send_durable(item).await
    {
        // With its journal, the next process publishes it again.
        tracing::error!(call = %id, "the report of the ended call is not on disk, its journal is kept");
        return count(record.type_name(), &reason);
    }
    let dropped = timeout(RECORD_TIMEOUT, context.store.drop_journal(id)).await;
    if !matches!(dropped, Ok(Ok(()))) {
        tracing::warn!(call = %id, "the journal of the ended call stays on disk");
    }
    // A peer that does not read is left to its socket's own limit.
    let _ = timeout(GOODBYE_TIMEOUT, context.leg.said_goodbye()).await;
    // It is bounded by its own attempts; what came of it is in the log.
    let _ = hanging_up.await;
    count(record.type_name(), &reason);
    tracing::info!(call = %id, %reason, "call ended");
}

/// Ends the call at its carrier, after the last that is said on the socket.
async fn hang_up(context: Arc<CallContext>) {
    let Some(line) = &context.spec.line else { return };
    let _ = timeout(GOODBYE_TIMEOUT, context.leg.said_goodbye()).await;
    context.hand_over_hang_up().await;
    if let Err(error) = line.hang_up().await {
        tracing::error!(call = %context.spec.id, %error, "the carrier did not end the call");
        metrics::counter!("offhook_hang_ups_failed_total").increment(1);
    }
}

/// Writes the record of an ended call; whether it is on disk.
async fn store_record(context: &CallContext, body: &Value, ended_ms: i64) -> bool {
    let body = body.clone();
    let stored =
        context.store.update(&context.spec.org, Kind::Call, context.spec.id, move |stored| {
            stored.updated_at_ms = ended_ms;
            stored.body = body;
        });
    matches!(timeout(RECORD_TIMEOUT, stored).await, Ok(Ok(_)))
}

/// Writes the record when the disk takes it again. After that time it is in the end-of-call report
/// alone.
async fn store_later(context: Arc<CallContext>, body: Value, ended_ms: i64) {
    let id = context.spec.id;
    for _ in 0..RECORD_RETRIES_MAX {
        sleep(RECORD_RETRY).await;
        if store_record(&context, &body, ended_ms).await {
            tracing::info!(call = %id, "the record of the ended call is on disk now");
            return;
        }
    }
    tracing::error!(call = %id, "the record of the ended call was given up");
}

/// Counts an ended call.
pub(crate) fn count(call_type: &str, reason: &EndedReason) {
    let class = reason.blame().name();
    metrics::counter!("offhook_calls_total", "type" => call_type.to_owned(), "ended_class" => class)
        .increment(1);
}

fn performance(context: &CallContext) -> Performance {
    let turns = context.turns();
    let latencies = turns.answered().map(|turn| TurnLatency {
        transcriber: turn.transcriber(),
        endpointing: turn.endpointing(),
        model: turn.model(),
        voice: turn.voice(),
        turn: turn.total(),
    });
    Performance { turns: latencies.collect(), user_interrupted: 0 }
}
