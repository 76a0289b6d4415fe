//! A receiver of webhooks and tool calls.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use super::within;

/// One request that came in.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub headers: HeaderMap,
    pub bytes: Bytes,
    /// `message` of the body.
    pub message: Value,
    /// The status it was answered with.
    pub status: u16,
}

impl Delivery {
    /// `type` of the message.
    pub fn kind(&self) -> &str {
        self.message["type"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Keeps everything that comes in; answers as the test says.
pub struct Receiver {
    url: String,
    shared: Arc<Shared>,
    changed: watch::Receiver<()>,
}

type Reply = Box<dyn FnMut(&Value) -> (u16, Value) + Send>;

struct Shared {
    deliveries: Mutex<Vec<Delivery>>,
    reply: Mutex<Reply>,
    changed: watch::Sender<()>,
}

impl Receiver {
    /// A receiver that takes everything.
    pub async fn start() -> Self {
        Self::answering(|_| (200, json!({}))).await
    }

    /// A receiver that gives each message a status and an answer.
    pub async fn answering(reply: impl FnMut(&Value) -> (u16, Value) + Send + 'static) -> Self {
        let (sender, changed) = watch::channel(());
        let shared = Arc::new(Shared {
            deliveries: Mutex::default(),
            reply: Mutex::new(Box::new(reply)),
            changed: sender,
        });
        let router = Router::new().route("/events", post(take)).with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, changed }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers otherwise from here on.
    pub fn answer(&self, reply: impl FnMut(&Value) -> (u16, Value) + Send + 'static) {
        *self.shared.reply.lock().unwrap() = Box::new(reply);
    }

    /// Everything so far, in the order it came.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.deliveries.lock().unwrap().clone()
    }

    /// The kinds of the events that were taken, in the order they came.
    pub fn taken(&self) -> Vec<String> {
        let taken = self.deliveries().into_iter().filter(|one| one.status == 200);
        taken.map(|one| one.kind().to_owned()).collect()
    }

    /// The first delivery that was taken with a message of this kind, waited for.
    pub async fn event(&self, kind: &str) -> Delivery {
        let is_it = |one: &Delivery| one.kind() == kind && one.status == 200;
        self.delivery(&format!("event `{kind}`"), is_it).await
    }

    /// The report on the end of this call, waited for.
    pub async fn report(&self, call: &str) -> Value {
        let is_it = |one: &Delivery| {
            one.kind() == "end-of-call-report"
                && one.message["call"]["id"] == call
                && one.status == 200
        };
        self.delivery("end-of-call-report", is_it).await.message
    }

    /// The first delivery of which this is true, waited for.
    pub async fn delivery(&self, what: &str, is_it: impl Fn(&Delivery) -> bool) -> Delivery {
        let mut changed = self.changed.clone();
        within(what, async {
            loop {
                if let Some(found) = self.deliveries().into_iter().find(&is_it) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        })
        .await
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> (StatusCode, axum::Json<Value>) {
    let mut body: Value = serde_json::from_slice(&bytes).unwrap();
    let message = body["message"].take();
    let (status, answer) = (*shared.reply.lock().unwrap())(&message);
    shared.deliveries.lock().unwrap().push(Delivery { headers, bytes, message, status });
    shared.changed.send_replace(());
    (StatusCode::from_u16(status).unwrap(), axum::Json(answer))
}
