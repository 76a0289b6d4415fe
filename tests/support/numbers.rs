//! A server and the fake carriers that it reaches, for tests of phone numbers.

use offhook_chaos::fakes::{Fakes, FakesOptions};
use offhook_transports::carrier::{
    telnyx::Telnyx,
    twilio::{Twilio, TwilioNumber},
    vonage::{ApplicationKey, Vonage},
};
use serde_json::{Value, json};

use super::{Client, Options, Server};

pub const NUMBER: &str = "+14155550100";
pub const OTHER_NUMBER: &str = "+14155550101";
pub const PUBLIC_URL: &str = "https://voice.example.org";
pub const MISSING: &str = "00000000-0000-4000-8000-000000000000";

pub const ACCOUNT: &str = "ACfa4efa4efa4efa4efa4efa4efa4efa4e";
pub const AUTH_TOKEN: &str = "token-of-the-fake-twilio";
pub const TELNYX_KEY: &str = "key-of-the-fake-telnyx";
pub const VONAGE_APPLICATION: &str = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab";
pub const VONAGE_KEY: &str = "fa4e1234";
pub const VONAGE_SECRET: &str = "secret-of-the-fake-vonage";
/// Of nothing but tests.
pub const PRIVATE_KEY: &str = include_str!("../../chaos/tests/carriers/application-key.pem");

/// A server and the carriers that it reaches.
pub struct World {
    pub server: Server,
    pub fakes: Fakes,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Options::default().set(format!("server.public_url={PUBLIC_URL}"))).await
    }

    pub async fn with(options: Options) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let fakes = Fakes::start(listen, FakesOptions::default()).await.unwrap();
        let server = Server::with(reaching(&fakes, options)).await;
        let world = Self { server, fakes };
        for carrier in ["twilio", "telnyx", "vonage"] {
            for number in [NUMBER, OTHER_NUMBER] {
                world.control("/numbers", json!({"carrier": carrier, "number": number})).await;
            }
        }
        world
    }

    pub fn client(&self) -> &Client {
        &self.server.client
    }

    pub async fn control(&self, path: &str, body: Value) {
        let url = format!("http://{}/carriers{path}", self.fakes.address());
        let answer = self.client().post(&url, &body).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }

    /// The next requests to a carrier are refused.
    pub async fn break_carrier(&self, carrier: &str, status: u16, requests: u32) {
        let fault =
            json!({"fault": "error", "carrier": carrier, "status": status, "requests": requests});
        self.control("/fault", fault).await;
    }

    pub async fn at_twilio(&self, number: &str) -> TwilioNumber {
        let url = self.fakes.base_url("twilio");
        let client = Twilio::new(&url, ACCOUNT, ACCOUNT, AUTH_TOKEN.into()).unwrap();
        client.number(number).await.unwrap().unwrap()
    }

    pub fn telnyx(&self) -> Telnyx {
        Telnyx::new(&self.fakes.base_url("telnyx"), TELNYX_KEY.into()).unwrap()
    }

    /// The application of a number at Telnyx, and where its webhooks go.
    pub async fn at_telnyx(&self, number: &str) -> Option<(String, String)> {
        let number = self.telnyx().number(number).await.unwrap().unwrap();
        let application = self.telnyx().application(&number.connection_id?).await.unwrap()?;
        Some((application.id, application.webhook_url.unwrap()))
    }

    pub fn vonage(&self) -> Vonage {
        let account = Some((VONAGE_KEY.to_owned(), VONAGE_SECRET.into()));
        let key = ApplicationKey::new(VONAGE_APPLICATION, &PRIVATE_KEY.into(), account).unwrap();
        let url = self.fakes.base_url("vonage");
        Vonage::new(&url, &url, key).unwrap()
    }

    pub async fn telnyx_credential(&self, more: Value) -> String {
        let key = format!("http://{}/carriers/telnyx-key", self.fakes.address());
        let public_key = self.client().get(&key).await.text;
        let sent = json!({"provider": "telnyx", "apiKey": TELNYX_KEY, "publicKey": public_key});
        id(&self.client().create("/credential", &merged(sent, more)).await).to_owned()
    }

    pub async fn vonage_credential(&self) -> String {
        let sent = json!({"provider": "vonage", "apiKey": VONAGE_KEY, "apiSecret": VONAGE_SECRET,
            "vonageApplicationId": VONAGE_APPLICATION, "vonageApplicationPrivateKey": PRIVATE_KEY,
            "signatureSecret": "signature-secret-of-the-fake-vonage"});
        id(&self.client().create("/credential", &sent).await).to_owned()
    }

    pub async fn create(&self, number: &Value) -> Value {
        self.client().create("/phone-number", number).await
    }
}

/// A server that reaches its carriers at the fakes.
pub fn reaching(fakes: &Fakes, options: Options) -> Options {
    options
        .set(format!("carriers.twilio.base_url={}", fakes.base_url("twilio")))
        .set(format!("carriers.telnyx.base_url={}", fakes.base_url("telnyx")))
        .set(format!("carriers.vonage.base_url={}", fakes.base_url("vonage")))
        .set(format!("carriers.vonage.rest_base_url={}", fakes.base_url("vonage")))
}

pub fn merged(mut document: Value, more: Value) -> Value {
    let fields = more.as_object().unwrap().clone();
    document.as_object_mut().unwrap().extend(fields);
    document
}

pub fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

pub fn path(number: &Value) -> String {
    format!("/phone-number/{}", id(number))
}

pub fn url(path: &str, number: &Value) -> String {
    format!("{PUBLIC_URL}/{path}/{}", id(number))
}

pub fn on_twilio(more: Value) -> Value {
    let number = json!({"provider": "twilio", "number": NUMBER, "twilioAccountSid": ACCOUNT,
        "twilioAuthToken": AUTH_TOKEN});
    merged(number, more)
}

pub fn instructions(number: &Value) -> String {
    let steps = number["carrierSetup"]["instructions"].as_array().unwrap();
    steps.iter().map(|step| step.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

pub fn assert_done(number: &Value) {
    assert_eq!(number["status"], "active", "{number}");
    assert_eq!(number["carrierSetup"]["status"], "done", "{number}");
}
