use expect_test::expect;
use offhook_core::{KeypadPlan, ServerEvent, StartSpeaking, TurnJudge, WaitFunction};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;

fn view(document: Value) -> AssistantView {
    AssistantView::new(document).unwrap()
}

#[test]
fn an_empty_assistant_has_the_contracts_defaults() {
    let options = view(json!({})).call_options();
    assert_eq!(options.first_message_mode, FirstMessageMode::AssistantWaitsForUser);
    assert_eq!(options.first_message, None);
    assert!(!options.first_message_interruptions_enabled);
    assert_eq!(options.silence_timeout, Duration::from_secs(30));
    assert_eq!(options.max_duration, Duration::from_secs(600));
    let judge = TurnJudge::Estimate { wait: WaitFunction::default() };
    assert_eq!(
        options.start_speaking,
        StartSpeaking { judge, speculation: true, ..StartSpeaking::default() }
    );
    expect![[r#"
        {
          "num_words": 0,
          "voice": {
            "secs": 0,
            "nanos": 200000000
          },
          "voice_over_speech": {
            "secs": 2,
            "nanos": 0
          },
          "backoff": {
            "secs": 1,
            "nanos": 0
          },
          "acknowledgement_phrases": 22,
          "interruption_phrases": 20
        }"#]]
    .assert_eq(&{
        let mut plan = serde_json::to_value(&options.stop_speaking).unwrap();
        for list in ["acknowledgement_phrases", "interruption_phrases"] {
            plan[list] = plan[list].as_array().unwrap().len().into();
        }
        serde_json::to_string_pretty(&plan).unwrap()
    });
    assert!(options.tools.is_empty() && options.preamble.is_empty());
    assert!(options.end_call_phrases.is_empty() && options.end_call_message.is_none());
}

#[test]
fn every_setting_of_the_conversation_is_read() {
    let options = view(json!({
        "firstMessage": "Hello!",
        "firstMessageInterruptionsEnabled": true,
        "silenceTimeoutSeconds": 12.5,
        "maxDurationSeconds": 60.0,
        "endCallPhrases": ["goodbye"],
        "endCallMessage": "Bye.",
        "endCallFunctionEnabled": true,
        "startSpeakingPlan": {"waitSeconds": 0.2, "transcriptionEndpointingPlan":
            {"onPunctuationSeconds": 0, "onNoPunctuationSeconds": 2, "onNumberSeconds": null}},
        "stopSpeakingPlan": {"numWords": 2.0, "voiceSeconds": 0.3, "backoffSeconds": 0,
            "interruptionPhrases": []},
        "model": {"provider": "openai", "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "system", "content": ""},
        ]},
        "someFieldOfTomorrow": {"a": 1},
    }))
    .call_options();
    assert_eq!(options.first_message.as_deref(), Some("Hello!"));
    assert_eq!(options.first_message_mode, FirstMessageMode::AssistantSpeaksFirst);
    assert!(options.first_message_interruptions_enabled);
    assert_eq!(options.silence_timeout, Duration::from_millis(12_500));
    assert_eq!(options.max_duration, Duration::from_secs(60));
    assert_eq!(options.end_call_phrases, ["goodbye"]);
    assert_eq!(options.end_call_message.as_deref(), Some("Bye."));
    assert_eq!(options.tools[0].name, "endCall");
    assert_eq!(
        options.start_speaking,
        StartSpeaking {
            wait: Duration::from_millis(200),
            on_punctuation: Duration::ZERO,
            on_no_punctuation: Duration::from_secs(2),
            on_number: Duration::from_millis(500),
            speculation: true,
            ..StartSpeaking::default()
        }
    );
    assert_eq!(options.stop_speaking.num_words, 2);
    assert_eq!(options.stop_speaking.voice, Duration::from_millis(300));
    assert_eq!(options.stop_speaking.backoff, Duration::ZERO);
    assert!(options.stop_speaking.interruption_phrases.is_empty());
    assert_eq!(
        options.preamble,
        [
            Message::System { content: "Be brief.".into() },
            Message::User { content: "Hi".into() },
            Message::Assistant { content: "Hello".into(), interrupted: false },
        ]
    );
}

#[test]
fn an_explicit_first_message_mode_wins() {
    let mode = |document| view(document).call_options().first_message_mode;
    assert_eq!(
        mode(json!({"firstMessage": "Hi", "firstMessageMode": "assistant-waits-for-user"})),
        FirstMessageMode::AssistantWaitsForUser
    );
    assert_eq!(
        mode(json!({"firstMessageMode": "assistant-speaks-first-with-model-generated-message"})),
        FirstMessageMode::AssistantSpeaksFirstWithModelGeneratedMessage
    );
}

#[test]
fn a_stage_that_is_absent_is_the_servers() {
    let defaults = Defaults {
        transcriber: json!({"provider": "local"}),
        model: json!({"provider": "scripted"}),
        voice: json!({"provider": "local", "voiceId": "slt"}),
    };
    let assistant = view(json!({
        "transcriber": {"provider": "deepgram", "model": "nova-3"},
        "model": {"temperature": 0.5},
        "voice": null,
    }));
    assert_eq!(
        assistant.transcriber(&defaults),
        StageConfig {
            provider: "deepgram".into(),
            options: json!({"provider": "deepgram", "model": "nova-3"})
        }
    );
    assert_eq!(
        assistant.model(&defaults),
        StageConfig {
            provider: "scripted".into(),
            options: json!({"provider": "scripted", "temperature": 0.5})
        }
    );
    assert_eq!(assistant.voice(&defaults).options["voiceId"], "slt");
}

#[test]
fn the_server_may_be_in_either_place() {
    let new = view(json!({"server": {"url": "https://new.example"}, "serverUrl": "https://old"}));
    assert_eq!(new.server().unwrap().url, "https://new.example");
    let old = view(json!({"serverUrl": "https://old.example", "serverUrlSecret": "hush"}));
    assert_eq!(old.server().unwrap().url, "https://old.example");
    assert_eq!(old.server().unwrap().secret.as_ref().unwrap().expose_secret(), "hush");
    assert!(view(json!({})).server().is_none());
}

#[test]
fn message_lists_replace_the_defaults() {
    let assistant = view(json!({"serverMessages": ["hang"], "clientMessages": []}));
    assert!(assistant.server_messages().allows(&ServerEvent::Hang));
    assert!(!assistant.server_messages().allows(&ServerEvent::ConversationUpdate));
    assert!(!assistant.client_messages().allows(&ServerEvent::Hang));
    assert!(view(json!({})).client_messages().allows(&ServerEvent::Hang));
}

#[test]
fn plans_have_the_contracts_defaults() {
    let assistant = view(json!({}));
    assert_eq!(assistant.artifact_plan(), ArtifactPlan::default());
    assert_eq!(assistant.monitor_plan(), MonitorPlan::default());
    let assistant = view(json!({
        "artifactPlan": {"recordingEnabled": false, "transcriptPlan": {"assistantName": "Nora"}},
        "monitorPlan": {"listenEnabled": false, "controlAuthenticationEnabled": true},
    }));
    let plan = assistant.artifact_plan();
    assert!(!plan.recording_enabled && plan.transcript_enabled);
    assert_eq!((plan.assistant_name.as_str(), plan.user_name.as_str()), ("Nora", "User"));
    let plan = assistant.monitor_plan();
    assert!(!plan.listen_enabled && plan.control_enabled && plan.control_authentication_enabled);
}

#[test]
fn calls_under_hipaa_are_recorded_only_when_asked_for() {
    let recorded = |document| view(document).artifact_plan().recording_enabled;
    assert!(!recorded(json!({"compliancePlan": {"hipaaEnabled": true}})));
    assert!(recorded(json!({"compliancePlan": {"hipaaEnabled": true},
        "artifactPlan": {"recordingEnabled": true}})));
}

#[test]
fn a_document_of_wrong_types_is_refused() {
    let error = AssistantView::new(json!({"maxDurationSeconds": "long"})).unwrap_err();
    assert!(error.starts_with("assistant cannot be read: "), "{error}");
    assert!(AssistantView::new(json!([])).is_err());
}

#[test]
fn the_line_for_refused_questions_is_the_assistant_s_or_the_default() {
    let refusal = |document| AssistantView::new(document).unwrap().call_options().refusal;
    assert_eq!(refusal(json!({})), "I'm sorry, I can't help with that.");
    assert_eq!(refusal(json!({"refusalMessage": " "})), "I'm sorry, I can't help with that.");
    assert_eq!(refusal(json!({"refusalMessage": "Ask a doctor."})), "Ask a doctor.");
}

#[test]
fn keys_are_passed_over_unless_the_plan_is_enabled() {
    let keypad = |plan| view(json!({"keypadInputPlan": plan})).call_options().keypad;
    assert_eq!(keypad(json!(null)), None);
    assert_eq!(keypad(json!({"delimiters": "#"})), None);
    assert_eq!(keypad(json!({"enabled": true})), Some(KeypadPlan::default()));
    let plan = |timeout, delimiter| Some(KeypadPlan { timeout, delimiter });
    let half_a_second = Some(Duration::from_millis(500));
    assert_eq!(
        keypad(json!({"enabled": true, "timeoutSeconds": 0.5, "delimiters": "*"})),
        plan(half_a_second, Some('*'))
    );
    assert_eq!(
        keypad(json!({"enabled": true, "timeoutSeconds": 0, "delimiters": ["#"]})),
        plan(None, Some('#'))
    );
    assert_eq!(
        keypad(json!({"enabled": true, "timeoutSeconds": 0, "delimiters": ""})),
        plan(None, None)
    );
}
