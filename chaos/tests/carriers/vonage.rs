use std::time::Duration;

use offhook_core::FailureClass;
use offhook_transports::{
    carrier::{
        AnsweredBy, Carrier, Change, Progress,
        vonage::{
            Action, ApplicationKey, CreateVonageCall, Endpoint, Event, MachineBehavior, Vonage,
            VonageNumber, ncco, parse_answer, parse_event,
        },
    },
    signature::vonage::verify,
};
use serde_json::{Value, json};

use crate::support::{Agent, Customer, Said, until};

const OURS: &str = "+14155550100";
const THEIRS: &str = "+14155550123";

/// Of nothing but these tests.
const KEY: &str = include_str!("application-key.pem");
const PUBLIC_KEY: &str = include_str!("application-key.pub.pem");

async fn customer() -> Customer {
    let options = json!({"vonage_public_key": PUBLIC_KEY});
    let customer = Customer::start(json!({"provider": "vonage"}), options).await;
    let (answer_url, event_url) = (customer.hook("answer"), customer.hook("event"));
    let client = client(&customer);
    client.configure_application(&answer_url, &event_url).await.unwrap();
    let bought = VonageNumber { country: "US".into(), ..VonageNumber::default() };
    client.configure_number(OURS, &bought).await.unwrap();
    assert_eq!(client.application_urls().await.unwrap(), [Some(answer_url), Some(event_url)]);
    customer.agent(Agent { greeting: "1 2 3".into(), reply: "7 8".into(), ..Agent::default() });
    customer
}

fn client(customer: &Customer) -> Vonage {
    let account = Some(("fa4e1234".into(), "secret-of-the-fake-vonage".into()));
    let id = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab";
    let key = ApplicationKey::new(id, &KEY.into(), account).unwrap();
    let base_url = customer.fakes.base_url("vonage");
    Vonage::new(&base_url, &base_url, key).unwrap()
}

fn connect(customer: &Customer) -> Action {
    Action::Connect {
        endpoint: Endpoint::Websocket {
            uri: customer.media_url(),
            sample_rate_hz: 16_000,
            headers: vec![("token".into(), "once".into())],
        },
        from: None,
        timeout: None,
        event_url: None,
        is_synchronous: false,
    }
}

fn says(actions: &[Action]) -> Said {
    Said::Body(ncco(actions).unwrap().to_string())
}

fn talk(text: &str) -> Action {
    Action::Talk { text: text.into(), language: None }
}

async fn rings(customer: &Customer, persona: Value) -> String {
    let call = json!({"carrier": "vonage", "from": THEIRS, "to": OURS, "persona": persona});
    customer.control("/calls", call).await["id"].as_str().unwrap().to_owned()
}

fn events(customer: &Customer) -> Vec<Event> {
    customer.hooks("event").iter().map(|hook| parse_event(&hook.body).unwrap()).collect()
}

#[tokio::test]
async fn a_caller_and_an_agent_hear_each_other_and_every_webhook_is_signed() {
    let customer = customer().await;
    customer.answer("answer", [says(&[connect(&customer)])]);
    let id = rings(&customer, json!({"lines": [{"say": "5 6"}, {"keys": "4#"}]})).await;
    let call = customer.over(&id).await;
    assert_eq!(call["heard"]["text"], "1 2 3 7 8");
    let media = customer.media();
    assert_eq!(media.heard.split_whitespace().collect::<Vec<_>>(), ["5", "6"]);
    assert_eq!(media.keys, "4#");
    assert_eq!(media.marks, ["m1", "m2"]);
    assert_eq!(media.parameters, [json!([null, {"token": "once"}])]);
    let hook = &customer.hooks("answer")[0];
    let answer = parse_answer(&hook.body).unwrap();
    assert_eq!((answer.from.as_str(), answer.to.as_str(), answer.uuid), (THEIRS, OURS, id));
    let token = hook.headers.get("authorization").map(|value| value.to_str().unwrap());
    let now = jiff::Timestamp::now().as_second();
    let secret = "signature-secret-of-the-fake-vonage";
    assert!(verify(secret, token, &hook.body, now).is_ok());
    assert!(verify(secret, token, b"{}", now).is_err());
}

#[tokio::test]
async fn a_socket_that_breaks_makes_vonage_ask_what_next_and_the_call_goes_on() {
    let customer = customer().await;
    customer.answer("answer", [says(&[connect(&customer)])]);
    customer.answer("event", [says(&[talk("9"), connect(&customer)])]);
    let id = rings(&customer, json!({"stays": true})).await;
    customer.heard(&id, "1 2 3").await;
    customer.control("/fault", json!({"fault": "drop", "call": id})).await;
    customer.heard(&id, "1 2 3 9 1 2 3").await;
    let broken = events(&customer).into_iter().find(|event| event.is_websocket).unwrap();
    assert_eq!(broken.status, "disconnected");
    let client = client(&customer);
    client.hang_up(&id).await.unwrap();
    customer.over(&id).await;
    client.hang_up(&id).await.unwrap();
    assert!(!client.transfer(&id, &json!([])).await.unwrap(), "the call is over");
}

fn outbound(customer: &Customer) -> CreateVonageCall {
    CreateVonageCall {
        to: THEIRS.into(),
        from: OURS.into(),
        ncco: ncco(&[connect(customer)]).unwrap(),
        ringing_timer: Some(Duration::from_secs(1)),
        machines: Some(MachineBehavior::DetectBeep),
        ..CreateVonageCall::default()
    }
}

fn changes(customer: &Customer) -> Vec<Change> {
    let mut progress = Progress::new(Carrier::Vonage);
    let steps = events(customer).into_iter().filter(|event| !event.is_websocket);
    steps.filter_map(|event| progress.handle(event.step?)).collect()
}

#[tokio::test]
async fn a_call_of_ours_rings_is_answered_and_a_machine_is_told_from_a_person() {
    let customer = customer().await;
    let persona = json!({"lines": [{"say": "5"}], "is_machine": true});
    customer.control("/people", persona).await;
    let client = client(&customer);
    let call = client.create_call(&outbound(&customer)).await.unwrap();
    assert_eq!(customer.over(&call.uuid).await["heard"]["text"], "1 2 3 7 8");
    until("the end", async || (changes(&customer).len() == 3).then_some(())).await;
    let names: Vec<_> = changes(&customer).iter().map(|change| format!("{change:?}")).collect();
    assert_eq!(names, ["Ringing", "Answered", "Ended(CustomerEndedCall)"]);
    let machine = Some(AnsweredBy::Machine { greeting_is_over: true });
    assert!(events(&customer).iter().any(|event| event.answered_by == machine));
    assert!(client.call(&call.uuid).await.unwrap().unwrap().is_over());
    assert_eq!(client.calls(0, 4_000_000_000).await.unwrap().len(), 1);
    assert_eq!(client.call("none").await.unwrap(), None);
}

#[tokio::test]
async fn every_ending_of_a_call_of_ours_has_its_reason() {
    for (answers, reason) in [
        ("busy", "customer-busy"),
        ("no_answer", "customer-did-not-answer"),
        ("reject", "vonage-rejected"),
        ("failed", "vonage-failed-to-connect-call"),
    ] {
        let customer = customer().await;
        customer.control("/people", json!({"answers": answers})).await;
        client(&customer).create_call(&outbound(&customer)).await.unwrap();
        let end = until("the end", async || {
            changes(&customer).pop().filter(|change| matches!(change, Change::Ended(_)))
        })
        .await;
        let Change::Ended(end) = end else { unreachable!() };
        assert_eq!(end.to_string(), reason);
    }
}

#[tokio::test]
async fn a_caller_is_transferred_to_a_person_and_comes_back() {
    let customer = customer().await;
    customer.control("/people", json!({"number": "+14155550199", "stays": true})).await;
    customer.answer("answer", [says(&[connect(&customer)])]);
    customer.answer("dialled", [says(&[talk("30")])]);
    let id = rings(&customer, json!({"stays": true})).await;
    customer.heard(&id, "1 2 3").await;
    let dial = Action::Connect {
        endpoint: Endpoint::Phone { number: "+14155550199".into(), dtmf_answer: None },
        from: Some(OURS.into()),
        timeout: Some(Duration::from_secs(5)),
        event_url: Some(customer.hook("dialled")),
        is_synchronous: true,
    };
    let client = client(&customer);
    assert!(client.transfer(&id, &ncco(&[dial]).unwrap()).await.unwrap());
    let other = until("the other", async || {
        let log = customer.call(&id).await["log"].to_string();
        let (_, other) = log.split_once("connected with ")?;
        Some(other.split('"').next().unwrap().to_owned())
    })
    .await;
    customer.control(&format!("/calls/{id}/act"), json!({"say": "40"})).await;
    customer.heard(&other, "40").await;
    assert!(client.send_dtmf(&id, "12#").await.unwrap());
    customer.control(&format!("/calls/{other}/act"), json!({"hang_up": true})).await;
    let call = customer.over(&id).await;
    assert_eq!(call["heard"]["text"], "1 2 3 30");
    assert_eq!(call["heard"]["keys"], "12#");
}

#[tokio::test]
async fn refusals_have_their_class_and_a_token_of_another_key_is_not_taken() {
    let customer = customer().await;
    let fault = json!({"fault": "error", "carrier": "vonage", "status": 429, "requests": 1,
        "retry_after": 1});
    customer.control("/fault", fault).await;
    let error = client(&customer).create_call(&outbound(&customer)).await.unwrap_err();
    let retry_after = Some(Duration::from_secs(1));
    assert_eq!(error.class, FailureClass::RateLimited { retry_after });
    let other = json!({"vonage_application_id": "another"});
    customer.control("/options", other).await;
    let error = client(&customer).create_call(&outbound(&customer)).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Unauthorized);
}

#[tokio::test]
async fn a_number_is_found_and_leaves_its_application_with_its_messages() {
    let customer = customer().await;
    let client = client(&customer);
    let sms = "https://a.example/sms";
    let forwarded = json!({"carrier": "vonage", "number": OURS, "moHttpUrl": sms,
        "voiceCallbackType": "tel", "voiceCallbackValue": "46701"});
    customer.control("/numbers", forwarded).await;
    let found = client.number(OURS).await.unwrap().unwrap();
    assert_eq!(found.country, "US");
    assert_eq!(found.forwarded_to.as_deref(), Some("46701"));
    assert_eq!(client.number("+1415555010").await.unwrap(), None, "it only begins like ours");
    client.configure_number(OURS, &found).await.unwrap();
    let linked = client.number(OURS).await.unwrap().unwrap();
    assert!(linked.application_id.is_some());
    assert_eq!((linked.forwarded_to, linked.messages_url.as_deref()), (None, Some(sms)));
    client.release_number(OURS, &found).await.unwrap();
    let released = client.number(OURS).await.unwrap().unwrap();
    assert_eq!((released.application_id, released.messages_url.as_deref()), (None, Some(sms)));
    assert_eq!(client.number("+4670").await.unwrap(), None);
}
