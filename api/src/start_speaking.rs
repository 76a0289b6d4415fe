//! `startSpeakingPlan` as the conversation reads it.

use offhook_core::{
    EndpointingRule, PatternOptions, StartSpeaking, TextPattern, TurnJudge, WaitFunction,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{lenient, plans::time, server::ServerTarget};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartSpeakingFields {
    wait_seconds: Option<f64>,
    transcription_endpointing_plan: Option<EndpointingFields>,
    smart_endpointing_enabled: Option<Value>,
    smart_endpointing_plan: Option<SmartFields>,
    custom_endpointing_rules: Option<Vec<RuleFields>>,
    speculation_enabled: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndpointingFields {
    on_punctuation_seconds: Option<f64>,
    on_no_punctuation_seconds: Option<f64>,
    on_number_seconds: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SmartFields {
    provider: Option<String>,
    wait_function: Option<String>,
    server: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleFields {
    r#type: Option<String>,
    regex: Option<String>,
    regex_options: Option<Vec<OptionFields>>,
    assistant_regex: Option<String>,
    assistant_regex_options: Option<Vec<OptionFields>>,
    customer_regex: Option<String>,
    customer_regex_options: Option<Vec<OptionFields>>,
    timeout_seconds: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct OptionFields {
    r#type: String,
    enabled: Option<bool>,
}

/// Whose judgement of ends of turns a document asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    /// Nobody's: the transcriber's own where it has one, and else the contract's default.
    Nobody,
    Vapi,
    Livekit,
    Server,
    /// A vendor's own model, which nobody but the vendor has.
    Krisp,
}

impl StartSpeakingFields {
    /// `language` is the transcriber's, as a BCP 47 tag.
    pub fn read(&self, language: &str) -> StartSpeaking {
        let default = StartSpeaking::default();
        let endpointing = self.transcription_endpointing_plan.clone().unwrap_or_default();
        let chosen = self.chosen();
        StartSpeaking {
            wait: time(self.wait_seconds, default.wait),
            on_punctuation: time(endpointing.on_punctuation_seconds, default.on_punctuation),
            on_no_punctuation: time(
                endpointing.on_no_punctuation_seconds,
                default.on_no_punctuation,
            ),
            on_number: time(endpointing.on_number_seconds, default.on_number),
            rules: self.custom_endpointing_rules.iter().flatten().filter_map(rule).collect(),
            judge: self.judge(chosen, is_english(language)),
            native_end_of_turn: chosen == Chosen::Nobody,
            language: language.to_owned(),
            speculation: self.speculation_enabled.unwrap_or(true),
        }
    }

    /// Where the plan's server is asked; `None`: at the assistant's.
    pub fn server(&self) -> Option<ServerTarget> {
        self.smart_endpointing_plan.as_ref()?.server.as_ref().and_then(ServerTarget::read)
    }

    /// What the plan asks for and this runtime does in another way.
    pub fn notes(&self, language: &str) -> Vec<String> {
        let note = match self.chosen() {
            Chosen::Krisp => {
                "startSpeakingPlan.smartEndpointingPlan: krisp's model is not to be had; ends of \
                 turns are estimated from words and pauses, and `threshold` has no effect"
            }
            Chosen::Livekit if !is_english(language) => {
                "startSpeakingPlan.smartEndpointingPlan: livekit is for English; ends of turns are \
                 estimated from punctuation and pauses"
            }
            Chosen::Livekit | Chosen::Nobody | Chosen::Vapi | Chosen::Server => return Vec::new(),
        };
        vec![note.to_owned()]
    }

    fn chosen(&self) -> Chosen {
        let provider =
            self.smart_endpointing_plan.as_ref().and_then(|plan| plan.provider.as_deref());
        match (provider, &self.smart_endpointing_enabled) {
            (Some("livekit"), _) => Chosen::Livekit,
            (Some("custom-endpointing-model"), _) => Chosen::Server,
            (Some("krisp"), _) => Chosen::Krisp,
            (Some(_), _) => Chosen::Vapi,
            // The older field.
            (None, Some(Value::Bool(true))) => Chosen::Vapi,
            (None, Some(Value::String(name))) if name == "livekit" => Chosen::Livekit,
            (None, _) => Chosen::Nobody,
        }
    }

    /// Without a plan of its own an English assistant gets an estimate, as the contract's pages have
    /// it for smart endpointing that is off (page "Speech configuration").
    fn judge(&self, chosen: Chosen, is_english: bool) -> TurnJudge {
        let has_plain_plan = self.transcription_endpointing_plan.is_some();
        match chosen {
            Chosen::Vapi => TurnJudge::Ending,
            Chosen::Nobody if has_plain_plan || !is_english => TurnJudge::Ending,
            Chosen::Nobody | Chosen::Krisp => TurnJudge::Estimate { wait: WaitFunction::default() },
            Chosen::Livekit => TurnJudge::Estimate { wait: self.wait_function() },
            Chosen::Server => TurnJudge::Server { until_answered: WaitFunction::default() },
        }
    }

    /// A function that cannot be read was refused with its document.
    fn wait_function(&self) -> WaitFunction {
        let source =
            self.smart_endpointing_plan.as_ref().and_then(|plan| plan.wait_function.as_ref());
        source.and_then(|source| WaitFunction::parse(source).ok()).unwrap_or_default()
    }
}

/// The language that an assistant's transcriber listens for. Without one, providers listen for
/// English.
pub(crate) fn language(transcriber: Option<&Value>) -> String {
    let field = |name| transcriber.and_then(|transcriber| lenient::get(transcriber, name));
    let one = field("language").or_else(|| field("languageCode"));
    // Several languages that may be spoken.
    let several = field("languages").and_then(Value::as_array).map(Vec::as_slice);
    match (one.and_then(Value::as_str), several) {
        (Some(language), _) if !language.is_empty() => language.to_owned(),
        (_, Some([Value::String(only)])) => only.clone(),
        (_, Some([_, ..])) => "multi".into(),
        (_, Some([]) | None) => {
            let model = field("model").and_then(Value::as_str).unwrap_or_default();
            if model.ends_with("-multi") { "multi".into() } else { "en".into() }
        }
    }
}

fn is_english(language: &str) -> bool {
    language.split(['-', '_']).next().is_some_and(|tag| tag.eq_ignore_ascii_case("en"))
}

/// A rule whose expression cannot be compiled was refused with its document.
fn rule(fields: &RuleFields) -> Option<EndpointingRule> {
    let pattern = |source: &Option<String>, options: &Option<Vec<OptionFields>>| {
        TextPattern::new(source.as_deref()?, pattern_options(options)).ok()
    };
    let own = || pattern(&fields.regex, &fields.regex_options);
    let (assistant, customer) = match fields.r#type.as_deref()? {
        "assistant" => (Some(own()?), None),
        "customer" => (None, Some(own()?)),
        "both" => (
            Some(pattern(&fields.assistant_regex, &fields.assistant_regex_options)?),
            Some(pattern(&fields.customer_regex, &fields.customer_regex_options)?),
        ),
        _ => return None,
    };
    let timeout = lenient::seconds(fields.timeout_seconds?);
    Some(EndpointingRule { assistant, customer, timeout })
}

fn pattern_options(options: &Option<Vec<OptionFields>>) -> PatternOptions {
    let is_on = |name| {
        let given = options.iter().flatten().find(|option| option.r#type == name);
        given.is_some_and(|option| option.enabled == Some(true))
    };
    PatternOptions {
        ignore_case: is_on("ignore-case"),
        whole_word: is_on("whole-word"),
        multi_line: is_on("multi-line"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn fields(plan: Value) -> StartSpeakingFields {
        StartSpeakingFields::deserialize(plan).unwrap()
    }

    fn livekit(source: &str) -> TurnJudge {
        TurnJudge::Estimate { wait: WaitFunction::parse(source).unwrap() }
    }

    #[test]
    fn without_a_plan_english_is_estimated_and_other_languages_go_by_their_punctuation() {
        let english = fields(json!({"waitSeconds": 1})).read("en-GB");
        assert_eq!(english.judge, TurnJudge::Estimate { wait: WaitFunction::default() });
        assert!(english.native_end_of_turn && english.speculation);
        assert_eq!(english.wait, Duration::from_secs(1));
        assert_eq!(fields(json!({})).read("de").judge, TurnJudge::Ending);
        assert_eq!(fields(json!({})).read("multi").judge, TurnJudge::Ending);
    }

    #[test]
    fn a_plain_plan_goes_by_what_the_text_ends_in() {
        let plan = fields(json!({
            "transcriptionEndpointingPlan": {"onPunctuationSeconds": 0.7},
            "speculationEnabled": false,
        }));
        let plan = plan.read("en");
        assert_eq!(plan.judge, TurnJudge::Ending);
        assert_eq!(plan.on_punctuation, Duration::from_millis(700));
        assert_eq!(plan.on_no_punctuation, Duration::from_millis(1_500));
        assert!(plan.native_end_of_turn && !plan.speculation);
    }

    #[test]
    fn a_smart_plan_comes_before_the_plain_one_and_before_the_transcriber() {
        let read = |smart: Value| {
            let plain = json!({"onNumberSeconds": 2});
            let plan =
                json!({"smartEndpointingPlan": smart, "transcriptionEndpointingPlan": plain});
            let plan = fields(plan).read("en");
            assert!(!plan.native_end_of_turn);
            plan.judge
        };
        let own = json!({"provider": "livekit", "waitFunction": "200 + 8000 * x"});
        assert_eq!(read(own), livekit("200 + 8000 * x"));
        let default = WaitFunction::default();
        assert_eq!(
            read(json!({"provider": "livekit"})),
            TurnJudge::Estimate { wait: default.clone() }
        );
        assert_eq!(read(json!({"provider": "vapi"})), TurnJudge::Ending);
        assert_eq!(
            read(json!({"provider": "krisp"})),
            TurnJudge::Estimate { wait: default.clone() }
        );
        let server = json!({"provider": "custom-endpointing-model"});
        assert_eq!(read(server), TurnJudge::Server { until_answered: default });
    }

    #[test]
    fn the_older_field_chooses_too() {
        let read = |enabled: Value| {
            let plan = fields(json!({"smartEndpointingEnabled": enabled})).read("en");
            (plan.judge, plan.native_end_of_turn)
        };
        let estimate = TurnJudge::Estimate { wait: WaitFunction::default() };
        assert_eq!(read(json!(true)), (TurnJudge::Ending, false));
        assert_eq!(read(json!("livekit")), (estimate.clone(), false));
        assert_eq!(read(json!(false)), (estimate, true));
    }

    #[test]
    fn rules_are_read_with_their_options_in_their_order() {
        let plan = fields(json!({"customEndpointingRules": [
            {"type": "assistant", "regex": "phone|email", "timeoutSeconds": 3,
             "regexOptions": [{"type": "ignore-case", "enabled": true}]},
            {"type": "customer", "regex": "^no$", "timeoutSeconds": 0.5,
             "regexOptions": [{"type": "ignore-case", "enabled": false}]},
            {"type": "both", "assistantRegex": "age", "customerRegex": "\\d",
             "customerRegexOptions": [{"type": "whole-word", "enabled": true}], "timeoutSeconds": 1},
        ]}));
        let rules = plan.read("en").rules;
        let first = |assistant: &str, customer: &str| {
            rules.iter().find(|rule| rule.matches(assistant, customer)).map(|rule| rule.timeout)
        };
        assert_eq!(first("Your PHONE number?", "555"), Some(Duration::from_secs(3)));
        assert_eq!(first("Anything else?", "no"), Some(Duration::from_millis(500)));
        assert_eq!(first("Anything else?", "No"), None);
        assert_eq!(first("What is your age?", "it is 4"), Some(Duration::from_secs(1)));
        assert_eq!(first("What is your age?", "it is 44"), None);
        assert_eq!(first("", "anything"), None);
    }

    #[test]
    fn what_is_done_in_another_way_is_noted() {
        let notes = |plan: Value, language: &str| fields(plan).notes(language).join(" ");
        let krisp = json!({"smartEndpointingPlan": {"provider": "krisp", "threshold": 0.4}});
        assert!(notes(krisp, "en").contains("krisp"));
        let livekit = json!({"smartEndpointingPlan": {"provider": "livekit"}});
        assert!(notes(livekit.clone(), "fr").contains("livekit is for English"));
        assert_eq!(notes(livekit, "en-US"), "");
        assert_eq!(notes(json!({}), "fr"), "");
    }

    #[test]
    fn the_language_is_the_transcribers() {
        let of = |transcriber: Value| language(Some(&transcriber));
        assert_eq!(of(json!({"provider": "deepgram", "language": "de-CH"})), "de-CH");
        assert_eq!(of(json!({"provider": "deepgram", "model": "nova-3"})), "en");
        assert_eq!(of(json!({"provider": "deepgram", "model": "flux-general-multi"})), "multi");
        assert_eq!(of(json!({"model": "flux-general-multi", "languages": ["fr"]})), "fr");
        assert_eq!(of(json!({"model": "flux-general-multi", "languages": ["fr", "en"]})), "multi");
        assert_eq!(language(None), "en");
    }
}
