//! The API's own OpenAPI document and its reference page.

use std::sync::Arc;

use axum::{Json, Router, routing::get};
use offhook_api::contract;
use serde_json::{Value, json};
use utoipa::openapi::{Info, OpenApi, OpenApiBuilder};
use utoipa_swagger_ui::SwaggerUi;

use super::{
    App,
    resources::{self, Resource},
};

/// Request bodies by operation: the contract's shapes, which the validator reads too.
const BODIES: &[(&str, &str, &str)] = &[
    ("/call", "post", "CreateCallDTO"),
    ("/call/{id}", "patch", "UpdateCallDTO"),
    ("/call/{id}", "delete", "DeleteCallDTO"),
];

/// What narrows a list down by time; [`offhook_api::ListQuery`] reads them.
const TIME_BOUNDS: [&str; 8] = [
    "createdAtGt",
    "createdAtLt",
    "createdAtGe",
    "createdAtLe",
    "updatedAtGt",
    "updatedAtLt",
    "updatedAtGe",
    "updatedAtLe",
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
        roots.push(*shape);
        document["paths"][path][method]["requestBody"] = body_of(shape);
    }
    for resource in resources::all() {
        roots.extend([resource.create, resource.update]);
        describe_resource(resource, &mut document["paths"]);
    }
    describe_pages(&super::phone_numbers::RESOURCE, &mut document["paths"]);
    for (tag, operations) in
        [("Campaign", super::campaigns::OPERATIONS), ("DoNotCall", super::do_not_call::OPERATIONS)]
    {
        roots.extend(operations.iter().filter_map(|(.., shape)| *shape));
        describe_operations(tag, operations, &mut document["paths"]);
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

fn body_of(shape: &str) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{shape}")});
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

/// The five operations that every resource has.
fn describe_resource(resource: &Resource, paths: &mut Value) {
    let Resource { name, title, create, update, .. } = resource;
    let operation = |summary: String, id: &str, status: &str, answer: &str| {
        json!({
            "tags": [format!("{title}s")],
            "summary": summary,
            "operationId": format!("{}Controller_{id}", title.replace(' ', "")),
            "responses": {status: {"description": answer}},
        })
    };
    let bound = |name: &str, schema: Value| json!({"name": name, "in": "query", "required": false, "schema": schema});
    let the = format!("The {name}");
    let mut created = operation(format!("Create {title}"), "create", "201", &the);
    created["requestBody"] = body_of(create);
    let mut listed = operation(format!("List {title}s"), "findAll", "200", "Newest first");
    let limit = bound("limit", json!({"type": "integer", "minimum": 0, "maximum": 1_000}));
    let times = TIME_BOUNDS.iter().map(|name| bound(name, json!({"type": "string"})));
    listed["parameters"] = std::iter::once(limit).chain(times).collect();
    paths[format!("/{name}")] = json!({"post": created, "get": listed});

    let mut updated =
        operation(format!("Update {title}"), "update", "200", &format!("{the} as it is now"));
    updated["requestBody"] = body_of(update);
    let mut one = json!({
        "get": operation(format!("Get {title}"), "findOne", "200", &the),
        "patch": updated,
        "delete": operation(format!("Delete {title}"), "remove", "200", &format!("{the} that is gone")),
    });
    for operation in one.as_object_mut().into_iter().flat_map(|operations| operations.values_mut())
    {
        operation["parameters"] =
            json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
        operation["responses"]["404"] = json!({"description": "There is none of this id"});
    }
    paths[format!("/{name}/{{id}}")] = one;
    for (path, method) in [(format!("/{name}"), "post"), (format!("/{name}/{{id}}"), "patch")] {
        paths[path][method]["responses"]["400"] = json!({"description": "What is wrong with it"});
    }
}

/// The list of a resource that comes in pages.
fn describe_pages(resource: &Resource, paths: &mut Value) {
    let Resource { name, title, .. } = resource;
    let mut parameters = paths[format!("/{name}")]["get"]["parameters"].clone();
    let more = json!([
        {"name": "search", "in": "query", "required": false, "schema": {"type": "string", "maxLength": 100}},
        {"name": "page", "in": "query", "required": false, "schema": {"type": "integer", "minimum": 1}},
        {"name": "sortOrder", "in": "query", "required": false, "schema": {"type": "string", "enum": ["ASC", "DESC"]}},
        {"name": "sortBy", "in": "query", "required": false, "schema": {"type": "string", "enum": ["createdAt"]}},
    ]);
    if let (Value::Array(parameters), Value::Array(more)) = (&mut parameters, more) {
        parameters.extend(more);
    }
    paths[format!("/v2/{name}")] = json!({"get": {
        "tags": [format!("{title}s")],
        "summary": format!("List {title}s in pages"),
        "operationId": format!("{}Controller_findAllPaginated", title.replace(' ', "")),
        "parameters": parameters,
        "responses": {"200": {"description": "`results`, newest first, and `metadata` of the pages"}},
    }});
}

/// Operations that are written out: path, method, summary, id, body.
fn describe_operations(
    tag: &str,
    operations: &[(&str, &str, &str, &str, Option<&str>)],
    paths: &mut Value,
) {
    for (path, method, summary, id, body) in operations {
        let status = if *method == "post" { "201" } else { "200" };
        let mut operation = json!({
            "tags": [format!("{tag}s")],
            "summary": summary,
            "operationId": format!("{tag}Controller_{id}"),
            "responses": {status: {"description": summary}},
        });
        if let Some(shape) = body {
            operation["requestBody"] = body_of(shape);
            operation["responses"]["400"] = json!({"description": "What is wrong with it"});
        }
        if path.contains("{id}") {
            operation["parameters"] = json!([
                {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}
            ]);
            operation["responses"]["404"] = json!({"description": "There is none of this id"});
        }
        paths[path][method] = operation;
    }
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
