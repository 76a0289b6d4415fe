//! What the carriers are, and what people do on the phone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fakes::Delay;

/// What the carriers are started with.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CarriersOptions {
    pub twilio_account_sid: String,
    pub twilio_auth_token: String,
    pub telnyx_api_key: String,
    /// What Telnyx's key of signatures is made of; the public half is at `/carriers/telnyx-key`.
    pub telnyx_seed: u8,
    pub vonage_application_id: String,
    pub vonage_api_key: String,
    pub vonage_api_secret: String,
    pub vonage_signature_secret: String,
    /// The public half of the application's key, as PEM; without it any token is taken.
    pub vonage_public_key: Option<String>,
    pub callbacks: CallbackOptions,
    /// How long a webhook that cannot be delivered is tried again, in milliseconds.
    pub webhook_patience_ms: u64,
    /// How much of what a person hears is kept, in seconds.
    pub recorded_seconds: u32,
    /// Telnyx: neighbouring media frames change places.
    pub telnyx_shuffles: bool,
}

impl Default for CarriersOptions {
    fn default() -> Self {
        Self {
            twilio_account_sid: format!("AC{}", "fa4e".repeat(8)),
            twilio_auth_token: "token-of-the-fake-twilio".into(),
            telnyx_api_key: "key-of-the-fake-telnyx".into(),
            telnyx_seed: 7,
            vonage_application_id: "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab".into(),
            vonage_api_key: "fa4e1234".into(),
            vonage_api_secret: "secret-of-the-fake-vonage".into(),
            vonage_signature_secret: "signature-secret-of-the-fake-vonage".into(),
            vonage_public_key: None,
            callbacks: CallbackOptions::default(),
            webhook_patience_ms: 0,
            recorded_seconds: 300,
            telnyx_shuffles: true,
        }
    }
}

/// How status callbacks come.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbackOptions {
    /// How late each is; those that differ overtake one another.
    pub delay: Delay,
    /// How many of them come twice, from 0 to 1.
    pub duplicates: f64,
}

impl Default for CallbackOptions {
    fn default() -> Self {
        Self { delay: Delay::Fixed(0.0), duplicates: 0.0 }
    }
}

/// What a person does on the phone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Persona {
    /// What becomes of a call to this person.
    pub answers: Answers,
    pub ring_ms: u64,
    pub lines: Vec<Saying>,
    /// Speaks the first line at once, not after the agent's first message.
    pub speaks_first: bool,
    /// Stays on the line after the last.
    pub stays: bool,
    /// Silence of the agent after which the person hangs up.
    pub patience_ms: u64,
    /// Silence of the agent, after it spoke, that hands the floor to the person.
    pub turn_gap_ms: u64,
    /// What the carrier takes the person for.
    pub is_machine: bool,
    /// How long after the answer the carrier knows.
    pub detection_ms: u64,
}

impl Default for Persona {
    fn default() -> Self {
        Self {
            answers: Answers::Answer,
            ring_ms: 100,
            lines: Vec::new(),
            speaks_first: false,
            stays: false,
            patience_ms: 20_000,
            turn_gap_ms: 700,
            is_machine: false,
            detection_ms: 500,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    Answer,
    Busy,
    /// Rings until the carrier gives up.
    NoAnswer,
    Reject,
    /// There is no such number.
    NotFound,
    /// The carrier cannot connect the call.
    Failed,
}

/// One thing that a person says or does.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Saying {
    /// Words, as tones.
    Say(String),
    /// A file of speech.
    Wav(PathBuf),
    Interrupt {
        after_ms: u64,
        say: String,
    },
    WaitMs(u64),
    Keys(String),
    HangUp,
}
