//! `offhook bench turns`: measures how turns are taken, with callers that speak.
//!
//! Callers are synthesized voices that say whole sentences, hesitate, dictate, think, and do things
//! over the agent's answer: "mm-hm", real interruptions, coughs, doors that slam, their line's echo of
//! the agent. What they say is put together from pieces, so that where each word lies, and when a
//! caller is done, is known and not guessed by the detector that is being tested.
//!
//! The providers are fakes. The transcriber is told the words of each call beforehand and gives them
//! out as their audio comes, with the delays of Deepgram (`chaos::fakes::scripts`): it does not mishear,
//! which is what the figures leave out. The agent counts in tones, so that what is heard of it is known
//! word by word; its echo is that of a synthesized voice, as no detector takes tones for one.

mod call;
mod caller;
mod cases;
mod category;
mod check;
mod ears;
mod noise;
mod options;
mod phrases;
mod results;
mod table;
mod utterance;
mod verdict;
mod voices;

use std::{
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use offhook_media::AudioFormat;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

use super::{
    STDOUT, fakes,
    options::{Transcriber, name},
    progress::Progress,
    stage::Own,
    write_json,
};
use crate::{
    client::{self, Client},
    console::{Console, Style},
    server_child::told_to_stop,
};
use call::{Line, Outcome};
use caller::{Caller, Conduct};
use cases::{Case, Cases, snr_name};
use options::Options;
use results::Results;

pub use options::TurnsArgs;

/// What phones use.
const FORMAT: fn() -> AudioFormat = AudioFormat::mulaw;

/// Numbers of an answer: five seconds, which leaves time to disturb it and to hear it go on.
const ANSWER_WORDS: u32 = 25;

/// From the end of an utterance's sound to its final text, beyond the silence that is asked for, in ms.
const STT_DELAY_MS: u64 = 100;

/// From a request to its first token, in ms; the others come with it.
const LLM_TTFT_MS: u64 = 200;

/// From a text to its first audio, in ms.
const TTS_TTFB_MS: u64 = 100;

/// What model and voice take of a response, and nobody could do anything about.
const PROVIDERS_TAKE: Duration = Duration::from_millis(LLM_TTFT_MS + TTS_TTFB_MS);

/// Time between the first calls.
const RAMP: Duration = Duration::from_millis(100);

/// Time for the fakes to take a line of a script.
const SCRIPT_LIMIT: Duration = Duration::from_secs(5);

pub async fn run(args: TurnsArgs) -> Result<ExitCode, String> {
    let options = args.read()?;
    let mut progress = Progress::new(0);
    progress.say("speaking what the callers say");
    let cases = Cases::build(&options.selection, FORMAT(), ANSWER_WORDS).await?;
    let total = u32::try_from(cases.cases.len()).unwrap_or(u32::MAX);
    let own = Own::start(fakes_options(options.selection.seed), options.at_once).await?;
    progress = Progress::new(total);
    progress.say(&format!("placing {total} calls, {} at a time", options.at_once));
    let measured = tokio::select! {
        measured = measure(&own, cases, &options, &mut progress) => measured,
        stopped = told_to_stop() => Err(stopped.err().unwrap_or_else(|| "stopped before the end".into())),
    };
    progress.finish();
    let stopped = own.stop().await;
    let results = measured?;
    stopped?;
    conclude(&results, &options)
}

fn fakes_options(seed: u64) -> Value {
    json!({"seed": seed, "timing": {
        "stt_delay": {"fixed": STT_DELAY_MS},
        "llm_ttft": {"fixed": LLM_TTFT_MS},
        "llm_token_gap": {"fixed": 0},
        "llm_words": ANSWER_WORDS,
        "tts_ttfb": {"fixed": TTS_TTFB_MS},
    }})
}

async fn measure(
    own: &Own,
    cases: Cases,
    options: &Options,
    progress: &mut Progress,
) -> Result<Results, String> {
    let access = &own.server.access;
    let line = Arc::new(Line {
        client: Client::new(&access.url, &access.key)?,
        http: client::local_http(SCRIPT_LIMIT)?,
        scripts_url: fakes::address(&own.fakes.url, "scripts"),
        assistant: assistant(options),
        format: FORMAT(),
    });
    let conduct = Arc::new(Conduct {
        format: FORMAT(),
        answer_words: ANSWER_WORDS,
        echoes: cases.echoes,
        echo_words: options.echo_words,
        seed: options.selection.seed,
    });
    let began = Instant::now();
    let room = Arc::new(Semaphore::new(options.at_once as usize));
    let mut calls: JoinSet<(Arc<Case>, Outcome)> = JoinSet::new();
    let mut results = Results::default();
    let (mut waiting, mut ended) = (cases.cases.into_iter().peekable(), 0);
    loop {
        let up = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        progress.show(ended, up);
        if waiting.peek().is_none() && calls.is_empty() {
            break;
        }
        tokio::select! {
            Some(call) = calls.join_next() => {
                let (case, outcome) = call.map_err(|error| format!("a caller failed: {error}"))?;
                ended += 1;
                results.add(&case, outcome, ANSWER_WORDS);
            }
            place = room.clone().acquire_owned(), if waiting.peek().is_some() => {
                let place = place.expect("the semaphore is never closed");
                let Some(case) = waiting.next() else { continue };
                let (line, conduct) = (Arc::clone(&line), Arc::clone(&conduct));
                calls.spawn(async move {
                    let caller = |now| Caller::new(Arc::clone(&case), conduct, now);
                    let outcome = call::hold(&line, &case, caller).await;
                    drop(place);
                    (case, outcome)
                });
                sleep(RAMP).await;
            }
        }
    }
    results.took = began.elapsed();
    Ok(results)
}

/// An assistant with nothing but its providers, and the fields of the plan.
fn assistant(options: &Options) -> Value {
    let transcriber = match options.transcriber {
        Transcriber::Deepgram => json!({
            "provider": "deepgram", "model": "nova-3", "language": "en",
        }),
        Transcriber::Flux => json!({"provider": "deepgram", "model": "flux-general-en"}),
    };
    let mut assistant = json!({
        "name": "offhook bench turns",
        "transcriber": transcriber,
        "model": {
            "provider": "openai",
            "model": "gpt-4.1-mini",
            "messages": [{"role": "system", "content": "Count."}],
        },
        "voice": {
            "provider": "11labs",
            "voiceId": "21m00Tcm4TlvDq8ikWAM",
            "model": "eleven_flash_v2_5",
            // Numbers are the words of the tones: they are to reach the voice as they are.
            "chunkPlan": {"formatPlan": {"enabled": false}},
        },
        "clientMessages": ["user-interrupted"],
        "serverMessages": [],
        "artifactPlan": {"recordingEnabled": false},
        "silenceTimeoutSeconds": 60,
    });
    for (field, value) in options.plan.fields.as_object().into_iter().flatten() {
        assistant[field] = value.clone();
    }
    assistant
}

/// Shows the results, and says whether they are good.
fn conclude(results: &Results, options: &Options) -> Result<ExitCode, String> {
    let targets = check::targets(results, &options.plan);
    let json = options.json.as_deref();
    if json != Some(Path::new(STDOUT)) {
        let console = Console::new();
        console.line(console.paint(Style::Heading, &headline(options)));
        table::print(console, results, &targets);
    }
    if let Some(path) = json {
        let mut document = results.json();
        document["settings"] = settings(options);
        document["targets"] = check::json(&targets);
        write_json(path, &document)?;
    }
    let is_good =
        results.failures.is_empty() && (!options.check || targets.iter().all(|target| target.met));
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn headline(options: &Options) -> String {
    format!(
        "offhook bench turns: {} calls of each category and noise, plan {}, {}, seed {}",
        options.selection.calls,
        options.plan.name,
        name(options.transcriber),
        options.selection.seed
    )
}

/// What was asked for, for whoever reads the figures later.
fn settings(options: &Options) -> Value {
    let selection = &options.selection;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "plan": options.plan.name,
        "assistant": assistant(options),
        "categories": selection.categories.iter().map(|one| name(*one)).collect::<Vec<_>>(),
        "snrs": selection.snrs.iter().map(|one| snr_name(*one)).collect::<Vec<_>>(),
        "calls": selection.calls,
        "at_once": options.at_once,
        "echo_words": options.echo_words,
        "seed": selection.seed,
    })
}
