//! What a value may be: the types that a line of the table becomes.

use std::sync::OnceLock;

use regex::Regex;
use serde_json::Value;

/// The place of a named shape in the table.
pub(super) type ShapeId = usize;

/// A type of JSON values.
#[derive(Debug)]
pub(super) enum Shape {
    Any,
    Null,
    Bool,
    /// An object whose fields are the user's own business.
    Free,
    Number {
        whole: bool,
        size: Span,
    },
    Text(Text),
    One(Vec<Value>),
    List {
        item: Box<Shape>,
        size: Span,
    },
    /// An object from any name to values of one type.
    Map(Box<Shape>),
    Record(Record),
    /// A union whose variant is told by the value of the field `by`.
    Tagged {
        by: String,
        of: Vec<(String, Shape)>,
    },
    /// A union whose variant is whichever fits best.
    Either(Vec<Shape>),
    Nullable(Box<Shape>),
    Ref(ShapeId),
}

#[derive(Debug)]
pub(super) struct Record {
    pub fields: Vec<Field>,
    /// Whether fields other than these are allowed.
    pub open: bool,
}

#[derive(Debug)]
pub(super) struct Field {
    pub name: String,
    pub required: bool,
    pub shape: Shape,
}

#[derive(Debug, Default)]
pub(super) struct Text {
    pub size: Span,
    pub format: Option<Format>,
    pub pattern: Option<Pattern>,
}

/// What a text must be able to be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Uuid,
    DateTime,
    Uri,
    /// A regular expression of the `regex` crate, or `*`.
    Regex,
    /// A regular expression of the `regex` crate.
    Pattern,
    /// An arithmetic expression in `x`.
    WaitFunction,
}

/// A regular expression that is compiled when it is first needed: the table has few, and a cold start needs none.
#[derive(Debug)]
pub(super) struct Pattern {
    pub source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub fn new(source: &str) -> Self {
        Self { source: source.to_owned(), compiled: OnceLock::new() }
    }

    /// Whether `text` matches; a pattern that cannot be compiled lets everything pass.
    pub fn matches(&self, text: &str) -> bool {
        self.compiled().is_none_or(|regex| regex.is_match(text))
    }

    pub fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&self.source).ok()).as_ref()
    }
}

/// Bounds, both included: of a number, of the characters of a text, of the elements of a list.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Span {
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl Record {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The shape in `of` that the tag `tag` stands for.
///
/// A key that ends in `[*]` stands for its stem with any options in brackets: `customer.speech.timeout[timeout=10]`.
pub(super) fn variant<'a>(of: &'a [(String, Shape)], tag: &str) -> Option<&'a Shape> {
    let exact = of.iter().find(|(key, _)| key == tag);
    let found = exact.or_else(|| {
        let stem = tag.strip_suffix(']')?.split_once('[')?.0;
        of.iter().find(|(key, _)| key.strip_suffix("[*]") == Some(stem))
    });
    found.map(|(_, shape)| shape)
}

/// The tags of a union as a message lists them, without the forms with options.
pub(super) fn tags(of: &[(String, Shape)]) -> impl Iterator<Item = &str> {
    of.iter().map(|(key, _)| key.as_str()).filter(|key| !key.ends_with("[*]"))
}
