//! Somebody who is to take a caller: called, spoken to, and connected with them.
//!
//! The caller's leg is left alone until the other party has heard what there is to say, so that
//! whatever goes wrong before leaves the caller where they were. Each attempt has a name of its own,
//! by which what is reported late of an older one is told from it.

use std::time::Duration;

use offhook_core::FailureClass;
use serde_json::json;

use super::{
    Addresses, Carrier, CarrierError, Client, Destination, NumberAddresses,
    client::{application_of, digits_of, with_ncco, with_twiml},
    client_state, telnyx, twilio, vonage,
};

/// How long somebody who answered waits for what comes next at most: what is said to them is being
/// made, or they are to speak first. It ends by itself, should we be gone.
const HELD_MAX: Duration = Duration::from_secs(180);

/// The voice that speaks for Telnyx, and its language.
const TELNYX_VOICE: (&str, &str) = ("female", "en-US");

/// What Telnyx knows the leg of an attempt by, before the call's id.
const OPERATOR_STATE: &str = "operator";

/// Somebody to call.
#[derive(Clone, Debug)]
pub struct CallOperator {
    pub to: Destination,
    /// Whom they see.
    pub from: String,
    pub ring: Duration,
    /// Whether machines are told from people.
    pub detects: bool,
    pub attempt: String,
}

/// What they hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words<'a> {
    Text(&'a str),
    /// Instructions of a user's own, for Twilio.
    Twiml(&'a str),
}

/// What Telnyx hands back with everything that it tells of an attempt's leg.
pub fn operator_state(call: &str, attempt: &str) -> String {
    client_state(&format!("{OPERATOR_STATE} {call} {attempt}"))
}

/// Reads [`operator_state`]: the call and the attempt.
pub fn attempt_of_state(state: &str) -> Option<(String, String)> {
    let state = super::call_of_client_state(state)?;
    let mut parts = state.split(' ');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(OPERATOR_STATE), Some(call), Some(attempt), None) => {
            Some((call.to_owned(), attempt.to_owned()))
        }
        _ => None,
    }
}

/// What Twilio does with whoever takes a caller: the two meet in a conference, which is over when
/// either leaves.
pub fn meeting_verbs(addresses: &Addresses, attempt: &str) -> Vec<twilio::Verb> {
    let room = twilio::Conference {
        end_on_exit: true,
        // Silence: it is a moment.
        wait_url: Some(String::new()),
        ..twilio::Conference::new(room(addresses, attempt))
    };
    let to = vec![twilio::Party::Conference(room)];
    vec![twilio::Verb::Dial(twilio::Dial { to, ..twilio::Dial::default() }), twilio::Verb::Hangup]
}

fn meeting(addresses: &Addresses, attempt: &str) -> vonage::Action {
    vonage::Action::Conversation {
        name: room(addresses, attempt),
        start_on_enter: true,
        end_on_exit: true,
        music_on_hold_url: None,
    }
}

fn room(addresses: &Addresses, attempt: &str) -> String {
    format!("{}-{attempt}", addresses.call())
}

impl Client {
    /// Calls somebody who is to take a caller, and returns the carrier's id of that call. They hear
    /// nothing until they are told something.
    pub async fn call_operator(
        &self,
        call: &CallOperator,
        addresses: &Addresses,
    ) -> Result<String, CarrierError> {
        let refused = |problem: String| CarrierError::refused(FailureClass::BadRequest, problem);
        let (to, extension) = match &call.to {
            Destination::Number { number, extension } => (number.clone(), extension.as_deref()),
            Destination::Sip { uri, headers } => match self.carrier() {
                Carrier::Twilio => (with_headers(uri, headers), None),
                Carrier::Telnyx | Carrier::Vonage if headers.is_empty() => (uri.clone(), None),
                Carrier::Telnyx | Carrier::Vonage => {
                    let problem = "sipHeaders are sent along by Twilio alone where the other \
                                   party is spoken to before the caller is put through";
                    return Err(CarrierError::refused(FailureClass::Unsupported, problem));
                }
            },
        };
        let digits = digits_of(extension)?;
        let told = addresses.operator(self.carrier(), &call.attempt);
        match self {
            Self::Twilio(client) => {
                let waiting = [twilio::Verb::Pause(HELD_MAX), twilio::Verb::Hangup];
                let waiting =
                    twilio::twiml(&waiting).map_err(|error| refused(error.to_string()))?;
                let create = twilio::CreateCall {
                    to,
                    from: call.from.clone(),
                    instructions: twilio::Instructions::Twiml(waiting),
                    status_callback: Some(told.clone()),
                    timeout: Some(call.ring),
                    send_digits: digits,
                    machine_detection: call.detects.then(|| twilio::MachineDetection {
                        callback: told,
                        ..twilio::MachineDetection::default()
                    }),
                    ..twilio::CreateCall::default()
                };
                Ok(client.create_call(&create).await?.sid)
            }
            Self::Telnyx { client, connection_id, events } => {
                let dial = telnyx::DialCall {
                    connection_id: application_of(connection_id)?,
                    to,
                    from: call.from.clone(),
                    command_id: call.attempt.clone(),
                    client_state: Some(operator_state(addresses.call(), &call.attempt)),
                    webhook_url: events.as_ref().map(NumberAddresses::telnyx_events),
                    timeout: Some(call.ring),
                    time_limit: None,
                    detection: call.detects.then_some(telnyx::Detection::Detect),
                    stream: None,
                };
                Ok(client.dial(&dial).await?.call_control_id)
            }
            Self::Vonage(client) => {
                let create = vonage::CreateVonageCall {
                    to,
                    from: call.from.clone(),
                    ncco: with_ncco(&[vonage::Action::Wait(HELD_MAX)])?,
                    event_url: Some(told),
                    dtmf_answer: digits.map(|digits| digits.replace(['w', 'W'], "p")),
                    ringing_timer: Some(call.ring),
                    length_timer: None,
                    machines: call.detects.then_some(vonage::MachineBehavior::Detect),
                };
                Ok(client.create_call(&create).await?.uuid)
            }
        }
    }

    /// Says something to whoever answered, and reports when they have heard it; `false` when they are
    /// gone, as with all of these. `command_id` is new for each deed.
    pub async fn brief_operator(
        &self,
        id: &str,
        command_id: &str,
        words: Words<'_>,
        addresses: &Addresses,
        attempt: &str,
    ) -> Result<bool, CarrierError> {
        let briefed = addresses.briefed(self.carrier(), attempt);
        match (self, words) {
            (Self::Twilio(client), Words::Text(text)) => {
                let say = twilio::Verb::Say(twilio::Say::new(text));
                client.update(id, &with_twiml(&[say, twilio::Verb::Redirect(briefed)])?).await
            }
            (Self::Twilio(client), Words::Twiml(own)) => {
                let own = twilio::Verb::Own(own.to_owned());
                client.update(id, &with_twiml(&[own, twilio::Verb::Redirect(briefed)])?).await
            }
            (Self::Telnyx { client, .. }, Words::Text(text)) => {
                client.speak(id, command_id, text, TELNYX_VOICE).await
            }
            (Self::Vonage(client), Words::Text(text)) => {
                let actions = [
                    vonage::Action::Talk { text: text.to_owned(), language: None },
                    vonage::Action::Notify { payload: json!({"briefed": attempt}), url: briefed },
                    meeting(addresses, attempt),
                ];
                client.transfer(id, &with_ncco(&actions)?).await
            }
            (Self::Telnyx { .. } | Self::Vonage(_), Words::Twiml(_)) => {
                let problem = "transferPlan.mode warm-transfer-twiml needs a number of Twilio's";
                Err(CarrierError::refused(FailureClass::Unsupported, problem))
            }
        }
    }

    /// Connects a caller with whoever answered. `is_waiting`: they wait for the caller already, since
    /// they were told to after what was said to them.
    pub async fn join(
        &self,
        caller: &str,
        operator: &str,
        command_id: &str,
        addresses: &Addresses,
        (attempt, is_waiting): (&str, bool),
    ) -> Result<bool, CarrierError> {
        match self {
            Self::Twilio(client) => {
                let meet = with_twiml(&meeting_verbs(addresses, attempt))?;
                if !is_waiting && !client.update(operator, &meet).await? {
                    return Ok(false);
                }
                client.update(caller, &meet).await
            }
            Self::Telnyx { client, .. } => {
                // Its audio would go to us as well; one that has no stream is none the worse.
                let _ = client.stop_stream(caller, &format!("stop-{command_id}")).await;
                client.bridge(caller, command_id, operator).await
            }
            Self::Vonage(client) => {
                let meet = with_ncco(&[meeting(addresses, attempt)])?;
                if !is_waiting && !client.transfer(operator, &meet).await? {
                    return Ok(false);
                }
                client.transfer(caller, &meet).await
            }
        }
    }

    /// Presses the extension of whoever answered, where the carrier did not when it called them.
    pub async fn press_extension(
        &self,
        id: &str,
        command_id: &str,
        to: &Destination,
    ) -> Result<(), CarrierError> {
        let Destination::Number { extension, .. } = to else { return Ok(()) };
        let Some(digits) = digits_of(extension.as_deref())? else { return Ok(()) };
        match self {
            Self::Telnyx { client, .. } => {
                client.send_dtmf(id, command_id, &digits).await.map(drop)
            }
            Self::Twilio(_) | Self::Vonage(_) => Ok(()),
        }
    }
}

/// A SIP address with headers in it (RFC 3261, section 19.1.1), as Twilio takes them.
pub(super) fn with_headers(uri: &str, headers: &[(String, String)]) -> String {
    if headers.is_empty() {
        return uri.to_owned();
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(headers);
    // Forms write a space as a plus, which a header would keep.
    let query = query.finish().replace('+', "%20");
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_known_by_what_telnyx_hands_back() {
        let state = operator_state("7", "a1");
        assert_eq!(attempt_of_state(&state), Some(("7".into(), "a1".into())));
        for other in [client_state("7"), client_state("operator 7"), "?".into()] {
            assert_eq!(attempt_of_state(&other), None, "{other}");
        }
    }

    #[test]
    fn headers_are_part_of_a_sip_address_at_twilio() {
        let headers = [("X-Transfer-Summary".to_owned(), "He & she: 50% off".to_owned())];
        assert_eq!(
            with_headers("sip:a@b.example", &headers),
            "sip:a@b.example?X-Transfer-Summary=He%20%26%20she%3A%2050%25%20off"
        );
        assert_eq!(with_headers("sip:a@b.example", &[]), "sip:a@b.example");
    }
}
