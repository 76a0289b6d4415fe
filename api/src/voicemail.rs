//! `voicemailDetection` as the conversation reads it.

use std::time::Duration;

use offhook_core::{VoicemailPlan, VoicemailQuestions};
use serde_json::Value;

use crate::{
    lenient::{self, text},
    plans::time,
};

/// How often words are judged by the contract's default plan, after how long, and how many times.
const FREQUENCY: Duration = Duration::from_secs(5);
const START_AT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 6;

/// Age of the call at which the beep is waited for no longer.
const BEEP_DUE: Duration = Duration::from_secs(30);

/// Whether a voicemail is listened for; absent or `off`: it is not.
pub(crate) fn read(document: &Value) -> Option<VoicemailPlan> {
    let plan = lenient::get(document, "voicemailDetection").filter(|plan| plan.is_object())?;
    if plan["enabled"].as_bool() == Some(false) {
        return None;
    }
    let backoff = lenient::get(plan, "backoffPlan");
    let number = |name| lenient::get(backoff?, name)?.as_f64();
    let start_at = time(number("startAtSeconds"), START_AT);
    let frequency = time(number("frequencySeconds"), FREQUENCY);
    let attempts = number("maxRetries").map_or(ATTEMPTS, lenient::count);
    Some(VoicemailPlan {
        // Rules cost nothing: without a plan they need not wait.
        start_at: if backoff.is_some() { start_at } else { Duration::ZERO },
        until: start_at.saturating_add(frequency.saturating_mul(attempts)),
        beep_due: time(plan["beepMaxAwaitSeconds"].as_f64(), BEEP_DUE),
        message: message(document).filter(|message| !is_audio(message)).map(str::to_owned),
        recording: message(document).filter(|message| is_audio(message)).map(str::to_owned),
        questions: is_of_model(provider(document)).then_some(VoicemailQuestions {
            start_at,
            every: frequency,
            attempts,
        }),
    })
}

/// What the plan asks for and this runtime does in another way.
pub(crate) fn notes(document: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    if read(document).is_none() {
        return notes;
    }
    let provider = provider(document);
    if is_of_model(provider) {
        notes.push(format!(
            "voicemailDetection: the call's own model is asked in place of {provider}, about the \
             transcript and not the audio"
        ));
    } else if provider == "twilio" {
        notes.push(
            "voicemailDetection: the carrier of an outbound phone call is asked; elsewhere a \
             voicemail is known by its words and its beep"
                .to_owned(),
        );
    } else if provider != "vapi" {
        notes.push(format!(
            "voicemailDetection: {provider} is not asked; a voicemail is known by its words and its \
             beep, as with `vapi`"
        ));
    }
    notes
}

fn provider(document: &Value) -> &str {
    text(&document["voicemailDetection"], "provider").unwrap_or_default()
}

/// Whether a plan's provider is a model that is asked.
fn is_of_model(provider: &str) -> bool {
    matches!(provider, "openai" | "google")
}

fn message(document: &Value) -> Option<&str> {
    text(document, "voicemailMessage").filter(|message| !message.trim().is_empty())
}

/// A message may be a recording's address.
fn is_audio(message: &str) -> bool {
    let message = message.trim().to_ascii_lowercase();
    message.starts_with("http") && !message.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_read_with_the_contracts_defaults() {
        let plan = read(&json!({"voicemailDetection": {"provider": "vapi"}}));
        let secs = Duration::from_secs;
        let want = VoicemailPlan {
            start_at: Duration::ZERO,
            until: secs(35),
            beep_due: secs(30),
            message: None,
            recording: None,
            questions: None,
        };
        assert_eq!(plan, Some(want));
    }

    #[test]
    fn a_plan_says_when_words_are_judged() {
        let plan = read(&json!({
            "voicemailDetection": {"provider": "vapi", "beepMaxAwaitSeconds": 12, "backoffPlan":
                {"startAtSeconds": 2, "frequencySeconds": 2.5, "maxRetries": 4}},
            "voicemailMessage": "Please call back.",
        }));
        let secs = Duration::from_secs;
        let message = Some("Please call back.".into());
        let want = VoicemailPlan {
            start_at: secs(2),
            until: secs(12),
            beep_due: secs(12),
            message,
            recording: None,
            questions: None,
        };
        assert_eq!(plan, Some(want));
    }

    #[test]
    fn a_model_is_asked_as_its_plan_says() {
        let questions = |detection: Value| {
            read(&json!({"voicemailDetection": detection})).and_then(|plan| plan.questions)
        };
        let secs = Duration::from_secs;
        let plan = json!({"startAtSeconds": 2, "frequencySeconds": 3, "maxRetries": 4});
        for provider in ["openai", "google"] {
            let asked = json!({"provider": provider, "type": "transcript", "backoffPlan": plan});
            let want = VoicemailQuestions { start_at: secs(2), every: secs(3), attempts: 4 };
            assert_eq!(questions(asked), Some(want));
            let want = VoicemailQuestions { start_at: secs(5), every: secs(5), attempts: 6 };
            assert_eq!(questions(json!({"provider": provider})), Some(want));
        }
        for provider in ["vapi", "twilio"] {
            assert_eq!(questions(json!({"provider": provider, "backoffPlan": plan})), None);
        }
    }

    #[test]
    fn a_message_that_is_an_address_is_a_recording() {
        let plan = |message: &str| {
            let detection = json!({"provider": "vapi"});
            read(&json!({"voicemailDetection": detection, "voicemailMessage": message})).unwrap()
        };
        let url = "https://example.com/message.wav";
        assert_eq!((plan(url).message, plan(url).recording), (None, Some(url.into())));
        let text = "See https://example.com please.";
        assert_eq!((plan(text).message, plan(text).recording), (Some(text.into()), None));
    }

    #[test]
    fn nothing_is_listened_for_unless_it_is_asked_for() {
        assert_eq!(read(&json!({"voicemailMessage": "Please call back."})), None);
        assert_eq!(read(&json!({"voicemailDetection": "off"})), None);
        let off = json!({"voicemailDetection": {"provider": "twilio", "enabled": false}});
        assert_eq!(read(&off), None);
        assert!(notes(&off).is_empty());
    }

    #[test]
    fn what_is_done_in_another_way_is_noted() {
        let notes = notes(&json!({
            "voicemailDetection": {"provider": "google"},
            "voicemailMessage": "https://example.com/message.wav",
        }));
        assert!(notes[0].contains("own model is asked in place of google"), "{notes:?}");
        assert_eq!(notes.len(), 1);
    }
}
