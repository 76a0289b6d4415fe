//! What happens with a scheduled call when its turn comes.

use std::time::Duration;

use offhook_api::CallDocument;
use offhook_core::{EndedReason, campaign::WallTime, schedule::Turn, slots::Source};
use offhook_store::{Document, Kind};
use offhook_supervisors::{EndUndialled, Lease, NoSlot, ScheduledCall, TurnOutcome};
use tokio::time::timeout;

use super::{forget, involved, opened, restore};
use crate::http::{
    App, now_ms,
    phone::outbound::{self, PlaceCall, PlaceError, Slot, Wanted},
    phone_calls::reason,
};

/// When a call has another turn for which there was no slot, or no disk.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Dials a call whose turn it is, or ends it.
pub async fn take(app: App, call: ScheduledCall, turn: Turn) -> TurnOutcome {
    let found = find(&app, &call).await;
    let Ok(found) = found else { return TurnOutcome::Again(TRY_AGAIN) };
    let Some((row, record)) = found else { return TurnOutcome::Over };
    match turn {
        Turn::Dial { latest } => dial(&app, row, record, latest).await,
        Turn::Lapsed { was_there: true } => {
            let reason = EndedReason::ConcurrencyLimitReached;
            let message = "no concurrency slot was free for the call, or its carrier took no more \
                           calls, until schedulePlan.latestAt";
            end(&app, &row, record, &reason, message).await
        }
        Turn::Lapsed { was_there: false } => {
            let reason = EndedReason::WorkerNotAvailable;
            let message =
                "the server did not run when the call was due, before schedulePlan.latestAt";
            end(&app, &row, record, &reason, message).await
        }
    }
}

/// A call's row and document, unless it was deleted.
async fn find(app: &App, call: &ScheduledCall) -> Result<Option<(Document, CallDocument)>, ()> {
    let store = app.node.store();
    let row = store.get(&call.org, Kind::ScheduledCall, call.id).await.map_err(|_| ())?;
    let document = store.get(&call.org, Kind::Call, call.id).await.map_err(|_| ())?;
    let record = document.map(|document| CallDocument::from_value(document.body));
    Ok(row.zip(record))
}

async fn dial(app: &App, row: Document, record: CallDocument, latest: WallTime) -> TurnOutcome {
    let not_fit = EndedReason::ResourcesNotValid;
    let request = match opened(app, &row) {
        Ok(request) => request,
        Err(answer) => return end(app, &row, record, &not_fit, &reason(answer).await).await,
    };
    let wanted = match outbound::read(app, &row.org, request.clone()).await {
        Ok(wanted) => wanted,
        Err(answer) => return end(app, &row, record, &not_fit, &reason(answer).await).await,
    };
    let Some(slot) = wait_for_slot(app, &row.org, &wanted, latest).await else {
        return TurnOutcome::Again(TRY_AGAIN);
    };
    // Whoever is told to stop leaves the call to the next process.
    if app.node.is_draining() || app.node.schedule().now() >= latest {
        return TurnOutcome::Again(Duration::ZERO);
    }
    let call = PlaceCall {
        org: row.org.clone(),
        intent: row.id,
        request,
        slot: Slot::Taken(slot),
        scheduled_ms: Some(row.created_at_ms),
    };
    match outbound::place(app, call).await {
        Ok(placed) => {
            tracing::info!(call = %placed.id, dialled = ?placed.dialled, "scheduled call asked for");
            forget(app, &row.org, row.id).await;
            TurnOutcome::Over
        }
        Err(PlaceError::NotNow(_) | PlaceError::NoSlot(_)) => back(app, &row).await,
        Err(PlaceError::Bad(_)) if app.node.is_draining() => back(app, &row).await,
        Err(PlaceError::Bad(answer)) => {
            end(app, &row, record, &not_fit, &reason(answer).await).await
        }
    }
}

async fn wait_for_slot(app: &App, org: &str, wanted: &Wanted, latest: WallTime) -> Option<Lease> {
    let asked = outbound::slot_request(app, org, wanted, Source::Interactive);
    let patience = latest.after(app.node.schedule().now());
    match timeout(patience, app.node.slots().take_in_turn(asked)).await {
        Ok(Ok(lease)) => Some(lease),
        Ok(Err(NoSlot::Refused(_) | NoSlot::TooLong(_) | NoSlot::Gone)) | Err(_) => None,
    }
}

/// Makes a call that was set up and not dialled what it was.
async fn back(app: &App, row: &Document) -> TurnOutcome {
    let now = now_ms();
    let change = move |document: &mut Document| {
        let mut record = CallDocument::from_value(document.body.take());
        restore(&mut record, now);
        document.body = record.into_value();
        document.updated_at_ms = now;
    };
    let changed = app.node.store().update(&row.org, Kind::Call, row.id, change).await;
    if let Err(error) = changed {
        tracing::error!(call = %row.id, %error, "a scheduled call is not shown as such");
    }
    TurnOutcome::Again(TRY_AGAIN)
}

/// Ends a call that nobody was dialled for.
pub async fn end(
    app: &App,
    row: &Document,
    record: CallDocument,
    reason: &EndedReason,
    message: &str,
) -> TurnOutcome {
    let (assistant, server) = involved(app, row, &record).await;
    let it = EndUndialled { org: &row.org, record, assistant, server, reason, message };
    app.node.end_undialled(it).await;
    forget(app, &row.org, row.id).await;
    TurnOutcome::Over
}
