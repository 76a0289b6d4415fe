use std::time::Duration;

use axum::Router;
use offhook_core::FailureClass;
use offhook_transports::{
    carrier::{
        AnsweredBy, Carrier, Change, Progress,
        twilio::{
            CallFilter, Conference, CreateCall, Dial, Form, Instructions, MachineDetection, Party,
            RejectReason, Say, Stream, Twilio, Update, Verb, answered_by, step_of, twiml,
        },
    },
    signature::twilio::{Body, Keys, Request, SIGNATURE, verify},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Agent, Customer, Hook, Said, until};

const OURS: &str = "+14155550100";
const THEIRS: &str = "+14155550123";

const TOKEN: &str = "token-of-the-fake-twilio";

async fn customer(options: Value) -> Customer {
    let customer = Customer::start(json!({"provider": "twilio"}), options).await;
    let number = json!({"carrier": "twilio", "number": OURS,
        "voice_url": customer.hook("inbound"), "status_callback": customer.hook("status")});
    customer.control("/numbers", number).await;
    customer.agent(Agent { greeting: "1 2 3".into(), reply: "7 8".into(), ..Agent::default() });
    customer
}

fn client(customer: &Customer) -> Twilio {
    let account = format!("AC{}", "fa4e".repeat(8));
    let base_url = customer.fakes.base_url("twilio");
    Twilio::new(&base_url, &account, &account, TOKEN.into()).unwrap()
}

fn connect(customer: &Customer, with_action: bool) -> Verb {
    Verb::Connect(Stream {
        url: customer.media_url(),
        action: with_action.then(|| customer.hook("resume")),
        status_callback: Some(customer.hook("stream")),
        parameters: vec![("token".into(), "once".into())],
    })
}

fn says(verbs: &[Verb]) -> Said {
    Said::Body(twiml(verbs).unwrap())
}

async fn rings(customer: &Customer, persona: Value) -> String {
    let call = json!({"carrier": "twilio", "from": THEIRS, "to": OURS, "persona": persona});
    customer.control("/calls", call).await["id"].as_str().unwrap().to_owned()
}

fn assert_signed(customer: &Customer, hook: &Hook) {
    let form = hook.form();
    let request = Request {
        public_url: &customer.url,
        path_and_query: &hook.path,
        signature: hook.headers.get(SIGNATURE).map(|value| value.to_str().unwrap()),
        settings: None,
        body: Body::Form(&form),
    };
    assert_eq!(verify(Keys { auth_token: TOKEN, shared: &[] }, &request), Ok(()));
}

#[tokio::test]
async fn a_caller_and_an_agent_hear_each_other_and_every_webhook_is_signed() {
    let customer = customer(json!({})).await;
    customer.answer("inbound", [says(&[connect(&customer, false)])]);
    let id = rings(&customer, json!({"lines": [{"say": "5 6"}, {"keys": "4#"}]})).await;
    let call = customer.over(&id).await;
    assert_eq!(call["heard"]["text"], "1 2 3 7 8");
    assert_eq!(call["status"], "completed");

    let media = customer.media();
    assert_eq!(media.heard.split_whitespace().collect::<Vec<_>>(), ["5", "6"]);
    assert_eq!((media.keys.as_str(), media.stops), ("4#", 1));
    assert_eq!(media.marks, ["m1", "m2"]);
    assert_eq!(media.parameters, [json!([id, {"token": "once"}])]);
    assert_eq!(media.refused, [""; 0]);

    let status = until("the status", async || customer.hooks("status").pop()).await;
    assert_eq!(status.get("CallStatus"), "completed");
    for hook in [&customer.hooks("inbound")[0], &customer.hooks("stream")[0], &status] {
        assert_signed(&customer, hook);
        assert_eq!(hook.get("CallSid"), id);
    }
    assert_eq!(customer.hooks("inbound")[0].get("Direction"), "inbound");
    let events: Vec<_> = customer.hooks("stream").iter().map(|h| h.get("StreamEvent")).collect();
    assert!(events.contains(&"stream-started".to_owned()));
}

#[tokio::test]
async fn an_interrupted_agent_falls_silent_and_its_marks_come_back() {
    let customer = customer(json!({})).await;
    let greeting = (100..130).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    customer.agent(Agent { greeting, is_interrupted: true, ..Agent::default() });
    customer.answer("inbound", [says(&[connect(&customer, false)])]);
    let lines = json!([{"interrupt": {"after_ms": 900, "say": "5"}}, {"wait_ms": 500}, "hang_up"]);
    let call = customer.over(&rings(&customer, json!({"lines": lines})).await).await;
    let heard = call["heard"]["words"].as_array().unwrap().len();
    assert!((4..10).contains(&heard), "{heard} words");
    assert_eq!(customer.media().marks, ["m1"]);
}

#[tokio::test]
async fn a_socket_that_breaks_makes_twilio_ask_the_action_and_the_call_goes_on() {
    let customer = customer(json!({})).await;
    customer.answer("inbound", [says(&[connect(&customer, true)])]);
    customer.answer("resume", [says(&[Verb::Say(Say::new("9")), connect(&customer, true)])]);
    let id = rings(&customer, json!({"stays": true})).await;
    customer.heard(&id, "1 2 3").await;
    customer.control("/fault", json!({"fault": "drop", "call": id})).await;
    customer.heard(&id, "1 2 3 9 1 2 3").await;
    assert_eq!(customer.media().sockets, 2);
    assert_eq!(customer.hooks("resume").len(), 1);

    // We hang up.
    let client = client(&customer);
    client.hang_up(&id).await.unwrap();
    assert_eq!(customer.over(&id).await["status"], "completed");
    client.hang_up(&id).await.unwrap();
    assert!(client.call(&id).await.unwrap().unwrap().is_over());
}

#[tokio::test]
async fn without_an_action_the_next_instruction_follows_and_without_an_answer_the_call_ends() {
    let customer = customer(json!({})).await;
    let way_on = Verb::Redirect(customer.hook("resume"));
    customer.answer("inbound", [says(&[connect(&customer, false), way_on])]);
    customer.answer("resume", [Said::Status(503)]);
    let id = rings(&customer, json!({"stays": true})).await;
    customer.heard(&id, "1 2 3").await;
    customer.control("/fault", json!({"fault": "close", "call": id, "code": 1011})).await;
    let call = customer.over(&id).await;
    let cause = call["end_cause"].as_str().unwrap();
    assert!(cause.starts_with("application error: 11200"), "{cause}");
}

#[tokio::test]
async fn a_server_that_is_gone_loses_the_call_unless_something_holds_requests_for_it() {
    for (patience_ms, survives) in [(0, false), (10_000, true)] {
        let customer = customer(json!({"webhook_patience_ms": patience_ms})).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let stream = Stream {
            url: customer.media_url(),
            action: Some(format!("http://{address}/resume")),
            ..Stream::default()
        };
        customer.answer("inbound", [says(&[Verb::Connect(stream)])]);
        let id = rings(&customer, json!({"stays": true})).await;
        customer.heard(&id, "1 2 3").await;
        customer.control("/fault", json!({"fault": "drop", "call": id})).await;
        if !survives {
            let cause = customer.over(&id).await["end_cause"].clone();
            assert!(cause.as_str().unwrap().contains("11205"), "{cause}");
            continue;
        }
        until("a failed attempt", async || {
            let log = customer.call(&id).await["log"].to_string();
            log.contains("/resume").then_some(())
        })
        .await;
        let resume = twiml(&[Verb::Say(Say::new("9"))]).unwrap();
        let back = Router::new().fallback(async move || resume.clone());
        let listener = TcpListener::bind(address).await.unwrap();
        tokio::spawn(axum::serve(listener, back).into_future());
        assert_eq!(customer.over(&id).await["heard"]["text"], "1 2 3 9");
    }
}

#[tokio::test]
async fn a_half_open_socket_says_and_reads_nothing_until_somebody_acts() {
    let customer = customer(json!({})).await;
    customer.answer("inbound", [says(&[connect(&customer, true)])]);
    let id = rings(&customer, json!({"stays": true})).await;
    customer.heard(&id, "1 2 3").await;
    customer.control("/fault", json!({"fault": "half_open", "call": id})).await;
    customer.control(&format!("/calls/{id}/act"), json!({"say": "5"})).await;
    let say = Update::Twiml(twiml(&[Verb::Say(Say::new("9")), Verb::Hangup]).unwrap());
    assert!(client(&customer).update(&id, &say).await.unwrap());
    let call = customer.over(&id).await;
    assert_eq!(call["heard"]["text"], "1 2 3 9");
    assert!(!customer.media().heard.contains('5'));
}

#[tokio::test]
async fn a_rejected_call_is_never_answered() {
    let customer = customer(json!({})).await;
    customer.answer("inbound", [says(&[Verb::Reject(RejectReason::Busy)])]);
    let call = customer.over(&rings(&customer, json!({})).await).await;
    assert_eq!((&call["status"], &call["times_ns"]["answered"]), (&json!("busy"), &Value::Null));
}

fn outbound(customer: &Customer) -> CreateCall {
    CreateCall {
        to: THEIRS.into(),
        from: OURS.into(),
        instructions: Instructions::Twiml(twiml(&[connect(customer, false)]).unwrap()),
        status_callback: Some(customer.hook("status")),
        timeout: Some(Duration::from_secs(1)),
        ..CreateCall::default()
    }
}

/// What came of the status callbacks, in the order in which they came.
fn changes(customer: &Customer) -> Vec<Change> {
    let mut progress = Progress::new(Carrier::Twilio);
    let forms: Vec<_> = customer.hooks("status").iter().map(Hook::form).collect();
    forms.iter().filter_map(|form| progress.handle(step_of(&Form(form))?)).collect()
}

#[tokio::test]
async fn a_call_of_ours_rings_is_answered_and_a_machine_is_told_from_a_person() {
    let customer = customer(json!({})).await;
    let persona = json!({"number": THEIRS, "lines": [{"say": "5"}], "is_machine": true});
    customer.control("/people", persona).await;
    let call = client(&customer)
        .create_call(&CreateCall {
            machine_detection: Some(MachineDetection {
                to_end_of_message: true,
                callback: customer.hook("amd"),
                ..MachineDetection::default()
            }),
            ..outbound(&customer)
        })
        .await
        .unwrap();
    assert_eq!(customer.over(&call.sid).await["heard"]["text"], "1 2 3 7 8");
    let changes = until("all reports", async || {
        Some(changes(&customer)).filter(|changes| changes.len() == 3)
    })
    .await;
    let names: Vec<_> = changes.iter().map(|change| format!("{change:?}")).collect();
    assert_eq!(names, ["Ringing", "Answered", "Ended(CustomerEndedCall)"]);
    let form = customer.hooks("amd")[0].form();
    let machine = Some(AnsweredBy::Machine { greeting_is_over: true });
    assert_eq!(answered_by(&Form(&form)), machine);
}

#[tokio::test]
async fn every_ending_of_a_call_of_ours_has_its_reason_however_reports_come() {
    let late = json!({"callbacks": {"delay": {"normal": [60, 60]}, "duplicates": 0.5}});
    for (answers, reason) in [
        ("busy", "customer-busy"),
        ("no_answer", "customer-did-not-answer"),
        ("not_found", "twilio-reported-customer-misdialed"),
        ("failed", "twilio-failed-to-connect-call"),
    ] {
        let customer = customer(late.clone()).await;
        customer.control("/people", json!({"answers": answers})).await;
        client(&customer).create_call(&outbound(&customer)).await.unwrap();
        let end = until("the end", async || {
            let last = changes(&customer).pop();
            last.filter(|change| matches!(change, Change::Ended(_)))
        })
        .await;
        let Change::Ended(end) = end else { unreachable!() };
        assert_eq!(end.to_string(), reason);
    }
}

#[tokio::test]
async fn a_call_of_ours_can_be_taken_back_while_it_rings() {
    let customer = customer(json!({})).await;
    customer.control("/people", json!({"ring_ms": 60_000})).await;
    let client = client(&customer);
    let call = CreateCall { timeout: None, ..outbound(&customer) };
    let call = client.create_call(&call).await.unwrap();
    client.hang_up(&call.sid).await.unwrap();
    assert_eq!(customer.over(&call.sid).await["status"], "canceled");
}

#[tokio::test]
async fn a_caller_is_transferred_to_a_person_and_they_hear_each_other() {
    let customer = customer(json!({})).await;
    customer.answer("inbound", [says(&[connect(&customer, true)])]);
    customer.answer("whisper", [says(&[Verb::Say(Say::new("20 21"))])]);
    customer.answer("dialled", [says(&[Verb::Say(Say::new("30")), Verb::Hangup])]);
    let operator = json!({"number": "+14155550199", "stays": true});
    customer.control("/people", operator).await;
    let id = rings(&customer, json!({"stays": true})).await;
    customer.heard(&id, "1 2 3").await;
    let to = Party::Number {
        number: "+14155550199".into(),
        send_digits: None,
        url: Some(customer.hook("whisper")),
        status_callback: None,
    };
    let dial = Dial { to: vec![to], action: Some(customer.hook("dialled")), ..Dial::default() };
    let update = Update::Twiml(twiml(&[Verb::Dial(dial)]).unwrap());
    assert!(client(&customer).update(&id, &update).await.unwrap());
    let operator = until("the operator", async || {
        let calls = customer.control("/calls", Value::Null).await;
        let calls = calls.as_array().unwrap().clone();
        calls.into_iter().find(|call| call["parent"] == id.as_str())
    })
    .await;
    let operator = operator["id"].as_str().unwrap().to_owned();
    customer.heard(&operator, "20 21").await;
    until("the connection", async || {
        let log = customer.call(&id).await["log"].to_string();
        log.contains("connected with").then_some(())
    })
    .await;
    let act = |id: &str| format!("/calls/{id}/act");
    customer.control(&act(&id), json!({"say": "40 41"})).await;
    customer.heard(&operator, "20 21 40 41").await;
    customer.control(&act(&operator), json!({"say": "50 51"})).await;
    customer.heard(&id, "1 2 3 50 51").await;
    customer.control(&act(&operator), json!({"hang_up": true})).await;
    let call = customer.over(&id).await;
    assert_eq!(call["heard"]["text"], "1 2 3 50 51 30");
    assert_eq!(customer.hooks("dialled")[0].get("DialCallStatus"), "completed");
    assert_eq!(customer.media().stops, 1, "the stream is stopped before the transfer");
}

#[tokio::test]
async fn an_operator_who_is_busy_sends_the_caller_back() {
    let customer = customer(json!({})).await;
    let to = Party::Number {
        number: "+14155550199".into(),
        send_digits: None,
        url: None,
        status_callback: None,
    };
    let dial = Dial { to: vec![to], action: Some(customer.hook("dialled")), ..Dial::default() };
    customer.answer("inbound", [says(&[Verb::Dial(dial)])]);
    customer.answer("dialled", [says(&[connect(&customer, true)])]);
    customer.control("/people", json!({"answers": "busy"})).await;
    let id = rings(&customer, json!({"stays": true})).await;
    customer.heard(&id, "1 2 3").await;
    assert_eq!(customer.hooks("dialled")[0].get("DialCallStatus"), "busy");
}

#[tokio::test]
async fn people_in_a_conference_hear_each_other_and_music_on_hold() {
    let customer = customer(json!({})).await;
    let room = |starts: bool| {
        let room =
            Conference { start_on_enter: starts, end_on_exit: starts, ..Conference::new("r") };
        says(&[Verb::Dial(Dial { to: vec![Party::Conference(room)], ..Dial::default() })])
    };
    customer.answer("inbound", [room(false), room(true)]);
    let first = rings(&customer, json!({"stays": true})).await;
    until("music", async || {
        let sounds = customer.call(&first).await["heard"]["sounds"].clone();
        (sounds != json!([])).then_some(())
    })
    .await;
    let second = rings(&customer, json!({"stays": true})).await;
    let client = client(&customer);
    let sid = until("the conference", async || client.conference("r").await.unwrap()).await;
    until("the second", async || {
        let log = customer.call(&second).await["log"].to_string();
        log.contains("joins").then_some(())
    })
    .await;
    let act = |id: &str| format!("/calls/{id}/act");
    customer.control(&act(&second), json!({"say": "60"})).await;
    customer.heard(&first, "60").await;
    assert!(client.hold(&sid, &second, true, None).await.unwrap());
    customer.control(&act(&first), json!({"say": "61"})).await;
    assert!(client.remove_from_conference(&sid, &second).await.unwrap());
    // The conference ends with the second.
    customer.over(&first).await;
    let second = customer.over(&second).await;
    assert!(!second["heard"]["text"].as_str().unwrap().contains("61"));
}

#[tokio::test]
async fn numbers_are_configured_and_calls_are_listed() {
    let customer = customer(json!({})).await;
    let client = client(&customer);
    let number = client.number(OURS).await.unwrap().unwrap();
    assert_eq!(number.voice_url, Some(customer.hook("inbound")));
    let changed =
        client.configure_number(&number.sid, "https://a.example/v", None, "https://a.example/s");
    assert_eq!(changed.await.unwrap().voice_url.as_deref(), Some("https://a.example/v"));
    assert_eq!(client.number("+19999999999").await.unwrap(), None);

    let call = client.create_call(&outbound(&customer)).await.unwrap();
    let mine =
        CallFilter { to: Some(THEIRS.into()), from: Some(OURS.into()), ..CallFilter::default() };
    let listed = client.calls(&mine).await.unwrap();
    assert_eq!(listed.iter().map(|call| &call.sid).collect::<Vec<_>>(), [&call.sid]);
    let other = CallFilter { to: Some(OURS.into()), ..CallFilter::default() };
    assert_eq!(client.calls(&other).await.unwrap(), []);
    let later = CallFilter { started_after: Some(4_000_000_000), ..CallFilter::default() };
    assert_eq!(client.calls(&later).await.unwrap(), []);
}

#[tokio::test]
async fn refusals_have_their_class_and_say_whether_the_call_may_exist() {
    let customer = customer(json!({})).await;
    let client = client(&customer);
    let call = outbound(&customer);
    let fault = |status: u16| {
        json!({"fault": "error", "carrier": "twilio", "status": status, "requests": 1,
            "retry_after": 2})
    };
    let retry_after = Some(Duration::from_secs(2));
    for (status, class, may_have_happened) in [
        (429, FailureClass::RateLimited { retry_after }, false),
        (503, FailureClass::Unavailable, false),
        (500, FailureClass::Unavailable, true),
    ] {
        customer.control("/fault", fault(status)).await;
        let error = client.create_call(&call).await.unwrap_err();
        assert_eq!((error.class, error.may_have_happened), (class, may_have_happened));
    }
    let bad = CreateCall { to: "+1".into(), ..call.clone() };
    let error = client.create_call(&bad).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (FailureClass::BadRequest, Some("21211")));
    let base_url = customer.fakes.base_url("twilio");
    let stranger = Twilio::new(&base_url, "AC1", "AC1", "no".into()).unwrap();
    let error = stranger.create_call(&call).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Unauthorized);
    let nobody = Twilio::new("http://127.0.0.1:9", "AC1", "AC1", "no".into()).unwrap();
    let error = nobody.create_call(&call).await.unwrap_err();
    assert_eq!((error.class, error.may_have_happened), (FailureClass::Unavailable, false));
    assert!(!client.update("CA0", &Update::Twiml("<Response/>".into())).await.unwrap());
}
