//! Anthropic: messages, and the list of models.

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
    openai::text_of,
    report::Mark,
    wire::{self, Asked, Link, Piece},
};

const PROVIDER: &str = "anthropic";

/// Versions of the protocol that are served; the newer takes no sampling parameters.
const VERSION: &str = "2023-06-01";
const NEW_VERSION: &str = "2026-10-21";

/// Models that are listed; any other is served too, unless its name begins like [`UNKNOWN`].
const MODELS: [&str; 3] = ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-haiku-4-5"];

/// Beginning of the names of models that are not there.
const UNKNOWN: &str = "no-such-model";

/// Beginnings of the names of models that go on from a last message of the assistant: those before
/// Claude 4.6.
const CONTINUING: [&str; 4] =
    ["claude-3", "claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5"];

pub fn router() -> Router<App> {
    Router::new()
        .route("/v1/messages", post(messages))
        .route("/v1/models", get(models))
        .route("/v1/models/{id}", get(model))
}

/// An error as Anthropic tells it.
struct Refusal(StatusCode, &'static str, String);

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, "invalid_request_error", message.into())
    }
}

async fn models(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let asked = Asked { method: &Method::GET, uri: &uri, headers: &headers, query: &[] };
    let data: Vec<Value> = MODELS.iter().map(|id| model_card(id)).collect();
    let (first, last) = (MODELS.first(), MODELS.last());
    let list = json!({"data": data, "has_more": false, "first_id": first, "last_id": last});
    answer(&app, &asked, Ok(list))
}

async fn model(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let asked = Asked { method: &Method::GET, uri: &uri, headers: &headers, query: &[] };
    answer(&app, &asked, is_known(&id).map(|()| model_card(&id)))
}

fn answer(app: &App, asked: &Asked<'_>, found: Result<Value, Refusal>) -> Response {
    match begin(app, asked, b"", |_| found.map(|document| document.to_string())) {
        Ok((_, document)) => with_id(app, json_response(StatusCode::OK, document)),
        Err(refused) => refused,
    }
}

fn model_card(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z"})
}

fn is_known(model: &str) -> Result<(), Refusal> {
    match model.starts_with(UNKNOWN) {
        false => Ok(()),
        true => Err(Refusal(StatusCode::NOT_FOUND, "not_found_error", format!("model: {model}"))),
    }
}

/// A request of which the body is noted, let in by its key and read as JSON.
fn begin<T>(
    app: &App,
    asked: &Asked<'_>,
    body: &[u8],
    parse: impl FnOnce(&Value) -> Result<T, Refusal>,
) -> Result<(Link, T), Response> {
    let header = |name: &str| asked.headers.get(name).and_then(|value| value.to_str().ok());
    let key = header("x-api-key")
        .or_else(|| header("authorization").and_then(|value| value.strip_prefix("Bearer ")));
    let version = header("anthropic-version");
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let sampling =
        ["temperature", "top_p", "top_k"].iter().find(|name| !document[**name].is_null());
    let checked = match (version, sampling) {
        _ if !app.admits(key) => {
            let (kind, message) = ("authentication_error", "invalid x-api-key");
            Err(Refusal(StatusCode::UNAUTHORIZED, kind, message.into()))
        }
        (Some(NEW_VERSION), Some(name)) => Err(Refusal::bad(format!("{name}: not permitted"))),
        (Some(VERSION | NEW_VERSION), _) => parse(&document),
        (Some(_) | None, _) => {
            Err(Refusal::bad(format!("anthropic-version: {VERSION} or {NEW_VERSION} is required")))
        }
    };
    let link = Link::new(app, PROVIDER, asked, |counts| match checked {
        Ok(_) => counts.requests += 1,
        Err(_) => counts.refused += 1,
    });
    if !body.is_empty() {
        link.note(&String::from_utf8_lossy(body));
    }
    checked.map(|parsed| (link, parsed)).map_err(|Refusal(status, kind, message)| {
        let request_id = format!("req_{}", app.chance.id());
        let error = json!({"type": kind, "message": message});
        let body = json!({"type": "error", "error": error, "request_id": request_id});
        with_id(app, json_response(status, body.to_string()))
    })
}

fn json_response(status: StatusCode, body: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], body).into_response()
}

fn with_id(app: &App, mut response: Response) -> Response {
    let id = HeaderValue::from_str(&format!("req_{}", app.chance.id()));
    response.headers_mut().insert("request-id", id.expect("ids are hexadecimal"));
    response
}

async fn messages(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = Instant::now();
    let asked = Asked { method: &Method::POST, uri: &uri, headers: &headers, query: &[] };
    let checked = begin(&app, &asked, &body, |request| check(request).map(|()| request.clone()));
    let (link, request) = match checked {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    let answer = question(&request).answer(&app, now);
    let reply = Reply {
        id: format!("msg_{}", app.chance.id()),
        model: request["model"].as_str().unwrap_or_default().to_owned(),
    };
    let (kind, pieces) = match request["stream"].as_bool() {
        Some(true) => ("text/event-stream; charset=utf-8", reply.events(&answer)),
        Some(false) | None => ("application/json", vec![reply.whole(&answer)]),
    };
    let kind = HeaderValue::from_static(kind);
    with_id(&app, ([(CONTENT_TYPE, kind)], wire::body(link, pieces)).into_response())
}

fn check(request: &Value) -> Result<(), Refusal> {
    let model = request["model"].as_str().ok_or(Refusal::bad("model: Field required"))?;
    is_known(model)?;
    if request["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err(Refusal::bad("max_tokens: Field required"));
    }
    if request["temperature"].as_f64().is_some_and(|value| !(0.0..=1.0).contains(&value)) {
        return Err(Refusal::bad("temperature: range: 0..1"));
    }
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.first().is_none_or(|first| first["role"] != "user") {
        return Err(Refusal::bad("messages: first message must use the \"user\" role"));
    }
    let ends_with_user = messages.last().is_some_and(|last| last["role"] == "user");
    if !ends_with_user && !CONTINUING.iter().any(|name| model.starts_with(name)) {
        let error = "This model does not support assistant message prefill. The conversation must \
            end with a user message.";
        return Err(Refusal::bad(error));
    }
    let tools = request["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, message) in messages.iter().enumerate() {
        let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        if message["content"].as_str().is_some_and(|text| text.trim().is_empty())
            || blocks
                .iter()
                .any(|block| block["text"].as_str().is_some_and(|t| t.trim().is_empty()))
        {
            return Err(Refusal::bad("messages: text content blocks must be non-empty"));
        }
        let used = blocks.iter().filter(|block| block["type"] == "tool_use");
        let answered = messages.get(index + 1).map(|next| &next["content"]);
        for block in used {
            let results = answered.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            if !results.iter().any(|result| result["tool_use_id"] == block["id"]) {
                let id = &block["id"];
                let error = format!("`tool_use` ids were found without `tool_result` blocks: {id}");
                return Err(Refusal::bad(error));
            }
            if tools.is_empty() {
                return Err(Refusal::bad("requests with `tool_use` blocks must define tools"));
            }
        }
    }
    Ok(())
}

fn question(request: &Value) -> Question {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_result = |message: &Value| {
        let blocks = message["content"].as_array().into_iter().flatten();
        blocks.into_iter().any(|block| block["type"] == "tool_result")
    };
    let words_of = |message: &Value| text_of(&message["content"]);
    let said = messages
        .iter()
        .rposition(|message| message["role"] == "user" && !words_of(message).trim().is_empty());
    let after = said.map_or(messages, |index| &messages[index..]);
    let offered = match request["tool_choice"]["type"] == "none" {
        true => None,
        false => request["tools"].as_array(),
    };
    let system = text_of(&request["system"]);
    let texts = messages.iter().map(words_of).chain([system]);
    Question {
        said: said.map(|index| words_of(&messages[index])).unwrap_or_default(),
        spoken: after
            .iter()
            .filter(|message| message["role"] == "assistant")
            .map(words_of)
            .collect::<Vec<_>>()
            .join(" "),
        has_result: after.iter().any(is_result),
        tools: offered
            .into_iter()
            .flatten()
            .map(|tool| Tool {
                name: tool["name"].as_str().unwrap_or_default().to_owned(),
                schema: tool["input_schema"].clone(),
            })
            .collect(),
        tokens_max: request["max_tokens"].as_u64(),
        prompt_words: texts.map(|text| text.split_whitespace().count()).sum(),
    }
}

struct Reply {
    id: String,
    model: String,
}

impl Reply {
    fn message(&self, content: &Value, stop: Option<&str>, usage: &Value) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": content, "stop_reason": stop, "stop_sequence": null, "usage": usage,
        })
    }

    fn events(&self, answer: &Answer) -> Vec<Piece> {
        let message = self.message(&json!([]), None, &usage(answer, 1));
        let mut opening = event("message_start", &json!({"message": message}));
        opening.push_str(&event("ping", &json!({})));
        let mut pieces = Vec::new();
        let mut push = |event: String| {
            let index = pieces.len();
            let bytes = Bytes::from(std::mem::take(&mut opening) + &event);
            let mark = answer.turn.filter(|_| index == 0).map(Mark::FirstToken);
            pieces.push(Piece { due: answer.due(index), bytes, mark });
        };
        let mut block = 0;
        for (index, token) in answer.tokens.iter().enumerate() {
            let begin = match index {
                0 => start(block, &json!({"type": "text", "text": ""})),
                _ => String::new(),
            };
            push(begin + &delta(block, &json!({"type": "text_delta", "text": token})));
        }
        let mut stop = String::new();
        if !answer.tokens.is_empty() {
            stop = event("content_block_stop", &json!({"index": block}));
            block += 1;
        }
        for call in &answer.calls {
            let id = format!("toolu_{}_{block}", &self.id[self.id.len() - 12..]);
            let begin = json!({"type": "tool_use", "id": id, "name": call.name, "input": {}});
            push(std::mem::take(&mut stop) + &start(block, &begin));
            let arguments = call.arguments.to_string();
            let (half, rest) = arguments.split_at(arguments.len() / 2);
            for part in [half, rest] {
                push(delta(block, &json!({"type": "input_json_delta", "partial_json": part})));
            }
            stop = event("content_block_stop", &json!({"index": block}));
            block += 1;
        }
        let reason = json!({"stop_reason": stop_reason(answer.end), "stop_sequence": null});
        let usage = usage(answer, answer.completion_tokens());
        stop.push_str(&event("message_delta", &json!({"delta": reason, "usage": usage})));
        push(stop + &event("message_stop", &json!({})));
        if let Some(last) = pieces.last_mut() {
            last.mark = last.mark.or(answer.turn.map(Mark::ReplyEnd));
        }
        pieces
    }

    /// The whole message, after all its tokens.
    fn whole(&self, answer: &Answer) -> Piece {
        let text = answer.tokens.concat();
        let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
        let calls = answer.calls.iter().enumerate().map(|(index, call)| {
            let id = format!("toolu_{index}");
            json!({"type": "tool_use", "id": id, "name": call.name, "input": call.arguments})
        });
        let content: Value = text.into_iter().chain(calls).collect();
        let usage = usage(answer, answer.completion_tokens());
        let message = self.message(&content, Some(stop_reason(answer.end)), &usage);
        let mark = answer.turn.map(Mark::FirstToken);
        let due = answer.due(answer.tokens.len());
        Piece { due, bytes: message.to_string().into(), mark }
    }
}

fn start(block: usize, content: &Value) -> String {
    event("content_block_start", &json!({"index": block, "content_block": content}))
}

fn delta(block: usize, delta: &Value) -> String {
    event("content_block_delta", &json!({"index": block, "delta": delta}))
}

fn event(name: &str, fields: &Value) -> String {
    let mut data = json!({"type": name});
    if let (Some(data), Some(fields)) = (data.as_object_mut(), fields.as_object()) {
        data.extend(fields.clone());
    }
    format!("event: {name}\ndata: {data}\n\n")
}

fn stop_reason(end: End) -> &'static str {
    match end {
        End::Stop => "end_turn",
        End::Length => "max_tokens",
        End::Tools => "tool_use",
        End::Filter => "refusal",
    }
}

fn usage(answer: &Answer, output_tokens: usize) -> Value {
    json!({
        "input_tokens": answer.prompt_tokens, "output_tokens": output_tokens,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "service_tier": "standard",
    })
}
