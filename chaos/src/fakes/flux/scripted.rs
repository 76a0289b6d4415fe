//! A session of Flux that hears real speech, of which a script tells the words
//! ([`super::super::scripts`]).
//!
//! How sure it is that a turn is over grows with the pause, quickly after what looks like a whole
//! sentence and slowly after anything else. The numbers are judgements: a whole sentence reaches 0.7
//! after 200 ms, half of one after two seconds, as Deepgram's page on end of turn detection describes
//! it.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    super::{
        App,
        scripts::{PARTIAL_EVERY, Reader, Word, text_of},
        wire::{Dialogue, Out},
    },
    IDLE_LIMIT, Settings,
};

/// How whole a text looks by its last mark.
const WHOLE: f64 = 0.95;
const BROKEN_OFF: f64 = 0.15;
const OPEN: f64 = 0.25;

/// Pauses after which two thirds of the doubt are gone, of a whole sentence and of half of one.
const SURE_AFTER_S: f64 = 0.15;
const GIVES_UP_AFTER_S: f64 = 2.5;

pub(super) struct Listening {
    app: App,
    settings: Settings,
    request_id: String,
    reader: Reader,
    sequence: u64,
    turn_index: u64,
    /// Words of the last message, and where in the audio it was sent.
    shown: (usize, Duration),
    turn_open: bool,
    eager: bool,
    last_input: Instant,
    last_due: Instant,
    ended: bool,
}

impl Listening {
    pub fn new(app: &App, settings: Settings, script: String) -> Self {
        let now = Instant::now();
        Self {
            app: app.clone(),
            request_id: app.chance.id(),
            reader: Reader::new(app, script, settings.format),
            settings,
            sequence: 0,
            turn_index: 0,
            shown: (0, Duration::ZERO),
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

    /// A `TurnInfo` of the first words that belong to no turn before.
    fn turn(&mut self, event: &str, words: &[Word], confidence: f64) -> Value {
        let place = |place: Duration| self.reader.in_session(place).as_secs_f64();
        let told: Vec<Value> = words
            .iter()
            .map(|word| {
                json!({"word": word.text, "confidence": 0.98, "start": place(word.start),
                    "end": place(word.end)})
            })
            .collect();
        let began = words.first().map_or(self.reader.position(), |word| word.start);
        let mut fields = json!({
            "event": event,
            "turn_index": self.turn_index,
            "audio_window_start": place(began),
            "audio_window_end": self.reader.heard().as_secs_f64(),
            "transcript": text_of(words),
            "words": told,
            "end_of_turn_confidence": confidence,
        });
        if event == "EndOfTurn" {
            fields["trigger"] = "model".into();
        }
        self.tell("TurnInfo", fields)
    }

    fn show(&mut self, now: Instant, event: &str, count: usize, confidence: f64, out: &mut Out) {
        self.shown = (count, self.reader.heard());
        let words = self.reader.words(count).to_vec();
        let message = self.turn(event, &words, confidence);
        out.text_at(self.last_due.max(now), None, message, None);
    }

    fn end_turn(&mut self, now: Instant, confidence: f64, out: &mut Out) {
        let words = self.reader.tell(self.reader.over());
        self.shown = (0, self.reader.heard());
        self.eager = false;
        if !std::mem::take(&mut self.turn_open) {
            return;
        }
        self.last_due = self.last_due.max(now + self.app.delay(|timing| timing.stt_delay));
        let message = self.turn("EndOfTurn", &words, confidence);
        out.text_at(self.last_due, None, message, None);
        self.turn_index += 1;
    }

    fn judge(&mut self, now: Instant, out: &mut Out) {
        let known = self.reader.known();
        let Some(pause) = self.reader.silence().filter(|_| known == self.reader.begun()) else {
            return;
        };
        let sure = confidence(&text_of(self.reader.words(known)), pause);
        let eot = self.settings.eot_threshold;
        if sure >= eot || pause >= self.settings.eot_timeout {
            self.end_turn(now, sure, out);
        } else if !self.eager
            && self.settings.eager_eot_threshold.is_some_and(|eager| sure >= eager)
        {
            self.eager = true;
            self.show(now, "EagerEndOfTurn", known, sure, out);
        }
    }
}

/// How sure it is that a turn is over after a text and a pause.
fn confidence(text: &str, pause: Duration) -> f64 {
    let whole = match text.chars().last() {
        Some('.' | '?' | '!') => WHOLE,
        Some(',' | '-') => BROKEN_OFF,
        Some(_) | None => OPEN,
    };
    let gone = |after_s: f64| 1.0 - (-pause.as_secs_f64() / after_s).exp();
    whole * gone(SURE_AFTER_S) + (1.0 - whole) * gone(GIVES_UP_AFTER_S)
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
            Some("ForceEndTurn") => self.end_turn(now, 1.0, out),
            Some("CloseStream") => {
                self.ended = true;
                out.close_at(self.last_due.max(now), 1000, "");
            }
            Some(_) | None => {}
        }
    }

    fn handle_audio(&mut self, now: Instant, audio: &[u8], out: &mut Out) {
        self.last_input = now;
        self.reader.hear(audio);
        let (known, (shown, at)) = (self.reader.known(), self.shown);
        if known > shown {
            if self.eager {
                self.eager = false;
                self.show(now, "TurnResumed", known, 0.1, out);
            } else if !self.turn_open {
                self.turn_open = true;
                self.show(now, "StartOfTurn", known, 0.1, out);
            } else if self.reader.heard() >= at + PARTIAL_EVERY {
                self.show(now, "Update", known, 0.1, out);
            }
        }
        self.judge(now, out);
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

    #[test]
    fn a_whole_sentence_is_over_soon_and_half_of_one_only_after_seconds() {
        let sure = |text, ms| confidence(text, Duration::from_millis(ms)) >= 0.7;
        assert!(!sure("I would like to cancel.", 150) && sure("I would like to cancel.", 250));
        assert!(!sure("I'd like to", 2_000) && sure("I'd like to", 3_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspicion_is_taken_back_with_the_next_word() {
        let app = testing::app(&json!({"stt_delay": {"fixed": 100}}));
        let words = "On@100-300 Monday@300-700 or@1500-1700 so.@1700-2000";
        scripts::testing::add(&app, "script-1", words);
        let query = [
            ("model", "flux-general-en"),
            ("encoding", "mulaw"),
            ("sample_rate", "8000"),
            ("eager_eot_threshold", "0.4"),
        ];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let settings = Settings::from_query(&query).unwrap_or_else(|_| panic!("refused"));
        let mut talk = Talk::new(Listening::new(&app, settings, "script-1".into()));
        let mut events = Vec::new();
        for at in (20..=2_600).step_by(20) {
            talk.audio(at, &[0xFF; 160]);
            events.extend(
                talk.until(at)
                    .into_iter()
                    .filter_map(|(at, message)| Some((at, message["event"].as_str()?.to_owned()))),
            );
        }
        let names: Vec<&str> = events.iter().map(|(_, name)| name.as_str()).collect();
        let expected = ["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"];
        assert_eq!(names.iter().filter(|name| expected.contains(name)).count(), names.len());
        assert_eq!(names.last(), Some(&"EndOfTurn"), "{events:?}");
        let at = |name: &str| events.iter().find(|(_, found)| found == name).unwrap().0;
        assert!(at("EagerEndOfTurn") < 1_500 && at("TurnResumed") > 1_700, "{events:?}");
        assert!((2_250..2_450).contains(&at("EndOfTurn")), "{events:?}");
    }
}
