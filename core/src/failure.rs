//! What can go wrong with a provider, classified where it arises.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A stage of the pipeline between the two ends of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Transcriber,
    Model,
    Voice,
}

impl Stage {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transcriber => "transcriber",
            Self::Model => "model",
            Self::Voice => "voice",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The class of a provider's failure: what decides between retry, fallback and giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// The key is missing or refused.
    Unauthorized,
    /// The account has nothing left to spend.
    Quota,
    /// Too many requests; `retry_after` as the provider asked, when it did.
    RateLimited { retry_after: Option<Duration> },
    /// The request can never succeed as it stands: bad model, bad voice, bad parameter.
    BadRequest,
    /// The provider says that it is broken (5xx), or cannot be reached.
    Unavailable,
    /// No answer within our limit.
    Timeout,
    /// The provider closed a session in use.
    Closed,
    /// Connected, without error, and nothing comes.
    Stalled,
    /// The provider said something that its protocol does not allow.
    Protocol,
    /// Offhook does not drive this provider yet.
    Unsupported,
}

impl FailureClass {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Quota => "quota",
            Self::RateLimited { .. } => "rate-limited",
            Self::BadRequest => "bad-request",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Stalled => "stalled",
            Self::Protocol => "protocol",
            Self::Unsupported => "unsupported",
        }
    }

    /// When the provider asked to be asked again.
    pub const fn retry_after(self) -> Option<Duration> {
        if let Self::RateLimited { retry_after } = self { retry_after } else { None }
    }

    /// Whether the same provider may succeed if it is asked again at once.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Unavailable
            | Self::Timeout
            | Self::Closed
            | Self::Stalled
            | Self::Protocol => true,
            Self::Unauthorized | Self::Quota | Self::BadRequest | Self::Unsupported => false,
        }
    }
}

/// A stage that ran out of ways to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFailure {
    pub stage: Stage,
    /// The provider's name as in the assistant's document, for example `deepgram` or `11labs`.
    pub provider: String,
    pub class: FailureClass,
    /// For the operator: what was tried, on what, and what was answered. Never what a caller said.
    pub detail: String,
}
