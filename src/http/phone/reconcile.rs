//! What became of calls whose carrier was asked, and whose answer never came.

use std::time::Duration;

use offhook_api::CallDocument;
use offhook_core::campaign::Outcome;
use offhook_supervisors::numbers::{CarrierAccount, StoredNumber, carrier_account};
use offhook_transports::carrier::twilio::{CallFilter, CallInfo};
use tokio::time::timeout;
use uuid::Uuid;

use crate::http::App;

/// How far a carrier's clock may be behind ours when a call is looked for by its time.
const CLOCK_SKEW_S: i64 = 5;

/// How much earlier than the intent calls are listed, since carriers cut times to minutes.
const LISTED_BEFORE_S: i64 = 60;

/// Longest wait for a carrier to list calls.
const LIST_MAX: Duration = Duration::from_secs(15);

/// What a carrier says of a call whose id never came.
pub enum Asked {
    Never,
    Live,
    Over(Outcome),
    CannotTell,
    Failed,
}

/// Asks the carrier of a call's number for a call from it to whom the call is for, since a moment in
/// seconds of the Unix epoch.
pub async fn ask_carrier(app: &App, org: &str, record: &CallDocument, since: i64) -> Asked {
    let id = record.as_value()["phoneNumberId"].as_str().and_then(|id| Uuid::try_parse(id).ok());
    let Some(id) = id else { return Asked::CannotTell };
    let number = match StoredNumber::find(app.node.store(), [org], id).await {
        Ok(Some(number)) => number,
        Ok(None) => return Asked::CannotTell,
        Err(_) => return Asked::Failed,
    };
    let carriers = &app.node.settings().carriers;
    let client = match carrier_account(app.node.vault(), carriers, &number).await {
        Ok(CarrierAccount::Twilio(account)) => match account.client() {
            Ok(client) => client,
            Err(_) => return Asked::Failed,
        },
        // Their lists of calls do not tell whom a call was for.
        Ok(CarrierAccount::Telnyx(_) | CarrierAccount::Vonage(_)) => return Asked::CannotTell,
        Err(_) => return Asked::Failed,
    };
    let filter = CallFilter {
        from: Some(number.view.number.clone()),
        to: record.as_value()["customer"]["number"].as_str().map(str::to_owned),
        started_after: Some(since - LISTED_BEFORE_S),
        ..CallFilter::default()
    };
    match timeout(LIST_MAX, client.calls(&filter)).await {
        Ok(Ok(calls)) => judge(&calls, since),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a carrier cannot say what became of a call");
            Asked::Failed
        }
        Err(_) => Asked::Failed,
    }
}

/// Finds the call of an attempt among those from one number to another.
fn judge(calls: &[CallInfo], since_s: i64) -> Asked {
    let is_it =
        |call: &&CallInfo| call.started_at.is_none_or(|started| started >= since_s - CLOCK_SKEW_S);
    let Some(call) = calls.iter().find(is_it) else { return Asked::Never };
    if !call.is_over() {
        return Asked::Live;
    }
    Asked::Over(match call.status.as_str() {
        "completed" => Outcome::Answered,
        "busy" => Outcome::Busy,
        "no-answer" => Outcome::NoAnswer,
        _ => Outcome::Failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(status: &str, started_at: Option<i64>) -> CallInfo {
        let text = String::from;
        CallInfo {
            sid: text("CA1"),
            status: text(status),
            from: text("+1"),
            to: text("+2"),
            started_at,
        }
    }

    #[test]
    fn a_call_that_began_before_the_intent_is_another_one() {
        assert!(matches!(judge(&[], 100), Asked::Never));
        assert!(matches!(judge(&[call("completed", Some(90))], 100), Asked::Never));
        assert!(matches!(judge(&[call("queued", None)], 100), Asked::Live));
        let busy = [call("completed", Some(50)), call("busy", Some(101))];
        assert!(matches!(judge(&busy, 100), Asked::Over(Outcome::Busy)));
    }
}
