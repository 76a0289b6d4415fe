//! What a request for a call asks of carriers.

use std::time::Duration;

use axum::response::Response;
use offhook_api::PhoneNumberView;
use offhook_store::Kind;
use offhook_supervisors::numbers::{StoredNumber, carrier_account_of};
use offhook_transports::carrier::{Detection, e164, send_digits};
use serde_json::{Value, json};

use super::Known;
use crate::{
    auth::parse_id,
    http::{App, phone::signed, reply, resources},
};

/// A request for a call, read.
pub struct Wanted {
    /// Without secrets.
    pub request: Value,
    /// Who calls: the first that can.
    pub numbers: Vec<Known>,
    /// The number that the request brings, with its secrets.
    pub brought: Option<Value>,
    pub to: String,
    pub extension: Option<String>,
    pub ring: Option<Duration>,
    pub detection: Option<Detection>,
    pub record: bool,
    pub recording_channels: Option<String>,
    /// The stored assistant's document, where the request names one.
    pub assistant: Option<Value>,
}

/// Numbers that one call may be tried from.
const NUMBERS_MAX: usize = 10;

/// Secrets of a number that a request brings.
const SECRETS: [&str; 3] = ["twilioAuthToken", "twilioApiKey", "twilioApiSecret"];

/// Reads a request; every problem is named with its path.
pub async fn read(app: &App, org: &str, mut request: Value) -> Result<Wanted, Response> {
    if app.node.settings().server.public_url.is_none() {
        return Err(reply::bad_request(vec![
            "phone calls need server.public_url: set it to the address at which carriers reach this \
             server"
                .into(),
        ]));
    }
    let mut problems = Vec::new();
    let (to, extension) = customer(&request["customer"], &mut problems);
    let mut numbers = Vec::new();
    let mut brought = None;
    match (request["phoneNumberId"].as_str(), request["phoneNumber"].is_object()) {
        (Some(_), true) => problems
            .push("phoneNumber should not exist when phoneNumberId is given: give one".to_owned()),
        (Some(id), false) => {
            numbers.extend(stored(app, org, "phoneNumberId", id, &mut problems).await?);
        }
        (None, true) => {
            let number = request["phoneNumber"].clone();
            let own = of_request(app, org, &number).await;
            match own {
                Ok(known) => numbers.push(known),
                Err(problem) => problems.push(format!("phoneNumber: {problem}")),
            }
            brought = Some(number);
            if let Value::Object(fields) = &mut request["phoneNumber"] {
                SECRETS.iter().for_each(|secret| drop(fields.remove(*secret)));
            }
        }
        (None, false) => {
            problems.push("phoneNumberId or phoneNumber must be given: it is who calls".to_owned())
        }
    }
    let fallbacks = request["fallbackPhoneNumberIds"].as_array().cloned().unwrap_or_default();
    if fallbacks.len() >= NUMBERS_MAX {
        let most = NUMBERS_MAX - 1;
        problems.push(format!("fallbackPhoneNumberIds must contain no more than {most} elements"));
    }
    for (index, id) in fallbacks.iter().take(NUMBERS_MAX).enumerate() {
        let path = format!("fallbackPhoneNumberIds.{index}");
        let id = id.as_str().unwrap_or_default();
        numbers.extend(stored(app, org, &path, id, &mut problems).await?);
    }
    if !problems.is_empty() {
        return Err(reply::bad_request(problems));
    }
    let stored = match request["assistantId"].as_str() {
        Some(id) => resources::find(app, org, Kind::Assistant, id).await?,
        None => None,
    };
    let assistant = assistant(stored.as_ref(), &request);
    let plan = &assistant["transportConfigurations"][0];
    let ring = plan["timeout"].as_f64().map(Duration::from_secs_f64);
    Ok(Wanted {
        numbers,
        brought,
        to,
        extension,
        ring,
        detection: detection(&assistant["voicemailDetection"]),
        record: plan["record"].as_bool().unwrap_or(false),
        recording_channels: plan["recordingChannels"].as_str().map(str::to_owned),
        assistant: stored,
        request,
    })
}

/// Who is called.
fn customer(customer: &Value, problems: &mut Vec<String>) -> (String, Option<String>) {
    if !customer["sipUri"].is_null() {
        problems.push(
            "customer.sipUri is not supported by this version: give customer.number".to_owned(),
        );
    }
    let number = customer["number"].as_str().unwrap_or_default();
    let is_checked = customer["numberE164CheckEnabled"].as_bool().unwrap_or(true);
    if number.is_empty() {
        if customer["sipUri"].is_null() {
            problems.push("customer.number must be given: it is who is called".to_owned());
        }
    } else if is_checked && let Err(problem) = e164(number) {
        problems.push(format!("customer.{problem}"));
    }
    let extension = customer["extension"].as_str().map(str::to_owned);
    if let Some(Err(problem)) = extension.as_deref().map(send_digits) {
        problems.push(format!("customer.{problem}"));
    }
    (number.to_owned(), extension)
}

async fn stored(
    app: &App,
    org: &str,
    path: &str,
    id: &str,
    problems: &mut Vec<String>,
) -> Result<Option<Known>, Response> {
    let found = match parse_id(id) {
        Some(id) => StoredNumber::find(app.node.store(), [org], id).await.map_err(reply::store)?,
        None => None,
    };
    let Some(found) = found else {
        problems.push(format!("{path} {id} does not name a phone number"));
        return Ok(None);
    };
    let carriers = &app.node.settings().carriers;
    let vault = app.node.vault();
    let account = offhook_supervisors::numbers::carrier_account(vault, carriers, &found).await;
    if let Err(error) = account {
        problems.push(format!("{path}: {error}"));
        return Ok(None);
    }
    signed::of_stored(app, found).await.map(Some)
}

async fn of_request(app: &App, org: &str, document: &Value) -> Result<Known, String> {
    let carriers = &app.node.settings().carriers;
    let account = carrier_account_of(app.node.vault(), carriers, org, document).await;
    let account = account.map_err(|error| error.to_string())?;
    let view = PhoneNumberView::read(document).ok_or("it cannot be read")?;
    let mut public = document.clone();
    if let Value::Object(fields) = &mut public {
        SECRETS.iter().for_each(|secret| drop(fields.remove(*secret)));
    }
    let server = view.server.clone();
    Ok(Known { org: org.to_owned(), id: None, view, server, account, document: public })
}

/// The assistant's fields that a carrier is asked with: those of the overrides before its own.
fn assistant(stored: Option<&Value>, request: &Value) -> Value {
    let own = match request["assistantId"].is_string() {
        true => stored.unwrap_or(&Value::Null),
        false => &request["assistant"],
    };
    let overrides = &request["assistantOverrides"];
    let pick = |field: &str| {
        let given = Some(&overrides[field]).filter(|value| !value.is_null());
        given.unwrap_or(&own[field]).clone()
    };
    json!({
        "transportConfigurations": pick("transportConfigurations"),
        "voicemailDetection": pick("voicemailDetection"),
    })
}

/// How the carrier is to tell machines from people (`voicemailDetection` with provider `twilio`,
/// whichever carrier the number is of).
fn detection(plan: &Value) -> Option<Detection> {
    if plan["provider"] != "twilio" || plan["enabled"] == false {
        return None;
    }
    let time =
        |name: &str, unit: f64| plan[name].as_f64().map(|it| Duration::from_secs_f64(it * unit));
    let types = plan["voicemailDetectionTypes"].as_array();
    // By the contract's default machines are told of when they have greeted.
    let at_once = types.is_some_and(|types| types.iter().any(|it| it == "machine_start"));
    Some(Detection {
        to_end_of_message: !at_once,
        timeout: time("machineDetectionTimeout", 1.0),
        speech_threshold: time("machineDetectionSpeechThreshold", 0.001),
        speech_end_threshold: time("machineDetectionSpeechEndThreshold", 0.001),
        silence_timeout: time("machineDetectionSilenceTimeout", 0.001),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(document: Value) -> Vec<String> {
        let mut problems = Vec::new();
        customer(&document, &mut problems);
        problems
    }

    #[test]
    fn a_customer_has_a_number_that_can_be_dialled() {
        assert!(problems(json!({"number": "+14155550100", "extension": "12"})).is_empty());
        assert!(problems(json!({"number": "100", "numberE164CheckEnabled": false})).is_empty());
        let one = |document| problems(document).remove(0);
        assert!(one(json!({"number": "4155550100"})).contains("customer.number must be E.164"));
        assert!(one(json!({})).contains("customer.number must be given"));
        assert!(one(json!({"sipUri": "sip:a@b"})).contains("customer.sipUri is not supported"));
        assert!(one(json!({"number": "+14155550100", "extension": "x"})).contains("extension"));
    }
}
