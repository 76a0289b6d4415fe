use std::time::Duration;

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use offhook_transports::{
    carrier::{
        AnsweredBy, Carrier, Change, Progress,
        telnyx::{Detection, DialCall, Event, Telnyx, TelnyxStream, Transfer, Webhook, parse},
    },
    signature::telnyx::{PublicKey, SIGNATURE, TIMESTAMP, verify},
};
use serde_json::{Value, json};

use crate::support::{Agent, Customer, until};

const OURS: &str = "+14155550100";
const THEIRS: &str = "+14155550123";

async fn customer(format: Value) -> Customer {
    let transport = json!({"provider": "telnyx", "audioFormat": format});
    let customer = Customer::start(transport, json!({})).await;
    let application = json!({"carrier": "telnyx", "number": "application:7",
        "webhook_event_url": customer.hook("events")});
    customer.control("/numbers", application).await;
    let number = json!({"carrier": "telnyx", "number": OURS, "connection_id": "7"});
    customer.control("/numbers", number).await;
    customer.agent(Agent { greeting: "1 2 3".into(), reply: "7 8".into(), ..Agent::default() });
    customer
}

fn client(customer: &Customer) -> Telnyx {
    Telnyx::new(&customer.fakes.base_url("telnyx"), "key-of-the-fake-telnyx".into()).unwrap()
}

fn stream(customer: &Customer, format: AudioFormat) -> TelnyxStream {
    let parameters = vec![("token".into(), "once".into())];
    TelnyxStream { url: customer.media_url(), format, parameters }
}

fn webhooks(customer: &Customer) -> Vec<Webhook> {
    customer.hooks("events").iter().map(|hook| parse(&hook.body).unwrap()).collect()
}

async fn event(customer: &Customer, wanted: Event) -> Webhook {
    until(&format!("{wanted:?}"), async || {
        webhooks(customer).into_iter().find(|webhook| webhook.event == wanted)
    })
    .await
}

async fn rings(customer: &Customer, persona: Value) -> String {
    let call = json!({"carrier": "telnyx", "from": THEIRS, "to": OURS, "persona": persona});
    customer.control("/calls", call).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_caller_and_an_agent_hear_each_other_though_frames_come_out_of_order() {
    for (format, document) in [
        (AudioFormat::mulaw(), Value::Null),
        (AudioFormat::pcm16(16_000), json!({"format": "pcm_s16le", "sampleRate": 16000})),
    ] {
        let customer = customer(document).await;
        let id = rings(&customer, json!({"lines": [{"say": "5 6"}, {"keys": "4#"}]})).await;
        event(&customer, Event::Initiated { is_incoming: true }).await;
        let client = client(&customer);
        assert!(client.answer(&id, "c1").await.unwrap());
        event(&customer, Event::Answered).await;
        assert!(client.start_stream(&id, "c2", &stream(&customer, format)).await.unwrap());
        assert!(client.start_stream(&id, "c2", &stream(&customer, format)).await.unwrap());
        let call = customer.over(&id).await;
        assert_eq!(call["heard"]["text"], "1 2 3 7 8");
        let media = customer.media();
        assert_eq!(media.heard.split_whitespace().collect::<Vec<_>>(), ["5", "6"]);
        assert_eq!((media.sockets, media.keys.as_str(), media.stops), (1, "4#", 1));
        assert_eq!(media.marks, ["m1", "m2"]);
        assert_eq!(media.refused, [""; 0]);
        assert_eq!(media.parameters[0], json!([id, {"token": "once"}]));
    }
}

#[tokio::test]
async fn every_webhook_is_signed_as_telnyx_signs() {
    let customer = customer(Value::Null).await;
    rings(&customer, json!({})).await;
    event(&customer, Event::Initiated { is_incoming: true }).await;
    let url = format!("http://{}/carriers/telnyx-key", customer.fakes.address());
    let key = customer.http.get(url).send().await.unwrap().text().await.unwrap();
    let key = PublicKey::parse(&key).unwrap();
    let hook = &customer.hooks("events")[0];
    let header = |name| hook.headers.get(name).map(|value| value.to_str().unwrap());
    let now = header(TIMESTAMP).unwrap().parse::<i64>().unwrap();
    let check = |body: &[u8], at| verify(&key, header(SIGNATURE), header(TIMESTAMP), body, at);
    assert_eq!(check(&hook.body, now), Ok(()));
    assert!(check(b"{}", now).is_err() && check(&hook.body, now + 301).is_err());
}

#[tokio::test]
async fn a_stream_that_breaks_is_started_anew_on_the_same_call() {
    let customer = customer(Value::Null).await;
    let id = rings(&customer, json!({"stays": true})).await;
    let client = client(&customer);
    let stream = stream(&customer, AudioFormat::mulaw());
    assert!(client.answer(&id, "c0").await.unwrap());
    assert!(client.start_stream(&id, "c1", &stream).await.unwrap());
    customer.heard(&id, "1 2 3").await;
    customer.control("/fault", json!({"fault": "drop", "call": id})).await;
    event(&customer, Event::StreamFailed("connection_lost".into())).await;
    assert!(client.call(&id).await.unwrap().unwrap().is_alive);
    assert!(client.start_stream(&id, "c2", &stream).await.unwrap());
    customer.heard(&id, "1 2 3 1 2 3").await;
    client.hang_up(&id, "c3").await.unwrap();
    customer.over(&id).await;
    client.hang_up(&id, "c4").await.unwrap();
    assert!(!client.start_stream(&id, "c5", &stream).await.unwrap(), "the call is over");
}

fn dial(customer: &Customer, command: &str) -> DialCall {
    DialCall {
        connection_id: "7".into(),
        to: THEIRS.into(),
        from: OURS.into(),
        command_id: command.into(),
        client_state: Some("c3RhdGU=".into()),
        webhook_url: None,
        timeout: Some(Duration::from_secs(5)),
        time_limit: None,
        detection: Some(Detection::Premium),
        stream: Some(stream(customer, AudioFormat::mulaw())),
    }
}

#[tokio::test]
async fn a_call_of_ours_is_placed_once_however_often_it_is_asked_for() {
    let customer = customer(Value::Null).await;
    let persona = json!({"number": THEIRS, "lines": [{"say": "5"}], "is_machine": true});
    customer.control("/people", persona).await;
    let client = client(&customer);
    let call = client.dial(&dial(&customer, "once")).await.unwrap();
    let again = client.dial(&dial(&customer, "once")).await.unwrap();
    assert_eq!(call.call_control_id, again.call_control_id);
    let over = customer.over(&call.call_control_id).await;
    assert_eq!(over["heard"]["text"], "1 2 3 7 8");
    let machine = AnsweredBy::Machine { greeting_is_over: true };
    let told = event(&customer, Event::AnsweredBy(machine)).await;
    assert_eq!(told.client_state.as_deref(), Some("c3RhdGU="));
    let mut progress = Progress::new(Carrier::Telnyx);
    let changes = until("the end", async || {
        let steps = webhooks(&customer).into_iter().filter_map(|webhook| webhook.event.step());
        let mut progress = progress;
        let changes: Vec<Change> = steps.filter_map(|step| progress.handle(step)).collect();
        (changes.len() == 3).then_some(changes)
    })
    .await;
    let names: Vec<_> = changes.iter().map(|change| format!("{change:?}")).collect();
    assert_eq!(names, ["Ringing", "Answered", "Ended(CustomerEndedCall)"]);
    assert!(progress.handle(offhook_transports::carrier::Step::Ringing).is_some());
}

#[tokio::test]
async fn every_ending_of_a_call_of_ours_has_its_reason() {
    for (answers, reason) in [
        ("busy", "customer-busy"),
        ("no_answer", "customer-did-not-answer"),
        ("not_found", "call.in-progress.error-sip-outbound-call-failed-to-connect"),
    ] {
        let customer = customer(Value::Null).await;
        customer.control("/people", json!({"answers": answers})).await;
        client(&customer).dial(&dial(&customer, "c")).await.unwrap();
        let end = until("the end", async || {
            let mut progress = Progress::new(Carrier::Telnyx);
            let steps = webhooks(&customer).into_iter().filter_map(|w| w.event.step());
            let last = steps.filter_map(|step| progress.handle(step)).last();
            last.filter(|change| matches!(change, Change::Ended(_)))
        })
        .await;
        let Change::Ended(end) = end else { unreachable!() };
        assert_eq!(end.to_string(), reason);
    }
}

#[tokio::test]
async fn a_caller_is_transferred_and_the_two_hear_each_other() {
    let customer = customer(Value::Null).await;
    customer.control("/people", json!({"number": "+14155550199", "stays": true})).await;
    let id = rings(&customer, json!({"stays": true})).await;
    let client = client(&customer);
    assert!(client.answer(&id, "c1").await.unwrap());
    assert!(client.speak(&id, "c2", "9 10", ("female", "en-US")).await.unwrap());
    event(&customer, Event::SpeakEnded).await;
    let transfer = Transfer { to: "+14155550199", ..Transfer::default() };
    assert!(client.transfer(&id, "c3", &transfer).await.unwrap());
    event(&customer, Event::Bridged).await;
    let calls = customer.control("/calls", Value::Null).await;
    let mut calls = calls.as_array().unwrap().iter();
    let other = calls.find(|call| call["parent"] == id.as_str()).unwrap()["id"].clone();
    let other = other.as_str().unwrap();
    customer.control(&format!("/calls/{id}/act"), json!({"say": "40 41"})).await;
    customer.heard(other, "40 41").await;
    customer.control(&format!("/calls/{other}/act"), json!({"hang_up": true})).await;
    let call = customer.over(&id).await;
    assert_eq!(call["heard"]["text"], "9 10");
}

#[tokio::test]
async fn numbers_and_applications_are_configured_and_refusals_have_their_class() {
    let customer = customer(Value::Null).await;
    let client = client(&customer);
    let number = client.number(OURS).await.unwrap().unwrap();
    assert_eq!(number.connection_id.as_deref(), Some("7"));
    client.configure_number(&number.id, "8").await.unwrap();
    let changed = client.number(OURS).await.unwrap().unwrap();
    assert_eq!(changed.connection_id.as_deref(), Some("8"));
    client.configure_application("7", "offhook", "https://a.example/t").await.unwrap();
    let url = client.application("7").await.unwrap().unwrap().webhook_url;
    assert_eq!(url.as_deref(), Some("https://a.example/t"));
    client.release_number(&number.id).await.unwrap();
    assert_eq!(client.number(OURS).await.unwrap().unwrap().connection_id, None);
    let made = client.create_application("own", "https://a.example/o", Some("1")).await.unwrap();
    assert_eq!(client.application(&made.id).await.unwrap(), Some(made.clone()));
    client.delete_application(&made.id).await.unwrap();
    client.delete_application(&made.id).await.unwrap();
    assert_eq!(client.application(&made.id).await.unwrap(), None);
    assert_eq!(client.call("v3:none").await.unwrap(), None);
    assert_eq!(client.active_calls("7").await.unwrap(), []);

    let fault = json!({"fault": "error", "carrier": "telnyx", "status": 429, "requests": 1});
    customer.control("/fault", fault).await;
    let error = client.dial(&dial(&customer, "c")).await.unwrap_err();
    assert_eq!(error.class, FailureClass::RateLimited { retry_after: None });
    let stranger = Telnyx::new(&customer.fakes.base_url("telnyx"), "no".into()).unwrap();
    let error = stranger.dial(&dial(&customer, "c")).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Unauthorized);
}
