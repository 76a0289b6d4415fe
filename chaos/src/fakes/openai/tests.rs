use super::*;

fn refusal(request: &Value) -> Option<(&'static str, &'static str)> {
    let refusal = check(request).err()?;
    Some((refusal.param.unwrap_or_default(), refusal.code.unwrap_or_default()))
}

fn asking(model: &str, more: &Value) -> Value {
    let mut request = json!({"model": model, "messages": [{"role": "user", "content": "1 2"}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[test]
fn models_that_think_refuse_what_the_others_take() {
    let sampling = json!({"temperature": 0.5, "max_tokens": 50});
    assert_eq!(refusal(&asking("gpt-4.1-mini", &sampling)), None);
    let limited = Some(("max_tokens", "unsupported_parameter"));
    assert_eq!(refusal(&asking("gpt-5.4-mini", &sampling)), limited);
    let warm = json!({"temperature": 0.5, "max_completion_tokens": 50});
    let refused = Some(("temperature", "unsupported_value"));
    assert_eq!(refusal(&asking("gpt-6-luna", &warm)), refused);
    let quiet = json!({"temperature": 0.5, "reasoning_effort": "none"});
    assert_eq!(refusal(&asking("gpt-6-luna", &quiet)), None);
}

#[test]
fn each_tool_call_wants_its_result_and_each_result_its_call() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let user = json!({"role": "user", "content": "1 2"});
    let calling = json!({"role": "assistant", "tool_calls": [call]});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "fine"});
    let ask = |messages: &[&Value]| refusal(&json!({"model": "m", "messages": messages}));
    assert_eq!(ask(&[&user, &calling, &result, &user]), None);
    assert_eq!(ask(&[&user, &calling, &user]), Some(("messages", "")));
    assert_eq!(ask(&[&user, &result]), Some(("messages", "")));
}
