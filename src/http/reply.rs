//! Answers in the shapes of the contract.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use offhook_api::{ApiError, ErrorText};
use offhook_store::StoreError;
use serde_json::Value;

/// A result whose error is already an answer.
pub type Reply = Result<Response, Response>;

pub fn error(error: ApiError) -> Response {
    let status = StatusCode::from_u16(error.status_code).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = (status, axum::Json(error)).into_response();
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    response
}

/// How soon a client may try again: slots become free whenever a call ends.
const RETRY_AFTER_SECONDS: u16 = 1;

pub fn bad_request(messages: Vec<String>) -> Response {
    error(ApiError::bad_request(messages))
}

pub fn not_found(what: &str, id: &str) -> Response {
    error(ApiError::not_found(what, id))
}

/// There is nothing at this method and path.
pub fn no_route(what: &str) -> Response {
    let mut error = ApiError::not_found("route", "");
    error.message = ErrorText::One(format!("{what}; the routes are listed at /docs"));
    self::error(error)
}

pub fn ok(document: Value) -> Response {
    axum::Json(document).into_response()
}

pub fn created(document: Value) -> Response {
    (StatusCode::CREATED, axum::Json(document)).into_response()
}

/// The store failed: the client may try again, nothing was done.
pub fn store(problem: StoreError) -> Response {
    tracing::error!(%problem, "store failed");
    error(ApiError::unavailable(
        "the store does not answer; whether anything was changed is not certain, look before you try again",
    ))
}
