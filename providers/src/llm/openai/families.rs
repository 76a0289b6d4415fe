//! What models refuse, as data: a refused parameter costs the caller a round trip.

/// Models that take the same parameters.
#[derive(Debug)]
pub(in crate::llm) struct Family {
    /// How the names of its models begin; an empty one fits all.
    pub prefix: &'static str,
    /// The name of the limit of a reply.
    pub token_limit: &'static str,
    /// The lowest `reasoning_effort`, sent when the document does not say: the caller waits.
    /// `None` for models that do not think.
    pub lowest_effort: Option<&'static str>,
    /// Refused unless the effort is `none`.
    pub refused: &'static [&'static str],
    /// `reasoning_effort` is refused together with function tools.
    pub effort_excludes_tools: bool,
    /// It thinks, and no effort keeps it from that.
    pub thinks: bool,
    /// Parameters of its own, as name and JSON, most of them to keep it from thinking.
    pub extra: Extra,
    /// More of them, where tools are offered.
    pub extra_with_tools: Extra,
    /// The lowest and the highest `temperature` that is taken.
    pub temperatures: (f64, f64),
    /// It pads its chunks unless it is told not to; others may not know the parameter.
    pub obfuscates: bool,
    /// Only the first system message is kept.
    pub one_system_message: bool,
    /// A message of tool calls is refused without `content`.
    pub calls_need_content: bool,
    /// It counts its tokens unasked, and refuses `stream_options`.
    pub counts_unasked: bool,
    /// Ids of tool calls have nine letters and digits.
    pub short_ids: bool,
    /// How it is told to go on with a last message of the assistant.
    pub prefill: Prefill,
    /// The last message has to be the user's or a tool's, and between a tool's result and the user
    /// the assistant has to speak.
    pub strict_order: bool,
}

/// How an endpoint is told that the last message is the beginning of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::llm) enum Prefill {
    /// It takes every message for a whole one.
    No,
    /// By two parameters of the request (vLLM: OpenAI-compatible server; llama.cpp's server).
    Open,
    /// By `prefix` of the message (Mistral: Chat completions).
    Prefix,
}

/// Names of parameters, and their values as JSON.
pub(in crate::llm) type Extra = &'static [(&'static str, &'static str)];

impl Family {
    pub fn extra(&self, with_tools: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
        let more = if with_tools { self.extra_with_tools } else { &[] };
        self.extra.iter().chain(more).copied()
    }
}

/// Models of compatible endpoints of which nothing else is known.
pub(in crate::llm) const COMPATIBLE: Family = Family {
    prefix: "",
    token_limit: "max_tokens",
    lowest_effort: None,
    refused: &[],
    effort_excludes_tools: false,
    thinks: false,
    extra: &[],
    extra_with_tools: &[],
    temperatures: (0.0, 2.0),
    obfuscates: false,
    one_system_message: false,
    calls_need_content: false,
    counts_unasked: false,
    short_ids: false,
    prefill: Prefill::No,
    strict_order: false,
};

/// OpenAI's models that do not think.
const CHAT: Family =
    Family { token_limit: "max_completion_tokens", obfuscates: true, ..COMPATIBLE };

/// OpenAI's models that think. Of what they refuse, only this is ever sent.
const THINKING: Family = Family { lowest_effort: Some("none"), refused: &["temperature"], ..CHAT };

/// OpenAI's models, by their API reference and by what they were seen to refuse.
pub(super) const OPENAI: &[Family] = &[
    Family { prefix: "o1-mini", refused: &["temperature"], ..CHAT },
    Family { prefix: "o1", lowest_effort: Some("low"), ..THINKING },
    Family { prefix: "o3", lowest_effort: Some("low"), ..THINKING },
    Family { prefix: "o4", lowest_effort: Some("low"), ..THINKING },
    Family { prefix: "gpt-6.1-sol", lowest_effort: Some("low"), ..THINKING },
    Family { prefix: "gpt-6", ..THINKING },
    Family { prefix: "gpt-5-chat", refused: &["temperature"], ..CHAT },
    Family { prefix: "gpt-5.1-chat", refused: &["temperature"], ..CHAT },
    Family { prefix: "gpt-5.2-chat", refused: &["temperature"], ..CHAT },
    Family { prefix: "gpt-5.2", effort_excludes_tools: true, ..THINKING },
    Family { prefix: "gpt-5.4", effort_excludes_tools: true, ..THINKING },
    Family { prefix: "gpt-5.", ..THINKING },
    Family { prefix: "gpt-5", lowest_effort: Some("minimal"), ..THINKING },
    CHAT,
];

/// The first family whose prefix fits.
pub(super) fn find(families: &'static [Family], model: &str) -> &'static Family {
    families
        .iter()
        .find(|family| model.starts_with(family.prefix))
        .expect("every table ends with a family that fits all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_finds_the_row_that_is_most_its_own() {
        let effort = |model| find(OPENAI, model).lowest_effort;
        assert_eq!(effort("gpt-4.1-mini"), None);
        assert_eq!(effort("gpt-5-nano"), Some("minimal"));
        assert_eq!(effort("gpt-5-chat-latest"), None);
        assert_eq!(effort("gpt-5.6-luna"), Some("none"));
        assert_eq!(effort("gpt-6.1-sol"), Some("low"));
        assert_eq!(effort("gpt-6-sol"), Some("none"));
        assert_eq!(effort("o4-mini"), Some("low"));
        assert!(find(OPENAI, "gpt-5.4-mini").effort_excludes_tools);
    }

    #[test]
    fn the_table_ends_with_a_row_that_fits_all_models() {
        assert_eq!(OPENAI.last().unwrap().prefix, "");
    }
}
