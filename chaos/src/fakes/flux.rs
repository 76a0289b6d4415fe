//! Deepgram's Flux, `/v2/listen`: turns instead of utterances.

use std::time::Duration;

use offhook_media::AudioFormat;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    App,
    deepgram::{IDLE_LIMIT, Pairs, Refusal, bad_query, format, get_one, number, switch},
    hearing::{Hearing, Utterance, seconds_of, sentence},
    wire::{Dialogue, Out},
};

mod scripted;

const MODELS: [&str; 2] = ["flux-general-en", "flux-general-multi"];

const EOT_THRESHOLD: f64 = 0.7;
const EOT_TIMEOUT_MS: u64 = 5_000;

/// A threshold that no turn reaches by itself.
const NEVER: f64 = 1.0;

/// Silence after which a turn may be over, where the client wants to be told: a little longer than
/// between two words of the tones.
const EAGER_SILENCE: Duration = Duration::from_millis(60);

pub struct Settings {
    format: AudioFormat,
    is_multilingual: bool,
    eot_threshold: f64,
    eager_eot_threshold: Option<f64>,
    eot_timeout: Duration,
    keyterms: Value,
    language_hints: Value,
    numerals: Value,
}

impl Settings {
    pub fn from_query(query: &Pairs) -> Result<Self, Refusal> {
        let model = get_one(query, "model").unwrap_or_default();
        if !MODELS.contains(&model) {
            return Err(bad_query(format!("model is {model:?}, expected one of {MODELS:?}")));
        }
        let unknown = ["interim_results", "endpointing", "vad_events", "smart_format", "language"];
        if let Some(name) = unknown.iter().find(|name| get_one(query, name).is_some()) {
            return Err(bad_query(format!("{name} is not a parameter of /v2/listen")));
        }
        let all = |name: &str| -> Vec<&str> {
            query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
        };
        let hints = all("language_hint");
        if !hints.is_empty() && (model != "flux-general-multi" || hints.contains(&"")) {
            return Err(bad_query("language_hint needs flux-general-multi and a language"));
        }
        for name in ["profanity_filter", "mip_opt_out"] {
            switch(query, name)?;
        }
        Self {
            format: format(query)?,
            is_multilingual: model == "flux-general-multi",
            eot_threshold: number(query, "eot_threshold")?.unwrap_or(EOT_THRESHOLD),
            eager_eot_threshold: number(query, "eager_eot_threshold")?,
            eot_timeout: Duration::from_millis(
                number(query, "eot_timeout_ms")?.unwrap_or(EOT_TIMEOUT_MS),
            ),
            keyterms: json!(all("keyterm")),
            language_hints: json!(hints),
            numerals: switch(query, "numerals")?.into(),
        }
        .check()
        .map_err(bad_query)
    }

    fn check(self) -> Result<Self, String> {
        let eot = self.eot_threshold;
        if !(0.5..=0.9).contains(&eot) && eot != NEVER {
            return Err(format!("eot_threshold is {eot}, expected 0.5 to 0.9, or 1.0"));
        }
        if let Some(eager) = self.eager_eot_threshold
            && (!(0.3..=0.9).contains(&eager) || eager > eot)
        {
            return Err(format!(
                "eager_eot_threshold is {eager}, expected 0.3 to 0.9 and at most eot_threshold"
            ));
        }
        Ok(self)
    }

    /// These settings with what a `Configure` names replaced.
    fn with(&self, changes: &Value) -> Result<Self, String> {
        let thresholds = &changes["thresholds"];
        let replaced = |name: &str, old: &Value| {
            changes.get(name).filter(|new| !new.is_null()).unwrap_or(old).clone()
        };
        Self {
            format: self.format,
            is_multilingual: self.is_multilingual,
            eot_threshold: thresholds["eot_threshold"].as_f64().unwrap_or(self.eot_threshold),
            eager_eot_threshold: thresholds["eager_eot_threshold"]
                .as_f64()
                .or(self.eager_eot_threshold),
            eot_timeout: thresholds["eot_timeout_ms"]
                .as_u64()
                .map_or(self.eot_timeout, Duration::from_millis),
            keyterms: replaced("keyterms", &self.keyterms),
            language_hints: replaced("language_hints", &self.language_hints),
            numerals: replaced("numerals", &self.numerals),
        }
        .check()
    }

    fn thresholds(&self) -> Value {
        json!({
            "eot_threshold": self.eot_threshold,
            "eager_eot_threshold": self.eager_eot_threshold,
            "eot_timeout_ms": self.eot_timeout.as_millis() as u64,
        })
    }
}

/// A session that reads a script.
pub fn scripted(app: &App, settings: Settings, script: String) -> impl Dialogue + use<> {
    scripted::Listening::new(app, settings, script)
}

pub struct Listening {
    app: App,
    settings: Settings,
    request_id: String,
    sequence: u64,
    turn_index: u64,
    hearing: Hearing,
    /// A word was heard: `StartOfTurn` was said.
    turn_open: bool,
    /// `EagerEndOfTurn` was said of it.
    eager: bool,
    last_input: Instant,
    last_due: Instant,
    ended: bool,
}

impl Listening {
    pub fn new(app: &App, settings: Settings) -> Self {
        let now = Instant::now();
        Self {
            app: app.clone(),
            request_id: app.chance.id(),
            sequence: 0,
            turn_index: 0,
            hearing: Hearing::new(settings.format, now),
            settings,
            turn_open: false,
            eager: false,
            last_input: now,
            last_due: now,
            ended: false,
        }
    }

    fn tell(&mut self, kind: &str, fields: Value) -> Value {
        let mut message = Map::new();
        message.insert("type".into(), kind.into());
        message.insert("request_id".into(), self.request_id.as_str().into());
        message.insert("sequence_id".into(), self.sequence.into());
        self.sequence += 1;
        if let Value::Object(fields) = fields {
            message.extend(fields);
        }
        message.into()
    }

    /// A `TurnInfo` of the turn so far.
    fn turn(&mut self, now: Instant, event: &str, confidence: f64, out: &mut Out) {
        let (words, until) = (self.hearing.words().to_vec(), self.hearing.position());
        let began = self.hearing.began().unwrap_or(until);
        let fields = self.turn_info(event, &words, (began, until), confidence);
        let message = self.tell("TurnInfo", fields);
        out.text_at(self.last_due.max(now), None, message, None);
    }

    fn turn_info(
        &self,
        event: &str,
        words: &[offhook_testkit::tones::Word],
        (began, until): (Duration, Duration),
        confidence: f64,
    ) -> Value {
        let transcript = sentence(words);
        let last = words.len().saturating_sub(1);
        let words: Vec<Value> = words
            .iter()
            .enumerate()
            .map(|(index, word)| {
                let (start, end) = seconds_of(word);
                let stop = if index == last && transcript.ends_with('.') { "." } else { "" };
                let text = format!("{}{stop}", word.text.trim_end_matches('.'));
                json!({"word": text, "confidence": 0.99, "start": start, "end": end})
            })
            .collect();
        let mut fields = json!({
            "event": event,
            "turn_index": self.turn_index,
            "audio_window_start": began.as_secs_f64(),
            "audio_window_end": until.as_secs_f64(),
            "transcript": transcript,
            "words": words,
            "end_of_turn_confidence": confidence,
        });
        if self.settings.is_multilingual {
            fields["languages"] = json!(["en"]);
            fields["languages_hinted"] = self.settings.language_hints.clone();
        }
        fields
    }

    fn end_turn(&mut self, now: Instant, trigger: &str, out: &mut Out) {
        let utterance: Utterance = self.hearing.take();
        if !std::mem::take(&mut self.turn_open) {
            return;
        }
        self.eager = false;
        let delay = self.app.delay(|timing| timing.stt_delay);
        self.last_due = self.last_due.max(now).max(utterance.sound_came + delay);
        let window = (utterance.began, self.hearing.position());
        let mut fields = self.turn_info("EndOfTurn", &utterance.words, window, 0.95);
        fields["trigger"] = trigger.into();
        let message = self.tell("TurnInfo", fields);
        out.text_at(self.last_due, None, message, utterance.mark());
        self.turn_index += 1;
    }

    fn configure(&mut self, changes: &Value, out: &mut Out) {
        let message = match self.settings.with(changes) {
            Ok(settings) => {
                let fields = json!({
                    "thresholds": settings.thresholds(),
                    "keyterms": settings.keyterms,
                    "language_hints": settings.language_hints,
                    "numerals": settings.numerals,
                });
                self.settings = settings;
                self.tell("ConfigureSuccess", fields)
            }
            Err(refused) => self.tell(
                "ConfigureFailure",
                json!({"code": "INVALID_CONFIGURATION", "description": refused}),
            ),
        };
        out.text_at(self.last_due, None, message, None);
    }

    fn handle_silence(&mut self, now: Instant, silence: Duration, out: &mut Out) {
        // A sound that was no word.
        if !self.turn_open {
            if silence >= self.app.timing().stt_silence() {
                self.hearing.take();
            }
            return;
        }
        let ends_natively = self.settings.eot_threshold < NEVER;
        if !self.eager && silence >= EAGER_SILENCE && self.settings.eager_eot_threshold.is_some() {
            self.eager = true;
            self.turn(now, "EagerEndOfTurn", 0.6, out);
        }
        if ends_natively && silence >= self.app.timing().stt_silence() {
            self.end_turn(now, "model", out);
        } else if silence >= self.settings.eot_timeout {
            self.end_turn(now, "timeout", out);
        }
    }
}

impl Dialogue for Listening {
    fn open(&mut self, out: &mut Out) {
        let connected = self.tell("Connected", Value::Null);
        out.text(connected);
    }

    fn handle_text(&mut self, now: Instant, text: &str, out: &mut Out) {
        self.last_input = now;
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        match message["type"].as_str() {
            Some("ForceEndTurn") => self.end_turn(now, "manual", out),
            Some("Configure") => self.configure(&message, out),
            Some("CloseStream") => {
                self.ended = true;
                out.close_at(self.last_due.max(now), 1000, "");
            }
            Some(_) | None => {
                self.ended = true;
                out.text(json!({
                    "type": "Error",
                    "sequence_id": self.sequence,
                    "code": "UNPARSABLE_CLIENT_MESSAGE",
                    "description": "expected a type of ForceEndTurn, Configure or CloseStream",
                }));
                out.close(1008, "DATA-0000");
            }
        }
    }

    fn handle_audio(&mut self, now: Instant, audio: &[u8], out: &mut Out) {
        self.last_input = now;
        let news = self.hearing.hear(now, audio);
        if let Some(silence) = self.hearing.silence() {
            if news.words {
                self.hear_words(now, out);
            }
            self.handle_silence(now, silence, out);
        } else if news.words {
            self.hear_words(now, out);
        } else if self.eager && self.hearing.began().is_some() {
            self.eager = false;
            self.turn(now, "TurnResumed", 0.2, out);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        (!self.ended).then_some(self.last_input + IDLE_LIMIT)
    }

    fn handle_deadline(&mut self, _now: Instant, out: &mut Out) {
        self.ended = true;
        out.close(1011, "NET-0001");
    }
}

impl Listening {
    fn hear_words(&mut self, now: Instant, out: &mut Out) {
        let event = match std::mem::replace(&mut self.turn_open, true) {
            true => "Update",
            false => "StartOfTurn",
        };
        self.turn(now, event, 0.1, out);
    }
}

#[cfg(test)]
mod tests;
