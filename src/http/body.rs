//! Request bodies.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    response::Response,
};
use offhook_api::{ApiError, contract, contract::Mode, patch, server_fields, transfer_plan};
use offhook_store::{Document, Kind};
use serde_json::Value;
use uuid::Uuid;

use super::{App, reply};

/// A JSON body, whatever its content type says. An empty body is `{}`.
pub struct Json(pub Value);

impl FromRequest<App> for Json {
    type Rejection = Response;

    async fn from_request(request: Request, state: &App) -> Result<Self, Response> {
        let bytes = match Bytes::from_request(request, state).await {
            Ok(bytes) => bytes,
            Err(rejection) => {
                let error = match rejection.status().as_u16() {
                    413 => ApiError::payload_too_large(
                        state.node.settings().server.body_limit as usize,
                    ),
                    _ => ApiError::unreadable(rejection.body_text()),
                };
                return Err(reply::error(error));
            }
        };
        if bytes.is_empty() {
            return Ok(Self(Value::Object(serde_json::Map::new())));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            reply::error(ApiError::unreadable(format!("the body is not JSON: {error}")))
        })
    }
}

/// Refuses a body that the contract does not allow, or that asks for transfers that no call can do.
pub fn check(shape: &str, body: &Value, mode: Mode) -> Result<(), Response> {
    let mut problems = contract::validate(shape, body, mode);
    if problems.is_empty() {
        problems = transfer_plan::refusals(body);
    }
    if problems.is_empty() { Ok(()) } else { Err(reply::bad_request(problems)) }
}

/// Applies a validated patch to a stored document; `None` when there is none.
pub async fn patch(
    app: &App,
    org: &str,
    kind: Kind,
    id: Uuid,
    changes: Value,
) -> Result<Option<Document>, Response> {
    let now = super::now_ms();
    // The server's own fields are no fields of the update's shape, so this finds nothing to refuse.
    let change = move |document: &mut Document| {
        if let Ok(body) = patch::apply(&document.body, &changes) {
            document.body = body;
            document.updated_at_ms = now;
            server_fields::stamp_updated(&mut document.body, now);
        }
    };
    app.node.store().update(org, kind, id, change).await.map_err(reply::store)
}
