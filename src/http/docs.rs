//! The API's own OpenAPI document and its reference page.

use std::sync::Arc;

use axum::{Json, Router, routing::get};
use offhook_api::contract;
use serde_json::{Value, json};
use utoipa::openapi::{Info, OpenApi, OpenApiBuilder};
use utoipa_swagger_ui::SwaggerUi;

use super::App;

/// Request and response bodies by operation: the contract's shapes, which the validator reads too.
const BODIES: &[(&str, &str, Option<&str>)] = &[
    ("/assistant", "post", Some("CreateAssistantDTO")),
    ("/assistant/{id}", "patch", Some("UpdateAssistantDTO")),
    ("/call", "post", Some("CreateCallDTO")),
    ("/call/{id}", "patch", Some("UpdateCallDTO")),
    ("/call/{id}", "delete", Some("DeleteCallDTO")),
];

/// What every route of the document shares.
pub fn document() -> OpenApi {
    let mut info = Info::new("Offhook", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "A self-hosted, fault-tolerant runtime for voice agents on the phone. Paths and documents are those of Vapi's API.".into(),
    );
    OpenApiBuilder::new().info(info).build()
}

/// `/openapi.json` and `/docs`.
pub fn routes(document: OpenApi) -> Router<App> {
    let document = complete(document);
    let page = SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json"));
    let served = Arc::new(document);
    Router::new()
        .route(
            "/openapi.json",
            get(move || {
                let served = served.clone();
                async move { Json((*served).clone()) }
            }),
        )
        .merge(page)
}

/// Adds what the annotations cannot say: the contract's shapes, and who may come in.
fn complete(document: OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let mut roots = Vec::new();
    for (path, method, shape) in BODIES {
        let Some(shape) = shape else { continue };
        roots.push(*shape);
        document["paths"][path][method]["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": {"$ref": format!("#/components/schemas/{shape}")}}},
        });
    }
    let mut schemas = contract::components(&roots);
    schemas.insert("Error".into(), json!({
        "type": "object",
        "required": ["statusCode", "error", "message"],
        "properties": {
            "statusCode": {"type": "integer"},
            "error": {"type": "string"},
            "message": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        },
    }));
    document["components"]["schemas"] = Value::Object(schemas);
    document["components"]["securitySchemes"] =
        json!({"bearer": {"type": "http", "scheme": "bearer"}});
    document["security"] = json!([{"bearer": []}]);
    if let Some(paths) = document["paths"].as_object_mut() {
        for operation in
            paths.values_mut().filter_map(Value::as_object_mut).flat_map(|o| o.values_mut())
        {
            describe_answers(operation);
        }
    }
    document
}

fn describe_answers(operation: &mut Value) {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    responses.entry("401").or_insert_with(|| json!({"description": "No key, or none of ours"}));
    for (status, response) in responses.iter_mut() {
        let is_error = status.starts_with('4') || status.starts_with('5');
        let schema = match is_error {
            true => json!({"$ref": "#/components/schemas/Error"}),
            false => json!({}),
        };
        if !status.starts_with('3') {
            response["content"] = json!({"application/json": {"schema": schema}});
        }
    }
}
