//! The API: calls and their commands, numbers, applications.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    commands::{self, RING},
    webhook::tell,
};
use crate::carriers::{
    App, Number,
    call::{Call, Parties},
    options::Persona,
};

type Answer = Result<Response, Response>;

pub fn router() -> Router<App> {
    Router::new()
        .route("/v2/calls", post(dial))
        .route("/v2/calls/{id}", get(call))
        .route("/v2/calls/{id}/actions/{command}", post(command))
        .route("/v2/connections/{id}/active_calls", get(active))
        .route("/v2/phone_numbers", get(numbers))
        .route("/v2/phone_numbers/{id}", get(number).patch(change_number))
        .route("/v2/call_control_applications", get(applications).post(create_application))
        .route(
            "/v2/call_control_applications/{id}",
            get(application).patch(change_application).delete(remove_application),
        )
}

/// An error as Telnyx writes it.
fn error(status: u16, code: &str, title: &str) -> Response {
    let body = json!({"errors": [{"code": code, "title": title, "detail": title}]});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

fn admit(app: &App, headers: &HeaderMap) -> Result<(), Response> {
    if let Some(refusal) = app.faults.refuse("telnyx") {
        let code = if refusal.status == 429 { "10011" } else { "10016" };
        let mut response = error(refusal.status, code, "broken on purpose");
        if let Some(wait) = refusal.retry_after {
            response.headers_mut().insert("retry-after", wait.into());
        }
        return Err(response);
    }
    let expected = format!("Bearer {}", app.options().telnyx_api_key);
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given == Some(&expected) {
        Ok(())
    } else {
        Err(error(401, "10009", "Authentication failed"))
    }
}

fn read(body: &[u8]) -> Result<Value, Response> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|_| error(400, "10015", "Bad Request"))
}

fn missing() -> Response {
    error(404, "10005", "Resource not found")
}

fn document(call: &Call) -> Value {
    let facts = call.facts();
    json!({"data": {
        "record_type": "call",
        "call_control_id": call.id,
        "call_leg_id": facts.fields.get("leg"),
        "call_session_id": facts.fields.get("session"),
        "client_state": facts.fields.get("client_state"),
        "is_alive": !call.is_over() && call.is_answered(),
        "start_time": facts.created.to_string(),
    }})
}

/// A person calls a number of the customer's.
///
/// # Errors
///
/// When the number is not set up.
pub fn place_inbound(
    app: &App,
    from: String,
    to: String,
    persona: Persona,
) -> Result<Arc<Call>, String> {
    let number = app.number("telnyx", &to);
    let connection = number.as_ref().and_then(|number| number.get("connection_id"));
    let connection = connection.ok_or_else(|| format!("the number {to} has no connection_id"))?;
    let application = application_of(app, connection);
    let url = application.as_ref().and_then(|(_, known)| known.get("webhook_event_url"));
    let url = url.ok_or_else(|| format!("no application {connection} has a webhook_event_url"))?;
    let parties = Parties {
        id: format!("v3:{}", app.chance.id()),
        carrier: "telnyx",
        is_inbound: true,
        from,
        to,
        parent: None,
    };
    let (call, orders) = Call::new(app, parties, persona, "parked")?;
    set_up(app, &call, url, connection);
    tell(app, &call, "call.initiated", json!({"state": "parked"}));
    tokio::spawn(commands::watch_over(app.clone(), call.clone(), orders));
    Ok(call)
}

fn set_up(app: &App, call: &Call, webhook_url: &str, connection: &str) {
    call.set_field("webhook_url", webhook_url);
    call.set_field("connection_id", connection);
    call.set_field("leg", &app.chance.id());
    call.set_field("session", &app.chance.id());
}

async fn dial(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Answer {
    admit(&app, &headers)?;
    let body = read(&body)?;
    let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let (Some(to), Some(from), Some(connection)) =
        (text("to"), text("from"), text("connection_id"))
    else {
        return Err(error(422, "10004", "to, from and connection_id are required"));
    };
    let used = text("command_id").and_then(|command| {
        let calls = app.calls("telnyx");
        calls.into_iter().find(|call| call.facts().fields.get("dialled_by") == Some(&command))
    });
    if let Some(call) = used {
        return Ok(Json(document(&call)).into_response());
    }
    let application = application_of(&app, &connection);
    let known = application.and_then(|(_, known)| Some(known.get("webhook_event_url")?.to_owned()));
    let url = text("webhook_url").or(known);
    let parties = Parties {
        id: format!("v3:{}", app.chance.id()),
        carrier: "telnyx",
        is_inbound: false,
        from,
        to: to.clone(),
        parent: None,
    };
    let (call, orders) = Call::new(&app, parties, app.persona(&to), "dialling")
        .map_err(|problem| error(500, "10016", &problem))?;
    set_up(&app, &call, &url.unwrap_or_default(), &connection);
    for (field, value) in [("dialled_by", "command_id"), ("client_state", "client_state")] {
        if let Some(value) = text(value) {
            call.set_field(field, &value);
        }
    }
    let answer = Json(document(&call)).into_response();
    let limit = body["timeout_secs"].as_u64().map_or(RING, Duration::from_secs);
    tokio::spawn(async move {
        if !commands::dial(&app, &call, orders, limit).await {
            return;
        }
        if body["stream_url"].is_string() {
            // What is wrong with it is in the call's log.
            let started = commands::carry_out(&app, &call, "streaming_start", &body).await;
            started.unwrap_or_else(|problem| call.note(&app, problem));
        }
        let mode = body["answering_machine_detection"].as_str().unwrap_or("disabled");
        if mode != "disabled" {
            commands::detect(app.clone(), call.clone(), mode.to_owned()).await;
        }
    });
    Ok(answer)
}

fn find(app: &App, id: &str) -> Result<Arc<Call>, Response> {
    app.call(id).filter(|call| call.carrier == "telnyx").ok_or_else(missing)
}

async fn call(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    admit(&app, &headers)?;
    Ok(Json(document(&*find(&app, &id)?)).into_response())
}

async fn command(
    State(app): State<App>,
    Path((id, command)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    admit(&app, &headers)?;
    let (call, body) = (find(&app, &id)?, read(&body)?);
    if call.is_over() {
        return Err(error(422, "90018", "Call has already ended"));
    }
    let is_early = matches!(command.as_str(), "answer" | "reject" | "hangup");
    if !call.is_answered() && !is_early {
        return Err(error(422, "90034", "Call has not been answered"));
    }
    let done = json!({"data": {"result": "ok"}});
    if body["command_id"].as_str().is_some_and(|command| !call.is_new_command(command)) {
        return Ok(Json(done).into_response());
    }
    commands::carry_out(&app, &call, &command, &body)
        .await
        .map_err(|problem| error(422, "10004", &problem))?;
    Ok(Json(done).into_response())
}

async fn active(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    admit(&app, &headers)?;
    let calls: Vec<Value> = app
        .calls("telnyx")
        .iter()
        .filter(|call| !call.is_over() && call.facts().fields.get("connection_id") == Some(&id))
        .map(|call| document(call)["data"].clone())
        .collect();
    Ok(Json(json!({"data": calls, "meta": {"total_items": calls.len()}})).into_response())
}

fn number_document(phone: &str, number: &Number) -> Value {
    json!({
        "record_type": "phone_number",
        "id": number.id,
        "phone_number": phone,
        "status": "active",
        "connection_id": number.get("connection_id"),
    })
}

async fn numbers(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    admit(&app, &headers)?;
    let wanted = query.iter().find(|(name, _)| name == "filter[phone_number]");
    let page = query.iter().find(|(name, _)| name == "page[number]");
    let page = page.and_then(|(_, page)| page.parse::<usize>().ok()).unwrap_or(1);
    let numbers = app.numbers("telnyx");
    let listed: Vec<Value> = numbers
        .iter()
        .filter(|(phone, _)| !phone.starts_with("application:"))
        .filter(|(phone, _)| wanted.is_none_or(|(_, wanted)| phone == wanted))
        // All are on the first page.
        .filter(|_| page == 1)
        .map(|(phone, number)| number_document(phone, number))
        .collect();
    let meta = json!({"page_number": page, "page_size": 250, "total_pages": 1,
        "total_results": listed.len()});
    Ok(Json(json!({"data": listed, "meta": meta})).into_response())
}

fn find_number(app: &App, id: &str) -> Result<(String, Number), Response> {
    let numbers = app.numbers("telnyx");
    numbers.into_iter().find(|(_, number)| number.id == id).ok_or_else(missing)
}

async fn number(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    admit(&app, &headers)?;
    let (phone, number) = find_number(&app, &id)?;
    Ok(Json(json!({"data": number_document(&phone, &number)})).into_response())
}

async fn change_number(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    admit(&app, &headers)?;
    let (body, (phone, _)) = (read(&body)?, find_number(&app, &id)?);
    let number = app.change_number("telnyx", &phone, |number| put_fields(number, &body));
    Ok(Json(json!({"data": number_document(&phone, &number)})).into_response())
}

fn put_fields(number: &mut Number, body: &Value) {
    for (name, value) in body.as_object().into_iter().flatten() {
        if let Some(value) = value.as_str() {
            number.fields.insert(name.clone(), value.to_owned());
        }
    }
}

/// Applications lie among the numbers, under names that no number has.
fn application_of(app: &App, id: &str) -> Option<(String, Number)> {
    let name = format!("application:{id}");
    Some((name.clone(), app.number("telnyx", &name)?))
}

fn application_document(name: &str, known: &Number) -> Value {
    json!({
        "record_type": "call_control_application",
        "id": name.trim_start_matches("application:"),
        "application_name": known.get("application_name"),
        "webhook_event_url": known.get("webhook_event_url"),
        "webhook_api_version": "2",
        "active": true,
    })
}

async fn applications(State(app): State<App>, headers: HeaderMap) -> Answer {
    admit(&app, &headers)?;
    let all = app.numbers("telnyx");
    let listed: Vec<Value> = all
        .iter()
        .filter(|(name, _)| name.starts_with("application:"))
        .map(|(name, known)| application_document(name, known))
        .collect();
    Ok(Json(json!({"data": listed})).into_response())
}

async fn create_application(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Answer {
    admit(&app, &headers)?;
    let body = read(&body)?;
    let name = format!("application:{}", app.chance.next() >> 12);
    let known = app.change_number("telnyx", &name, |number| put_fields(number, &body));
    let body = json!({"data": application_document(&name, &known)});
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn application(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    admit(&app, &headers)?;
    let (name, known) = application_of(&app, &id).ok_or_else(missing)?;
    Ok(Json(json!({"data": application_document(&name, &known)})).into_response())
}

async fn change_application(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    admit(&app, &headers)?;
    let (name, _) = application_of(&app, &id).ok_or_else(missing)?;
    let body = read(&body)?;
    let known = app.change_number("telnyx", &name, |number| put_fields(number, &body));
    Ok(Json(json!({"data": application_document(&name, &known)})).into_response())
}

async fn remove_application(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    admit(&app, &headers)?;
    let (name, known) = application_of(&app, &id).ok_or_else(missing)?;
    app.remove_number("telnyx", &name);
    Ok(Json(json!({"data": application_document(&name, &known)})).into_response())
}
