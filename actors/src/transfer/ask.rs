//! `transfer-destination-request`: a server says where a caller is sent.

use std::time::Duration;

use offhook_api::{Destination, ServerTarget, contract, contract::Mode, transfer_plan};
use offhook_core::ServerEvent;
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{CallContext, egress::Post};

/// How long the server may take: a caller waits for it. As an `assistant-request`, which the contract
/// gives so long.
const ANSWER_LIMIT: Duration = Duration::from_millis(7_500);

/// What the server says.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    pub to: Destination,
    /// Said before; `None`: what the destination itself has to say.
    pub words: Option<String>,
}

/// Asks a server where the caller is to be sent.
///
/// # Errors
///
/// Tells the model why nobody knows.
pub(crate) async fn ask(
    context: &CallContext,
    server: Option<ServerTarget>,
) -> Result<Asked, String> {
    let event = ServerEvent::TransferDestinationRequest;
    let name = event.name();
    let Some(server) = server else {
        return Err(format!("nobody can be asked for a destination ({name}): set server.url"));
    };
    if !context.server_messages.allows(&event) {
        return Err(format!("nobody is asked for a destination: serverMessages has no {name}"));
    }
    let body = context.server_message(&event, &context.history(), None);
    let target = ServerTarget { timeout: server.timeout.min(ANSWER_LIMIT), ..server };
    let event_id = format!("{}-{name}-{}", context.spec.id, Uuid::new_v4().simple());
    let post = Post { target: &target, org: &context.spec.org, body: &body, event_id: &event_id };
    let answered = match timeout(ANSWER_LIMIT, context.egress.post(post)).await {
        Ok(Ok(answer)) if (200..300).contains(&answer.status) => read(&answer.body),
        Ok(Ok(answer)) => Err(format!("was answered with {}, expected 200", answer.status)),
        Ok(Err(error)) => Err(format!("was not answered: {error}")),
        Err(_) => Err(format!("had no answer in {ANSWER_LIMIT:?}")),
    };
    answered.map_err(|problem| {
        tracing::warn!(call = %context.spec.id, problem, "no destination for a transfer");
        format!("the caller was not transferred and is still here: the {name} {problem}")
    })
}

/// What an answer says.
fn read(body: &[u8]) -> Result<Asked, String> {
    let answer: Value =
        serde_json::from_slice(body).map_err(|_| "was answered with what is no JSON".to_owned())?;
    // Servers of web frameworks wrap it as they are wrapped themselves.
    let answer = answer.get("messageResponse").filter(|it| it.is_object()).unwrap_or(&answer);
    match &answer["error"] {
        Value::Null => {}
        Value::String(error) => return Err(format!("was answered with an error: {error}")),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err("was answered with an error that is no text".into());
        }
    }
    let destination = &answer["destination"];
    if destination.is_null() {
        return Err("was answered without a destination".into());
    }
    let shape = match destination["type"].as_str() {
        Some("number") => "TransferDestinationNumber",
        Some("sip") => "TransferDestinationSip",
        _ => {
            return Err("was answered with a destination that is neither a number nor a SIP \
                        address"
                .into());
        }
    };
    let mut problems = contract::validate(shape, destination, Mode::Create);
    problems.extend(transfer_plan::refusals_of(destination));
    let to = Destination::read(destination).filter(|_| problems.is_empty());
    let to =
        to.ok_or_else(|| format!("was answered with a bad destination: {}", problems.join("; ")))?;
    Ok(Asked { to, words: words(&answer["message"]) })
}

/// What is said before: a text, or the content of a tool's message.
fn words(message: &Value) -> Option<String> {
    let first = || message["contents"].as_array()?.iter().find_map(|it| it["text"].as_str());
    let said = message.as_str().or_else(|| message["content"].as_str());
    let said = said.or_else(|| message["message"].as_str()).or_else(first)?;
    Some(said.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(answer: Value) -> String {
        read(answer.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn a_destination_comes_with_what_is_said_before() {
        let to = json!({"type": "number", "number": "+14155550199"});
        let message = json!({"type": "request-start", "content": "One moment"});
        let answer = json!({"destination": to, "message": message});
        let asked = read(answer.to_string().as_bytes()).unwrap();
        assert_eq!(asked.to.address(), "+14155550199");
        assert_eq!(asked.words.as_deref(), Some("One moment"));
        let wrapped = json!({"messageResponse": {"destination": to}});
        assert_eq!(read(wrapped.to_string().as_bytes()).unwrap().words, None);
    }

    #[test]
    fn each_bad_answer_is_named() {
        assert!(read(b"<html>").unwrap_err().contains("no JSON"));
        assert!(refusal(json!({})).contains("without a destination"));
        assert!(refusal(json!({"error": "closed"})).ends_with("error: closed"));
        assert!(refusal(json!({"error": 1})).contains("no text"));
        let assistant = json!({"type": "assistant", "assistantName": "a"});
        assert!(refusal(json!({"destination": assistant})).contains("neither a number"));
        let bad = json!({"type": "number", "number": 7});
        assert!(refusal(json!({"destination": bad})).contains("bad destination"));
    }
}
