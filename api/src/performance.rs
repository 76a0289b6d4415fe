//! How fast the turns of a call were (`artifact.performanceMetrics`).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The latencies of one turn, each absent where it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnLatency {
    /// From the end of the caller's speech to its final text.
    pub transcriber: Option<Duration>,
    /// From there to the decision that the turn is over.
    pub endpointing: Option<Duration>,
    /// From the question to the model's first token.
    pub model: Option<Duration>,
    /// From the first text for the voice to its first audio.
    pub voice: Option<Duration>,
    /// From the end of the caller's speech to the first audio of the answer.
    pub turn: Option<Duration>,
}

/// The measurements of a whole call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Performance {
    pub turns: Vec<TurnLatency>,
    /// Times that the assistant began to speak while the caller did.
    pub user_interrupted: u32,
}

type Stage = (&'static str, fn(&TurnLatency) -> Option<Duration>);

const STAGES: [Stage; 5] = [
    ("modelLatency", |turn| turn.model),
    ("voiceLatency", |turn| turn.voice),
    ("transcriberLatency", |turn| turn.transcriber),
    ("endpointingLatency", |turn| turn.endpointing),
    ("turnLatency", |turn| turn.turn),
];

impl Performance {
    /// `performanceMetrics` of the contract, in milliseconds. `assistant_interrupted` counts what
    /// the caller cut off.
    pub fn to_json(&self, assistant_interrupted: usize) -> Value {
        let turns: Vec<Value> = self.turns.iter().map(turn_json).collect();
        let mut metrics = Map::new();
        metrics.insert("turnLatencies".into(), turns.into());
        for (name, latency) in STAGES {
            let known: Vec<Duration> = self.turns.iter().filter_map(latency).collect();
            if let Ok(count @ 1..) = u32::try_from(known.len()) {
                let average = known.iter().sum::<Duration>() / count;
                metrics.insert(format!("{name}Average"), milliseconds(average));
            }
        }
        metrics.insert("numUserInterrupted".into(), self.user_interrupted.into());
        metrics.insert("numAssistantInterrupted".into(), json!(assistant_interrupted));
        Value::Object(metrics)
    }
}

fn turn_json(turn: &TurnLatency) -> Value {
    STAGES
        .iter()
        .filter_map(|(name, latency)| Some(((*name).to_owned(), milliseconds(latency(turn)?))))
        .collect::<Map<String, Value>>()
        .into()
}

/// Whole milliseconds, rounded.
fn milliseconds(time: Duration) -> Value {
    json!((time + Duration::from_micros(500)).as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn averages_count_the_turns_that_were_measured() {
        let ms = |ms: u64| Some(Duration::from_millis(ms));
        let performance = Performance {
            turns: vec![
                TurnLatency {
                    model: ms(300),
                    voice: ms(100),
                    turn: ms(900),
                    ..TurnLatency::default()
                },
                TurnLatency { model: ms(401), turn: ms(1_000), ..TurnLatency::default() },
            ],
            user_interrupted: 1,
        };
        expect![[r#"{"turnLatencies":[{"modelLatency":300,"voiceLatency":100,"turnLatency":900},{"modelLatency":401,"turnLatency":1000}],"modelLatencyAverage":351,"voiceLatencyAverage":100,"turnLatencyAverage":950,"numUserInterrupted":1,"numAssistantInterrupted":2}"#]]
        .assert_eq(&performance.to_json(2).to_string());
    }

    #[test]
    fn a_call_without_turns_has_no_averages() {
        expect![[r#"{"turnLatencies":[],"numUserInterrupted":0,"numAssistantInterrupted":0}"#]]
            .assert_eq(&Performance::default().to_json(0).to_string());
    }
}
