//! The demo's own server: it answers the tool, and takes the server events.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    call_command::narrator::tool_call,
    console::{Console, Style},
};

/// How long looking up an appointment takes: as long as a slow database, so that it can be heard
/// what the assistant says meanwhile.
const TOOL_TIME: Duration = Duration::from_millis(400);

/// How often it is looked whether an event has come.
const POLL: Duration = Duration::from_millis(50);

/// Events that are kept of a call; one makes some hundred.
const EVENTS_MAX: usize = 10_000;

/// A running webhook; it stops when it is dropped.
pub struct Webhook {
    address: SocketAddr,
    seen: Arc<Mutex<HashMap<String, Seen>>>,
    task: JoinHandle<()>,
}

/// What has come for a call.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Kinds of server events.
    pub events: Vec<String>,
    pub tools: Vec<ToolUse>,
}

/// A tool that was called.
#[derive(Clone, Debug)]
pub struct ToolUse {
    pub at: Instant,
    /// The call, as a person would write it.
    pub text: String,
}

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<HashMap<String, Seen>>>,
    console: Console,
}

impl Webhook {
    pub async fn start(console: Console) -> Result<Self, String> {
        let failed = |error| format!("cannot listen on 127.0.0.1 for tool calls: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let seen = Arc::<Mutex<HashMap<String, Seen>>>::default();
        let router = Router::new()
            .route("/tools", post(answer_tools))
            .route("/events", post(take_event))
            .with_state(Shared { seen: seen.clone(), console });
        let task = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, seen, task })
    }

    pub fn tools_url(&self) -> String {
        format!("http://{}/tools", self.address)
    }

    pub fn events_url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// What has come for a call.
    pub fn seen(&self, call: &str) -> Seen {
        lock(&self.seen).get(call).cloned().unwrap_or_default()
    }

    /// Waits for an event of a call; whether it came is seen in what has come.
    pub async fn wait_for(&self, call: &str, event: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.seen(call).events.iter().any(|seen| seen == event) {
                return;
            }
            sleep(POLL).await;
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take_event(State(shared): State<Shared>, Json(body): Json<Value>) {
    let message = &body["message"];
    let kind = message["type"].as_str().unwrap_or("?").to_owned();
    let mut seen = lock(&shared.seen);
    let of_call = seen.entry(call_of(message)).or_default();
    if of_call.events.len() < EVENTS_MAX {
        of_call.events.push(kind);
    }
}

/// Answers a `tool-calls` message as the contract wants it: one result for each call, by its id.
async fn answer_tools(State(shared): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    let message = &body["message"];
    let at = Instant::now();
    sleep(TOOL_TIME).await;
    let calls = message["toolCallList"].as_array().cloned().unwrap_or_default();
    let results: Vec<Value> = calls
        .iter()
        .map(|call| {
            let text = tool_call(call);
            let result = book(call);
            let line = format!("           webhook    {text} -> {result}");
            shared.console.line(shared.console.paint(Style::Aside, &line));
            let mut seen = lock(&shared.seen);
            let tools = &mut seen.entry(call_of(message)).or_default().tools;
            if tools.len() < EVENTS_MAX {
                tools.push(ToolUse { at, text });
            }
            json!({"toolCallId": call["id"], "result": result.to_string()})
        })
        .collect();
    Json(json!({"results": results}))
}

/// The appointment that is made.
fn book(call: &Value) -> Value {
    let argument = |name: &str| {
        let given =
            call["arguments"][name].as_str().or(call["function"]["arguments"][name].as_str());
        capitalised(given.unwrap_or("an unknown day"))
    };
    json!({"day": argument("day"), "time": argument("time").to_lowercase(), "doctor": "Doctor Miller"})
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn call_of(message: &Value) -> String {
    message["call"]["id"].as_str().unwrap_or_default().to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::local_http;

    #[tokio::test]
    async fn a_tool_call_gets_a_result_and_events_are_kept_by_call() {
        let webhook = Webhook::start(Console::plain()).await.unwrap();
        let http = local_http(Duration::from_secs(10)).unwrap();
        let arguments = json!({"day": "thursday", "time": "ten"});
        let body = json!({"message": {"type": "tool-calls", "call": {"id": "c"}, "toolCallList": [
            {"id": "t", "name": "bookAppointment", "arguments": arguments},
        ]}});
        let answer = http.post(webhook.tools_url()).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["results"][0]["toolCallId"], "t");
        let result: Value =
            serde_json::from_str(answer["results"][0]["result"].as_str().unwrap()).unwrap();
        assert_eq!(result, json!({"day": "Thursday", "time": "ten", "doctor": "Doctor Miller"}));

        let body = json!({"message": {"type": "hang", "call": {"id": "c"}}});
        http.post(webhook.events_url()).json(&body).send().await.unwrap();
        webhook.wait_for("c", "hang", Duration::from_secs(5)).await;
        let seen = webhook.seen("c");
        assert_eq!(seen.events, ["hang"]);
        assert_eq!(seen.tools[0].text, "bookAppointment(day: thursday, time: ten)");
        assert!(webhook.seen("other").events.is_empty());
    }
}
