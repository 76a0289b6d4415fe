//! A scenario against a user's own assistant and its real providers: a proxy between the server and
//! the providers breaks what passes.

use std::{collections::HashMap, path::Path, process::ExitCode, time::Duration};

use offhook_chaos::{proxy::Proxy, scenario::Row};
use offhook_config::Settings;
use offhook_media::AudioFormat;
use offhook_testkit::caller::{self, CallerOptions, Heard, Line, synth::Voice};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    options::Own,
    sockets::{
        has_recipe,
        recipes::{Recipe, Step},
    },
};
use crate::{
    call_command::{narrator::Narrator, read_assistant, text, transport, websocket_url},
    client::Client,
    console::{Console, Style},
    server_child::{Server, ServerOptions},
};

/// Providers' own addresses, as their settings' `base_url` would have them.
const ADDRESSES: &[(&str, &str)] = &[
    ("deepgram", "https://api.deepgram.com"),
    ("openai", "https://api.openai.com/v1"),
    ("anthropic", "https://api.anthropic.com"),
    ("11labs", "https://api.elevenlabs.io"),
    ("cartesia", "https://api.cartesia.ai"),
    ("groq", "https://api.groq.com/openai/v1"),
    ("mistral", "https://api.mistral.ai/v1"),
    ("xai", "https://api.x.ai/v1"),
];

/// What the caller says where nobody says what.
const SAYS: &[&str] = &["Hello, could you help me please?", "Thank you. And what else can you do?"];

/// Longest silence while the caller waits, whatever breaks.
const DEAD_AIR_MAX: Duration = Duration::from_secs(5);

/// Time for the call's document to say that it has ended.
const END_LIMIT: Duration = Duration::from_secs(10);

const FORMAT: AudioFormat = AudioFormat::pcm16(16_000);

pub async fn run(own: Own) -> Result<ExitCode, String> {
    let console = Console::new();
    let assistant = read_assistant(&own.assistant)?;
    let mut failed = false;
    for row in &own.rows {
        failed |= !run_one(console, &own, row, &assistant).await?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One scenario; says whether its promise held.
async fn run_one(
    console: Console,
    own: &Own,
    row: &Row,
    assistant: &Value,
) -> Result<bool, String> {
    let breaks_providers = ["stt_", "tts_", "llm_"].iter().any(|it| row.name.starts_with(it));
    if !has_recipe(row.name, None) || !breaks_providers {
        return Err(format!(
            "`{}` does not break a provider on its way, expected a scenario such as \
             stt_drop_mid_utterance, tts_dies_mid_sentence or llm_5xx",
            row.name
        ));
    }
    let cast = Cast::of(assistant);
    let proxy = Proxy::start(cast.upstreams(own.config.as_deref())?)
        .await
        .map_err(|error| format!("cannot serve a proxy at 127.0.0.1: {error}"))?;
    let folder = tempfile::tempdir()
        .map_err(|error| format!("cannot make a folder for the server: {error}"))?;
    let rewritten =
        cast.names().map(|name| format!("providers.{name}.base_url={}", proxy.base_url(name)));
    let server = Server::start(ServerOptions {
        address: None,
        data: folder.path().join("data"),
        log: folder.path().join("server.log"),
        config: own.config.clone(),
        settings: rewritten.collect(),
    })
    .await?;
    console.line(console.paint(Style::Heading, &format!("{}: {}", row.name, row.promise)));
    let client = Client::new(&server.access.url, &server.access.key)?;
    let request = json!({"assistant": assistant, "transport": transport(FORMAT)});
    let call = client.post("/call", &request).await?;
    let mut options = CallerOptions::new(websocket_url(&call)?, FORMAT, lines(own).await?);
    let mut narrator = Narrator::new(console);
    options.on_event = Some(Box::new(move |at, event| narrator.tell(at, event)));
    let recipe = Recipe::of(row.name, own.seed, None);
    let talking = caller::call(options);
    let breaking = break_things(console, &proxy, &cast, &recipe, own.at);
    let (heard, broke) = tokio::join!(talking, breaking);
    broke?;
    let heard = heard.map_err(|error| error.to_string())?;
    let ended = client.ended_call(text(&call, "id")?, END_LIMIT).await?;
    server.stop().await?;
    Ok(judge(console, row, &heard, &ended, own))
}

async fn lines(own: &Own) -> Result<Vec<Line>, String> {
    let usual = || SAYS.iter().map(|text| (*text).to_owned()).collect();
    let texts: Vec<String> = if own.say.is_empty() { usual() } else { own.say.clone() };
    let voice = Voice::default();
    let mut lines = Vec::new();
    for text in texts {
        let line = Line::say(&text, &voice, FORMAT.sample_rate_hz).await;
        lines.push(line.map_err(|error| error.to_string())?);
    }
    Ok(lines)
}

/// Breaks the providers that the recipe's stand for, at the recipe's times or at the user's.
async fn break_things(
    console: Console,
    proxy: &Proxy,
    cast: &Cast,
    recipe: &Recipe,
    at: Option<Duration>,
) -> Result<(), String> {
    let mut now = Duration::ZERO;
    for (due, step) in &recipe.steps {
        let Step::Fault(fault) = step else { continue };
        let due = at.unwrap_or(*due).max(now);
        sleep(due - now).await;
        now = due;
        let Some(fault) = cast.translated(fault) else { continue };
        console.line(
            console.paint(Style::Bad, &format!("{:6.2} s  broken: {fault}", due.as_secs_f64())),
        );
        proxy.fault(&fault)?;
    }
    Ok(())
}

/// Says what became of the call; true where all is well.
fn judge(console: Console, row: &Row, heard: &Heard, ended: &Value, own: &Own) -> bool {
    let reason = ended["endedReason"].as_str().unwrap_or("no reason");
    let longest = heard.turns.iter().map(|turn| turn.latency()).max().unwrap_or_default();
    let lines = if own.say.is_empty() { SAYS.len() } else { own.say.len() };
    for taken_over in ended["fallbacks"].as_array().into_iter().flatten() {
        console.line(format_args!("took over: {taken_over}"));
    }
    let mut broken = Vec::new();
    if reason.starts_with("pipeline-error") || reason.contains("error") {
        broken.push(format!("the call ended with `{reason}`"));
    }
    if heard.turns.len() < lines {
        broken.push(format!("{} of {lines} lines were answered", heard.turns.len()));
    }
    if longest > DEAD_AIR_MAX {
        broken.push(format!("the caller waited for {:.1} s", longest.as_secs_f64()));
    }
    console.line(format_args!(
        "ended with {reason}; longest wait for an answer {:.1} s",
        longest.as_secs_f64()
    ));
    let said = match broken.is_empty() {
        true => console.paint(Style::Good, &format!("held    {}", row.name)),
        false => console.paint(Style::Bad, &format!("BROKEN: {}: {}", row.name, broken.join(", "))),
    };
    console.line(said);
    broken.is_empty()
}

/// Who serves the assistant's stages: the first of each, and its fallbacks.
struct Cast {
    transcribers: Vec<String>,
    models: Vec<String>,
    voices: Vec<String>,
}

impl Cast {
    fn of(assistant: &Value) -> Self {
        let stage = |stage: &str, list: &str| {
            let of = &assistant[stage];
            let fallbacks = of["fallbackPlan"][list].as_array().into_iter().flatten();
            let all = std::iter::once(of).chain(fallbacks);
            all.filter_map(|it| it["provider"].as_str().map(str::to_owned)).collect()
        };
        Self {
            transcribers: stage("transcriber", "transcribers"),
            models: stage("model", "models"),
            voices: stage("voice", "voices"),
        }
    }

    /// Each provider that passes the proxy, once.
    fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.transcribers.iter().chain(&self.models).chain(&self.voices);
        let mut names: Vec<&str> = all.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter(|name| *name != "local" && *name != "scripted")
    }

    /// Their own addresses: what the settings have, else what is known.
    fn upstreams(&self, config: Option<&Path>) -> Result<HashMap<String, String>, String> {
        let settings = Settings::load(config, &[]).map_err(|error| error.to_string())?;
        self.names()
            .map(|name| {
                let set = settings.providers.get(name).and_then(|it| it.base_url.clone());
                let known = ADDRESSES.iter().find(|(known, _)| *known == name);
                let url = set.or_else(|| known.map(|(_, url)| (*url).to_owned()));
                let url = url.ok_or_else(|| {
                    format!(
                        "where `{name}` is reached is not known here: set providers.{name}.base_url \
                         in a settings file and give that with --config"
                    )
                })?;
                Ok((name.to_owned(), url))
            })
            .collect()
    }

    /// A recipe's fault for the provider that plays its part here; `None`: there is nobody.
    fn translated(&self, fault: &Value) -> Option<Value> {
        let here = match fault["provider"].as_str()? {
            "deepgram" => self.transcribers.first(),
            "custom-transcriber" => self.transcribers.get(1),
            "openai" => self.models.first(),
            "elevenlabs" => self.voices.first(),
            _ => None,
        }?;
        let mut fault = fault.clone();
        fault["provider"] = here.as_str().into();
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_breaks_whoever_plays_the_part_in_the_assistant() {
        let cast = Cast::of(&json!({
            "transcriber": {"provider": "deepgram", "fallbackPlan": {"transcribers": [
                {"provider": "custom-transcriber"}]}},
            "model": {"provider": "groq"},
            "voice": {"provider": "cartesia"},
        }));
        let names: Vec<_> = cast.names().collect();
        assert_eq!(names, ["cartesia", "custom-transcriber", "deepgram", "groq"]);
        let of = |provider| cast.translated(&json!({"provider": provider, "fault": "drop"}));
        assert_eq!(of("elevenlabs").unwrap()["provider"], "cartesia");
        assert_eq!(of("openai").unwrap()["provider"], "groq");
        assert!(of("anthropic").is_none());
        let error = cast.upstreams(None).unwrap_err();
        assert!(error.contains("providers.custom-transcriber.base_url"), "{error}");
    }
}
