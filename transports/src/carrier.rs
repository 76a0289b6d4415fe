//! The carriers themselves: what their webhooks say, what is answered, and what is asked of them.

mod addresses;
mod client;
mod error;
mod number;
mod operator;
mod progress;
mod rest;
pub mod telnyx;
pub mod twilio;
pub mod vonage;

pub use addresses::{Addresses, NumberAddresses};
pub use client::{
    CALL_PARAMETER, Client, Destination, Detection, Media, Place, Sending, TOKEN_PARAMETER,
    call_of_client_state, client_state, dial_actions, dial_verbs,
};
pub use error::CarrierError;
pub use number::{e164, send_digits};
pub use operator::{CallOperator, Words, attempt_of_state, meeting_verbs, operator_state};
pub use progress::{Carrier, Change, Ending, Progress, Step};
pub use rest::{Api, REQUEST_LIMIT};

/// Who picked up, as far as the carrier can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    Human,
    /// A machine; `greeting_is_over`: it listens now, after its beep or its silence.
    Machine {
        greeting_is_over: bool,
    },
    Fax,
    Unknown,
}
