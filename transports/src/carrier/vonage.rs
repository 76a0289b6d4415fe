//! Vonage: NCCO, webhooks, REST.

mod client;
mod ncco;
mod webhook;

pub use client::{
    ApplicationKey, BASE_URL, CreateVonageCall, MachineBehavior, REST_BASE_URL, Vonage, VonageCall,
    VonageNumber,
};
pub use ncco::{Action, Endpoint, NccoError, write as ncco};
pub use webhook::{Answer, Event, parse_answer, parse_event};
