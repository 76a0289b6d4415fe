//! Slots in replies and arguments: `{name}` and `{1}` are groups of the pattern, `{result}` and
//! `{result.field}` the tool's result and what is in it. Other braces stand for themselves.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

static SLOT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{([A-Za-z_]\w*(?:\.\w+)*|[0-9]+)\}").expect("a constant pattern")
});

/// What fills the slots of a rule.
pub(super) struct Slots<'a> {
    groups: Option<(&'a Regex, &'a Captures<'a>)>,
    result: Option<&'a str>,
    /// The result as JSON, where it is.
    json: Option<Value>,
}

impl<'a> Slots<'a> {
    pub fn new(groups: Option<(&'a Regex, &'a Captures<'a>)>, result: Option<&'a str>) -> Self {
        let json = result.and_then(|text| serde_json::from_str(text).ok());
        Self { groups, result, json }
    }

    /// Fills each slot; one that nothing fills becomes nothing.
    pub fn fill(&self, text: &str) -> String {
        SLOT.replace_all(text, |slot: &Captures<'_>| self.value(&slot[1])).into_owned()
    }

    /// Fills the slots of every string in a value.
    pub fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_value(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), self.fill_value(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn value(&self, name: &str) -> String {
        if let Some((pattern, captures)) = self.groups {
            let is_group = pattern.capture_names().flatten().any(|group| group == name);
            let found = match name.parse() {
                Ok(number) => captures.get(number),
                Err(_) => captures.name(name),
            };
            if is_group || found.is_some() {
                return found.map_or_else(String::new, |found| found.as_str().to_owned());
            }
        }
        match name.strip_prefix("result.") {
            Some(path) => self.json.as_ref().map_or_else(String::new, |json| at(json, path)),
            None if name == "result" => self.result.unwrap_or_default().to_owned(),
            None => String::new(),
        }
    }
}

/// The slots that a text has.
pub(super) fn names(text: &str) -> Vec<String> {
    SLOT.captures_iter(text).map(|slot| slot[1].to_owned()).collect()
}

pub(super) fn names_in_value(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => names(text),
        Value::Array(items) => items.iter().flat_map(names_in_value).collect(),
        Value::Object(fields) => fields.values().flat_map(names_in_value).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// What is at a path of fields and indexes, as it would be spoken.
fn at(json: &Value, path: &str) -> String {
    match json.pointer(&format!("/{}", path.replace('.', "/"))) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
