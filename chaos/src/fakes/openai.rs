//! OpenAI: chat completions, which every compatible vendor speaks, the list of models, and speech.

use axum::{
    Router,
    body::Bytes,
    extract::{OriginalUri, Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    App,
    model::{Answer, End, Question, Tool},
    report::Mark,
    wire::{self, Asked, Link, Piece},
};

mod speech;

const PROVIDER: &str = "openai";

/// Models that are listed; any other is served too, unless its name begins like [`UNKNOWN`].
const MODELS: [&str; 4] = ["gpt-6-luna", "gpt-5.4-mini", "gpt-4.1-mini", "gpt-4o-mini-tts"];

/// Beginning of the names of models that are not there.
const UNKNOWN: &str = "no-such-model";

/// Beginnings of the names of models that think: they take no `max_tokens`, and no `temperature`
/// while they do.
const THINKING: [&str; 5] = ["gpt-5", "gpt-6", "o1", "o3", "o4"];

/// The prefix `/v1` may be part of the base address or not.
pub fn router() -> Router<App> {
    let routes = || {
        Router::new()
            .route("/chat/completions", post(chat))
            .route("/models", get(models))
            .route("/models/{id}", get(model))
            .route("/audio/speech", post(speech::speak))
    };
    routes().nest("/v1", routes())
}

/// An error as OpenAI tells it.
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
}

impl Refusal {
    fn bad(param: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        let kind = "invalid_request_error";
        let status = StatusCode::BAD_REQUEST;
        Self { status, kind, code, param: Some(param), message: message.into() }
    }

    fn body(&self) -> String {
        let (kind, param, code, message) = (self.kind, self.param, self.code, &self.message);
        json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
            .to_string()
    }
}

/// A request of which the body is noted, let in by its key and read as JSON.
fn begin(
    app: &App,
    asked: &Asked<'_>,
    body: &[u8],
    parse: impl FnOnce(&Value) -> Result<(), Refusal>,
) -> Result<(Link, Value), Response> {
    let text = asked.headers.get("authorization").and_then(|value| value.to_str().ok());
    let key = text.and_then(|value| value.strip_prefix("Bearer "));
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let checked = match app.admits(key) {
        true => parse(&document),
        false => Err(Refusal {
            status: StatusCode::UNAUTHORIZED,
            kind: "invalid_request_error",
            code: Some("invalid_api_key"),
            param: None,
            message: "Incorrect API key provided.".into(),
        }),
    };
    let link = Link::new(app, PROVIDER, asked, |counts| match checked {
        Ok(()) => counts.requests += 1,
        Err(_) => counts.refused += 1,
    });
    if !body.is_empty() {
        link.note(&String::from_utf8_lossy(body));
    }
    match checked {
        Ok(()) => Ok((link, document)),
        Err(refusal) => Err(with_id(app, json_response(refusal.status, refusal.body()))),
    }
}

fn json_response(status: StatusCode, body: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], body).into_response()
}

fn with_id(app: &App, mut response: Response) -> Response {
    let id = HeaderValue::from_str(&app.chance.id()).expect("ids are hexadecimal");
    response.headers_mut().insert("x-request-id", id);
    response
}

async fn models(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let asked = Asked { method: &Method::GET, uri: &uri, headers: &headers, query: &[] };
    match begin(&app, &asked, b"", |_| Ok(())) {
        Ok(_) => {
            let data: Vec<Value> = MODELS.iter().map(|id| model_card(id)).collect();
            let list = json!({"object": "list", "data": data}).to_string();
            with_id(&app, json_response(StatusCode::OK, list))
        }
        Err(refused) => refused,
    }
}

async fn model(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let asked = Asked { method: &Method::GET, uri: &uri, headers: &headers, query: &[] };
    match begin(&app, &asked, b"", |_| is_known(&id)) {
        Ok(_) => with_id(&app, json_response(StatusCode::OK, model_card(&id).to_string())),
        Err(refused) => refused,
    }
}

fn model_card(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": CREATED, "owned_by": "fake"})
}

/// A moment in 2026, for whoever wants one.
const CREATED: u64 = 1_767_225_600;

fn is_known(model: &str) -> Result<(), Refusal> {
    if !model.starts_with(UNKNOWN) {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::NOT_FOUND,
        kind: "invalid_request_error",
        code: Some("model_not_found"),
        param: Some("model"),
        message: format!("The model `{model}` does not exist or you do not have access to it."),
    })
}

async fn chat(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = Instant::now();
    let asked = Asked { method: &Method::POST, uri: &uri, headers: &headers, query: &[] };
    let (link, request) = match begin(&app, &asked, &body, check) {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    let answer = question(&request).answer(&app, now);
    let envelope = Envelope {
        id: format!("chatcmpl-{}", app.chance.id()),
        model: request["model"].as_str().unwrap_or_default().to_owned(),
    };
    let (kind, pieces) = match request["stream"].as_bool() {
        Some(true) => {
            let counts = request["stream_options"]["include_usage"].as_bool() == Some(true);
            ("text/event-stream; charset=utf-8", envelope.events(&answer, counts))
        }
        Some(false) | None => ("application/json", vec![envelope.whole(&answer)]),
    };
    let kind = HeaderValue::from_static(kind);
    let response = ([(CONTENT_TYPE, kind)], wire::body(link, pieces)).into_response();
    with_id(&app, response)
}

fn check(request: &Value) -> Result<(), Refusal> {
    let Some(model) = request["model"].as_str().filter(|model| !model.is_empty()) else {
        return Err(Refusal::bad("model", None, "you must provide a model parameter"));
    };
    is_known(model)?;
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() {
        return Err(Refusal::bad("messages", None, "'messages' is missing or empty"));
    }
    let mut owed: Vec<&Value> = Vec::new();
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        match role {
            "tool" => match owed.iter().position(|id| **id == message["tool_call_id"]) {
                Some(index) => drop(owed.remove(index)),
                None => {
                    let error = "messages with role 'tool' must be a response to a preceding \
                        message with 'tool_calls'";
                    return Err(Refusal::bad("messages", None, error));
                }
            },
            "system" | "developer" | "user" | "assistant" if !owed.is_empty() => {
                let error = "an assistant message with 'tool_calls' must be followed by tool \
                    messages responding to each 'tool_call_id'";
                return Err(Refusal::bad("messages", None, error));
            }
            "system" | "developer" | "user" => {}
            "assistant" => {
                let calls = message["tool_calls"].as_array().into_iter().flatten();
                owed.extend(calls.map(|call| &call["id"]));
            }
            _ => {
                let error = format!("'{role}' is not one of the roles");
                return Err(Refusal::bad("messages", Some("invalid_value"), error));
            }
        }
    }
    if THINKING.iter().any(|name| model.starts_with(name)) {
        let error = "is not supported with this model";
        if !request["max_tokens"].is_null() {
            let error = format!("'max_tokens' {error}. Use 'max_completion_tokens' instead.");
            return Err(Refusal::bad("max_tokens", Some("unsupported_parameter"), error));
        }
        let thinks = request["reasoning_effort"] != "none";
        if thinks && request["temperature"].as_f64().is_some_and(|value| value != 1.0) {
            let error = format!("'temperature' {error}. Only the default (1) value is supported.");
            return Err(Refusal::bad("temperature", Some("unsupported_value"), error));
        }
    }
    Ok(())
}

fn question(request: &Value) -> Question {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let said = messages.iter().rposition(|message| message["role"] == "user");
    let after = said.map_or(messages, |index| &messages[index..]);
    let offered = match request["tool_choice"] == "none" {
        true => None,
        false => request["tools"].as_array(),
    };
    Question {
        said: said.map(|index| text_of(&messages[index]["content"])).unwrap_or_default(),
        spoken: after
            .iter()
            .filter(|message| message["role"] == "assistant")
            .map(|message| text_of(&message["content"]))
            .collect::<Vec<_>>()
            .join(" "),
        has_result: after.iter().any(|message| message["role"] == "tool"),
        tools: offered
            .into_iter()
            .flatten()
            .map(|tool| Tool {
                name: tool["function"]["name"].as_str().unwrap_or_default().to_owned(),
                schema: tool["function"]["parameters"].clone(),
            })
            .collect(),
        tokens_max: request["max_completion_tokens"].as_u64().or(request["max_tokens"].as_u64()),
        prompt_words: messages
            .iter()
            .map(|message| text_of(&message["content"]).split_whitespace().count())
            .sum(),
    }
}

/// The text of a message, which may come in parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// What every chunk of a completion repeats.
struct Envelope {
    id: String,
    model: String,
}

impl Envelope {
    fn chunk(&self, choices: &Value, usage: Option<Value>) -> String {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": CREATED,
            "model": self.model, "service_tier": "default", "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    }

    fn delta(&self, delta: &Value, finish: Option<&str>, counts: bool) -> String {
        let choice =
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        self.chunk(&choice, counts.then_some(Value::Null))
    }

    fn events(&self, answer: &Answer, counts: bool) -> Vec<Piece> {
        let role = json!({"role": "assistant", "content": "", "refusal": null});
        let mut opening = self.delta(&role, None, counts);
        let mut pieces = Vec::new();
        let mut push = |event: String| {
            let index = pieces.len();
            let opening = std::mem::take(&mut opening);
            let mark = answer.turn.filter(|_| index == 0).map(Mark::FirstToken);
            let bytes = Bytes::from(opening + &event);
            pieces.push(Piece { due: answer.due(index), bytes, mark });
        };
        for token in &answer.tokens {
            push(self.delta(&json!({"content": token}), None, counts));
        }
        for (index, call) in answer.calls.iter().enumerate() {
            let id = format!("call_{}_{index}", &self.id[self.id.len() - 12..]);
            let function = json!({"name": call.name, "arguments": ""});
            let begin = json!({"index": index, "id": id, "type": "function", "function": function});
            push(self.delta(&json!({"tool_calls": [begin]}), None, counts));
            let arguments = call.arguments.to_string();
            let (half, rest) = arguments.split_at(arguments.len() / 2);
            for part in [half, rest] {
                let more = json!({"index": index, "function": {"arguments": part}});
                push(self.delta(&json!({"tool_calls": [more]}), None, counts));
            }
        }
        let mut ending = self.delta(&json!({}), Some(finish_reason(answer.end)), counts);
        if counts {
            ending.push_str(&self.chunk(&json!([]), Some(usage(answer))));
        }
        push(ending + "data: [DONE]\n\n");
        if let Some(last) = pieces.last_mut() {
            last.mark = last.mark.or(answer.turn.map(Mark::ReplyEnd));
        }
        pieces
    }

    /// The whole completion, after all its tokens.
    fn whole(&self, answer: &Answer) -> Piece {
        let mut message = json!({"role": "assistant", "content": null, "refusal": null});
        if answer.calls.is_empty() {
            message["content"] = answer.tokens.concat().into();
        } else {
            let calls = answer.calls.iter().enumerate().map(|(index, call)| {
                let arguments = call.arguments.to_string();
                let function = json!({"name": call.name, "arguments": arguments});
                json!({"id": format!("call_{index}"), "type": "function", "function": function})
            });
            message["tool_calls"] = calls.collect();
        }
        let finish = finish_reason(answer.end);
        let choice =
            json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish});
        let completion = json!({
            "id": self.id, "object": "chat.completion", "created": CREATED, "model": self.model,
            "service_tier": "default", "choices": [choice], "usage": usage(answer),
        });
        let mark = answer.turn.map(Mark::FirstToken);
        let due = answer.due(answer.tokens.len());
        Piece { due, bytes: completion.to_string().into(), mark }
    }
}

fn finish_reason(end: End) -> &'static str {
    match end {
        End::Stop => "stop",
        End::Length => "length",
        End::Tools => "tool_calls",
        End::Filter => "content_filter",
    }
}

fn usage(answer: &Answer) -> Value {
    let (prompt, completion) = (answer.prompt_tokens, answer.completion_tokens());
    json!({
        "prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

#[cfg(test)]
mod tests;
