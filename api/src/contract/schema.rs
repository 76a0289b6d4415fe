//! The shapes as JSON Schema (the dialect of OpenAPI 3.1), for Offhook's own OpenAPI document.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::shape::{Format, Record, Shape, ShapeId, Span, Text};
use super::table::Table;

/// The prefix of the names of documents that an update sends: there everything may be absent or, to clear it, null.
const UPDATE_PREFIX: &str = "Update";

/// The schema of the shape `name`, or `None` when there is no such shape.
pub(super) fn named(table: &Table, name: &str) -> Option<Value> {
    let shape = table.named(name)?;
    Some(match shape {
        Shape::Record(record) => self::record(table, record, name.starts_with(UPDATE_PREFIX)),
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
        | Shape::Either(_)
        | Shape::Nullable(_)
        | Shape::Ref(_) => schema(table, shape),
    })
}

/// The schemas of `roots` and of every shape that they refer to, by name.
pub(super) fn reachable(table: &Table, roots: &[&str]) -> Map<String, Value> {
    let mut todo: Vec<&str> = roots.to_vec();
    let mut seen = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if let Some(shape) = table.named(name).filter(|_| !seen.contains(name)) {
            seen.insert(name.to_owned());
            references(shape, &mut |id| todo.push(table.name(id)));
        }
    }
    seen.into_iter().filter_map(|name| named(table, &name).map(|schema| (name, schema))).collect()
}

fn references(shape: &Shape, found: &mut impl FnMut(ShapeId)) {
    match shape {
        Shape::Any
        | Shape::Null
        | Shape::Bool
        | Shape::Free
        | Shape::Number { .. }
        | Shape::Text(_)
        | Shape::One(_) => {}
        Shape::Ref(id) => found(*id),
        Shape::List { item: inner, .. } | Shape::Map(inner) | Shape::Nullable(inner) => {
            references(inner, found)
        }
        Shape::Record(record) => {
            for field in &record.fields {
                references(&field.shape, found);
            }
        }
        Shape::Tagged { of, .. } => {
            for (_, shape) in of {
                references(shape, found);
            }
        }
        Shape::Either(variants) => {
            for shape in variants {
                references(shape, found);
            }
        }
    }
}

fn schema(table: &Table, shape: &Shape) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Null => json!({"type": "null"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Free => json!({"type": "object", "additionalProperties": true}),
        Shape::Number { whole, size } => {
            let kind = if *whole { "integer" } else { "number" };
            sized(json!({"type": kind}), *size, ["minimum", "maximum"])
        }
        Shape::Text(text) => self::text(text),
        Shape::One(allowed) if allowed.iter().all(Value::is_string) => {
            json!({"type": "string", "enum": allowed})
        }
        Shape::One(allowed) => json!({"enum": allowed}),
        Shape::List { item, size } => sized(
            json!({"type": "array", "items": schema(table, item)}),
            *size,
            ["minItems", "maxItems"],
        ),
        Shape::Map(inner) => {
            json!({"type": "object", "additionalProperties": schema(table, inner)})
        }
        Shape::Record(record) => self::record(table, record, false),
        Shape::Tagged { by, of } => tagged(table, by, of),
        Shape::Either(variants) => {
            json!({"anyOf": variants.iter().map(|shape| schema(table, shape)).collect::<Vec<_>>()})
        }
        Shape::Nullable(inner) => or_null(schema(table, inner)),
        Shape::Ref(id) => json!({"$ref": pointer(table, *id)}),
    }
}

fn pointer(table: &Table, id: ShapeId) -> String {
    format!("#/components/schemas/{}", table.name(id))
}

fn record(table: &Table, record: &Record, update: bool) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in &record.fields {
        let mut schema = schema(table, &field.shape);
        if field.required && !update {
            required.push(field.name.as_str());
        }
        if update && !field.required {
            schema = or_null(schema);
        }
        properties.insert(field.name.clone(), schema);
    }
    let mut out =
        json!({"type": "object", "properties": properties, "additionalProperties": record.open});
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

fn tagged(table: &Table, by: &str, of: &[(String, Shape)]) -> Value {
    let mut variants: Vec<Value> = Vec::new();
    let mut mapping = Map::new();
    for (tag, shape) in of {
        if let Shape::Ref(id) = shape
            && !tag.ends_with("[*]")
        {
            mapping.insert(tag.clone(), Value::String(pointer(table, *id)));
        }
        let schema = schema(table, shape);
        if !variants.contains(&schema) {
            variants.push(schema);
        }
    }
    // With two shapes behind one tag, or forms of a tag with options, the tag alone does not tell the shape.
    if mapping.len() < of.len() {
        return json!({"anyOf": variants});
    }
    json!({"oneOf": variants, "discriminator": {"propertyName": by, "mapping": mapping}})
}

fn text(text: &Text) -> Value {
    let mut out = sized(json!({"type": "string"}), text.size, ["minLength", "maxLength"]);
    if let Some(pattern) = &text.pattern {
        out["pattern"] = json!(pattern.source);
    }
    if let Some(format) = text.format {
        match format {
            Format::Uuid => out["format"] = json!("uuid"),
            Format::DateTime => out["format"] = json!("date-time"),
            Format::Uri => out["format"] = json!("uri"),
            // JSON Schema means expressions of ECMA-262, which has some that we refuse.
            Format::Regex | Format::Pattern | Format::WaitFunction => {}
        }
    }
    out
}

fn sized(mut schema: Value, size: Span, [low, high]: [&str; 2]) -> Value {
    for (keyword, bound) in [(low, size.min), (high, size.max)] {
        if let Some(bound) = bound {
            schema[keyword] = number(bound);
        }
    }
    schema
}

/// Whole numbers without a decimal point: lengths must be written so.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}
