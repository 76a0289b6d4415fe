//! Transfers, as the caller, the operator and the client's server see them, over each carrier.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod phones;
mod support;

use std::time::Duration;

use phones::{OPERATOR, Phones, heard, merged};
use serde_json::{Value, json};
use support::{Options, eventually};

/// What the caller says to have the first tool run.
const ASKS: &str = "2000";

/// What the model says where it has no more to say than that it is there.
const REPLY: &str = "1 2 3";

/// A destination whose caller hears `8 8` first.
fn destination(plan: Value) -> Value {
    json!({"type": "number", "number": OPERATOR, "message": "8 8", "transferPlan": plan})
}

/// A model with one tool, which sends callers on.
fn transferring(tool: Value) -> Value {
    let tool = merged(json!({"type": "transferCall"}), tool);
    json!({"model": {"provider": "openai", "model": "gpt-4.1-mini", "tools": [tool]},
        "serverMessages": ["status-update", "end-of-call-report", "transfer-update",
            "transfer-destination-request"]})
}

fn to(plan: Value) -> Value {
    transferring(json!({"destinations": [destination(plan)]}))
}

/// Somebody calls, hears the greeting, and asks for a transfer.
async fn asks(phones: &Phones) -> String {
    let id = phones.rings(json!({"stays": true})).await;
    let greeted = heard(&phones.heard(&id, "7").await);
    // On a busy machine a word may have a hole, and is said again.
    for _ in 0..5 {
        phones.act(&id, json!({"say": ASKS})).await;
        for _ in 0..80 {
            let has_answer = heard(&phones.at_carrier(&id).await) != greeted;
            if has_answer || phones.all_at_carrier().await.len() > 1 {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    panic!("nobody answers `{ASKS}`: {:#}", phones.at_carrier(&id).await)
}

/// One says something to the other, again and again until they have heard it: the two may not be
/// connected yet.
async fn says(phones: &Phones, from: &str, to: &str, words: &str) -> Value {
    for _ in 0..10 {
        phones.act(from, json!({"say": words})).await;
        for _ in 0..60 {
            let call = phones.at_carrier(to).await;
            if heard(&call).contains(words) {
                return call;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    panic!("no `{words}`: {:#}", phones.at_carrier(to).await)
}

/// The assistant answers the caller once more.
async fn goes_on(phones: &Phones, id: &str) {
    let replies = |call: &Value| heard(call).matches(REPLY).count();
    let before = replies(&phones.at_carrier(id).await);
    phones.act(id, json!({"say": "6"})).await;
    phones.until_at_carrier(id, "another reply", |call| replies(call) > before).await;
}

/// The latest call to the operator.
async fn operator(phones: &Phones) -> Value {
    eventually("a call to the operator", async || {
        phones.all_at_carrier().await.into_iter().find(|call| call["to"] == OPERATOR)
    })
    .await
}

fn id_of(call: &Value) -> String {
    call["id"].as_str().unwrap().to_owned()
}

/// The operator hears the message, and then the two hear each other.
async fn the_operator_is_told_first(carrier: &'static str) {
    let plan = json!({"mode": "warm-transfer-say-message", "message": "41 41"});
    let phones = Phones::answered_by(carrier, to(plan)).await;
    phones.introduce(OPERATOR, json!({"stays": true, "ring_ms": 1_200})).await;
    let id = asks(&phones).await;
    phones.heard(&id, "8 8").await;
    let other = id_of(&operator(&phones).await);
    phones.heard(&other, "41 41").await;
    let caller = says(&phones, &other, &id, "3 3 3").await;
    assert!(!heard(&caller).contains("41"), "{caller:#}");
    assert_holds(&caller);
    says(&phones, &id, &other, "6 6 6").await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "assistant-forwarded-call", "{ended}");
    assert_eq!(ended["destination"]["number"], OPERATOR, "{ended}");
    assert_eq!(phones.at_carrier(&id).await["is_over"], false, "the two go on talking");
    let update = phones.receiver.event("transfer-update").await;
    assert_eq!(update.message["destination"]["number"], OPERATOR, "{}", update.message);
    // Whoever hangs up first leaves nobody behind.
    phones.act(&other, json!({"hang_up": true})).await;
    phones.hung_up(&id).await;
}

/// There was sound behind the words: somebody on hold hears music.
fn assert_holds(caller: &Value) {
    let sounds = caller["heard"]["sounds"].as_array().unwrap();
    let longest = sounds.iter().map(|it| it[1].as_u64().unwrap() - it[0].as_u64().unwrap()).max();
    assert!(longest.unwrap_or_default() > 600, "no music: {caller:#}");
}

#[tokio::test]
async fn an_operator_of_twilio_s_is_told_first() {
    the_operator_is_told_first("twilio").await;
}

#[tokio::test]
async fn an_operator_of_telnyx_s_is_told_first() {
    the_operator_is_told_first("telnyx").await;
}

#[tokio::test]
async fn an_operator_of_vonage_s_is_told_first() {
    the_operator_is_told_first("vonage").await;
}

/// The call is summed up by its own model, once the operator has spoken.
async fn the_operator_speaks_first(carrier: &'static str) {
    let plan = json!({
        "mode": "warm-transfer-wait-for-operator-to-speak-first-and-then-say-summary",
        "summaryPlan": {"messages": [{"role": "user", "content": "{{transcript}}\n6 2"}]},
    });
    let phones = Phones::answered_by(carrier, to(plan)).await;
    let person = json!({"stays": true, "speaks_first": true, "lines": [{"say": "2 2"}],
        "detection_ms": 1_500});
    phones.introduce(OPERATOR, person).await;
    let id = asks(&phones).await;
    let other = id_of(&operator(&phones).await);
    phones.heard(&other, "6 2 1 2 3").await;
    says(&phones, &other, &id, "3 3 3").await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "assistant-forwarded-call", "{ended}");
}

#[tokio::test]
async fn an_operator_of_twilio_s_may_speak_first() {
    the_operator_speaks_first("twilio").await;
}

#[tokio::test]
async fn an_operator_of_telnyx_s_may_speak_first() {
    the_operator_speaks_first("telnyx").await;
}

#[tokio::test]
async fn an_operator_of_vonage_s_may_speak_first() {
    the_operator_speaks_first("vonage").await;
}

/// A caller whom nobody takes is back with the assistant, in the same call, warm or blind.
async fn nobody_takes_the_caller(carrier: &'static str) {
    for (plan, person) in [
        (
            json!({"mode": "warm-transfer-say-message", "message": "41 41"}),
            json!({"answers": "busy"}),
        ),
        (
            json!({"mode": "warm-transfer-experimental", "message": "41 41"}),
            json!({"is_machine": true, "stays": true}),
        ),
        (json!({"mode": "blind-transfer"}), json!({"answers": "busy"})),
        (json!({"mode": "blind-transfer", "timeout": 2}), json!({"answers": "no_answer"})),
    ] {
        let what = format!("{plan} {person}");
        let phones = Phones::answered_by(carrier, to(plan)).await;
        phones.introduce(OPERATOR, person).await;
        let id = asks(&phones).await;
        // The model answers what it was told of the transfer.
        let caller = phones.heard(&id, REPLY).await;
        assert!(!heard(&caller).contains("41"), "{what}: {caller:#}");
        assert_eq!(caller["is_over"], false, "{what}");
        let other = operator(&phones).await;
        assert!(!heard(&other).contains("41"), "{what}: {other:#}");
        phones.hung_up(&id_of(&other)).await;
        goes_on(&phones, &id).await;
        phones.act(&id, json!({"hang_up": true})).await;
        let ended = phones.ended(&phones.newest().await).await;
        assert_eq!(ended["endedReason"], "customer-ended-call", "{what}: {ended}");
    }
}

#[tokio::test]
async fn a_caller_whom_nobody_takes_at_twilio_is_back_with_the_assistant() {
    nobody_takes_the_caller("twilio").await;
}

#[tokio::test]
async fn a_caller_whom_nobody_takes_at_telnyx_is_back_with_the_assistant() {
    nobody_takes_the_caller("telnyx").await;
}

#[tokio::test]
async fn a_caller_whom_nobody_takes_at_vonage_is_back_with_the_assistant() {
    nobody_takes_the_caller("vonage").await;
}

/// A plan says what a caller hears whom nobody takes, and whether that is the end.
async fn the_plan_says_what_follows(carrier: &'static str) {
    for (ends, plan, answers, reason) in [
        (true, "warm-transfer-say-message", "busy", "call.forwarding.operator-busy"),
        (true, "blind-transfer", "busy", "call.forwarding.operator-busy"),
        (true, "warm-transfer-say-message", "not_found", "call.in-progress.error-transfer-failed"),
        (false, "warm-transfer-say-message", "busy", "customer-ended-call"),
    ] {
        let what = format!("{ends} {plan} {answers}");
        let plan = json!({"mode": plan, "message": "41 41",
            "fallbackPlan": {"message": "9 9 9", "endCallEnabled": ends}});
        let phones = Phones::answered_by(carrier, to(plan)).await;
        phones.introduce(OPERATOR, json!({"answers": answers})).await;
        let id = asks(&phones).await;
        phones.heard(&id, "9 9 9").await;
        if !ends {
            phones.act(&id, json!({"hang_up": true})).await;
        }
        phones.hung_up(&id).await;
        let ended = phones.ended(&phones.newest().await).await;
        assert_eq!(ended["endedReason"], reason, "{what}: {ended}");
    }
}

#[tokio::test]
async fn a_fallback_plan_at_twilio_is_spoken_and_may_end_the_call() {
    the_plan_says_what_follows("twilio").await;
}

#[tokio::test]
async fn a_fallback_plan_at_telnyx_is_spoken_and_may_end_the_call() {
    the_plan_says_what_follows("telnyx").await;
}

#[tokio::test]
async fn a_fallback_plan_at_vonage_is_spoken_and_may_end_the_call() {
    the_plan_says_what_follows("vonage").await;
}

/// A caller who hangs up while it rings leaves nobody ringing.
async fn the_caller_gives_up(carrier: &'static str) {
    let plan = json!({"mode": "warm-transfer-say-message", "message": "41 41"});
    let phones = Phones::answered_by(carrier, to(plan)).await;
    phones.introduce(OPERATOR, json!({"ring_ms": 20_000})).await;
    let id = asks(&phones).await;
    let other = id_of(&operator(&phones).await);
    phones.act(&id, json!({"hang_up": true})).await;
    phones.hung_up(&other).await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "customer-ended-call-before-warm-transfer", "{ended}");
}

#[tokio::test]
async fn a_caller_of_twilio_s_who_hangs_up_on_hold_leaves_nobody_ringing() {
    the_caller_gives_up("twilio").await;
}

#[tokio::test]
async fn a_caller_of_telnyx_s_who_hangs_up_on_hold_leaves_nobody_ringing() {
    the_caller_gives_up("telnyx").await;
}

#[tokio::test]
async fn a_caller_of_vonage_s_who_hangs_up_on_hold_leaves_nobody_ringing() {
    the_caller_gives_up("vonage").await;
}

#[tokio::test]
async fn a_server_says_where_a_caller_is_sent_and_what_they_hear_first() {
    let phones = Phones::answered_by("twilio", transferring(json!({"destinations": []}))).await;
    let to = json!({"type": "number", "number": OPERATOR});
    let answer = json!({"destination": to, "message": {"type": "request-start", "content": "9 9"}});
    phones.receiver.answer(move |message| match message["type"].as_str() {
        Some("transfer-destination-request") => (200, answer.clone()),
        _ => (200, json!({})),
    });
    phones.introduce(OPERATOR, json!({"stays": true})).await;
    let id = asks(&phones).await;
    phones.heard(&id, "9 9").await;
    let other = id_of(&operator(&phones).await);
    says(&phones, &other, &id, "3 3 3").await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "assistant-forwarded-call", "{ended}");
    let asked = phones.receiver.event("transfer-destination-request").await;
    assert_eq!(asked.message["call"]["id"], ended["id"], "{}", asked.message);
}

#[tokio::test]
async fn a_server_that_knows_nobody_leaves_the_caller_with_the_assistant() {
    let answers = [
        (200, json!({"error": "closed"})),
        (200, json!({"destination": {"type": "number", "number": 7}})),
        (500, json!({})),
    ];
    for (status, answer) in answers {
        let phones = Phones::answered_by("twilio", transferring(json!({}))).await;
        let what = answer.to_string();
        phones.receiver.answer(move |message| match message["type"].as_str() {
            Some("transfer-destination-request") => (status, answer.clone()),
            _ => (200, json!({})),
        });
        let id = asks(&phones).await;
        phones.heard(&id, REPLY).await;
        assert_eq!(phones.all_at_carrier().await.len(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_user_s_own_instructions_are_carried_out_at_twilio_before_the_two_meet() {
    let twiml = "<Say>41 41</Say><Pause length=\"1\"/>";
    let plan = json!({"mode": "warm-transfer-twiml", "twiml": twiml});
    let phones = Phones::answered_by("twilio", to(plan)).await;
    phones.introduce(OPERATOR, json!({"stays": true})).await;
    let id = asks(&phones).await;
    let other = id_of(&operator(&phones).await);
    phones.heard(&other, "41 41").await;
    says(&phones, &other, &id, "3 3 3").await;
}

/// A client sends the caller on by the call's control URL, and is told the field that is wrong.
async fn a_client_transfers_the_caller(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    phones.introduce(OPERATOR, json!({"stays": true})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    let call = phones.newest().await;
    let url = call["monitor"]["controlUrl"].as_str().unwrap().to_owned();
    let bad =
        json!({"type": "transfer", "destination": {"type": "assistant", "assistantName": "a"}});
    let refused = phones.client().post(&url, &bad).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("destination.type"), "{}", refused.text);
    let plan = json!({"mode": "warm-transfer-say-message", "message": "41 41"});
    let transfer = json!({"type": "transfer", "destination": destination(plan), "content": "9 9"});
    let taken = phones.client().post(&url, &transfer).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    phones.heard(&id, "9 9").await;
    let other = id_of(&operator(&phones).await);
    phones.heard(&other, "41 41").await;
    says(&phones, &other, &id, "3 3 3").await;
    let ended = phones.ended(&call).await;
    assert_eq!(ended["endedReason"], "assistant-forwarded-call", "{ended}");
}

#[tokio::test]
async fn a_client_transfers_a_caller_of_twilio_s() {
    a_client_transfers_the_caller("twilio").await;
}

#[tokio::test]
async fn a_client_transfers_a_caller_of_telnyx_s() {
    a_client_transfers_the_caller("telnyx").await;
}

#[tokio::test]
async fn a_client_transfers_a_caller_of_vonage_s() {
    a_client_transfers_the_caller("vonage").await;
}

#[tokio::test]
async fn a_server_that_controls_calls_itself_is_asked_to() {
    let mut fields = to(json!({"mode": "blind-transfer"}));
    fields["serverMessages"] = json!(["status-update", "end-of-call-report", "phone-call-control"]);
    let phones = Phones::answered_by("telnyx", fields).await;
    let id = asks(&phones).await;
    let asked = phones.receiver.event("phone-call-control").await.message;
    assert_eq!(
        (&asked["request"], &asked["destination"]["number"]),
        (&json!("forward"), &json!(OPERATOR))
    );
    // The server does it by its own means, and the audio is gone with that.
    phones.fault(json!({"fault": "drop", "call": id})).await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "assistant-forwarded-call", "{ended}");
    assert_eq!(phones.at_carrier(&id).await["is_over"], false, "it is the server's to end");
    assert!(phones.all_at_carrier().await.iter().all(|call| call["to"] != OPERATOR));
}

/// A server that wants to end calls itself is asked to, and the carrier is not.
async fn the_server_hangs_up(carrier: &'static str) {
    let fields = json!({"endCallPhrases": ["1 2 3"],
        "serverMessages": ["end-of-call-report", "phone-call-control"]});
    let phones = Phones::answered_by(carrier, fields).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    phones.act(&id, json!({"say": "6"})).await;
    let asked = phones.receiver.event("phone-call-control").await.message;
    assert_eq!(asked["request"], "hang-up", "{asked}");
    let call = phones.at_carrier(&id).await;
    assert_eq!(call["is_over"], false, "it is the server's to end: {call:#}");
    phones.act(&id, json!({"hang_up": true})).await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "assistant-said-end-call-phrase", "{ended}");
}

#[tokio::test]
async fn a_server_ends_a_call_of_twilio_s_itself() {
    the_server_hangs_up("twilio").await;
}

#[tokio::test]
async fn a_server_ends_a_call_of_telnyx_s_itself() {
    the_server_hangs_up("telnyx").await;
}

#[tokio::test]
async fn a_server_ends_a_call_of_vonage_s_itself() {
    the_server_hangs_up("vonage").await;
}

/// The process dies while the operator rings: the caller is with the next one, and whoever answers
/// is hung up on.
async fn the_process_dies_while_the_operator_rings(carrier: &'static str, mode: &str) {
    let plan = json!({"mode": mode, "message": "41 41"});
    let phones = Phones::answered_by(carrier, to(plan)).await;
    phones.introduce(OPERATOR, json!({"ring_ms": 6_000, "stays": true})).await;
    let id = asks(&phones).await;
    let other = id_of(&operator(&phones).await);
    let phones = phones.kill_and_restart().await;
    phones.heard(&id, "Sorry,").await;
    goes_on(&phones, &id).await;
    let operator = phones.at_carrier(&other).await;
    assert!(!heard(&operator).contains("41"), "{operator:#}");
    phones.act(&id, json!({"hang_up": true})).await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
}

#[tokio::test]
async fn a_process_that_dies_while_twilio_s_operator_rings_leaves_nobody_on_hold() {
    the_process_dies_while_the_operator_rings("twilio", "warm-transfer-say-message").await;
}

#[tokio::test]
async fn a_process_that_dies_while_telnyx_s_operator_rings_leaves_nobody_on_hold() {
    the_process_dies_while_the_operator_rings("telnyx", "warm-transfer-say-message").await;
}

#[tokio::test]
async fn a_process_that_dies_while_vonage_s_operator_rings_leaves_nobody_on_hold() {
    the_process_dies_while_the_operator_rings("vonage", "warm-transfer-say-message").await;
}

#[tokio::test]
async fn a_process_that_dies_while_twilio_rings_for_the_caller_gets_them_back() {
    the_process_dies_while_the_operator_rings("twilio", "blind-transfer").await;
}

#[tokio::test]
async fn a_process_that_dies_while_vonage_rings_for_the_caller_gets_them_back() {
    the_process_dies_while_the_operator_rings("vonage", "blind-transfer").await;
}

/// The carrier does not say whether it connected the two.
async fn nobody_knows_whether_they_are_joined(carrier: &'static str, of: &str) {
    let plan = json!({"mode": "warm-transfer-say-message", "message": "41 41"});
    let phones = Phones::answered_by(carrier, to(plan)).await;
    phones.introduce(OPERATOR, json!({"stays": true})).await;
    let id = asks(&phones).await;
    let other = id_of(&operator(&phones).await);
    let of = of.replace("CALLER", &id);
    let fault = json!({"fault": "request", "carrier": carrier, "of": of, "requests": 1,
        "status": 504, "late_ms": 100});
    phones.fault(fault).await;
    phones.hung_up(&other).await;
    goes_on(&phones, &id).await;
    let call = phones.newest().await;
    let path = format!("/call/{}", call["id"].as_str().unwrap());
    assert_eq!(phones.client().delete(&path).await.status, 200);
    phones.hung_up(&id).await;
}

#[tokio::test]
async fn a_caller_whom_twilio_may_not_have_put_through_stays_ours() {
    nobody_knows_whether_they_are_joined("twilio", "/Calls/CALLER.json").await;
}

#[tokio::test]
async fn a_caller_whom_telnyx_may_not_have_put_through_stays_ours() {
    nobody_knows_whether_they_are_joined("telnyx", "/bridge").await;
}

#[tokio::test]
async fn a_caller_whom_vonage_may_not_have_put_through_stays_ours() {
    nobody_knows_whether_they_are_joined("vonage", "/v1/calls/CALLER").await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_while_they_are_put_through_ends_the_call() {
    let plan = json!({"mode": "warm-transfer-say-message", "message": "41 41"});
    let phones = Phones::answered_by("telnyx", to(plan)).await;
    phones.introduce(OPERATOR, json!({"stays": true})).await;
    let id = asks(&phones).await;
    let other = id_of(&operator(&phones).await);
    let fault = json!({"fault": "request", "carrier": "telnyx", "of": "/bridge", "requests": 1,
        "status": 504, "late_ms": 3_000});
    phones.fault(fault).await;
    phones.heard(&other, "41 41").await;
    // The two are being connected by now.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    phones.act(&id, json!({"hang_up": true})).await;
    phones.hung_up(&other).await;
    let ended = phones.ended_within(&phones.newest().await, Duration::from_secs(10)).await;
    assert_eq!(ended["endedReason"], "customer-ended-call-before-warm-transfer", "{ended}");
}

#[tokio::test]
async fn an_operator_is_called_again_when_the_carrier_was_only_busy() {
    let plan = json!({"mode": "warm-transfer-say-message", "message": "41 41"});
    let phones = Phones::answered_by("vonage", to(plan)).await;
    phones.introduce(OPERATOR, json!({"stays": true})).await;
    let fault = json!({"fault": "request", "carrier": "vonage", "of": "/v1/calls", "requests": 1,
        "status": 429});
    phones.fault(fault).await;
    asks(&phones).await;
    let other = id_of(&operator(&phones).await);
    phones.heard(&other, "41 41").await;
}

#[tokio::test]
async fn an_extension_is_dialled_where_telnyx_transfers_a_caller() {
    let plan = json!({"mode": "blind-transfer"});
    let to = merged(destination(plan), json!({"extension": "12"}));
    let phones = Phones::answered_by("telnyx", transferring(json!({"destinations": [to]}))).await;
    phones.introduce(OPERATOR, json!({"stays": true})).await;
    asks(&phones).await;
    let other = id_of(&operator(&phones).await);
    phones.until_at_carrier(&other, "keys", |call| call["heard"]["keys"] == "ww12").await;
}

#[tokio::test]
async fn what_no_call_can_do_is_refused_with_the_document() {
    let phones = Phones::start("twilio", Options::default()).await;
    let with =
        |destination: Value| phones.assistant(transferring(json!({"destinations": [destination]})));
    let assistant = json!({"type": "assistant", "assistantName": "Ann"});
    let header = destination(json!({"mode": "blind-transfer-add-summary-to-sip-header"}));
    for (document, problem) in [
        (with(assistant), "model.tools.0.destinations.0.type assistant is not supported"),
        (with(header), "model.tools.0.destinations.0.transferPlan.mode"),
    ] {
        let answer = phones.client().post("/assistant", &document).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.text.contains(problem), "{}", answer.text);
    }
}
