//! What clients may ask of a running call: on its control URL, and on the socket of its leg.

use offhook_core::{AddedRole, Control};
use serde_json::Value;

use crate::{
    Destination,
    contract::{self, Mode},
    lenient, transfer_plan,
};

/// Longest text that is spoken or added at once, in characters; a minute of speech has about 900.
const CONTENT_CHARS_MAX: usize = 10_000;

const TYPES: &str = "say, add-message, control, end-call";
const CONTROLS: &str = "mute-assistant, unmute-assistant, say-first-message";

/// Reads one control message.
///
/// # Errors
///
/// One message for each field that is missing, wrong, or asks for what is not done here.
pub fn parse(message: &Value) -> Result<Control, Vec<String>> {
    if !message.is_object() {
        return Err(vec!["message must be an object".into()]);
    }
    let mut fields = Fields { message, messages: Vec::new() };
    let control = match message.get("type").and_then(Value::as_str) {
        Some("say") => fields.say(),
        Some("add-message") => fields.add_message(),
        Some("control") => fields.control(),
        Some("end-call" | "hangup") => Some(Control::EndCall),
        Some(other @ ("transfer" | "handoff" | "send-transport-message")) => fields.refuse(
            format!("`{other}` is not supported by this version, expected one of: {TYPES}"),
        ),
        _ => fields.refuse(format!("type must be one of the following values: {TYPES}")),
    };
    match control {
        Some(control) if fields.messages.is_empty() => Ok(control),
        _ => Err(fields.messages),
    }
}

/// A caller to send on, by the control URL of a phone call.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    pub to: Destination,
    /// Said before; `None`: what the destination itself has to say.
    pub words: Option<String>,
}

/// Reads a message that sends the caller on; `None` when it asks for something else.
///
/// # Errors
///
/// One message for each field that is missing, wrong, or asks for what is not done here.
pub fn parse_transfer(message: &Value) -> Option<Result<Transfer, Vec<String>>> {
    if lenient::text(message, "type") != Some("transfer") {
        return None;
    }
    let destination = lenient::get(message, "destination").unwrap_or(&Value::Null);
    let shape = match lenient::text(destination, "type") {
        Some("number") => "TransferDestinationNumber",
        Some("sip") => "TransferDestinationSip",
        Some(_) | None => {
            let problem = "destination.type must be one of the following values: number, sip";
            return Some(Err(vec![problem.into()]));
        }
    };
    let problems = contract::validate(shape, destination, Mode::Create);
    let refused = transfer_plan::refusals_of(destination);
    let mut problems: Vec<String> =
        problems.into_iter().chain(refused).map(|it| format!("destination.{it}")).collect();
    let words = match lenient::get(message, "content").map(Value::as_str) {
        None => None,
        Some(Some(words)) if words.chars().count() <= CONTENT_CHARS_MAX => Some(words.to_owned()),
        Some(Some(_)) => {
            problems.push(format!(
                "content must be shorter than or equal to {CONTENT_CHARS_MAX} characters"
            ));
            None
        }
        Some(None) => {
            problems.push("content must be a string".into());
            None
        }
    };
    let to = Destination::read(destination).filter(|_| problems.is_empty());
    Some(to.map(|to| Transfer { to, words }).ok_or(problems))
}

struct Fields<'a> {
    message: &'a Value,
    messages: Vec<String>,
}

impl Fields<'_> {
    fn say(&mut self) -> Option<Control> {
        let end_call_after_spoken = self.flag("endCallAfterSpoken").unwrap_or(false);
        let interruptions_enabled = self.flag("interruptionsEnabled");
        let interrupt_assistant = self.flag("interruptAssistantEnabled").unwrap_or(false);
        Some(Control::Say {
            content: self.content(self.message, "content")?,
            end_call_after_spoken,
            interruptions_enabled,
            interrupt_assistant,
        })
    }

    fn add_message(&mut self) -> Option<Control> {
        let trigger_response = self.flag("triggerResponseEnabled").unwrap_or(true);
        let message = self.message;
        let Some(added) = lenient::get(message, "message").filter(|added| added.is_object()) else {
            return self.refuse("message must be an object".into());
        };
        let role = match added.get("role").and_then(Value::as_str) {
            Some("system") => AddedRole::System,
            Some("user") => AddedRole::User,
            Some("assistant") => AddedRole::Assistant,
            _ => {
                return self.refuse(
                    "message.role must be one of the following values: system, user, assistant"
                        .into(),
                );
            }
        };
        let content = self.content(added, "message.content")?;
        Some(Control::AddMessage { role, content, trigger_response })
    }

    fn control(&mut self) -> Option<Control> {
        match self.message.get("control").and_then(Value::as_str) {
            Some("mute-assistant") => Some(Control::MuteAssistant),
            Some("unmute-assistant") => Some(Control::UnmuteAssistant),
            Some("say-first-message") => Some(Control::SayFirstMessage),
            Some(other @ ("mute-customer" | "unmute-customer")) => self.refuse(format!(
                "control `{other}` is not supported by this version, expected one of: {CONTROLS}"
            )),
            _ => self.refuse(format!("control must be one of the following values: {CONTROLS}")),
        }
    }

    fn content(&mut self, object: &Value, path: &str) -> Option<String> {
        match object.get("content").and_then(Value::as_str) {
            Some(content) if content.chars().count() > CONTENT_CHARS_MAX => self.refuse(format!(
                "{path} must be shorter than or equal to {CONTENT_CHARS_MAX} characters"
            )),
            Some(content) if content.trim().is_empty() => {
                self.refuse(format!("{path} should not be empty"))
            }
            Some(content) => Some(content.to_owned()),
            None => self.refuse(format!("{path} must be a string")),
        }
    }

    fn flag(&mut self, field: &str) -> Option<bool> {
        match lenient::get(self.message, field)?.as_bool() {
            Some(flag) => Some(flag),
            None => self.refuse(format!("{field} must be a boolean value")),
        }
    }

    fn refuse<T>(&mut self, message: String) -> Option<T> {
        self.messages.push(message);
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(message: Value) -> String {
        parse(&message).unwrap_err().join("; ")
    }

    #[test]
    fn a_transfer_names_its_destination_and_what_is_said_before() {
        let to = json!({"type": "number", "number": "+14155550199"});
        let read = |message: Value| parse_transfer(&message);
        let transfer = json!({"type": "transfer", "destination": to, "content": "Bye"});
        let transfer = read(transfer).unwrap().unwrap();
        assert_eq!(
            (transfer.to.address(), transfer.words.as_deref()),
            ("+14155550199", Some("Bye"))
        );
        assert_eq!(read(json!({"type": "say", "content": "a"})), None);
        let refusal = |destination: Value, content: Value| {
            let message =
                json!({"type": "transfer", "destination": destination, "content": content});
            read(message).unwrap().unwrap_err().join("; ")
        };
        assert!(refusal(json!({}), json!("a")).starts_with("destination.type must be"));
        assert!(refusal(json!({"type": "number"}), json!("a")).starts_with("destination."));
        assert!(refusal(to, json!(7)).starts_with("content must be a string"));
    }

    #[test]
    fn a_text_is_said_with_the_contracts_defaults() {
        assert_eq!(
            parse(&json!({"type": "say", "content": "Welcome."})),
            Ok(Control::Say {
                content: "Welcome.".into(),
                end_call_after_spoken: false,
                interruptions_enabled: None,
                interrupt_assistant: false,
            })
        );
        assert_eq!(
            parse(&json!({"type": "say", "content": "Bye.", "endCallAfterSpoken": true,
                "interruptionsEnabled": false, "interruptAssistantEnabled": true})),
            Ok(Control::Say {
                content: "Bye.".into(),
                end_call_after_spoken: true,
                interruptions_enabled: Some(false),
                interrupt_assistant: true,
            })
        );
    }

    #[test]
    fn a_message_is_added_and_answered_unless_told_otherwise() {
        let message = json!({"role": "system", "content": "The caller is a member."});
        assert_eq!(
            parse(&json!({"type": "add-message", "message": message})),
            Ok(Control::AddMessage {
                role: AddedRole::System,
                content: "The caller is a member.".into(),
                trigger_response: true,
            })
        );
        let silent = parse(
            &json!({"type": "add-message", "message": message, "triggerResponseEnabled": false}),
        );
        assert!(matches!(silent, Ok(Control::AddMessage { trigger_response: false, .. })));
    }

    #[test]
    fn the_call_is_controlled_and_ended() {
        let control = |control: &str| parse(&json!({"type": "control", "control": control}));
        assert_eq!(control("mute-assistant"), Ok(Control::MuteAssistant));
        assert_eq!(control("unmute-assistant"), Ok(Control::UnmuteAssistant));
        assert_eq!(control("say-first-message"), Ok(Control::SayFirstMessage));
        assert_eq!(parse(&json!({"type": "end-call"})), Ok(Control::EndCall));
        assert_eq!(parse(&json!({"type": "hangup"})), Ok(Control::EndCall));
    }

    #[test]
    fn what_is_not_done_here_is_refused_by_name() {
        assert_eq!(
            refusal(json!({"type": "transfer", "destination": {}})),
            "`transfer` is not supported by this version, expected one of: say, add-message, control, end-call"
        );
        assert!(refusal(json!({"type": "handoff"})).starts_with("`handoff` is not supported"));
        assert!(
            refusal(json!({"type": "control", "control": "mute-customer"}))
                .starts_with("control `mute-customer` is not supported")
        );
    }

    #[test]
    fn every_wrong_field_is_named() {
        assert_eq!(
            refusal(json!({"type": "say", "endCallAfterSpoken": "yes"})),
            "endCallAfterSpoken must be a boolean value; content must be a string"
        );
        assert_eq!(refusal(json!({"type": "say", "content": " "})), "content should not be empty");
        assert_eq!(
            refusal(json!({"type": "say", "content": "a".repeat(10_001)})),
            "content must be shorter than or equal to 10000 characters"
        );
        assert_eq!(
            refusal(json!({"type": "add-message", "message": {"role": "tool", "content": "a"}})),
            "message.role must be one of the following values: system, user, assistant"
        );
        assert_eq!(
            refusal(json!({"type": "dance"})),
            "type must be one of the following values: say, add-message, control, end-call"
        );
        assert_eq!(refusal(json!([])), "message must be an object");
    }
}
