//! The filters of LiquidJS that prompts use, with limits.
//!
//! The library's own filters overflow, slice by bytes or build values of any size; these do not.

use std::fmt;

use liquid_core::{
    Expression, Filter, FilterReflection, ParseFilter, Result, Runtime, Value, ValueView,
    model::ValueViewCmp,
    parser::{FilterArguments, ParameterReflection},
};

use super::{
    dates,
    limits::{charge, charge_value, check_size, size_of},
    numbers::{binary, round, unary, whole},
    scope::complain,
};

type Apply = fn(&dyn ValueView, &[Value], &dyn Runtime) -> Result<Value>;

/// Arguments that a filter takes at least and at most, and what it does.
const ALL: &[(&str, usize, usize, Apply)] = &[
    ("abs", 0, 0, |x, _, _| unary(x, i64::checked_abs, f64::abs)),
    ("append", 1, 1, |x, a, _| joined(&[&text(x), &text(&a[0])])),
    ("at_least", 1, 1, |x, a, _| binary(x, &a[0], |x, y| Some(x.max(y)), f64::max)),
    ("at_most", 1, 1, |x, a, _| binary(x, &a[0], |x, y| Some(x.min(y)), f64::min)),
    ("capitalize", 0, 0, |x, _, _| Ok(Value::scalar(capitalize(&text(x))))),
    ("ceil", 0, 0, |x, _, _| unary(x, Some, f64::ceil)),
    ("compact", 0, 0, |x, _, _| {
        Ok(Value::Array(items(x).into_iter().filter(|item| !item.is_nil()).collect()))
    }),
    ("concat", 1, 1, |x, a, _| Ok(Value::Array([items(x), items(&a[0])].concat()))),
    ("date", 0, 2, dates::date),
    ("default", 0, 1, |x, a, _| Ok(or_default(x, a.first()))),
    ("divided_by", 1, 1, |x, a, _| binary(x, &a[0], i64::checked_div_euclid, |x, y| x / y)),
    ("downcase", 0, 0, |x, _, _| Ok(Value::scalar(text(x).to_lowercase()))),
    ("escape", 0, 0, |x, _, _| {
        replace(
            &text(x),
            &[("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&#34;"), ("'", "&#39;")],
        )
    }),
    ("first", 0, 0, |x, _, _| Ok(items(x).into_iter().next().unwrap_or(Value::Nil))),
    ("floor", 0, 0, |x, _, _| unary(x, Some, f64::floor)),
    ("join", 0, 1, |x, a, _| join(x, a.first())),
    ("json", 0, 0, |x, _, _| json(x)),
    ("last", 0, 0, |x, _, _| Ok(items(x).pop().unwrap_or(Value::Nil))),
    ("lstrip", 0, 0, |x, _, _| Ok(Value::scalar(text(x).trim_start().to_owned()))),
    ("map", 1, 1, |x, a, _| {
        Ok(Value::Array(items(x).iter().map(|item| field(item, &text(&a[0]))).collect()))
    }),
    ("minus", 1, 1, |x, a, _| binary(x, &a[0], i64::checked_sub, |x, y| x - y)),
    ("modulo", 1, 1, |x, a, _| binary(x, &a[0], i64::checked_rem, |x, y| x % y)),
    ("newline_to_br", 0, 0, |x, _, _| replace(&text(x), &[("\n", "<br />\n")])),
    ("plus", 1, 1, |x, a, _| binary(x, &a[0], i64::checked_add, |x, y| x + y)),
    ("prepend", 1, 1, |x, a, _| joined(&[&text(&a[0]), &text(x)])),
    ("remove", 1, 1, |x, a, _| replace(&text(x), &[(&text(&a[0]), "")])),
    ("replace", 1, 2, |x, a, _| {
        replace(&text(x), &[(&text(&a[0]), &a.get(1).map(text_of).unwrap_or_default())])
    }),
    ("replace_first", 1, 2, |x, a, _| {
        Ok(Value::scalar(text(x).replacen(
            &text(&a[0]),
            &a.get(1).map(text_of).unwrap_or_default(),
            1,
        )))
    }),
    ("reverse", 0, 0, |x, _, _| Ok(Value::Array(items(x).into_iter().rev().collect()))),
    ("round", 0, 1, round),
    ("rstrip", 0, 0, |x, _, _| Ok(Value::scalar(text(x).trim_end().to_owned()))),
    ("size", 0, 0, |x, _, _| Ok(size(x))),
    ("slice", 1, 2, slice),
    ("sort", 0, 1, sort),
    ("split", 1, 1, split),
    ("strip", 0, 0, |x, _, _| Ok(Value::scalar(text(x).trim().to_owned()))),
    ("strip_newlines", 0, 0, |x, _, _| replace(&text(x), &[("\r", ""), ("\n", "")])),
    ("times", 1, 1, |x, a, _| binary(x, &a[0], i64::checked_mul, |x, y| x * y)),
    ("truncate", 0, 2, truncate),
    ("uniq", 0, 0, uniq),
    ("upcase", 0, 0, |x, _, _| Ok(Value::scalar(text(x).to_uppercase()))),
    ("where", 1, 2, |x, a, _| {
        Ok(Value::Array(
            items(x).into_iter().filter(|item| has_field(item, &text(&a[0]), a.get(1))).collect(),
        ))
    }),
];

/// Every filter, ready to register.
pub fn all() -> impl Iterator<Item = Box<dyn ParseFilter>> {
    ALL.iter().map(|&(name, arguments_min, arguments_max, apply)| {
        Box::new(Named { name, arguments_min, arguments_max, apply }) as Box<dyn ParseFilter>
    })
}

#[derive(Clone)]
struct Named {
    name: &'static str,
    arguments_min: usize,
    arguments_max: usize,
    apply: Apply,
}

impl FilterReflection for Named {
    fn name(&self) -> &str {
        self.name
    }

    fn description(&self) -> &str {
        self.name
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for Named {
    fn parse(&self, arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        let positional: Vec<Expression> = arguments.positional.collect();
        let expected = self.arguments_min..=self.arguments_max;
        if !expected.contains(&positional.len()) || arguments.keyword.count() > 0 {
            return complain(format!(
                "filter `{}` takes {} to {} arguments",
                self.name, self.arguments_min, self.arguments_max
            ));
        }
        Ok(Box::new(Call { name: self.name, arguments: positional, apply: self.apply }))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

/// A filter with its arguments, as it stands in a template.
struct Call {
    name: &'static str,
    arguments: Vec<Expression>,
    apply: Apply,
}

impl Filter for Call {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        let arguments = self
            .arguments
            .iter()
            .map(|argument| argument.evaluate(runtime).map(|value| value.into_owned()))
            .collect::<Result<Vec<Value>>>()?;
        let mut handled = 0;
        for value in arguments.iter().chain([&input.to_value()]) {
            let bytes = size_of(value);
            check_size(bytes)?;
            handled += bytes;
        }
        charge(runtime, handled)?;
        let output = (self.apply)(input, &arguments, runtime)?;
        charge_value(runtime, &output)?;
        Ok(output)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn text(value: &dyn ValueView) -> String {
    value.to_kstr().into_owned().to_string()
}

fn text_of(value: &Value) -> String {
    text(value)
}

/// An array's items; anything else is an array of itself, and nothing is none.
fn items(value: &dyn ValueView) -> Vec<Value> {
    match value.to_value() {
        Value::Array(items) => items,
        Value::Nil => Vec::new(),
        other @ (Value::Scalar(_) | Value::Object(_) | Value::State(_)) => vec![other],
    }
}

fn field(item: &Value, name: &str) -> Value {
    item.as_object().and_then(|fields| fields.get(name)).map_or(Value::Nil, ValueView::to_value)
}

fn has_field(item: &Value, name: &str, wanted: Option<&Value>) -> bool {
    let value = field(item, name);
    match wanted {
        Some(wanted) => ValueViewCmp::new(&value) == ValueViewCmp::new(wanted),
        None => value.query_state(liquid_core::model::State::Truthy),
    }
}

fn or_default(value: &dyn ValueView, default: Option<&Value>) -> Value {
    if value.query_state(liquid_core::model::State::DefaultValue) || value.is_nil() {
        default.cloned().unwrap_or(Value::Nil)
    } else {
        value.to_value()
    }
}

fn joined(parts: &[&str]) -> Result<Value> {
    check_size(parts.iter().map(|part| part.len()).sum())?;
    Ok(Value::scalar(parts.concat()))
}

fn join(list: &dyn ValueView, separator: Option<&Value>) -> Result<Value> {
    let separator = separator.map_or_else(|| " ".to_owned(), text_of);
    let parts: Vec<String> = items(list).iter().map(text_of).collect();
    check_size(
        parts.iter().map(String::len).sum::<usize>()
            + separator.len().saturating_mul(parts.len().saturating_sub(1)),
    )?;
    Ok(Value::scalar(parts.join(&separator)))
}

fn replace(text: &str, pairs: &[(&str, &str)]) -> Result<Value> {
    let mut text = text.to_owned();
    for (from, to) in pairs {
        let grown = to.len().saturating_mul(text.matches(from).count());
        check_size(text.len().saturating_add(grown))?;
        text = text.replace(from, to);
    }
    Ok(Value::scalar(text))
}

fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => {
            first.to_uppercase().chain(characters.flat_map(char::to_lowercase)).collect()
        }
        None => String::new(),
    }
}

fn json(value: &dyn ValueView) -> Result<Value> {
    match serde_json::to_string(&value.to_value()) {
        Ok(text) => Ok(Value::scalar(text)),
        Err(_) => complain("a value has no JSON form"),
    }
}

fn size(value: &dyn ValueView) -> Value {
    match value.as_array() {
        Some(array) => Value::scalar(array.size()),
        None => Value::scalar(text(value).chars().count() as i64),
    }
}

fn slice(input: &dyn ValueView, arguments: &[Value], _: &dyn Runtime) -> Result<Value> {
    let start = whole(&arguments[0])?;
    let length = arguments.get(1).map_or(Ok(1), whole)?.max(0) as usize;
    let from = |count: usize| {
        if start < 0 { count.saturating_sub(start.unsigned_abs() as usize) } else { start as usize }
    };
    if let Value::Array(items) = input.to_value() {
        let from = from(items.len());
        return Ok(Value::Array(items.into_iter().skip(from).take(length).collect()));
    }
    let text = text(input);
    let from = from(text.chars().count());
    Ok(Value::scalar(text.chars().skip(from).take(length).collect::<String>()))
}

fn sort(input: &dyn ValueView, arguments: &[Value], _: &dyn Runtime) -> Result<Value> {
    let mut items = items(input);
    let key = arguments.first().map(text_of);
    let value = |item: &Value| match &key {
        Some(key) => field(item, key),
        None => item.clone(),
    };
    items.sort_by_cached_key(|item| SortKey(value(item)));
    Ok(Value::Array(items))
}

/// Numbers before texts, nothing last: a total order, which the values' own is not.
#[derive(PartialEq)]
struct SortKey(Value);

impl SortKey {
    fn rank(&self) -> (u8, f64, String) {
        match self.0.as_scalar() {
            Some(scalar) => match scalar.to_float() {
                Some(number) => (0, number, String::new()),
                None => (1, 0.0, text(&self.0)),
            },
            None => (2, 0.0, String::new()),
        }
    }
}

impl Eq for SortKey {}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (self.rank(), other.rank());
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
    }
}

fn split(input: &dyn ValueView, arguments: &[Value], _: &dyn Runtime) -> Result<Value> {
    /// Parts of a split text; each costs more memory than the text it came from.
    const PARTS_MAX: usize = 10_000;
    let (text, separator) = (text(input), text(&arguments[0]));
    if text.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let parts: Vec<Value> = if separator.is_empty() {
        text.chars().take(PARTS_MAX + 1).map(|part| Value::scalar(part.to_string())).collect()
    } else {
        text.split(&separator)
            .take(PARTS_MAX + 1)
            .map(|part| Value::scalar(part.to_owned()))
            .collect()
    };
    if parts.len() > PARTS_MAX {
        return complain(format!("`split` makes more than {PARTS_MAX} parts"));
    }
    Ok(Value::Array(parts))
}

fn truncate(input: &dyn ValueView, arguments: &[Value], _: &dyn Runtime) -> Result<Value> {
    let length = arguments.first().map_or(Ok(50), whole)?.max(0) as usize;
    let ending = arguments.get(1).map_or_else(|| "...".to_owned(), text_of);
    let text = text(input);
    if text.chars().count() <= length {
        return Ok(Value::scalar(text));
    }
    let kept = length.saturating_sub(ending.chars().count());
    Ok(Value::scalar(text.chars().take(kept).collect::<String>() + &ending))
}

fn uniq(input: &dyn ValueView, _: &[Value], _: &dyn Runtime) -> Result<Value> {
    /// Each item is compared with all that were kept.
    const ITEMS_MAX: usize = 1_000;
    let items = items(input);
    if items.len() > ITEMS_MAX {
        return complain(format!("`uniq` takes at most {ITEMS_MAX} items"));
    }
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.iter().any(|other| ValueViewCmp::new(other) == ValueViewCmp::new(&item)) {
            kept.push(item);
        }
    }
    Ok(Value::Array(kept))
}
