//! The public contract of the API as data: which documents are accepted, and what is wrong with the others.
//!
//! The table in `api/contract/` holds facts only: fields, types, ranges, what tells the variants of a union apart.
//! Stored documents are the JSON that a client sent, after [`validate`] found nothing wrong with it.
//!
//! Assumptions:
//!
//! - A document was parsed from JSON text of bounded size; nesting and work are bounded here.
//! - `PATCH` replaces top-level fields whole, so [`Mode::Update`] is lenient at the top level only.

mod schema;
mod shape;
mod table;
mod text;
mod validate;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use self::shape::Shape;
use self::table::Table;

/// Violations reported at most: beyond that a client has sent something else altogether.
pub const MAX_VIOLATIONS: usize = 50;

/// What a document is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A whole document.
    Create,
    /// Top-level fields to replace: all may be absent, and optional ones may be null, which clears them.
    Update,
}

/// Says everything that is wrong with `value` as a document of the shape `shape` (`CreateAssistantDTO`), in the words
/// of Vapi's API, at most [`MAX_VIOLATIONS`] of it; nothing when it is right.
pub fn validate(shape: &str, value: &Value, mode: Mode) -> Vec<String> {
    let table = Table::built_in();
    match table.named(shape) {
        Some(known) => validate::violations(table, known, value, mode),
        None => vec![format!("the contract has no shape `{shape}`")],
    }
}

/// The names of all shapes, in the order of the table.
pub fn shape_names() -> impl Iterator<Item = &'static str> {
    Table::built_in().names().iter().map(String::as_str)
}

/// The providers that an assistant may name for `kind`: `transcriber`, `model` or `voice`.
pub fn providers(kind: &str) -> Vec<&'static str> {
    let table = Table::built_in();
    let assistant = table.named("CreateAssistantDTO").map(|shape| table.resolve(shape));
    let Some(Shape::Record(assistant)) = assistant else {
        return Vec::new();
    };
    match assistant.field(kind).map(|field| table.resolve(&field.shape)) {
        Some(Shape::Tagged { by, of }) if by == "provider" => shape::tags(of).collect(),
        _ => Vec::new(),
    }
}

/// The shape `shape` as a JSON Schema for OpenAPI 3.1, with references to `#/components/schemas/NAME`; `true`, which
/// accepts everything, when there is no such shape.
pub fn json_schema(shape: &str) -> Value {
    schema::named(Table::built_in(), shape).unwrap_or(Value::Bool(true))
}

/// The schemas of `roots` and of everything that they refer to, by name, for the `components` of an OpenAPI document.
pub fn components(roots: &[&str]) -> Map<String, Value> {
    schema::reachable(Table::built_in(), roots)
}
