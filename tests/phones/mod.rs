//! A server, the carriers that it takes calls from, and the people on the phone.

#![allow(dead_code, reason = "each test file uses its part of these helpers")]

pub mod scenes;

use std::{net::TcpListener, time::Duration};

use offhook_chaos::fakes::{Fakes, FakesOptions};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Options, Receiver, Server, eventually, within};

/// A number of ours at each carrier, and people's.
pub const OURS: &str = "+14155550100";
pub const OUR_OTHER: &str = "+14155550101";
pub const CUSTOMER: &str = "+14155550123";
pub const OPERATOR: &str = "+14155550199";

pub const ACCOUNT: &str = "ACfa4efa4efa4efa4efa4efa4efa4efa4e";
pub const AUTH_TOKEN: &str = "token-of-the-fake-twilio";
pub const TELNYX_KEY: &str = "key-of-the-fake-telnyx";
pub const SIGNATURE_SECRET: &str = "signature-secret-of-the-fake-vonage";
/// Of nothing but tests.
const PRIVATE_KEY: &str = include_str!("../../chaos/tests/carriers/application-key.pem");

/// Longest conversation of a test.
const CALL_LIMIT: Duration = Duration::from_secs(30);

pub struct Phones {
    pub server: Server,
    pub fakes: Fakes,
    pub receiver: Receiver,
    /// The carrier's name, and the documents of our numbers there.
    pub carrier: &'static str,
    pub number: Value,
}

impl Phones {
    /// A number whose calls are answered by an assistant with these fields.
    pub async fn answered_by(carrier: &'static str, fields: Value) -> Self {
        let mut phones = Self::start(carrier, Options::default()).await;
        let assistant = phones.assistant(fields);
        let assistant = phones.server.client.create("/assistant", &assistant).await;
        phones.number = phones.buy(OURS, json!({"assistantId": assistant["id"]})).await;
        phones
    }

    /// A server without a number; `number` is null.
    pub async fn start(carrier: &'static str, options: Options) -> Self {
        Self::start_at_rate(carrier, options, 1_000).await
    }

    /// The same with carriers that take so many calls a second.
    pub async fn start_at_rate(carrier: &'static str, options: Options, rate: u32) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        // What a proxy in front of a server that is started anew does.
        let mut fakes = FakesOptions::default();
        fakes.carriers.webhook_patience_ms = 10_000;
        let fakes = Fakes::start(listen, fakes).await.unwrap();
        let receiver = Receiver::start().await;
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let options = options
            .set(format!("server.listen={free}"))
            .set(format!("server.public_url=http://{free}"))
            .set(format!("carriers.twilio.base_url={}", fakes.base_url("twilio")))
            .set_by_default("carriers.twilio.calls_per_second", rate)
            .set_by_default("carriers.telnyx.calls_per_second", rate)
            .set_by_default("carriers.vonage.calls_per_second", rate)
            .set(format!("carriers.telnyx.base_url={}", fakes.base_url("telnyx")))
            .set(format!("carriers.vonage.base_url={}", fakes.base_url("vonage")))
            .set(format!("carriers.vonage.rest_base_url={}", fakes.base_url("vonage")));
        let options = [("deepgram", "deepgram"), ("openai", "openai"), ("11labs", "elevenlabs")]
            .iter()
            .fold(options, |options, (name, fake)| {
                options
                    .set(format!("providers.{name}.api_key=no-secret"))
                    .set(format!("providers.{name}.base_url={}", fakes.base_url(fake)))
            });
        let server = Server::with(options).await;
        let phones = Self { server, fakes, receiver, carrier, number: Value::Null };
        for number in [OURS, OUR_OTHER] {
            let body = json!({"carrier": carrier, "number": number});
            assert_eq!(phones.control("/numbers", body).await.status, 204);
        }
        phones
    }

    pub fn client(&self) -> &Client {
        &self.server.client
    }

    /// An assistant that greets with `7`, and answers the caller's numbers by counting on.
    pub fn assistant(&self, fields: Value) -> Value {
        let assistant = json!({
            "transcriber": {"provider": "deepgram", "model": "nova-3", "language": "en"},
            "model": {"provider": "openai", "model": "gpt-4.1-mini"},
            "voice": {"provider": "11labs", "voiceId": "v1", "model": "eleven_flash_v2_5",
                "chunkPlan": {"formatPlan": {"enabled": false}}},
            "firstMessage": "7",
            "startSpeakingPlan": {"waitSeconds": 0, "transcriptionEndpointingPlan": {
                "onPunctuationSeconds": 0, "onNoPunctuationSeconds": 0, "onNumberSeconds": 0}},
            "server": {"url": self.receiver.url()},
        });
        merged(assistant, fields)
    }

    /// A number of ours; its carrier is told where calls go.
    pub async fn buy(&self, number: &str, fields: Value) -> Value {
        let body = match self.carrier {
            "twilio" => json!({"provider": "twilio", "number": number,
                "twilioAccountSid": ACCOUNT, "twilioAuthToken": AUTH_TOKEN}),
            "telnyx" => {
                let key = format!("http://{}/carriers/telnyx-key", self.fakes.address());
                let public_key = self.client().get(&key).await.text;
                let credential = json!({"provider": "telnyx", "apiKey": TELNYX_KEY,
                    "publicKey": public_key});
                let credential = self.client().create("/credential", &credential).await;
                json!({"provider": "telnyx", "number": number, "credentialId": credential["id"]})
            }
            _ => {
                let credential = json!({"provider": "vonage", "apiKey": "fa4e1234",
                    "apiSecret": "secret-of-the-fake-vonage",
                    "vonageApplicationId": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab",
                    "vonageApplicationPrivateKey": PRIVATE_KEY,
                    "signatureSecret": SIGNATURE_SECRET});
                let credential = self.client().create("/credential", &credential).await;
                json!({"provider": "vonage", "number": number, "credentialId": credential["id"]})
            }
        };
        let number = self.client().create("/phone-number", &merged(body, fields)).await;
        assert_eq!(number["status"], "active", "{number}");
        number
    }

    pub async fn control(&self, path: &str, body: Value) -> Answer {
        let url = format!("http://{}/carriers{path}", self.fakes.address());
        self.client().post(&url, &body).await
    }

    /// Somebody calls our number; the carrier's id of the call.
    pub async fn rings(&self, persona: Value) -> String {
        let body =
            json!({"carrier": self.carrier, "from": CUSTOMER, "to": OURS, "persona": persona});
        let answer = self.control("/calls", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Somebody on the phone does something.
    pub async fn act(&self, id: &str, what: Value) {
        let answer = self.control(&format!("/calls/{id}/act"), what).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }

    /// What somebody does who is called.
    pub async fn introduce(&self, number: &str, persona: Value) {
        let body = merged(json!({"number": number}), persona);
        assert_eq!(self.control("/people", body).await.status, 204);
    }

    /// A call to the customer, from our number.
    pub async fn calls(&self, fields: Value) -> Value {
        let assistant = self.assistant(json!({}));
        let body = json!({"assistant": assistant, "phoneNumberId": self.number["id"],
            "customer": {"number": CUSTOMER}});
        self.client().create("/call", &merged(body, fields)).await
    }

    /// What a carrier knows of a call.
    pub async fn at_carrier(&self, id: &str) -> Value {
        let url = format!("http://{}/carriers/calls/{id}", self.fakes.address());
        self.client().get(&url).await.body
    }

    /// All that a carrier knows, newest first.
    pub async fn all_at_carrier(&self) -> Vec<Value> {
        let url = format!("http://{}/carriers/calls", self.fakes.address());
        self.client().get(&url).await.body.as_array().unwrap().clone()
    }

    /// Waits until the carrier's call is over.
    pub async fn hung_up(&self, id: &str) -> Value {
        self.until_at_carrier(id, "end of the carrier's call", |call| call["is_over"] == true).await
    }

    /// Waits until something is true of a carrier's call.
    pub async fn until_at_carrier(
        &self,
        id: &str,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Value {
        let wait = async {
            loop {
                let call = self.at_carrier(id).await;
                if is_it(&call) {
                    return call;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(CALL_LIMIT, wait).await {
            Ok(call) => call,
            Err(_) => panic!("no {what}: {:#}", self.at_carrier(id).await),
        }
    }

    /// Waits until a person has heard these words.
    pub async fn heard(&self, id: &str, words: &str) -> Value {
        let is_it = |call: &Value| heard(call).contains(words);
        self.until_at_carrier(id, &format!("`{words}`"), is_it).await
    }

    /// The newest call of ours.
    pub async fn newest(&self) -> Value {
        eventually("a call", async || {
            let calls = self.client().get("/call?limit=1").await.body;
            calls.get(0).cloned()
        })
        .await
    }

    /// Our call once it is over.
    pub async fn ended(&self, call: &Value) -> Value {
        self.ended_within(call, CALL_LIMIT).await
    }

    /// The same for calls that have something to wait for.
    pub async fn ended_within(&self, call: &Value, limit: Duration) -> Value {
        let path = format!("/call/{}", call["id"].as_str().unwrap());
        let ended = async {
            loop {
                let answer = self.client().get(&path).await;
                if answer.body["status"] == "ended" {
                    return answer.body;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(limit, ended).await {
            Ok(call) => call,
            Err(_) => panic!("the call does not end: {}", self.client().get(&path).await.text),
        }
    }

    /// Breaks something.
    pub async fn fault(&self, fault: Value) {
        let answer = self.control("/fault", fault).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }

    /// Waits until the end-of-call report is delivered, and that there is one.
    pub async fn reported(&self, call: &Value) -> Value {
        let id = call["id"].as_str().unwrap();
        within("report", self.receiver.report(id)).await
    }

    /// A server that was killed, and the next one.
    pub async fn kill_and_restart(mut self) -> Self {
        self.server = self.server.kill_and_restart().await;
        self
    }
}

/// The words that a person heard.
pub fn heard(call: &Value) -> String {
    call["heard"]["text"].as_str().unwrap_or_default().to_owned()
}

pub fn merged(mut document: Value, more: Value) -> Value {
    let fields = more.as_object().unwrap().clone();
    document.as_object_mut().unwrap().extend(fields);
    document
}
