//! The API's own OpenAPI document, and its reference page.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::collections::HashSet;

use offhook_api::contract;
use serde_json::Value;
use support::Server;

const METHODS: &[&str] = &["get", "post", "patch", "delete", "put", "head", "options", "trace"];

/// Calls `see` with every object of a document.
fn walk<'v>(value: &'v Value, see: &mut impl FnMut(&'v serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            see(fields);
            fields.values().for_each(|field| walk(field, see));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (&**path, &**method, operation))
    })
}

#[tokio::test]
async fn the_document_is_sound_and_whole() {
    let server = Server::start().await;
    let answer = server.client.with_key(None).get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    let document = answer.body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));

    let mut broken = Vec::new();
    walk(&document, &mut |fields| {
        if let Some(Value::String(reference)) = fields.get("$ref") {
            let pointer = reference.strip_prefix('#').unwrap();
            if document.pointer(pointer).is_none() {
                broken.push(reference.clone());
            }
        }
    });
    assert_eq!(broken, [""; 0]);

    let mut ids = HashSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(METHODS.contains(&method), "{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        assert!(operation["responses"].get("401").is_some(), "{method} {path}");
        let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        let in_path = parameters.iter().filter(|one| one["in"] == "path").count();
        assert_eq!(in_path, path.matches('{').count(), "{method} {path}");
    }
}

#[tokio::test]
async fn every_operation_of_the_document_is_served() {
    let server = Server::start().await;
    let document = server.client.get("/openapi.json").await.body;
    let missing = "00000000-0000-4000-8000-000000000000";
    for (path, method, _) in operations(&document) {
        let url = path.replace("{id}", missing);
        let method = method.to_uppercase().parse().unwrap();
        let anonymous = server.client.with_key(None);
        let answer = anonymous.send(anonymous.request(method, &url)).await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_shapes_of_the_document_are_those_that_bodies_are_checked_against() {
    let server = Server::start().await;
    let document = server.client.get("/openapi.json").await.body;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (path, method, shape) in [
        ("/assistant", "post", "CreateAssistantDTO"),
        ("/assistant/{id}", "patch", "UpdateAssistantDTO"),
        ("/tool", "post", "CreateToolDTO"),
        ("/tool/{id}", "patch", "UpdateToolDTO"),
        ("/credential", "post", "AnyCredential"),
        ("/credential/{id}", "patch", "AnyCredential"),
        ("/phone-number", "post", "CreatePhoneNumberDTO"),
        ("/phone-number/{id}", "patch", "UpdatePhoneNumberDTO"),
        ("/call", "post", "CreateCallDTO"),
        ("/call/{id}", "patch", "UpdateCallDTO"),
        ("/call/{id}", "delete", "DeleteCallDTO"),
        ("/campaign", "post", "CreateCampaignDTO"),
        ("/v2/campaign/{id}", "patch", "UpdateCampaignDTO"),
        ("/campaign/{id}/contacts", "post", "AddCampaignContactsDTO"),
        ("/do-not-call", "post", "CreateDoNotCallDTO"),
    ] {
        let body = &document["paths"][path][method]["requestBody"];
        let schema = &body["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(schema, &format!("#/components/schemas/{shape}"), "{method} {path}");
        for (name, schema) in contract::components(&[shape]) {
            assert_eq!(schemas[&name], schema, "{name}");
        }
    }
}

#[tokio::test]
async fn the_reference_page_is_served_without_a_key() {
    let server = Server::start().await;
    let client = server.client.with_key(None);
    let page = client.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
    let script = client.get("/docs/swagger-initializer.js").await;
    assert_eq!(script.status, 200);
    assert!(script.text.contains("/openapi.json"), "{}", script.text);
    let redirect = client.get("/docs").await;
    assert_eq!(redirect.status, 303);
}
