//! Scheduled calls that a former process left.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use offhook_api::CallDocument;
use offhook_core::{EndedReason, campaign::SETTLE};
use offhook_store::{Document, Kind, ListFilter, StoreError};
use offhook_supervisors::EndUndialled;
use tokio::time::sleep;
use uuid::Uuid;

use super::{forget, involved, key, opened, restore, stored_appointment};
use crate::http::{
    App, now_ms,
    phone::{
        outbound,
        reconcile::{self, Asked},
    },
};

/// How often a carrier is asked that does not answer, and how many times: a quarter of an hour.
const ASK_EVERY: Duration = Duration::from_secs(15);
const ASK_TIMES: usize = 60;

/// Takes up what a former process left, before anybody is dialled.
pub async fn take_up(app: &App) {
    for org in app.orgs.iter() {
        match rows(app, org).await {
            Ok(ids) => {
                for id in ids {
                    if let Err(error) = take_up_one(app, org, id).await {
                        tracing::error!(call = %id, %error, "scheduled call cannot be taken up");
                    }
                }
            }
            Err(error) => tracing::error!(%error, "scheduled calls cannot be read"),
        }
    }
}

/// The rows of an organisation; of each only its name is kept in memory.
async fn rows(app: &App, org: &str) -> Result<Vec<Uuid>, StoreError> {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let seen = ids.clone();
    let note = move |row: &Document| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(row.id);
        false
    };
    let filter = ListFilter { limit: usize::MAX, ..ListFilter::default() };
    app.node.store().list(org, Kind::ScheduledCall, filter, Some(Box::new(note))).await?;
    Ok(mem::take(&mut *ids.lock().unwrap_or_else(PoisonError::into_inner)))
}

async fn take_up_one(app: &App, org: &str, id: Uuid) -> Result<(), StoreError> {
    let store = app.node.store();
    let Some(row) = store.get(org, Kind::ScheduledCall, id).await? else { return Ok(()) };
    let document = store.get(org, Kind::Call, id).await?;
    let record = document.map(|document| CallDocument::from_value(document.body));
    let Some(record) = record.filter(|record| !record.has_ended()) else {
        // It was deleted, or is over, or its creation was never acknowledged.
        forget(app, org, id).await;
        return Ok(());
    };
    if row.body["asked"] == true {
        tokio::spawn(follow(app.clone(), row, record));
        return Ok(());
    }
    if record.as_value()["schedulePlan"].is_object() && !record.is_scheduled() {
        // It had been begun, and nobody was asked to dial.
        let now = now_ms();
        let change = move |document: &mut Document| {
            let mut record = CallDocument::from_value(document.body.take());
            restore(&mut record, now);
            document.body = record.into_value();
            document.updated_at_ms = now;
        };
        store.update(org, Kind::Call, id, change).await?;
    }
    let Some(appointment) = stored_appointment(&row.body) else {
        return Err(StoreError::Corrupt { what: format!("the times of scheduled call {id}") });
    };
    match app.node.schedule().add(key(org, id), appointment) {
        Ok(held) => drop(held),
        Err(_) => {
            tracing::error!(call = %id, "the agenda is full, the call waits for the next start")
        }
    }
    Ok(())
}

/// Sees to a call whose carrier was asked, or about to be. It has been taken up by now, or was over.
async fn follow(app: App, row: Document, record: CallDocument) {
    let (org, id) = (&row.org, row.id);
    if app.node.call(id).is_none() {
        // Its journal is gone: a disk that failed. Who was dialled finds nobody.
        let (assistant, server) = involved(&app, &row, &record).await;
        let (reason, message) = (&EndedReason::WorkerDied, "the process that dialled it is gone");
        let it = EndUndialled { org, record, assistant, server, reason, message };
        app.node.end_undialled(it).await;
        return forget(&app, org, id).await;
    }
    if !record.as_value()["phoneCallProviderId"].is_string() {
        sleep(SETTLE).await;
        for _ in 0..ASK_TIMES {
            if app.node.call(id).is_none_or(|context| context.leg.was_connected()) {
                break;
            }
            match reconcile::ask_carrier(&app, org, &record, row.updated_at_ms / 1_000).await {
                Asked::Failed => sleep(ASK_EVERY).await,
                Asked::Never => {
                    // Nobody will answer the call that waits here.
                    app.node.end_call(id, EndedReason::TwilioFailedToConnectCall);
                    break;
                }
                Asked::CannotTell => {
                    let request = opened(&app, &row).unwrap_or_default();
                    outbound::ask_again(&app, org, id, request, row.updated_at_ms).await;
                    break;
                }
                // Its reports bear our id, or it rings out.
                Asked::Live | Asked::Over(_) => break,
            }
        }
    }
    forget(&app, org, id).await;
}
