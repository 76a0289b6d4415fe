//! The API: calls, numbers, conferences.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{dial::conference_sid, place::place_outbound, run::document, webhook::Fields};
use crate::carriers::{
    App, Number,
    call::{Instructions, Order},
};

/// Longest instructions in a request, in characters.
const TWIML_CHARS_MAX: usize = 4_000;

type Answer = Result<Response, Response>;

pub fn router() -> Router<App> {
    let account = "/2010-04-01/Accounts/{account}";
    let path = |rest: &str| format!("{account}{rest}");
    Router::new()
        .route(&path("/Calls.json"), get(calls).post(create_call))
        .route(&path("/Calls/{file}"), get(call).post(update_call))
        .route(&path("/IncomingPhoneNumbers.json"), get(numbers).post(change_number))
        .route(&path("/IncomingPhoneNumbers/{file}"), get(number).post(update_number))
        .route(&path("/Conferences.json"), get(conferences))
        .route(&path("/Conferences/{id}/Participants.json"), get(participants))
        .route(
            &path("/Conferences/{id}/Participants/{file}"),
            get(participant).post(participant).delete(participant),
        )
}

/// An error as Twilio writes it.
fn error(status: u16, code: u32, message: &str) -> Response {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    let body = json!({"code": code, "message": message, "more_info": more, "status": status});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

/// Lets a request in, with its key, unless the API is broken.
fn admit(app: &App, account: &str, headers: &HeaderMap) -> Result<(), Response> {
    if let Some(refusal) = app.faults.refuse("twilio") {
        let code = if refusal.status == 429 { 20_429 } else { 20_500 };
        let mut response = error(refusal.status, code, "broken on purpose");
        if let Some(wait) = refusal.retry_after {
            response.headers_mut().insert("retry-after", wait.into());
        }
        return Err(response);
    }
    let options = app.options();
    let key = format!("{}:{}", options.twilio_account_sid, options.twilio_auth_token);
    let expected = format!("Basic {}", BASE64_STANDARD.encode(key));
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given != Some(&expected) || account != options.twilio_account_sid {
        return Err(error(401, 20_003, "Authenticate"));
    }
    Ok(())
}

fn fields(body: &[u8]) -> Fields {
    form_urlencoded::parse(body).into_owned().collect()
}

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

fn missing(what: &str) -> Response {
    error(404, 20_404, &format!("The requested resource {what} was not found"))
}

async fn create_call(
    State(app): State<App>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    admit(&app, &account, &headers)?;
    let fields = fields(&body);
    let Some(to) = field(&fields, "To") else {
        return Err(error(400, 21_201, "No 'To' number is specified"));
    };
    let is_number = to.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    });
    if !is_number && !to.starts_with("sip:") {
        return Err(error(400, 21_211, &format!("The 'To' number {to} is not valid")));
    }
    let Some(from) = field(&fields, "From") else {
        return Err(error(400, 21_213, "No 'From' number is specified"));
    };
    if app.number("twilio", from).is_none() && !app.numbers("twilio").is_empty() {
        let problem = format!("The source number {from} is not yours");
        return Err(error(400, 21_210, &problem));
    }
    let twiml = field(&fields, "Twiml");
    if twiml.is_none() && field(&fields, "Url").is_none() {
        return Err(error(400, 21_205, "Url parameter is required"));
    }
    if twiml.is_some_and(|twiml| twiml.chars().count() > TWIML_CHARS_MAX) {
        return Err(error(400, 21_627, "Twiml is longer than 4000 characters"));
    }
    let call = place_outbound(&app, &fields).map_err(|problem| error(500, 20_500, &problem))?;
    Ok((StatusCode::CREATED, Json(document(&app, &call))).into_response())
}

async fn calls(
    State(app): State<App>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Query(query): Query<Fields>,
) -> Answer {
    admit(&app, &account, &headers)?;
    let is = |name: &str, value: &str| field(&query, name).is_none_or(|wanted| wanted == value);
    let time = |name: &str| field(&query, name).and_then(instant);
    let (after, before) = (time("StartTime>"), time("StartTime<"));
    let listed: Vec<Value> = app
        .calls("twilio")
        .iter()
        .filter(|call| is("From", &call.from) && is("To", &call.to) && is("Status", call.status()))
        .filter(|call| {
            let began = call.facts().answered.unwrap_or(call.facts().created);
            after.is_none_or(|after| began >= after) && before.is_none_or(|before| began <= before)
        })
        .map(|call| document(&app, call))
        .collect();
    let number = |name: &str| field(&query, name).and_then(|n| n.parse::<usize>().ok());
    Ok(page(&account, "Calls", "calls", &listed, number("Page"), number("PageSize")))
}

/// A day, or a moment.
fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| format!("{text}T00:00:00Z").parse().ok())
}

fn page(
    account: &str,
    resource: &str,
    key: &str,
    all: &[Value],
    page: Option<usize>,
    size: Option<usize>,
) -> Response {
    let (page, size) = (page.unwrap_or(0), size.unwrap_or(50).clamp(1, 1_000));
    let from = (page * size).min(all.len());
    let to = (from + size).min(all.len());
    let uri = |page: usize| {
        format!("/2010-04-01/Accounts/{account}/{resource}.json?PageSize={size}&Page={page}")
    };
    let next = (to < all.len()).then(|| uri(page + 1));
    let body = json!({
        key: all[from..to],
        "page": page,
        "page_size": size,
        "start": from,
        "end": to,
        "uri": uri(page),
        "first_page_uri": uri(0),
        "next_page_uri": next,
        "previous_page_uri": null,
    });
    Json(body).into_response()
}

async fn call(
    State(app): State<App>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    admit(&app, &account, &headers)?;
    let call = app.call(id_of(&file)).filter(|call| call.carrier == "twilio");
    let call = call.ok_or_else(|| missing(&file))?;
    Ok(Json(document(&app, &call)).into_response())
}

async fn update_call(
    State(app): State<App>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    admit(&app, &account, &headers)?;
    let call = app.call(id_of(&file)).filter(|call| call.carrier == "twilio");
    let call = call.ok_or_else(|| missing(&file))?;
    if call.is_over() {
        return Err(missing(&file));
    }
    let fields = fields(&body);
    let order = match (field(&fields, "Status"), field(&fields, "Twiml"), field(&fields, "Url")) {
        (Some("completed" | "canceled"), _, _) => Order::HangUp,
        (_, Some(twiml), _) if twiml.chars().count() > TWIML_CHARS_MAX => {
            return Err(error(400, 21_627, "Twiml is longer than 4000 characters"));
        }
        (_, Some(twiml), _) => Order::Instructions(Instructions::Document(twiml.to_owned())),
        (_, _, Some(url)) => Order::Instructions(Instructions::Url(url.to_owned())),
        (_, None, None) => return Err(error(400, 20_001, "nothing to change")),
    };
    if !call.is_answered() && matches!(order, Order::Instructions(_)) {
        let problem = "Call is not in-progress. Cannot redirect.";
        return Err(error(400, 21_220, problem));
    }
    if !call.order(order) {
        return Err(error(429, 20_429, "Too Many Requests"));
    }
    Ok(Json(document(&app, &call)).into_response())
}

/// `CA...` of `CA....json`.
fn id_of(file: &str) -> &str {
    file.strip_suffix(".json").unwrap_or(file)
}

fn number_document(account: &str, phone: &str, number: &Number) -> Value {
    let mut body = json!({
        "sid": number_sid(number),
        "account_sid": account,
        "phone_number": phone,
        "friendly_name": phone,
        "capabilities": {"voice": true, "sms": true, "mms": false, "fax": false},
    });
    for name in NUMBER_FIELDS.iter().map(|(_, name)| *name) {
        body[name] = json!(number.get(name));
    }
    body
}

/// The fields of a number that can be changed: as they are given, and as they are told.
const NUMBER_FIELDS: [(&str, &str); 8] = [
    ("VoiceUrl", "voice_url"),
    ("VoiceMethod", "voice_method"),
    ("VoiceFallbackUrl", "voice_fallback_url"),
    ("VoiceFallbackMethod", "voice_fallback_method"),
    ("StatusCallback", "status_callback"),
    ("StatusCallbackMethod", "status_callback_method"),
    ("VoiceApplicationSid", "voice_application_sid"),
    ("TrunkSid", "trunk_sid"),
];

fn number_sid(number: &Number) -> String {
    format!("PN{}", number.id.replace('-', ""))
}

async fn numbers(
    State(app): State<App>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Query(query): Query<Fields>,
) -> Answer {
    admit(&app, &account, &headers)?;
    let wanted = field(&query, "PhoneNumber");
    let listed: Vec<Value> = app
        .numbers("twilio")
        .iter()
        .filter(|(phone, _)| wanted.is_none_or(|wanted| phone == wanted))
        .map(|(phone, number)| number_document(&account, phone, number))
        .collect();
    let key = "incoming_phone_numbers";
    Ok(page(&account, "IncomingPhoneNumbers", key, &listed, None, None))
}

/// Buys a number.
async fn change_number(
    State(app): State<App>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    admit(&app, &account, &headers)?;
    let fields = fields(&body);
    let Some(phone) = field(&fields, "PhoneNumber") else {
        return Err(error(400, 21_421, "PhoneNumber is required"));
    };
    let number = app.change_number("twilio", phone, |number| set(number, &fields));
    Ok((StatusCode::CREATED, Json(number_document(&account, phone, &number))).into_response())
}

async fn number(
    State(app): State<App>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    admit(&app, &account, &headers)?;
    let (phone, number) = find_number(&app, &file)?;
    Ok(Json(number_document(&account, &phone, &number)).into_response())
}

async fn update_number(
    State(app): State<App>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    admit(&app, &account, &headers)?;
    let (phone, _) = find_number(&app, &file)?;
    let fields = fields(&body);
    let number = app.change_number("twilio", &phone, |number| set(number, &fields));
    Ok(Json(number_document(&account, &phone, &number)).into_response())
}

fn find_number(app: &App, file: &str) -> Result<(String, Number), Response> {
    let sid = id_of(file);
    let found = app.numbers("twilio").into_iter().find(|(_, number)| number_sid(number) == sid);
    found.ok_or_else(|| missing(file))
}

fn set(number: &mut Number, fields: &Fields) {
    for (given, name) in NUMBER_FIELDS {
        if let Some((_, value)) = fields.iter().find(|(known, _)| known == given) {
            number.fields.insert(name.to_owned(), value.clone());
        }
    }
}

async fn conferences(
    State(app): State<App>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Query(query): Query<Fields>,
) -> Answer {
    admit(&app, &account, &headers)?;
    let wanted = field(&query, "FriendlyName");
    let listed: Vec<Value> = app
        .room_names()
        .iter()
        .filter(|name| wanted.is_none_or(|wanted| *name == wanted))
        .map(|name| {
            json!({
                "sid": conference_sid(name),
                "account_sid": account,
                "friendly_name": name,
                "status": "in-progress",
            })
        })
        .collect();
    Ok(page(&account, "Conferences", "conferences", &listed, None, None))
}

fn room_name(app: &App, id: &str) -> Result<String, Response> {
    let names = app.room_names();
    let found = names.into_iter().find(|name| name == id || conference_sid(name) == id);
    found.ok_or_else(|| missing(id))
}

fn participant_document(account: &str, room: &str, call: &str, state: (bool, bool)) -> Value {
    json!({
        "account_sid": account,
        "conference_sid": conference_sid(room),
        "call_sid": call,
        "hold": state.0,
        "muted": state.1,
        "status": "connected",
    })
}

async fn participants(
    State(app): State<App>,
    Path((account, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    admit(&app, &account, &headers)?;
    let name = room_name(&app, &id)?;
    let room = app.room(&name);
    let listed: Vec<Value> = room
        .members()
        .iter()
        .filter_map(|call| Some(participant_document(&account, &name, call, room.state_of(call)?)))
        .collect();
    Ok(page(&account, "Participants", "participants", &listed, None, None))
}

async fn participant(
    State(app): State<App>,
    Path((account, id, file)): Path<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    admit(&app, &account, &headers)?;
    let name = room_name(&app, &id)?;
    let (room, call) = (app.room(&name), id_of(&file));
    if room.state_of(call).is_none() {
        return Err(missing(&file));
    }
    if method == Method::DELETE {
        // Somebody who is gone has left already.
        let _ = app.call(call).map(|call| call.order(Order::LeaveConference));
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let fields = fields(&body);
    let flag = |name: &str| field(&fields, name).map(|value| value.eq_ignore_ascii_case("true"));
    if let Some(hold) = flag("Hold") {
        room.hold(call, hold);
    }
    if let Some(muted) = flag("Muted") {
        room.mute(call, muted);
    }
    let state = room.state_of(call).ok_or_else(|| missing(&file))?;
    Ok(Json(participant_document(&account, &name, call, state)).into_response())
}
