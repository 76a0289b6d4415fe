//! How likely it is that the caller is done.
//!
//! [`TextEstimator`] is ours. It is rules on the words and on the pause, written for English, and
//! no trained model: it knows what a half sentence, a number in the middle or a hesitation looks
//! like, and nothing of intonation. For other languages it goes by punctuation and pauses alone.

mod dictation;
mod question;
mod text;
mod words;

use std::{fmt, time::Duration};

pub use text::TextEstimator;

/// What there is to judge by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cues<'a> {
    /// What the caller has said in this turn, as the transcriber writes it.
    pub said: &'a str,
    /// What the assistant said last; empty before it spoke.
    pub asked: &'a str,
    /// The caller's language as a BCP 47 tag; `multi`: several.
    pub language: &'a str,
    /// How much the voice fell over its last half second, in dB, where somebody measures it:
    /// sentences fall towards their end, hesitations are held.
    pub fall_db: Option<f32>,
}

/// Pauses up to this say nothing: words have such gaps between them.
const PAUSE_SAYS_NOTHING: Duration = Duration::from_millis(500);

/// What a second of further pause adds to the log-odds that the turn is over, where the words leave it
/// open.
const LOG_ODDS_PER_SECOND: f64 = 1.0;

/// The same where the words say that more is to come: whoever looks for a word in the middle of a
/// sentence may look for it for two seconds and more.
const LOG_ODDS_PER_SECOND_IN_MIDDLE: f64 = 0.3;

/// Up to this estimate the words say that more is to come.
const IN_MIDDLE: f64 = 0.35;

/// Judges whether the caller's turn is over.
///
/// To use another one, hand it to [`crate::Conversation::with_estimator`]. It must be pure: a call
/// is rebuilt from its journal by asking again. It is asked at each transcript of each call, which
/// leaves it some tens of microseconds.
pub trait EndOfTurnEstimator: fmt::Debug + Send + Sync {
    /// The probability that the turn is over, from 0 to 1, before the pause has lasted.
    fn estimate(&self, cues: &Cues<'_>) -> f64;

    /// What an estimate becomes once the caller has been silent for `pause`; never less.
    fn after(&self, estimate: f64, pause: Duration) -> f64 {
        let pause = pause.saturating_sub(PAUSE_SAYS_NOTHING).as_secs_f64();
        let is_in_middle = estimate <= IN_MIDDLE;
        let per_second =
            if is_in_middle { LOG_ODDS_PER_SECOND_IN_MIDDLE } else { LOG_ODDS_PER_SECOND };
        shift(estimate, pause * per_second)
    }
}

/// Adds to the log-odds of a probability.
fn shift(probability: f64, log_odds: f64) -> f64 {
    let odds = probability / (1.0 - probability) * log_odds.exp();
    if odds.is_infinite() { 1.0 } else { odds / (1.0 + odds) }
}
