//! The assistants that answer, unless the user has one.

use serde_json::{Value, json};

use super::options::Transcriber;

/// An assistant that waits for nothing but its providers: what is measured is the runtime, and not
/// a plan. Nothing is recorded.
///
/// The silence that must follow before a turn is over, where the server tells turns apart, cannot be
/// set: it is that of its voice activity detection, and the fakes take longer.
pub fn document(transcriber: Transcriber) -> Value {
    let transcriber = match transcriber {
        // From 300 on, `speech_final` is a judgement about the turn and no pause for breath.
        Transcriber::Deepgram => json!({
            "provider": "deepgram", "model": "nova-3", "language": "en", "endpointing": 300,
        }),
        Transcriber::Flux => json!({"provider": "deepgram", "model": "flux-general-en"}),
    };
    json!({
        "name": "offhook bench",
        "transcriber": transcriber,
        "model": {
            "provider": "openai",
            "model": "gpt-4.1-mini",
            "messages": [{"role": "system", "content": "Repeat the caller's numbers, then count."}],
        },
        "voice": {
            "provider": "11labs",
            "voiceId": "21m00Tcm4TlvDq8ikWAM",
            "model": "eleven_flash_v2_5",
            // Numbers are the words of the tones: they are to reach the voice as they are.
            "chunkPlan": {"formatPlan": {"enabled": false}},
        },
        "firstMessageMode": "assistant-waits-for-user",
        "startSpeakingPlan": {
            "waitSeconds": 0,
            "transcriptionEndpointingPlan": {
                "onPunctuationSeconds": 0,
                "onNoPunctuationSeconds": 0,
                "onNumberSeconds": 0,
            },
        },
        "stopSpeakingPlan": {"numWords": 0, "voiceSeconds": 0.1, "backoffSeconds": 0},
        "clientMessages": ["user-interrupted"],
        "serverMessages": [],
        "artifactPlan": {"recordingEnabled": false},
        "silenceTimeoutSeconds": 60,
        "maxDurationSeconds": 43_200,
    })
}

/// The same on the phone: it greets whoever calls, and says so anew each time.
pub fn on_the_phone(transcriber: Transcriber) -> Value {
    let mut assistant = document(transcriber);
    assistant["firstMessageMode"] = json!("assistant-speaks-first");
    assistant["firstMessage"] = json!("hello");
    assistant["voice"]["cachingEnabled"] = json!(false);
    assistant
}
