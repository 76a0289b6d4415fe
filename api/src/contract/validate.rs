//! Walks a value along its shape and says everything that is wrong with it, in the words of Vapi's API.

use serde_json::{Map, Value};

use super::shape::{Record, Shape, Span, tags, variant};
use super::table::Table;
use super::text;
use super::{MAX_VIOLATIONS, Mode};

/// Levels of nesting that are looked into.
///
/// An assistant in a squad in a call needs about fifteen; a JSON parser stops at 128 anyway.
const MAX_DEPTH: usize = 64;

/// Values looked at in one validation, those tried for several variants of a union counted for each.
///
/// A document of a megabyte has fewer than 200,000 values; this bounds what a hostile one costs to some tens of
/// milliseconds.
const MAX_STEPS: usize = 500_000;

/// Allowed values that a message lists before it says how many more there are.
const MAX_LISTED: usize = 100;

/// Characters of a client's own field name that a message repeats.
const MAX_NAME_CHARS: usize = 100;

/// What is wrong with `value` as a `shape`.
pub(super) fn violations(table: &Table, shape: &Shape, value: &Value, mode: Mode) -> Vec<String> {
    let mut walk = Walk { table, path: String::new(), depth: 0, steps_left: MAX_STEPS };
    let mut found = Found { messages: Vec::new(), limit: MAX_VIOLATIONS };
    walk.check(shape, value, mode, &mut found);
    if walk.steps_left == 0 {
        found.messages.truncate(MAX_VIOLATIONS - 1);
        found.messages.push(format!("the document must not have more than {MAX_STEPS} values"));
    }
    found.messages
}

/// Violations up to a limit: beyond it nobody reads them, and looking for more costs time.
struct Found {
    messages: Vec<String>,
    limit: usize,
}

impl Found {
    fn is_full(&self) -> bool {
        self.messages.len() >= self.limit
    }

    fn push(&mut self, message: String) {
        if !self.is_full() {
            self.messages.push(message);
        }
    }
}

struct Walk<'t> {
    table: &'t Table,
    /// Where we are: `model.messages.0`; empty for the document itself.
    path: String,
    depth: usize,
    steps_left: usize,
}

impl Walk<'_> {
    /// `mode` is the caller's for the document itself and `Create` for everything inside, which an update replaces.
    fn check(&mut self, shape: &Shape, value: &Value, mode: Mode, found: &mut Found) {
        if self.steps_left == 0 || found.is_full() {
            return;
        }
        self.steps_left -= 1;
        let table = self.table;
        match shape {
            Shape::Any => {}
            Shape::Ref(id) => self.check(table.get(*id), value, mode, found),
            Shape::Nullable(inner) if !value.is_null() => self.check(inner, value, mode, found),
            Shape::Nullable(_) => {}
            Shape::Null => self.expect(value.is_null(), "must be null", found),
            Shape::Bool => self.expect(value.is_boolean(), "must be a boolean value", found),
            Shape::Free => self.expect(value.is_object(), "must be an object", found),
            Shape::Number { whole, size } => self.check_number(*whole, *size, value, found),
            Shape::Text(text) => match value.as_str() {
                Some(string) => text::check(text, string, |fault| found.push(self.say(fault))),
                None => found.push(self.say("must be a string")),
            },
            Shape::One(allowed) => {
                let fits = allowed.iter().any(|one| same(one, value));
                self.expect(fits, &one_of(allowed.iter()), found);
            }
            Shape::List { item, size } => self.check_list(item, *size, value, found),
            Shape::Map(inner) => match value.as_object() {
                Some(object) => {
                    for (name, value) in object {
                        self.inside(clip(name), found, |walk, found| {
                            walk.check(inner, value, Mode::Create, found)
                        });
                    }
                }
                None => found.push(self.say("must be an object")),
            },
            Shape::Record(record) => match value.as_object() {
                Some(object) => self.check_record(record, object, mode, found),
                None => found.push(self.say("must be an object")),
            },
            Shape::Tagged { by, of } => self.check_tagged(by, of, value, mode, found),
            Shape::Either(variants) => {
                let variants: Vec<_> = variants.iter().collect();
                self.check_best(&variants, value, mode, found);
            }
        }
    }

    fn check_number(&self, whole: bool, size: Span, value: &Value, found: &mut Found) {
        let Some(number) = value.as_f64() else {
            found.push(self.say("must be a number conforming to the specified constraints"));
            return;
        };
        // Some clients write whole numbers as 2.0.
        self.expect(!whole || number.fract() == 0.0, "must be an integer number", found);
        if let Some(max) = size.max.filter(|max| number > *max) {
            found.push(self.say(&format!("must not be greater than {max}")));
        }
        if let Some(min) = size.min.filter(|min| number < *min) {
            found.push(self.say(&format!("must not be less than {min}")));
        }
    }

    fn check_list(&mut self, item: &Shape, size: Span, value: &Value, found: &mut Found) {
        let Some(items) = value.as_array() else {
            found.push(self.say("must be an array"));
            return;
        };
        if let Some(min) = size.min.filter(|min| (items.len() as f64) < *min) {
            found.push(self.say(&format!("must contain at least {min} elements")));
        }
        if let Some(max) = size.max.filter(|max| items.len() as f64 > *max) {
            found.push(self.say(&format!("must contain no more than {max} elements")));
        }
        for (index, value) in items.iter().enumerate() {
            if self.steps_left == 0 || found.is_full() {
                return;
            }
            self.inside(&index.to_string(), found, |walk, found| {
                walk.check(item, value, Mode::Create, found)
            });
        }
    }

    fn check_record(
        &mut self,
        record: &Record,
        object: &Map<String, Value>,
        mode: Mode,
        found: &mut Found,
    ) {
        if !record.open {
            for name in object.keys().filter(|name| record.field(name).is_none()) {
                self.steps_left = self.steps_left.saturating_sub(1);
                if self.steps_left == 0 || found.is_full() {
                    return;
                }
                let dot = if self.path.is_empty() { "" } else { "." };
                found.push(format!("{}{dot}property {} should not exist", self.path, clip(name)));
            }
        }
        for field in &record.fields {
            match object.get(&field.name) {
                None if mode == Mode::Update || !field.required => {}
                Some(Value::Null) if mode == Mode::Update && !field.required => {}
                given => self.inside(&field.name, found, |walk, found| match given {
                    Some(value) => walk.check(&field.shape, value, Mode::Create, found),
                    None => found.push(walk.say("should not be null or undefined")),
                }),
            }
        }
    }

    fn check_tagged(
        &mut self,
        by: &str,
        of: &[(String, Shape)],
        value: &Value,
        mode: Mode,
        found: &mut Found,
    ) {
        let Some(object) = value.as_object() else {
            found.push(self.say("must be an object"));
            return;
        };
        let chosen = match object.get(by) {
            Some(Value::String(tag)) => variant(of, tag),
            Some(_) => None,
            None if of.iter().all(|(_, shape)| !self.requires(shape, by)) => {
                let variants: Vec<_> = of.iter().map(|(_, shape)| shape).collect();
                self.check_best(&variants, value, mode, found);
                return;
            }
            None => None,
        };
        match chosen {
            Some(shape) => self.check(shape, value, mode, found),
            None => {
                let fault = one_of(tags(of));
                self.inside(by, found, |walk, found| found.push(walk.say(&fault)));
            }
        }
    }

    /// Whether values of `shape` must have the field `name`.
    fn requires(&self, shape: &Shape, name: &str) -> bool {
        match self.table.resolve(shape) {
            Shape::Record(record) => record.field(name).is_some_and(|field| field.required),
            Shape::Either(variants) => variants.iter().any(|variant| self.requires(variant, name)),
            Shape::Any
            | Shape::Null
            | Shape::Bool
            | Shape::Free
            | Shape::Number { .. }
            | Shape::Text(_)
            | Shape::One(_)
            | Shape::List { .. }
            | Shape::Map(_)
            | Shape::Tagged { .. }
            | Shape::Nullable(_)
            | Shape::Ref(_) => false,
        }
    }

    /// Complains about the variant that `value` comes closest to, or about none when one fits.
    fn check_best(&mut self, variants: &[&Shape], value: &Value, mode: Mode, found: &mut Found) {
        let fitting: Vec<_> = variants
            .iter()
            .filter(|shape| kinds(self.table, shape).contains(&kind(value)))
            .collect();
        if fitting.is_empty() {
            let mut expected: Vec<_> =
                variants.iter().flat_map(|shape| kinds(self.table, shape)).copied().collect();
            expected.dedup();
            found.push(self.say(&format!("must be {}", expected.join(" or "))));
            return;
        }
        let mut best: Option<Vec<String>> = None;
        for shape in fitting {
            let limit = best.as_ref().map_or(MAX_VIOLATIONS, Vec::len);
            let mut attempt = Found { messages: Vec::new(), limit };
            self.check(shape, value, mode, &mut attempt);
            if attempt.messages.is_empty() {
                return;
            }
            if best.as_ref().is_none_or(|best| attempt.messages.len() < best.len()) {
                best = Some(attempt.messages);
            }
        }
        for message in best.unwrap_or_default() {
            found.push(message);
        }
    }

    /// Does `work` one level deeper, at the field or element `name`.
    fn inside(&mut self, name: &str, found: &mut Found, work: impl FnOnce(&mut Self, &mut Found)) {
        let length = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            found.push(self.say(&format!("must not be nested deeper than {MAX_DEPTH} levels")));
        } else {
            work(self, found);
        }
        self.depth -= 1;
        self.path.truncate(length);
    }

    fn expect(&self, holds: bool, fault: &str, found: &mut Found) {
        if !holds {
            found.push(self.say(fault));
        }
    }

    fn say(&self, fault: &str) -> String {
        let path = if self.path.is_empty() { "request body" } else { &self.path };
        format!("{path} {fault}")
    }
}

/// Whether two scalars are the same; `1` and `1.0` are.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        (Some(_), None) | (None, Some(_)) | (None, None) => one == other,
    }
}

fn one_of<T: ToString>(allowed: impl Iterator<Item = T>) -> String {
    let all: Vec<_> = allowed.map(|value| value.to_string().trim_matches('"').to_owned()).collect();
    let listed = all[..all.len().min(MAX_LISTED)].join(", ");
    match all.len().saturating_sub(MAX_LISTED) {
        0 => format!("must be one of the following values: {listed}"),
        more => format!("must be one of the following values: {listed} and {more} more"),
    }
}

fn clip(name: &str) -> &str {
    name.char_indices().nth(MAX_NAME_CHARS).map_or(name, |(end, _)| &name[..end])
}

/// The kind of a JSON value, in the words of a message.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The kinds of values that a shape can take.
fn kinds(table: &Table, shape: &Shape) -> &'static [&'static str] {
    match table.resolve(shape) {
        Shape::Null => &["null"],
        Shape::Bool => &["a boolean value"],
        Shape::Number { .. } => &["a number"],
        Shape::Text(_) => &["a string"],
        Shape::One(allowed) if allowed.iter().all(Value::is_string) => &["a string"],
        Shape::One(_) => &["a string", "a number"],
        Shape::List { .. } => &["an array"],
        Shape::Free | Shape::Map(_) | Shape::Record(_) | Shape::Tagged { .. } => &["an object"],
        Shape::Any | Shape::Either(_) | Shape::Nullable(_) | Shape::Ref(_) => {
            &["null", "a boolean value", "a number", "a string", "an array", "an object"]
        }
    }
}
