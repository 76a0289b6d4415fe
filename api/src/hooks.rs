//! `hooks` and `messagePlan` as the conversation reads them.

use std::time::Duration;

use offhook_core::{AddedRole, Hook, HookAction, HookTrigger, Message};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    lenient::{self, text},
    plans::time,
};

/// Silence of the caller before a hook is triggered (page "Idle messages").
const SPEECH_TIMEOUT: Duration = Duration::from_millis(7_500);

/// Times that such a hook is triggered in a call, and idle messages are spoken.
const COUNT_MAX: u32 = 3;

/// Silence of the caller before an idle message; the older plan's default.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The older way to break the silence (`messagePlan`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessagePlanFields {
    idle_messages: Option<Vec<String>>,
    idle_message_max_spoken_count: Option<f64>,
    idle_message_reset_count_on_user_speech_enabled: Option<bool>,
    idle_timeout_seconds: Option<f64>,
    silence_timeout_message: Option<String>,
}

impl MessagePlanFields {
    pub fn silence_timeout_message(&self) -> Option<String> {
        self.silence_timeout_message.clone().filter(|text| !text.trim().is_empty())
    }

    fn hook(&self) -> Option<Hook> {
        let texts = self.idle_messages.clone().filter(|texts| !texts.is_empty())?;
        let on = HookTrigger::CallerSilent {
            timeout: time(self.idle_timeout_seconds, IDLE_TIMEOUT),
            count_max: self.idle_message_max_spoken_count.map_or(COUNT_MAX, lenient::count),
            resets_on_words: self.idle_message_reset_count_on_user_speech_enabled.unwrap_or(false),
        };
        Some(Hook { on, actions: vec![HookAction::Say { texts }] })
    }
}

/// What an assistant does by itself, and what its hooks ask for that is not done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Hooks {
    pub hooks: Vec<Hook>,
    pub notes: Vec<String>,
}

impl Hooks {
    pub fn read(document: &Value, plan: &MessagePlanFields) -> Self {
        let mut read = Self::default();
        let listed = lenient::get(document, "hooks").and_then(Value::as_array);
        for (index, hook) in listed.map_or(&[][..], Vec::as_slice).iter().enumerate() {
            read.add(hook, &format!("hooks[{index}]"));
        }
        read.hooks.extend(plan.hook());
        read
    }

    fn add(&mut self, hook: &Value, path: &str) {
        let on = text(hook, "on").unwrap_or_default();
        let Some(trigger) = trigger(on, hook) else {
            self.notes.push(format!("{path}: `{on}` is not acted on"));
            return;
        };
        let listed = lenient::get(hook, "do").and_then(Value::as_array);
        let mut actions = Vec::new();
        for (index, wanted) in listed.map_or(&[][..], Vec::as_slice).iter().enumerate() {
            match action(wanted) {
                Some(action) => actions.push(action),
                None => {
                    let what = name_of(wanted);
                    self.notes.push(format!("{path}.do[{index}]: {what} is not acted on"));
                }
            }
        }
        if !actions.is_empty() {
            self.hooks.push(Hook { on: trigger, actions });
        }
    }
}

fn trigger(on: &str, hook: &Value) -> Option<HookTrigger> {
    let name = on.split('[').next().unwrap_or_default();
    match name {
        "customer.speech.timeout" => {
            let number = |name| option(on, hook, name)?.parse::<f64>().ok();
            Some(HookTrigger::CallerSilent {
                timeout: time(number("timeoutSeconds"), SPEECH_TIMEOUT),
                count_max: number("triggerMaxCount").map_or(COUNT_MAX, lenient::count),
                resets_on_words: option(on, hook, "triggerResetMode").as_deref()
                    == Some("onUserSpeech"),
            })
        }
        "assistant.speech.interrupted" => Some(HookTrigger::AssistantInterrupted),
        "call.timeElapsed" => {
            let age = lenient::seconds(option(on, hook, "seconds")?.parse().ok()?);
            Some(HookTrigger::CallAged { age })
        }
        "model.response.timeout" => Some(HookTrigger::ModelSilent),
        _ => None,
    }
}

/// An option of a hook, from its object or from the short form `name[option=value,...]`.
fn option(on: &str, hook: &Value, name: &str) -> Option<String> {
    let given = lenient::get(hook, "options").and_then(|options| lenient::get(options, name));
    if let Some(given) = given {
        return Some(given.as_str().map_or_else(|| given.to_string(), str::to_owned));
    }
    let (_, short) = on.split_once('[')?;
    let pairs = short.trim_end_matches(']').split(',').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value);
    values.next().map(|value| value.trim().trim_end_matches('s').to_owned())
}

fn action(action: &Value) -> Option<HookAction> {
    match text(action, "type")? {
        "say" => {
            if let Some(exact) = lenient::get(action, "exact") {
                let texts = texts(exact);
                return (!texts.is_empty()).then_some(HookAction::Say { texts });
            }
            let messages = messages(lenient::get(action, "prompt")?);
            (!messages.is_empty()).then_some(HookAction::Ask { messages })
        }
        "message.add" => {
            let message = lenient::get(action, "message")?;
            Some(HookAction::AddMessage {
                role: match text(message, "role") {
                    Some("user") => AddedRole::User,
                    Some("assistant") => AddedRole::Assistant,
                    _ => AddedRole::System,
                },
                content: text(message, "content")?.to_owned(),
                trigger_response: action["triggerResponseEnabled"].as_bool().unwrap_or(true),
            })
        }
        "tool" if text(lenient::get(action, "tool")?, "type")? == "endCall" => {
            Some(HookAction::EndCall)
        }
        _ => None,
    }
}

fn texts(exact: &Value) -> Vec<String> {
    let one = exact.as_str().map(str::to_owned);
    let several = exact.as_array().map_or(&[][..], Vec::as_slice);
    let several = several.iter().filter_map(Value::as_str).map(str::to_owned);
    one.into_iter().chain(several).filter(|text| !text.trim().is_empty()).collect()
}

fn messages(prompt: &Value) -> Vec<Message> {
    if let Some(prompt) = prompt.as_str() {
        return vec![Message::System { content: prompt.to_owned() }];
    }
    let listed = prompt.as_array().map_or(&[][..], Vec::as_slice);
    listed.iter().filter_map(crate::assistant::prompt_message).collect()
}

/// An action as a log names it.
fn name_of(action: &Value) -> String {
    let kind = text(action, "type").unwrap_or_default();
    let tool = lenient::get(action, "tool").and_then(|tool| text(tool, "type"));
    match (kind, tool) {
        ("tool", Some(tool)) => format!("a `{tool}` tool"),
        ("tool", None) => "a tool by its id".to_owned(),
        _ => format!("`{kind}` like this"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(document: Value) -> Hooks {
        let plan = lenient::get(&document, "messagePlan").cloned().unwrap_or(json!({}));
        Hooks::read(&document, &MessagePlanFields::deserialize(plan).unwrap())
    }

    fn says(texts: &[&str]) -> Vec<HookAction> {
        vec![HookAction::Say { texts: texts.iter().map(ToString::to_string).collect() }]
    }

    fn silent_for(secs: f64, count_max: u32, resets_on_words: bool) -> HookTrigger {
        let timeout = Duration::from_secs_f64(secs);
        HookTrigger::CallerSilent { timeout, count_max, resets_on_words }
    }

    #[test]
    fn a_silent_caller_is_asked_after_as_the_options_say() {
        let options =
            json!({"timeoutSeconds": 10, "triggerMaxCount": 2, "triggerResetMode": "onUserSpeech"});
        let say = json!([{"type": "say", "exact": ["Hello?", "Are you there?"]}]);
        let read = read(json!({"hooks": [
            {"on": "customer.speech.timeout", "options": options, "do": say},
            {"on": "customer.speech.timeout[timeoutSeconds=20]", "do": say},
            {"on": "customer.speech.timeout", "do": say},
        ]}));
        let actions = says(&["Hello?", "Are you there?"]);
        let on: Vec<_> = read.hooks.iter().map(|hook| hook.on).collect();
        assert_eq!(
            on,
            [silent_for(10.0, 2, true), silent_for(20.0, 3, false), silent_for(7.5, 3, false)]
        );
        assert!(read.hooks.iter().all(|hook| hook.actions == actions));
        assert!(read.notes.is_empty());
    }

    #[test]
    fn every_action_that_is_known_is_read_in_order() {
        let read =
            read(json!({"hooks": [{"on": "call.timeElapsed", "options": {"seconds": 480}, "do": [
                {"type": "say", "prompt": "Wrap up."},
                {"type": "say", "prompt": [{"role": "user", "content": "Are you done?"}]},
                {"type": "message.add", "message": {"role": "system", "content": "Be brief."},
                 "triggerResponseEnabled": false},
                {"type": "tool", "tool": {"type": "endCall"}},
            ]}]}));
        let ask = |message| HookAction::Ask { messages: vec![message] };
        let want = vec![
            ask(Message::System { content: "Wrap up.".into() }),
            ask(Message::User { content: "Are you done?".into() }),
            HookAction::AddMessage {
                role: AddedRole::System,
                content: "Be brief.".into(),
                trigger_response: false,
            },
            HookAction::EndCall,
        ];
        let on = HookTrigger::CallAged { age: Duration::from_secs(480) };
        assert_eq!(read.hooks, [Hook { on, actions: want }]);
    }

    #[test]
    fn what_is_not_acted_on_is_named() {
        let read = read(json!({"hooks": [
            {"on": "call.ending", "do": [{"type": "say", "exact": "Bye."}]},
            {"on": "assistant.speech.interrupted", "do": [
                {"type": "tool", "tool": {"type": "transferCall"}},
                {"type": "tool", "toolId": "b1"},
                {"type": "say", "exact": "Sorry."},
            ]},
        ]}));
        assert_eq!(
            read.hooks,
            [Hook { on: HookTrigger::AssistantInterrupted, actions: says(&["Sorry."]) }]
        );
        assert_eq!(
            read.notes,
            [
                "hooks[0]: `call.ending` is not acted on",
                "hooks[1].do[0]: a `transferCall` tool is not acted on",
                "hooks[1].do[1]: a tool by its id is not acted on",
            ]
        );
    }

    #[test]
    fn the_older_plan_is_a_hook_too() {
        let read = read(json!({"messagePlan": {
            "idleMessages": ["Are you there?"], "idleTimeoutSeconds": 8,
            "idleMessageMaxSpokenCount": 5, "idleMessageResetCountOnUserSpeechEnabled": true,
        }}));
        let hook = Hook { on: silent_for(8.0, 5, true), actions: says(&["Are you there?"]) };
        assert_eq!(read.hooks, [hook]);
    }
}
