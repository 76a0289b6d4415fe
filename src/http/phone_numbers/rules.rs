//! What a phone number must be beyond the contract's shapes.

use offhook_transports::carrier::e164;
use serde_json::Value;

pub const PROVIDERS_EXPECTED: &str =
    "provider must be one of the following values: twilio, telnyx, vonage, byo-phone-number";

/// Refuses numbers that only Vapi's own service can sell.
pub fn refuse_provider(body: &Value) -> Result<(), String> {
    if body.get("provider").and_then(Value::as_str) != Some("vapi") {
        return Ok(());
    }
    Err("provider vapi is not supported: this server sells no numbers, bring one of twilio, \
         telnyx, vonage or a SIP trunk of yours (byo-phone-number)"
        .into())
}

/// One message for each thing that is wrong.
pub fn problems(document: &Value) -> Vec<String> {
    let text = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default();
    let provider = text("provider");
    let mut problems = Vec::new();
    let number = text("number");
    if provider == "byo-phone-number" {
        problems.extend(byo_problem(document, number));
    } else if let Err(problem) = e164(number) {
        problems.push(problem);
    }
    if provider == "twilio" {
        problems.extend(twilio_problems(document));
    }
    problems.extend(audio_problem(provider, document.get("audioFormat")));
    problems
}

/// A trunk may have numbers of its own kind, where the check is switched off, and none at all.
fn byo_problem(document: &Value, number: &str) -> Option<String> {
    let is_checked = document.get("numberE164CheckEnabled") != Some(&Value::Bool(false));
    if number.is_empty() {
        return None;
    }
    if is_checked {
        let hint = "; numberE164CheckEnabled: false allows others";
        return e164(number).err().map(|problem| format!("{problem}{hint}"));
    }
    let plain = number.strip_prefix('+').unwrap_or(number);
    let is_plain = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (!is_plain).then(|| "number must be letters and digits, with or without a + before".into())
}

fn twilio_problems(document: &Value) -> Vec<String> {
    let is_given = |field| document.get(field).is_some_and(|value| !value.is_null());
    let mut problems = Vec::new();
    if !is_given("twilioAccountSid") {
        problems.push("twilioAccountSid should not be null or undefined".into());
    }
    if is_given("twilioApiKey") != is_given("twilioApiSecret") {
        problems.push("twilioApiKey and twilioApiSecret must be given together".into());
    }
    problems
}

/// Audio that the carrier's media sockets have.
fn audio_problem(provider: &str, format: Option<&Value>) -> Option<String> {
    let format = format.filter(|format| !format.is_null())?;
    let rate = format.get("sampleRate").and_then(Value::as_f64).unwrap_or_default();
    let encoding = format.get("format").and_then(Value::as_str).unwrap_or_default();
    let (is_known, expected) = match provider {
        "telnyx" => (
            matches!((encoding, rate), ("mulaw", 8_000.0) | ("pcm_s16le", 8_000.0 | 16_000.0)),
            "mulaw at 8000, or pcm_s16le at 8000 or 16000",
        ),
        _ => (
            matches!((encoding, rate), ("pcm_s16le", 8_000.0 | 16_000.0 | 24_000.0)),
            "pcm_s16le at 8000, 16000 or 24000",
        ),
    };
    (!is_known).then(|| format!("audioFormat must be {expected}, which the carrier's media have"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_carrier_s_number_is_e164_and_a_trunk_s_need_not_be() {
        let problems_of = |document: Value| problems(&document);
        let bad = problems_of(json!({"provider": "telnyx", "number": "4155550100"}));
        assert!(bad[0].starts_with("number must be E.164"), "{bad:?}");
        let byo = |number: &str, check: bool| {
            problems(&json!({"provider": "byo-phone-number", "number": number,
                "numberE164CheckEnabled": check}))
        };
        assert!(byo("1234", true)[0].contains("numberE164CheckEnabled"));
        assert!(byo("1234", false).is_empty() && byo("+001abc", false).is_empty());
        assert!(!byo("12 34", false).is_empty());
        assert!(problems_of(json!({"provider": "byo-phone-number"})).is_empty());
    }

    #[test]
    fn keys_of_twilio_come_in_pairs() {
        let of = |more: Value| {
            let mut document = json!({"provider": "twilio", "number": "+14155550100"});
            document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            problems(&document)
        };
        assert_eq!(of(json!({})), ["twilioAccountSid should not be null or undefined"]);
        let half = of(json!({"twilioAccountSid": "AC1", "twilioApiKey": "k"}));
        assert_eq!(half, ["twilioApiKey and twilioApiSecret must be given together"]);
    }

    #[test]
    fn audio_is_what_the_carrier_s_media_have() {
        let of = |provider: &str, format: &str, rate: u32| {
            audio_problem(provider, Some(&json!({"format": format, "sampleRate": rate})))
        };
        assert_eq!(of("telnyx", "pcm_s16le", 16_000), None);
        assert_eq!(of("vonage", "pcm_s16le", 24_000), None);
        assert!(of("telnyx", "pcm_s16le", 24_000).unwrap().contains("16000"));
        assert!(of("vonage", "mulaw", 8_000).unwrap().contains("pcm_s16le"));
    }
}
