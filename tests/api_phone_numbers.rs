//! `/phone-number` as a client sees it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{
    Answer, Options,
    numbers::{
        ACCOUNT, AUTH_TOKEN, MISSING, NUMBER, OTHER_NUMBER, PUBLIC_URL, TELNYX_KEY, World,
        assert_done, id, instructions, merged, on_twilio, path,
    },
};

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
async fn a_number_whose_credential_is_gone_is_still_changed_and_deleted() {
    let world = World::start().await;
    let client = world.client();
    let credential = world.telnyx_credential(json!({})).await;
    let sent = json!({"provider": "telnyx", "number": NUMBER, "credentialId": credential});
    let number = world.create(&sent).await;
    client.delete(&format!("/credential/{credential}")).await;
    let renamed = client.patch(&path(&number), &json!({"name": "Night"})).await;
    assert_eq!((renamed.status, &renamed.body["name"]), (200, &json!("Night")));
    let again = client.patch(&path(&number), &json!({})).await;
    let problem = again.body["carrierSetup"]["problem"].as_str().unwrap();
    assert!(problem.contains(&credential), "{problem}");
    let state = client.get(&format!("{}/carrier", path(&number))).await.body;
    assert!(state["problem"].as_str().unwrap().contains("does not name a credential"), "{state}");
    let gone = client.delete(&path(&number)).await;
    assert_eq!(gone.status, 200);
    assert!(instructions(&gone.body).contains("clear its addresses"), "{}", gone.text);
}
