//! Which parts of a document are secrets: keys, passwords and tokens of credentials.
//!
//! A credential is a document of its own, or an element of a list `credentials` in another one (an
//! assistant's, or that of an assistant inside a tool), or a phone number that has keys of its
//! carrier. On disk each secret is replaced by an object
//! that holds its sealed form; in answers it is left out.
//!
//! Assumption: what clients call `credentials` in data that is only kept (`metadata`) is not ours.

use std::convert::Infallible;

use serde_json::{Value, json};

/// Where the credentials of a document are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The document is a credential.
    Whole,
    /// The document is a phone number: fields of its own are secrets, and it may have lists.
    Own,
    /// They are in its lists named `credentials`.
    Lists,
}

/// Parts of field names, in lower case, that make a field a secret. A field that the contract adds
/// later is one rather than not.
const SECRET_PARTS: &[&str] =
    &["key", "secret", "token", "password", "passphrase", "connectionstring", "webhookurl"];

/// Fields that are named like secrets and are none.
const PUBLIC: &[&str] = &["publicKey", "tokenUri"];

/// Data that belongs to clients.
const KEPT: &[&str] = &["metadata", "variableValues", "parameters", "arguments", "value"];

/// The one field of the object that stands for a secret on disk.
const SEALED: &str = "$sealed";

/// What stands for a secret on disk.
pub fn sealed(token: String) -> Value {
    json!({ SEALED: token })
}

/// The sealed form of a secret, if this stands for one.
pub fn token(value: &Value) -> Option<&str> {
    value.as_object().filter(|fields| fields.len() == 1)?.get(SEALED)?.as_str()
}

/// Shows `change` every secret of a document, sealed or not; the first error ends it.
pub fn change<E>(
    document: &mut Value,
    scope: Scope,
    mut change: impl FnMut(&mut Value) -> Result<(), E>,
) -> Result<(), E> {
    visit(document, scope, &mut |secret| change(secret).map(|()| true))
}

/// Takes every secret out of a document.
pub fn redact(document: &mut Value, scope: Scope) {
    let Ok(()) = visit::<Infallible>(document, scope, &mut |_| Ok(false));
}

/// Says of a secret whether it stays.
type Visit<'v, E> = &'v mut dyn FnMut(&mut Value) -> Result<bool, E>;

fn visit<E>(document: &mut Value, scope: Scope, see: Visit<'_, E>) -> Result<(), E> {
    match scope {
        Scope::Whole => inside(document, see),
        Scope::Own => {
            own(document, see)?;
            lists(document, see)
        }
        Scope::Lists => lists(document, see),
    }
}

fn lists<E>(value: &mut Value, see: Visit<'_, E>) -> Result<(), E> {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if name == "credentials" && field.is_array() {
                    inside(field, see)?;
                } else if !KEPT.contains(&name.as_str()) {
                    lists(field, see)?;
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                lists(item, see)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

/// The fields of a document that are secrets, and nothing below the others.
fn own<E>(document: &mut Value, see: Visit<'_, E>) -> Result<(), E> {
    let Value::Object(fields) = document else { return Ok(()) };
    let mut gone = Vec::new();
    for (name, field) in fields.iter_mut() {
        if is_secret(name, field) && !see(field)? {
            gone.push(name.clone());
        }
    }
    for name in gone {
        fields.shift_remove(&name);
    }
    Ok(())
}

/// The secrets of a credential, or of a list of them.
fn inside<E>(value: &mut Value, see: Visit<'_, E>) -> Result<(), E> {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if !is_secret(name, field) {
                    inside(field, see)?;
                }
            }
            own(value, see)?;
        }
        Value::Array(items) => {
            for item in items {
                inside(item, see)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

/// A secret has a secret's name, and is no mere switch or an object of several fields: those of
/// their fields that are secrets have names of their own.
fn is_secret(name: &str, value: &Value) -> bool {
    let is_leaf = match value {
        Value::String(_) | Value::Array(_) => true,
        Value::Object(_) => token(value).is_some(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    };
    let lower = name.to_lowercase();
    is_leaf && !PUBLIC.contains(&name) && SECRET_PARTS.iter().any(|part| lower.contains(part))
}

#[cfg(test)]
mod tests;
