//! One caller of a run over sockets, and what became of all of them.

use std::time::{Duration, Instant};

use offhook_chaos::scenario::{
    Bound, Measure,
    plan::Ending,
    words::{Compared, Stretch, compare},
};
use offhook_media::AudioFormat;
use offhook_testkit::{
    caller::{CallerOptions, Line, Spoken, call_over},
    tones::{self, Word},
};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{
    is_measured, line,
    recipes::Recipe,
    scene::{After, Happened, Scene},
};
use crate::call_command::{transport, websocket_url};

/// One call that is over.
pub struct Held {
    pub id: String,
    pub nth: u32,
    /// The agent's words, as they were heard: the audio itself would fill the memory of a long run.
    pub words: Vec<Word>,
    pub latencies: Vec<Duration>,
    /// When its media began.
    pub began: Instant,
    pub ended: Instant,
    pub call: Value,
    /// It came over a carrier.
    pub is_on_phone: bool,
}

/// The format of callers' audio; that of telephones has the same rate.
const FORMAT: AudioFormat = AudioFormat::mulaw();

/// What the agent says first. No number in it is a caller's or a turn's.
const GREETING: &str = "11 12 13 14 15";

/// Numbers of callers and of their turns, above what answers count to.
const CALLERS_FROM: u32 = 100;
const TURNS_FROM: u32 = 20;
const TURNS: u32 = 2;

/// What a caller says behind the two numbers: two seconds of speech.
const FILLING: &str = "1001 1002 1003 1004 1005 1006 1007 1008 1009 1010";

/// What has the fakes' model run a tool.
const RUN_TOOL: &str = " 2000";

/// What the fakes' model answers behind the two numbers.
const ANSWER: &str = "1 2 3 4 5 6 7 8";

/// Silence after which a caller gives up.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// Longest call.
pub const CALL_LIMIT: Duration = Duration::from_secs(90);

/// Time for the call's document to say that it has ended.
pub const END_LIMIT: Duration = Duration::from_secs(10);

/// Places a call and holds it to its end, with the caller that a recipe wants.
pub async fn hold(scene: &Scene, nth: u32, recipe: &Recipe) -> Result<Held, String> {
    let client = scene.client()?;
    let request = json!({
        "assistant": assistant(&scene.receiver.url, recipe),
        "transport": transport(FORMAT),
    });
    let call = client.post("/call", &request).await?;
    let id = call["id"].as_str().unwrap_or_default().to_owned();
    let socket = line::connect(websocket_url(&call)?).await?;
    let lines = questions(nth, recipe).map(|text| {
        Line::Say(Spoken::new(text.clone(), tones::speak(&text, FORMAT.sample_rate_hz)))
    });
    let mut options = CallerOptions::new("over sockets", FORMAT, lines.collect());
    options.turn_gap = recipe.turn_gap;
    options.patience = PATIENCE;
    options.limit = CALL_LIMIT;
    let began = Instant::now();
    let heard = call_over(socket, options).await;
    let ended = Instant::now();
    // A server that was told to stop is gone with its last call; its report says how that ended.
    let call = client.ended_call(&id, END_LIMIT).await.unwrap_or_default();
    let latencies = heard.turns.iter().map(|turn| turn.latency()).collect();
    let words = words_of(heard.agent).await?;
    Ok(Held { id, nth, words, latencies, began, ended, call, is_on_phone: false })
}

/// The words in what a caller heard.
pub async fn words_of(agent: Vec<i16>) -> Result<Vec<Word>, String> {
    let listened = move || tones::words_of(&agent, FORMAT.sample_rate_hz);
    spawn_blocking(listened).await.map_err(|error| error.to_string())
}

/// The assistant that everybody talks with.
pub fn assistant(receiver: &str, recipe: &Recipe) -> Value {
    let mut model = json!({"provider": "openai", "model": "gpt-4.1-mini"});
    if recipe.tool.is_some() {
        let parameters = json!({"type": "object", "properties": {}});
        let function = json!({"name": "book", "description": "Books.", "parameters": parameters});
        model["tools"] =
            json!([{"type": "function", "function": function, "server": {"url": receiver}}]);
    }
    if recipe.fallback {
        let other = json!({"provider": "anthropic", "model": "claude-haiku-4-5-20251001"});
        model["fallbackPlan"] = json!({"models": [other]});
    }
    let as_it_is = json!({"formatPlan": {"enabled": false}});
    json!({
        "transcriber": {
            "provider": "deepgram", "model": "nova-3", "language": "en", "endpointing": 300,
            "fallbackPlan": {"transcribers": [
                {"provider": "custom-transcriber", "server": {"url": "wss://transcriber.example"}},
            ]},
        },
        "model": model,
        "voice": {
            "provider": "11labs", "voiceId": "21m00Tcm4TlvDq8ikWAM", "model": "eleven_flash_v2_5",
            "chunkPlan": as_it_is, "cachingEnabled": false,
            "fallbackPlan": {"voices": [
                {"provider": "cartesia", "voiceId": "fallback", "chunkPlan": as_it_is},
            ]},
        },
        "firstMessage": GREETING,
        "server": {"url": receiver},
        "artifactPlan": {"recordingEnabled": false},
    })
}

fn keys(nth: u32, turn: u32) -> String {
    format!("{} {}", CALLERS_FROM + nth, TURNS_FROM + turn)
}

/// What a caller asks, turn by turn.
pub fn questions(nth: u32, recipe: &Recipe) -> impl Iterator<Item = String> + use<> {
    let has_tool = recipe.tool.is_some();
    (0..TURNS).map(move |turn| {
        let tool = if has_tool && turn == 0 { RUN_TOOL } else { "" };
        format!("{} {FILLING}{tool}", keys(nth, turn))
    })
}

/// The figures of a run, and what was broken that must not break.
pub fn judge(
    recipe: &Recipe,
    bounds: &[Bound],
    held: &[Held],
    after: &After,
    happened: &Happened,
) -> (Vec<(Measure, f64)>, Vec<String>) {
    let mut broken = Vec::new();
    let judged: Vec<_> = held.iter().map(|call| Judged::of(recipe, call)).collect();
    for (call, judged) in held.iter().zip(&judged) {
        call.check(recipe, judged, after, &mut broken);
    }
    for (what, left) in [
        ("calls are still active", after.active_calls),
        ("server events are still not delivered", after.outbox_pending),
        ("sessions of providers are still open", after.open),
    ] {
        if left > 0 {
            broken.push(format!("{left} {what}"));
        }
    }
    let run = after.tool_runs.len();
    if recipe.tool.is_some() && run != held.len() {
        broken.push(format!("{run} tools were run in {} calls, expected one in each", held.len()));
    }
    let mut measured = Vec::new();
    for bound in bounds.iter().filter(|bound| is_measured(bound)) {
        let Some(figure) = figure(bound.measure, held, &judged, after, happened) else { continue };
        measured.push((bound.measure, figure));
        if figure > bound.at_most {
            let (measure, unit) = (bound.measure, bound.measure.unit());
            broken.push(format!(
                "{measure}: {figure} {unit}, promised are at most {}",
                bound.at_most
            ));
        }
    }
    (measured, broken)
}

struct Judged<'a> {
    agent: Compared,
    caller: Compared,
    words: &'a [Word],
}

impl<'a> Judged<'a> {
    fn of(recipe: &Recipe, call: &'a Held) -> Self {
        let words = &call.words;
        let is_broken_off = recipe.ending != Ending::Answered;
        let stretch = |text: String| Stretch { text, may_be_cut: is_broken_off };
        let answers = (0..TURNS).map(|turn| stretch(format!("{} {ANSWER}", keys(call.nth, turn))));
        let expected: Vec<_> = [stretch(GREETING.into())].into_iter().chain(answers).collect();
        // Words that are no numbers are the runtime's own: fillers, bridges, apologies.
        let is_own = |word: &&str| word.parse::<u32>().is_err();
        let came: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
        let own: Vec<_> = came.iter().copied().filter(is_own).collect();
        let agent = compare(&expected, &came, &own);
        let transcript = call.call["artifact"]["transcript"].as_str().unwrap_or_default();
        let understood: Vec<_> = transcript
            .lines()
            .filter_map(|line| line.strip_prefix("User: "))
            .flat_map(str::split_whitespace)
            .map(|word| word.trim_end_matches('.'))
            .collect();
        let said: Vec<_> = questions(call.nth, recipe).map(stretch).collect();
        let caller = match call.call.is_null() {
            true => Compared::default(),
            false => compare(&said, &understood, &[]),
        };
        Self { agent, caller, words }
    }
}

impl Held {
    fn check(&self, recipe: &Recipe, judged: &Judged, after: &After, broken: &mut Vec<String>) {
        let nth = self.nth;
        let mut must = |holds: bool, what: String| {
            if !holds {
                broken.push(format!("call {nth}: {what}"));
            }
        };
        let reports = after.reports.get(&self.id).map(Vec::as_slice).unwrap_or_default();
        must(reports.len() == 1, format!("{} end-of-call reports were delivered", reports.len()));
        let reason = reports.first().and_then(|report| report["endedReason"].as_str());
        let reason = reason.unwrap_or_default();
        let fits = match recipe.ending {
            Ending::Answered | Ending::ToolFailed => reason == "customer-ended-call",
            Ending::Apology(stage) => {
                reason.starts_with("pipeline-error-") && reason.contains(stage.name())
            }
            Ending::LegLost | Ending::Any => !reason.is_empty(),
        };
        must(fits, format!("it ended with `{reason}`"));
        let twice = &judged.agent.repeated;
        must(
            twice.len() <= recipe.seam_words,
            format!("{} words of the agent heard twice: {}", twice.len(), twice.join(" ")),
        );
        for (kind, words, list) in [
            ("agent", "lost", &judged.agent.lost),
            ("agent", "heard that nobody should have said", &judged.agent.foreign),
            ("caller", "lost", &judged.caller.lost),
            ("caller", "understood twice", &judged.caller.repeated),
        ] {
            let count = list.len();
            must(
                list.is_empty(),
                format!("{count} words of the {kind} {words}: {}", list.join(" ")),
            );
        }
    }

    /// When the agent is next heard after a moment.
    fn heard_after(&self, moment: Instant, words: &[Word]) -> Option<Duration> {
        let at = moment.checked_duration_since(self.began)?;
        words.iter().find(|word| word.at >= at).map(|word| word.at - at)
    }
}

fn figure(
    measure: Measure,
    held: &[Held],
    judged: &[Judged],
    after: &After,
    happened: &Happened,
) -> Option<f64> {
    let worst = |figure: &dyn Fn(&Judged) -> usize| {
        judged.iter().map(figure).max().unwrap_or_default() as f64
    };
    let ms = |time: Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
    Some(match measure {
        Measure::WordsLost => worst(&|call| call.agent.lost.len()),
        Measure::WordsRepeated => {
            worst(&|call| call.agent.repeated.len() + call.agent.foreign.len())
        }
        Measure::CallerWordsLost => worst(&|call| call.caller.lost.len()),
        Measure::CallerWordsRepeated => worst(&|call| call.caller.repeated.len()),
        Measure::Gap => ms(judged.iter().map(gap).max()?),
        Measure::DeadAir => {
            let waits = held.iter().flat_map(|call| &call.latencies).copied();
            ms(waits.chain(judged.iter().map(gap)).max()?)
        }
        Measure::End => {
            let ended = held.iter().map(|call| call.ended).max()?;
            ms(ended.checked_duration_since(happened.first_fault?)?)
        }
        Measure::Bridge => {
            let back = happened.back?;
            let both = held.iter().zip(judged);
            let mut waits: Vec<_> =
                both.filter_map(|(call, judged)| call.heard_after(back, judged.words)).collect();
            waits.sort_unstable();
            // Of calls over a carrier 95 in 100 are promised.
            let share = if held.iter().all(|call| call.is_on_phone) { 95 } else { 100 };
            ms(*waits.get((waits.len() * share).div_ceil(100).checked_sub(1)?)?)
        }
        Measure::ToolsTwice => {
            after.tool_runs.iter().map(|runs| runs.saturating_sub(1)).sum::<usize>() as f64
        }
        Measure::TranscribingAgain
        | Measure::SilenceNoticed
        | Measure::VoiceReplaced
        | Measure::Hedge
        | Measure::Restart
        | Measure::AskedInVain
        | Measure::LeftOut
        | Measure::Attempts
        | Measure::Undelivered => return None,
    })
}

/// The longest silence between two words of the same stretch, beyond the usual.
fn gap(judged: &Judged) -> Duration {
    let placed = judged.words.iter().zip(&judged.agent.places);
    let words: Vec<_> = placed.filter_map(|(word, place)| Some((word.at, (*place)?.0))).collect();
    let pauses = words.windows(2).filter(|pair| pair[0].1 == pair[1].1);
    pauses.map(|pair| pair[1].0.saturating_sub(pair[0].0 + tones::WORD)).max().unwrap_or_default()
}
