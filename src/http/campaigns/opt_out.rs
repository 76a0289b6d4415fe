//! Callees who want no more calls: their call shows it, by a tool that was used or by keys.

use offhook_actors::campaign::DialOrder;
use offhook_api::{CallDocument, campaign::number_key};
use offhook_core::{CallTime, KeypadEntry};
use serde_json::Value;

use super::super::{App, do_not_call};

/// Puts the callee of a call that is over on the do-not-call list, if they asked for it.
pub async fn heed(app: &App, order: &DialOrder, record: &CallDocument) {
    let plan = &order.campaign.document["dialingPlan"]["optOut"];
    let Some(how) = asked(plan, record.as_value()) else { return };
    let number = order.customer["number"].as_str().unwrap_or_default();
    let Some(key) = number_key(number) else { return };
    // From here on, whatever the disk says.
    app.node.campaigns().bar(&order.campaign.org, key);
    let reason = Some(format!("{how} in call {}", order.intent).into());
    if let Err(error) = do_not_call::add(app, &order.campaign.org, number, key, reason).await {
        tracing::error!(call = %order.intent, %error, "an opt-out is not on disk");
    }
}

/// How a call's messages ask for it.
fn asked(plan: &Value, record: &Value) -> Option<String> {
    let tool = plan["tool"].as_str();
    let keys = plan["keys"].as_str().map(entry);
    let messages = record["artifact"]["messages"].as_array()?;
    for message in messages {
        match message["role"].as_str()? {
            "tool_calls" => {
                let calls = message["toolCalls"].as_array().map_or(&[][..], Vec::as_slice);
                let is_it = |call: &Value| call["function"]["name"].as_str() == tool;
                if tool.is_some() && calls.iter().any(is_it) {
                    return tool.map(|tool| format!("tool {tool}"));
                }
            }
            "user" => {
                let said = message["message"].as_str().unwrap_or_default();
                if keys.as_ref().is_some_and(|entry| said.trim() == entry) {
                    return Some("keys".into());
                }
            }
            _ => {}
        }
    }
    None
}

/// Keys as the conversation shows them.
fn entry(keys: &str) -> String {
    KeypadEntry { keys: keys.to_owned(), began_at: CallTime::ZERO }.text()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_that_was_used_and_keys_that_were_typed_ask_for_no_more_calls() {
        let plan = json!({"tool": "stop_calling", "keys": "9"});
        let call = |message: Value| json!({"artifact": {"messages": [{"role": "bot", "message": "Hi"}, message]}});
        let used = call(
            json!({"role": "tool_calls", "toolCalls": [{"function": {"name": "stop_calling"}}]}),
        );
        assert_eq!(asked(&plan, &used).unwrap(), "tool stop_calling");
        assert_eq!(asked(&json!({}), &used), None);
        let typed = |keys: &str| call(json!({"role": "user", "message": entry(keys)}));
        assert_eq!(asked(&plan, &typed("9")).unwrap(), "keys");
        assert_eq!(asked(&plan, &typed("19")), None);
        assert_eq!(asked(&plan, &call(json!({"role": "user", "message": "9"}))), None);
    }
}
