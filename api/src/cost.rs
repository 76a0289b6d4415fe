//! What a call cost, as its record and its report tell it (`cost`, `costs`, `costBreakdown`).

use serde_json::{Value, json};

/// Amounts are told to a millionth of a USD: a token costs about that.
const UNITS_PER_USD: f64 = 1e6;

/// Minutes are told to a ten-thousandth: six milliseconds.
const UNITS_PER_MINUTE: f64 = 1e4;

/// What one part of a call took.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Transport {
        provider: String,
        minutes: f64,
    },
    Transcriber {
        /// Names the transcriber, without its secrets.
        transcriber: Value,
        /// Audio that was sent to it.
        minutes: f64,
    },
    Model {
        /// Names the model, without its secrets.
        model: Value,
        tokens: Tokens,
    },
    Voice {
        /// Names the voice, without its secrets.
        voice: Value,
        characters: u64,
    },
}

/// Tokens as the contract counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub prompt: u64,
    pub completion: u64,
    /// What of the prompt was read from a cache.
    pub cached_prompt: u64,
    /// What of the completion were thoughts.
    pub reasoning: u64,
}

/// What a call took, part by part, and what each costs in USD.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallCosts(Vec<(Part, f64)>);

impl CallCosts {
    /// Adds a part and what it costs in USD.
    pub fn add(&mut self, part: Part, usd: f64) {
        self.0.push((part, rounded(usd, UNITS_PER_USD)));
    }

    /// `cost` of the contract, in USD: the sum of what `costs` tells.
    pub fn total(&self) -> Value {
        self.sum(|_| true)
    }

    /// `costs` of the contract.
    pub fn costs(&self) -> Value {
        self.0.iter().map(|(part, usd)| part.to_json(*usd)).collect()
    }

    /// `costBreakdown` of the contract. Whoever runs the runtime pays nobody for it: `vapi` is 0.
    pub fn breakdown(&self) -> Value {
        let (mut tokens, mut characters) = (Tokens::default(), 0);
        for (part, _) in &self.0 {
            match part {
                Part::Model { tokens: more, .. } => tokens.add(*more),
                Part::Voice { characters: more, .. } => characters += more,
                Part::Transport { .. } | Part::Transcriber { .. } => {}
            }
        }
        json!({
            "transport": self.sum(|part| matches!(part, Part::Transport { .. })),
            "stt": self.sum(|part| matches!(part, Part::Transcriber { .. })),
            "llm": self.sum(|part| matches!(part, Part::Model { .. })),
            "tts": self.sum(|part| matches!(part, Part::Voice { .. })),
            "vapi": 0,
            "total": self.total(),
            "llmPromptTokens": tokens.prompt,
            "llmCompletionTokens": tokens.completion,
            "llmCachedPromptTokens": tokens.cached_prompt,
            "ttsCharacters": characters,
        })
    }

    fn sum(&self, is_counted: impl Fn(&Part) -> bool) -> Value {
        let counted = self.0.iter().filter(|(part, _)| is_counted(part));
        number(counted.map(|(_, usd)| usd).sum(), UNITS_PER_USD)
    }
}

impl Part {
    fn to_json(&self, usd: f64) -> Value {
        let cost = number(usd, UNITS_PER_USD);
        match self {
            Self::Transport { provider, minutes } => json!({
                "type": "transport",
                "provider": provider,
                "minutes": number(*minutes, UNITS_PER_MINUTE),
                "cost": cost,
            }),
            Self::Transcriber { transcriber, minutes } => json!({
                "type": "transcriber",
                "transcriber": transcriber,
                "minutes": number(*minutes, UNITS_PER_MINUTE),
                "cost": cost,
            }),
            Self::Model { model, tokens } => json!({
                "type": "model",
                "model": model,
                "promptTokens": tokens.prompt,
                "completionTokens": tokens.completion,
                "cachedPromptTokens": tokens.cached_prompt,
                "reasoningTokens": tokens.reasoning,
                "cost": cost,
            }),
            Self::Voice { voice, characters } => json!({
                "type": "voice",
                "voice": voice,
                "characters": characters,
                "cost": cost,
            }),
        }
    }
}

impl Tokens {
    fn add(&mut self, more: Self) {
        self.prompt += more.prompt;
        self.completion += more.completion;
        self.cached_prompt += more.cached_prompt;
        self.reasoning += more.reasoning;
    }
}

fn rounded(value: f64, units: f64) -> f64 {
    (value * units).round() / units
}

/// A number as people write it: a whole one without a point.
fn number(value: f64, units: f64) -> Value {
    let value = rounded(value, units);
    // Exact for any amount that a call can come to.
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> CallCosts {
        let mut costs = CallCosts::default();
        let provider = "vapi.websocket".into();
        costs.add(Part::Transport { provider, minutes: 1.500_04 }, 0.0);
        let transcriber = json!({"provider": "deepgram", "model": "nova-3"});
        costs.add(Part::Transcriber { transcriber, minutes: 1.25 }, 1.25 * 0.0077);
        let tokens = Tokens { prompt: 1_000, completion: 50, cached_prompt: 600, reasoning: 10 };
        let model = json!({"provider": "openai", "model": "gpt-4.1-mini"});
        costs.add(Part::Model { model, tokens }, 0.000_300_04);
        let voice = json!({"provider": "11labs", "voiceId": "v"});
        costs.add(Part::Voice { voice, characters: 200 }, 0.01);
        costs
    }

    #[test]
    fn each_part_is_told_with_what_it_took() {
        assert_eq!(
            costs().costs(),
            json!([
                {"type": "transport", "provider": "vapi.websocket", "minutes": 1.5, "cost": 0},
                {"type": "transcriber", "minutes": 1.25, "cost": 0.009_625,
                 "transcriber": {"provider": "deepgram", "model": "nova-3"}},
                {"type": "model", "model": {"provider": "openai", "model": "gpt-4.1-mini"},
                 "promptTokens": 1_000, "completionTokens": 50, "cachedPromptTokens": 600,
                 "reasoningTokens": 10, "cost": 0.000_3},
                {"type": "voice", "voice": {"provider": "11labs", "voiceId": "v"},
                 "characters": 200, "cost": 0.01},
            ])
        );
    }

    #[test]
    fn the_breakdown_adds_up_to_the_total() {
        let breakdown = costs().breakdown();
        assert_eq!(
            breakdown,
            json!({
                "transport": 0, "stt": 0.009_625, "llm": 0.000_3, "tts": 0.01, "vapi": 0,
                "total": 0.019_925, "llmPromptTokens": 1_000, "llmCompletionTokens": 50,
                "llmCachedPromptTokens": 600, "ttsCharacters": 200,
            })
        );
        assert_eq!(costs().total(), breakdown["total"]);
    }

    #[test]
    fn what_is_told_is_what_the_contract_has() {
        let told = costs();
        for (shape, value) in ["TransportCost", "TranscriberCost", "ModelCost", "VoiceCost"]
            .iter()
            .zip(told.costs().as_array().unwrap())
        {
            let found = crate::contract::validate(shape, value, crate::contract::Mode::Create);
            assert!(found.is_empty(), "{shape}: {found:?}");
        }
        let breakdown = told.breakdown();
        let mode = crate::contract::Mode::Create;
        assert!(crate::contract::validate("CostBreakdown", &breakdown, mode).is_empty());
    }
}
