//! What is fuzzed: everything that reads bytes of somebody else.
//!
//! Each target takes any bytes, and panics when a promise is broken; that nothing panics and
//! nothing takes for ever is the first of them.

use offhook_api::{
    AssistantView, MessageFilter, contract, control, resolve_assistant, template::Renderer,
    tool_response,
};
use serde_json::{Value, json};

/// A target: its name, which is its folder in `corpus/` too, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("websocket_ingress", websocket_ingress),
    ("twilio_ingress", twilio_ingress),
    ("telnyx_ingress", telnyx_ingress),
    ("vonage_ingress", vonage_ingress),
    ("carrier_webhooks", carrier_webhooks),
    ("contract_validate", contract_validate),
    ("assistant_view", assistant_view),
    ("control_message", control_message),
    ("tool_response", tool_response),
    ("template", template),
];

/// The shapes that request bodies are checked against, and how.
const SHAPES: &[(&str, contract::Mode)] = &[
    ("CreateAssistantDTO", contract::Mode::Create),
    ("UpdateAssistantDTO", contract::Mode::Update),
    ("CreateCallDTO", contract::Mode::Create),
    ("UpdateCallDTO", contract::Mode::Update),
    ("DeleteCallDTO", contract::Mode::Create),
];

/// A moment for templates that ask for the time: 2024-01-01, in milliseconds since the epoch.
const NOW_MS: i64 = 1_704_067_200_000;

/// The messages of a media socket, through codec, limits and timeline.
pub fn websocket_ingress(data: &[u8]) {
    offhook_transports::fuzz_decode(data);
}

/// The messages of Twilio's media stream.
pub fn twilio_ingress(data: &[u8]) {
    offhook_transports::fuzz_stream("twilio", data);
}

/// The messages of Telnyx's media stream.
pub fn telnyx_ingress(data: &[u8]) {
    offhook_transports::fuzz_stream("telnyx", data);
}

/// The messages of Vonage's websocket endpoint.
pub fn vonage_ingress(data: &[u8]) {
    offhook_transports::fuzz_stream("vonage", data);
}

/// A webhook of each carrier, believed and read; its first line is the signature.
pub fn carrier_webhooks(data: &[u8]) {
    use offhook_transports::{carrier, signature};

    let text = String::from_utf8_lossy(data);
    let (header, body) = text.split_once('\n').unwrap_or((&text, ""));
    let form = signature::twilio::parse_form(body.as_bytes()).unwrap_or_default();
    let request = signature::twilio::Request {
        public_url: header,
        path_and_query: header,
        signature: Some(header),
        settings: Some(header),
        body: signature::twilio::Body::Form(&form),
    };
    let keys = signature::twilio::Keys { auth_token: "secret", shared: &[] };
    assert!(signature::twilio::verify(keys, &request).is_err(), "nobody knows the secret");
    let key = signature::telnyx::PublicKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=");
    let key = key.expect("it is 32 bytes");
    let now = NOW_MS / 1_000;
    let signed_now = now.to_string();
    let telnyx = |time| {
        signature::telnyx::verify(&key, Some(header), Some(time), body.as_bytes(), now).is_err()
    };
    assert!(telnyx(header) && telnyx(&signed_now), "nobody knows the key");
    let vonage = signature::vonage::verify("secret", Some(header), body.as_bytes(), now);
    assert!(vonage.is_err(), "nobody knows the secret");

    let form = carrier::twilio::Form(&form);
    let (_step, _by) = (carrier::twilio::step_of(&form), carrier::twilio::answered_by(&form));
    for problem in [
        carrier::telnyx::parse(body.as_bytes()).err(),
        carrier::vonage::parse_answer(body.as_bytes()).err(),
        carrier::vonage::parse_event(body.as_bytes()).err(),
    ] {
        assert!(problem.is_none_or(|problem| !problem.is_empty()));
    }
    if let Ok(twiml) = carrier::twilio::check_twiml(body) {
        assert!(twiml.contains("<Response"));
        assert!(carrier::twilio::check_twiml(&twiml).is_ok(), "what was taken is taken again");
    }
    let say = carrier::twilio::Verb::Say(carrier::twilio::Say::new(body));
    if let Ok(twiml) = carrier::twilio::twiml(&[say]) {
        assert!(carrier::twilio::check_twiml(&twiml).is_ok(), "what we write is XML");
    }
}

/// A request body against the contract.
pub fn contract_validate(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    for (shape, mode) in SHAPES {
        let problems = contract::validate(shape, &document, *mode);
        assert!(problems.len() <= contract::MAX_VIOLATIONS);
        assert!(problems.iter().all(|problem| !problem.is_empty()));
        assert_eq!(problems, contract::validate(shape, &document, *mode), "not the same twice");
    }
}

/// A document as the runtime reads it: whatever the contract lets in can be read.
pub fn assistant_view(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    let call = json!({"id": "call", "customer": {"number": "+4670"}, "transport": document});
    for overrides in [None, Some(&document)] {
        let resolved = resolve_assistant(&document, overrides, &call, NOW_MS);
        let is_valid =
            contract::validate("CreateAssistantDTO", &document, contract::Mode::Create).is_empty();
        match AssistantView::new(resolved.document) {
            Ok(assistant) => read_all(&assistant),
            Err(problem) => assert!(!is_valid || overrides.is_some(), "{problem}"),
        }
    }
}

fn read_all(assistant: &AssistantView) {
    let options = assistant.call_options();
    assert!(options.first_message.is_none_or(|message| !message.trim().is_empty()));
    assert_eq!(options.tools.len(), assistant.tools().len());
    let _filters: [MessageFilter; 2] = [assistant.server_messages(), assistant.client_messages()];
    let _plans = (assistant.artifact_plan(), assistant.monitor_plan());
    for tool in assistant.tools() {
        assert!(assistant.tool(&tool.spec.name).is_some());
        assert!(tool.arguments(&Value::Null).is_object());
    }
}

/// A control message, from a socket or the control URL.
pub fn control_message(data: &[u8]) {
    let Ok(message) = serde_json::from_slice::<Value>(data) else { return };
    if let Err(problems) = control::parse(&message) {
        assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.is_empty()));
    }
}

/// What a tool's server answered.
pub fn tool_response(data: &[u8]) {
    for id in ["call_1", ""] {
        if let Err(problem) = tool_response::parse(data, id) {
            assert!(!problem.is_empty());
        }
    }
}

/// A template of a prompt; what is before the first line break is the variables.
pub fn template(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (variables, text) = text.split_once('\n').unwrap_or(("", &text));
    let variables = serde_json::from_str(variables).unwrap_or(json!({"name": "Kim", "n": [1, 2]}));
    let mut renderer = Renderer::new(&variables, NOW_MS);
    match renderer.render(text) {
        Ok(rendered) => {
            assert!(rendered.len() <= offhook_api::template::OUTPUT_BYTES_MAX.max(text.len()))
        }
        Err(problem) => assert!(!problem.is_empty()),
    }
}
