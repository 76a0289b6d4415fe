//! The fields that the server writes: `id`, `orgId`, `createdAt`, `updatedAt`.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::time;

/// Names of the server's fields; no client may set them.
pub const NAMES: [&str; 4] = ["id", "orgId", "createdAt", "updatedAt"];

/// Makes a stored document of a new body: the server's fields, then what the client sent.
///
/// A body that is no object counts as empty: bodies are validated before they come here.
pub fn stamp_new(body: Value, id: Uuid, org_id: &str, now_ms: i64) -> Value {
    let now = time::iso8601(now_ms);
    let mut document = Map::new();
    document.insert("id".into(), id.to_string().into());
    document.insert("orgId".into(), org_id.into());
    document.insert("createdAt".into(), now.clone().into());
    document.insert("updatedAt".into(), now.into());
    if let Value::Object(fields) = body {
        document.extend(fields.into_iter().filter(|(name, _)| !NAMES.contains(&name.as_str())));
    }
    Value::Object(document)
}

/// Notes that a document changed.
pub fn stamp_updated(document: &mut Value, now_ms: i64) {
    if let Some(fields) = document.as_object_mut() {
        fields.insert("updatedAt".into(), time::iso8601(now_ms).into());
    }
}

/// One message for each of the server's fields that a body names.
pub fn refusals(body: &Map<String, Value>) -> Vec<String> {
    NAMES
        .iter()
        .filter(|name| body.contains_key(**name))
        .map(|name| format!("property {name} should not exist"))
        .collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_document_has_the_servers_fields_and_the_clients() {
        let document = stamp_new(
            json!({"name": "Nora", "orgId": "mine"}),
            Uuid::from_u128(1),
            "org-1",
            1_725_966_852_339,
        );
        expect![[r#"{"id":"00000000-0000-0000-0000-000000000001","orgId":"org-1","createdAt":"2024-09-10T11:14:12.339Z","updatedAt":"2024-09-10T11:14:12.339Z","name":"Nora"}"#]]
        .assert_eq(&document.to_string());
    }

    #[test]
    fn a_change_moves_only_the_time_of_the_last_update() {
        let mut document = stamp_new(json!({}), Uuid::from_u128(1), "org-1", 1_000);
        stamp_updated(&mut document, 2_000);
        assert_eq!(document["createdAt"], "1970-01-01T00:00:01.000Z");
        assert_eq!(document["updatedAt"], "1970-01-01T00:00:02.000Z");
    }
}
