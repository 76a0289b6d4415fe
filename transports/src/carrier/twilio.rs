//! Twilio: TwiML, webhooks, REST.

mod client;
mod twiml;
mod webhook;

pub use client::{
    BASE_URL, CallFilter, CallInfo, CreateCall, Instructions, MachineDetection, Twilio,
    TwilioNumber, Update,
};
pub use twiml::{
    Conference, Dial, Party, RejectReason, Say, Stream, TwimlError, Verb, check as check_twiml,
    write as twiml,
};
pub use webhook::{DialEnd, Form, StreamEvent, answered_by, step_of};
