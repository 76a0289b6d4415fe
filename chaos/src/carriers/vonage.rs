//! Vonage: Voice API, NCCO, webhooks with signed tokens, websocket endpoints.

mod dialect;
mod rest;
mod run;
mod token;

pub use rest::{place_inbound, router};
