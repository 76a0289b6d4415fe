//! The fakes' own routes: `/fakes/timing`, `/fakes/report`, `/fakes/requests`,
//! `/fakes/fault`, `/fakes/scripts`.

use std::sync::PoisonError;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{App, faults::Fault, scripts::Line};

pub fn router() -> Router<App> {
    Router::new()
        .route("/timing", get(timing).post(change_timing))
        .route("/report", get(report).delete(clear_report))
        .route("/requests", get(requests))
        .route("/fault", post(fault))
        .route("/scripts", post(script))
}

async fn timing(State(app): State<App>) -> Response {
    Json(app.timing()).into_response()
}

async fn change_timing(State(app): State<App>, Json(changes): Json<Value>) -> Response {
    match app.timing().with(&changes) {
        Ok(timing) => {
            *app.timing.write().unwrap_or_else(PoisonError::into_inner) = timing.clone();
            Json(timing).into_response()
        }
        Err(refused) => (StatusCode::BAD_REQUEST, refused).into_response(),
    }
}

async fn report(State(app): State<App>) -> Json<Value> {
    Json(app.report.document())
}

async fn clear_report(State(app): State<App>) -> StatusCode {
    app.report.clear();
    StatusCode::NO_CONTENT
}

async fn requests(State(app): State<App>) -> Json<Value> {
    Json(app.exchanges.document())
}

async fn fault(State(app): State<App>, Json(fault): Json<Fault>) -> Response {
    match app.faults.add(Instant::now(), &fault) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => (StatusCode::BAD_REQUEST, refused).into_response(),
    }
}

async fn script(State(app): State<App>, Json(line): Json<Line>) -> Response {
    match app.scripts.add(line) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => (StatusCode::BAD_REQUEST, refused).into_response(),
    }
}
