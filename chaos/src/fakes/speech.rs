//! What a fake voice says: words out of a table, at the pace of a provider.

use std::time::Duration;

use bytes::Bytes;
use offhook_media::AudioFormat;
use offhook_testkit::tones::{WORD, spoken};
use tokio::time::Instant;

use super::{
    App,
    hearing::turn_of,
    report::{Mark, TurnKey, monotonic_ns},
};

/// The speech of one context, or of one request.
pub struct Speech {
    app: App,
    format: AudioFormat,
    /// When the audio of all text so far has left.
    free_at: Option<Instant>,
    /// Words so far.
    words: u32,
    /// Whose answer it is.
    turn: Option<TurnKey>,
    beginning: Beginning,
}

/// What is known of whose answer it is.
enum Beginning {
    /// No text came.
    Nothing,
    /// Its first word came, at this time.
    Word {
        text: String,
        at: u64,
    },
    Known,
}

/// A word that is spoken.
pub struct SpokenWord {
    pub text: String,
    pub audio: Bytes,
    /// When its audio leaves, and how long that of a second takes.
    pub due: Instant,
    pub pace: Pace,
    /// Its place in the speech.
    pub at: Duration,
    pub mark: Option<Mark>,
}

/// How much faster than real time audio leaves.
#[derive(Clone, Copy)]
pub struct Pace(f64);

impl Pace {
    pub fn time_of(self, audio: Duration) -> Duration {
        audio.div_f64(self.0)
    }
}

impl Speech {
    pub fn new(app: &App, format: AudioFormat) -> Self {
        Self {
            app: app.clone(),
            format,
            free_at: None,
            words: 0,
            turn: None,
            beginning: Beginning::Nothing,
        }
    }

    /// Notes a text as soon as it comes, spoken or not yet.
    pub fn note(&mut self, text: &str) {
        let (begun, at) = match std::mem::replace(&mut self.beginning, Beginning::Known) {
            Beginning::Known => return,
            Beginning::Nothing => (String::new(), monotonic_ns()),
            Beginning::Word { text, at } => (text, at),
        };
        let text = begun + text;
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.len() < 2 {
            if !words.is_empty() {
                self.beginning = Beginning::Word { text, at };
            }
            return;
        }
        // An answer goes on with 1; a text out of its middle has other numbers.
        let is_answer = words.get(2).is_none_or(|third| third.trim_end_matches('.') == "1");
        let turn = turn_of(words.into_iter().take(2)).filter(|_| is_answer);
        self.turn = turn.filter(|turn| self.app.report.text(*turn, at));
    }

    /// Speaks a text after those before it.
    pub fn say(&mut self, now: Instant, text: &str) -> Vec<SpokenWord> {
        let timing = self.app.timing();
        let begin = now + timing.tts_ttfb.draw(&self.app.chance);
        let begin = self.free_at.map_or(begin, |free_at| free_at.max(begin));
        let pace = Pace(timing.tts_speed);
        let mut due = begin;
        let words = text.split_whitespace().map(|text| {
            let word = SpokenWord {
                text: text.to_owned(),
                audio: spoken(text, self.format),
                due,
                pace,
                at: WORD * self.words,
                mark: self.turn.filter(|_| self.words == 0).map(Mark::FirstAudio),
            };
            self.words += 1;
            due += pace.time_of(WORD);
            word
        });
        let words: Vec<SpokenWord> = words.collect();
        if !words.is_empty() {
            self.free_at = Some(due);
        }
        words
    }

    /// When all that was said has left.
    pub fn free_at(&self, now: Instant) -> Instant {
        self.free_at.map_or(now, |free_at| free_at.max(now))
    }
}

impl SpokenWord {
    /// The two halves of its audio, 100 ms each, and when they leave.
    pub fn halves(&self) -> [(Instant, Bytes); 2] {
        let half = self.audio.len() / 4 * 2;
        let (first, second) = (self.audio.slice(..half), self.audio.slice(half..));
        [(self.due, first), (self.due + self.pace.time_of(WORD / 2), second)]
    }
}
