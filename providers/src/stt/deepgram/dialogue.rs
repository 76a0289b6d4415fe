use std::time::Duration;

use offhook_core::FailureClass;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    PEER,
    language::{Word, language_of},
    options::Options,
};
use crate::{
    ProviderError,
    net::{
        refusal::shortened,
        session::{Dialogue, Outbox},
    },
    stt::{SttEvent, SttInput},
};

/// Shortest and longest piece of audio in one message (Deepgram's page on streaming).
pub(super) const CHUNK: (Duration, Duration) =
    (Duration::from_millis(20), Duration::from_millis(250));

/// How long after `Finalize` its results come: some 300 ms, and under load more. Where nothing is
/// buffered none come (Deepgram's page on `Finalize`).
pub(super) const FINAL_WITHIN: Duration = Duration::from_millis(800);

/// Silence after which a `KeepAlive` is sent: Deepgram asks for one every 3 to 5 s and closes
/// after 10.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// One session of `/v1/listen`.
pub(super) struct Listening {
    confidence_threshold: f64,
    judges_end_of_turn: bool,
    last_sent: Instant,
    /// Something was said that no end of turn has followed yet.
    turn_open: bool,
    ended: bool,
}

impl Listening {
    pub fn new(options: &Options) -> Self {
        Self {
            confidence_threshold: options.confidence_threshold(),
            judges_end_of_turn: options.judges_end_of_turn(),
            last_sent: Instant::now(),
            turn_open: false,
            ended: false,
        }
    }

    fn handle_results(&mut self, results: Results, out: &mut Outbox<SttEvent>) {
        let until = seconds(results.start + results.duration);
        let judged = results.speech_final && !results.from_finalize;
        let best = results.channel.alternatives.into_iter().next().unwrap_or_default();
        let text = best.transcript.trim();
        let confident = best.confidence.is_none_or(|c| c >= self.confidence_threshold);
        if !text.is_empty() && !confident {
            tracing::debug!(confidence = best.confidence, "transcript below threshold discarded");
        } else if !text.is_empty() {
            self.turn_open = true;
            let text = text.to_owned();
            if results.is_final {
                out.events.push_back(SttEvent::Final { text, until });
                out.events.extend(language_of(&best.words, &best.languages));
            } else {
                out.events.push_back(SttEvent::Partial { text });
            }
        }
        if judged && self.judges_end_of_turn {
            self.end_turn(out);
        }
    }

    /// `speech_final` and `UtteranceEnd` both report the same end.
    fn end_turn(&mut self, out: &mut Outbox<SttEvent>) {
        if std::mem::take(&mut self.turn_open) {
            out.events.push_back(SttEvent::EndOfTurn);
        }
    }

    /// A second without words, which Deepgram tells by the words themselves and not by its detector of
    /// voice: it ends the turn only where the document wants silences to end it.
    fn pause(&mut self, out: &mut Outbox<SttEvent>) {
        if self.judges_end_of_turn {
            self.end_turn(out);
        } else if std::mem::take(&mut self.turn_open) {
            out.events.push_back(SttEvent::WordsPaused);
        }
    }
}

impl Dialogue for Listening {
    type Input = SttInput;
    type Event = SttEvent;

    fn handle_input(
        &mut self,
        now: Instant,
        input: SttInput,
        out: &mut Outbox<SttEvent>,
    ) -> Result<(), ProviderError> {
        match input {
            // An empty message would end the stream.
            SttInput::Audio(audio) if audio.is_empty() => return Ok(()),
            SttInput::Audio(audio) => out.binary(audio),
            SttInput::Finalize => out.text(&json!({"type": "Finalize"})),
            SttInput::KeepAlive => out.text(&json!({"type": "KeepAlive"})),
        }
        self.last_sent = now;
        Ok(())
    }

    fn handle_end_of_input(&mut self, _now: Instant, out: &mut Outbox<SttEvent>) {
        self.ended = true;
        out.text(&json!({"type": "CloseStream"}));
    }

    fn handle_message(
        &mut self,
        _now: Instant,
        text: &str,
        out: &mut Outbox<SttEvent>,
    ) -> Result<(), ProviderError> {
        match serde_json::from_str(text).map_err(|error| PEER.unreadable(&error))? {
            Message::Results(results) => self.handle_results(results, out),
            Message::SpeechStarted { timestamp } => {
                out.events.push_back(SttEvent::SpeechStarted { at: seconds(timestamp) });
            }
            Message::UtteranceEnd => self.pause(out),
            Message::Metadata if self.ended => out.finish(),
            Message::Error(error) => return Err(error.classify()),
            Message::Metadata | Message::Other => {}
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        (!self.ended).then_some(self.last_sent + KEEP_ALIVE)
    }

    fn handle_deadline(
        &mut self,
        now: Instant,
        out: &mut Outbox<SttEvent>,
    ) -> Result<(), ProviderError> {
        self.handle_input(now, SttInput::KeepAlive, out)
    }
}

/// What Deepgram sends, as far as it is acted on.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Message {
    Results(Results),
    SpeechStarted {
        #[serde(default)]
        timestamp: f64,
    },
    UtteranceEnd,
    /// The summary, after `CloseStream`.
    Metadata,
    Error(Complaint),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    start: f64,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    is_final: bool,
    #[serde(default)]
    speech_final: bool,
    #[serde(default)]
    from_finalize: bool,
    channel: Channel,
}

#[derive(Deserialize)]
struct Channel {
    #[serde(default)]
    alternatives: Vec<Alternative>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Alternative {
    transcript: String,
    confidence: Option<f64>,
    /// Where several are listened for (`language=multi`), that of most words first.
    languages: Vec<String>,
    words: Vec<Word>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Complaint {
    variant: Option<String>,
    code: Option<String>,
    description: Option<String>,
    message: Option<String>,
}

impl Complaint {
    pub fn classify(self) -> ProviderError {
        let parts = [self.variant, self.code, self.description, self.message];
        let reason = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        // It could not read a text frame of ours.
        let schema = reason.contains("SchemaError");
        let otherwise = if schema { FailureClass::Protocol } else { FailureClass::Unavailable };
        let class = PEER.class_of(&reason, otherwise);
        PEER.error(class, format!("sent an error: {}", shortened(&reason).unwrap_or_default()))
    }
}

/// A time as Deepgram writes it; it uses -1 for none.
pub(super) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
