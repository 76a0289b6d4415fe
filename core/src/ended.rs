//! Why a call ended: the only place that knows.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{FailureClass, Stage, StageFailure};

/// Why a call ended, spelled on the wire as the contract's `endedReason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndedReason {
    CustomerEndedCall,
    /// The model called its `endCall` tool.
    AssistantEndedCall,
    AssistantSaidEndCallPhrase,
    AssistantEndedCallAfterMessageSpoken,
    SilenceTimedOut,
    /// A voicemail answered.
    Voicemail,
    ExceededMaxDuration,
    /// A client ended it through the API or the control URL.
    ManuallyCanceled,
    CallDeleted,
    /// A client deleted it before its time came.
    ScheduledCallDeleted,
    /// The leg's peer fell silent, stopped reading, or broke the rules of the protocol.
    CustomerAudioLost,
    /// Nobody connected to the leg in time.
    TransportNeverConnected,
    /// No slot was free.
    ConcurrencyLimitReached,
    AssistantNotFound,
    AssistantNotValid,
    /// What a scheduled call names is not there, or not fit, when its time comes.
    ResourcesNotValid,
    /// A number has neither an assistant nor a server that could name one.
    NeitherAssistantNorServer,
    /// The server was asked for an assistant and did not answer in time, or not at all.
    AssistantRequestFailed,
    /// The server answered with an error, which was spoken.
    AssistantRequestReturnedError,
    /// The server answered with something that cannot be spoken.
    AssistantRequestReturnedUnspeakableError,
    AssistantRequestReturnedInvalidAssistant,
    AssistantRequestReturnedNoAssistant,
    /// The server sent the caller to another number.
    AssistantRequestReturnedForwardingPhoneNumber,
    /// A hook of the number spoke to the caller in place of an assistant.
    HookExecutedSay,
    /// A hook of the number sent the caller elsewhere.
    HookExecutedTransfer,
    /// The assistant sent the caller to another party.
    AssistantForwardedCall,
    /// The caller hung up while somebody was dialled who was to take them, and nobody had yet.
    CustomerEndedCallDuringTransfer,
    /// The same, with them on hold.
    CustomerEndedCallBeforeWarmTransfer,
    /// Whoever was to take the caller was busy, and the plan ends the call then.
    OperatorBusy,
    /// Nobody answered, or a voicemail did, and the plan ends the call then.
    OperatorDidNotAnswer,
    /// The carrier could not do it, and the plan ends the call then.
    TransferFailed,
    CustomerBusy,
    CustomerDidNotAnswer,
    TwilioFailedToConnectCall,
    /// The number that was dialled does not exist, as Twilio says.
    TwilioReportedCustomerMisdialed,
    VonageFailedToConnectCall,
    VonageRejected,
    /// A carrier that the contract has no reason of its own for did not connect the call.
    OutboundCallFailedToConnect,
    /// The process that held the call is gone.
    WorkerDied,
    /// The runtime was told to stop and could not wait for the call.
    WorkerShutdown,
    /// No process was there to place a scheduled call in its time.
    WorkerNotAvailable,
    /// A stage failed and every fallback with it.
    Pipeline {
        stage: Stage,
        provider: String,
        class: FailureClass,
    },
}

/// Who is answerable for the end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Nobody,
    Caller,
    Provider,
    Runtime,
}

impl Blame {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Caller => "caller",
            Self::Provider => "provider",
            Self::Runtime => "runtime",
        }
    }
}

impl EndedReason {
    pub fn pipeline(failure: &StageFailure) -> Self {
        Self::Pipeline {
            stage: failure.stage,
            provider: failure.provider.clone(),
            class: failure.class,
        }
    }

    pub const fn blame(&self) -> Blame {
        match self {
            Self::CustomerEndedCall
            | Self::AssistantEndedCall
            | Self::AssistantSaidEndCallPhrase
            | Self::AssistantEndedCallAfterMessageSpoken
            | Self::SilenceTimedOut
            | Self::Voicemail
            | Self::ExceededMaxDuration
            | Self::ManuallyCanceled
            | Self::CallDeleted
            | Self::ScheduledCallDeleted
            | Self::AssistantRequestReturnedForwardingPhoneNumber
            | Self::HookExecutedSay
            | Self::HookExecutedTransfer
            | Self::AssistantForwardedCall
            | Self::CustomerEndedCallDuringTransfer
            | Self::CustomerEndedCallBeforeWarmTransfer
            | Self::OperatorBusy
            | Self::OperatorDidNotAnswer
            | Self::CustomerBusy
            | Self::CustomerDidNotAnswer => Blame::Nobody,
            Self::CustomerAudioLost
            | Self::TransportNeverConnected
            | Self::ConcurrencyLimitReached
            | Self::AssistantNotFound
            | Self::AssistantNotValid
            | Self::ResourcesNotValid
            | Self::NeitherAssistantNorServer
            | Self::AssistantRequestFailed
            | Self::AssistantRequestReturnedError
            | Self::AssistantRequestReturnedUnspeakableError
            | Self::AssistantRequestReturnedInvalidAssistant
            | Self::AssistantRequestReturnedNoAssistant
            | Self::TwilioReportedCustomerMisdialed => Blame::Caller,
            Self::Pipeline { .. }
            | Self::TransferFailed
            | Self::TwilioFailedToConnectCall
            | Self::VonageFailedToConnectCall
            | Self::VonageRejected
            | Self::OutboundCallFailedToConnect => Blame::Provider,
            Self::WorkerDied | Self::WorkerShutdown | Self::WorkerNotAvailable => Blame::Runtime,
        }
    }

    fn wire(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::CustomerEndedCall => "customer-ended-call",
            Self::AssistantEndedCall => "assistant-ended-call",
            Self::AssistantSaidEndCallPhrase => "assistant-said-end-call-phrase",
            Self::AssistantEndedCallAfterMessageSpoken => {
                "assistant-ended-call-after-message-spoken"
            }
            Self::SilenceTimedOut => "silence-timed-out",
            Self::Voicemail => "voicemail",
            Self::ExceededMaxDuration => "exceeded-max-duration",
            Self::ManuallyCanceled => "manually-canceled",
            Self::CallDeleted => "call-deleted",
            Self::ScheduledCallDeleted => "scheduled-call-deleted",
            Self::CustomerAudioLost => {
                "call.in-progress.error-assistant-did-not-receive-customer-audio"
            }
            Self::TransportNeverConnected => {
                "call.in-progress.error-vapifault-transport-never-connected"
            }
            Self::ConcurrencyLimitReached => {
                "call.start.error-subscription-concurrency-limit-reached"
            }
            Self::AssistantNotFound => "assistant-not-found",
            Self::AssistantNotValid => "assistant-not-valid",
            Self::ResourcesNotValid => "call.start.error-get-resources-validation",
            Self::NeitherAssistantNorServer => "call-start-error-neither-assistant-nor-server-set",
            Self::AssistantRequestFailed => "assistant-request-failed",
            Self::AssistantRequestReturnedError => "assistant-request-returned-error",
            Self::AssistantRequestReturnedUnspeakableError => {
                "assistant-request-returned-unspeakable-error"
            }
            Self::AssistantRequestReturnedInvalidAssistant => {
                "assistant-request-returned-invalid-assistant"
            }
            Self::AssistantRequestReturnedNoAssistant => "assistant-request-returned-no-assistant",
            Self::AssistantRequestReturnedForwardingPhoneNumber => {
                "assistant-request-returned-forwarding-phone-number"
            }
            Self::HookExecutedSay => "call.ringing.hook-executed-say",
            Self::HookExecutedTransfer => "call.ringing.hook-executed-transfer",
            Self::AssistantForwardedCall => "assistant-forwarded-call",
            Self::CustomerEndedCallDuringTransfer => "customer-ended-call-during-transfer",
            Self::CustomerEndedCallBeforeWarmTransfer => "customer-ended-call-before-warm-transfer",
            Self::OperatorBusy => "call.forwarding.operator-busy",
            Self::OperatorDidNotAnswer => "call.forwarding.no-answer",
            Self::TransferFailed => "call.in-progress.error-transfer-failed",
            Self::CustomerBusy => "customer-busy",
            Self::CustomerDidNotAnswer => "customer-did-not-answer",
            Self::TwilioFailedToConnectCall => "twilio-failed-to-connect-call",
            Self::TwilioReportedCustomerMisdialed => "twilio-reported-customer-misdialed",
            Self::VonageFailedToConnectCall => "vonage-failed-to-connect-call",
            Self::VonageRejected => "vonage-rejected",
            Self::OutboundCallFailedToConnect => {
                "call.in-progress.error-sip-outbound-call-failed-to-connect"
            }
            Self::WorkerDied => "call.in-progress.error-vapifault-worker-died",
            Self::WorkerShutdown => "worker-shutdown",
            Self::WorkerNotAvailable => "call.in-progress.error-vapifault-worker-not-available",
            Self::Pipeline { stage, provider, class } => {
                return Cow::Owned(pipeline_reason(*stage, provider, *class));
            }
        })
    }
}

/// The contract names providers here otherwise than in documents, and models by HTTP status.
fn pipeline_reason(stage: Stage, provider: &str, class: FailureClass) -> String {
    let provider = match provider {
        "11labs" => "eleven-labs",
        "assembly-ai" | "assemblyai" => "assembly-ai",
        "azure" if stage == Stage::Transcriber => "azure-speech",
        "rime-ai" => "rime-ai",
        "custom-transcriber" | "custom-voice" => "custom",
        other => other,
    };
    match (stage, class) {
        (Stage::Transcriber, _) => format!("pipeline-error-{provider}-transcriber-failed"),
        (Stage::Voice, _) => format!("pipeline-error-{provider}-voice-failed"),
        (Stage::Model, FailureClass::Unauthorized) => {
            format!("pipeline-error-{provider}-401-unauthorized")
        }
        (Stage::Model, FailureClass::Quota) => {
            format!("pipeline-error-{provider}-429-exceeded-quota")
        }
        (Stage::Model, FailureClass::RateLimited { .. }) => {
            format!("pipeline-error-{provider}-429-rate-limit-reached")
        }
        (Stage::Model, FailureClass::BadRequest) => {
            format!("pipeline-error-{provider}-400-bad-request-validation-failed")
        }
        (
            Stage::Model,
            FailureClass::Unavailable
            | FailureClass::Timeout
            | FailureClass::Closed
            | FailureClass::Stalled
            | FailureClass::Protocol
            | FailureClass::Unsupported,
        ) => format!("pipeline-error-{provider}-llm-failed"),
    }
}

/// Every reason without data in it, to read one back.
const PLAIN: &[EndedReason] = &[
    EndedReason::CustomerEndedCall,
    EndedReason::AssistantEndedCall,
    EndedReason::AssistantSaidEndCallPhrase,
    EndedReason::AssistantEndedCallAfterMessageSpoken,
    EndedReason::SilenceTimedOut,
    EndedReason::Voicemail,
    EndedReason::ExceededMaxDuration,
    EndedReason::ManuallyCanceled,
    EndedReason::CallDeleted,
    EndedReason::ScheduledCallDeleted,
    EndedReason::CustomerAudioLost,
    EndedReason::TransportNeverConnected,
    EndedReason::ConcurrencyLimitReached,
    EndedReason::AssistantNotFound,
    EndedReason::AssistantNotValid,
    EndedReason::ResourcesNotValid,
    EndedReason::NeitherAssistantNorServer,
    EndedReason::AssistantRequestFailed,
    EndedReason::AssistantRequestReturnedError,
    EndedReason::AssistantRequestReturnedUnspeakableError,
    EndedReason::AssistantRequestReturnedInvalidAssistant,
    EndedReason::AssistantRequestReturnedNoAssistant,
    EndedReason::AssistantRequestReturnedForwardingPhoneNumber,
    EndedReason::HookExecutedSay,
    EndedReason::HookExecutedTransfer,
    EndedReason::AssistantForwardedCall,
    EndedReason::CustomerEndedCallDuringTransfer,
    EndedReason::CustomerEndedCallBeforeWarmTransfer,
    EndedReason::OperatorBusy,
    EndedReason::OperatorDidNotAnswer,
    EndedReason::TransferFailed,
    EndedReason::CustomerBusy,
    EndedReason::CustomerDidNotAnswer,
    EndedReason::TwilioFailedToConnectCall,
    EndedReason::TwilioReportedCustomerMisdialed,
    EndedReason::VonageFailedToConnectCall,
    EndedReason::VonageRejected,
    EndedReason::OutboundCallFailedToConnect,
    EndedReason::WorkerDied,
    EndedReason::WorkerShutdown,
    EndedReason::WorkerNotAvailable,
];

impl fmt::Display for EndedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wire())
    }
}

impl Serialize for EndedReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.wire())
    }
}

impl<'de> Deserialize<'de> for EndedReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| de::Error::custom(format!("unknown ended reason `{text}`")))
    }
}

fn parse(text: &str) -> Option<EndedReason> {
    if let Some(plain) = PLAIN.iter().find(|reason| reason.wire() == text) {
        return Some(plain.clone());
    }
    let rest = text.strip_prefix("pipeline-error-")?;
    let endings = [
        ("-transcriber-failed", Stage::Transcriber, FailureClass::Unavailable),
        ("-voice-failed", Stage::Voice, FailureClass::Unavailable),
        ("-401-unauthorized", Stage::Model, FailureClass::Unauthorized),
        ("-429-exceeded-quota", Stage::Model, FailureClass::Quota),
        ("-429-rate-limit-reached", Stage::Model, FailureClass::RateLimited { retry_after: None }),
        ("-400-bad-request-validation-failed", Stage::Model, FailureClass::BadRequest),
        ("-llm-failed", Stage::Model, FailureClass::Unavailable),
    ];
    endings.into_iter().find_map(|(ending, stage, class)| {
        let provider = rest.strip_suffix(ending)?;
        let provider = if provider == "eleven-labs" { "11labs" } else { provider };
        Some(EndedReason::Pipeline { stage, provider: provider.into(), class })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_failures_name_the_stage_and_the_provider() {
        let reason = EndedReason::Pipeline {
            stage: Stage::Voice,
            provider: "11labs".into(),
            class: FailureClass::Closed,
        };
        assert_eq!(reason.to_string(), "pipeline-error-eleven-labs-voice-failed");
        assert_eq!(reason.blame(), Blame::Provider);
    }

    #[test]
    fn every_reason_reads_back_as_it_was_written() {
        let pipeline = [
            (Stage::Transcriber, FailureClass::Unavailable),
            (Stage::Voice, FailureClass::Unavailable),
            (Stage::Model, FailureClass::Unauthorized),
            (Stage::Model, FailureClass::Unavailable),
        ]
        .map(|(stage, class)| EndedReason::Pipeline {
            stage,
            provider: "11labs".into(),
            class,
        });
        for reason in PLAIN.iter().chain(&pipeline) {
            let json = serde_json::to_string(reason).unwrap();
            assert_eq!(&serde_json::from_str::<EndedReason>(&json).unwrap(), reason, "{json}");
        }
    }
}
