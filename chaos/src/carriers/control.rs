//! Routes for tests, under `/carriers`.
//!
//! | route | does |
//! |---|---|
//! | `GET /options`, `POST /options` | the options; changes those that are named |
//! | `POST /people` `{"number": "+1..", ..persona}` | what a person does who is called; without a number, everybody |
//! | `POST /numbers` `{"carrier": "twilio", "number": "+1..", ..fields}` | a number of the customer's, with fields of its carrier's API |
//! | `POST /calls` `{"carrier": "twilio", "from": "+1..", "to": "+1..", "persona": {}}` | a person calls a number |
//! | `GET /calls`, `GET /calls/{id}` | what became of calls, and what was heard |
//! | `GET /calls/{id}/heard.wav` | what was heard |
//! | `POST /calls/{id}/act` `{"say": ".."}`, `{"keys": ".."}`, `{"hang_up": true}` | the person does something |
//! | `POST /fault` | see [`super::faults`] |
//! | `GET /telnyx-key` | the public key of Telnyx's signatures |
//!
//! An application of Telnyx is a number whose name is `application:` and its id, that of Vonage one
//! whose name is `application`.

use std::sync::PoisonError;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    App, CARRIERS, CarriersOptions, Persona,
    call::Order,
    faults::{self, Fault},
    telnyx,
};

pub fn router() -> Router<App> {
    Router::new()
        .route("/options", get(options).post(change_options))
        .route("/people", post(introduce))
        .route("/numbers", post(number))
        .route("/calls", get(calls).post(place))
        .route("/calls/{id}", get(call))
        .route("/calls/{id}/heard.wav", get(heard))
        .route("/calls/{id}/act", post(act))
        .route("/fault", post(fault))
        .route("/telnyx-key", get(telnyx_key))
}

type Answer = Result<Response, Response>;

fn refused(problem: impl Into<String>) -> Response {
    (StatusCode::BAD_REQUEST, problem.into()).into_response()
}

async fn options(State(app): State<App>) -> Response {
    Json(app.options()).into_response()
}

async fn change_options(State(app): State<App>, Json(changes): Json<Map<String, Value>>) -> Answer {
    let mut all = json!(app.options());
    for (name, value) in changes {
        all[name] = value;
    }
    let options: CarriersOptions =
        serde_json::from_value(all).map_err(|error| refused(error.to_string()))?;
    *app.options.write().unwrap_or_else(PoisonError::into_inner) = options.clone();
    Ok(Json(options).into_response())
}

async fn introduce(State(app): State<App>, Json(mut body): Json<Map<String, Value>>) -> Answer {
    let number = body.remove("number").and_then(|number| Some(number.as_str()?.to_owned()));
    let persona: Persona =
        serde_json::from_value(body.into()).map_err(|error| refused(error.to_string()))?;
    app.introduce(number.unwrap_or_default(), persona);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn number(State(app): State<App>, Json(mut body): Json<Map<String, Value>>) -> Answer {
    let carrier = body.remove("carrier").unwrap_or_default();
    let known = CARRIERS.into_iter().find(|known| carrier == *known);
    let number = body.remove("number").and_then(|number| Some(number.as_str()?.to_owned()));
    let (Some(carrier), Some(number)) = (known, number) else {
        return Err(refused("expected `carrier` and `number`"));
    };
    app.change_number(carrier, &number, |number| {
        for (name, value) in body {
            number.fields.insert(name, value.as_str().unwrap_or_default().to_owned());
        }
    });
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    carrier: String,
    from: String,
    to: String,
    #[serde(default)]
    persona: Persona,
}

async fn place(State(app): State<App>, Json(place): Json<Place>) -> Answer {
    let Place { carrier, from, to, persona } = place;
    let id = app.place(&carrier, &from, &to, persona).map_err(refused)?;
    Ok((StatusCode::CREATED, Json(find(&app, &id)?.document())).into_response())
}

async fn calls(State(app): State<App>) -> Response {
    let all = CARRIERS.iter().flat_map(|carrier| app.calls(carrier));
    Json(all.map(|call| call.document()).collect::<Vec<_>>()).into_response()
}

fn find(app: &App, id: &str) -> Result<std::sync::Arc<super::Call>, Response> {
    app.call(id).ok_or_else(|| StatusCode::NOT_FOUND.into_response())
}

async fn call(State(app): State<App>, Path(id): Path<String>) -> Answer {
    Ok(Json(find(&app, &id)?.document()).into_response())
}

async fn heard(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let wav = find(&app, &id)?.line.with_handset(|handset| handset.heard.wav());
    Ok(([(CONTENT_TYPE, "audio/wav")], wav).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Act {
    Say(String),
    Keys(String),
    HangUp(bool),
}

async fn act(State(app): State<App>, Path(id): Path<String>, Json(act): Json<Act>) -> Answer {
    let call = find(&app, &id)?;
    match act {
        Act::Say(text) => call.line.with_handset(|handset| handset.say(&text)),
        Act::Keys(keys) => call.line.with_handset(|handset| handset.press(&keys)),
        Act::HangUp(true) => drop(call.order(Order::PersonGone)),
        Act::HangUp(false) => {}
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn telnyx_key(State(app): State<App>) -> String {
    telnyx::public_key(&app)
}

async fn fault(State(app): State<App>, Json(fault): Json<Fault>) -> Answer {
    faults::add(&app, fault).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
