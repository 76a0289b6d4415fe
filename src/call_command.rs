//! `offhook call`: one call from a terminal, against a running server.

pub mod narrator;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use offhook_core::{Blame, EndedReason};
use offhook_media::AudioFormat;
use offhook_testkit::caller::{
    self, CallerOptions, ClosedBy, Heard, Line, Spoken, read_wav, synth::Voice,
};
use reqwest::Url;
use serde_json::{Value, json};

use crate::{
    client::{self, Client},
    console::{Console, Style},
};
use narrator::Narrator;

/// Time for a server to file a call that is over.
const ENDED_LIMIT: Duration = Duration::from_secs(15);

/// Largest assistant file, in bytes: as much as a server takes by default.
const ASSISTANT_BYTES_MAX: u64 = 1024 * 1024;

/// Where a server that was started here keeps the key that it made for itself.
const LOCAL_KEY_FILE: &str = "offhook-data/api-key";

/// What to call, and what to say.
#[derive(Args)]
pub struct CallArgs {
    /// The assistant that answers: a JSON file as `POST /assistant` takes it
    #[arg(long, value_name = "FILE.json")]
    assistant: PathBuf,
    /// The server's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// API key; for a server on this machine, by default the one in offhook-data/api-key
    #[arg(long, env = "OFFHOOK_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// A sentence to say when it is the caller's turn; may be repeated
    #[arg(long, value_name = "TEXT", required_unless_present = "wav", conflicts_with = "wav")]
    say: Vec<String>,
    /// A recording to play instead, when it is the caller's turn; may be repeated
    #[arg(long, value_name = "IN.wav")]
    wav: Vec<PathBuf>,
    /// Who says it: flite:rms, flite:slt, flite:awb, flite:kal, or espeak:en-us and the like
    #[arg(long, default_value = "flite:rms")]
    voice: String,
    /// Where to write what was heard: stereo, the caller left, the assistant right
    #[arg(long, value_name = "OUT.wav")]
    out: Option<PathBuf>,
    /// Samples a second of the call's audio, in Hz
    #[arg(long, default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(8_000..=48_000))]
    rate: u32,
    /// Call with telephone audio: mu-law, 8000 Hz
    #[arg(long, conflicts_with = "rate")]
    mulaw: bool,
}

pub async fn run(args: CallArgs) -> Result<ExitCode, String> {
    let console = Console::new();
    let assistant = read_assistant(&args.assistant)?;
    let format = match args.mulaw {
        true => AudioFormat::mulaw(),
        false => AudioFormat::pcm16(args.rate),
    };
    let client = Client::new(&args.server, &key(&args.server, args.key.as_deref())?)?;
    let lines = lines(&args, format).await?;
    let call = client.post("/call", &call_request(&assistant, format)).await?;
    let id = text(&call, "id")?;
    console.line(console.paint(Style::Aside, &format!("call {id} on {}", args.server)));

    let mut options = CallerOptions::new(websocket_url(&call)?, format, lines);
    options.speaks_first = !assistant_speaks_first(&assistant);
    let mut narrator = Narrator::new(console);
    options.on_event = Some(Box::new(move |at, event| narrator.tell(at, event)));
    let heard = caller::call(options).await.map_err(|error| error.to_string())?;
    let ended = client.ended_call(id, ENDED_LIMIT).await?;
    if let Some(out) = &args.out {
        heard.write_wav(out).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
        console.line(format_args!("wrote {}", out.display()));
    }
    Ok(conclude(console, &heard, &ended))
}

/// Says how the call ended, and whether that is in order.
fn conclude(console: Console, heard: &Heard, ended: &Value) -> ExitCode {
    for complaint in &heard.complaints {
        console.line(console.paint(Style::Warning, &format!("warning: {complaint}")));
    }
    let reason = ended["endedReason"].as_str().unwrap_or("the server does not say");
    console.line(format_args!("ended after {:.1} s: {reason}", heard.closed.at.as_secs_f64()));
    match problem(&heard.closed, &ended["endedReason"]) {
        None => ExitCode::SUCCESS,
        Some(problem) => {
            console.line(console.paint(Style::Bad, &format!("FAILED: {problem}")));
            ExitCode::FAILURE
        }
    }
}

/// What is wrong with how a call ended.
fn problem(closed: &caller::CloseInfo, reason: &Value) -> Option<String> {
    match closed.by {
        ClosedBy::OutOfPatience => {
            return Some("the assistant did not answer, the caller gave up waiting".into());
        }
        ClosedBy::TimeLimit => return Some("the call did not come to an end".into()),
        ClosedBy::Lost => return Some(format!("the connection broke: {}", closed.reason)),
        ClosedBy::Caller | ClosedBy::Agent => {}
    }
    match serde_json::from_value::<EndedReason>(reason.clone()) {
        Ok(reason) => match reason.blame() {
            Blame::Nobody => None,
            blame @ (Blame::Caller | Blame::Provider | Blame::Runtime) => Some(format!(
                "the call ended with {reason}, to be answered for by {}",
                blame.name()
            )),
        },
        Err(_) => Some(format!("the call has no known ended reason but {reason}")),
    }
}

/// The body of `POST /call` for a call over a websocket.
fn call_request(assistant: &Value, format: AudioFormat) -> Value {
    json!({"assistant": assistant, "transport": transport(format)})
}

/// The websocket transport, in the contract's words.
pub fn transport(format: AudioFormat) -> Value {
    let encoding = if format == AudioFormat::mulaw() { "mulaw" } else { "pcm_s16le" };
    json!({
        "provider": "vapi.websocket",
        "audioFormat": {"format": encoding, "container": "raw", "sampleRate": format.sample_rate_hz},
    })
}

/// Where the audio of a call goes.
pub fn websocket_url(call: &Value) -> Result<&str, String> {
    if call["status"] == "ended" {
        let reason = call["endedReason"].as_str().unwrap_or("no reason");
        let message = call["endedMessage"].as_str().map(|message| format!(" ({message})"));
        let message = message.unwrap_or_default();
        return Err(format!("the call ended before it began: {reason}{message}"));
    }
    text(&call["transport"], "websocketCallUrl")
}

/// A text that the server's answers have.
pub fn text<'a>(document: &'a Value, field: &str) -> Result<&'a str, String> {
    document[field].as_str().ok_or_else(|| format!("the server's answer has no `{field}`"))
}

/// Reads an assistant as `POST /assistant` takes it.
pub fn read_assistant(path: &Path) -> Result<Value, String> {
    let failed =
        |reason: String| format!("cannot read an assistant from {}: {reason}", path.display());
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > ASSISTANT_BYTES_MAX {
        return Err(failed(format!("{size} bytes, expected at most {ASSISTANT_BYTES_MAX}")));
    }
    let json = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    match serde_json::from_str(&json) {
        Ok(Value::Object(assistant)) => Ok(Value::Object(assistant)),
        Ok(_) => Err(failed("expected a JSON object, as `POST /assistant` takes it".into())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The key to use with a server: the given one, or that of a server on this machine.
pub fn key(server: &str, given: Option<&str>) -> Result<String, String> {
    if let Some(key) = given {
        return Ok(key.to_owned());
    }
    // A key that lies around here is nobody else's business.
    let is_local = Url::parse(server).is_ok_and(|url| client::is_local(&url));
    let found = is_local.then(|| std::fs::read_to_string(LOCAL_KEY_FILE).ok()).flatten();
    found.map(|key| key.trim().to_owned()).ok_or_else(|| {
        format!(
            "no API key: give it with --key or OFFHOOK_API_KEY; a server without configured keys keeps the one \
             it made in its data folder, for example `--key \"$(cat {LOCAL_KEY_FILE})\"`"
        )
    })
}

async fn lines(args: &CallArgs, format: AudioFormat) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    let voice: Voice =
        args.voice.parse().map_err(|error: caller::CallerError| error.to_string())?;
    for text in &args.say {
        let line = Line::say(text, &voice, format.sample_rate_hz).await;
        lines.push(line.map_err(|error| error.to_string())?);
    }
    for path in &args.wav {
        let samples = read_wav(path, format.sample_rate_hz).map_err(|error| error.to_string())?;
        lines.push(Line::Say(Spoken::new(path.display().to_string(), samples)));
    }
    Ok(lines)
}

/// By the contract's `firstMessageMode`, `assistant-speaks-first` by default.
fn assistant_speaks_first(assistant: &Value) -> bool {
    match assistant["firstMessageMode"].as_str() {
        Some("assistant-waits-for-user") => false,
        Some("assistant-speaks-first-with-model-generated-message") => true,
        Some(_) | None => {
            assistant["firstMessage"].as_str().is_some_and(|message| !message.trim().is_empty())
        }
    }
}

#[cfg(test)]
mod tests;
