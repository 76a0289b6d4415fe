//! The fake providers: started as a child, and asked when each turn passed them.

use std::{collections::HashMap, process::Stdio, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use super::{caller::Turn, clock::Moment};
use crate::client;

/// Time for the fakes to say where they listen; they need some milliseconds.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// Time for an answer; a report of 100,000 turns takes some seconds on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How the line begins that says where the fakes listen.
const READY: &str = "fakes ";

/// From the end of speech to the final text, in ms: what transcribers need that judge by silence.
/// Less would hide behind the server's own 200 ms of silence, where it hears the caller itself.
const STT_DELAY_MS: u32 = 300;

/// From a request to its first token, in ms.
const LLM_TTFT_MS: u32 = 200;

/// From one token to the next, in ms.
const LLM_TOKEN_GAP_MS: u32 = 10;

/// From a text to its first audio.
pub const TTS_TTFB: Duration = Duration::from_millis(100);

/// The options of fakes whose answers have this many words behind the caller's numbers.
pub fn options(words: u32, seed: u64) -> Value {
    json!({"seed": seed, "timing": {
        "stt_delay": {"fixed": STT_DELAY_MS},
        "llm_ttft": {"fixed": LLM_TTFT_MS},
        "llm_token_gap": {"fixed": LLM_TOKEN_GAP_MS},
        "llm_words": words,
        "tts_ttfb": {"fixed": TTS_TTFB.as_millis() as u64},
    }})
}

/// Fakes that are running; they end with their standard input, and so with this program.
pub struct Fakes {
    child: Child,
    _stdin: ChildStdin,
    pub url: String,
}

impl Fakes {
    /// Starts fakes, with the options of `offhook fakes`.
    pub async fn start(options: &Value) -> Result<Self, String> {
        let program = std::env::current_exe()
            .map_err(|error| format!("cannot tell where this program is: {error}"))?;
        let mut child = Command::new(program)
            .args(["fakes", "--listen", "127.0.0.1:0", "--options", &options.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start `offhook fakes`: {error}"))?;
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        let read = timeout(READY_LIMIT, stdout.read_line(&mut line)).await;
        match (read, line.strip_prefix(READY)) {
            (Ok(Ok(_)), Some(url)) => Ok(Self { child, _stdin: stdin, url: url.trim().to_owned() }),
            (Ok(_) | Err(_), _) => Err(format!(
                "`offhook fakes` did not say within {} s where it listens",
                READY_LIMIT.as_secs()
            )),
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// Has fakes, whoever started them, forget what came before, and answer with this many words.
pub async fn prepare(url: &str, words: u32) -> Result<(), String> {
    let http = client::local_http(ANSWER_LIMIT)?;
    let (report, timing) = (address(url, "report"), address(url, "timing"));
    let failed = |error| format!("no fakes at {url}: {}", client::cause(&error));
    for request in [http.delete(report), http.post(timing).json(&json!({"llm_words": words}))] {
        let answer = request.send().await.map_err(failed)?;
        answer.error_for_status().map_err(failed)?;
    }
    Ok(())
}

/// When one turn passed the fakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    pub speech_end: Moment,
    pub final_sent: Moment,
    pub request: Moment,
    pub first_token: Moment,
    /// The end of the model's reply.
    pub reply_end: Option<Moment>,
    pub text: Moment,
    pub first_audio: Moment,
}

#[derive(Deserialize)]
struct PassageFields {
    caller: u32,
    turn: u32,
    speech_end: Option<u64>,
    final_sent: Option<u64>,
    request: Option<u64>,
    first_token: Option<u64>,
    reply_end: Option<u64>,
    text: Option<u64>,
    first_audio: Option<u64>,
}

impl PassageFields {
    /// A turn that did not pass all of them says nothing about the server.
    fn whole(&self) -> Option<Passage> {
        Some(Passage {
            speech_end: Moment(self.speech_end?),
            final_sent: Moment(self.final_sent?),
            request: Moment(self.request?),
            first_token: Moment(self.first_token?),
            reply_end: self.reply_end.map(Moment),
            text: Moment(self.text?),
            first_audio: Moment(self.first_audio?),
        })
    }
}

/// What the fakes saw.
#[derive(Debug, Default)]
pub struct FakesReport {
    passages: HashMap<(u32, u32), Vec<Passage>>,
    /// How late the fakes' own timers were, in µs: `p50`, `p99`, `max`.
    pub lag_us: Value,
    pub providers: Value,
}

impl FakesReport {
    pub async fn fetch(url: &str) -> Result<Self, String> {
        let address = address(url, "report");
        let failed =
            |error| format!("no report of the fakes at {address}: {}", client::cause(&error));
        let request = client::local_http(ANSWER_LIMIT)?.get(&address);
        let answer = request.send().await.map_err(failed)?;
        let document = answer.error_for_status().map_err(failed)?;
        Self::read(document.json().await.map_err(failed)?)
            .map_err(|error| format!("{address} is no report of fakes: {error}"))
    }

    fn read(mut document: Value) -> Result<Self, serde_json::Error> {
        let turns: Vec<PassageFields> = serde_json::from_value(document["turns"].take())?;
        let mut passages: HashMap<_, Vec<Passage>> = HashMap::new();
        for turn in turns {
            if let Some(passage) = turn.whole() {
                passages.entry((turn.caller, turn.turn)).or_default().push(passage);
            }
        }
        let (lag_us, providers) = (document["timer_lag_us"].take(), document["providers"].take());
        Ok(Self { passages, lag_us, providers })
    }

    /// When a turn passed. Numbers come again in a long run: a turn is where its times are.
    pub fn passage(&self, turn: &Turn) -> Option<&Passage> {
        let (asked, answered) = (turn.onset, turn.answered?);
        let passages = self.passages.get(&(turn.caller, turn.number))?;
        passages.iter().find(|passage| asked <= passage.request && passage.request <= answered)
    }
}

/// One of the fakes' own routes.
pub fn address(url: &str, of: &str) -> String {
    format!("{}/fakes/{of}", url.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(onset: u64, answered: u64) -> Turn {
        Turn {
            caller: 117,
            number: 21,
            onset: Moment(onset),
            speech_end: Some(Moment(onset + 10)),
            answered: Some(Moment(answered)),
            lost: false,
        }
    }

    #[test]
    fn a_turn_is_found_by_its_numbers_and_its_time() {
        let passage = |at: u64| {
            json!({"caller": 117, "turn": 21, "speech_end": at, "final_sent": at + 1,
                "request": at + 2, "first_token": at + 3, "text": at + 4, "first_audio": at + 5})
        };
        let broken = json!({"caller": 117, "turn": 21, "speech_end": 110, "request": 111});
        let report =
            FakesReport::read(json!({"turns": [passage(110), broken, passage(510)]})).unwrap();
        let found = |onset, answered| {
            report.passage(&turn(onset, answered)).map(|passage| passage.first_audio)
        };
        assert_eq!(found(100, 120), Some(Moment(115)));
        assert_eq!(found(500, 520), Some(Moment(515)));
        assert_eq!(found(600, 620), None);
    }
}
