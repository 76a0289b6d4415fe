//! An assistant as the runtime reads it.

use std::time::Duration;

use offhook_core::{CallOptions, FirstMessageMode, Message};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    MessageFilter, fillers,
    hooks::{Hooks, MessagePlanFields},
    lenient::{self, text},
    plans::{
        ArtifactPlan, ArtifactPlanFields, KeypadFields, MonitorPlan, MonitorPlanFields,
        StopSpeakingFields, time,
    },
    server::ServerTarget,
    sound::Sound,
    start_speaking::{self, StartSpeakingFields},
    tool::{self, Tool, UnsupportedTool},
    voice_text::VoiceText,
    voicemail,
};

/// A stage of an assistant: which provider, and the stage's whole object.
#[derive(Clone, Debug, PartialEq)]
pub struct StageConfig {
    pub provider: String,
    pub options: Value,
}

/// The stages of a server, for assistants that do not name their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    pub transcriber: Value,
    pub model: Value,
    pub voice: Value,
}

/// A resolved assistant: overrides applied, variables filled in.
#[derive(Clone, Debug)]
pub struct AssistantView {
    document: Value,
    fields: Fields,
    server: Option<ServerTarget>,
    tools: Vec<Tool>,
    unsupported_tools: Vec<UnsupportedTool>,
}

impl AssistantView {
    /// Reads an assistant's document; fields that nothing here uses are not looked at.
    ///
    /// # Errors
    ///
    /// Says which field cannot be read. A validated document always can.
    pub fn new(document: Value) -> Result<Self, String> {
        let fields = Fields::deserialize(&document)
            .map_err(|error| format!("assistant cannot be read: {error}"))?;
        let server = fields.server(&document);
        let (tools, unsupported_tools) = tool::read_all(
            lenient::get(&document, "model").unwrap_or(&Value::Null),
            fields.end_call_function_enabled.unwrap_or(false),
            server.as_ref(),
        );
        Ok(Self { document, fields, server, tools, unsupported_tools })
    }

    pub fn document(&self) -> &Value {
        &self.document
    }

    pub fn name(&self) -> Option<&str> {
        self.fields.name.as_deref()
    }

    /// The settings that the conversation acts on, with the contract's defaults.
    pub fn call_options(&self) -> CallOptions {
        let default = CallOptions::default();
        let fields = &self.fields;
        let first_message = fields.first_message.clone().filter(|text| !text.trim().is_empty());
        CallOptions {
            preamble: self.preamble(),
            first_message_mode: first_message_mode(
                fields.first_message_mode,
                first_message.is_some(),
            ),
            first_message,
            first_message_interruptions_enabled: fields
                .first_message_interruptions_enabled
                .unwrap_or(default.first_message_interruptions_enabled),
            start_speaking: self.start_speaking_plan().read(&self.language()),
            stop_speaking: fields.stop_speaking_plan.clone().unwrap_or_default().read(),
            silence_timeout_message: self.message_plan().silence_timeout_message(),
            hooks: Hooks::read(&self.document, &self.message_plan()).hooks,
            voicemail: voicemail::read(&self.document),
            keypad: fields.keypad_input_plan.clone().unwrap_or_default().read(),
            silence_timeout: time(fields.silence_timeout_seconds, default.silence_timeout),
            max_duration: time(fields.max_duration_seconds, default.max_duration)
                .max(MAX_DURATION_FLOOR),
            end_call_phrases: fields.end_call_phrases.clone().unwrap_or_default(),
            end_call_message: fields.end_call_message.clone().filter(|text| !text.is_empty()),
            tools: self.tools.iter().map(|tool| tool.spec.clone()).collect(),
            apology: default.apology,
            fillers: fillers::read(fields.filler_message.as_deref(), &self.spoken_language()),
            refusal: fields
                .refusal_message
                .clone()
                .filter(|text| !text.trim().is_empty())
                .unwrap_or(default.refusal),
        }
    }

    pub fn transcriber(&self, defaults: &Defaults) -> StageConfig {
        self.stage("transcriber", &defaults.transcriber)
    }

    pub fn model(&self, defaults: &Defaults) -> StageConfig {
        self.stage("model", &defaults.model)
    }

    pub fn voice(&self, defaults: &Defaults) -> StageConfig {
        self.stage("voice", &defaults.voice)
    }

    /// What becomes of the model's text on its way to the voice.
    pub fn voice_text(&self) -> VoiceText {
        let stage = |name| lenient::get(&self.document, name).unwrap_or(&Value::Null);
        VoiceText::read(stage("voice"), stage("transcriber"))
    }

    /// What its calls sound like, and how closely they listen.
    pub fn sound(&self) -> Sound {
        Sound::read(&self.document)
    }

    /// Where the assistant's webhooks go; absent: to the server that the settings name.
    pub fn server(&self) -> Option<&ServerTarget> {
        self.server.as_ref()
    }

    /// Where `call.endpointing.request` goes; absent: to the assistant's server.
    pub fn endpointing_server(&self) -> Option<ServerTarget> {
        self.start_speaking_plan().server()
    }

    /// What its plans and hooks ask for and this runtime does in another way; worth one line in the
    /// log a call.
    pub fn speaking_notes(&self) -> Vec<String> {
        let mut notes = self.start_speaking_plan().notes(&self.language());
        notes.extend(Hooks::read(&self.document, &self.message_plan()).notes);
        notes.extend(voicemail::notes(&self.document));
        notes
    }

    pub fn server_messages(&self) -> MessageFilter {
        let names = self.fields.server_messages.clone();
        names.map_or_else(MessageFilter::server_default, MessageFilter::new)
    }

    pub fn client_messages(&self) -> MessageFilter {
        let names = self.fields.client_messages.clone();
        names.map_or_else(MessageFilter::client_default, MessageFilter::new)
    }

    pub fn artifact_plan(&self) -> ArtifactPlan {
        let fields = &self.fields;
        let hipaa = fields.hipaa_enabled.unwrap_or(false)
            || fields.compliance_plan.as_ref().is_some_and(|plan| plan.hipaa_enabled == Some(true));
        let recording_default = fields.recording_enabled.unwrap_or(!hipaa);
        fields.artifact_plan.clone().unwrap_or_default().read(recording_default)
    }

    pub fn monitor_plan(&self) -> MonitorPlan {
        self.fields.monitor_plan.clone().unwrap_or_default().read()
    }

    /// The tools that the model is offered.
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.spec.name == name)
    }

    /// Tools of the document that the model is not offered; worth one warning a call.
    pub fn unsupported_tools(&self) -> &[UnsupportedTool] {
        &self.unsupported_tools
    }

    fn message_plan(&self) -> MessagePlanFields {
        self.fields.message_plan.clone().unwrap_or_default()
    }

    fn start_speaking_plan(&self) -> StartSpeakingFields {
        self.fields.start_speaking_plan.clone().unwrap_or_default()
    }

    fn language(&self) -> String {
        start_speaking::language(lenient::get(&self.document, "transcriber"))
    }

    /// What the agent speaks, as far as the document tells.
    fn spoken_language(&self) -> String {
        let voice = lenient::get(&self.document, "voice").and_then(|voice| text(voice, "language"));
        voice.map_or_else(|| self.language(), ToOwned::to_owned)
    }

    /// A stage without a provider is the server's, with the assistant's fields on top.
    fn stage(&self, name: &str, default: &Value) -> StageConfig {
        let mut options = lenient::get(&self.document, name).cloned().unwrap_or_default();
        if text(&options, "provider").is_none() {
            let mut merged = default.clone();
            if let (Value::Object(merged), Value::Object(own)) = (&mut merged, options) {
                merged.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
            }
            options = merged;
        }
        StageConfig { provider: text(&options, "provider").unwrap_or_default().to_owned(), options }
    }

    /// `model.systemPrompt` of older documents, then `model.messages`.
    fn preamble(&self) -> Vec<Message> {
        let Some(model) = lenient::get(&self.document, "model") else { return Vec::new() };
        let system = text(model, "systemPrompt")
            .map(|prompt| Message::System { content: prompt.to_owned() });
        let messages = model.get("messages").and_then(Value::as_array);
        let messages = messages.map_or(&[][..], Vec::as_slice).iter().filter_map(prompt_message);
        system.into_iter().chain(messages).collect()
    }
}

/// The shortest call that the contract lets `maxDurationSeconds` ask for.
const MAX_DURATION_FLOOR: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    name: Option<String>,
    first_message: Option<String>,
    first_message_mode: Option<FirstMessageMode>,
    first_message_interruptions_enabled: Option<bool>,
    end_call_message: Option<String>,
    end_call_phrases: Option<Vec<String>>,
    refusal_message: Option<String>,
    filler_message: Option<String>,
    end_call_function_enabled: Option<bool>,
    silence_timeout_seconds: Option<f64>,
    max_duration_seconds: Option<f64>,
    start_speaking_plan: Option<StartSpeakingFields>,
    stop_speaking_plan: Option<StopSpeakingFields>,
    message_plan: Option<MessagePlanFields>,
    keypad_input_plan: Option<KeypadFields>,
    server_messages: Option<Vec<String>>,
    client_messages: Option<Vec<String>>,
    server_url: Option<String>,
    server_url_secret: Option<String>,
    artifact_plan: Option<ArtifactPlanFields>,
    monitor_plan: Option<MonitorPlanFields>,
    recording_enabled: Option<bool>,
    hipaa_enabled: Option<bool>,
    compliance_plan: Option<CompliancePlanFields>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompliancePlanFields {
    hipaa_enabled: Option<bool>,
}

impl Fields {
    /// `server`, or `serverUrl` of older documents.
    fn server(&self, document: &Value) -> Option<ServerTarget> {
        if let Some(server) = lenient::get(document, "server").and_then(ServerTarget::read) {
            return Some(server);
        }
        let url = self.server_url.clone().filter(|url| !url.trim().is_empty())?;
        Some(ServerTarget::from_url(url, self.server_url_secret.clone().map(SecretString::from)))
    }
}

/// Without a first message, an assistant that would speak first waits (`firstMessage`).
fn first_message_mode(given: Option<FirstMessageMode>, has_message: bool) -> FirstMessageMode {
    let mode = given.unwrap_or_default();
    if mode == FirstMessageMode::AssistantSpeaksFirst && !has_message {
        return FirstMessageMode::AssistantWaitsForUser;
    }
    mode
}

/// A message of the prompt; roles that a prompt cannot have (a tool's) are instructions.
pub(crate) fn prompt_message(message: &Value) -> Option<Message> {
    let content = text(message, "content")?.to_owned();
    Some(match text(message, "role") {
        Some("user") => Message::User { content },
        Some("assistant") => Message::Assistant { content, interrupted: false },
        _ => Message::System { content },
    })
}

#[cfg(test)]
mod tests;
