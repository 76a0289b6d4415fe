//! The API: calls, numbers, the application.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::time::sleep;
use url::form_urlencoded;

use super::{
    run::{Next, RING, Runner, conversation, plain, with_plus},
    token,
};
use crate::carriers::{
    App,
    call::{Call, Instructions, Order, Parties, Rung, ring},
    options::Persona,
};

type Reply = Result<Response, Response>;

/// The application lies among the numbers, under a name that no number has.
const APPLICATION: &str = "application";

pub fn router() -> Router<App> {
    Router::new()
        .route("/v1/calls", get(calls).post(create))
        .route("/v1/calls/{uuid}", get(call).put(change))
        .route("/v1/calls/{uuid}/dtmf", put(dtmf))
        .route("/v1/calls/{uuid}/talk", put(talk))
        .route("/v2/applications/{id}", get(application).put(change_application))
        .route("/account/numbers", get(numbers))
        .route("/number/update", post(number))
}

/// An error as Vonage writes it.
fn error(status: u16, title: &str) -> Response {
    let kind = "https://developer.vonage.com/api-errors";
    let body = json!({"type": kind, "title": title, "detail": title, "instance": "fake"});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

fn whole(app: &App) -> Result<(), Response> {
    let Some(refusal) = app.faults.refuse("vonage") else { return Ok(()) };
    let mut response = error(refusal.status, "broken on purpose");
    if let Some(wait) = refusal.retry_after {
        response.headers_mut().insert("retry-after", wait.into());
    }
    Err(response)
}

/// Lets in whoever bears a token of the application.
fn admit(app: &App, headers: &HeaderMap) -> Result<(), Response> {
    whole(app)?;
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if token::admits(app, given) { Ok(()) } else { Err(error(401, "Unauthorized")) }
}

/// Lets in whoever has key and secret of the account.
fn admit_account(app: &App, headers: &HeaderMap) -> Result<(), Response> {
    whole(app)?;
    let options = app.options();
    let key = format!("{}:{}", options.vonage_api_key, options.vonage_api_secret);
    let expected = format!("Basic {}", BASE64_STANDARD.encode(key));
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given == Some(&expected) { Ok(()) } else { Err(error(401, "Unauthorized")) }
}

fn read(body: &[u8]) -> Result<Value, Response> {
    serde_json::from_slice(body).map_err(|_| error(400, "Bad Request"))
}

fn find(app: &App, uuid: &str) -> Result<Arc<Call>, Response> {
    let call = app.call(uuid).filter(|call| call.carrier == "vonage");
    call.ok_or_else(|| error(404, "Not Found"))
}

fn document(call: &Call) -> Value {
    let facts = call.facts();
    let phone = |number: &str| json!({"type": "phone", "number": plain(number)});
    json!({
        "uuid": call.id,
        "conversation_uuid": conversation(call),
        "status": facts.status,
        "direction": if call.is_inbound { "inbound" } else { "outbound" },
        "from": phone(&call.from),
        "to": phone(&call.to),
        "start_time": facts.answered.map(|time| time.to_string()),
        "end_time": facts.ended.map(|time| time.to_string()),
        "_links": {"self": {"href": format!("/v1/calls/{}", call.id)}},
    })
}

/// A person calls a number of the customer's.
///
/// # Errors
///
/// When number or application are not set up.
pub fn place_inbound(
    app: &App,
    from: String,
    to: String,
    persona: Persona,
) -> Result<Arc<Call>, String> {
    let number = app.number("vonage", &to);
    let is_linked = number.is_some_and(|number| number.get("app_id").is_some());
    let known = app.number("vonage", APPLICATION).unwrap_or_default();
    let Some(url) = known.get("answer_url").filter(|_| is_linked) else {
        return Err(format!("the number {to} has no app_id, or `{APPLICATION}` no answer_url"));
    };
    let parties = Parties {
        id: app.chance.id(),
        carrier: "vonage",
        is_inbound: true,
        from,
        to,
        parent: None,
    };
    let (call, orders) = Call::new(app, parties, persona, "ringing")?;
    let event_url = known.get("event_url").map(str::to_owned);
    let runner = Runner { app: app.clone(), call: call.clone(), orders, event_url };
    runner.tell("started", json!({}));
    runner.tell("ringing", json!({}));
    tokio::spawn(runner.run(Next::Ask(url.to_owned())));
    Ok(call)
}

async fn create(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Reply {
    admit(&app, &headers)?;
    let body = read(&body)?;
    let to = body["to"][0]["number"].as_str().map(with_plus);
    let from = body["from"]["number"].as_str().map(with_plus);
    let (Some(to), Some(from)) = (to, from) else {
        return Err(error(400, "Bad Request: to and from are required"));
    };
    let next = match (body["ncco"].is_array(), body["answer_url"][0].as_str()) {
        (true, _) => Next::Ncco(body["ncco"].clone()),
        (false, Some(url)) => Next::Ask(url.to_owned()),
        (false, None) => return Err(error(400, "Bad Request: ncco or answer_url is required")),
    };
    let parties = Parties {
        id: app.chance.id(),
        carrier: "vonage",
        is_inbound: false,
        from,
        to: to.clone(),
        parent: None,
    };
    let (call, orders) = Call::new(&app, parties, app.persona(&to), "started")
        .map_err(|problem| error(500, &problem))?;
    let known = app.number("vonage", APPLICATION).unwrap_or_default();
    let event_url = body["event_url"][0].as_str().or(known.get("event_url")).map(str::to_owned);
    let runner = Runner { app, call: call.clone(), orders, event_url };
    tokio::spawn(place(runner, next, body));
    Ok((StatusCode::CREATED, Json(document(&call))).into_response())
}

/// Rings at somebody, and goes on when they answer.
async fn place(mut runner: Runner, next: Next, body: Value) {
    let call = runner.call.clone();
    runner.tell("started", json!({}));
    let limit = body["ringing_timer"].as_u64().map_or(RING, Duration::from_secs);
    let event_url = runner.event_url.clone();
    let ringing = {
        let reports = Runner {
            app: runner.app.clone(),
            call: call.clone(),
            orders: tokio::sync::mpsc::channel(1).1,
            event_url,
        };
        let it = call.clone();
        async move {
            ring(&it, limit, || {
                it.set_status("ringing");
                reports.tell("ringing", json!({}));
            })
            .await
        }
    };
    let status = tokio::select! {
        rung = ringing => match rung {
            Rung::Answered => None,
            Rung::Busy => Some("busy"),
            Rung::NoAnswer => Some("timeout"),
            Rung::Rejected => Some("rejected"),
            Rung::NotFound | Rung::Failed => Some("failed"),
        },
        // Whatever is ordered before the answer ends it.
        _ = runner.orders.recv() => Some("cancelled"),
    };
    if let Some(status) = status {
        call.end(status, "not answered");
        runner.tell(status, json!({}));
        return;
    }
    call.set_status("answered");
    call.answer();
    runner.tell("answered", json!({}));
    let mode = body["advanced_machine_detection"]["mode"].as_str().map(str::to_owned);
    if let Some(mode) = mode {
        let wait = Duration::from_millis(call.persona.detection_ms);
        let reports = Runner {
            app: runner.app.clone(),
            call: call.clone(),
            orders: tokio::sync::mpsc::channel(1).1,
            event_url: runner.event_url.clone(),
        };
        tokio::spawn(async move {
            sleep(wait).await;
            match (reports.call.persona.is_machine, mode.as_str()) {
                (false, _) => reports.tell("human", json!({})),
                (true, "detect_beep") => {
                    reports.tell("machine", json!({"sub_state": "beep_start"}));
                }
                (true, _) => reports.tell("machine", json!({})),
            }
        });
    }
    runner.run(next).await;
}

async fn calls(State(app): State<App>, headers: HeaderMap) -> Reply {
    admit(&app, &headers)?;
    let calls: Vec<Value> = app.calls("vonage").iter().map(|call| document(call)).collect();
    let body = json!({
        "count": calls.len(),
        "page_size": 100,
        "record_index": 0,
        "_embedded": {"calls": calls},
        "_links": {"self": {"href": "/v1/calls"}},
    });
    Ok(Json(body).into_response())
}

async fn call(State(app): State<App>, Path(uuid): Path<String>, headers: HeaderMap) -> Reply {
    admit(&app, &headers)?;
    Ok(Json(document(&*find(&app, &uuid)?)).into_response())
}

async fn change(
    State(app): State<App>,
    Path(uuid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    admit(&app, &headers)?;
    let (call, body) = (live(&app, &uuid)?, read(&body)?);
    let destination = &body["destination"];
    let order = match body["action"].as_str() {
        Some("hangup") => Order::HangUp,
        Some("transfer") => Order::Instructions(match destination["url"][0].as_str() {
            Some(url) => Instructions::Url(url.to_owned()),
            None => Instructions::Document(destination["ncco"].to_string()),
        }),
        Some(_) | None => return Err(error(400, "Bad Request: unknown action")),
    };
    if !call.order(order) {
        return Err(error(429, "Too Many Requests"));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn live(app: &App, uuid: &str) -> Result<Arc<Call>, Response> {
    let call = find(app, uuid)?;
    if call.is_over() { Err(error(404, "Not Found")) } else { Ok(call) }
}

async fn dtmf(
    State(app): State<App>,
    Path(uuid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    admit(&app, &headers)?;
    let (call, body) = (live(&app, &uuid)?, read(&body)?);
    let digits = body["digits"].as_str().unwrap_or_default();
    call.line.with_handset(|handset| handset.heard.keys.push_str(digits));
    Ok(Json(json!({"message": "DTMF sent", "uuid": uuid})).into_response())
}

async fn talk(
    State(app): State<App>,
    Path(uuid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    admit(&app, &headers)?;
    let (call, body) = (live(&app, &uuid)?, read(&body)?);
    call.line.say(body["text"].as_str().unwrap_or_default());
    Ok(Json(json!({"message": "Talk started", "uuid": uuid})).into_response())
}

async fn application(State(app): State<App>, headers: HeaderMap) -> Reply {
    admit_account(&app, &headers)?;
    let known = app.number("vonage", APPLICATION).unwrap_or_default();
    let webhook = |name: &str| json!({"address": known.get(name), "http_method": "POST"});
    let body = json!({
        "id": app.options().vonage_application_id,
        "name": "fake",
        "capabilities": {"voice": {
            "signed_callbacks": true,
            "webhooks": {"answer_url": webhook("answer_url"), "event_url": webhook("event_url")},
        }},
    });
    Ok(Json(body).into_response())
}

async fn change_application(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Reply {
    admit_account(&app, &headers)?;
    let body = read(&body)?;
    app.change_number("vonage", APPLICATION, |known| {
        for name in ["answer_url", "event_url"] {
            let webhook = &body["capabilities"]["voice"]["webhooks"][name];
            if let Some(address) = webhook["address"].as_str() {
                known.fields.insert(name.to_owned(), address.to_owned());
            }
        }
    });
    Ok(Json(body).into_response())
}

/// The fields of a number that can be changed.
const NUMBER_FIELDS: [&str; 4] = ["app_id", "moHttpUrl", "voiceCallbackType", "voiceCallbackValue"];

/// Numbers that begin like `pattern`.
async fn numbers(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Reply {
    admit_account(&app, &headers)?;
    let pattern = query.iter().find(|(name, _)| name == "pattern");
    let listed: Vec<Value> = app
        .numbers("vonage")
        .iter()
        .map(|(number, known)| (plain(number), known))
        .filter(|(number, _)| *number != APPLICATION)
        .filter(|(number, _)| {
            pattern.is_none_or(|(_, pattern)| number.starts_with(pattern.as_str()))
        })
        .map(|(number, known)| {
            let mut body = json!({"country": "US", "msisdn": number, "type": "mobile-lvn",
                "features": ["VOICE", "SMS"]});
            for name in NUMBER_FIELDS {
                if let Some(value) = known.get(name) {
                    body[name] = json!(value);
                }
            }
            body
        })
        .collect();
    // Vonage leaves both out when there is nothing.
    let body = match listed.is_empty() {
        true => json!({}),
        false => json!({"count": listed.len(), "numbers": listed}),
    };
    Ok(Json(body).into_response())
}

async fn number(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Reply {
    admit_account(&app, &headers)?;
    let fields: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let number = with_plus(&field("msisdn"));
    if number.len() < 2 {
        let body = json!({"error-code": "420", "error-code-label": "method failed"});
        return Err((StatusCode::from_u16(420).unwrap_or(StatusCode::BAD_REQUEST), Json(body))
            .into_response());
    }
    app.change_number("vonage", &number, |known| {
        // What is not named is taken away.
        for name in NUMBER_FIELDS {
            known.fields.insert(name.into(), field(name));
        }
    });
    let body = json!({"error-code": "200", "error-code-label": "success"});
    Ok(Json(body).into_response())
}
