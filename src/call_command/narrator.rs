//! Tells a call as it happens, from the messages that a client of it gets.

use std::time::Duration;

use serde_json::Value;

use crate::console::{Console, Style};

/// Width of the column that says who spoke.
const WHO_WIDTH: usize = 9;

/// Tells what was said, and what happened meanwhile.
pub struct Narrator {
    console: Console,
    /// The call's status as it was told last.
    status: String,
}

impl Narrator {
    pub fn new(console: Console) -> Self {
        Self { console, status: String::new() }
    }

    /// Prints a message of the server, if it is one for people.
    pub fn tell(&mut self, at: Duration, event: &Value) {
        if let Some(line) = self.line(at, event) {
            self.console.line(line);
        }
    }

    /// Prints something that the server did not say.
    pub fn note(console: Console, at: Duration, style: Style, what: &str) {
        console.line(lay_out(console, at, "", Style::Aside, &console.paint(style, what)));
    }

    fn line(&mut self, at: Duration, event: &Value) -> Option<String> {
        let console = self.console;
        let aside =
            |what: &str| lay_out(console, at, "", Style::Aside, &console.paint(Style::Aside, what));
        match event["type"].as_str()? {
            "transcript" if event["transcriptType"] == "final" => {
                let (who, style) = match event["role"].as_str()? {
                    "user" => ("caller", Style::Caller),
                    _ => ("assistant", Style::Agent),
                };
                Some(lay_out(console, at, who, style, event["transcript"].as_str()?.trim()))
            }
            "user-interrupted" => Some(aside("the caller interrupts, the assistant falls silent")),
            "tool-calls" => {
                let calls = event["toolCallList"].as_array()?;
                let calls: Vec<String> = calls.iter().map(tool_call).collect();
                Some(aside(&format!("tool {}", calls.join(", "))))
            }
            "status-update" => {
                let status = event["status"].as_str()?;
                let is_news = self.status != status;
                status.clone_into(&mut self.status);
                let reason = event["endedReason"].as_str().map(|reason| format!(": {reason}"));
                is_news.then(|| aside(&format!("call {status}{}", reason.unwrap_or_default())))
            }
            "error" => {
                let message = event["error"]["message"].as_str()?;
                Some(lay_out(console, at, "error", Style::Bad, message))
            }
            _ => None,
        }
    }
}

fn lay_out(console: Console, at: Duration, who: &str, style: Style, what: &str) -> String {
    let at = console.paint(Style::Aside, &format!("{:7.2} s", at.as_secs_f64()));
    let who = console.paint(style, &format!("{who:<WHO_WIDTH$}"));
    format!("{at}  {who}  {what}")
}

/// A tool call as a person would write it: `bookAppointment(day: thursday)`.
pub fn tool_call(call: &Value) -> String {
    let function = &call["function"];
    let name = call["name"].as_str().or(function["name"].as_str()).unwrap_or("?");
    let arguments = call.get("arguments").unwrap_or(&function["arguments"]);
    // Some clients write the arguments as JSON within a text.
    let parsed = arguments.as_str().and_then(|text| serde_json::from_str(text).ok());
    let arguments: &Value = parsed.as_ref().unwrap_or(arguments);
    let arguments: Vec<String> = arguments
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}: {text}"),
            None => format!("{name}: {value}"),
        })
        .collect();
    format!("{name}({})", arguments.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(events: &[Value]) -> Vec<String> {
        let mut narrator = Narrator::new(Console::plain());
        let at = Duration::from_millis(1_234);
        events.iter().filter_map(|event| narrator.line(at, event)).collect()
    }

    #[test]
    fn what_was_said_is_told_once_it_is_final() {
        let said = |role: &str, kind: &str| json!({"type": "transcript", "role": role, "transcriptType": kind, "transcript": " hello "});
        let events = [said("user", "partial"), said("user", "final"), said("assistant", "final")];
        assert_eq!(told(&events), ["   1.23 s  caller     hello", "   1.23 s  assistant  hello"]);
    }

    #[test]
    fn a_status_is_told_when_it_changes() {
        let events = [
            json!({"type": "status-update", "status": "in-progress"}),
            json!({"type": "status-update", "status": "in-progress"}),
            json!({"type": "status-update", "status": "ended", "endedReason": "customer-ended-call"}),
            json!({"type": "speech-update", "status": "started", "role": "user"}),
        ];
        let told = told(&events);
        assert_eq!(told.len(), 2);
        assert!(told[1].ends_with("call ended: customer-ended-call"), "{told:?}");
    }

    #[test]
    fn a_tool_call_is_written_as_a_call_in_each_of_its_shapes() {
        let expected = "book(day: thursday, people: 2)";
        let arguments = json!({"day": "thursday", "people": 2});
        for call in [
            json!({"name": "book", "arguments": arguments}),
            json!({"function": {"name": "book", "arguments": arguments}}),
            json!({"function": {"name": "book", "arguments": arguments.to_string()}}),
        ] {
            assert_eq!(tool_call(&call), expected);
        }
        let event =
            json!({"type": "tool-calls", "toolCallList": [{"name": "book", "arguments": {}}]});
        assert!(told(&[event])[0].ends_with("tool book()"));
    }
}
