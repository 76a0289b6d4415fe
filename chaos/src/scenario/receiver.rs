//! The receiver of webhooks and tool calls, without a network.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use offhook_actors::egress::{Answer, Receiver};
use serde_json::{Value, json};

use super::{fault::ReceiverTrouble, trace::Trace};

/// Where the assistant of a run has its events sent.
pub const URL: &str = "http://receiver.test/events";

/// Keeps what comes in.
#[derive(Clone)]
pub struct Postbox {
    trace: Trace,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    trouble: Option<ReceiverTrouble>,
    /// What is wrong with the tool's server, which is another one.
    tool_trouble: Option<ReceiverTrouble>,
    deliveries: Vec<Delivery>,
    tool_runs: HashMap<String, usize>,
}

/// One event that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub at: Duration,
    /// The id that makes a repeat recognisable.
    pub id: String,
    pub call: String,
    pub kind: String,
    /// Wall time of the event as it was published, in milliseconds.
    pub published_ms: i64,
    pub ended_reason: Option<String>,
}

impl Postbox {
    pub fn new(trace: Trace) -> Self {
        Self { trace, state: Arc::default() }
    }

    pub fn set(&self, trouble: Option<ReceiverTrouble>) {
        self.state().trouble = trouble;
    }

    pub fn set_tool(&self, trouble: Option<ReceiverTrouble>) {
        self.state().tool_trouble = trouble;
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.clone()
    }

    /// How often each run of a tool was asked for, by its idempotency id.
    pub fn tool_runs(&self) -> HashMap<String, usize> {
        self.state().tool_runs.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, id: String, message: &Value) -> Value {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let call = text(&message["call"]["id"]);
        let kind = text(&message["type"]);
        let mut state = self.state();
        if kind == "tool-calls" {
            let calls = message["toolCallList"].as_array().cloned().unwrap_or_default();
            let results: Vec<_> = calls
                .iter()
                .map(|call| json!({"toolCallId": call["id"], "result": "there is a vacancy"}))
                .collect();
            *state.tool_runs.entry(id).or_default() += 1;
            return json!({ "results": results });
        }
        state.deliveries.push(Delivery {
            at: self.trace.now(),
            id,
            call,
            kind,
            published_ms: message["timestamp"].as_i64().unwrap_or_default(),
            ended_reason: message["endedReason"].as_str().map(str::to_owned),
        });
        json!({})
    }
}

impl Receiver for Postbox {
    fn receive(
        &self,
        request: offhook_actors::egress::Request,
    ) -> BoxFuture<'static, Result<Answer, String>> {
        let id = request.headers().get("idempotency-key").and_then(|id| id.to_str().ok());
        let id = id.unwrap_or_default().to_owned();
        let bytes = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let this = self.clone();
        Box::pin(async move {
            let message = &body["message"];
            let trouble = match message["type"] == "tool-calls" {
                true => this.state().tool_trouble,
                false => this.state().trouble,
            };
            match trouble {
                Some(ReceiverTrouble::Down) => Err("connection refused on purpose".into()),
                Some(ReceiverTrouble::Answers(status)) => Ok(Answer { status, body: Vec::new() }),
                Some(ReceiverTrouble::Hangs) => pending().await,
                None => {
                    let answer = this.take(id, message);
                    Ok(Answer { status: 200, body: answer.to_string().into_bytes() })
                }
            }
        })
    }
}
