//! What `PATCH` does to a document: top-level fields are replaced whole, `null` clears.

use serde_json::Value;

use crate::server_fields;

/// Applies a patch to a stored document. The result has yet to be validated as a whole.
///
/// # Errors
///
/// A message for each of the server's fields that the patch names.
pub fn apply(document: &Value, patch: &Value) -> Result<Value, Vec<String>> {
    let Some(patch) = patch.as_object() else {
        return Err(vec!["body must be an object".into()]);
    };
    let refusals = server_fields::refusals(patch);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut fields = document.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            fields.shift_remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn fields_are_replaced_whole_and_null_clears() {
        let document =
            json!({"id": "a", "name": "Nora", "voice": {"provider": "11labs", "voiceId": "x"}});
        let patched =
            apply(&document, &json!({"voice": {"provider": "local"}, "name": null})).unwrap();
        expect![[r#"{"id":"a","voice":{"provider":"local"}}"#]].assert_eq(&patched.to_string());
    }

    #[test]
    fn server_fields_cannot_be_changed() {
        assert_eq!(
            apply(&json!({}), &json!({"id": "b", "orgId": null, "name": "x"})),
            Err(vec![
                "property id should not exist".into(),
                "property orgId should not exist".into()
            ])
        );
        assert_eq!(apply(&json!({}), &json!([1])), Err(vec!["body must be an object".into()]));
    }

    proptest! {
        #[test]
        fn a_patch_changes_what_it_names_and_nothing_else(
            before in prop::collection::btree_map("[a-f]", 0..9_i32, 0..6),
            patch in prop::collection::btree_map("[a-f]", prop::option::of(0..9_i32), 0..6),
        ) {
            let document: Value = json!(before);
            let after = apply(&document, &json!(patch)).unwrap();
            for name in ["a", "b", "c", "d", "e", "f"] {
                let expected = match patch.get(name) {
                    Some(value) => *value,
                    None => before.get(name).copied(),
                };
                prop_assert_eq!(after.get(name).and_then(Value::as_i64), expected.map(i64::from));
            }
            prop_assert_eq!(apply(&after, &json!(patch)).unwrap(), after.clone());
            prop_assert_eq!(apply(&after, &Value::Object(Map::new())).unwrap(), after);
        }
    }
}
