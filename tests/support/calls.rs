//! Calls through a server whose providers are fakes.

use serde_json::{Value, json};

use super::{Answer, Leg, Options, Providers, Receiver, Server, eventually};

/// A server, the providers it reaches, and the receiver of its events.
pub struct Calls {
    pub server: Server,
    pub providers: Providers,
    pub receiver: Receiver,
}

/// An assistant on the fake providers. It greets with `Hello.`.
pub fn assistant() -> Value {
    json!({
        "transcriber": {"provider": "deepgram"},
        "model": {"provider": "openai", "model": "gpt-4.1-mini"},
        "voice": {"provider": "11labs", "voiceId": "v1", "model": "eleven_turbo_v2_5"},
        "firstMessage": "Hello.",
    })
}

impl Calls {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let (providers, receiver) = (Providers::start().await, Receiver::start().await);
        let server = Server::with(options.providers(&providers)).await;
        Self { server, providers, receiver }
    }

    /// The fakes' assistant with fields of the test's own, and the receiver as its server.
    pub fn assistant(&self, fields: Value) -> Value {
        let mut assistant = assistant();
        assistant["server"] = json!({"url": self.receiver.url()});
        for (name, value) in fields.as_object().unwrap() {
            assistant[name] = value.clone();
        }
        assistant
    }

    /// Asks for a websocket call.
    pub async fn post(&self, assistant: &Value) -> Answer {
        let transport = json!({"provider": "vapi.websocket"});
        let body = json!({"assistant": assistant, "transport": transport});
        self.server.client.post("/call", &body).await
    }

    /// A new websocket call of an assistant.
    pub async fn create(&self, fields: Value) -> Value {
        let answer = self.post(&self.assistant(fields)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body
    }

    /// A call whose leg is connected and whose assistant has begun to greet.
    pub async fn connect(&self, fields: Value) -> (Value, Leg) {
        let call = self.create(fields).await;
        let mut leg = Leg::open(call["transport"]["websocketCallUrl"].as_str().unwrap()).await;
        leg.sound().await;
        (call, leg)
    }

    /// The call's document once it is over.
    pub async fn ended(&self, call: &Value) -> Value {
        let path = format!("/call/{}", call["id"].as_str().unwrap());
        eventually("end of the call", async || {
            let answer = self.server.client.get(&path).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            (answer.body["status"] == "ended").then_some(answer.body)
        })
        .await
    }
}
