//! `/phone-number` as a client sees it, and what its carriers are told.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{path::Path, process::Stdio};

use offhook_chaos::fakes::{Fakes, FakesOptions};
use offhook_transports::carrier::{
    telnyx::Telnyx,
    twilio::{Twilio, TwilioNumber},
    vonage::{ApplicationKey, Vonage},
};
use serde_json::{Value, json};
use support::{Answer, Client, KEY, Options, Server, within};
use tokio::process::Command;

const NUMBER: &str = "+14155550100";
const OTHER_NUMBER: &str = "+14155550101";
const PUBLIC_URL: &str = "https://voice.example.org";
const MISSING: &str = "00000000-0000-4000-8000-000000000000";

const ACCOUNT: &str = "ACfa4efa4efa4efa4efa4efa4efa4efa4e";
const AUTH_TOKEN: &str = "token-of-the-fake-twilio";
const TELNYX_KEY: &str = "key-of-the-fake-telnyx";
const VONAGE_APPLICATION: &str = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab";
const VONAGE_KEY: &str = "fa4e1234";
const VONAGE_SECRET: &str = "secret-of-the-fake-vonage";
/// Of nothing but tests.
const PRIVATE_KEY: &str = include_str!("../chaos/tests/carriers/application-key.pem");

/// A server and the carriers that it reaches.
struct World {
    server: Server,
    fakes: Fakes,
}

impl World {
    async fn start() -> Self {
        Self::with(Options::default().set(format!("server.public_url={PUBLIC_URL}"))).await
    }

    async fn with(options: Options) -> Self {
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

    fn client(&self) -> &Client {
        &self.server.client
    }

    async fn control(&self, path: &str, body: Value) {
        let url = format!("http://{}/carriers{path}", self.fakes.address());
        let answer = self.client().post(&url, &body).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }

    /// The next requests to a carrier are refused.
    async fn break_carrier(&self, carrier: &str, status: u16, requests: u32) {
        let fault =
            json!({"fault": "error", "carrier": carrier, "status": status, "requests": requests});
        self.control("/fault", fault).await;
    }

    async fn at_twilio(&self, number: &str) -> TwilioNumber {
        let url = self.fakes.base_url("twilio");
        let client = Twilio::new(&url, ACCOUNT, ACCOUNT, AUTH_TOKEN.into()).unwrap();
        client.number(number).await.unwrap().unwrap()
    }

    fn telnyx(&self) -> Telnyx {
        Telnyx::new(&self.fakes.base_url("telnyx"), TELNYX_KEY.into()).unwrap()
    }

    /// The application of a number at Telnyx, and where its webhooks go.
    async fn at_telnyx(&self, number: &str) -> Option<(String, String)> {
        let number = self.telnyx().number(number).await.unwrap().unwrap();
        let application = self.telnyx().application(&number.connection_id?).await.unwrap()?;
        Some((application.id, application.webhook_url.unwrap()))
    }

    fn vonage(&self) -> Vonage {
        let account = Some((VONAGE_KEY.to_owned(), VONAGE_SECRET.into()));
        let key = ApplicationKey::new(VONAGE_APPLICATION, &PRIVATE_KEY.into(), account).unwrap();
        let url = self.fakes.base_url("vonage");
        Vonage::new(&url, &url, key).unwrap()
    }

    async fn telnyx_credential(&self, more: Value) -> String {
        let key = format!("http://{}/carriers/telnyx-key", self.fakes.address());
        let public_key = self.client().get(&key).await.text;
        let sent = json!({"provider": "telnyx", "apiKey": TELNYX_KEY, "publicKey": public_key});
        id(&self.client().create("/credential", &merged(sent, more)).await).to_owned()
    }

    async fn vonage_credential(&self) -> String {
        let sent = json!({"provider": "vonage", "apiKey": VONAGE_KEY, "apiSecret": VONAGE_SECRET,
            "vonageApplicationId": VONAGE_APPLICATION, "vonageApplicationPrivateKey": PRIVATE_KEY,
            "signatureSecret": "signature-secret-of-the-fake-vonage"});
        id(&self.client().create("/credential", &sent).await).to_owned()
    }

    async fn create(&self, number: &Value) -> Value {
        self.client().create("/phone-number", number).await
    }
}

/// A server that reaches its carriers at the fakes.
fn reaching(fakes: &Fakes, options: Options) -> Options {
    options
        .set(format!("carriers.twilio.base_url={}", fakes.base_url("twilio")))
        .set(format!("carriers.telnyx.base_url={}", fakes.base_url("telnyx")))
        .set(format!("carriers.vonage.base_url={}", fakes.base_url("vonage")))
        .set(format!("carriers.vonage.rest_base_url={}", fakes.base_url("vonage")))
}

fn merged(mut document: Value, more: Value) -> Value {
    let fields = more.as_object().unwrap().clone();
    document.as_object_mut().unwrap().extend(fields);
    document
}

fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

fn path(number: &Value) -> String {
    format!("/phone-number/{}", id(number))
}

fn url(path: &str, number: &Value) -> String {
    format!("{PUBLIC_URL}/{path}/{}", id(number))
}

fn on_twilio(more: Value) -> Value {
    let number = json!({"provider": "twilio", "number": NUMBER, "twilioAccountSid": ACCOUNT,
        "twilioAuthToken": AUTH_TOKEN});
    merged(number, more)
}

fn instructions(number: &Value) -> String {
    let steps = number["carrierSetup"]["instructions"].as_array().unwrap();
    steps.iter().map(|step| step.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn assert_done(number: &Value) {
    assert_eq!(number["status"], "active", "{number}");
    assert_eq!(number["carrierSetup"]["status"], "done", "{number}");
}

#[tokio::test]
async fn a_number_at_twilio_sends_its_calls_here() {
    let world = World::start().await;
    let number = world.create(&on_twilio(json!({"name": "Front desk"}))).await;
    assert_done(&number);
    assert_eq!(number["carrierSetup"]["instructions"], json!([]));
    let found = world.at_twilio(NUMBER).await;
    assert_eq!(found.voice_url, Some(url("twilio/voice", &number)));
    assert_eq!(found.voice_fallback_url, Some(url("twilio/voice", &number)));
    assert_eq!(found.status_callback, Some(url("twilio/status", &number)));
    let read = world.client().get(&path(&number)).await;
    assert_eq!((read.status, &read.body), (200, &number));

    let gone = world.client().delete(&path(&number)).await;
    assert_eq!((gone.status, &gone.body["id"]), (200, &number["id"]));
    let found = world.at_twilio(NUMBER).await;
    assert_eq!((found.voice_url, found.status_callback), (None, None));
    assert_eq!(world.client().get(&path(&number)).await.status, 404);
    assert_eq!(world.client().delete(&path(&number)).await.status, 404);
}

#[tokio::test]
async fn a_number_at_telnyx_gets_an_application_of_its_own_which_goes_with_it() {
    let world = World::start().await;
    let credential = world.telnyx_credential(json!({})).await;
    let sent = json!({"provider": "telnyx", "number": NUMBER, "credentialId": credential});
    let number = world.create(&sent).await;
    assert_done(&number);
    assert!(instructions(&number).contains("Outbound Voice Profiles"), "{number}");
    let (application, webhook) = world.at_telnyx(NUMBER).await.unwrap();
    assert_eq!(number["carrierSetup"]["applicationId"], application);
    assert_eq!(webhook, url("telnyx/events", &number));

    // Nothing is made twice.
    let again = world.client().patch(&path(&number), &json!({"number": NUMBER})).await;
    assert_done(&again.body);
    assert_eq!(world.at_telnyx(NUMBER).await.unwrap().0, application);

    world.client().delete(&path(&number)).await;
    assert_eq!(world.at_telnyx(NUMBER).await, None);
    assert_eq!(world.telnyx().application(&application).await.unwrap(), None);
}

#[tokio::test]
async fn numbers_of_one_application_at_telnyx_share_its_address_and_hand_it_on() {
    let world = World::start().await;
    let made = world.telnyx().create_application("mine", "https://else.example", None).await;
    let application = made.unwrap().id;
    let credential = world.telnyx_credential(json!({"applicationId": application})).await;
    let on_telnyx =
        |number: &str| json!({"provider": "telnyx", "number": number, "credentialId": credential});
    let first = world.create(&on_telnyx(NUMBER)).await;
    let second = world.create(&on_telnyx(OTHER_NUMBER)).await;
    assert_done(&first);
    assert_done(&second);
    assert_eq!(first["carrierSetup"]["instructions"], json!([]));
    let at_first = Some((application.clone(), url("telnyx/events", &first)));
    assert_eq!(world.at_telnyx(NUMBER).await, at_first);
    assert_eq!(world.at_telnyx(OTHER_NUMBER).await, at_first);
    let kept = world.telnyx().application(&application).await.unwrap().unwrap();
    assert_eq!(kept.name, "mine", "it is somebody's");

    world.client().delete(&path(&first)).await;
    let at_second = Some((application, url("telnyx/events", &second)));
    assert_eq!(world.at_telnyx(OTHER_NUMBER).await, at_second);
    assert_eq!(world.at_telnyx(NUMBER).await, None);
}

#[tokio::test]
async fn numbers_at_vonage_are_linked_to_the_application_which_asks_here() {
    let world = World::start().await;
    let credential = world.vonage_credential().await;
    let on_vonage =
        |number: &str| json!({"provider": "vonage", "number": number, "credentialId": credential});
    let first = world.create(&on_vonage(NUMBER)).await;
    assert_done(&first);
    let linked = |number: Option<offhook_transports::carrier::vonage::VonageNumber>| {
        number.unwrap().application_id
    };
    let expected = Some(VONAGE_APPLICATION.to_owned());
    assert_eq!(linked(world.vonage().number(NUMBER).await.unwrap()), expected);
    let asked = async |number: &Value| {
        let expected = ["vonage/answer", "vonage/event"].map(|path| Some(url(path, number)));
        assert_eq!(world.vonage().application_urls().await.unwrap(), expected);
    };
    asked(&first).await;
    let second = world.create(&on_vonage(OTHER_NUMBER)).await;
    assert_done(&second);
    asked(&first).await;
    assert_eq!(linked(world.vonage().number(OTHER_NUMBER).await.unwrap()), expected);

    world.client().delete(&path(&first)).await;
    asked(&second).await;
    assert_eq!(linked(world.vonage().number(NUMBER).await.unwrap()), None);
}

#[tokio::test]
async fn without_a_public_address_the_answer_says_what_to_set_by_hand() {
    let world = World::with(Options::default()).await;
    let vonage = world.vonage_credential().await;
    let telnyx = world.telnyx_credential(json!({})).await;
    for (sent, named) in [
        (on_twilio(json!({})), ["A call comes in", "Call status changes", "twilio/voice"]),
        (
            json!({"provider": "telnyx", "number": NUMBER, "credentialId": telnyx}),
            ["Send a webhook to the URL", "Connection or App", "telnyx/events"],
        ),
        (
            json!({"provider": "vonage", "number": NUMBER, "credentialId": vonage}),
            ["Answer URL", "Link numbers", "vonage/answer"],
        ),
    ] {
        let number = world.create(&sent).await;
        assert_eq!(number["status"], "activating");
        let setup = &number["carrierSetup"];
        assert_eq!(setup["status"], "by-hand");
        assert!(setup["problem"].as_str().unwrap().contains("server.public_url"), "{setup}");
        let steps = instructions(&number);
        for name in named {
            assert!(steps.contains(name), "{name}: {steps}");
        }
        assert!(steps.contains(id(&number)), "{steps}");
        assert_eq!(world.client().get(&path(&number)).await.body, number);
    }
    assert_eq!(world.at_twilio(NUMBER).await.voice_url, None);
}

#[tokio::test]
async fn what_a_carrier_refuses_is_kept_with_its_reason_and_tried_again() {
    let world = World::start().await;
    let client = world.client();
    world.break_carrier("twilio", 503, 1).await;
    let number = world.create(&on_twilio(json!({}))).await;
    assert_eq!(number["status"], "activating");
    let problem = number["carrierSetup"]["problem"].as_str().unwrap();
    assert!(problem.contains("at twilio") && problem.contains("503"), "{problem}");
    assert!(instructions(&number).contains(&url("twilio/voice", &number)));
    let again = client.patch(&path(&number), &json!({})).await;
    assert_done(&again.body);
    assert_eq!(again.body["carrierSetup"].get("problem"), None);
    assert_eq!(world.at_twilio(NUMBER).await.voice_url, Some(url("twilio/voice", &number)));

    let foreign = world.create(&on_twilio(json!({"number": "+14155550999"}))).await;
    assert_eq!(foreign["status"], "blocked");
    let problem = foreign["carrierSetup"]["problem"].as_str().unwrap();
    assert_eq!(problem, "this account of Twilio has no such number");
    let wrong_key = json!({"number": OTHER_NUMBER, "twilioAuthToken": "wrong"});
    let refused = world.create(&on_twilio(wrong_key)).await;
    assert_eq!(refused["status"], "blocked");
    let right = client.patch(&path(&refused), &json!({"twilioAuthToken": AUTH_TOKEN})).await;
    assert_done(&right.body);
}

#[tokio::test]
async fn a_change_moves_the_carrier_only_where_it_has_to() {
    let world = World::start().await;
    let client = world.client();
    let number = world.create(&on_twilio(json!({}))).await;
    // Whoever asked the carrier would be refused.
    world.break_carrier("twilio", 500, 1).await;
    let assistant = client.create("/assistant", &json!({"name": "Nora"})).await;
    let changes = json!({"name": "Night", "assistantId": assistant["id"], "squadId": "s-1",
        "server": {"url": "https://a.example"}, "smsEnabled": false});
    let changed = client.patch(&path(&number), &changes).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_done(&changed.body);
    for (field, value) in changes.as_object().unwrap() {
        assert_eq!(&changed.body[field], value);
    }
    let cleared = client.patch(&path(&number), &json!({"assistantId": null})).await;
    assert_eq!(cleared.body.get("assistantId"), None);

    let broken = client.patch(&path(&number), &json!({"number": OTHER_NUMBER})).await;
    assert!(instructions(&broken.body).contains(NUMBER), "the former one could not be released");
    assert_done(&broken.body);
    let back = client.patch(&path(&number), &json!({"number": NUMBER})).await;
    assert_done(&back.body);
    assert_eq!(back.body["carrierSetup"]["instructions"], json!([]));
    assert_eq!(world.at_twilio(NUMBER).await.voice_url, Some(url("twilio/voice", &number)));
    assert_eq!(world.at_twilio(OTHER_NUMBER).await.voice_url, None);
}

#[tokio::test]
async fn a_carrier_that_points_elsewhere_by_now_is_left_alone() {
    let world = World::start().await;
    let number = world.create(&on_twilio(json!({}))).await;
    let elsewhere = "https://else.example/voice";
    let fields = json!({"carrier": "twilio", "number": NUMBER, "voice_url": elsewhere});
    world.control("/numbers", fields).await;
    world.client().delete(&path(&number)).await;
    assert_eq!(world.at_twilio(NUMBER).await.voice_url.as_deref(), Some(elsewhere));
}

#[tokio::test]
async fn keys_come_from_the_number_a_credential_or_the_settings() {
    let options = Options::default()
        .set(format!("server.public_url={PUBLIC_URL}"))
        .set(format!("carriers.telnyx.api_key={TELNYX_KEY}"));
    let world = World::with(options).await;
    let client = world.client();
    let by_settings = world.create(&json!({"provider": "telnyx", "number": NUMBER})).await;
    assert_done(&by_settings);
    assert!(instructions(&by_settings).contains("publicKey"), "its calls would be refused");

    let bare = json!({"provider": "twilio", "number": NUMBER, "twilioAccountSid": ACCOUNT});
    let refused = client.post("/phone-number", &bare).await;
    let message = refused.messages().join("");
    assert!(message.contains(&format!("no key of account {ACCOUNT}")), "{message}");
    assert!(message.contains("carriers.twilio.account_sid"), "{message}");
    let other = json!({"provider": "twilio", "accountSid": "AC1", "authToken": AUTH_TOKEN});
    client.create("/credential", &other).await;
    assert_eq!(client.post("/phone-number", &bare).await.status, 400);
    let mine = json!({"provider": "twilio", "accountSid": ACCOUNT, "authToken": AUTH_TOKEN});
    client.create("/credential", &mine).await;
    assert_done(&world.create(&bare).await);

    let vonage = json!({"provider": "vonage", "number": NUMBER});
    let refused = client.post("/phone-number", &vonage).await;
    assert!(refused.messages()[0].contains("credentialId"), "{}", refused.text);
}

#[tokio::test]
async fn a_number_comes_back_without_its_secrets_which_lie_sealed() {
    let world = World::start().await;
    let client = world.client();
    let secrets = json!({"name": "marker-in-clear", "twilioAuthToken": "hush-1", "twilioApiKey": "hush-2",
        "twilioApiSecret": "hush-3"});
    let created = client.post("/phone-number", &on_twilio(secrets)).await;
    assert_eq!((created.status, &created.body["status"]), (201, &json!("blocked")));
    let path = path(&created.body);
    let read = client.get(&path).await;
    let listed = client.get("/phone-number").await;
    let paged = client.get("/v2/phone-number").await;
    let changed = client.patch(&path, &json!({"twilioAuthToken": "hush-4"})).await;
    let state = client.get(&format!("{path}/carrier")).await;
    for answer in [created, read, listed, paged, changed, state] {
        let text = &answer.text;
        assert!(!text.contains("hush") && !text.contains("seal"), "{text}");
    }
    let log = world.server.log().join("\n");
    assert!(!log.contains("hush") && !log.contains(NUMBER), "{log}");
    let World { mut server, .. } = world;
    server.terminate();
    assert!(server.stopped().await.success());
    let stored = bytes_below(&server.store());
    let has = |text: &str| stored.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("marker-in-clear") && !has("hush-"));
}

/// The contents of all files below a folder.
fn bytes_below(folder: &Path) -> Vec<u8> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let contents = paths.map(|path| match path.is_dir() {
        true => bytes_below(&path),
        false => std::fs::read(&path).unwrap(),
    });
    contents.flatten().collect()
}

#[tokio::test]
async fn a_number_is_checked_as_its_provider_has_it() {
    let world = World::start().await;
    let client = world.client();
    let refuse = async |sent: Value| {
        let answer = client.post("/phone-number", &sent).await;
        answer.messages().join("\n")
    };
    let vapi = refuse(json!({"provider": "vapi"})).await;
    assert!(vapi.contains("provider vapi") && vapi.contains("telnyx"), "{vapi}");
    let nobody = refuse(json!({"provider": "plivo", "number": NUMBER})).await;
    assert!(nobody.starts_with("provider must be one of the following values"), "{nobody}");
    let national = refuse(on_twilio(json!({"number": "4155550100"}))).await;
    assert!(national.starts_with("number must be E.164"), "{national}");
    let unknown = refuse(on_twilio(json!({"status": "active", "carrierSetup": {}}))).await;
    assert_eq!(unknown, "property status should not exist\nproperty carrierSetup should not exist");
    let assistant = refuse(on_twilio(json!({"assistantId": MISSING}))).await;
    assert_eq!(assistant, format!("assistantId {MISSING} does not name an assistant"));
    let no_credential =
        refuse(json!({"provider": "telnyx", "number": NUMBER, "credentialId": MISSING})).await;
    assert_eq!(no_credential, format!("credentialId {MISSING} does not name a credential"));
    let other = json!({"provider": "deepgram", "apiKey": "k"});
    let deepgram = client.create("/credential", &other).await;
    let misfit =
        refuse(json!({"provider": "vonage", "number": NUMBER, "credentialId": id(&deepgram)}));
    assert!(misfit.await.contains("`deepgram`, expected one of `vonage`"));
    let hook =
        refuse(on_twilio(json!({"hooks": [{"on": "call.ringing", "do": [{"type": "sing"}]}]})));
    assert!(hook.await.contains("hooks.0.do.0"));
    assert_eq!(client.ids("/phone-number").await, [""; 0]);

    let number = world.create(&on_twilio(json!({}))).await;
    let change = async |changes: Value| {
        let answer = client.patch(&path(&number), &changes).await;
        answer.messages().join("\n")
    };
    let moved = change(json!({"provider": "telnyx"})).await;
    assert_eq!(moved, "provider must be twilio: it cannot be changed");
    assert!(change(json!({"number": null})).await.contains("E.164"));
    assert!(change(json!({"twilioAccountSid": null})).await.contains("twilioAccountSid"));
    assert!(change(json!({"twilioAuthToken": null})).await.contains("no key of account"));
    assert!(change(json!({"assistantId": MISSING})).await.contains("does not name an assistant"));
    assert_eq!(world.client().get(&path(&number)).await.body, number, "nothing was changed");
}

#[tokio::test]
async fn a_number_of_a_trunk_is_kept_and_says_that_it_does_not_ring() {
    let world = World::start().await;
    let trunk = json!({"provider": "byo-sip-trunk", "gateways": [{"ip": "192.0.2.1"}]});
    let trunk = world.client().create("/credential", &trunk).await;
    let sent =
        json!({"provider": "byo-phone-number", "credentialId": id(&trunk), "number": "1234"});
    let refused = world.client().post("/phone-number", &sent).await;
    assert!(refused.messages()[0].contains("numberE164CheckEnabled"), "{}", refused.text);
    let sent = merged(sent, json!({"numberE164CheckEnabled": false}));
    let number = world.create(&sent).await;
    assert_eq!((&number["status"], &number["number"]), (&json!("activating"), &json!("1234")));
    let problem = number["carrierSetup"]["problem"].as_str().unwrap();
    assert!(problem.contains("SIP"), "{problem}");
    assert_eq!(world.client().delete(&path(&number)).await.status, 200);
}

#[tokio::test]
async fn a_carrier_s_number_is_there_once_however_many_ask_for_it() {
    let world = World::start().await;
    let client = world.client();
    let sent = on_twilio(json!({}));
    let answers =
        futures_util::future::join_all((0..5).map(|_| client.post("/phone-number", &sent)));
    let answers: Vec<Answer> = answers.await;
    let created: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(created.len(), 1);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 409).collect();
    assert_eq!(refused.len(), 4);
    assert!(refused[0].text.contains(id(&created[0].body)), "{}", refused[0].text);
    let other = world.create(&on_twilio(json!({"number": OTHER_NUMBER}))).await;
    let taken = client.patch(&path(&other), &json!({"number": NUMBER})).await;
    assert_eq!(taken.status, 409, "{}", taken.text);

    // Another organisation has its own, and sees none of these.
    let stranger = world.server.stranger();
    assert_eq!(stranger.ids("/phone-number").await, [""; 0]);
    assert_eq!(stranger.get(&path(&other)).await.status, 404);
    assert_eq!(stranger.patch(&path(&other), &json!({})).await.status, 404);
    assert_eq!(stranger.get(&format!("{}/carrier", path(&other))).await.status, 404);
    assert_eq!(stranger.post("/phone-number", &sent).await.status, 201);
}

#[tokio::test]
async fn numbers_come_in_lists_and_in_pages() {
    let world = World::start().await;
    let client = world.client();
    let mut ids = Vec::new();
    for (name, number) in [("Front desk", NUMBER), ("Night", OTHER_NUMBER), ("Spare", "+4670123")] {
        let number = world.create(&on_twilio(json!({"name": name, "number": number}))).await;
        ids.insert(0, id(&number).to_owned());
    }
    assert_eq!(client.ids("/phone-number").await, ids);
    assert_eq!(client.ids("/phone-number?limit=1").await, ids[..1]);
    let page = async |query: &str| {
        let answer = client.get(&format!("/v2/phone-number{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let results = answer.body["results"].as_array().unwrap();
        let ids: Vec<String> = results.iter().map(|it| id(it).to_owned()).collect();
        (ids, answer.body["metadata"].clone())
    };
    let (all, metadata) = page("").await;
    assert_eq!(all, ids);
    assert_eq!((&metadata["totalItems"], &metadata["itemsPerPage"]), (&json!(3), &json!(100)));
    let (second, metadata) = page("?limit=2&page=2").await;
    assert_eq!((second, &metadata["currentPage"]), (ids[2..].to_vec(), &json!(2)));
    let (oldest, _) = page("?limit=1&sortOrder=ASC").await;
    assert_eq!(oldest, ids[2..]);
    let (found, _) = page("?search=DESK").await;
    assert_eq!(found, ids[2..]);
    let (found, _) = page("?search=4670").await;
    assert_eq!(found, ids[..1]);
    let refused = client.get("/v2/phone-number?page=0&sortBy=cost").await;
    assert_eq!(refused.messages().len(), 2, "{}", refused.text);
}

#[tokio::test]
async fn what_the_carrier_says_now_names_the_field_that_is_wrong() {
    let world = World::start().await;
    let number = world.create(&on_twilio(json!({}))).await;
    let state = async || world.client().get(&format!("{}/carrier", path(&number))).await.body;
    let expected =
        json!({"pointsHere": true, "problem": null, "mismatches": [], "instructions": []});
    assert_eq!(state().await, expected);

    let elsewhere = json!({"carrier": "twilio", "number": NUMBER, "trunk_sid": "TK1",
        "voice_url": "https://else.example"});
    world.control("/numbers", elsewhere).await;
    let wrong = state().await;
    assert_eq!(wrong["pointsHere"], false);
    assert_eq!(
        wrong["mismatches"],
        json!([
            {"field": "Configure with: SIP Trunk", "found": "TK1", "expected": "none"},
            {"field": "A call comes in", "found": "https://else.example",
                "expected": url("twilio/voice", &number)},
        ])
    );
    world.break_carrier("twilio", 503, 1).await;
    let unknown = state().await;
    assert_eq!(unknown["pointsHere"], false);
    assert!(unknown["problem"].as_str().unwrap().contains("503"), "{unknown}");
    let unchanged = world.client().get(&path(&number)).await.body;
    assert_eq!(unchanged, number, "looking changes nothing");

    let again = world.client().patch(&path(&number), &json!({})).await;
    assert_done(&again.body);
    assert_eq!(state().await, expected);
}

#[tokio::test]
async fn what_is_wrong_at_telnyx_and_vonage_is_named_too() {
    let world = World::start().await;
    let credential = world.telnyx_credential(json!({})).await;
    let sent = json!({"provider": "telnyx", "number": NUMBER, "credentialId": credential});
    let telnyx = world.create(&sent).await;
    let sent = json!({"provider": "vonage", "number": NUMBER,
        "credentialId": world.vonage_credential().await});
    let vonage = world.create(&sent).await;
    let wrong = async |number: &Value| {
        let state = world.client().get(&format!("{}/carrier", path(number))).await.body;
        let wrong = state["mismatches"].as_array().unwrap().iter();
        wrong.map(|it| it["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((wrong(&telnyx).await, wrong(&vonage).await), (vec![], vec![]));

    let (application, _) = world.at_telnyx(NUMBER).await.unwrap();
    let client = world.telnyx();
    client.configure_application(&application, "offhook", "https://else.example").await.unwrap();
    assert_eq!(wrong(&telnyx).await, ["Send a webhook to the URL"]);
    let known = client.number(NUMBER).await.unwrap().unwrap();
    client.configure_number(&known.id, "17").await.unwrap();
    assert_eq!(wrong(&telnyx).await, ["Connection or App"]);
    client.release_number(&known.id).await.unwrap();
    assert_eq!(wrong(&telnyx).await, ["Connection or App"]);

    let forwarded = json!({"carrier": "vonage", "number": NUMBER, "app_id": "",
        "voiceCallbackType": "tel", "voiceCallbackValue": "46701"});
    world.control("/numbers", forwarded).await;
    world
        .vonage()
        .configure_application("https://else.example/a", "https://else.example/e")
        .await
        .unwrap();
    let all = ["Link numbers", "Forward to", "Answer URL", "Event URL"];
    assert_eq!(wrong(&vonage).await, all);
    for number in [&telnyx, &vonage] {
        assert_done(&world.client().patch(&path(number), &json!({})).await.body);
        assert_eq!(wrong(number).await, [""; 0]);
    }
}

#[tokio::test]
async fn an_application_that_is_not_there_is_named() {
    let world = World::start().await;
    let credential = world.telnyx_credential(json!({"applicationId": "17"})).await;
    let sent = json!({"provider": "telnyx", "number": NUMBER, "credentialId": credential});
    let number = world.create(&sent).await;
    assert_eq!(number["status"], "activating");
    let problem = number["carrierSetup"]["problem"].as_str().unwrap();
    assert!(problem.contains("no application 17"), "{problem}");
    assert_eq!(world.at_telnyx(NUMBER).await, None);
}

#[tokio::test]
async fn a_number_outlives_the_server_with_its_keys() {
    let world = World::start().await;
    let number = world.create(&on_twilio(json!({}))).await;
    let World { server, fakes } = world;
    let world = World { server: server.kill_and_restart().await, fakes };
    let again = world.client().patch(&path(&number), &json!({"number": OTHER_NUMBER})).await;
    assert_done(&again.body);
    assert_eq!(world.at_twilio(OTHER_NUMBER).await.voice_url, Some(url("twilio/voice", &number)));
}

/// What `offhook doctor` finds about a number, out of a store or told by a server.
async fn doctor(world: &World, store: &Path, server: &str) -> Value {
    let fakes = world.fakes.base_url("twilio");
    let run = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(["doctor", "--json"])
        .args(["--set", &format!("server.listen={server}")])
        .args(["--set", &format!("auth.api_keys={KEY}")])
        .args(["--set", &format!("server.public_url={PUBLIC_URL}")])
        .args(["--set", &format!("carriers.twilio.base_url={fakes}")])
        .args(["--set", &format!("store.path={}", store.display())])
        .stdin(Stdio::null())
        .output();
    let output = within("doctor", run).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["subject"] == NUMBER);
    found.unwrap_or_else(|| panic!("{report:#}")).clone()
}

/// Where no server listens.
const NOBODY: &str = "127.0.0.1:1";

#[tokio::test]
async fn doctor_tells_which_field_at_the_carrier_is_wrong() {
    let world = World::start().await;
    let number = world.create(&on_twilio(json!({}))).await;
    let address = world.client().url().trim_start_matches("http://").to_owned();
    let told = doctor(&world, Path::new("/nonexistent"), &address).await;
    assert_eq!((&told["state"], &told["advice"]), (&json!("ok"), &Value::Null), "{told}");

    let World { server, fakes } = world;
    // The store outlives the server that is killed.
    let copy = tempfile::tempdir().unwrap();
    let store = copy.path().join("store");
    let (from, to) = (server.store(), store.clone());
    server.terminate();
    let mut server = server;
    assert!(server.stopped().await.success());
    let copied = std::process::Command::new("cp").arg("-r").args([&from, &to]).status().unwrap();
    assert!(copied.success());
    let world = World { server, fakes };
    let found = doctor(&world, &store, NOBODY).await;
    assert_eq!((&found["state"], &found["advice"]), (&json!("ok"), &Value::Null), "{found}");

    let url_of_fakes = format!("http://{}/carriers/numbers", world.fakes.address());
    let fields = json!({"carrier": "twilio", "number": NUMBER, "status_callback": ""});
    assert_eq!(world.client().post(&url_of_fakes, &fields).await.status, 204);
    let found = doctor(&world, &store, NOBODY).await;
    assert_eq!(found["state"], "problem");
    let expected = format!(
        "twilio: `Call status changes` is nothing, expected {}",
        url("twilio/status", &number)
    );
    assert_eq!(found["found"], expected);
    assert!(found["advice"].as_str().unwrap().contains("Active numbers"), "{found}");
}
