//! What becomes of the model's text on its way to the voice (`voice.chunkPlan`).

use offhook_core::{
    ChunkPlan, Chunking,
    speech_format::{FormatPlan, Formatter, RegexFlags, Replacement},
};
use serde::Deserialize;
use serde_json::Value;

use crate::lenient::{self, text};

/// How the text is cut, and how it is written for the voice.
#[derive(Clone, Debug, Default)]
pub struct VoiceText {
    chunks: ChunkFields,
    pub format: FormatPlan,
    /// What the document asks for and nothing here does, for the log.
    pub notes: Vec<String>,
}

impl VoiceText {
    /// Reads a voice's object; the transcriber's says which language is spoken where the voice's
    /// does not.
    pub fn read(voice: &Value, transcriber: &Value) -> Self {
        let fields = lenient::get(voice, "chunkPlan").unwrap_or(&Value::Null);
        let fields = Option::<ChunkFields>::deserialize(fields).ok().flatten().unwrap_or_default();
        let mut notes = Vec::new();
        let is_chunked = fields.enabled.unwrap_or(true);
        let format = fields.format_plan.as_ref();
        let replacements = format.and_then(|plan| plan.replacements.as_deref()).unwrap_or_default();
        let replacements = replacements.iter().enumerate().filter_map(|(index, replacement)| {
            let read = replacement.read();
            read.map_err(|why| {
                let field = format!("voice.chunkPlan.formatPlan.replacements[{index}].regex");
                notes.push(format!("{field} is not acted on: {why}"));
            })
            .ok()
        });
        let format = FormatPlan {
            is_enabled: is_chunked && format.and_then(|plan| plan.enabled).unwrap_or(true),
            formatters: format
                .and_then(|plan| plan.formatters_enabled.as_deref())
                .map(|names| names.iter().filter_map(|name| Formatter::from_name(name)).collect()),
            digits_cutoff: format
                .and_then(|plan| plan.number_to_digits_cutoff)
                // `as` saturates, and makes zero of what is no number.
                .map(|cutoff| cutoff as u64),
            replacements: replacements.collect(),
            is_english: is_english(voice, transcriber),
            strips_flush_tokens: is_chunked,
        };
        Self { chunks: fields, format, notes }
    }

    /// How the text is cut for a voice with these capabilities.
    pub fn chunk_plan(&self, streams_text: bool, text_chars_max: usize) -> ChunkPlan {
        let default = ChunkPlan::default();
        let chunking = match (self.chunks.enabled.unwrap_or(true), streams_text) {
            (true, _) => Chunking::Planned {
                chars_min: self.chunks.min_characters.map(|chars| lenient::count(chars) as usize),
                boundaries: self.chunks.punctuation_boundaries.clone(),
            },
            (false, true) => Chunking::Words,
            (false, false) => Chunking::Sentences,
        };
        ChunkPlan { chunking, chars_max: default.chars_max.min(text_chars_max) }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChunkFields {
    enabled: Option<bool>,
    min_characters: Option<f64>,
    punctuation_boundaries: Option<Vec<String>>,
    format_plan: Option<FormatFields>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FormatFields {
    enabled: Option<bool>,
    number_to_digits_cutoff: Option<f64>,
    replacements: Option<Vec<ReplacementFields>>,
    formatters_enabled: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum ReplacementFields {
    Exact { key: String, value: String, replace_all_enabled: Option<bool> },
    Regex { regex: String, value: String, options: Option<Vec<RegexOption>> },
}

#[derive(Clone, Debug, Deserialize)]
struct RegexOption {
    #[serde(rename = "type")]
    kind: RegexOptionKind,
    enabled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RegexOptionKind {
    IgnoreCase,
    WholeWord,
    MultiLine,
}

impl ReplacementFields {
    fn read(&self) -> Result<Replacement, String> {
        match self {
            Self::Exact { key, value, replace_all_enabled } => Ok(Replacement::Exact {
                key: key.clone(),
                value: value.clone(),
                replaces_all: replace_all_enabled.unwrap_or(false),
            }),
            Self::Regex { regex, value, options } => {
                let options = options.as_deref().unwrap_or_default();
                let has = |kind| options.iter().any(|option| option.kind == kind && option.enabled);
                let flags = RegexFlags {
                    ignore_case: has(RegexOptionKind::IgnoreCase),
                    whole_word: has(RegexOptionKind::WholeWord),
                    multi_line: has(RegexOptionKind::MultiLine),
                };
                Replacement::regex(regex, flags, value)
            }
        }
    }
}

/// Whether the agent speaks English, as far as the document tells: `multi` and nothing at all may
/// be.
fn is_english(voice: &Value, transcriber: &Value) -> bool {
    let language = text(voice, "language").or_else(|| text(transcriber, "language"));
    language.is_none_or(|language| language.starts_with("en") || language == "multi")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(chunk_plan: Value) -> VoiceText {
        VoiceText::read(&json!({ "chunkPlan": chunk_plan }), &Value::Null)
    }

    #[test]
    fn without_a_plan_text_is_cut_and_formatted() {
        for voice in [json!({}), json!({"chunkPlan": null}), json!({"chunkPlan": {}}), Value::Null]
        {
            let text = VoiceText::read(&voice, &Value::Null);
            assert_eq!(text.chunk_plan(true, 1_000), ChunkPlan::default());
            assert_eq!(text.format.format("$5 <flush />"), "five dollars ");
            assert!(text.notes.is_empty());
        }
    }

    #[test]
    fn each_field_of_the_plan_is_read() {
        let text = read(json!({
            "enabled": true, "minCharacters": 20.0, "punctuationBoundaries": [".", "||"],
            "formatPlan": {
                "enabled": true, "numberToDigitsCutoff": 99, "formattersEnabled": ["number"],
                "replacements": [
                    {"type": "exact", "key": "Vapi", "value": "Vappy", "replaceAllEnabled": true},
                    {"type": "exact", "key": "big", "value": "small"},
                    {"type": "regex", "regex": "^colou?r", "value": "hue", "options": [
                        {"type": "ignore-case", "enabled": true},
                        {"type": "multi-line", "enabled": true},
                        {"type": "whole-word", "enabled": false}]},
                ],
            },
        }));
        let boundaries = Some(vec![".".to_owned(), "||".to_owned()]);
        assert_eq!(
            text.chunk_plan(false, 100),
            ChunkPlan {
                chunking: Chunking::Planned { chars_min: Some(20), boundaries },
                chars_max: 100,
            }
        );
        assert_eq!(
            text.format.format("Vapi Vapi big big 100 $5\nColors"),
            "Vappy Vappy small big 1 0 0 $5\nhues"
        );
    }

    #[test]
    fn a_plan_that_is_switched_off_leaves_cutting_to_the_voice_and_formats_nothing() {
        let text = read(json!({"enabled": false, "formatPlan": {"enabled": true}}));
        assert_eq!(text.chunk_plan(true, 1_000).chunking, Chunking::Words);
        assert_eq!(text.chunk_plan(false, 1_000).chunking, Chunking::Sentences);
        assert_eq!(text.format.format("$5 <flush />"), "$5 <flush />");

        let text = read(json!({"formatPlan": {"enabled": false}}));
        assert_eq!(text.format.format("$5 <flush />"), "$5 ");
    }

    #[test]
    fn an_expression_that_is_not_understood_is_named_and_the_others_are_kept() {
        let text = read(json!({"formatPlan": {"replacements": [
            {"type": "regex", "regex": "(?<=\\. |^)[a-z]", "value": "x"},
            {"type": "exact", "key": "a", "value": "b"},
        ]}}));
        assert_eq!(text.format.replacements.len(), 1);
        let [note] = text.notes.as_slice() else { panic!("{:?}", text.notes) };
        assert!(
            note.starts_with("voice.chunkPlan.formatPlan.replacements[0].regex is not"),
            "{note}"
        );
    }

    #[test]
    fn words_are_written_only_into_english() {
        let said = |voice: Value, transcriber: Value| {
            VoiceText::read(&voice, &transcriber).format.format("$5").into_owned()
        };
        assert_eq!(said(json!({}), json!({"language": "de"})), "$5");
        assert_eq!(said(json!({"language": "en-GB"}), json!({"language": "de"})), "five dollars");
        assert_eq!(said(json!({"language": "es"}), json!({})), "$5");
        assert_eq!(said(json!({}), json!({"language": "multi"})), "five dollars");
    }
}
