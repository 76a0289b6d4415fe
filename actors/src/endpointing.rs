//! Asks a document's server how long to wait for the caller (`custom-endpointing-model`).

use std::{future::Future, sync::Arc, time::Duration};

use offhook_api::ServerTarget;
use offhook_core::{Entry, Event, ServerEvent, WAIT_MAX};
use serde::Deserialize;

use crate::{CallContext, egress::Post};

/// Longest wait for an answer. The conversation goes by its own estimate long before; a later answer
/// still counts where that estimate is patient.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The contract's `ServerMessageResponseCallEndpointingRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    timeout_seconds: f64,
}

/// The request to the plan's server, or the assistant's; `None` where there is neither. `history`
/// has in it what the caller is saying.
pub(crate) fn ask(
    context: &Arc<CallContext>,
    request: u32,
    history: &[Entry],
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let Some(server) =
        context.spec.assistant.endpointing_server().or_else(|| context.spec.server.clone())
    else {
        tracing::debug!(call = %context.spec.id, "no server to ask about the end of the turn");
        return None;
    };
    let timeout = server.timeout.min(ANSWER_TIMEOUT);
    let server = ServerTarget { timeout, ..server };
    let body = context.server_message(&ServerEvent::CallEndpointingRequest, history, None);
    let context = context.clone();
    Some(async move {
        let event_id = format!("{}-endpointing-{request}", context.spec.id);
        let org = context.spec.org.as_str();
        let post = Post { target: &server, org, body: &body, event_id: &event_id };
        let outcome = match context.egress.post(post).await {
            Ok(answer) if (200..300).contains(&answer.status) => read(&answer.body),
            Ok(answer) => Err(format!("it answered with status {}", answer.status)),
            Err(error) => Err(error.to_string()),
        };
        let name = if outcome.is_ok() { "ok" } else { "failed" };
        metrics::counter!("offhook_endpointing_requests_total", "outcome" => name).increment(1);
        match outcome {
            Ok(timeout) => context.tell(Event::EndpointingAnswered { request, timeout }),
            Err(problem) => {
                tracing::warn!(call = %context.spec.id, problem, "endpointing server failed");
            }
        }
    })
}

/// The silence that the server wants, within the contract's bounds.
fn read(body: &[u8]) -> Result<Duration, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| UNREADABLE.to_owned())?;
    let seconds = answer.timeout_seconds;
    if !(0.0..=WAIT_MAX.as_secs_f64()).contains(&seconds) {
        return Err(UNREADABLE.to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

const UNREADABLE: &str = "expected {\"timeoutSeconds\": number from 0 to 15} in its answer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_of_seconds_within_the_contracts_bounds() {
        assert_eq!(read(br#"{"timeoutSeconds": 0.5}"#), Ok(Duration::from_millis(500)));
        assert_eq!(read(br#"{"timeoutSeconds": 15, "more": 1}"#), Ok(Duration::from_secs(15)));
        for bad in ["", "{}", "0.5", r#"{"timeoutSeconds": "1"}"#, r#"{"timeoutSeconds": -1}"#] {
            assert_eq!(read(bad.as_bytes()), Err(UNREADABLE.to_owned()), "{bad}");
        }
        assert!(read(br#"{"timeoutSeconds": 16}"#).is_err());
    }
}
