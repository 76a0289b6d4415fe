//! Makes values: some that a shape describes, some that nobody described.

use serde_json::{Map, Value, json};

use crate::contract::shape::{Format, Record, Shape, Span, Text};
use crate::contract::table::Table;

/// Levels below which only required fields are made: the shapes refer to each other in circles.
const FULL_DEPTH: usize = 5;

/// Makes values from shapes, the same ones for the same seed.
pub struct Generator<'t> {
    table: &'t Table,
    random: Random,
    /// Of an optional field, one in so many is made; 0 makes none.
    one_in: u64,
    path: Vec<String>,
    closed_records: Vec<String>,
}

impl<'t> Generator<'t> {
    pub fn new(table: &'t Table, seed: u64) -> Self {
        Self {
            table,
            random: Random(seed),
            one_in: 3,
            path: Vec::new(),
            closed_records: Vec::new(),
        }
    }

    pub fn required_only(table: &'t Table, seed: u64) -> Self {
        Self { one_in: 0, ..Self::new(table, seed) }
    }

    /// JSON pointers to the objects of the value made last that take no other fields than their shape's.
    pub fn closed_records(&self) -> &[String] {
        &self.closed_records
    }

    pub fn value(&mut self, shape: &Shape) -> Value {
        let table = self.table;
        match shape {
            Shape::Any => json!({"any": ["thing", 1, null]}),
            Shape::Null => Value::Null,
            Shape::Bool => json!(self.random.below(2) == 0),
            Shape::Free => json!({"free": {"form": true}}),
            Shape::Number { whole, size } => self.number(*whole, *size),
            Shape::Text(text) => self.text(text),
            Shape::One(allowed) => self.random.pick(allowed).clone(),
            Shape::List { item, size } => {
                let least = size.min.unwrap_or(0.0) as u64;
                let most = if self.path.len() > FULL_DEPTH {
                    least
                } else {
                    size.max.map_or(least + 2, |max| max as u64)
                };
                let count = least + self.random.below((most - least).min(2) + 1);
                (0..count).map(|index| self.inside(&index.to_string(), item)).collect()
            }
            Shape::Map(inner) => json!({"some name": self.inside("some name", inner)}),
            Shape::Record(record) => self.record(record),
            Shape::Tagged { by, of } => {
                let (tag, shape) = self.random.pick(of);
                let mut value = self.value(shape);
                value[by.as_str()] = json!(tag.replace("[*]", "[a=1]"));
                value
            }
            Shape::Either(variants) => {
                let chosen = self.random.pick(variants);
                self.value(chosen)
            }
            Shape::Nullable(_) if self.random.below(4) == 0 => Value::Null,
            Shape::Nullable(inner) => self.value(inner),
            Shape::Ref(id) => self.value(table.get(*id)),
        }
    }

    fn record(&mut self, record: &Record) -> Value {
        if !record.open {
            let place: String = self.path.iter().map(|step| format!("/{step}")).collect();
            self.closed_records.push(place);
        }
        let full = self.path.len() <= FULL_DEPTH && self.one_in > 0;
        let mut object = Map::new();
        for field in &record.fields {
            if field.required || (full && self.random.below(self.one_in) == 0) {
                object.insert(field.name.clone(), self.inside(&field.name, &field.shape));
            }
        }
        Value::Object(object)
    }

    fn inside(&mut self, step: &str, shape: &Shape) -> Value {
        self.path.push(step.to_owned());
        let value = self.value(shape);
        self.path.pop();
        value
    }

    fn number(&mut self, whole: bool, size: Span) -> Value {
        let min = size.min.unwrap_or(size.max.unwrap_or(10.0) - 10.0);
        let max = size.max.unwrap_or(min + 10.0);
        // Rounding may lead past the end: 0.3 + (0.9 - 0.3) is more than 0.9.
        let at = (min + (max - min) * self.random.below(5) as f64 / 4.0).min(max);
        json!(if whole { at.round() } else { at })
    }

    fn text(&mut self, text: &Text) -> Value {
        if let Some(pattern) = &text.pattern {
            return json!(sample(&pattern.source));
        }
        match text.format {
            Some(Format::Uuid) => json!("123e4567-e89b-42d3-a456-426614174000"),
            Some(Format::DateTime) => json!("2026-05-06T07:08:09.123Z"),
            Some(Format::Uri) => json!("https://host.example/path"),
            Some(Format::Regex | Format::Pattern) => json!("yes|no"),
            Some(Format::WaitFunction) => json!("200 + 8000 * x"),
            None => {
                let least = text.size.min.unwrap_or(0.0) as u64;
                let most = text.size.max.map_or(least + 20, |max| max as u64).min(least + 20);
                let length = least + self.random.below(most - least + 1);
                json!(
                    (0..length)
                        .map(|_| *self.random.pick(&['a', 'Z', '9', ' ', 'é', '語', '😀']))
                        .collect::<String>()
                )
            }
        }
    }
}

/// A text that matches the pattern, which is one of the table's.
pub fn sample(pattern: &str) -> &'static str {
    let samples = ["aB", "word", "A", "a/b", "org-a", "customer.speech.timeout"];
    let samples = samples.iter().chain(&["assistant.transcriber.endpointedSpeechLowConfidence"]);
    let regex = regex::Regex::new(pattern).unwrap();
    let found = samples.copied().find(|sample| regex.is_match(sample));
    found.unwrap_or_else(|| panic!("no sample matches {pattern}"))
}

/// Any JSON value, often with names and values that mean something to the contract.
pub fn anything(seed: u64) -> Value {
    fn make(random: &mut Random, depth: u64) -> Value {
        const NAMES: [&str; 14] = [
            "provider",
            "type",
            "on",
            "model",
            "voice",
            "tools",
            "messages",
            "members",
            "assistant",
            "do",
            "hooks",
            "",
            "é",
            "[*]",
        ];
        const WORDS: [&str; 10] = [
            "openai",
            "local",
            "function",
            "assistant",
            "[",
            "]",
            "customer.speech.timeout[",
            "(((",
            "\u{0}",
            "x[]",
        ];
        match random.below(if depth > 6 { 5 } else { 8 }) {
            0 => Value::Null,
            1 => json!(random.below(2) == 0),
            2 => json!(random.below(1 << 40) as f64 / 7.0 - 1e9),
            3 => json!(i64::MIN),
            4 => json!(random.pick(&WORDS)),
            5 => (0..random.below(4)).map(|_| make(random, depth + 1)).collect(),
            _ => {
                let fields = random.below(6);
                Value::Object(
                    (0..fields)
                        .map(|_| ((*random.pick(&NAMES)).to_owned(), make(random, depth + 1)))
                        .collect(),
                )
            }
        }
    }
    make(&mut Random(seed), 0)
}

/// SplitMix64: plenty for tests, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}
