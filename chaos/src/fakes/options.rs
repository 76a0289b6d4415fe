//! How quick the fakes are, and what they keep.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{carriers::CarriersOptions, chance::Chance};

/// What the fakes are started with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakesOptions {
    /// Where all delays that are not fixed come from.
    pub seed: u64,
    pub timing: Timing,
    /// The key that every provider asks for; any, or none, without it.
    pub api_key: Option<String>,
    pub carriers: CarriersOptions,
    /// Requests and connections that are kept to be looked at (`GET /fakes/requests`).
    pub requests_kept: usize,
}

/// How quick the fakes are. Times are in milliseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// From the arrival of the last sound to the final text.
    pub stt_delay: Delay,
    /// Silence that has to follow before an utterance is over; longer than that between words.
    pub stt_silence_ms: f64,
    /// From a request to its first token.
    pub llm_ttft: Delay,
    /// From one token to the next.
    pub llm_token_gap: Delay,
    /// How far a reply counts.
    pub llm_words: u32,
    /// From a text to its first audio.
    pub tts_ttfb: Delay,
    /// How many times faster than real time audio comes at most.
    pub tts_speed: f64,
}

/// A wait in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delay {
    Fixed(f64),
    /// Mean and standard deviation.
    Normal(f64, f64),
    /// Log-normal: median, and the standard deviation of its logarithm (1: one in a hundred takes
    /// more than ten times the median).
    HeavyTail(f64, f64),
}

/// Longest wait that is drawn, in milliseconds: past every deadline of a client.
const DELAY_MS_MAX: f64 = 60_000.0;

/// Silence between two words of the tones, with room for audio cut at other places.
const STT_SILENCE_MS_MIN: f64 = 60.0;

/// Longest reply, in words: what a minute of speech holds.
const LLM_WORDS_MAX: u32 = 300;

impl Default for Timing {
    /// What good providers show from a server near them.
    fn default() -> Self {
        Self {
            stt_delay: Delay::Fixed(150.0),
            stt_silence_ms: 100.0,
            llm_ttft: Delay::Fixed(250.0),
            llm_token_gap: Delay::Fixed(10.0),
            llm_words: 8,
            tts_ttfb: Delay::Fixed(100.0),
            tts_speed: 5.0,
        }
    }
}

impl Timing {
    /// These times with what `changes` names replaced.
    pub fn with(&self, changes: &Value) -> Result<Self, String> {
        let changes = changes.as_object().ok_or("expected an object of times")?;
        let mut fields: Map<String, Value> = match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) => Map::new(),
        };
        fields.extend(changes.clone());
        let timing: Self =
            serde_json::from_value(fields.into()).map_err(|error| error.to_string())?;
        timing.check()
    }

    /// Refuses times that no provider could keep.
    pub fn check(self) -> Result<Self, String> {
        if !(STT_SILENCE_MS_MIN..=DELAY_MS_MAX).contains(&self.stt_silence_ms) {
            return Err(format!(
                "stt_silence_ms is {}, expected {STT_SILENCE_MS_MIN} to {DELAY_MS_MAX}",
                self.stt_silence_ms
            ));
        }
        if !(0.1..=1_000.0).contains(&self.tts_speed) {
            return Err(format!("tts_speed is {}, expected 0.1 to 1000", self.tts_speed));
        }
        if !(1..=LLM_WORDS_MAX).contains(&self.llm_words) {
            return Err(format!("llm_words is {}, expected 1 to {LLM_WORDS_MAX}", self.llm_words));
        }
        Ok(self)
    }

    pub fn stt_silence(&self) -> Duration {
        Duration::from_secs_f64(self.stt_silence_ms / 1_000.0)
    }
}

impl Delay {
    pub fn draw(self, chance: &Chance) -> Duration {
        let ms = match self {
            Self::Fixed(ms) => ms,
            Self::Normal(mean, deviation) => mean + deviation * chance.normal(),
            Self::HeavyTail(median, sigma) => median * (sigma * chance.normal()).exp(),
        };
        // What is no number is no wait.
        Duration::from_secs_f64(ms.clamp(0.0, DELAY_MS_MAX).max(0.0) / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_changed_one_by_one_and_the_others_stay() {
        let timing = Timing::default()
            .with(&json!({"stt_delay": {"normal": [120, 20]}, "llm_words": 3}))
            .unwrap();
        assert_eq!(timing.stt_delay, Delay::Normal(120.0, 20.0));
        assert_eq!((timing.llm_words, timing.tts_speed), (3, 5.0));
    }

    #[test]
    fn times_that_make_no_sense_are_refused_by_name() {
        for (changes, named) in [
            (json!({"stt_delays": 1}), "stt_delays"),
            (json!({"stt_silence_ms": 20}), "stt_silence_ms"),
            (json!({"tts_speed": 0}), "tts_speed"),
            (json!({"llm_words": 0}), "llm_words"),
            (json!([]), "object"),
        ] {
            let refused = Timing::default().with(&changes).unwrap_err();
            assert!(refused.contains(named), "{refused}");
        }
    }

    #[test]
    fn delays_are_drawn_around_what_was_asked_for() {
        let chance = Chance::new(7);
        let drawn = |delay: Delay| -> Vec<f64> {
            let mut drawn: Vec<f64> =
                (0..10_000).map(|_| delay.draw(&chance).as_secs_f64() * 1_000.0).collect();
            drawn.sort_by(f64::total_cmp);
            drawn
        };
        assert_eq!(Delay::Fixed(120.0).draw(&chance), Duration::from_millis(120));
        let normal = drawn(Delay::Normal(120.0, 20.0));
        assert!((118.0..122.0).contains(&normal[5_000]), "{}", normal[5_000]);
        assert!((150.0..155.0).contains(&normal[9_500]), "{}", normal[9_500]);
        let tail = drawn(Delay::HeavyTail(120.0, 1.0));
        assert!((114.0..126.0).contains(&tail[5_000]), "{}", tail[5_000]);
        assert!((1_000.0..1_500.0).contains(&tail[9_900]), "{}", tail[9_900]);
        assert_eq!(Delay::Normal(-5.0, 0.0).draw(&chance), Duration::ZERO);
    }
}
