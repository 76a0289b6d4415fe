//! What carriers are told of phone numbers, and what they say about them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{path::Path, process::Stdio};

use offhook_chaos::fakes::{Fakes, FakesOptions};
use offhook_transports::carrier::vonage::VonageNumber;
use reqwest::Method;
use serde_json::{Value, json};
use support::{
    KEY, Options, Server, eventually,
    numbers::{
        AUTH_TOKEN, NUMBER, OTHER_NUMBER, PUBLIC_URL, VONAGE_APPLICATION, World, assert_done, id,
        instructions, on_twilio, path, url,
    },
    within,
};
use tokio::{net::TcpListener, process::Command};

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
    let linked = |number: Option<VonageNumber>| number.unwrap().application_id;
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

#[tokio::test]
async fn a_setup_that_a_dead_server_left_is_finished_by_the_next() {
    // A carrier that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let options = Options::default()
        .set(format!("server.public_url={PUBLIC_URL}"))
        .set(format!("carriers.twilio.base_url=http://{address}/twilio"));
    let server = Server::with(options).await;
    let client = server.client.clone();
    let asking = tokio::spawn(async move {
        // Nobody answers: the server is killed before.
        let _ =
            client.request(Method::POST, "/phone-number").json(&on_twilio(json!({}))).send().await;
    });
    let left = eventually("number", async || {
        let listed = server.client.get("/phone-number").await.body;
        listed.as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(
        (&left["status"], &left["carrierSetup"]["status"]),
        (&json!("activating"), &json!("under-way"))
    );
    // Held to the end: a connection that is closed would be an answer.
    let _unanswered = within("request", silent.accept()).await.unwrap();
    drop(silent);
    let fakes = Fakes::start(address, FakesOptions::default()).await.unwrap();
    let number = json!({"carrier": "twilio", "number": NUMBER});
    let bought = server.client.post(&format!("http://{address}/carriers/numbers"), &number).await;
    assert_eq!(bought.status, 204);
    let server = server.kill_and_restart().await;
    asking.await.unwrap();
    let done = eventually("setup", async || {
        let read = server.client.get(&path(&left)).await.body;
        (read["status"] == "active").then_some(read)
    })
    .await;
    assert_done(&done);
    let world = World { server, fakes };
    assert_eq!(world.at_twilio(NUMBER).await.voice_url, Some(url("twilio/voice", &left)));
}
