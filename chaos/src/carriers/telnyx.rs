//! Telnyx: Call Control, webhooks with Ed25519, media streaming.

mod commands;
mod dialect;
mod rest;
mod webhook;

pub use rest::{place_inbound, router};
pub use webhook::public_key;
