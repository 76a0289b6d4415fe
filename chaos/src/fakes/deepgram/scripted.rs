//! A session that hears real speech, of which a script tells the words ([`super::super::scripts`]).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    super::{
        App,
        scripts::{LAG, PARTIAL_EVERY, Reader, Word, text_of},
        wire::{Dialogue, Out},
    },
    IDLE_LIMIT, Settings,
};

/// Sound before `SpeechStarted` is sure of it.
const VOICE_NOTICED: Duration = Duration::from_millis(100);

pub(super) struct Listening {
    app: App,
    settings: Settings,
    request_id: String,
    reader: Reader,
    /// Words of the last partial text, and where in the audio it was sent.
    shown: (usize, Duration),
    /// `SpeechStarted` was said of what is being spoken.
    noticed: bool,
    told_until: Duration,
    /// End of the last word that was told, until `UtteranceEnd` tells of it.
    last_word_end: Option<Duration>,
    last_input: Instant,
    last_due: Instant,
    ended: bool,
}

enum Why {
    Endpoint,
    Finalize,
    End,
}

impl Listening {
    pub fn new(app: &App, settings: Settings, script: String) -> Self {
        let now = Instant::now();
        Self {
            app: app.clone(),
            request_id: app.chance.id(),
            reader: Reader::new(app, script, settings.format),
            settings,
            shown: (0, Duration::ZERO),
            noticed: false,
            told_until: Duration::ZERO,
            last_word_end: None,
            last_input: now,
            last_due: now,
            ended: false,
        }
    }

    fn notice_voice(&mut self, out: &mut Out) {
        let start = self.reader.words(self.reader.begun()).first().map(|word| word.start);
        let Some(start) = start else {
            self.noticed = false;
            return;
        };
        if !self.noticed && self.reader.position() >= start + VOICE_NOTICED {
            self.noticed = true;
            self.last_word_end = None;
            if self.settings.vad_events {
                let timestamp = self.reader.in_session(start).as_secs_f64();
                out.text(
                    json!({"type": "SpeechStarted", "channel": [0, 1], "timestamp": timestamp}),
                );
            }
        }
    }

    fn show_partial(&mut self, now: Instant, out: &mut Out) {
        let (known, heard) = (self.reader.known(), self.reader.heard());
        let (shown, at) = self.shown;
        if known <= shown || heard < at + PARTIAL_EVERY || !self.settings.interim_results {
            return;
        }
        self.shown = (known, heard);
        let text = self.reader.partial(known);
        let message = self.results(&text, self.reader.words(known), [false; 3]);
        out.text_at(self.last_due.max(now), None, message, None);
    }

    fn end_utterance(&mut self, now: Instant, count: usize, why: Why, out: &mut Out) {
        if count == 0 && !matches!(why, Why::Finalize) {
            return;
        }
        let words = self.reader.tell(count);
        let delay = match words.is_empty() {
            true => Duration::ZERO,
            false => self.app.delay(|timing| timing.stt_delay),
        };
        // Nobody knows a word before its lag is over.
        let known_at = words.last().map(|word| word.end + LAG).unwrap_or_default();
        let lag = known_at.saturating_sub(self.reader.position());
        self.last_due = self.last_due.max(now + delay.max(lag));
        let speech_final = match why {
            Why::Endpoint => self.settings.endpointing.is_some(),
            Why::Finalize => true,
            Why::End => false,
        };
        let flags = [true, speech_final, matches!(why, Why::Finalize)];
        let message = self.results(&text_of(&words), &words, flags);
        out.text_at(self.last_due, None, message, None);
        self.told_until = self.reader.heard();
        self.last_word_end = words.last().map(|word| word.end).or(self.last_word_end);
        self.shown = (0, self.reader.heard());
    }

    fn end_by_silence(&mut self, now: Instant, out: &mut Out) {
        let silence = self.reader.silence().zip(self.settings.endpointing);
        if silence.is_some_and(|(silence, needed)| silence >= needed) {
            self.end_utterance(now, self.reader.begun(), Why::Endpoint, out);
        }
        if let (Some(end), Some(limit)) = (self.last_word_end, self.settings.utterance_end)
            && !self.reader.has_begun_since(end)
            && self.reader.position() >= end + limit
        {
            self.last_word_end = None;
            let end = self.reader.in_session(end).as_secs_f64();
            let message = json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": end});
            out.text_at(self.last_due.max(now), None, message, None);
        }
    }

    fn results(&self, text: &str, words: &[Word], flags: [bool; 3]) -> Value {
        let [is_final, speech_final, from_finalize] = flags;
        let words: Vec<Value> = words
            .iter()
            .map(|word| {
                json!({
                    "word": word.text.trim_end_matches(['.', '?', '!', ',']).to_lowercase(),
                    "punctuated_word": word.text,
                    "start": self.reader.in_session(word.start).as_secs_f64(),
                    "end": self.reader.in_session(word.end).as_secs_f64(),
                    "confidence": CONFIDENCE,
                })
            })
            .collect();
        let confidence = if text.is_empty() { 0.0 } else { CONFIDENCE };
        let duration = self.reader.heard().saturating_sub(self.told_until);
        json!({
            "type": "Results",
            "channel_index": [0, 1],
            "start": self.told_until.as_secs_f64(),
            "duration": duration.as_secs_f64(),
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {
                "alternatives": [{"transcript": text, "confidence": confidence, "words": words}]
            },
            "metadata": {"request_id": self.request_id},
        })
    }

    fn end(&mut self, now: Instant, out: &mut Out) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.end_utterance(now, self.reader.begun(), Why::End, out);
        let due = self.last_due.max(now);
        let duration = self.reader.heard().as_secs_f64();
        let summary = json!({"type": "Metadata", "request_id": self.request_id,
            "duration": duration, "channels": 1});
        out.text_at(due, None, summary, None);
        out.close_at(due, 1000, "");
    }
}

/// How sure the transcriber is of each word.
const CONFIDENCE: f64 = 0.98;

impl Dialogue for Listening {
    fn open(&mut self, _out: &mut Out) {}

    fn handle_text(&mut self, now: Instant, text: &str, out: &mut Out) {
        self.last_input = now;
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        match message["type"].as_str() {
            Some("Finalize") => self.end_utterance(now, self.reader.over(), Why::Finalize, out),
            Some("CloseStream") => self.end(now, out),
            Some(_) | None => {}
        }
    }

    fn handle_audio(&mut self, now: Instant, audio: &[u8], out: &mut Out) {
        self.last_input = now;
        if audio.is_empty() {
            return self.end(now, out);
        }
        self.reader.hear(audio);
        self.notice_voice(out);
        self.show_partial(now, out);
        self.end_by_silence(now, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        (!self.ended).then_some(self.last_input + IDLE_LIMIT)
    }

    fn handle_deadline(&mut self, _now: Instant, out: &mut Out) {
        self.ended = true;
        out.close(1011, "NET-0001");
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::{scripts, testing, wire::testing::Talk},
        *,
    };

    /// What a session says in so many milliseconds.
    fn said(endpointing: &str, words: &str, ms: u64) -> Vec<(u64, String)> {
        let app = testing::app(&json!({"stt_delay": {"fixed": 100}}));
        scripts::testing::add(&app, "script-1", words);
        let query = [
            ("model", "nova-3"),
            ("encoding", "mulaw"),
            ("sample_rate", "8000"),
            ("interim_results", "true"),
            ("utterance_end_ms", "1000"),
            ("endpointing", endpointing),
        ];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let settings = Settings::from_query(&query).unwrap_or_else(|_| panic!("refused"));
        let mut talk = Talk::new(Listening::new(&app, settings, "script-1".into()));
        let mut all = Vec::new();
        for at in (20..=ms).step_by(20) {
            talk.audio(at, &[0xFF; 160]);
            all.extend(talk.until(at));
        }
        let told = |(at, message): (u64, Value)| match message["type"].as_str() {
            Some("Results") => {
                let text = message["channel"]["alternatives"][0]["transcript"].as_str().unwrap();
                let mark = if message["is_final"] == true { "final" } else { "partial" };
                (at, format!("{mark} {text}"))
            }
            kind => (at, kind.unwrap_or("close").to_owned()),
        };
        all.into_iter().map(told).collect()
    }

    fn line(at: u64, text: &str) -> (u64, String) {
        (at, text.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn partials_follow_the_words_and_a_final_the_silence() {
        let words = "I'd@100-300 like@300-500 to@500-700 Thursday.@1500-2000";
        assert_eq!(
            said("300", words, 2_500),
            [
                line(460, "partial I'd"),
                line(720, "partial I'd like"),
                line(980, "partial I'd like to"),
                line(1_100, "final I'd like to"),
                line(2_160, "partial Thursday"),
                line(2_400, "final Thursday."),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_utterance_ends_a_second_after_its_last_word() {
        let said = said("10", "Yes.@100-400", 1_500);
        assert_eq!(said, [line(550, "final Yes."), line(1_400, "UtteranceEnd")]);
    }
}
