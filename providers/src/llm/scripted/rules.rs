//! The rules of an assistant's document, and which of them answers.

use offhook_core::Message;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::slots::{self, Slots};

/// Said when no rule answers.
const APOLOGY: &str = "Sorry, I did not get that.";

/// Most rules, and largest compiled pattern in bytes: above any script that a person maintains,
/// below what a hostile document would need to be a nuisance.
const RULES_MAX: usize = 1_000;
const PATTERN_MAX: usize = 256 << 10;

/// A rule as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub when: String,
    #[serde(default)]
    pub tool: Option<String>,
    /// Sentences that callers say; the local transcriber's grammar is made of them.
    #[serde(default)]
    pub examples: Vec<String>,
    #[serde(default)]
    pub reply: Option<String>,
    #[serde(default)]
    pub call: Option<CallSource>,
    #[serde(default)]
    pub end: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallSource {
    pub name: String,
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

pub(super) struct Rules(Vec<Rule>);

struct Rule {
    /// Absent for `*`.
    pattern: Option<Regex>,
    source: Source,
}

/// What a rule says, its slots filled.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub reply: Option<String>,
    pub call: Option<(String, Value)>,
    pub end: bool,
}

impl Rules {
    /// Reads the value of `rules`; the error names the rule.
    pub fn parse(rules: &Value) -> Result<Self, String> {
        let rules = rules.as_array().ok_or("`rules` must be an array of rules")?;
        if rules.len() > RULES_MAX {
            return Err(format!("`rules` has {} rules, expected at most {RULES_MAX}", rules.len()));
        }
        let rule = |(index, rule)| Rule::parse(rule).map_err(|e| format!("rules[{index}]: {e}"));
        rules.iter().enumerate().map(rule).collect::<Result<_, _>>().map(Self)
    }

    pub fn answer(&self, messages: &[Message]) -> Answer {
        let (text, tool) = asked(messages);
        let is_about = |rule: &&Rule| rule.source.tool.as_deref() == tool;
        for rule in self.0.iter().filter(is_about) {
            if let Some(pattern) = &rule.pattern
                && let Some(captures) = pattern.captures(text)
            {
                let slots = Slots::new(Some((pattern, &captures)), tool.map(|_| text));
                return rule.answer(&slots);
            }
        }
        let is_any = |rule: &&Rule| rule.pattern.is_none();
        let any = self.0.iter().filter(is_about).find(is_any);
        // A result that no rule is about is answered like a caller whom no rule understands.
        let any = any.or_else(|| self.0.iter().filter(is_any).find(|r| r.source.tool.is_none()));
        match any {
            Some(rule) => rule.answer(&Slots::new(None, tool.map(|_| text))),
            None => Answer { reply: Some(APOLOGY.into()), ..Default::default() },
        }
    }
}

impl Rule {
    fn parse(rule: &Value) -> Result<Self, String> {
        let source = Source::deserialize(rule).map_err(|e| e.to_string())?;
        if source.reply.is_none() && source.call.is_none() && !source.end {
            return Err("expected a `reply`, a `call` or `end`".into());
        }
        let pattern = match source.when.as_str() {
            "*" => None,
            when => Some(
                RegexBuilder::new(when)
                    .case_insensitive(true)
                    .size_limit(PATTERN_MAX)
                    .build()
                    .map_err(|e| format!("bad pattern in `when`: {}", last_line(&e.to_string())))?,
            ),
        };
        let rule = Self { pattern, source };
        rule.check_slots()?;
        Ok(rule)
    }

    fn check_slots(&self) -> Result<(), String> {
        let arguments = self.source.call.iter().flat_map(|call| call.arguments.values());
        let mut names: Vec<String> = arguments.flat_map(slots::names_in_value).collect();
        names.extend(self.source.reply.iter().flat_map(|reply| slots::names(reply)));
        for name in names {
            let is_result = name == "result" || name.starts_with("result.");
            let is_group = self.pattern.as_ref().is_some_and(|pattern| {
                name.parse().is_ok_and(|number: usize| number < pattern.captures_len())
                    || pattern.capture_names().flatten().any(|group| group == name)
            });
            let is_filled = is_group || (is_result && self.source.tool.is_some());
            if !is_filled {
                return Err(format!(
                    "nothing fills `{{{name}}}`, expected a group of `when`{}",
                    if is_result { " (only rules with `tool` have a result)" } else { "" }
                ));
            }
        }
        Ok(())
    }

    fn answer(&self, slots: &Slots<'_>) -> Answer {
        let Source { reply, call, end, .. } = &self.source;
        let fill_all = |arguments: &Map<String, Value>| {
            arguments.iter().map(|(key, value)| (key.clone(), slots.fill_value(value))).collect()
        };
        Answer {
            reply: reply.as_deref().map(|reply| slots.fill(reply)),
            call: call
                .as_ref()
                .map(|call| (call.name.clone(), Value::Object(fill_all(&call.arguments)))),
            end: *end,
        }
    }
}

/// The text to answer and, when it is a result, its tool: whichever came last. What the assistant
/// says while a tool runs stands behind the result in the prompt and answers nothing.
fn asked(messages: &[Message]) -> (&str, Option<&str>) {
    let last = messages.iter().rev().find_map(|message| match message {
        Message::User { content } => Some((content.trim(), None)),
        Message::ToolResult { name, content, .. } => Some((content.as_str(), Some(name.as_str()))),
        Message::System { .. } | Message::Assistant { .. } | Message::ToolCalls { .. } => None,
    });
    last.unwrap_or_default()
}

/// The reason at the end of a pattern's error, without the drawing above it.
fn last_line(error: &str) -> &str {
    error.lines().last().unwrap_or(error).trim_start_matches("error: ")
}
