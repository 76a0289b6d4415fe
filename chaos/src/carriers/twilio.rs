//! Twilio: API, TwiML, webhooks with HMAC, media streams.

mod dial;
mod dialect;
mod place;
mod rest;
mod run;
mod twiml;
mod webhook;

pub use place::place_inbound;
pub use rest::router;
