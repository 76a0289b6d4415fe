//! Server events that wait for their receivers, and those that nobody took.

use axum::extract::{Extension, Path, Query, State};
use offhook_actors::outbox::{Failure, Letter, Retried};
use offhook_api::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App, Org,
    reply::{self, Reply},
};
use crate::auth::parse_id;

/// Events listed unless the query says otherwise, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// What is listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `waiting`, `dead`, or both.
    state: Option<String>,
    limit: Option<usize>,
}

/// Lists the events that wait for their receivers, and those that were given up
#[utoipa::path(get, path = "/outbox", tag = "Operations", operation_id = "OutboxController_findAll",
    params(("state" = Option<String>, Query, description = "waiting or dead"), ("limit" = Option<u32>, Query)),
    responses((status = 200, description = "Oldest first"), (status = 400, description = "What is wrong with the query")))]
pub async fn list(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Reply {
    let Query(filter) =
        filter.map_err(|rejection| reply::bad_request(vec![rejection.body_text()]))?;
    let wanted = match filter.state.as_deref() {
        None => None,
        Some("waiting") => Some(false),
        Some("dead") => Some(true),
        Some(_) => {
            return Err(reply::bad_request(vec!["state must be waiting or dead".into()]));
        }
    };
    let letters = app.node.outbox().letters(&org).await.map_err(reply::store)?;
    let letters: Vec<_> =
        letters.iter().filter(|letter| wanted.is_none_or(|dead| letter.is_dead == dead)).collect();
    let limit = filter.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
    let results: Vec<_> = letters.iter().take(limit).map(|letter| shown(letter)).collect();
    Ok(reply::ok(json!({ "results": results, "metadata": {"totalItems": letters.len()} })))
}

/// Sends an event again that was given up; tries one at once that waits
#[utoipa::path(post, path = "/outbox/{id}/retry", tag = "Operations", operation_id = "OutboxController_retry",
    params(("id" = String, Path)),
    responses((status = 200, description = "It is tried again"), (status = 404, description = "There is none of this id")))]
pub async fn retry(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    let uuid = parse_id(&id).ok_or_else(|| reply::not_found("event", &id))?;
    match app.node.outbox().retry(&org, uuid).await.map_err(reply::store)? {
        Retried::Again | Retried::Hurried => Ok(reply::ok(json!({"id": id, "state": "waiting"}))),
        Retried::Unknown => Err(reply::error(ApiError::not_found("event", &id))),
    }
}

fn shown(letter: &Letter) -> Value {
    let mut shown = json!({
        "id": letter.id,
        "callId": letter.call,
        "event": letter.event,
        "url": letter.url,
        "state": if letter.is_dead { "dead" } else { "waiting" },
        "createdAt": offhook_api::time::iso8601(letter.created_ms),
    });
    if let Some(Failure { attempts, last_error, at_ms }) = &letter.failure {
        shown["attempts"] = (*attempts).into();
        shown["lastError"] = last_error.as_str().into();
        shown["lastAttemptAt"] = offhook_api::time::iso8601(*at_ms).into();
    }
    shown
}
