//! `PATCH` and `DELETE` of a call that is scheduled.

use std::time::Duration;

use axum::response::Response;
use offhook_api::{ApiError, CallDocument};
use offhook_core::EndedReason;
use offhook_store::{Document, Kind};
use serde_json::Value;
use uuid::Uuid;

use super::{appointment, key, turn, write_times};
use crate::http::{App, reply};

/// Longest wait for whoever has a call in hand: a carrier's API may take its time.
const HOLD_MAX: Duration = Duration::from_secs(10);

/// Changes what of a scheduled call's row and appointment goes with its document; `change` changes
/// that. Nobody dials meanwhile.
pub async fn update<T>(
    app: &App,
    (org, id): (&str, Uuid),
    changes: &Value,
    change: impl Future<Output = Result<T, Response>>,
) -> Result<T, Response> {
    let plan = changes.get("schedulePlan");
    let Some(held) = app.node.schedule().hold(key(org, id), HOLD_MAX).await else {
        return match plan {
            None => change.await,
            Some(_) => {
                let problem = "schedulePlan can be changed while the call is scheduled: it is not";
                Err(reply::error(ApiError::conflict(problem)))
            }
        };
    };
    let moved = match plan {
        Some(Value::Null) => {
            let problem = "schedulePlan must not be null: give another one, or delete the call";
            return Err(reply::bad_request(vec![problem.into()]));
        }
        Some(plan) => Some(appointment(app, plan)?),
        None => None,
    };
    let fields = changes.as_object().cloned().unwrap_or_default();
    let note = move |row: &mut Document| {
        if let Some(moved) = &moved {
            write_times(&mut row.body, moved);
        }
        for (name, value) in fields {
            row.body["request"][name] = value;
        }
    };
    app.node.store().update(org, Kind::ScheduledCall, id, note).await.map_err(reply::store)?;
    let changed = change.await?;
    if let Some(moved) = moved {
        held.move_to(moved);
    }
    Ok(changed)
}

/// Ends a call that is scheduled, for its client deletes it. Nothing is done to any other.
pub async fn delete(app: &App, org: &str, id: Uuid) -> Result<(), Response> {
    let Some(held) = app.node.schedule().hold(key(org, id), HOLD_MAX).await else { return Ok(()) };
    let store = app.node.store();
    let row = store.get(org, Kind::ScheduledCall, id).await.map_err(reply::store)?;
    let document = store.get(org, Kind::Call, id).await.map_err(reply::store)?;
    if let Some((row, document)) = row.zip(document) {
        let record = CallDocument::from_value(document.body);
        let message = "its client deleted the call before it was due";
        let reason = match record.is_scheduled() {
            true => EndedReason::ScheduledCallDeleted,
            false => EndedReason::CallDeleted,
        };
        turn::end(app, &row, record, &reason, message).await;
    }
    held.forget();
    Ok(())
}
