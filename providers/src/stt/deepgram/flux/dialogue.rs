use std::time::Duration;

use bytes::Bytes;
use offhook_media::AudioFormat;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    super::{
        PEER,
        dialogue::{Complaint, seconds},
        language::{Word, language_of},
    },
    clock::Clock,
};
use crate::{
    ProviderError,
    net::session::{Dialogue, Outbox},
    stt::{SttEvent, SttInput},
};

/// Pause of the audio that is filled with as much silence. Flux has no keep-alive: its turns end
/// by the audio that it hears, and without any for 10 s it closes.
pub(super) const FILL_AFTER: Duration = Duration::from_millis(500);

/// One session of `/v2/listen`.
pub(super) struct Listening {
    format: AudioFormat,
    confidence_threshold: f64,
    clock: Clock,
    opened: Instant,
    /// Deepgram said that it is ready; settings that it does not like it ignores without a word.
    connected: bool,
    last_sent: Instant,
    turn_open: bool,
    /// Told that the turn may be over, and nothing since.
    end_suspected: bool,
    ended: bool,
}

impl Listening {
    pub fn new(format: AudioFormat, confidence_threshold: f64) -> Self {
        let now = Instant::now();
        Self {
            format,
            confidence_threshold,
            clock: Clock::new(format),
            opened: now,
            connected: false,
            last_sent: now,
            turn_open: false,
            end_suspected: false,
            ended: false,
        }
    }

    fn audio(&mut self, now: Instant, audio: Bytes, out: &mut Outbox<SttEvent>) {
        // Nobody knows what an empty message would mean.
        if audio.is_empty() {
            return;
        }
        self.clock.audio_sent(audio.len());
        self.last_sent = now;
        out.binary(audio);
    }

    fn fill(&mut self, now: Instant, out: &mut Outbox<SttEvent>) {
        let samples = self.format.samples_in(FILL_AFTER);
        self.clock.silence_sent(samples);
        self.last_sent = now;
        out.binary(self.format.silence(samples));
    }

    fn handle_turn(&mut self, turn: Turn, out: &mut Outbox<SttEvent>) {
        let text = turn.text(self.confidence_threshold);
        let partial = text.clone().map(|text| SttEvent::Partial { text });
        match turn.event {
            TurnEvent::StartOfTurn => {
                self.turn_open = true;
                let at = self.clock.in_session(seconds(turn.audio_window_start));
                out.events.push_back(SttEvent::SpeechStarted { at });
                out.events.extend(partial);
            }
            TurnEvent::Update => out.events.extend(partial),
            // An end that may be taken back, with all that was said so far.
            TurnEvent::EagerEndOfTurn => {
                let is_believed = partial.is_some();
                out.events.extend(partial);
                if is_believed {
                    self.end_suspected = true;
                    out.events.push_back(SttEvent::EagerEndOfTurn);
                }
            }
            TurnEvent::TurnResumed => {
                if std::mem::take(&mut self.end_suspected) {
                    out.events.push_back(SttEvent::TurnResumed);
                }
                out.events.extend(partial);
            }
            TurnEvent::EndOfTurn => {
                self.turn_open = false;
                self.end_suspected = false;
                let end = seconds(turn.audio_window_end);
                if let Some(text) = text {
                    let until = self.clock.in_session(end);
                    out.events.push_back(SttEvent::Final { text, until });
                    out.events.extend(language_of(&turn.words, &turn.languages));
                    // An end that we forced is not Deepgram's judgement.
                    if turn.trigger.as_deref() != Some(MANUAL) {
                        out.events.push_back(SttEvent::EndOfTurn);
                    }
                }
                self.clock.forget(end);
            }
            TurnEvent::Other => {}
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
            SttInput::Audio(audio) => self.audio(now, audio, out),
            SttInput::Finalize if self.turn_open => out.text(&json!({"type": "ForceEndTurn"})),
            // Without a turn there is nothing to end.
            SttInput::Finalize => {}
            SttInput::KeepAlive => self.fill(now, out),
        }
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
            Message::Connected => self.connected = true,
            Message::TurnInfo(turn) => self.handle_turn(turn, out),
            Message::Warning(warning) => {
                let (code, description) = (warning.code, warning.description);
                tracing::debug!(provider = PEER.provider, code, description, "warned");
            }
            Message::Error(error) => return Err(error.classify()),
            Message::Other => {}
        }
        Ok(())
    }

    fn owed_since(&self) -> Option<Instant> {
        (!self.connected).then_some(self.opened)
    }

    fn next_deadline(&self) -> Option<Instant> {
        (!self.ended).then_some(self.last_sent + FILL_AFTER)
    }

    fn handle_deadline(
        &mut self,
        now: Instant,
        out: &mut Outbox<SttEvent>,
    ) -> Result<(), ProviderError> {
        self.fill(now, out);
        Ok(())
    }
}

/// What Deepgram sends, as far as it is acted on.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Message {
    /// The first message: ready for audio.
    Connected,
    TurnInfo(Turn),
    Warning(Warning),
    Error(Complaint),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Turn {
    event: TurnEvent,
    #[serde(default)]
    audio_window_start: f64,
    #[serde(default)]
    audio_window_end: f64,
    /// The whole turn so far.
    #[serde(default)]
    transcript: String,
    #[serde(default)]
    words: Vec<Word>,
    /// Of `flux-general-multi`: that of most words first.
    #[serde(default)]
    languages: Vec<String>,
    trigger: Option<String>,
}

#[derive(Debug, Deserialize)]
enum TurnEvent {
    StartOfTurn,
    Update,
    EagerEndOfTurn,
    TurnResumed,
    EndOfTurn,
    #[serde(other)]
    Other,
}

/// The `trigger` of an end of turn that `ForceEndTurn` asked for.
const MANUAL: &str = "manual";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Warning {
    code: String,
    description: String,
}

impl Turn {
    /// The transcript, unless there is none or its words are too doubtful on average.
    fn text(&self, confidence_threshold: f64) -> Option<String> {
        let text = self.transcript.trim();
        if text.is_empty() {
            return None;
        }
        let known: Vec<f64> = self.words.iter().filter_map(|word| word.confidence).collect();
        let confidence = known.iter().sum::<f64>() / known.len() as f64;
        if !known.is_empty() && confidence < confidence_threshold {
            tracing::debug!(confidence, "transcript below threshold discarded");
            return None;
        }
        Some(text.to_owned())
    }
}
