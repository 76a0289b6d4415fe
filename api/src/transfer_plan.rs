//! How a caller is sent on: the contract's `TransferPlan`.

use std::{borrow::Cow, time::Duration};

use serde_json::Value;

use crate::lenient::{self, text};

/// How long it rings where the plan does not say (`timeout`).
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// The longest that a plan's `timeout` is taken for: the model waits 310 s for its tool, and what is
/// said to the other party is part of that.
const TIMEOUT_MAX: Duration = Duration::from_secs(150);

/// How long a summary may take where the plan does not say (`summaryPlan.timeoutSeconds`).
const SUMMARY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
const SUMMARY_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Longest instructions that still fit into a request to Twilio, which takes 4,000 characters of them
/// and has to be told what follows.
const TWIML_CHARS_MAX: usize = 3_700;

/// Said to whoever takes the call where a summary was wanted and could not be made.
const NO_SUMMARY: &str = "Hello, I have a caller for you.";

/// What whoever takes the call hears of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Briefing {
    Nothing,
    Message(String),
    /// Made of the call; `otherwise` where that fails.
    Summary {
        plan: SummaryPlan,
        otherwise: String,
    },
    /// Instructions for Twilio.
    Twiml(String),
}

/// How a summary of the call is made.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryPlan {
    /// Role and content of what the model is asked; none: as the runtime does by itself.
    pub messages: Vec<(String, String)>,
    pub timeout: Duration,
}

/// What becomes of a caller whom nobody takes.
#[derive(Clone, Debug, PartialEq)]
pub struct FallbackPlan {
    pub message: String,
    pub ends_call: bool,
}

/// How a caller is sent on.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferPlan {
    /// The other party is called and spoken to first; false: the caller hears it ring.
    pub is_warm: bool,
    /// They are spoken to once they have spoken, and a machine does not get the caller.
    pub waits_for_speech: bool,
    pub briefing: Briefing,
    /// The summary goes along as a header of a SIP call.
    pub summary_in_header: bool,
    pub timeout: Duration,
    pub fallback: Option<FallbackPlan>,
    /// What the caller hears meanwhile; `None`: our own.
    pub hold_audio_url: Option<String>,
}

impl Default for TransferPlan {
    fn default() -> Self {
        Self {
            is_warm: false,
            waits_for_speech: false,
            briefing: Briefing::Nothing,
            summary_in_header: false,
            timeout: TIMEOUT_DEFAULT,
            fallback: None,
            hold_audio_url: None,
        }
    }
}

impl TransferPlan {
    /// Reads a plan; one that is not there is a blind transfer.
    pub fn read(plan: &Value) -> Self {
        let message = || said(plan.get("message")).unwrap_or_default();
        let summary = || {
            let given = lenient::get(plan, "summaryPlan").unwrap_or(&Value::Null);
            if given.get("enabled").and_then(Value::as_bool) == Some(false) {
                return spoken(message());
            }
            let otherwise = message();
            let otherwise = if otherwise.is_empty() { NO_SUMMARY.to_owned() } else { otherwise };
            Briefing::Summary { plan: SummaryPlan::read(given), otherwise }
        };
        let mode = text(plan, "mode").unwrap_or("blind-transfer");
        let (is_warm, waits_for_speech, briefing) = match mode {
            "warm-transfer-say-message" | "warm-transfer-with-message" => {
                (true, false, spoken(message()))
            }
            "warm-transfer-say-summary" | "warm-transfer-with-summary" => (true, false, summary()),
            "warm-transfer-twiml" | "warm-transfer-with-twiml" => {
                let twiml = text(plan, "twiml").map(|twiml| Briefing::Twiml(twiml.to_owned()));
                (true, false, twiml.unwrap_or(Briefing::Nothing))
            }
            "warm-transfer-wait-for-operator-to-speak-first-and-then-say-message" => {
                (true, true, spoken(message()))
            }
            "warm-transfer-wait-for-operator-to-speak-first-and-then-say-summary" => {
                (true, true, summary())
            }
            // Its summary counts before its message.
            "warm-transfer-experimental" if lenient::get(plan, "summaryPlan").is_some() => {
                (true, true, summary())
            }
            "warm-transfer-experimental" => (true, true, spoken(message())),
            "blind-transfer-add-summary-to-sip-header" => (false, false, summary()),
            _ => (false, false, Briefing::Nothing),
        };
        let seconds = |field: &str| plan.get(field).and_then(Value::as_f64).map(lenient::seconds);
        let timeout = match is_warm {
            true => seconds("timeout"),
            false => seconds("dialTimeout").or_else(|| seconds("timeout")),
        };
        Self {
            is_warm,
            waits_for_speech,
            summary_in_header: mode == "blind-transfer-add-summary-to-sip-header",
            briefing,
            timeout: timeout.unwrap_or(TIMEOUT_DEFAULT).clamp(Duration::from_secs(1), TIMEOUT_MAX),
            fallback: lenient::get(plan, "fallbackPlan").map(|fallback| FallbackPlan {
                message: said(fallback.get("message")).unwrap_or_default(),
                ends_call: fallback.get("endCallEnabled").and_then(Value::as_bool).unwrap_or(true),
            }),
            hold_audio_url: text(plan, "holdAudioUrl").map(str::to_owned),
        }
    }
}

impl SummaryPlan {
    fn read(plan: &Value) -> Self {
        let given = plan.get("messages").and_then(Value::as_array);
        let messages = given.map_or(&[][..], Vec::as_slice).iter().filter_map(|message| {
            let role = text(message, "role").unwrap_or("user");
            Some((role.to_owned(), text(message, "content")?.to_owned()))
        });
        let timeout = plan.get("timeoutSeconds").and_then(Value::as_f64).map(lenient::seconds);
        Self {
            messages: messages.collect(),
            timeout: timeout.unwrap_or(SUMMARY_TIMEOUT_DEFAULT).min(SUMMARY_TIMEOUT_MAX),
        }
    }
}

/// What transfers of a document ask for that no call can do, with the path of each.
pub fn refusals(document: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    look(document, &mut String::new(), &mut problems);
    problems
}

/// Objects within objects that are looked at, as deep as a document is read.
const DEPTH_MAX: usize = 64;

fn look(value: &Value, path: &mut String, problems: &mut Vec<String>) {
    if path.matches('.').count() > DEPTH_MAX {
        return;
    }
    if text(value, "type") == Some("transferCall")
        && let Some(destinations) = value.get("destinations").and_then(Value::as_array)
    {
        for (index, destination) in destinations.iter().enumerate() {
            let at = format!("{path}destinations.{index}");
            let found = refusals_of(destination);
            problems.extend(found.into_iter().map(|problem| format!("{at}.{problem}")));
        }
        return;
    }
    let children: Vec<(Cow<'_, str>, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, it)| (name.into(), it)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, it)| (at.to_string().into(), it)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, child) in children {
        let length = path.len();
        path.push_str(&name);
        path.push('.');
        look(child, path, problems);
        path.truncate(length);
    }
}

/// What one destination asks for that no call can do.
pub fn refusals_of(destination: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let kind = text(destination, "type").unwrap_or_default();
    if kind == "assistant" {
        problems.push(
            "type assistant is not supported by this version, expected one of: number, sip"
                .to_owned(),
        );
    }
    let Some(plan) = lenient::get(destination, "transferPlan") else { return problems };
    let mode = text(plan, "mode").unwrap_or_default();
    if mode == "blind-transfer-add-summary-to-sip-header" && kind == "number" {
        problems.push(format!(
            "transferPlan.mode {mode} needs a destination of type sip: a number takes no headers"
        ));
    }
    for field in ["transferAssistant", "contextEngineeringPlan", "transferCompleteAudioUrl"] {
        if lenient::get(plan, field).is_some() {
            problems.push(format!("transferPlan.{field} is not supported by this version"));
        }
    }
    if matches!(mode, "warm-transfer-twiml" | "warm-transfer-with-twiml") {
        match text(plan, "twiml") {
            None => problems.push(format!("transferPlan.twiml must be given with mode {mode}")),
            Some(twiml) if twiml.chars().count() > TWIML_CHARS_MAX => problems.push(format!(
                "transferPlan.twiml must be shorter than or equal to {TWIML_CHARS_MAX} characters"
            )),
            Some(_) => {}
        }
    }
    problems
}

/// A text, or the first one of a message; `None`: there is no message.
pub(crate) fn said(message: Option<&Value>) -> Option<String> {
    let message = message.filter(|message| !message.is_null())?;
    let contents = || {
        let contents = message.get("contents")?.as_array()?;
        contents.iter().find_map(|content| text(content, "text"))
    };
    let said = message.as_str().or_else(|| text(message, "content")).or_else(contents);
    Some(said.unwrap_or_default().to_owned())
}

fn spoken(message: String) -> Briefing {
    if message.trim().is_empty() { Briefing::Nothing } else { Briefing::Message(message) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(plan: Value) -> TransferPlan {
        TransferPlan::read(&plan)
    }

    #[test]
    fn a_plan_that_is_not_there_is_a_blind_transfer() {
        assert_eq!(plan(Value::Null), TransferPlan::default());
        assert_eq!(
            plan(json!({"mode": "blind-transfer", "message": "x"})),
            TransferPlan::default()
        );
    }

    #[test]
    fn each_mode_says_what_is_heard_and_when() {
        let message = || Briefing::Message("A caller".into());
        let read = |mode: &str| plan(json!({"mode": mode, "message": "A caller", "timeout": 20}));
        let say = read("warm-transfer-say-message");
        assert_eq!((say.is_warm, say.waits_for_speech, say.briefing), (true, false, message()));
        assert_eq!(say.timeout, Duration::from_secs(20));
        let wait = read("warm-transfer-wait-for-operator-to-speak-first-and-then-say-message");
        assert_eq!((wait.waits_for_speech, wait.briefing), (true, message()));
        let own = SummaryPlan { messages: Vec::new(), timeout: SUMMARY_TIMEOUT_DEFAULT };
        let summary = Briefing::Summary { plan: own, otherwise: "A caller".into() };
        assert_eq!(read("warm-transfer-say-summary").briefing, summary);
        assert_eq!(read("warm-transfer-experimental").briefing, message());
        let header = read("blind-transfer-add-summary-to-sip-header");
        assert!(header.summary_in_header && !header.is_warm);
        assert_eq!(read("warm-transfer-with-message").briefing, message());
    }

    #[test]
    fn a_summary_may_be_switched_off_and_asked_for_in_other_words() {
        let off =
            plan(json!({"mode": "warm-transfer-say-summary", "summaryPlan": {"enabled": false}}));
        assert_eq!(off.briefing, Briefing::Nothing);
        let own =
            plan(json!({"mode": "warm-transfer-experimental", "message": "m", "summaryPlan": {
            "timeoutSeconds": 2, "messages": [{"role": "system", "content": "Sum up"}]}}));
        let Briefing::Summary { plan, otherwise } = own.briefing else { panic!() };
        assert_eq!(plan.messages, [("system".to_owned(), "Sum up".to_owned())]);
        assert_eq!((plan.timeout, otherwise.as_str()), (Duration::from_secs(2), "m"));
    }

    #[test]
    fn a_fallback_ends_the_call_unless_it_says_otherwise() {
        let fallback = |more: Value| {
            let mut fallback = json!({"message": "Nobody is there."});
            fallback.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            plan(json!({"mode": "blind-transfer", "fallbackPlan": fallback})).fallback.unwrap()
        };
        assert!(fallback(json!({})).ends_call);
        assert!(!fallback(json!({"endCallEnabled": false})).ends_call);
    }

    #[test]
    fn waits_are_bounded_whatever_a_plan_says() {
        let long = plan(json!({"mode": "warm-transfer-say-message", "timeout": 600}));
        assert_eq!(long.timeout, TIMEOUT_MAX);
    }

    #[test]
    fn what_no_call_can_do_is_refused_by_its_path() {
        let tool = |destination: Value| {
            json!({"model": {"tools": [{"type": "endCall"},
                {"type": "transferCall", "destinations": [destination]}]}})
        };
        let number = |plan: Value| {
            tool(json!({"type": "number", "number": "+14155550100", "transferPlan": plan}))
        };
        for (document, problem) in [
            (tool(json!({"type": "assistant", "assistantName": "a"})), "type assistant is not"),
            (number(json!({"mode": "blind-transfer-add-summary-to-sip-header"})), "needs a dest"),
            (number(json!({"mode": "warm-transfer-twiml"})), "transferPlan.twiml must be given"),
            (
                number(json!({"mode": "warm-transfer-twiml", "twiml": "x".repeat(3_701)})),
                "transferPlan.twiml must be shorter",
            ),
            (
                number(json!({"mode": "warm-transfer-experimental", "transferAssistant": {}})),
                "transferPlan.transferAssistant is not supported",
            ),
        ] {
            let found = refusals(&document).join("; ");
            assert!(found.starts_with("model.tools.1.destinations.0."), "{found}");
            assert!(found.contains(problem), "{found}");
        }
        let whole = number(json!({"mode": "warm-transfer-say-message", "message": "m"}));
        assert_eq!(refusals(&whole), Vec::<String>::new());
    }
}
