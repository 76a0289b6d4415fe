//! The grammar of what the rules' callers may say.

use serde::Deserialize;
use serde_json::Value;

use super::rules::Source;

/// Derives a JSGF grammar for the local transcriber from the value of `rules`: of the rules'
/// `examples` and, for rules without any, of patterns that are plain words (`yes|yeah`).
///
/// A caller may say one sentence, or two in a breath. Nothing where no rule says a sentence.
pub fn grammar_from_rules(rules: &Value) -> Option<String> {
    let mut sentences: Vec<String> = Vec::new();
    for rule in rules.as_array()?.iter().filter_map(|rule| Source::deserialize(rule).ok()) {
        if rule.tool.is_some() {
            continue;
        }
        let said = if rule.examples.is_empty() {
            plain_words(&rule.when)
        } else {
            rule.examples.iter().map(|example| spoken(example)).collect()
        };
        for sentence in said {
            if !sentence.is_empty() && !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
    }
    if sentences.is_empty() {
        return None;
    }
    Some(format!(
        "#JSGF V1.0;\ngrammar rules;\n\
         public <utterance> = /0.9/ <sentence> | /0.1/ <sentence> <sentence>;\n\
         <sentence> = {};\n",
        sentences.join("\n  | ")
    ))
}

/// The words of a sentence as a dictionary has them.
fn spoken(sentence: &str) -> String {
    let lower = sentence.to_lowercase().replace('\u{2019}', "'");
    let is_word = |c: char| c.is_alphanumeric() || c == '\'';
    let words = lower.split(|c| !is_word(c)).map(|word| word.trim_matches('\''));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The alternatives of a pattern that has nothing else, apart from anchors.
fn plain_words(pattern: &str) -> Vec<String> {
    let bare = pattern.replace(r"\b", "");
    let bare = bare.trim_start_matches('^').trim_end_matches('$');
    let bare = match bare.strip_prefix('(').and_then(|bare| bare.strip_suffix(')')) {
        Some(group) => group.strip_prefix("?:").unwrap_or(group),
        None => bare,
    };
    let is_plain = |text: &str| text.chars().all(|c| c.is_alphabetic() || " '".contains(c));
    bare.split('|').filter(|text| is_plain(text)).map(spoken).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn examples_make_the_grammar_and_plain_patterns_where_there_are_none() {
        let rules = json!([
            {"when": "book|appointment", "examples": ["I'd like to book, please!"], "reply": "."},
            {"when": r"^\b(yes|yeah|o'clock)\b$", "reply": "."},
            {"when": "(?<day>monday|friday) at", "reply": "."},
            {"when": "opening hours|open.*today", "reply": "."},
            {"when": "ignored", "tool": "book", "reply": "."},
            {"when": "yes", "reply": "again"},
            {"when": "*", "reply": "."},
            {"when": "^$", "reply": "."},
        ]);

        assert_eq!(
            grammar_from_rules(&rules).unwrap(),
            "#JSGF V1.0;\ngrammar rules;\n\
             public <utterance> = /0.9/ <sentence> | /0.1/ <sentence> <sentence>;\n\
             <sentence> = i'd like to book please\n  | yes\n  | yeah\n  | o'clock\n  \
             | opening hours;\n"
        );
    }

    #[test]
    fn rules_that_say_no_sentence_make_no_grammar() {
        assert_eq!(grammar_from_rules(&json!([{"when": "a.*b", "reply": "."}])), None);
        assert_eq!(grammar_from_rules(&json!("nonsense")), None);
    }
}
