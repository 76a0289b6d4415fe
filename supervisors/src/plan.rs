//! From an assistant's document to a call that can be started.

use std::sync::Arc;

use offhook_actors::{CallSpec, HealthKey, ProviderHealth, RecordingPlan, Staged, Stages};
use offhook_api::{
    AssistantView, Credentials, Defaults, ServerTarget, StageConfig, call::Fallback, tool::Tool,
};
use offhook_config::Settings;
use offhook_core::{FailureClass, Stage, StageFailure};
use offhook_providers::{Access, BuildError, Net, llm, stt, tts};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{StartCall, access, fallback, phone};

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
    health: &ProviderHealth,
) -> Result<Plan, StageFailure> {
    let view = &start.assistant;
    let defaults = defaults(settings, &start.credentials);
    let model_options = view.model(&defaults);
    let assistant_id = start.record.as_value().get("assistantId").and_then(Value::as_str);
    let has_gateway = settings.providers.get(OPENAI).is_some_and(|it| it.base_url.is_some());
    let model_options = with_cache_key(model_options, assistant_id, has_gateway);
    let transcribers =
        fallback::candidates(Stage::Transcriber, view.transcriber(&defaults), health);
    let voices = fallback::candidates(Stage::Voice, view.voice(&defaults), health);
    let rules = model_options.options.clone();
    let models = fallback::candidates(Stage::Model, model_options, health);
    let build = Build { settings, net, credentials: &start.credentials, org: &start.org };
    let transcriber = fallback::served(transcribers, |config| {
        build.stage(Stage::Transcriber, with_grammar(config, &rules), stt::build)
    })?;
    let voice = fallback::served(voices, |config| {
        build.stage(Stage::Voice, with_call(config, start), tts::build)
    })?;
    let model = fallback::served(models, |config| {
        build.stage(Stage::Model, with_call(config, start), llm::build)
    })?;
    let stages =
        Stages { transcriber: transcriber.roster, model: model.roster, voice: voice.roster };
    let replaced = [transcriber.replaced, model.replaced, voice.replaced];
    let replaced = replaced.into_iter().flatten().collect();
    let fallback_notes = [transcriber.notes, model.notes, voice.notes].concat();
    let recording = view.artifact_plan().recording_enabled.then(|| RecordingPlan {
        path: settings.store.path.join(RECORDINGS).join(format!("{}.wav", start.id)),
        urls: start.recording_urls.clone(),
    });
    let mut options = view.call_options();
    let mut phone_notes = Vec::new();
    if start.line.is_none() {
        options.tools.retain(|spec| !view.tool(&spec.name).is_some_and(Tool::needs_phone));
        let phone_tools = view.tools().iter().filter(|tool| tool.needs_phone());
        phone_notes.extend(phone_tools.map(|tool| {
            format!("tool `{}` is offered to the model on phone calls alone", tool.spec.name)
        }));
    }
    let spec = CallSpec {
        id: start.id,
        org: start.org.clone(),
        assistant: view.clone(),
        variable_values: start.variable_values.clone(),
        options,
        stages,
        format: start.format,
        hearing: start.hearing,
        server: server(view, start.server.as_ref(), settings),
        recording,
        keys: start.keys.clone(),
        line: start.line.clone(),
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
        .chain(fallback_notes)
        .chain(phone_notes)
        .collect();
    Ok(Plan { spec, notes, replaced })
}

/// Where the assistant's server events go: its own server, else that of the phone number, else the
/// settings'.
pub(crate) fn server(
    view: &AssistantView,
    number: Option<&ServerTarget>,
    settings: &Settings,
) -> Option<ServerTarget> {
    view.server().or(number).cloned().or_else(|| phone::server(settings))
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
    org: &'a str,
}

/// Sets up one provider from a stage's object.
type BuildProvider<P> = fn(&Value, &Access, &Net) -> Result<Box<P>, BuildError>;

impl Build<'_> {
    fn stage<P: ?Sized>(
        &self,
        stage: Stage,
        config: StageConfig,
        build: BuildProvider<P>,
    ) -> Result<Vec<Staged<P>>, StageFailure> {
        let configured = self.settings.providers.get(&config.provider);
        let is_credential = self.credentials.of_provider(&config.provider).is_some();
        let keys = match configured {
            Some(provider) if !is_credential => provider.keys().len().max(1),
            Some(_) | None => 1,
        };
        (0..keys).map(|key| self.with_key(key, stage, config.clone(), build)).collect()
    }

    /// Sets up a provider with one of its keys, the first of which is 0.
    fn with_key<P: ?Sized>(
        &self,
        key: usize,
        stage: Stage,
        config: StageConfig,
        build: BuildProvider<P>,
    ) -> Result<Staged<P>, StageFailure> {
        let StageConfig { provider: name, mut options } = config;
        let failed = |class, detail| StageFailure { stage, provider: name.clone(), class, detail };
        let configured = self.settings.providers.get(&name).map(|it| it.with_key(key));
        let reached =
            access::of_stage(&name, &mut options, configured.as_ref(), self.credentials, self.net);
        let (access, net) = reached.map_err(|detail| failed(FailureClass::BadRequest, detail))?;
        let health = self.health_key(stage, &name, key, &options);
        match build(&options, &access, &net) {
            Ok(provider) => Ok(Staged { name, provider: Arc::from(provider), health }),
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

impl Build<'_> {
    /// Whose health a provider shares: that of its key, and of its host where the document names it.
    fn health_key(&self, stage: Stage, name: &str, key: usize, options: &Value) -> HealthKey {
        let is_credential = self.credentials.of_provider(name).is_some();
        let host = ["/url", "/server/url"]
            .iter()
            .find_map(|path| options.pointer(path)?.as_str())
            .filter(|_| name.starts_with("custom-"))
            .and_then(|url| Some(Url::parse(url).ok()?.host_str()?.to_owned()));
        let is_own = is_credential || host.is_some();
        let key = match (is_credential, key) {
            (true, _) => "credential".to_owned(),
            (false, 0) => String::new(),
            (false, further) => format!("key {}", further + 1),
        };
        HealthKey {
            key,
            host: host.unwrap_or_default(),
            org: is_own.then(|| self.org.to_owned()),
            ..HealthKey::new(stage, name)
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
