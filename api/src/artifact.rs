//! What is left of a call: its messages, transcript, recordings and measurements.

use std::time::Duration;

use offhook_core::{CallTime, Entry, Message, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{performance::Performance, plans::ArtifactPlan};

/// Turns the call's own time into times of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallClock {
    /// When the call was created, in epoch milliseconds.
    pub created_ms: i64,
    /// When its leg was connected, which `secondsFromStart` and the recording count from.
    pub connected: CallTime,
}

impl CallClock {
    /// A time of the call in epoch milliseconds.
    pub fn epoch_ms(&self, at: CallTime) -> i64 {
        let since = i64::try_from(at.as_duration().as_millis()).unwrap_or(i64::MAX);
        self.created_ms.saturating_add(since)
    }

    /// Seconds since the leg was connected, to the millisecond; zero before that.
    pub fn seconds_from_start(&self, at: CallTime) -> f64 {
        at.after(self.connected).as_millis() as f64 / 1_000.0
    }
}

/// Addresses of a call's recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingUrls {
    /// Both sides mixed.
    pub mono: String,
    /// The caller on the left, the assistant on the right.
    pub stereo: String,
    pub assistant: Option<String>,
    pub customer: Option<String>,
}

/// What an artifact is made of.
#[derive(Clone, Copy, Debug)]
pub struct ArtifactSource<'a> {
    /// What the model was given before the conversation.
    pub preamble: &'a [Message],
    pub history: &'a [Entry],
    pub clock: CallClock,
    pub plan: &'a ArtifactPlan,
    pub performance: &'a Performance,
    pub recording: Option<&'a RecordingUrls>,
    pub variable_values: Option<&'a Value>,
}

/// Makes the `artifact` of a call, finished or not.
pub fn build(source: ArtifactSource<'_>) -> Value {
    let mut artifact = Map::new();
    let history = source.history;
    artifact.insert("messages".into(), messages(source.preamble, history, source.clock).into());
    artifact
        .insert("messagesOpenAIFormatted".into(), openai_messages(source.preamble, history).into());
    if source.plan.transcript_enabled {
        artifact.insert("transcript".into(), transcript(history, source.plan).into());
    }
    if let Some(urls) = source.recording {
        recording(&mut artifact, urls);
    }
    if let Some(variables) = source.variable_values {
        artifact.insert("variableValues".into(), variables.clone());
    }
    artifact.insert(
        "performanceMetrics".into(),
        source.performance.to_json(assistant_interruptions(history)),
    );
    Value::Object(artifact)
}

/// The messages in the contract's own shapes, oldest first. An assistant's message of which
/// nothing was heard is left out.
pub fn messages(preamble: &[Message], history: &[Entry], clock: CallClock) -> Vec<Value> {
    let preamble =
        preamble.iter().map(|message| shaped(message, CallTime::ZERO, CallTime::ZERO, clock));
    let history = history
        .iter()
        .filter(|entry| is_worth_telling(&entry.message))
        .map(|entry| shaped(&entry.message, entry.at, entry.until, clock));
    preamble.chain(history).collect()
}

/// The messages as OpenAI's chat API spells them.
pub fn openai_messages(preamble: &[Message], history: &[Entry]) -> Vec<Value> {
    preamble
        .iter()
        .chain(
            history.iter().map(|entry| &entry.message).filter(|message| is_worth_telling(message)),
        )
        .map(openai_message)
        .collect()
}

/// What was said, a line for each turn: `AI: ...`, `User: ...`.
pub fn transcript(history: &[Entry], plan: &ArtifactPlan) -> String {
    let mut text = String::new();
    for entry in history.iter().filter(|entry| is_worth_telling(&entry.message)) {
        let (who, content) = match &entry.message {
            Message::User { content } => (&plan.user_name, content),
            Message::Assistant { content, .. } => (&plan.assistant_name, content),
            Message::System { .. } | Message::ToolCalls { .. } | Message::ToolResult { .. } => {
                continue;
            }
        };
        text.push_str(who);
        text.push_str(": ");
        text.push_str(content.trim());
        text.push('\n');
    }
    text
}

/// How often the caller cut the assistant off.
fn assistant_interruptions(history: &[Entry]) -> usize {
    history
        .iter()
        .filter(|entry| matches!(entry.message, Message::Assistant { interrupted: true, .. }))
        .count()
}

fn is_worth_telling(message: &Message) -> bool {
    match message {
        Message::User { content } | Message::Assistant { content, .. } => {
            !content.trim().is_empty()
        }
        Message::System { .. } | Message::ToolCalls { .. } | Message::ToolResult { .. } => true,
    }
}

fn shaped(message: &Message, at: CallTime, until: CallTime, clock: CallClock) -> Value {
    let time = clock.epoch_ms(at);
    let seconds = clock.seconds_from_start(at);
    let spoken = |role: &str, content: &str| {
        json!({
            "role": role,
            "message": content,
            "time": time,
            "endTime": clock.epoch_ms(until),
            "secondsFromStart": seconds,
            "duration": milliseconds(until.after(at)),
        })
    };
    match message {
        Message::System { content } => json!({
            "role": "system", "message": content, "time": time, "secondsFromStart": seconds,
        }),
        Message::User { content } => spoken("user", content),
        Message::Assistant { content, .. } => {
            let mut message = spoken("bot", content);
            message["source"] = "".into();
            message
        }
        Message::ToolCalls { calls } => json!({
            "role": "tool_calls",
            "toolCalls": calls.iter().map(openai_tool_call).collect::<Vec<_>>(),
            "message": "",
            "time": time,
            "secondsFromStart": seconds,
        }),
        Message::ToolResult { call_id, name, content } => json!({
            "role": "tool_call_result",
            "toolCallId": call_id,
            "name": name,
            "result": content,
            "time": time,
            "secondsFromStart": seconds,
        }),
    }
}

fn openai_message(message: &Message) -> Value {
    match message {
        Message::System { content } => json!({"role": "system", "content": content}),
        Message::User { content } => json!({"role": "user", "content": content}),
        Message::Assistant { content, .. } => json!({"role": "assistant", "content": content}),
        // The contract requires a content of every message.
        Message::ToolCalls { calls } => json!({
            "role": "assistant",
            "content": "",
            "tool_calls": calls.iter().map(openai_tool_call).collect::<Vec<_>>(),
        }),
        Message::ToolResult { call_id, content, .. } => {
            json!({"role": "tool", "tool_call_id": call_id, "content": content})
        }
    }
}

/// A tool call with its arguments as a string, as OpenAI has it.
fn openai_tool_call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments.to_string()},
    })
}

/// The flat fields of older clients and the `recording` of newer ones.
fn recording(artifact: &mut Map<String, Value>, urls: &RecordingUrls) {
    artifact.insert("recordingUrl".into(), urls.mono.clone().into());
    artifact.insert("stereoRecordingUrl".into(), urls.stereo.clone().into());
    let mut mono = json!({"combinedUrl": urls.mono});
    if let Some(url) = &urls.assistant {
        mono["assistantUrl"] = url.clone().into();
    }
    if let Some(url) = &urls.customer {
        mono["customerUrl"] = url.clone().into();
    }
    artifact.insert("recording".into(), json!({"stereoUrl": urls.stereo, "mono": mono}));
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn entry(at: u64, until: u64, message: Message) -> Entry {
        Entry { at: CallTime::from_millis(at), until: CallTime::from_millis(until), message }
    }

    fn clock() -> CallClock {
        CallClock { created_ms: 1_700_000_000_000, connected: CallTime::from_millis(500) }
    }

    fn preamble() -> Vec<Message> {
        vec![Message::System { content: "Be brief.".into() }]
    }

    fn history() -> Vec<Entry> {
        let said = |content: &str, interrupted| Message::Assistant {
            content: content.into(),
            interrupted,
        };
        vec![
            entry(600, 1_800, said("Hello, how can I", true)),
            entry(1_700, 2_950, Message::User { content: "Book me in. ".into() }),
            entry(
                3_000,
                3_000,
                Message::ToolCalls {
                    calls: vec![ToolCall {
                        id: "t1".into(),
                        name: "book".into(),
                        arguments: json!({"day": "Friday"}),
                    }],
                },
            ),
            entry(
                3_200,
                3_200,
                Message::ToolResult {
                    call_id: "t1".into(),
                    name: "book".into(),
                    content: "ok".into(),
                },
            ),
            entry(3_300, 3_300, said("", true)),
            entry(3_400, 4_000, said("Done.", false)),
        ]
    }

    #[test]
    fn messages_have_the_contracts_shapes() {
        let lines: Vec<String> =
            messages(&preamble(), &history(), clock()).iter().map(ToString::to_string).collect();
        expect![[r#"
            {"role":"system","message":"Be brief.","time":1700000000000,"secondsFromStart":0.0}
            {"role":"bot","message":"Hello, how can I","time":1700000000600,"endTime":1700000001800,"secondsFromStart":0.1,"duration":1200,"source":""}
            {"role":"user","message":"Book me in. ","time":1700000001700,"endTime":1700000002950,"secondsFromStart":1.2,"duration":1250}
            {"role":"tool_calls","toolCalls":[{"id":"t1","type":"function","function":{"name":"book","arguments":"{\"day\":\"Friday\"}"}}],"message":"","time":1700000003000,"secondsFromStart":2.5}
            {"role":"tool_call_result","toolCallId":"t1","name":"book","result":"ok","time":1700000003200,"secondsFromStart":2.7}
            {"role":"bot","message":"Done.","time":1700000003400,"endTime":1700000004000,"secondsFromStart":2.9,"duration":600,"source":""}"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn messages_can_be_given_to_an_openai_model() {
        let lines: Vec<String> =
            openai_messages(&preamble(), &history()).iter().map(ToString::to_string).collect();
        expect![[r#"
            {"role":"system","content":"Be brief."}
            {"role":"assistant","content":"Hello, how can I"}
            {"role":"user","content":"Book me in. "}
            {"role":"assistant","content":"","tool_calls":[{"id":"t1","type":"function","function":{"name":"book","arguments":"{\"day\":\"Friday\"}"}}]}
            {"role":"tool","tool_call_id":"t1","content":"ok"}
            {"role":"assistant","content":"Done."}"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn the_transcript_names_who_speaks() {
        assert_eq!(
            transcript(&history(), &ArtifactPlan::default()),
            "AI: Hello, how can I\nUser: Book me in.\nAI: Done.\n"
        );
        let plan = ArtifactPlan {
            assistant_name: "Nora".into(),
            user_name: "Caller".into(),
            ..ArtifactPlan::default()
        };
        assert!(transcript(&history(), &plan).starts_with("Nora: Hello, how can I\nCaller: "));
    }

    #[test]
    fn an_artifact_has_what_there_is_of_the_call() {
        let urls = RecordingUrls {
            mono: "https://a/mono.wav".into(),
            stereo: "https://a/stereo.wav".into(),
            ..RecordingUrls::default()
        };
        let (preamble, history, plan) = (preamble(), history(), ArtifactPlan::default());
        let source = ArtifactSource {
            preamble: &preamble,
            history: &history,
            clock: clock(),
            plan: &plan,
            performance: &Performance::default(),
            recording: Some(&urls),
            variable_values: Some(&json!({"name": "John"})),
        };
        let artifact = build(source);
        assert_eq!(artifact["recordingUrl"], "https://a/mono.wav");
        assert_eq!(artifact["recording"]["stereoUrl"], "https://a/stereo.wav");
        assert_eq!(artifact["recording"]["mono"], json!({"combinedUrl": "https://a/mono.wav"}));
        assert_eq!(artifact["variableValues"]["name"], "John");
        assert_eq!(artifact["performanceMetrics"]["numAssistantInterrupted"], 2);
        assert_eq!(artifact["messages"].as_array().unwrap().len(), 6);

        let silent = ArtifactPlan { transcript_enabled: false, ..ArtifactPlan::default() };
        let artifact = build(ArtifactSource {
            plan: &silent,
            recording: None,
            variable_values: None,
            ..source
        });
        assert!(artifact.get("transcript").is_none() && artifact.get("recordingUrl").is_none());
    }
}
