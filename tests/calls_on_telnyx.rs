//! Phone calls through Telnyx, as the people on the phone hear them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod phones;
mod support;

use phones::{CUSTOMER, OURS, Phones, heard, scenes};
use serde_json::{Value, json};
use support::Options;

#[tokio::test]
async fn somebody_who_calls_talks_with_the_assistant_and_hangs_up() {
    scenes::somebody_calls("telnyx").await;
}

#[tokio::test]
async fn somebody_who_is_called_talks_with_the_assistant() {
    scenes::somebody_is_called("telnyx").await;
}

#[tokio::test]
async fn a_call_that_is_not_answered_ends_with_the_reason() {
    let reasons = [
        ("busy", "customer-busy"),
        ("no_answer", "customer-did-not-answer"),
        ("reject", "call.in-progress.error-sip-outbound-call-failed-to-connect"),
        ("not_found", "call.in-progress.error-sip-outbound-call-failed-to-connect"),
        ("failed", "call.in-progress.error-sip-outbound-call-failed-to-connect"),
    ];
    scenes::nobody_answers("telnyx", &reasons).await;
}

#[tokio::test]
async fn reports_that_are_late_doubled_and_out_of_order_end_a_call_once() {
    scenes::callbacks_are_a_mess("telnyx").await;
}

#[tokio::test]
async fn a_request_that_the_carrier_did_not_sign_is_refused_and_changes_nothing() {
    let paths = ["/telnyx/events/{number}"];
    scenes::unsigned_requests_are_refused("telnyx", &paths).await;
}

fn start(call: &str, token: &str) -> Value {
    json!({"event": "start", "sequence_number": "1", "stream_id": "s", "start": {
        "call_control_id": "v3:1", "custom_parameters": {"callId": call, "token": token},
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}}})
}

#[tokio::test]
async fn a_media_socket_without_a_good_token_is_closed_and_changes_nothing() {
    scenes::sockets_need_a_token("telnyx", "/telnyx/media", start).await;
}

#[tokio::test]
async fn a_media_socket_that_breaks_is_connected_again() {
    scenes::media_breaks("telnyx", json!({"fault": "drop"})).await;
}

#[tokio::test]
async fn a_media_socket_that_falls_silent_is_connected_again() {
    scenes::media_breaks("telnyx", json!({"fault": "half_open"})).await;
}

#[tokio::test]
async fn after_a_kill_the_caller_hears_a_bridge_and_the_conversation_goes_on() {
    scenes::the_process_dies("telnyx").await;
}

#[tokio::test]
async fn a_caller_who_left_while_no_process_was_there_ends_the_call() {
    scenes::the_caller_leaves_while_the_process_is_dead("telnyx").await;
}

#[tokio::test]
async fn with_all_slots_taken_a_caller_is_told_so_or_sent_on() {
    scenes::all_slots_are_taken("telnyx").await;
}

#[tokio::test]
async fn a_number_without_an_assistant_asks_its_server() {
    scenes::the_server_is_asked_for_an_assistant("telnyx").await;
}

#[tokio::test]
async fn a_hook_of_the_number_speaks_before_anybody_answers() {
    scenes::hooks_act_on_ringing("telnyx").await;
}

#[tokio::test]
async fn a_voicemail_that_the_carrier_tells_of_gets_the_message() {
    scenes::a_voicemail_answers("telnyx").await;
}

#[tokio::test]
async fn a_call_that_the_assistant_ends_is_over_at_the_carrier() {
    scenes::the_assistant_ends_the_call("telnyx").await;
}

#[tokio::test]
async fn a_carrier_that_is_down_leaves_the_call_to_the_next_number() {
    scenes::the_carrier_is_down("telnyx").await;
}

#[tokio::test]
async fn keys_that_the_model_presses_reach_the_other_side() {
    scenes::the_model_presses_keys("telnyx").await;
}

#[tokio::test]
async fn a_caller_whom_the_model_transfers_talks_with_somebody_else() {
    scenes::the_model_transfers_the_caller("telnyx").await;
}

#[tokio::test]
async fn keys_that_the_caller_presses_reach_the_assistant() {
    scenes::the_caller_presses_keys("telnyx").await;
}

#[tokio::test]
async fn a_call_that_outlasts_a_deploy_goes_on_in_the_next_server() {
    scenes::the_server_is_replaced("telnyx").await;
}

#[tokio::test]
async fn a_call_that_rings_when_the_server_is_killed_is_answered_by_the_next() {
    scenes::the_process_dies_while_it_rings("telnyx").await;
}

#[tokio::test]
async fn linear_audio_at_16_khz_is_spoken_where_the_number_asks_for_it() {
    let mut phones = Phones::start("telnyx", Options::default()).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    let format = json!({"format": "pcm_s16le", "sampleRate": 16_000});
    let fields = json!({"assistantId": assistant["id"], "audioFormat": format});
    phones.number = phones.buy(OURS, fields).await;
    let id = phones.rings(json!({"lines": [{"say": "5 1"}]})).await;
    assert!(heard(&phones.hung_up(&id).await).starts_with("7 5 1"));
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["transport"]["audioFormat"]["sampleRate"], 16_000, "{ended}");
}

#[tokio::test]
async fn an_extension_is_dialled_once_the_call_is_answered() {
    let phones = Phones::answered_by("telnyx", json!({})).await;
    phones.introduce(CUSTOMER, json!({"stays": true})).await;
    let customer = json!({"number": CUSTOMER, "extension": "12"});
    let call = phones.calls(json!({"customer": customer})).await;
    let id = call["phoneCallProviderId"].as_str().unwrap().to_owned();
    let at_carrier = phones.until_at_carrier(&id, "keys", |call| call["heard"]["keys"] != "").await;
    assert_eq!(at_carrier["heard"]["keys"], "ww12");
}

#[tokio::test]
async fn fifty_calls_outlive_a_kill_and_hear_the_agent_within_three_seconds() {
    scenes::many_calls_outlive_a_kill("telnyx", 50).await;
}
