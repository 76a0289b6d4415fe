//! The variables that an assistant's texts use, and who lacks them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use regex::Regex;
use serde_json::Value;

/// Variables that every call has: the time, and what is known of its parties.
const GIVEN: &[&str] = &[
    "now",
    "date",
    "time",
    "month",
    "day",
    "year",
    "customer",
    "phoneNumber",
    "transport",
    "call",
    "assistant",
];

/// Fields of an assistant that are spoken or prompted.
const TEXTS: &[&str] = &["firstMessage", "voicemailMessage", "endCallMessage", "model"];

/// The variables that somebody must give.
pub fn used(assistant: &Value) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for text in TEXTS.iter().filter_map(|field| assistant.get(field)) {
        collect(text, &mut used);
    }
    used
}

/// How many of those who were shown lack which variable.
#[derive(Debug, Default)]
pub struct Lacking {
    used: BTreeSet<String>,
    by: BTreeMap<String, usize>,
}

impl Lacking {
    /// `overrides`: those of the campaign, whose variables everybody has.
    pub fn new(assistant: &Value, overrides: Option<&Value>) -> Self {
        let given = overrides.map(values).unwrap_or_default();
        let used = used(assistant).into_iter().filter(|name| !given.contains(name.as_str()));
        Self { used: used.collect(), by: BTreeMap::new() }
    }

    pub fn see(&mut self, customer: &Value) {
        if self.used.is_empty() {
            return;
        }
        let given = customer.get("assistantOverrides").map(values).unwrap_or_default();
        for name in &self.used {
            if !given.contains(name.as_str()) {
                *self.by.entry(name.clone()).or_default() += 1;
            }
        }
    }

    /// One sentence for each variable that somebody lacks.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.by.iter().map(|(name, count)| {
            format!("the assistant uses {{{{{name}}}}}, which {count} contacts lack: they will hear nothing in its place")
        })
    }
}

fn values(overrides: &Value) -> BTreeSet<&str> {
    let values = overrides.get("variableValues").and_then(Value::as_object);
    values.into_iter().flatten().filter(|(_, it)| !it.is_null()).map(|(name, _)| &**name).collect()
}

fn collect(value: &Value, used: &mut BTreeSet<String>) {
    static VARIABLE: OnceLock<Regex> = OnceLock::new();
    let variable = VARIABLE.get_or_init(|| {
        Regex::new(r"\{\{-?\s*([A-Za-z_][A-Za-z0-9_-]*)").expect("a pattern of ours")
    });
    match value {
        Value::String(text) => {
            let names = variable.captures_iter(text).map(|found| found[1].to_owned());
            used.extend(names.filter(|name| !GIVEN.contains(&name.as_str())));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, used)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, used)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_that_nobody_gives_are_counted() {
        let assistant = json!({
            "firstMessage": "Hello {{name}}, it is {{ \"now\" | date: \"%H\" }} {{now}}",
            "model": {"messages": [{"role": "system", "content": "Due: {{ due_at | upcase }}. {{shop}} {{customer.name}}"}]},
        });
        assert_eq!(Vec::from_iter(used(&assistant)), ["due_at", "name", "shop"]);
        let mut lacking = Lacking::new(&assistant, Some(&json!({"variableValues": {"shop": "A"}})));
        lacking.see(&json!({"assistantOverrides": {"variableValues": {"name": "Ada"}}}));
        lacking.see(&json!({}));
        let warnings: Vec<_> = lacking.warnings().collect();
        assert!(warnings[0].starts_with("the assistant uses {{due_at}}, which 2 contacts lack"));
        assert!(warnings[1].starts_with("the assistant uses {{name}}, which 1 contacts lack"));
        assert_eq!(warnings.len(), 2);
    }
}
