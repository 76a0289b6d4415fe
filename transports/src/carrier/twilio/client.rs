//! Requests to Twilio.
//!
//! Source: Twilio's documentation, pages "Call Resource", "IncomingPhoneNumber Resource",
//! "Conference Participant Resource".

use std::time::Duration;

use jiff::Timestamp;
use offhook_core::FailureClass;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::carrier::{
    Api, Carrier, CarrierError,
    rest::{seconds_of, with_form},
};

/// Where Twilio is.
pub const BASE_URL: &str = "https://api.twilio.com";

/// What a call is not there any more for: "not found", and "not in progress".
const IS_OVER: &[&str] = &["20404", "21220"];

/// Longest instructions that fit into a request, in characters.
const TWIML_CHARS_MAX: usize = 4_000;

/// Calls of one page, and how many are listed at most: the calls of some hours on one number.
const PAGE: u32 = 200;
const LISTED_MAX: usize = 1_000;

/// An account at Twilio.
#[derive(Clone)]
pub struct Twilio {
    api: Api,
    account_sid: String,
    /// The account itself, or an API key.
    user: String,
    password: SecretString,
}

/// A call to place. What is `None` is Twilio's default.
#[derive(Clone, Debug, Default)]
pub struct CreateCall {
    pub to: String,
    pub from: String,
    pub instructions: Instructions,
    /// Told of every status.
    pub status_callback: Option<String>,
    /// How long it rings.
    pub timeout: Option<Duration>,
    pub time_limit: Option<Duration>,
    /// Dialled once the call is answered; there is no detection of machines then.
    pub send_digits: Option<String>,
    pub record: bool,
    /// `mono` or `dual`.
    pub recording_channels: Option<String>,
    pub machine_detection: Option<MachineDetection>,
}

/// What an answered call does.
#[derive(Clone, Debug)]
pub enum Instructions {
    Twiml(String),
    /// The address that is asked, and the one that is asked when it does not answer.
    Url {
        url: String,
        fallback: Option<String>,
    },
}

impl Default for Instructions {
    fn default() -> Self {
        Self::Twiml(String::new())
    }
}

/// Detection of machines while the call goes on.
#[derive(Clone, Debug, Default)]
pub struct MachineDetection {
    /// Wait for the end of the greeting.
    pub to_end_of_message: bool,
    /// Told what was found.
    pub callback: String,
    pub timeout: Option<Duration>,
    pub speech_threshold: Option<Duration>,
    pub speech_end_threshold: Option<Duration>,
    pub silence_timeout: Option<Duration>,
}

/// What a live call does from now on.
#[derive(Clone, Debug)]
pub enum Update {
    Twiml(String),
    Url(String),
}

/// A call as Twilio knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallInfo {
    pub sid: String,
    /// `queued`, `ringing`, `in-progress`, `completed` ...
    pub status: String,
    pub from: String,
    pub to: String,
    /// In seconds since the Unix epoch.
    pub started_at: Option<i64>,
}

impl CallInfo {
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "busy" | "failed" | "no-answer" | "canceled")
    }
}

/// Which calls to list.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub from: Option<String>,
    pub to: Option<String>,
    pub status: Option<String>,
    /// In seconds since the Unix epoch.
    pub started_after: Option<i64>,
    pub started_before: Option<i64>,
}

/// A number of the account, and where its calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwilioNumber {
    pub sid: String,
    pub voice_url: Option<String>,
    pub voice_fallback_url: Option<String>,
    pub status_callback: Option<String>,
    /// With either of them Twilio does not ask `voice_url`.
    pub trunk_sid: Option<String>,
    pub voice_application_sid: Option<String>,
}

impl Twilio {
    /// # Errors
    ///
    /// When the address is none of an API.
    pub fn new(
        base_url: &str,
        account_sid: &str,
        user: &str,
        password: SecretString,
    ) -> Result<Self, CarrierError> {
        let api = Api::new(Carrier::Twilio, base_url)?;
        Ok(Self { api, account_sid: account_sid.into(), user: user.into(), password })
    }

    /// Places a call. Twilio knows no way to ask twice for one: see
    /// [`CarrierError::may_have_happened`].
    pub async fn create_call(&self, call: &CreateCall) -> Result<CallInfo, CarrierError> {
        let form = form_of(call)?;
        let request = with_form(self.request(Method::POST, &["Calls.json"], &[]), &form);
        call_of(&self.api.send("creating a call", request).await?)
    }

    /// A call, unless Twilio knows none of this id.
    pub async fn call(&self, sid: &str) -> Result<Option<CallInfo>, CarrierError> {
        let request = self.request(Method::GET, &["Calls", &format!("{sid}.json")], &[]);
        match self.api.send("looking for a call", request).await {
            Ok(call) => call_of(&call).map(Some),
            Err(error) if error.has_code(IS_OVER) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a live call other instructions; `false` when it is over.
    pub async fn update(&self, sid: &str, update: &Update) -> Result<bool, CarrierError> {
        let form = match update {
            Update::Twiml(twiml) => vec![("Twiml", fitting(twiml)?)],
            Update::Url(url) => vec![("Url", url.clone()), ("Method", "POST".into())],
        };
        self.change(sid, "changing a call", &form).await
    }

    /// Ends a call, whether it is answered or not; one that is over is a success.
    pub async fn hang_up(&self, sid: &str) -> Result<(), CarrierError> {
        let form = [("Status", "completed".to_owned())];
        self.change(sid, "hanging up", &form).await.map(drop)
    }

    /// Calls, newest first.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Vec<CallInfo>, CarrierError> {
        let page_size = PAGE.to_string();
        let text = |seconds: Option<i64>| {
            Timestamp::from_second(seconds?).ok().map(|time| time.to_string())
        };
        let (after, before) = (text(filter.started_after), text(filter.started_before));
        let given = [
            ("From", filter.from.as_deref()),
            ("To", filter.to.as_deref()),
            ("Status", filter.status.as_deref()),
            ("StartTime>", after.as_deref()),
            ("StartTime<", before.as_deref()),
            ("PageSize", Some(page_size.as_str())),
        ];
        let query: Vec<_> =
            given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let mut calls = Vec::new();
        for page in 0.. {
            let page = page.to_string();
            let query = [query.as_slice(), &[("Page", &page)]].concat();
            let request = self.request(Method::GET, &["Calls.json"], &query);
            let answer = self.api.send("listing calls", request).await?;
            let listed = answer["calls"].as_array().map_or(&[][..], Vec::as_slice);
            for call in listed {
                calls.push(call_of(call)?);
            }
            if answer["next_page_uri"].is_null() || listed.is_empty() || calls.len() >= LISTED_MAX {
                break;
            }
        }
        calls.truncate(LISTED_MAX);
        Ok(calls)
    }

    /// A number of the account, by its E.164.
    pub async fn number(&self, number: &str) -> Result<Option<TwilioNumber>, CarrierError> {
        let query = [("PhoneNumber", number)];
        let request = self.request(Method::GET, &["IncomingPhoneNumbers.json"], &query);
        let answer = self.api.send("looking for a number", request).await?;
        answer.pointer("/incoming_phone_numbers/0").map(number_of).transpose()
    }

    /// Sends the calls of a number to these addresses, and to no trunk or application.
    pub async fn configure_number(
        &self,
        sid: &str,
        voice_url: &str,
        fallback_url: Option<&str>,
        status_callback: &str,
    ) -> Result<TwilioNumber, CarrierError> {
        let form = [
            ("VoiceUrl", voice_url.to_owned()),
            ("VoiceMethod", "POST".into()),
            ("VoiceFallbackUrl", fallback_url.unwrap_or_default().into()),
            ("VoiceFallbackMethod", "POST".into()),
            ("StatusCallback", status_callback.into()),
            ("StatusCallbackMethod", "POST".into()),
            ("VoiceApplicationSid", String::new()),
            ("TrunkSid", String::new()),
        ];
        let path = ["IncomingPhoneNumbers", &format!("{sid}.json")];
        let request = with_form(self.request(Method::POST, &path, &[]), &form);
        number_of(&self.api.send("configuring a number", request).await?)
    }

    /// The id of a conference that is going on, by its name.
    pub async fn conference(&self, name: &str) -> Result<Option<String>, CarrierError> {
        let query = [("FriendlyName", name), ("Status", "in-progress")];
        let request = self.request(Method::GET, &["Conferences.json"], &query);
        let answer = self.api.send("looking for a conference", request).await?;
        Ok(answer.pointer("/conferences/0/sid").and_then(Value::as_str).map(str::to_owned))
    }

    /// Puts a party of a conference on hold, or back; `false` when it is gone. On hold it hears
    /// what `hold_url` gives, or Twilio's music.
    pub async fn hold(
        &self,
        conference: &str,
        call: &str,
        hold: bool,
        hold_url: Option<&str>,
    ) -> Result<bool, CarrierError> {
        let mut form = vec![("Hold", hold.to_string())];
        form.extend(hold_url.map(|url| ("HoldUrl", url.to_owned())));
        let path = ["Conferences", conference, "Participants", &format!("{call}.json")];
        let request = with_form(self.request(Method::POST, &path, &[]), &form);
        unless_over(self.api.send("holding a party of a conference", request).await)
    }

    /// Takes a party out of a conference; `false` when it is gone.
    pub async fn remove_from_conference(
        &self,
        conference: &str,
        call: &str,
    ) -> Result<bool, CarrierError> {
        let path = ["Conferences", conference, "Participants", &format!("{call}.json")];
        let request = self.request(Method::DELETE, &path, &[]);
        unless_over(self.api.send("removing a party from a conference", request).await)
    }

    async fn change(
        &self,
        sid: &str,
        what: &str,
        form: &[(&str, String)],
    ) -> Result<bool, CarrierError> {
        let path = ["Calls", &format!("{sid}.json")];
        let request = with_form(self.request(Method::POST, &path, &[]), form);
        unless_over(self.api.send(what, request).await)
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let path = [&["2010-04-01", "Accounts", &self.account_sid][..], path].concat();
        let request = self.api.request(method, &path, query);
        request.basic_auth(&self.user, Some(self.password.expose_secret()))
    }
}

/// Whether it was done; a call that is over is no error.
fn unless_over(answer: Result<Value, CarrierError>) -> Result<bool, CarrierError> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.has_code(IS_OVER) => Ok(false),
        Err(error) => Err(error),
    }
}

fn form_of(call: &CreateCall) -> Result<Vec<(&'static str, String)>, CarrierError> {
    let seconds = |time: Duration| time.as_secs().max(1).to_string();
    let millis = |time: Duration| time.as_millis().to_string();
    let mut form = vec![("To", call.to.clone()), ("From", call.from.clone())];
    match &call.instructions {
        Instructions::Twiml(twiml) => form.push(("Twiml", fitting(twiml)?)),
        Instructions::Url { url, fallback } => {
            form.extend([("Url", url.clone()), ("Method", "POST".into())]);
            if let Some(fallback) = fallback {
                form.extend([("FallbackUrl", fallback.clone()), ("FallbackMethod", "POST".into())]);
            }
        }
    }
    if let Some(callback) = &call.status_callback {
        form.push(("StatusCallback", callback.clone()));
        form.push(("StatusCallbackMethod", "POST".into()));
        for event in ["initiated", "ringing", "answered", "completed"] {
            form.push(("StatusCallbackEvent", event.into()));
        }
    }
    form.extend(call.timeout.map(|time| ("Timeout", seconds(time))));
    form.extend(call.time_limit.map(|time| ("TimeLimit", seconds(time))));
    form.extend(call.send_digits.clone().map(|digits| ("SendDigits", digits)));
    if call.record {
        form.push(("Record", "true".into()));
        form.extend(call.recording_channels.clone().map(|c| ("RecordingChannels", c)));
    }
    if let Some(detection) = &call.machine_detection {
        let mode = if detection.to_end_of_message { "DetectMessageEnd" } else { "Enable" };
        form.push(("MachineDetection", mode.into()));
        form.push(("AsyncAmd", "true".into()));
        form.push(("AsyncAmdStatusCallback", detection.callback.clone()));
        form.push(("AsyncAmdStatusCallbackMethod", "POST".into()));
        form.extend(detection.timeout.map(|time| ("MachineDetectionTimeout", seconds(time))));
        for (name, time) in [
            ("MachineDetectionSpeechThreshold", detection.speech_threshold),
            ("MachineDetectionSpeechEndThreshold", detection.speech_end_threshold),
            ("MachineDetectionSilenceTimeout", detection.silence_timeout),
        ] {
            form.extend(time.map(|time| (name, millis(time))));
        }
    }
    Ok(form)
}

fn fitting(twiml: &str) -> Result<String, CarrierError> {
    if twiml.chars().count() <= TWIML_CHARS_MAX {
        return Ok(twiml.to_owned());
    }
    let detail = format!(
        "TwiML is longer than the {TWIML_CHARS_MAX} characters that Twilio takes in a request: \
         give an address instead"
    );
    Err(CarrierError::refused(FailureClass::BadRequest, detail))
}

fn call_of(value: &Value) -> Result<CallInfo, CarrierError> {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let sid = text("sid");
    if sid.is_empty() {
        let detail = "Twilio answered with a call that has no sid";
        return Err(CarrierError {
            may_have_happened: true,
            ..CarrierError::refused(FailureClass::Protocol, detail)
        });
    }
    Ok(CallInfo {
        sid,
        status: text("status"),
        from: text("from"),
        to: text("to"),
        started_at: seconds_of(&value["start_time"]),
    })
}

fn number_of(value: &Value) -> Result<TwilioNumber, CarrierError> {
    let text = |name: &str| value[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let Some(sid) = text("sid") else {
        let detail = "Twilio answered with a number that has no sid";
        return Err(CarrierError::refused(FailureClass::Protocol, detail));
    };
    Ok(TwilioNumber {
        sid,
        voice_url: text("voice_url"),
        voice_fallback_url: text("voice_fallback_url"),
        status_callback: text("status_callback"),
        trunk_sid: text("trunk_sid"),
        voice_application_sid: text("voice_application_sid"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_asked_for_with_what_was_set_and_nothing_else() {
        let mut call = CreateCall {
            to: "+1".into(),
            from: "+2".into(),
            instructions: Instructions::Twiml("<Response/>".into()),
            ..CreateCall::default()
        };
        let bare = [("To", "+1"), ("From", "+2"), ("Twiml", "<Response/>")];
        let form = form_of(&call).unwrap();
        assert_eq!(form.iter().map(|(n, v)| (*n, v.as_str())).collect::<Vec<_>>(), bare);

        call.timeout = Some(Duration::from_secs(30));
        call.record = true;
        call.recording_channels = Some("dual".into());
        call.status_callback = Some("https://a.example/twilio/status".into());
        call.machine_detection = Some(MachineDetection {
            to_end_of_message: true,
            callback: "https://a.example/twilio/amd".into(),
            speech_threshold: Some(Duration::from_millis(2_400)),
            ..MachineDetection::default()
        });
        let form = form_of(&call).unwrap();
        let value = |wanted: &str| {
            let values = form.iter().filter(|(name, _)| *name == wanted).map(|(_, v)| v.as_str());
            values.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(value("Timeout"), "30");
        assert_eq!(value("RecordingChannels"), "dual");
        assert_eq!(value("StatusCallbackEvent"), "initiated ringing answered completed");
        assert_eq!(value("MachineDetection"), "DetectMessageEnd");
        assert_eq!(value("AsyncAmd"), "true");
        assert_eq!(value("MachineDetectionSpeechThreshold"), "2400");
        assert_eq!(value("MachineDetectionTimeout"), "");
    }

    #[test]
    fn instructions_that_twilio_cuts_off_are_refused() {
        let twiml = "x".repeat(4_001);
        let error = form_of(&CreateCall {
            instructions: Instructions::Twiml(twiml),
            ..CreateCall::default()
        });
        assert!(error.unwrap_err().detail.contains("4000"));
    }
}
