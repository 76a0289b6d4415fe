//! Phone numbers (`/phone-number`) as the runtime reads them.

use std::time::Duration;

use serde_json::Value;

use crate::{
    audio_format::WireAudio,
    destination::Destination,
    lenient::{self, text},
    server::ServerTarget,
};

/// How long a call from a number rings when its document does not say: what carriers do by
/// themselves.
const RING_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// What carriers take (Telnyx 5 to 600 s, Twilio up to 600 s, Vonage up to 120 s, each cutting what
/// is past its own).
const RING_TIMEOUT_MIN: Duration = Duration::from_secs(5);
const RING_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// Who a number is bought from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NumberProvider {
    Twilio,
    Telnyx,
    Vonage,
    /// A SIP trunk of the user's own.
    Byo,
}

impl NumberProvider {
    /// As documents call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Telnyx => "telnyx",
            Self::Vonage => "vonage",
            Self::Byo => "byo-phone-number",
        }
    }

    /// As people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Twilio => "Twilio",
            Self::Telnyx => "Telnyx",
            Self::Vonage => "Vonage",
            Self::Byo => "the SIP trunk",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Twilio, Self::Telnyx, Self::Vonage, Self::Byo]
            .into_iter()
            .find(|provider| provider.name() == name)
    }

    /// The provider of the credentials that hold its keys.
    pub const fn credential(self) -> &'static str {
        match self {
            Self::Byo => "byo-sip-trunk",
            Self::Twilio | Self::Telnyx | Self::Vonage => self.name(),
        }
    }
}

/// A phone number, without its secrets.
#[derive(Clone, Debug)]
pub struct PhoneNumberView {
    /// `None`: one that a request brings along (`phoneNumber` of `POST /call`).
    pub id: Option<String>,
    pub provider: NumberProvider,
    /// In E.164; one of a SIP trunk may be anything, or empty.
    pub number: String,
    pub name: Option<String>,
    /// Who answers. Without any of the three `server` is asked (`assistant-request`).
    pub assistant_id: Option<String>,
    pub squad_id: Option<String>,
    pub workflow_id: Option<String>,
    pub server: Option<ServerTarget>,
    /// Where callers go when nobody can be found who answers.
    pub fallback_destination: Option<Destination>,
    /// What is done instead of answering, the first that fits.
    pub hooks: Vec<RingingHook>,
    pub credential_id: Option<String>,
    pub twilio_account_sid: Option<String>,
    /// The application of the carrier's that the number is connected with, as it was set up.
    pub application_id: Option<String>,
    /// The audio of its calls, where its carrier gives a choice; `None`: the carrier's usual one.
    pub audio: Option<WireAudio>,
    /// How long a call from it rings.
    pub ring_timeout: Duration,
    /// Calls over it at the same time, both ways.
    pub concurrency_limit: Option<u32>,
    /// Calls from it that begin within a second.
    pub calls_per_second: Option<f64>,
}

/// What happens to callers of certain numbers (`hooks` on `call.ringing`).
#[derive(Clone, Debug, PartialEq)]
pub struct RingingHook {
    /// Beginnings of callers' numbers, without the plus, for each filter one of which must fit.
    filters: Vec<Vec<String>>,
    pub action: RingingAction,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RingingAction {
    Say(String),
    Transfer(Box<Destination>),
}

impl PhoneNumberView {
    /// Reads a stored number, or a `phoneNumber` that a request brings, which is Twilio's.
    ///
    /// `None`: it is of a provider that there are no numbers of here.
    pub fn read(document: &Value) -> Option<Self> {
        let provider = match text(document, "provider") {
            Some(name) => NumberProvider::parse(name)?,
            None => NumberProvider::Twilio,
        };
        let owned = |field| text(document, field).map(str::to_owned);
        let number = owned("number").or_else(|| owned("twilioPhoneNumber"));
        let ring_timeout = lenient::get(document, "ringTimeoutSeconds").and_then(Value::as_f64);
        let set_up = lenient::get(document, "carrierSetup").unwrap_or(&Value::Null);
        Some(Self {
            id: owned("id"),
            provider,
            number: number.unwrap_or_default(),
            name: owned("name"),
            assistant_id: owned("assistantId"),
            squad_id: owned("squadId"),
            workflow_id: owned("workflowId"),
            server: lenient::get(document, "server").and_then(ServerTarget::read),
            fallback_destination: lenient::get(document, "fallbackDestination")
                .and_then(Destination::read),
            hooks: list(document, "hooks").filter_map(RingingHook::read).collect(),
            credential_id: owned("credentialId"),
            twilio_account_sid: owned("twilioAccountSid"),
            application_id: text(set_up, "applicationId").map(str::to_owned),
            audio: lenient::get(document, "audioFormat")
                .and_then(|format| WireAudio::read(Some(format)).ok()),
            ring_timeout: ring_timeout
                .map_or(RING_TIMEOUT_DEFAULT, lenient::seconds)
                .clamp(RING_TIMEOUT_MIN, RING_TIMEOUT_MAX),
            concurrency_limit: lenient::concurrency_limit(document),
            calls_per_second: lenient::get(document, "callsPerSecond").and_then(Value::as_f64),
        })
    }

    /// What is done with a call of this caller's instead of answering it.
    ///
    /// A caller who withholds the number is none of those that a filter names.
    pub fn ringing_action(&self, caller: Option<&str>) -> Option<&RingingAction> {
        self.hooks.iter().find(|hook| hook.fits(caller)).map(|hook| &hook.action)
    }
}

impl RingingHook {
    fn read(hook: &Value) -> Option<Self> {
        if text(hook, "on") != Some("call.ringing") {
            return None;
        }
        // Only the first action counts, by the contract.
        let action = list(hook, "do").next()?;
        let action = match text(action, "type")? {
            "say" => RingingAction::Say(action.get("exact")?.as_str()?.to_owned()),
            "transfer" => {
                RingingAction::Transfer(Box::new(Destination::read(action.get("destination")?)?))
            }
            _ => return None,
        };
        let beginnings = |filter: &Value| {
            let listed = list(filter, "startsWith").filter_map(Value::as_str);
            listed.map(|prefix| prefix.trim_start_matches('+').to_owned()).collect()
        };
        Some(Self { filters: list(hook, "filters").map(beginnings).collect(), action })
    }

    fn fits(&self, caller: Option<&str>) -> bool {
        let caller = caller.unwrap_or_default().trim_start_matches('+');
        self.filters.iter().all(|beginnings| {
            !caller.is_empty()
                && beginnings.iter().any(|beginning| caller.starts_with(beginning.as_str()))
        })
    }
}

fn list<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice).iter()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_read_with_who_answers_it_and_what_else_may_become_of_a_call() {
        let view = PhoneNumberView::read(&json!({
            "id": "n-1", "provider": "telnyx", "number": "+14155550100", "name": "Front desk",
            "assistantId": "a-1", "squadId": null, "credentialId": "c-1",
            "server": {"url": "https://a.example", "timeoutSeconds": 5},
            "fallbackDestination": {"type": "number", "number": "+14155550199"},
            "audioFormat": {"format": "pcm_s16le", "sampleRate": 16_000},
            "ringTimeoutSeconds": 1,
            "carrierSetup": {"status": "done", "applicationId": "17"},
        }))
        .unwrap();
        assert_eq!(view.provider, NumberProvider::Telnyx);
        assert_eq!((view.id.as_deref(), view.number.as_str()), (Some("n-1"), "+14155550100"));
        assert_eq!(view.assistant_id.as_deref(), Some("a-1"));
        assert_eq!(view.squad_id, None);
        assert_eq!(view.server.unwrap().timeout, Duration::from_secs(5));
        assert!(view.fallback_destination.is_some());
        assert_eq!(view.audio, Some(WireAudio::PcmS16le { sample_rate_hz: 16_000 }));
        assert_eq!(view.ring_timeout, Duration::from_secs(5), "carriers take no less");
        assert_eq!(view.application_id.as_deref(), Some("17"));
    }

    #[test]
    fn a_number_that_a_request_brings_is_twilio_s() {
        let document = json!({"twilioPhoneNumber": "+14155550100", "twilioAccountSid": "AC1"});
        let view = PhoneNumberView::read(&document).unwrap();
        assert_eq!((view.provider, view.id), (NumberProvider::Twilio, None));
        assert_eq!(view.number, "+14155550100");
        assert_eq!(view.twilio_account_sid.as_deref(), Some("AC1"));
        assert_eq!(view.ring_timeout, Duration::from_secs(60));
        assert!(PhoneNumberView::read(&json!({"provider": "vapi"})).is_none());
    }

    #[test]
    fn the_first_hook_whose_filters_all_fit_the_caller_counts() {
        let starts =
            |with: &[&str]| json!({"type": "startsWith", "key": "number", "startsWith": with});
        let say = |text: &str| json!([{"type": "say", "exact": text}, {"type": "say"}]);
        let view = PhoneNumberView::read(&json!({"provider": "twilio", "hooks": [
            {"on": "call.ending", "do": {"type": "say", "exact": "no"}},
            {"on": "call.ringing", "filters": [starts(&["91", "+86"])], "do": say("not here")},
            {"on": "call.ringing", "filters": [starts(&["1"]), starts(&["1415"])], "do": [
                {"type": "transfer", "destination": {"type": "number", "number": "+4670"}}]},
        ]}))
        .unwrap();
        let said = RingingAction::Say("not here".into());
        assert_eq!(view.ringing_action(Some("+9111")), Some(&said));
        assert_eq!(view.ringing_action(Some("+8611")), Some(&said));
        let transferred = view.ringing_action(Some("+14155550123"));
        assert!(matches!(transferred, Some(RingingAction::Transfer(_))), "{transferred:?}");
        assert_eq!(view.ringing_action(Some("+12125550123")), None);
        assert_eq!(view.ringing_action(None), None);
        let everybody = json!({"hooks": [{"on": "call.ringing", "do": say("closed")}]});
        let view = PhoneNumberView::read(&everybody).unwrap();
        assert_eq!(view.ringing_action(None), Some(&RingingAction::Say("closed".into())));
    }
}
