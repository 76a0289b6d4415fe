//! One way to ask for what each carrier calls otherwise.

use std::time::Duration;

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use serde_json::Value;

use super::{
    Addresses, Carrier, CarrierError, Ending, NumberAddresses, Step, operator, send_digits, telnyx,
    twilio, vonage,
};

/// An account at a carrier, with what a call of ours needs there.
#[derive(Clone)]
pub enum Client {
    Twilio(twilio::Twilio),
    Telnyx {
        client: telnyx::Telnyx,
        /// The application that places calls; `None`: this account takes calls alone.
        connection_id: Option<String>,
        /// The address that the application is told to report to.
        events: Option<NumberAddresses>,
    },
    Vonage(vonage::Vonage),
}

/// How a call's audio is connected with us.
#[derive(Clone)]
pub struct Media {
    pub addresses: Addresses,
    /// Good for one socket.
    pub token: String,
    pub format: AudioFormat,
}

/// A call to place.
#[derive(Clone)]
pub struct Place {
    /// The number of ours that calls, and the one that is called; E.164.
    pub from: String,
    pub to: String,
    /// How long it rings.
    pub ring: Duration,
    /// How long it lasts at most.
    pub time_limit: Duration,
    /// Dialled once the call is answered.
    pub extension: Option<String>,
    /// How the carrier is to tell machines from people; `None`: it is not.
    pub detection: Option<Detection>,
    pub record: bool,
    /// `mono` or `dual`, where the carrier records.
    pub recording_channels: Option<String>,
}

/// How machines are told from people; what is `None` is the carrier's default, and what a carrier has
/// no word for is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detection {
    /// Machines are told of when they have greeted.
    pub to_end_of_message: bool,
    pub timeout: Option<Duration>,
    pub speech_threshold: Option<Duration>,
    pub speech_end_threshold: Option<Duration>,
    pub silence_timeout: Option<Duration>,
}

/// Where a caller is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    Number {
        number: String,
        extension: Option<String>,
    },
    Sip {
        uri: String,
        /// Sent along, by name.
        headers: Vec<(String, String)>,
    },
}

/// How a caller is sent elsewhere by the carrier.
#[derive(Clone, Debug)]
pub struct Sending<'a> {
    pub to: &'a Destination,
    pub caller_id: Option<&'a str>,
    pub ring: Duration,
    /// The name of this attempt, where somebody wants to know what becomes of it.
    pub attempt: Option<(&'a Addresses, &'a str)>,
}

/// Names of what a media socket is handed back.
pub const CALL_PARAMETER: &str = "callId";
pub const TOKEN_PARAMETER: &str = "token";

/// What Telnyx knows a call of ours by in its webhooks, base64.
pub fn client_state(call: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(call)
}

/// Reads [`client_state`].
pub fn call_of_client_state(state: &str) -> Option<String> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    String::from_utf8(BASE64_STANDARD.decode(state).ok()?).ok()
}

impl Media {
    fn parameters(&self) -> Vec<(String, String)> {
        vec![
            (CALL_PARAMETER.into(), self.addresses.call().to_owned()),
            (TOKEN_PARAMETER.into(), self.token.clone()),
        ]
    }

    /// What Twilio does: the audio, and when that is over, another question to us.
    pub fn verbs(&self) -> Vec<twilio::Verb> {
        let resume = self.addresses.resume(Carrier::Twilio);
        let stream = twilio::Stream {
            url: self.addresses.media(Carrier::Twilio, None),
            action: Some(resume.clone()),
            status_callback: None,
            parameters: self.parameters(),
        };
        // Should `action` not be asked, the next instruction asks.
        vec![twilio::Verb::Connect(stream), twilio::Verb::Redirect(resume)]
    }

    /// What Telnyx is told with its commands.
    pub fn stream(&self) -> telnyx::TelnyxStream {
        let is_linear = self.format != AudioFormat::mulaw();
        let rate = is_linear.then_some(self.format.sample_rate_hz);
        telnyx::TelnyxStream {
            url: self.addresses.media(Carrier::Telnyx, rate),
            format: self.format,
            parameters: self.parameters(),
        }
    }

    /// What Vonage does: the audio. When that is over, it asks with an event.
    pub fn actions(&self, from: Option<String>) -> Vec<vonage::Action> {
        let rate = self.format.sample_rate_hz;
        vec![vonage::Action::Connect {
            endpoint: vonage::Endpoint::Websocket {
                uri: self.addresses.media(Carrier::Vonage, Some(rate)),
                sample_rate_hz: rate,
                headers: self.parameters(),
            },
            from,
            timeout: None,
            event_url: Some(self.addresses.resume(Carrier::Vonage)),
            is_synchronous: true,
        }]
    }
}

impl Client {
    pub fn carrier(&self) -> Carrier {
        match self {
            Self::Twilio(_) => Carrier::Twilio,
            Self::Telnyx { .. } => Carrier::Telnyx,
            Self::Vonage(_) => Carrier::Vonage,
        }
    }

    /// Places a call, and returns the carrier's id of it. `media` is for carriers that want to know
    /// it beforehand.
    pub async fn place(&self, call: &Place, media: &Media) -> Result<String, CarrierError> {
        let refused = |problem: String| CarrierError::refused(FailureClass::BadRequest, problem);
        let addresses = &media.addresses;
        let digits = call.extension.as_deref().map(send_digits).transpose().map_err(refused)?;
        match self {
            Self::Twilio(client) => {
                let create = twilio::CreateCall {
                    to: call.to.clone(),
                    from: call.from.clone(),
                    instructions: twilio::Instructions::Url {
                        url: addresses.answer(Carrier::Twilio),
                        fallback: Some(addresses.resume(Carrier::Twilio)),
                    },
                    status_callback: Some(addresses.progress(Carrier::Twilio)),
                    timeout: Some(call.ring),
                    time_limit: Some(call.time_limit),
                    send_digits: digits,
                    record: call.record,
                    recording_channels: call.recording_channels.clone(),
                    machine_detection: call.detection.as_ref().map(|plan| {
                        twilio::MachineDetection {
                            callback: addresses.machine(Carrier::Twilio),
                            to_end_of_message: plan.to_end_of_message,
                            timeout: plan.timeout,
                            speech_threshold: plan.speech_threshold,
                            speech_end_threshold: plan.speech_end_threshold,
                            silence_timeout: plan.silence_timeout,
                        }
                    }),
                };
                Ok(client.create_call(&create).await?.sid)
            }
            Self::Telnyx { client, connection_id, events } => {
                let dial = telnyx::DialCall {
                    connection_id: application_of(connection_id)?,
                    to: call.to.clone(),
                    from: call.from.clone(),
                    command_id: addresses.call().to_owned(),
                    client_state: Some(client_state(addresses.call())),
                    webhook_url: events.as_ref().map(NumberAddresses::telnyx_events),
                    timeout: Some(call.ring),
                    time_limit: Some(call.time_limit),
                    detection: call.detection.as_ref().map(|_| telnyx::Detection::DetectBeep),
                    stream: None,
                };
                Ok(client.dial(&dial).await?.call_control_id)
            }
            Self::Vonage(client) => {
                let ncco = vonage::ncco(&media.actions(Some(call.from.clone())))
                    .map_err(|error| refused(error.to_string()))?;
                let create = vonage::CreateVonageCall {
                    to: call.to.clone(),
                    from: call.from.clone(),
                    ncco,
                    event_url: Some(addresses.progress(Carrier::Vonage)),
                    // Its pause is a `p`.
                    dtmf_answer: digits.map(|digits| digits.replace(['w', 'W'], "p")),
                    ringing_timer: Some(call.ring),
                    length_timer: Some(call.time_limit),
                    machines: call.detection.as_ref().map(|_| vonage::MachineBehavior::DetectBeep),
                };
                Ok(client.create_call(&create).await?.uuid)
            }
        }
    }

    /// How far a call has come; `None`: the carrier knows none of this id.
    pub async fn step(&self, id: &str) -> Result<Option<Step>, CarrierError> {
        Ok(match self {
            Self::Twilio(client) => client.call(id).await?.and_then(|call| {
                let form = [("CallStatus".to_owned(), call.status)];
                twilio::step_of(&twilio::Form(&form))
            }),
            // It does not tell a call that rings from one that was answered.
            Self::Telnyx { client, .. } => client.call(id).await?.map(|call| match call.is_alive {
                true => Step::Dialling,
                false => Step::Ended(Ending::Completed),
            }),
            Self::Vonage(client) => client.call(id).await?.map(|call| match call.status.as_str() {
                "ringing" => Step::Ringing,
                "answered" | "machine" | "human" => Step::Answered,
                "busy" => Step::Ended(Ending::Busy),
                "rejected" => Step::Ended(Ending::Rejected),
                "unanswered" | "timeout" => Step::Ended(Ending::NoAnswer),
                "failed" => Step::Ended(Ending::Failed),
                _ if call.is_over() => Step::Ended(Ending::Completed),
                _ => Step::Dialling,
            }),
        })
    }

    /// Ends a call; one that is over is a success. `command_id` is new for each deed, as with all of
    /// these.
    pub async fn hang_up(&self, id: &str, command_id: &str) -> Result<(), CarrierError> {
        match self {
            Self::Twilio(client) => client.hang_up(id).await,
            Self::Telnyx { client, .. } => client.hang_up(id, command_id).await,
            Self::Vonage(client) => client.hang_up(id).await,
        }
    }

    /// Connects the audio of a call that is up with us; `false` when it is over.
    pub async fn connect(
        &self,
        id: &str,
        command_id: &str,
        media: &Media,
    ) -> Result<bool, CarrierError> {
        match self {
            Self::Twilio(client) => client.update(id, &with_twiml(&media.verbs())?).await,
            Self::Telnyx { client, .. } => {
                match client.start_stream(id, command_id, &media.stream()).await {
                    // It has one stream that it does not know to be dead.
                    Err(error) if error.class == FailureClass::BadRequest => {
                        client.stop_stream(id, &format!("stop-{command_id}")).await?;
                        client
                            .start_stream(id, &format!("again-{command_id}"), &media.stream())
                            .await
                    }
                    started => started,
                }
            }
            Self::Vonage(client) => client.transfer(id, &with_ncco(&media.actions(None))?).await,
        }
    }

    /// Presses keys; `w` is a pause of half a second. Twilio can only do so between two streams:
    /// the audio is connected again afterwards.
    pub async fn press(
        &self,
        id: &str,
        command_id: &str,
        keys: &str,
        media: &Media,
    ) -> Result<bool, CarrierError> {
        match self {
            Self::Twilio(client) => {
                let verbs = [vec![twilio::Verb::SendDigits(keys.to_owned())], media.verbs()];
                client.update(id, &with_twiml(&verbs.concat())?).await
            }
            Self::Telnyx { client, .. } => client.send_dtmf(id, command_id, keys).await,
            Self::Vonage(client) => client.send_dtmf(id, &keys.replace(['w', 'W'], "p")).await,
        }
    }

    /// Sends the caller elsewhere; `false` when the call is over.
    pub async fn transfer(
        &self,
        id: &str,
        command_id: &str,
        sending: &Sending<'_>,
    ) -> Result<bool, CarrierError> {
        match self {
            Self::Twilio(client) => client.update(id, &with_twiml(&dial_verbs(sending)?)?).await,
            Self::Telnyx { client, .. } => {
                let digits = match sending.to {
                    Destination::Number { extension, .. } => digits_of(extension.as_deref())?,
                    Destination::Sip { .. } => None,
                };
                let transfer = match sending.to {
                    Destination::Number { number, .. } => {
                        telnyx::Transfer { to: number, ..telnyx::Transfer::default() }
                    }
                    Destination::Sip { uri, headers } => {
                        telnyx::Transfer { to: uri, headers, ..telnyx::Transfer::default() }
                    }
                };
                let state = sending.attempt.map(|(addresses, attempt)| {
                    operator::operator_state(addresses.call(), attempt)
                });
                let transfer = telnyx::Transfer {
                    from: sending.caller_id,
                    timeout: Some(sending.ring),
                    target_state: state.as_deref(),
                    digits: digits.as_deref(),
                    ..transfer
                };
                client.transfer(id, command_id, &transfer).await
            }
            Self::Vonage(client) => client.transfer(id, &with_ncco(&dial_actions(sending)?)?).await,
        }
    }
}

/// What Twilio does with a caller who is sent elsewhere.
pub fn dial_verbs(sending: &Sending<'_>) -> Result<Vec<twilio::Verb>, CarrierError> {
    let told =
        |(addresses, attempt): (&Addresses, &str)| addresses.operator(Carrier::Twilio, attempt);
    let told = sending.attempt.map(told);
    let party = match sending.to {
        Destination::Number { number, extension } => twilio::Party::Number {
            number: number.clone(),
            send_digits: digits_of(extension.as_deref())?,
            url: None,
            status_callback: told,
        },
        Destination::Sip { uri, headers } => {
            twilio::Party::Sip { uri: operator::with_headers(uri, headers), status_callback: told }
        }
    };
    let asked = |(addresses, attempt): (&Addresses, &str)| addresses.sent(Carrier::Twilio, attempt);
    let dial = twilio::Dial {
        to: vec![party],
        caller_id: sending.caller_id.map(str::to_owned),
        timeout: Some(sending.ring),
        action: sending.attempt.map(asked),
        ..twilio::Dial::default()
    };
    Ok(vec![twilio::Verb::Dial(dial), twilio::Verb::Hangup])
}

/// The same for Vonage.
pub fn dial_actions(sending: &Sending<'_>) -> Result<Vec<vonage::Action>, CarrierError> {
    let endpoint = match sending.to {
        Destination::Number { number, extension } => vonage::Endpoint::Phone {
            number: number.clone(),
            dtmf_answer: digits_of(extension.as_deref())?
                .map(|digits| digits.replace(['w', 'W'], "p")),
        },
        Destination::Sip { uri, headers } => {
            vonage::Endpoint::Sip { uri: uri.clone(), headers: headers.clone() }
        }
    };
    let asked = |(addresses, attempt): (&Addresses, &str)| addresses.sent(Carrier::Vonage, attempt);
    let event_url = sending.attempt.map(asked);
    Ok(vec![vonage::Action::Connect {
        endpoint,
        from: sending.caller_id.map(str::to_owned),
        timeout: Some(sending.ring),
        is_synchronous: event_url.is_some(),
        event_url,
    }])
}

/// The application of Telnyx's that places calls.
pub(super) fn application_of(connection_id: &Option<String>) -> Result<String, CarrierError> {
    connection_id.clone().ok_or_else(|| {
        let problem = "no application of Telnyx places calls: give the credential applicationId, or \
                       set carriers.telnyx.application_id";
        CarrierError::refused(FailureClass::BadRequest, problem)
    })
}

pub(super) fn digits_of(extension: Option<&str>) -> Result<Option<String>, CarrierError> {
    let refused = |problem| CarrierError::refused(FailureClass::BadRequest, problem);
    extension.map(send_digits).transpose().map_err(refused)
}

pub(super) fn with_twiml(verbs: &[twilio::Verb]) -> Result<twilio::Update, CarrierError> {
    let unfit = |error: twilio::TwimlError| {
        CarrierError::refused(FailureClass::BadRequest, error.to_string())
    };
    twilio::twiml(verbs).map(twilio::Update::Twiml).map_err(unfit)
}

pub(super) fn with_ncco(actions: &[vonage::Action]) -> Result<Value, CarrierError> {
    let unfit = |error: vonage::NccoError| {
        CarrierError::refused(FailureClass::BadRequest, error.to_string())
    };
    vonage::ncco(actions).map_err(unfit)
}
