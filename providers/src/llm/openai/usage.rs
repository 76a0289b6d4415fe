//! The tokens that an endpoint counts, in the places where vendors put them.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::llm::Usage;

#[derive(Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<ReplyDetails>,
    /// DeepSeek's name of what was cached.
    prompt_cache_hit_tokens: Option<u64>,
    /// A vendor's own fields.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct ReplyDetails {
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    /// `cost_field` is the field that says what the reply cost in USD; empty where none does.
    pub fn read(self, cost_field: &str) -> Usage {
        let prompt = self.prompt_tokens.unwrap_or_default();
        let reply = self.completion_tokens.unwrap_or_default();
        // xAI counts thoughts in the total alone.
        let beyond_prompt = self.total_tokens.unwrap_or_default().saturating_sub(prompt);
        let of_prompt = self.prompt_tokens_details.unwrap_or_default();
        let of_reply = self.completion_tokens_details.unwrap_or_default();
        let cached = of_prompt.cached_tokens.or(self.prompt_cache_hit_tokens);
        Usage {
            prompt_tokens: prompt,
            completion_tokens: reply.max(beyond_prompt),
            cached_prompt_tokens: cached.unwrap_or_default(),
            cache_write_tokens: of_prompt.cache_write_tokens.unwrap_or_default(),
            reasoning_tokens: of_reply.reasoning_tokens.unwrap_or_default(),
            cost_nano_usd: self.more.get(cost_field).and_then(nano_usd),
        }
    }
}

/// An amount in USD, in billionths of it.
fn nano_usd(amount: &Value) -> Option<u64> {
    const NANO: f64 = 1e9;
    let amount = amount.as_f64().filter(|amount| *amount >= 0.0)?;
    Some((amount * NANO).round() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(usage: Value, cost_field: &str) -> Usage {
        WireUsage::deserialize(usage).unwrap().read(cost_field)
    }

    #[test]
    fn tokens_are_found_where_each_vendor_puts_them() {
        let openai = json!({
            "prompt_tokens": 90, "completion_tokens": 20, "total_tokens": 110,
            "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 16},
            "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0},
        });
        let expected = Usage {
            prompt_tokens: 90,
            completion_tokens: 20,
            cached_prompt_tokens: 64,
            cache_write_tokens: 16,
            reasoning_tokens: 8,
            cost_nano_usd: None,
        };
        assert_eq!(read(openai, ""), expected);

        let deepseek = json!({"prompt_tokens": 90, "completion_tokens": 20,
            "prompt_tokens_details": null, "prompt_cache_hit_tokens": 64});
        assert_eq!(read(deepseek, "").cached_prompt_tokens, 64);

        let xai = json!({"prompt_tokens": 90, "completion_tokens": 20, "total_tokens": 118,
            "completion_tokens_details": {"reasoning_tokens": 8}});
        assert_eq!(read(xai, "").completion_tokens, 28, "thoughts are paid for like words");
    }

    #[test]
    fn a_vendor_that_says_what_it_costs_is_believed_and_others_are_not_asked() {
        let usage = || json!({"prompt_tokens": 9, "cost": 0.000_012_345, "upstream": {"cost": 1}});
        assert_eq!(read(usage(), "cost").cost_nano_usd, Some(12_345));
        assert_eq!(read(usage(), "").cost_nano_usd, None);
        assert_eq!(read(usage(), "estimated_cost").cost_nano_usd, None);
        assert_eq!(read(json!({"cost": {"total": 1}}), "cost").cost_nano_usd, None);
    }
}
