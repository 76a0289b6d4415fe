//! What a call cost: what its stages took, by the prices of the settings.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use offhook_actors::CallContext;
use offhook_api::cost::{CallCosts, Part, Tokens};
use offhook_config::{ModelPrice, TranscriberPrice, VoicePrice};
use offhook_core::Stage;
use offhook_providers::llm::Usage;
use serde_json::{Value, json};

/// Prices of models and of voices are for a million tokens and for a million characters.
const MILLION: f64 = 1e6;

/// Providers and models whose want of a price was logged; further ones are only counted. Models are
/// named by users, who may name any number.
const LOGGED_MAX: usize = 256;

static LOGGED: Mutex<BTreeSet<(&str, String, String)>> = Mutex::new(BTreeSet::new());

/// What a call took until `now`, and what that costs.
pub(crate) fn of_call(context: &CallContext) -> CallCosts {
    let mut costs = CallCosts::default();
    let prices = &context.settings.prices;
    if let Some(connected) = context.audio.connected_at() {
        let record = context.record();
        let provider = record.as_value()["transport"]["provider"].as_str().map(Into::into);
        let minutes =
            minutes(context.clock.now().as_duration().saturating_sub(connected.as_duration()));
        // A websocket of one's own is paid to nobody.
        if let Some(provider) = provider {
            costs.add(Part::Transport { provider, minutes }, 0.0);
        }
    }

    for (staged, sent) in context.audio_transcribed() {
        let (provider, model) = (&staged.name, staged.provider.model());
        let price = prices.transcriber(provider, model);
        let usd = price.map(|price| of_transcriber(price, sent));
        let transcriber = identity(context, Stage::Transcriber, provider, model);
        let part = Part::Transcriber { transcriber, minutes: minutes(sent) };
        costs.add(part, usd.unwrap_or_else(|| unpriced(Stage::Transcriber, provider, model)));
    }

    for (staged, usage) in context.usage() {
        let (provider, model) = (&staged.name, staged.provider.model());
        let price = prices.model(provider, model);
        let usd = said_by_provider(&usage).or_else(|| price.map(|price| of_model(price, &usage)));
        let tokens = Tokens {
            prompt: usage.prompt_tokens,
            completion: usage.completion_tokens,
            cached_prompt: usage.cached_prompt_tokens,
            reasoning: usage.reasoning_tokens,
        };
        let part = Part::Model { model: identity(context, Stage::Model, provider, model), tokens };
        costs.add(part, usd.unwrap_or_else(|| unpriced(Stage::Model, provider, model)));
    }

    for (staged, characters) in context.spoken_characters() {
        let (provider, model) = (&staged.name, staged.provider.model());
        let usd = prices.voice(provider, model).map(|price| of_voice(price, characters));
        let voice = identity(context, Stage::Voice, provider, model);
        let part = Part::Voice { voice, characters };
        costs.add(part, usd.unwrap_or_else(|| unpriced(Stage::Voice, provider, model)));
    }
    costs
}

fn of_transcriber(price: TranscriberPrice, sent: Duration) -> f64 {
    minutes(sent) * price.per_minute
}

/// What tokens cost by a table. Those that a cache was written with or read from are part of the
/// prompt, and thoughts of the completion.
fn of_model(price: ModelPrice, usage: &Usage) -> f64 {
    let of_cache = usage.cached_prompt_tokens + usage.cache_write_tokens;
    let fresh = usage.prompt_tokens.saturating_sub(of_cache);
    let parts = [
        (fresh, price.input),
        (usage.cached_prompt_tokens, price.cached_input),
        (usage.cache_write_tokens, price.cache_write),
        (usage.completion_tokens, price.output),
    ];
    parts.into_iter().map(|(tokens, price)| tokens as f64 * price).sum::<f64>() / MILLION
}

/// What the provider itself says that its replies cost: it knows better than a table.
fn said_by_provider(usage: &Usage) -> Option<f64> {
    const NANO: f64 = 1e9;
    usage.cost_nano_usd.map(|nano| nano as f64 / NANO)
}

fn of_voice(price: VoicePrice, characters: u64) -> f64 {
    characters as f64 * price.per_million_characters / MILLION
}

fn minutes(duration: Duration) -> f64 {
    duration.as_secs_f64() / 60.0
}

/// Who was paid, without what an assistant's document has beside: prompts, keys, headers.
fn identity(context: &CallContext, stage: Stage, provider: &str, model: &str) -> Value {
    let mut identity = json!({ "provider": provider });
    if !model.is_empty() {
        identity["model"] = model.into();
    }
    // A fallback has voices of its own.
    let document = &context.spec.assistant.document()[stage.name()];
    if document["provider"] == provider && !document["voiceId"].is_null() {
        identity["voiceId"] = document["voiceId"].clone();
    }
    identity
}

/// What has no price costs nothing in the records; an operator is told, once.
fn unpriced(stage: Stage, provider: &str, model: &str) -> f64 {
    metrics::counter!("offhook_unpriced_total", "kind" => stage.name(),
        "provider" => provider.to_owned())
    .increment(1);
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if logged.len() < LOGGED_MAX
        && logged.insert((stage.name(), provider.to_owned(), model.to_owned()))
    {
        let kind = stage.name();
        tracing::warn!(kind, provider, model, "no price known, add one in costs.prices_file");
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_a_cache_are_part_of_the_prompt_and_have_prices_of_their_own() {
        let price = ModelPrice { input: 3.0, cached_input: 0.3, cache_write: 3.75, output: 15.0 };
        let usage = Usage {
            prompt_tokens: 10_000,
            cached_prompt_tokens: 6_000,
            cache_write_tokens: 1_000,
            completion_tokens: 200,
            reasoning_tokens: 150,
            ..Usage::default()
        };
        // 3,000 x 3 + 6,000 x 0.3 + 1,000 x 3.75 + 200 x 15 = 17,550 millionths.
        assert!((of_model(price, &usage) - 0.017_55).abs() < 1e-12);
    }

    #[test]
    fn what_the_provider_says_is_taken_as_it_is() {
        let usage = Usage { cost_nano_usd: Some(12_345_000), ..Usage::default() };
        assert_eq!(said_by_provider(&usage), Some(0.012_345));
    }

    #[test]
    fn audio_is_paid_by_the_minute_and_text_by_the_character() {
        let price = TranscriberPrice { per_minute: 0.0077 };
        assert!((of_transcriber(price, Duration::from_secs(90)) - 0.011_55).abs() < 1e-12);
        assert_eq!(of_voice(VoicePrice { per_million_characters: 15.0 }, 2_000), 0.03);
    }
}
