//! Telnyx: Call Control commands and webhooks.

mod client;
mod webhook;

pub use client::{
    BASE_URL, Detection, DialCall, Telnyx, TelnyxApplication, TelnyxCall, TelnyxNumber,
    TelnyxStream, Transfer,
};
pub use webhook::{Event, Webhook, parse};
