//! Phone calls through Vonage, as the people on the phone hear them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod phones;
mod support;

use phones::scenes;
use serde_json::{Value, json};

#[tokio::test]
async fn somebody_who_calls_talks_with_the_assistant_and_hangs_up() {
    scenes::somebody_calls("vonage").await;
}

#[tokio::test]
async fn somebody_who_is_called_talks_with_the_assistant() {
    scenes::somebody_is_called("vonage").await;
}

#[tokio::test]
async fn a_call_that_is_not_answered_ends_with_the_reason() {
    let reasons = [
        ("busy", "customer-busy"),
        ("no_answer", "customer-did-not-answer"),
        ("reject", "vonage-rejected"),
        ("not_found", "vonage-failed-to-connect-call"),
        ("failed", "vonage-failed-to-connect-call"),
    ];
    scenes::nobody_answers("vonage", &reasons).await;
}

#[tokio::test]
async fn reports_that_are_late_doubled_and_out_of_order_end_a_call_once() {
    scenes::callbacks_are_a_mess("vonage").await;
}

#[tokio::test]
async fn a_request_that_the_carrier_did_not_sign_is_refused_and_changes_nothing() {
    let paths = [
        "/vonage/answer/{number}",
        "/vonage/event/{number}",
        "/vonage/resume/{call}",
        "/vonage/progress/{call}",
    ];
    scenes::unsigned_requests_are_refused("vonage", &paths).await;
}

fn start(call: &str, token: &str) -> Value {
    json!({"event": "websocket:connected", "content-type": "audio/l16;rate=16000",
        "callId": call, "token": token})
}

#[tokio::test]
async fn a_media_socket_without_a_good_token_is_closed_and_changes_nothing() {
    scenes::sockets_need_a_token("vonage", "/vonage/media/16000", start).await;
}

#[tokio::test]
async fn a_media_socket_that_breaks_is_connected_again() {
    scenes::media_breaks("vonage", json!({"fault": "drop"})).await;
}

#[tokio::test]
async fn a_media_socket_that_falls_silent_is_connected_again() {
    scenes::media_breaks("vonage", json!({"fault": "half_open"})).await;
}

#[tokio::test]
async fn after_a_kill_the_caller_hears_a_bridge_and_the_conversation_goes_on() {
    scenes::the_process_dies("vonage").await;
}

#[tokio::test]
async fn a_caller_who_left_while_no_process_was_there_ends_the_call() {
    scenes::the_caller_leaves_while_the_process_is_dead("vonage").await;
}

#[tokio::test]
async fn with_all_slots_taken_a_caller_is_told_so_or_sent_on() {
    scenes::all_slots_are_taken("vonage").await;
}

#[tokio::test]
async fn a_number_without_an_assistant_asks_its_server() {
    scenes::the_server_is_asked_for_an_assistant("vonage").await;
}

#[tokio::test]
async fn a_hook_of_the_number_speaks_before_anybody_answers() {
    scenes::hooks_act_on_ringing("vonage").await;
}

#[tokio::test]
async fn a_voicemail_that_the_carrier_tells_of_gets_the_message() {
    scenes::a_voicemail_answers("vonage").await;
}

#[tokio::test]
async fn a_call_that_the_assistant_ends_is_over_at_the_carrier() {
    scenes::the_assistant_ends_the_call("vonage").await;
}

#[tokio::test]
async fn a_carrier_that_is_down_leaves_the_call_to_the_next_number() {
    scenes::the_carrier_is_down("vonage").await;
}

#[tokio::test]
async fn keys_that_the_model_presses_reach_the_other_side() {
    scenes::the_model_presses_keys("vonage").await;
}

#[tokio::test]
async fn a_caller_whom_the_model_transfers_talks_with_somebody_else() {
    scenes::the_model_transfers_the_caller("vonage").await;
}

#[tokio::test]
async fn keys_that_the_caller_presses_reach_the_assistant() {
    scenes::the_caller_presses_keys("vonage").await;
}

#[tokio::test]
async fn a_call_that_outlasts_a_deploy_goes_on_in_the_next_server() {
    scenes::the_server_is_replaced("vonage").await;
}

#[tokio::test]
async fn a_call_that_rings_when_the_server_is_killed_is_answered_by_the_next() {
    scenes::the_process_dies_while_it_rings("vonage").await;
}

#[tokio::test]
async fn fifty_calls_outlive_a_kill_and_hear_the_agent_within_three_seconds() {
    scenes::many_calls_outlive_a_kill("vonage", 50).await;
}
