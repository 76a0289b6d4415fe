//! The contract as clients meet it: what is accepted, what is refused and in which words.

mod generate;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use self::generate::Generator;
use super::shape::{Shape, Text};
use super::table::Table;
use super::{MAX_VIOLATIONS, Mode, components, json_schema, providers, shape_names, validate};

fn assistant(value: Value) -> Vec<String> {
    validate("CreateAssistantDTO", &value, Mode::Create)
}

fn call(value: Value) -> Vec<String> {
    validate("CreateCallDTO", &value, Mode::Create)
}

const NOTHING: [&str; 0] = [];

#[test]
fn an_assistant_with_every_kind_of_part_is_accepted() {
    let clinic = json!({
        "name": "Riverside Clinic desk",
        "firstMessage": "Riverside Clinic, how may I help?",
        "firstMessageMode": "assistant-speaks-first",
        "transcriber": {
            "provider": "deepgram", "model": "nova-3", "language": "en", "keywords": ["Anwar:2", "clinic"],
            "fallbackPlan": {"transcribers": [{"provider": "assembly-ai"}, {"provider": "local"}]}
        },
        "voice": {
            "provider": "11labs", "voiceId": "any-voice", "stability": 0.5, "chunkPlan": {"minCharacters": 20},
            "fallbackPlan": {"voices": [{"provider": "openai", "voiceId": "alloy"}, {"provider": "local"}]}
        },
        "model": {
            "provider": "openai", "model": "gpt-4o", "temperature": 0.3, "maxTokens": 200.0,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "assistant", "content": null}],
            "tools": [
                {
                    "type": "function", "async": false,
                    "server": {"url": "https://clinic.example/hook", "secret": "s", "timeoutSeconds": 5},
                    "function": {"name": "book_slot", "parameters": {
                        "type": "object",
                        "properties": {"at": {"type": "string", "format": "date-time", "minLength": 4}},
                        "required": ["at"]
                    }}
                },
                {"type": "transferCall", "function": {"name": "to_nurse"}, "destinations": [
                    {"type": "number", "number": "+14155550100", "message": "One moment."},
                    {"type": "sip", "sipUri": "sip:desk@clinic.example", "message": {"type": "custom-message"}}
                ]},
                {"type": "endCall"}
            ]
        },
        "clientMessages": ["transcript", "status-update"],
        "serverMessages": ["end-of-call-report", "transcript[transcriptType=\"final\"]"],
        "startSpeakingPlan": {
            "waitSeconds": 0.4,
            "smartEndpointingEnabled": "livekit",
            "smartEndpointingPlan": {"provider": "krisp", "threshold": 0.5}
        },
        "stopSpeakingPlan": {"numWords": 2, "voiceSeconds": 0.2, "backoffSeconds": 1},
        "voicemailDetection": "off",
        "backgroundSound": "https://clinic.example/waiting-room.mp3",
        "hooks": [
            {"on": "call.timeElapsed", "options": {"seconds": 300}, "do": [{"type": "say", "exact": ["a", "b"]}]},
            {"on": "customer.speech.timeout[timeout=10]", "do": [{"type": "say", "prompt": "Still there?"}]},
            {"on": "model.response.timeout", "do": [{"type": "say", "exact": "One moment."}]},
            {"on": "call.ending", "filters": [{"type": "oneOf", "key": "call.endedReason", "oneOf": ["pipeline-error"]}],
             "do": [{"type": "tool", "tool": {"type": "endCall"}}]}
        ],
        "server": {"url": "https://clinic.example/events", "headers": {"x-tenant": "7"},
                   "backoffPlan": {"type": "exponential", "maxRetries": 3, "baseDelaySeconds": 1}},
        "keypadInputPlan": {"enabled": true, "delimiters": ["#"]},
        "silenceTimeoutSeconds": 30,
        "maxDurationSeconds": 600,
        "metadata": {"anything": [1, {"goes": null}]}
    });

    assert_eq!(assistant(clinic.clone()), NOTHING);
    assert_eq!(validate("UpdateAssistantDTO", &clinic, Mode::Update), NOTHING);
    assert_eq!(call(json!({"assistant": clinic})), NOTHING);
}

#[test]
fn a_websocket_call_is_accepted_with_either_audio_format() {
    for format in ["pcm_s16le", "mulaw"] {
        let audio = json!({"format": format, "container": "raw", "sampleRate": 8000});
        let transport = json!({"provider": "vapi.websocket", "audioFormat": audio});
        let overrides = json!({"variableValues": {"name": "Ada"}, "firstMessage": "Hi {{name}}"});
        let document =
            json!({"assistantId": "a", "assistantOverrides": overrides, "transport": transport});
        assert_eq!(call(document), NOTHING);
    }
}

#[test]
fn the_socket_address_is_ours_to_give_and_not_the_clients() {
    let transport = json!({"provider": "vapi.websocket", "websocketCallUrl": "wss://host/x"});
    let time = "2026-01-02T03:04:05.678Z";
    let stored = json!({"id": "c", "orgId": "o", "createdAt": time, "updatedAt": time, "transport": transport});

    assert_eq!(validate("Call", &stored, Mode::Create), NOTHING);
    assert_eq!(
        call(json!({"transport": transport})),
        ["transport.property websocketCallUrl should not exist"]
    );
}

#[test]
fn the_embedded_providers_are_accepted() {
    let rules = json!([
        {"when": "book|appointment", "reply": "For when?", "call": {"name": "find_slot", "arguments": {"day": "monday"}}},
        {"when": "*", "tool": "find_slot", "reply": "There is one at nine.", "end": true}
    ]);
    let document = json!({
        "transcriber": {"provider": "local", "grammar": "#JSGF V1.0; grammar g; public <g> = yes | no;", "language": "en"},
        "voice": {"provider": "local", "voiceId": "rms", "engine": "flite", "speed": 1.2, "cachingEnabled": true},
        "model": {"provider": "scripted", "rules": rules, "tokenDelayMs": 20, "temperature": 0, "toolIds": ["t"]}
    });
    assert_eq!(assistant(document), NOTHING);

    let broken = json!({"model": {"provider": "scripted", "rules": [{"when": "(", "replay": "x"}], "tokenDelayMs": 1001}});
    assert_eq!(
        assistant(broken),
        [
            "model.rules.0.property replay should not exist",
            "model.rules.0.when must be * or a valid regular expression",
            "model.tokenDelayMs must not be greater than 1000",
        ]
    );
}

#[test]
fn a_model_that_is_newer_than_the_contract_is_accepted() {
    for provider in providers("model") {
        let mut model = json!({"provider": provider, "model": "next-year-s-model:8b"});
        match provider {
            "custom-llm" => model["url"] = "https://models.example/v1".into(),
            "scripted" => model["rules"] = json!([{"when": "*", "reply": "Yes."}]),
            _ => {}
        }
        assert_eq!(assistant(json!({ "model": model })), NOTHING, "{provider}");
    }
    let fallback = json!({"provider": "openai", "model": "a", "fallbackModels": ["b"]});
    assert_eq!(assistant(json!({ "model": fallback })), NOTHING);
    for (name, violation) in [("", "longer than or equal to 1"), (&"m".repeat(201), "200")] {
        let found = assistant(json!({"model": {"provider": "openai", "model": name}}));
        assert!(found[0].starts_with("model.model") && found[0].contains(violation), "{found:?}");
    }
}

#[test]
fn each_kind_of_violation_is_named_with_its_path() {
    let cases = [
        (json!({"foo": 1}), "property foo should not exist"),
        (
            json!({"model": {"provider": "openai", "model": "gpt-4o", "foo": 1}}),
            "model.property foo should not exist",
        ),
        (json!({"firstMessage": 1}), "firstMessage must be a string"),
        (json!({"firstMessage": null}), "firstMessage must be a string"),
        (
            json!({"maxDurationSeconds": "9"}),
            "maxDurationSeconds must be a number conforming to the specified constraints",
        ),
        (json!({"maxDurationSeconds": 9}), "maxDurationSeconds must not be less than 10"),
        (json!({"maxDurationSeconds": 43201}), "maxDurationSeconds must not be greater than 43200"),
        (
            json!({"modelOutputInMessagesEnabled": "yes"}),
            "modelOutputInMessagesEnabled must be a boolean value",
        ),
        (json!({"clientMessages": "hang"}), "clientMessages must be an array"),
        (json!({"analysisPlan": []}), "analysisPlan must be an object"),
        (json!({"metadata": "x"}), "metadata must be an object"),
        (json!({"voice": "rms"}), "voice must be an object"),
        (json!({"name": "x".repeat(41)}), "name must be shorter than or equal to 40 characters"),
        (
            json!({"firstMessageMode": "never"}),
            "firstMessageMode must be one of the following values: assistant-speaks-first, \
             assistant-speaks-first-with-model-generated-message, assistant-waits-for-user",
        ),
        (json!({"voice": {"provider": "11labs"}}), "voice.voiceId should not be null or undefined"),
        (
            json!({"voice": {"provider": "openai", "voiceId": null}}),
            "voice.voiceId must be a string",
        ),
        (
            json!({"transcriber": {"provider": "deepgram", "keywords": ["fine", "not fine"]}}),
            r"transcriber.keywords.1 must match /^\p{L}[\p{L}\d]*(?::[+-]?\d+)?$/ regular expression",
        ),
        (
            json!({"model": {"provider": "openai", "model": "gpt-4o", "messages": [{"role": "system", "content": "a"},
                                                                                 {"role": "user", "content": 1}]}}),
            "model.messages.1.content must be a string",
        ),
        (
            json!({"backgroundSound": "loud"}),
            "backgroundSound must be one of the following values: off, office",
        ),
        (
            json!({"startSpeakingPlan": {"smartEndpointingEnabled": 1}}),
            "startSpeakingPlan.smartEndpointingEnabled must be a boolean value or a string",
        ),
    ];
    for (document, violation) in cases {
        assert_eq!(assistant(document.clone()), [violation], "{document}");
    }
    assert_eq!(
        validate("CreateAssistantDTO", &json!([]), Mode::Create),
        ["request body must be an object"]
    );
    assert_eq!(
        validate("Nonsense", &json!({}), Mode::Create),
        ["the contract has no shape `Nonsense`"]
    );
}

#[test]
fn what_the_call_would_compile_is_compiled_with_the_document() {
    let plan = |plan: Value| assistant(json!({"startSpeakingPlan": plan}));
    let smart = |source: &str| {
        plan(json!({"smartEndpointingPlan": {"provider": "livekit", "waitFunction": source}}))
    };
    assert_eq!(smart("200 + 8000 * x"), [""; 0]);
    assert_eq!(
        smart("200 + 8000 * y"),
        ["startSpeakingPlan.smartEndpointingPlan.waitFunction must be an arithmetic expression \
             in x: there is no `y` at character 14"]
    );
    let rule = |regex: &str| {
        let rule = json!({"type": "customer", "regex": regex, "timeoutSeconds": 1});
        plan(json!({"customEndpointingRules": [rule]}))
    };
    assert_eq!(rule(r"\d{3}|number"), [""; 0]);
    assert_eq!(
        rule("(no"),
        ["startSpeakingPlan.customEndpointingRules.0.regex must be a valid regular expression: \
             unclosed group"]
    );
    assert_eq!(rule("*").len(), 1);
    assert_eq!(plan(json!({"speculationEnabled": "no"})).len(), 1);
    // Not in the contract as providers of the plan: their transcribers do it by themselves.
    assert_eq!(plan(json!({"smartEndpointingPlan": {"provider": "deepgram-flux"}})).len(), 1);
}

#[test]
fn lengths_and_formats_of_other_resources_are_checked() {
    let customer = |number: &str| call(json!({"customer": {"number": number}}));
    assert_eq!(customer("12"), ["customer.number must be longer than or equal to 3 characters"]);

    let at = |time: &str| call(json!({"schedulePlan": {"earliestAt": time}}));
    assert_eq!(at("2026-03-01T09:00:00Z"), NOTHING);
    assert_eq!(at("2026-03-01T09:00:00.123456+02:00"), NOTHING);
    assert_eq!(at("tomorrow"), ["schedulePlan.earliestAt must be a valid ISO 8601 date string"]);

    let refer = |id: &str| json!({"model": {"provider": "openai", "model": "gpt-4o", "toolRefs": [{"toolId": id}]}});
    assert!(assistant(refer("5")).contains(&"model.toolRefs.0.toolId must be a UUID".to_owned()));
}

#[test]
fn an_unknown_provider_is_answered_with_those_that_exist() {
    let [violation] = &assistant(json!({"transcriber": {"provider": "deepgrm", "model": "x"}}))[..]
    else {
        panic!("expected one violation");
    };
    let (start, listed) = violation.split_once(": ").unwrap();
    assert_eq!(start, "transcriber.provider must be one of the following values");
    assert_eq!(listed, providers("transcriber").join(", "));

    let missing = assistant(json!({"model": {"model": "gpt-4o"}}));
    assert!(
        missing[0].starts_with("model.provider must be one of the following values: anthropic, "),
        "{missing:?}"
    );
    let hook = assistant(json!({"hooks": [{"on": "call.started", "do": []}]}));
    assert!(hook[0].starts_with("hooks.0.on must be one of"), "{hook:?}");
    assert!(!hook[0].contains("[*]"), "{hook:?}");
}

#[test]
fn all_violations_are_reported_up_to_the_limit() {
    assert_eq!(
        assistant(json!({"a": 1, "name": 2, "voice": {"provider": "openai", "b": 3}})),
        [
            "property a should not exist",
            "voice.property b should not exist",
            "voice.voiceId should not be null or undefined",
            "name must be a string",
        ]
    );

    let many: serde_json::Map<_, _> =
        (0..1_000).map(|n| (format!("field{n}"), Value::Null)).collect();
    assert_eq!(assistant(Value::Object(many)).len(), MAX_VIOLATIONS);
}

#[test]
fn an_update_may_leave_out_and_clear_but_not_break() {
    let update = |value| validate("UpdateAssistantDTO", &value, Mode::Update);
    assert_eq!(update(json!({})), NOTHING);
    assert_eq!(update(json!({"firstMessage": null, "voice": null})), NOTHING);
    assert_eq!(
        update(json!({"voice": {"provider": "openai", "voiceId": null}})),
        ["voice.voiceId must be a string"]
    );
    assert_eq!(update(json!({"foo": null})), ["property foo should not exist"]);

    let squad = |mode| validate("UpdateSquadDTO", &json!({"name": "s"}), mode);
    assert_eq!(squad(Mode::Update), NOTHING);
    assert_eq!(squad(Mode::Create), ["members should not be null or undefined"]);

    let tool = |value| validate("UpdateToolDTO", &value, Mode::Update);
    assert_eq!(tool(json!({"type": "endCall", "messages": null})), NOTHING);
    assert_eq!(tool(json!({"url": "https://x.example", "method": "GET"})), NOTHING);
    assert_eq!(
        tool(json!({"method": "GET", "nonsense": 1})),
        ["property nonsense should not exist"]
    );
}

#[test]
fn every_provider_is_accepted_with_what_it_requires() {
    assert_eq!(providers("transcriber").len(), 15);
    assert_eq!(providers("model").len(), 22);
    assert_eq!(providers("voice").len(), 21);
    assert_eq!(providers("telepathy"), NOTHING);

    let table = Table::built_in();
    for kind in ["transcriber", "model", "voice"] {
        let Some(Shape::Tagged { of, .. }) =
            table.named(&format!("Any{}{}", kind[..1].to_uppercase(), &kind[1..]))
        else {
            panic!("{kind} is not a union");
        };
        for (provider, shape) in of {
            let mut part = Generator::required_only(table, 1).value(shape);
            part["provider"] = json!(provider);
            assert_eq!(assistant(json!({ kind: part })), NOTHING, "{kind} {provider}");
        }
    }
}

#[test]
fn names_of_clients_are_not_repeated_at_length() {
    let [violation] = &assistant(json!({"é".repeat(5_000): 1}))[..] else {
        panic!("expected one violation")
    };
    assert!(violation.chars().count() < 200);
}

#[test]
fn nesting_and_work_are_bounded() {
    let mut schema = json!({"type": "object"});
    for _ in 0..200 {
        schema = json!({"type": "object", "properties": {"x": schema}});
    }
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": schema}});
    let deep = validate("CreateToolDTO", &tool, Mode::Create);
    assert!(!deep.is_empty());
    assert!(
        deep.iter().all(|fault| fault.ends_with("must not be nested deeper than 64 levels")),
        "{deep:?}"
    );

    let messages = vec![json!({"role": "user", "content": "x"}); 200_000];
    let wide = assistant(
        json!({"model": {"provider": "openai", "model": "gpt-4o", "messages": messages}}),
    );
    assert_eq!(wide, ["the document must not have more than 500000 values"]);
}

#[test]
fn a_table_with_a_mistake_is_refused_with_its_place() {
    let error = |shapes, extensions| Table::read(shapes, extensions).err().unwrap();
    assert_eq!(
        error(r#"{"A":{"has":{"b!":"@C"}}}"#, "{}"),
        "shape `A`: field `b!`: nothing is called `C`"
    );
    assert_eq!(error(r#"{"A":"string"}"#, "{}"), "shape `A`: unknown type `string`");
    assert_eq!(
        error(r#"{"A":"str 1-4"}"#, "{}"),
        "shape `A`: expected bounds such as `1..40`, found `1-4`"
    );
    assert_eq!(
        error("{}", r#"{"+A":{"has":{}}}"#),
        "nothing is called `A`, so it cannot be extended"
    );
    assert_eq!(
        error(r#"{"A":"str"}"#, r#"{"A":"num"}"#),
        "the extension `A` has the name of another shape"
    );
}

#[test]
fn every_pattern_of_the_table_compiles_and_has_a_sample() {
    let mut patterns = BTreeSet::new();
    for name in shape_names() {
        visit(Table::built_in().named(name).unwrap(), &mut |shape| {
            if let Shape::Text(Text { pattern: Some(pattern), .. }) = shape {
                assert!(pattern.compiled().is_some(), "{}", pattern.source);
                assert!(pattern.matches(generate::sample(&pattern.source)), "{}", pattern.source);
                patterns.insert(pattern.source.clone());
            }
        });
    }
    assert!(patterns.len() >= 7, "{patterns:?}");
}

#[test]
fn schemas_refer_only_to_components_that_are_delivered() {
    let components = components(&[
        "CreateAssistantDTO",
        "UpdateAssistantDTO",
        "Assistant",
        "CreateCallDTO",
        "Call",
    ]);
    let known: BTreeSet<_> = components.keys().cloned().collect();
    let mut referred = BTreeSet::new();
    for schema in components.values() {
        references(schema, &mut referred);
    }
    assert!(referred.is_subset(&known), "{:?}", referred.difference(&known));
    assert!(known.contains("LocalVoice") && known.contains("ScriptedRule"));

    assert_eq!(
        json_schema("ScriptedCall"),
        json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 64},
                "arguments": {"type": "object", "additionalProperties": true}
            },
            "additionalProperties": false,
            "required": ["name"]
        })
    );
    let voice = json_schema("AnyVoice");
    assert_eq!(voice["discriminator"]["propertyName"], "provider");
    assert_eq!(voice["discriminator"]["mapping"]["local"], "#/components/schemas/LocalVoice");
    let name = &json_schema("UpdateAssistantDTO")["properties"]["name"];
    assert_eq!(*name, json!({"anyOf": [{"type": "string", "maxLength": 40}, {"type": "null"}]}));
    assert_eq!(
        json_schema("CreateAssistantDTO")["properties"]["name"],
        json!({"type": "string", "maxLength": 40})
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_value_made_from_a_shape_is_accepted(seed: u64, which in 0..1_000_usize) {
        let names: Vec<_> = shape_names().collect();
        let name = names[which % names.len()];
        let table = Table::built_in();
        let value = Generator::new(table, seed).value(table.named(name).unwrap());
        prop_assert_eq!(validate(name, &value, Mode::Create), NOTHING, "{} {}", name, value);
    }

    #[test]
    fn an_assistant_is_accepted_and_a_field_too_many_refused_wherever_it_is(seed: u64) {
        let table = Table::built_in();
        let mut generator = Generator::new(table, seed);
        let value = generator.value(table.named("CreateAssistantDTO").unwrap());
        prop_assert_eq!(assistant(value.clone()), NOTHING);

        for place in generator.closed_records() {
            let mut spoilt = value.clone();
            spoilt.pointer_mut(place).unwrap()["zzz"] = json!(1);
            let path = place.trim_start_matches('/').replace('/', ".");
            let dot = if path.is_empty() { "" } else { "." };
            prop_assert_eq!(assistant(spoilt), [format!("{path}{dot}property zzz should not exist")]);
        }
    }

    #[test]
    fn no_value_whatever_brings_the_validator_down(seed: u64, which in 0..1_000_usize) {
        let names: Vec<_> = shape_names().collect();
        let name = names[which % names.len()];
        let value = generate::anything(seed);
        for mode in [Mode::Create, Mode::Update] {
            prop_assert!(validate(name, &value, mode).len() <= MAX_VIOLATIONS);
        }
    }
}

fn visit(shape: &Shape, look: &mut impl FnMut(&Shape)) {
    look(shape);
    match shape {
        Shape::List { item: inner, .. } | Shape::Map(inner) | Shape::Nullable(inner) => {
            visit(inner, look)
        }
        Shape::Record(record) => record.fields.iter().for_each(|field| visit(&field.shape, look)),
        Shape::Tagged { of, .. } => of.iter().for_each(|(_, shape)| visit(shape, look)),
        Shape::Either(variants) => variants.iter().for_each(|shape| visit(shape, look)),
        Shape::Any
        | Shape::Null
        | Shape::Bool
        | Shape::Free
        | Shape::Number { .. }
        | Shape::Text(_)
        | Shape::One(_)
        | Shape::Ref(_) => {}
    }
}

fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                found.insert(reference.trim_start_matches("#/components/schemas/").to_owned());
            }
            object.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
