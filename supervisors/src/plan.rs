//! From an assistant's document to a call that can be started.

use std::sync::Arc;

use offhook_actors::{CallSpec, RecordingPlan, Staged, Stages};
use offhook_api::{
    AssistantView, Credentials, Defaults, ServerTarget, StageConfig, call::Fallback,
};
use offhook_config::Settings;
use offhook_core::{FailureClass, Stage, StageFailure};
use offhook_providers::{Access, BuildError, Net, llm, stt, tts};
use serde_json::{Map, Value, json};

use crate::{StartCall, access, fallback};

/// What will be started.
pub(crate) struct Plan {
    pub spec: CallSpec,
    /// What the document asks for and this version does not do, for the log.
    pub notes: Vec<String>,
    /// Providers of which a fallback takes the place.
    pub replaced: Vec<Fallback>,
}

/// Folder of recordings, inside the store's.
const RECORDINGS: &str = "recordings";

/// Reads the assistant and sets up its providers. The failure is that of the first stage that
/// cannot be had, its fallback plan's providers included.
pub(crate) fn plan(
    start: &StartCall,
    settings: &Settings,
    net: &Net,
) -> Result<Plan, StageFailure> {
    let view = &start.assistant;
    let defaults = defaults(settings, &start.credentials);
    let model_options = with_call(view.model(&defaults), start);
    let assistant_id = start.record.as_value().get("assistantId").and_then(Value::as_str);
    let has_gateway = settings.providers.get(OPENAI).is_some_and(|it| it.base_url.is_some());
    let model_options = with_cache_key(model_options, assistant_id, has_gateway);
    let transcribers = fallback::candidates(Stage::Transcriber, view.transcriber(&defaults))
        .map(|config| with_grammar(config, &model_options.options));
    let voices = fallback::candidates(Stage::Voice, view.voice(&defaults))
        .map(|config| with_call(config, start));
    let build = Build { settings, net, credentials: &start.credentials };
    let (transcriber, transcriber_replaced) = fallback::first(transcribers, |config| {
        build.stage(Stage::Transcriber, config, stt::build)
    })?;
    let (voice, voice_replaced) =
        fallback::first(voices, |config| build.stage(Stage::Voice, config, tts::build))?;
    let stages =
        Stages { transcriber, model: build.stage(Stage::Model, model_options, llm::build)?, voice };
    let replaced = [transcriber_replaced, voice_replaced].into_iter().flatten().collect();
    let recording = view.artifact_plan().recording_enabled.then(|| RecordingPlan {
        path: settings.store.path.join(RECORDINGS).join(format!("{}.wav", start.id)),
        urls: start.recording_urls.clone(),
    });
    let spec = CallSpec {
        id: start.id,
        org: start.org.clone(),
        assistant: view.clone(),
        variable_values: start.variable_values.clone(),
        options: view.call_options(),
        stages,
        format: start.format,
        hearing: start.hearing,
        server: server(view, settings),
        recording,
    };
    let notes = view
        .unsupported_tools()
        .iter()
        .map(|tool| {
            format!("tool `{}` of type {} is not offered to the model", tool.name, tool.kind)
        })
        .chain(view.voice_text().notes)
        .chain(view.speaking_notes())
        .chain(view.sound().notes)
        .collect();
    Ok(Plan { spec, notes, replaced })
}

/// Where the assistant's server events go: its own server, else the settings'.
pub(crate) fn server(view: &AssistantView, settings: &Settings) -> Option<ServerTarget> {
    view.server().cloned().or_else(|| {
        let url = settings.webhooks.url.clone()?;
        let timeout = settings.webhooks.timeout;
        Some(ServerTarget { timeout, ..ServerTarget::from_url(url, None) })
    })
}

/// What an assistant that names no provider gets: the cloud's where there is a key for it, else the
/// embedded ones.
fn defaults(settings: &Settings, credentials: &Credentials) -> Defaults {
    let has_key = |name: &str| {
        let configured = settings.providers.get(name);
        credentials.of_provider(name).is_some()
            || configured.is_some_and(|provider| provider.api_key.is_some())
    };
    Defaults {
        transcriber: match has_key("deepgram") {
            true => json!({"provider": "deepgram", "model": "nova-3"}),
            false => json!({"provider": "local"}),
        },
        model: match has_key("openai") {
            true => json!({"provider": "openai", "model": "gpt-5.4-mini"}),
            false => json!({"provider": "scripted", "rules": [{"when": "*", "reply": NO_MODEL}]}),
        },
        voice: json!({"provider": "local"}),
    }
}

/// Said where neither the assistant nor the server has a model.
const NO_MODEL: &str = "This assistant has no language model yet.";

/// A local transcriber without a grammar of its own listens for what the scripted model knows.
fn with_grammar(mut transcriber: StageConfig, model: &Value) -> StageConfig {
    if transcriber.provider == "local"
        && transcriber.options.get("grammar").is_none()
        && let Some(grammar) = model.get("rules").and_then(llm::grammar_from_rules)
    {
        transcriber.options["grammar"] = grammar.into();
    }
    transcriber
}

/// Custom models and voices are told which call they serve.
fn with_call(mut stage: StageConfig, start: &StartCall) -> StageConfig {
    if !matches!(stage.provider.as_str(), "custom-llm" | "custom-voice") {
        return stage;
    }
    let call = start.record.as_value();
    let picked = ["id", "orgId", "type", "status", "assistantId", "name", "createdAt"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), call.get(name)?.clone())));
    let mut context = json!({ "call": picked.collect::<Map<_, _>>() });
    let assistant = start.assistant.document();
    for (name, value) in
        [("customer", call.get("customer")), ("metadata", assistant.get("metadata"))]
    {
        if let Some(value) = value {
            context[name] = value.clone();
        }
    }
    stage.options["callContext"] = context;
    stage
}

/// The calls of one stored assistant begin with the same prompt: a key of its own has OpenAI route
/// them to where that is cached. A gateway may refuse the parameter, which would cost a round trip.
fn with_cache_key(
    mut stage: StageConfig,
    assistant: Option<&str>,
    has_gateway: bool,
) -> StageConfig {
    let is_set = stage.options.get(CACHE_KEY).is_some_and(|key| !key.is_null());
    if let Some(id) = assistant
        && stage.provider == OPENAI
        && !has_gateway
        && !is_set
    {
        stage.options[CACHE_KEY] = id.into();
    }
    stage
}

const OPENAI: &str = "openai";
const CACHE_KEY: &str = "promptCacheKey";

struct Build<'a> {
    settings: &'a Settings,
    net: &'a Net,
    credentials: &'a Credentials,
}

/// Sets up one provider from a stage's object.
type BuildProvider<P> = fn(&Value, &Access, &Net) -> Result<Box<P>, BuildError>;

impl Build<'_> {
    fn stage<P: ?Sized>(
        &self,
        stage: Stage,
        config: StageConfig,
        build: BuildProvider<P>,
    ) -> Result<Staged<P>, StageFailure> {
        let StageConfig { provider: name, mut options } = config;
        let failed = |class, detail| StageFailure { stage, provider: name.clone(), class, detail };
        let configured = self.settings.providers.get(&name);
        let reached = access::of_stage(&name, &mut options, configured, self.credentials, self.net);
        let (access, net) = reached.map_err(|detail| failed(FailureClass::BadRequest, detail))?;
        match build(&options, &access, &net) {
            Ok(provider) => Ok(Staged { name, provider: Arc::from(provider) }),
            Err(error) => {
                let class = match &error {
                    BuildError::Unknown { .. } | BuildError::Dead { .. } => {
                        FailureClass::Unsupported
                    }
                    BuildError::Options { .. } => FailureClass::BadRequest,
                    BuildError::KeyMissing { .. } => FailureClass::Unauthorized,
                };
                Err(failed(class, error.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(options: Value, assistant: Option<&str>, has_gateway: bool) -> Value {
        let provider = options["provider"].as_str().unwrap().to_owned();
        let stage = StageConfig { provider, options };
        with_cache_key(stage, assistant, has_gateway).options[CACHE_KEY].clone()
    }

    #[test]
    fn the_calls_of_a_stored_assistant_share_a_cache_unless_the_document_says_which() {
        let openai = || json!({"provider": "openai"});
        assert_eq!(key(openai(), Some("a-1"), false), "a-1");
        assert_eq!(key(openai(), Some("a-1"), true), Value::Null);
        assert_eq!(key(openai(), None, false), Value::Null);
        assert_eq!(key(json!({"provider": "groq"}), Some("a-1"), false), Value::Null);
        let own = json!({"provider": "openai", "promptCacheKey": "mine"});
        assert_eq!(key(own, Some("a-1"), false), "mine");
    }
}
