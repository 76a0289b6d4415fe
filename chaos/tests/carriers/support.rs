use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{
        Path, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use futures_util::SinkExt;
use offhook_chaos::fakes::{Fakes, FakesOptions};
use offhook_testkit::tones::{WireEar, spoken, text_of};
use offhook_transports::{self as transports, LegEvent, Wire};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// What a customer's server answers to a webhook: instructions, or a status.
#[derive(Clone)]
pub enum Said {
    Body(String),
    Status(u16),
}

/// A webhook that came.
#[derive(Clone, Debug)]
pub struct Hook {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Hook {
    pub fn form(&self) -> Vec<(String, String)> {
        transports::signature::twilio::parse_form(&self.body).unwrap()
    }

    pub fn get(&self, name: &str) -> String {
        let form = self.form();
        form.iter().find(|(known, _)| known == name).map(|(_, v)| v.clone()).unwrap_or_default()
    }
}

/// What the customer's agent does on a media socket.
#[derive(Clone, Default)]
pub struct Agent {
    /// Words that are said at once.
    pub greeting: String,
    /// What is said when the person has spoken.
    pub reply: String,
    /// Takes back what is not played yet when the person begins to speak.
    pub is_interrupted: bool,
    /// Closes the socket after the reply.
    pub closes: bool,
}

/// What happened on the customer's media sockets.
#[derive(Clone, Debug, Default)]
pub struct Media {
    pub sockets: u32,
    pub parameters: Vec<Value>,
    pub heard: String,
    pub keys: String,
    pub marks: Vec<String>,
    pub stops: u32,
    pub refused: Vec<String>,
}

/// A customer of the carriers, and the carriers.
pub struct Customer {
    pub fakes: Fakes,
    pub url: String,
    pub http: reqwest::Client,
    inner: Arc<Inner>,
}

struct Inner {
    answers: Mutex<HashMap<String, Vec<Said>>>,
    hooks: Mutex<Vec<Hook>>,
    agent: Mutex<Agent>,
    transport: Value,
    media: Mutex<Media>,
}

impl Customer {
    pub async fn start(transport: Value, options: Value) -> Self {
        let options: FakesOptions = serde_json::from_value(json!({"carriers": options})).unwrap();
        let fakes = Fakes::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        let inner = Arc::new(Inner {
            answers: Mutex::default(),
            hooks: Mutex::default(),
            agent: Mutex::default(),
            transport,
            media: Mutex::default(),
        });
        let router = Router::new()
            .route("/media", get(media))
            .route("/hook/{name}", any(hook))
            .with_state(inner.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        // It asks nobody but the fakes.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().build().unwrap();
        Self { fakes, url, http, inner }
    }

    /// What the next webhooks of this name are answered; the last answer stays.
    pub fn answer(&self, name: &str, answers: impl IntoIterator<Item = Said>) {
        let mut answers: Vec<Said> = answers.into_iter().collect();
        answers.reverse();
        self.inner.answers.lock().unwrap().insert(name.into(), answers);
    }

    pub fn agent(&self, agent: Agent) {
        *self.inner.agent.lock().unwrap() = agent;
    }

    pub fn hook(&self, name: &str) -> String {
        format!("{}/hook/{name}", self.url)
    }

    pub fn media_url(&self) -> String {
        format!("{}/media", self.url.replace("http", "ws"))
    }

    pub fn hooks(&self, name: &str) -> Vec<Hook> {
        let hooks = self.inner.hooks.lock().unwrap();
        hooks.iter().filter(|hook| hook.path == format!("/hook/{name}")).cloned().collect()
    }

    pub fn media(&self) -> Media {
        self.inner.media.lock().unwrap().clone()
    }

    /// Asks the carriers' own routes.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let url = format!("http://{}/carriers{path}", self.fakes.address());
        let request = match body.is_null() {
            true => self.http.get(url),
            false => self.http.post(url).json(&body),
        };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub async fn call(&self, id: &str) -> Value {
        self.control(&format!("/calls/{id}"), Value::Null).await
    }

    /// The call once it is over.
    pub async fn over(&self, id: &str) -> Value {
        until("the call is over", async || {
            let call = self.call(id).await;
            (call["is_over"] == true).then_some(call)
        })
        .await
    }

    /// The call once the person heard this.
    pub async fn heard(&self, id: &str, text: &str) -> Value {
        until(text, async || {
            let call = self.call(id).await;
            call["heard"]["text"].as_str().unwrap().contains(text).then_some(call)
        })
        .await
    }
}

/// Asks until there is an answer.
pub async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} for: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn hook(
    State(inner): State<Arc<Inner>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    inner.hooks.lock().unwrap().push(Hook { path: uri.path().into(), headers, body });
    let mut answers = inner.answers.lock().unwrap();
    let said = answers.get_mut(&name).and_then(|answers| {
        if answers.len() > 1 { answers.pop() } else { answers.last().cloned() }
    });
    match said {
        Some(Said::Body(body)) => body.into_response(),
        Some(Said::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        None => StatusCode::OK.into_response(),
    }
}

async fn media(State(inner): State<Arc<Inner>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| talk(inner, socket).await)
}

/// Holds a conversation through our own codec.
async fn talk(inner: Arc<Inner>, mut socket: WebSocket) {
    let mut codec = transports::build(&inner.transport).unwrap();
    let agent = inner.agent.lock().unwrap().clone();
    let format = codec.format();
    let mut ear = WireEar::new(format);
    let note = |change: &dyn Fn(&mut Media)| change(&mut inner.media.lock().unwrap());
    note(&|media| media.sockets += 1);
    let (mut has_words, mut has_cleared, mut marks) = (false, false, 0);
    while let Some(Ok(message)) = socket.recv().await {
        let wire = match message {
            Message::Text(text) => Wire::Text(text.to_string()),
            Message::Binary(bytes) => Wire::Binary(bytes),
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return,
        };
        let mut speech = None;
        for event in codec.decode(wire).unwrap() {
            match event {
                LegEvent::Started(start) => {
                    let call = json!(start.carrier_call_id);
                    note(&|media| media.parameters.push(json!([call, start.parameters])));
                    speech = Some(agent.greeting.clone());
                }
                LegEvent::Audio(audio) => {
                    let words = ear.hear(&audio);
                    has_words |= !words.is_empty();
                    note(&|media| media.heard = format!("{} {}", media.heard, text_of(&words)));
                    if ear.is_voiced() && agent.is_interrupted && !has_cleared {
                        has_cleared = true;
                        send(&mut socket, codec.clear()).await;
                    }
                }
                LegEvent::MarkPlayed(name) => note(&|media| media.marks.push(name.clone())),
                LegEvent::Dtmf(key) => note(&|media| media.keys.push(key)),
                LegEvent::Stopped => note(&|media| media.stops += 1),
                LegEvent::Refused(reason) | LegEvent::Complained(reason) => {
                    note(&|media| media.refused.push(reason.clone()));
                }
                LegEvent::Client(_) | LegEvent::HungUp => unreachable!("carriers send none"),
            }
        }
        let mut closes = false;
        if has_words && ear.silence() > Duration::from_millis(300) {
            has_words = false;
            speech = Some(agent.reply.clone());
            closes = agent.closes;
        }
        if let Some(speech) = speech.filter(|speech| !speech.is_empty()) {
            for word in speech.split(' ') {
                // 20 ms each, as Vonage wants them.
                let word = spoken(word, format);
                for frame in word.chunks(format.bytes_in(Duration::from_millis(20))) {
                    // All of it at once: the carrier has it before it plays the first.
                    let frame = codec.audio(Bytes::copy_from_slice(frame));
                    let _ = socket.feed(message_of(frame)).await;
                }
            }
            marks += 1;
            send(&mut socket, codec.mark(&format!("m{marks}"))).await;
        }
        if closes {
            sleep(Duration::from_millis(600)).await;
            // Whether the carrier is still there does not matter.
            let _ = socket.send(Message::Close(None)).await;
        }
    }
}

async fn send(socket: &mut WebSocket, wire: Option<Wire>) {
    let Some(wire) = wire else { return };
    // A carrier that is gone is seen by whoever reads.
    let _ = socket.send(message_of(wire)).await;
}

fn message_of(wire: Wire) -> Message {
    match wire {
        Wire::Text(text) => Message::Text(text.into()),
        Wire::Binary(bytes) => Message::Binary(bytes),
    }
}
