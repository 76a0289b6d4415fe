//! `assistant-request`: a server says who answers a call that comes in.

use std::time::Duration;

use offhook_actors::egress::Post;
use offhook_api::{
    ServerTarget,
    contract::{self, Mode},
};
use offhook_core::EndedReason;
use serde_json::{Value, json};

use crate::http::{App, now_ms};

/// How long the server may take: carriers wait for 10 to 15 s, and the call is to be set up then.
const ANSWER_LIMIT: Duration = Duration::from_millis(7_500);

/// What the server says.
pub enum Answer {
    /// Fields of a request for a call: `assistantId` or `assistant`, `assistantOverrides`.
    Assistant(Value),
    /// Where the caller is sent, as the contract has destinations.
    Destination(Value),
    /// Nobody answers the call.
    Refused {
        reason: EndedReason,
        /// Spoken to the caller; `None`: an apology.
        words: Option<String>,
        problem: String,
    },
}

/// Asks the server of a number who answers.
pub async fn ask(
    app: &App,
    org: &str,
    server: &ServerTarget,
    call: &Value,
    number: &Value,
) -> Answer {
    let failed = |problem: String| Answer::Refused {
        reason: EndedReason::AssistantRequestFailed,
        words: None,
        problem,
    };
    let body = json!({"message": {
        "type": "assistant-request",
        "timestamp": now_ms(),
        "call": call,
        "customer": call["customer"],
        "phoneNumber": number,
    }});
    let target = ServerTarget { timeout: server.timeout.min(ANSWER_LIMIT), ..server.clone() };
    let event_id = format!("{}-assistant-request", call["id"].as_str().unwrap_or_default());
    let post = Post { target: &target, org, body: &body, event_id: &event_id };
    let answered = tokio::time::timeout(ANSWER_LIMIT, app.node.egress().post(post)).await;
    let answer = match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return failed(format!("the assistant-request {error}")),
        Err(_) => {
            return failed(format!("the assistant-request had no answer in {ANSWER_LIMIT:?}"));
        }
    };
    if !(200..300).contains(&answer.status) {
        let status = answer.status;
        return failed(format!("the assistant-request was answered with {status}, expected 200"));
    }
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(answer) => read(answer),
        Err(_) => failed("the assistant-request was answered with what is no JSON".into()),
    }
}

/// What an answer says.
fn read(mut answer: Value) -> Answer {
    // Servers of web frameworks wrap it as they are wrapped themselves.
    if answer["messageResponse"].is_object() {
        answer = answer["messageResponse"].take();
    }
    let refused = |reason, words: Option<&str>, problem: &str| Answer::Refused {
        reason,
        words: words.map(str::to_owned),
        problem: problem.to_owned(),
    };
    match &answer["error"] {
        Value::Null => {}
        Value::String(words) if !words.trim().is_empty() => {
            let problem = "the assistant-request was answered with an error, which was spoken";
            return refused(EndedReason::AssistantRequestReturnedError, Some(words), problem);
        }
        Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            let problem = "the assistant-request was answered with an error that is no text";
            let reason = EndedReason::AssistantRequestReturnedUnspeakableError;
            return refused(reason, None, problem);
        }
    }
    if !answer["destination"].is_null() {
        return Answer::Destination(answer["destination"].take());
    }
    let picked = ["assistantId", "assistant", "assistantOverrides"].into_iter();
    let picked = picked.filter(|field| !answer[*field].is_null());
    let request: serde_json::Map<String, Value> =
        picked.map(|field| (field.to_owned(), answer[field].clone())).collect();
    if request.contains_key("assistantId") || request.contains_key("assistant") {
        let request = Value::Object(request);
        let problems = contract::validate("CreateCallDTO", &request, Mode::Create);
        if problems.is_empty() {
            return Answer::Assistant(request);
        }
        let problem = format!(
            "the assistant-request was answered with a bad assistant: {}",
            problems.join("; ")
        );
        return refused(EndedReason::AssistantRequestReturnedInvalidAssistant, None, &problem);
    }
    let unsupported = ["squadId", "squad", "workflowId", "workflow"];
    let problem = match unsupported.iter().find(|field| !answer[**field].is_null()) {
        Some(field) => format!(
            "the assistant-request was answered with {field}, which this version does not drive: \
             answer with assistantId or assistant"
        ),
        None => {
            "the assistant-request was answered without an assistant, a destination or an error"
                .to_owned()
        }
    };
    refused(EndedReason::AssistantRequestReturnedNoAssistant, None, &problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(answer: Value) -> String {
        match read(answer) {
            Answer::Refused { reason, .. } => reason.to_string(),
            Answer::Assistant(request) => request.to_string(),
            Answer::Destination(to) => to.to_string(),
        }
    }

    #[test]
    fn each_answer_means_what_the_contract_says() {
        assert_eq!(reason(json!({"assistantId": "a"})), r#"{"assistantId":"a"}"#);
        assert_eq!(
            reason(json!({"messageResponse": {"assistantId": "a"}})),
            r#"{"assistantId":"a"}"#
        );
        let to = json!({"type": "number", "number": "+14155550100"});
        assert_eq!(reason(json!({"destination": to})), to.to_string());
        assert_eq!(reason(json!({"error": "We are closed."})), "assistant-request-returned-error");
        assert_eq!(reason(json!({"error": 17})), "assistant-request-returned-unspeakable-error");
        assert_eq!(reason(json!({})), "assistant-request-returned-no-assistant");
        assert_eq!(reason(json!({"squadId": "s"})), "assistant-request-returned-no-assistant");
        let bad = json!({"assistant": {"firstMessage": 17}});
        assert_eq!(reason(bad), "assistant-request-returned-invalid-assistant");
    }
}
