//! The table of shapes: read from the notation of `api/contract/README.md`, once.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::shape::{Field, Format, Pattern, Record, Shape, ShapeId, Span, Text};

/// What the vendor's contract says, distilled by `api/tools/distill.py`.
const SHAPES: &str = include_str!("../../contract/shapes.json");

/// What Offhook adds: its own providers.
const EXTENSIONS: &str = include_str!("../../contract/extensions.json");

/// Named shapes that refer to each other.
pub(super) struct Table {
    names: Vec<String>,
    shapes: Vec<Shape>,
    ids: HashMap<String, ShapeId>,
}

impl Table {
    /// The table that is built in.
    pub fn built_in() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| {
            Self::read(SHAPES, EXTENSIONS).expect("a test reads the table that is built in")
        })
    }

    /// Reads `shapes` and merges `extensions` into it.
    ///
    /// # Errors
    ///
    /// Says what could not be read, and where.
    pub fn read(shapes: &str, extensions: &str) -> Result<Self, String> {
        let mut lines = object(shapes)?;
        for (name, extension) in object(extensions)? {
            match name.strip_prefix('+') {
                Some(base) => extend(&mut lines, base, extension)?,
                None => {
                    if lines.insert(name.clone(), extension).is_some() {
                        return Err(format!(
                            "the extension `{name}` has the name of another shape"
                        ));
                    }
                }
            }
        }
        let names: Vec<String> = lines.keys().cloned().collect();
        let ids: HashMap<String, ShapeId> = names.iter().cloned().zip(0..).collect();
        let shapes = lines
            .iter()
            .map(|(name, notation)| {
                shape(notation, &ids).map_err(|error| format!("shape `{name}`: {error}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { names, shapes, ids })
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn named(&self, name: &str) -> Option<&Shape> {
        self.ids.get(name).map(|id| self.get(*id))
    }

    pub fn get(&self, id: ShapeId) -> &Shape {
        &self.shapes[id]
    }

    pub fn name(&self, id: ShapeId) -> &str {
        &self.names[id]
    }

    /// Follows references until a shape that is none.
    pub fn resolve<'a>(&'a self, mut shape: &'a Shape) -> &'a Shape {
        while let Shape::Ref(id) = shape {
            shape = self.get(*id);
        }
        shape
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("the table is not a JSON object: {error}"))
}

/// Adds variants to a union, or fields to a record.
fn extend(lines: &mut Map<String, Value>, base: &str, extension: Value) -> Result<(), String> {
    let line = lines
        .get_mut(base)
        .ok_or_else(|| format!("nothing is called `{base}`, so it cannot be extended"))?;
    let Value::Object(parts) = extension else {
        return Err(format!("the extension of `{base}` is not an object"));
    };
    for (part, additions) in parts {
        let (Some(Value::Object(target)), Value::Object(additions)) =
            (line.get_mut(&part), additions)
        else {
            return Err(format!("`{base}` has no `{part}` to be extended"));
        };
        // A field that is given anew is required as it says now.
        for name in additions.keys().filter(|name| !name.ends_with('!')) {
            target.shift_remove(&format!("{name}!"));
        }
        target.extend(additions);
    }
    Ok(())
}

fn shape(notation: &Value, ids: &HashMap<String, ShapeId>) -> Result<Shape, String> {
    match notation {
        Value::String(word) => simple(word, ids),
        Value::Array(items) => match items.as_slice() {
            [item] => Ok(Shape::List { item: Box::new(shape(item, ids)?), size: Span::default() }),
            _ => Err(format!("expected a list of one type, found {notation}")),
        },
        Value::Object(parts) => compound(parts, ids),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            Err(format!("expected a type, found {notation}"))
        }
    }
}

/// `str 1..40`, `?@Server`: a type in one word, possibly with bounds.
fn simple(word: &str, ids: &HashMap<String, ShapeId>) -> Result<Shape, String> {
    if let Some(inner) = word.strip_prefix('?') {
        return Ok(Shape::Nullable(Box::new(simple(inner, ids)?)));
    }
    if let Some(name) = word.strip_prefix('@') {
        return ids
            .get(name)
            .map(|id| Shape::Ref(*id))
            .ok_or_else(|| format!("nothing is called `{name}`"));
    }
    let (kind, size) = word.split_once(' ').unwrap_or((word, ".."));
    let size = span(size)?;
    let text = |format| Ok(Shape::Text(Text { size, format, pattern: None }));
    match kind {
        "any" => Ok(Shape::Any),
        "null" => Ok(Shape::Null),
        "bool" => Ok(Shape::Bool),
        "object" => Ok(Shape::Free),
        "num" => Ok(Shape::Number { whole: false, size }),
        "int" => Ok(Shape::Number { whole: true, size }),
        "str" => text(None),
        "uuid" => text(Some(Format::Uuid)),
        "date-time" => text(Some(Format::DateTime)),
        "uri" => text(Some(Format::Uri)),
        "regex" => text(Some(Format::Regex)),
        "pattern" => text(Some(Format::Pattern)),
        "wait-function" => text(Some(Format::WaitFunction)),
        _ => Err(format!("unknown type `{word}`")),
    }
}

fn compound(parts: &Map<String, Value>, ids: &HashMap<String, ShapeId>) -> Result<Shape, String> {
    let size = match parts.get("size") {
        Some(Value::String(size)) => span(size)?,
        Some(other) => return Err(format!("expected a size such as `1..40`, found {other}")),
        None => Span::default(),
    };
    let boxed = |part: &Value| shape(part, ids).map(Box::new);
    if let Some(Value::Object(fields)) = parts.get("has") {
        return record(fields, parts.contains_key("more"), ids);
    }
    if let Some(Value::Array(values)) = parts.get("one") {
        return Ok(Shape::One(values.clone()));
    }
    if let (Some(Value::String(by)), Some(Value::Object(of))) = (parts.get("by"), parts.get("of")) {
        let of = of
            .iter()
            .map(|(tag, part)| Ok((tag.clone(), shape(part, ids)?)))
            .collect::<Result<_, String>>()?;
        return Ok(Shape::Tagged { by: by.clone(), of });
    }
    if let Some(Value::Array(variants)) = parts.get("or") {
        return Ok(Shape::Either(
            variants.iter().map(|part| shape(part, ids)).collect::<Result<_, _>>()?,
        ));
    }
    if let Some(Value::String(pattern)) = parts.get("like") {
        return Ok(Shape::Text(Text { size, format: None, pattern: Some(Pattern::new(pattern)) }));
    }
    if let Some(item) = parts.get("list") {
        return Ok(Shape::List { item: boxed(item)?, size });
    }
    if let Some(inner) = parts.get("map") {
        return Ok(Shape::Map(boxed(inner)?));
    }
    if let Some(inner) = parts.get("null") {
        return Ok(Shape::Nullable(boxed(inner)?));
    }
    let found: Vec<_> = parts.keys().map(String::as_str).collect();
    Err(format!(
        "expected one of: has, one, by and of, or, like, list, map, null; found {}",
        found.join(", ")
    ))
}

fn record(
    fields: &Map<String, Value>,
    open: bool,
    ids: &HashMap<String, ShapeId>,
) -> Result<Shape, String> {
    let fields = fields
        .iter()
        .map(|(name, notation)| {
            let shape = shape(notation, ids).map_err(|error| format!("field `{name}`: {error}"))?;
            let required = name.ends_with('!');
            Ok(Field { name: name.trim_end_matches('!').to_owned(), required, shape })
        })
        .collect::<Result<_, String>>()?;
    Ok(Shape::Record(Record { fields, open }))
}

/// `1..40`, `1..`, `..40`.
fn span(text: &str) -> Result<Span, String> {
    let bound = |text: &str| match text {
        "" => Ok(None),
        number => {
            number.parse().map(Some).map_err(|_| format!("expected a number, found `{number}`"))
        }
    };
    let (min, max) = text
        .split_once("..")
        .ok_or_else(|| format!("expected bounds such as `1..40`, found `{text}`"))?;
    Ok(Span { min: bound(min)?, max: bound(max)? })
}
