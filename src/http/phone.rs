//! Phone calls: what carriers ask and report, the sockets of their media, and calls that we place.

mod arrival;
mod assistant_request;
pub mod begin;
mod media;
mod operator;
pub mod outbound;
pub mod reconcile;
mod seen;
mod signed;
mod telnyx;
mod twilio;
mod vonage;

use axum::{
    Router,
    routing::{get, post},
};

use super::App;

pub use seen::Desk;

/// What carriers ask and report: each request is signed, and refused with 403 otherwise.
pub fn webhook_routes() -> Router<App> {
    Router::new()
        .route("/twilio/voice/{number}", post(twilio::voice))
        .route("/twilio/status/{number}", post(twilio::status))
        .route("/twilio/answered/{call}", post(twilio::connect))
        .route("/twilio/resume/{call}", post(twilio::connect))
        .route("/twilio/progress/{call}", post(twilio::progress))
        .route("/twilio/machine/{call}", post(twilio::progress))
        .route("/twilio/operator/{call}/{attempt}", post(operator::twilio))
        .route("/twilio/briefed/{call}/{attempt}", post(operator::twilio_briefed))
        .route("/twilio/sent/{call}/{attempt}", post(operator::twilio_sent))
        .route("/telnyx/events/{number}", post(telnyx::event))
        .route("/vonage/answer/{number}", post(vonage::answer))
        .route("/vonage/event/{number}", post(vonage::event))
        .route("/vonage/resume/{call}", post(vonage::resume))
        .route("/vonage/progress/{call}", post(vonage::progress))
        .route("/vonage/operator/{call}/{attempt}", post(operator::vonage))
        .route("/vonage/briefed/{call}/{attempt}", post(operator::vonage_briefed))
        .route("/vonage/sent/{call}/{attempt}", post(operator::vonage_sent))
}

/// Where carriers bring the audio of calls.
pub fn media_routes() -> Router<App> {
    Router::new()
        .route("/twilio/media", get(media::twilio))
        .route("/telnyx/media", get(media::telnyx))
        .route("/telnyx/media/{rate}", get(media::telnyx_linear))
        .route("/vonage/media", get(media::vonage))
        .route("/vonage/media/{rate}", get(media::vonage_at))
}
