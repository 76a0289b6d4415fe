//! What the operator's machines ask: alive, ready, metrics.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::App;
use crate::telemetry;

/// Routes of the API's own listener; `/metrics` among them unless it has one of its own.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// The process answers.
async fn alive() -> Response {
    axum::Json(json!({"status": "ok"})).into_response()
}

/// The process takes calls.
async fn ready(State(app): State<App>) -> Response {
    let calls = app.node.active_calls();
    let limits = app.node.slot_limits();
    let (status, word) = match app.node.is_draining() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        false => (StatusCode::OK, "ready"),
    };
    let body = json!({
        "status": word,
        "activeCalls": calls,
        "concurrencyLimit": limits.limit,
        "outboxPending": app.node.outbox().pending(),
    });
    (status, axum::Json(body)).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    if app.node.settings().server.metrics_listen.is_some() {
        return super::reply::not_found("route", "/metrics");
    }
    text(&app)
}

/// Metrics in Prometheus' text format.
pub fn text(app: &App) -> Response {
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    let metrics = telemetry::render(&app.metrics, &app.node);
    ([(header::CONTENT_TYPE, content_type)], metrics).into_response()
}
