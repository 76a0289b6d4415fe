//! Phone calls through Twilio, as the people on the phone hear them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod phones;
mod support;

use phones::{CUSTOMER, Phones, heard};
use serde_json::json;

#[tokio::test]
async fn somebody_who_calls_talks_with_the_assistant_and_hangs_up() {
    let phones = Phones::answered_by("twilio", json!({})).await;
    let id = phones.rings(json!({"lines": [{"say": "5 1"}, {"say": "5 2"}]})).await;
    let call = phones.hung_up(&id).await;
    assert!(heard(&call).starts_with("7 5 1"), "{call:#}");
    assert!(heard(&call).contains("5 2"), "{call:#}");

    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    assert_eq!(ended["type"], "inboundPhoneCall");
    assert_eq!(ended["phoneCallProvider"], "twilio");
    assert_eq!(ended["phoneCallProviderId"], *id);
    assert_eq!(ended["transport"]["callSid"], *id);
    assert_eq!(ended["phoneNumberId"], phones.number["id"]);
    assert_eq!(ended["customer"]["number"], CUSTOMER);
    phones.reported(&ended).await;
}

#[tokio::test]
async fn somebody_who_is_called_talks_with_the_assistant() {
    let mut phones = Phones::answered_by("twilio", json!({})).await;
    phones.introduce(CUSTOMER, json!({"lines": [{"say": "5 1"}]})).await;
    phones.number = phones.number.clone();
    let call = phones.calls(json!({})).await;
    assert_eq!(call["status"], "queued", "{call}");
    let id = call["phoneCallProviderId"].as_str().unwrap().to_owned();
    let at_carrier = phones.hung_up(&id).await;
    assert!(heard(&at_carrier).starts_with("7 5 1"), "{at_carrier:#}");
    let ended = phones.ended(&call).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    assert_eq!(ended["type"], "outboundPhoneCall");
}
