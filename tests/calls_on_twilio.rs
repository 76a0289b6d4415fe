//! Phone calls through Twilio, as the people on the phone hear them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod phones;
mod support;

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use phones::{ACCOUNT, AUTH_TOKEN, CUSTOMER, OURS, Phones, scenes};
use serde_json::{Value, json};
use sha2::Sha256;
use support::{Answer, OTHER_KEY, Options};

#[tokio::test]
async fn somebody_who_calls_talks_with_the_assistant_and_hangs_up() {
    scenes::somebody_calls("twilio").await;
}

#[tokio::test]
async fn somebody_who_is_called_talks_with_the_assistant() {
    scenes::somebody_is_called("twilio").await;
}

#[tokio::test]
async fn a_call_that_is_not_answered_ends_with_the_reason() {
    let reasons = [
        ("busy", "customer-busy"),
        ("no_answer", "customer-did-not-answer"),
        ("reject", "customer-busy"),
        ("not_found", "twilio-reported-customer-misdialed"),
        ("failed", "twilio-failed-to-connect-call"),
    ];
    scenes::nobody_answers("twilio", &reasons).await;
}

#[tokio::test]
async fn reports_that_are_late_doubled_and_out_of_order_end_a_call_once() {
    scenes::callbacks_are_a_mess("twilio").await;
}

#[tokio::test]
async fn a_request_that_the_carrier_did_not_sign_is_refused_and_changes_nothing() {
    let paths = [
        "/twilio/voice/{number}",
        "/twilio/status/{number}",
        "/twilio/resume/{call}",
        "/twilio/progress/{call}",
    ];
    scenes::unsigned_requests_are_refused("twilio", &paths).await;
}

fn start(call: &str, token: &str) -> Value {
    json!({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": {
        "streamSid": "MZ1", "accountSid": "AC1", "callSid": "CA1", "tracks": ["inbound"],
        "customParameters": {"callId": call, "token": token},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}}})
}

#[tokio::test]
async fn a_media_socket_without_a_good_token_is_closed_and_changes_nothing() {
    scenes::sockets_need_a_token("twilio", "/twilio/media", start).await;
}

#[tokio::test]
async fn a_media_socket_that_breaks_is_connected_again() {
    scenes::media_breaks("twilio", json!({"fault": "drop"})).await;
}

#[tokio::test]
async fn a_media_socket_that_falls_silent_is_connected_again() {
    scenes::media_breaks("twilio", json!({"fault": "half_open"})).await;
}

#[tokio::test]
async fn after_a_kill_the_caller_hears_a_bridge_and_the_conversation_goes_on() {
    scenes::the_process_dies("twilio").await;
}

#[tokio::test]
async fn a_caller_who_left_while_no_process_was_there_ends_the_call() {
    scenes::the_caller_leaves_while_the_process_is_dead("twilio").await;
}

#[tokio::test]
async fn with_all_slots_taken_a_caller_is_told_so_or_sent_on() {
    scenes::all_slots_are_taken("twilio").await;
}

#[tokio::test]
async fn a_number_without_an_assistant_asks_its_server() {
    scenes::the_server_is_asked_for_an_assistant("twilio").await;
}

#[tokio::test]
async fn a_hook_of_the_number_speaks_before_anybody_answers() {
    scenes::hooks_act_on_ringing("twilio").await;
}

#[tokio::test]
async fn a_voicemail_that_the_carrier_tells_of_gets_the_message() {
    scenes::a_voicemail_answers("twilio").await;
}

#[tokio::test]
async fn a_call_that_the_assistant_ends_is_over_at_the_carrier() {
    scenes::the_assistant_ends_the_call("twilio").await;
}

#[tokio::test]
async fn a_carrier_that_is_down_leaves_the_call_to_the_next_number() {
    scenes::the_carrier_is_down("twilio").await;
}

#[tokio::test]
async fn keys_that_the_model_presses_reach_the_other_side() {
    scenes::the_model_presses_keys("twilio").await;
}

#[tokio::test]
async fn a_caller_whom_the_model_transfers_talks_with_somebody_else() {
    scenes::the_model_transfers_the_caller("twilio").await;
}

#[tokio::test]
async fn keys_that_the_caller_presses_reach_the_assistant() {
    scenes::the_caller_presses_keys("twilio").await;
}

#[tokio::test]
async fn a_call_that_outlasts_a_deploy_goes_on_in_the_next_server() {
    scenes::the_server_is_replaced("twilio").await;
}

#[tokio::test]
async fn a_call_that_rings_when_the_server_is_killed_is_answered_by_the_next() {
    scenes::the_process_dies_while_it_rings("twilio").await;
}

#[tokio::test]
async fn a_call_may_bring_its_number_and_survives_the_process_with_it() {
    let phones = Phones::start("twilio", Options::default()).await;
    phones.introduce(CUSTOMER, json!({"stays": true})).await;
    let number = json!({"twilioPhoneNumber": OURS, "twilioAccountSid": ACCOUNT,
        "twilioAuthToken": AUTH_TOKEN});
    let body = json!({"assistant": phones.assistant(json!({})), "phoneNumber": number,
        "customer": {"number": CUSTOMER}});
    let call = phones.client().create("/call", &body).await;
    assert!(!call.to_string().contains(AUTH_TOKEN), "{call}");
    let id = call["phoneCallProviderId"].as_str().unwrap().to_owned();
    phones.heard(&id, "7").await;
    let phones = phones.kill_and_restart().await;
    phones.heard(&id, "Sorry,").await;
    phones.act(&id, json!({"hang_up": true})).await;
    let ended = phones.ended(&call).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    assert!(!ended.to_string().contains(AUTH_TOKEN), "{ended}");
}

#[tokio::test]
async fn each_of_many_customers_is_called() {
    let phones = Phones::answered_by("twilio", json!({})).await;
    phones.introduce("", json!({"lines": [{"say": "5 1"}]})).await;
    let customers = json!([
        {"number": "+14155550130"},
        {"number": "no number"},
        {"number": "+14155550131", "assistantOverrides": {"firstMessage": "6"}},
    ]);
    let body = json!({"assistant": phones.assistant(json!({})),
        "phoneNumberId": phones.number["id"], "customers": customers});
    let batch = phones.client().create("/call", &body).await;
    assert_eq!(batch["errors"].as_array().unwrap().len(), 1, "{batch}");
    assert_eq!(batch["errors"][0]["customer"]["number"], "no number");
    assert!(batch["errors"][0]["error"].as_str().unwrap().contains("E.164"), "{batch}");
    for (call, first) in batch["results"].as_array().unwrap().iter().zip(["7", "6"]) {
        let id = call["phoneCallProviderId"].as_str().unwrap();
        assert!(phones::heard(&phones.hung_up(id).await).starts_with(first));
        assert_eq!(phones.ended(call).await["endedReason"], "customer-ended-call");
    }
}

#[tokio::test]
async fn a_call_that_cannot_be_placed_is_refused_with_the_field_that_is_wrong() {
    let phones = Phones::answered_by("twilio", json!({})).await;
    let number = &phones.number["id"];
    let assistant = phones.assistant(json!({}));
    let missing = "00000000-0000-4000-8000-000000000000";
    for (request, problem) in [
        (
            json!({"phoneNumberId": number, "customer": {"number": "4155550100"}}),
            "customer.number must be E.164",
        ),
        (
            json!({"phoneNumberId": number, "customer": {"sipUri": "sip:a@b.example"}}),
            "customer.sipUri is not supported",
        ),
        (
            json!({"phoneNumberId": missing, "customer": {"number": CUSTOMER}}),
            "phoneNumberId 00000000",
        ),
        (json!({"customer": {"number": CUSTOMER}}), "phoneNumberId or phoneNumber must be given"),
        (
            json!({"phoneNumberId": number, "customer": {"number": CUSTOMER},
            "fallbackPhoneNumberIds": [missing]}),
            "fallbackPhoneNumberIds.0",
        ),
    ] {
        let mut request = request;
        request["assistant"] = assistant.clone();
        let answer = phones.client().post("/call", &request).await;
        let messages = answer.messages().join("; ");
        assert!(messages.contains(problem), "{problem}: {messages}");
    }
    assert_eq!(phones.all_at_carrier().await.len(), 0);
    // No number is at fault: the carrier refuses the account.
    phones
        .fault(json!({"fault": "error", "carrier": "twilio", "status": 401, "requests": 1}))
        .await;
    let call = phones.calls(json!({})).await;
    assert_eq!(call["endedReason"], "twilio-failed-to-connect-call", "{call}");
    assert!(call["endedMessage"].as_str().unwrap().contains("401"), "{call}");
    phones.reported(&call).await;
}

#[tokio::test]
async fn a_webhook_that_comes_again_is_one_call() {
    let keys = Options::default()
        .set(format!("carriers.twilio.account_sid={ACCOUNT}"))
        .set("carriers.twilio.signing_keys=k1:hush");
    let mut phones = Phones::start("twilio", keys).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    phones.number = phones.buy(OURS, json!({"assistantId": assistant["id"]})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    let settings = ("hush", "key=k1,algorithm=HMAC_SHA256");
    let answer = twilio_tells(&phones, "voice", &phones.number, settings, &id, "ringing").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.contains("<Stream"), "{}", answer.text);
    let calls = phones.client().get("/call").await.body;
    assert_eq!(calls.as_array().unwrap().len(), 1, "{calls}");
}

/// A request about a call, at an address of a number, signed with a key as the settings say.
async fn twilio_tells(
    phones: &Phones,
    what: &str,
    number: &Value,
    (key, settings): (&str, &str),
    call: &str,
    status: &str,
) -> Answer {
    let url = format!("{}/twilio/{what}/{}", phones.client().url(), number["id"].as_str().unwrap());
    let fields = [("CallSid", call), ("CallStatus", status), ("From", CUSTOMER), ("To", OURS)];
    let data = fields.iter().fold(url.clone(), |data, (name, value)| data + name + value);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(data.as_bytes());
    let signed = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let encode = |value: &str| value.replace('+', "%2B");
    let body = fields.map(|(name, value)| format!("{name}={}", encode(value))).join("&");
    let request = phones.client().request(reqwest::Method::POST, &url);
    let request = request
        .header("x-twilio-signature", signed)
        .header("x-twilio-webhooks-signature-settings", settings)
        .body(body);
    phones.client().send(request).await
}

#[tokio::test]
async fn who_signs_for_one_organisation_learns_and_changes_nothing_of_another_s_calls() {
    let phones = Phones::answered_by("twilio", json!({})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    let call = phones.newest().await;
    let stranger = phones.client().with_key(Some(OTHER_KEY));
    let number = json!({"provider": "twilio", "number": OURS,
        "twilioAccountSid": "AC0", "twilioAuthToken": "hush"});
    let number = stranger.create("/phone-number", &number).await;
    let settings = ("hush", "algorithm=HMAC_SHA256");
    let answer = twilio_tells(&phones, "voice", &number, settings, &id, "ringing").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(!answer.text.contains(call["id"].as_str().unwrap()), "{}", answer.text);
    let answer = twilio_tells(&phones, "status", &number, settings, &id, "completed").await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    phones.act(&id, json!({"say": "5 2"})).await;
    phones.heard(&id, "5 2").await;
}

#[tokio::test]
async fn fifty_calls_outlive_a_kill_and_hear_the_agent_within_three_seconds() {
    scenes::many_calls_outlive_a_kill("twilio", 50).await;
}
