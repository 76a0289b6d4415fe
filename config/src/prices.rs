//! What providers charge: the table that is built in, and the user's own over it.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use serde::Deserialize;
use toml::Spanned;

use crate::Problem;

/// List prices that are known, with their date.
const BUILT_IN: &str = include_str!("../prices.toml");

/// The highest price that is believed, in USD per unit of its entry: beyond it is a slip of the
/// decimal point.
const PRICE_MAX: f64 = 100_000.0;

/// The currency of the costs in a call's record, by the contract.
const CURRENCY: &str = "USD";

/// What providers charge, in USD.
#[derive(Clone, PartialEq)]
pub struct Prices {
    built_in: Tables,
    /// The user's, which count before those that are built in.
    own: Tables,
}

#[derive(Clone, Default, PartialEq)]
struct Tables {
    models: Table<ModelPrice>,
    transcribers: Table<TranscriberPrice>,
    voices: Table<VoicePrice>,
}

/// What a language model costs, in USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelPrice {
    pub input: f64,
    /// Input that was read from the provider's cache.
    pub cached_input: f64,
    /// Input that was written to it.
    pub cache_write: f64,
    /// Replies, thoughts included.
    pub output: f64,
}

/// What a transcriber costs, in USD per minute of audio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TranscriberPrice {
    pub per_minute: f64,
}

/// What a voice costs, in USD per million characters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoicePrice {
    pub per_million_characters: f64,
}

/// Prices by provider and name of the model.
type Table<P> = BTreeMap<(String, Pattern), P>;

impl Default for Prices {
    fn default() -> Self {
        let built_in = read(BUILT_IN).expect("a test reads the prices that are built in");
        Self { built_in, own: Tables::default() }
    }
}

impl fmt::Debug for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            |tables: &Tables| tables.models.len() + tables.transcribers.len() + tables.voices.len();
        write!(f, "Prices({} built in, {} own)", count(&self.built_in), count(&self.own))
    }
}

impl Prices {
    /// The prices with those of a file before them.
    pub(crate) fn with_file(mut self, path: &Path) -> Result<Self, Problem> {
        let text = fs::read_to_string(path).map_err(|error| Problem::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        })?;
        self.own = read(&text).map_err(|Fault { at, reason }| {
            let before = &text.as_bytes()[..at.min(text.len())];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Problem::Price { path: path.into(), line, reason }
        })?;
        Ok(self)
    }

    pub fn model(&self, provider: &str, name: &str) -> Option<ModelPrice> {
        self.find(|tables| &tables.models, provider, name)
    }

    pub fn transcriber(&self, provider: &str, name: &str) -> Option<TranscriberPrice> {
        self.find(|tables| &tables.transcribers, provider, name)
    }

    pub fn voice(&self, provider: &str, name: &str) -> Option<VoicePrice> {
        self.find(|tables| &tables.voices, provider, name)
    }

    fn find<P: Copy>(
        &self,
        table: impl Fn(&Tables) -> &Table<P>,
        provider: &str,
        name: &str,
    ) -> Option<P> {
        let mut tables = [&self.own, &self.built_in].into_iter().map(table);
        tables.find_map(|table| find(table, provider, name))
    }
}

fn read(text: &str) -> Result<Tables, Fault> {
    let file: File = toml::from_str(text).map_err(|error| Fault {
        at: error.span().map_or(0, |span| span.start),
        reason: error.message().replace('\n', ", "),
    })?;
    let fault = |place: &Spanned<String>, reason| Fault { at: place.span().start, reason };
    let as_of = file.as_of.get_ref();
    if !is_date(as_of) {
        let reason = format!("as_of is `{as_of}`, expected a date such as 2026-11 or 2026-11-21");
        return Err(fault(&file.as_of, reason));
    }
    let currency = file.currency.get_ref();
    if currency != CURRENCY {
        let reason = format!("currency is `{currency}`, expected {CURRENCY}");
        return Err(fault(&file.currency, reason));
    }
    Ok(Tables {
        models: table(file.model)?,
        transcribers: table(file.transcriber)?,
        voices: table(file.voice)?,
    })
}

/// The names that an entry is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    BeginsWith(String),
    Is(String),
}

impl Pattern {
    fn read(text: &str) -> Result<Self, String> {
        let (start, is_open) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        match (start.contains('*'), is_open) {
            (true, _) => Err(format!("`{text}` has a `*` before its end, expected it at the end")),
            (false, _) if text.is_empty() => Err("a name in models is empty".into()),
            (false, true) => Ok(Self::BeginsWith(start.into())),
            (false, false) => Ok(Self::Is(text.into())),
        }
    }

    /// How well it fits a name: the longer the better, a whole name best; `None` if it does not.
    fn fit(&self, name: &str) -> Option<usize> {
        match self {
            Self::Is(whole) => (whole == name).then_some(usize::MAX),
            Self::BeginsWith(start) => name.starts_with(start).then_some(start.len()),
        }
    }
}

fn find<P: Copy>(table: &Table<P>, provider: &str, name: &str) -> Option<P> {
    let of_provider = table.iter().filter(|((of, _), _)| of == provider);
    let fitting = of_provider.filter_map(|((_, pattern), price)| Some((pattern.fit(name)?, price)));
    fitting.max_by_key(|(fit, _)| *fit).map(|(_, price)| *price)
}

fn table<E: Entry>(entries: Vec<Spanned<E>>) -> Result<Table<E::Price>, Fault> {
    let mut table = Table::new();
    for entry in entries {
        let at = entry.span().start;
        let fault = |reason| Fault { at, reason };
        let entry = entry.into_inner();
        let price = entry.price().map_err(fault)?;
        let provider = entry.provider().to_owned();
        for name in entry.models() {
            let pattern = Pattern::read(name).map_err(fault)?;
            if table.insert((provider.clone(), pattern), price).is_some() {
                return Err(fault(format!("provider `{provider}` has `{name}` twice")));
            }
        }
    }
    Ok(table)
}

/// What is wrong with a file, and at which byte.
#[derive(Debug)]
struct Fault {
    at: usize,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    as_of: Spanned<String>,
    currency: Spanned<String>,
    #[serde(default)]
    model: Vec<Spanned<ModelEntry>>,
    #[serde(default)]
    transcriber: Vec<Spanned<TranscriberEntry>>,
    #[serde(default)]
    voice: Vec<Spanned<VoiceEntry>>,
}

/// One table of a file.
trait Entry {
    type Price: Copy;

    fn provider(&self) -> &str;
    fn models(&self) -> &[String];
    fn price(&self) -> Result<Self::Price, String>;
}

fn all_models() -> Vec<String> {
    vec!["*".into()]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelEntry {
    provider: String,
    #[serde(default = "all_models")]
    models: Vec<String>,
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    output: f64,
}

impl Entry for ModelEntry {
    type Price = ModelPrice;

    fn provider(&self) -> &str {
        &self.provider
    }

    fn models(&self) -> &[String] {
        &self.models
    }

    fn price(&self) -> Result<ModelPrice, String> {
        let input = price("input", self.input)?;
        Ok(ModelPrice {
            input,
            cached_input: price("cached_input", self.cached_input.unwrap_or(input))?,
            cache_write: price("cache_write", self.cache_write.unwrap_or(input))?,
            output: price("output", self.output)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TranscriberEntry {
    provider: String,
    #[serde(default = "all_models")]
    models: Vec<String>,
    per_minute: f64,
}

impl Entry for TranscriberEntry {
    type Price = TranscriberPrice;

    fn provider(&self) -> &str {
        &self.provider
    }

    fn models(&self) -> &[String] {
        &self.models
    }

    fn price(&self) -> Result<TranscriberPrice, String> {
        Ok(TranscriberPrice { per_minute: price("per_minute", self.per_minute)? })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VoiceEntry {
    provider: String,
    #[serde(default = "all_models")]
    models: Vec<String>,
    per_million_characters: f64,
}

impl Entry for VoiceEntry {
    type Price = VoicePrice;

    fn provider(&self) -> &str {
        &self.provider
    }

    fn models(&self) -> &[String] {
        &self.models
    }

    fn price(&self) -> Result<VoicePrice, String> {
        let per_million_characters = price("per_million_characters", self.per_million_characters)?;
        Ok(VoicePrice { per_million_characters })
    }
}

fn price(name: &str, amount: f64) -> Result<f64, String> {
    let is_price = (0.0..=PRICE_MAX).contains(&amount);
    is_price
        .then_some(amount)
        .ok_or_else(|| format!("{name} is {amount}, expected a price from 0 to {PRICE_MAX}"))
}

/// `2026-11` or `2026-11-21`.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let within = |part: &str, most: u8| {
        number(part, 2) && part.parse().is_ok_and(|value: u8| (1..=most).contains(&value))
    };
    match parts.as_slice() {
        [year, month] => number(year, 4) && within(month, 12),
        [year, month, day] => number(year, 4) && within(month, 12) && within(day, 31),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
