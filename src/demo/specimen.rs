//! A call as it should be, for tests that make something of it wrong.

use std::time::Duration;

use bytes::Bytes;
use offhook_testkit::caller::{CloseInfo, ClosedBy, Heard, TurnTiming};
use serde_json::{Value, json};

use super::{
    PLANS,
    assistant::{FORMAT, tones},
    conduct::{Conducted, Sabotage},
    fault::Replacement,
    recording::Recording,
    webhook::{Seen, ToolUse},
};

/// The caller speaks for a second of every five; the agent answers half a second later.
const TURN: Duration = Duration::from_secs(5);

/// The call in which the transcriber is killed.
pub fn call() -> Conducted {
    let lines = tones();
    let timing = |index: usize| {
        let caller_speech_end = TURN * (index as u32 + 1);
        let agent_first_audio = caller_speech_end + Duration::from_millis(500);
        TurnTiming { label: lines[index].text.to_owned(), caller_speech_end, agent_first_audio }
    };
    let turns: Vec<TurnTiming> = (0..lines.len()).map(timing).collect();
    let seconds = 5 * (lines.len() + 1);
    let track = |voiced: fn(usize) -> bool| -> Vec<i16> {
        let voice = |sample| if voiced(sample / 1_600) { 4_000 } else { 0 };
        (0..seconds * FORMAT.sample_rate_hz as usize).map(voice).collect()
    };
    // Tenths of a second into the call.
    let caller = track(|tenth| tenth >= 40 && tenth % 50 >= 40);
    let agent = track(|tenth| tenth >= 50 && (5..30).contains(&(tenth % 50)));
    let messages: Vec<Value> = lines
        .iter()
        .enumerate()
        .flat_map(|(index, line)| {
            let answer = json!({"role": "bot", "message": "Well.", "secondsFromStart": 5.7 + 5.0 * index as f64});
            [json!({"role": "user", "message": line.text}), answer]
        })
        .collect();
    let latency = json!({"transcriberLatency": 100, "endpointingLatency": 300, "modelLatency": 20,
        "voiceLatency": 50, "turnLatency": 480});
    let latencies = vec![latency; lines.len()];
    Conducted {
        plan: &PLANS[1],
        heard: Heard {
            sample_rate_hz: FORMAT.sample_rate_hz,
            caller: caller.clone(),
            agent: agent.clone(),
            events: vec![(TURN * 5, json!({"type": "user-interrupted"}))],
            turns,
            complaints: Vec::new(),
            unplayed: Duration::ZERO,
            closed: CloseInfo {
                by: ClosedBy::Agent,
                code: Some(1000),
                reason: String::new(),
                at: TURN * 7,
            },
        },
        lines,
        call: json!({
            "id": "1",
            "endedReason": "assistant-ended-call",
            "artifact": {"messages": messages, "performanceMetrics": {"turnLatencies": latencies}},
        }),
        seen: Seen { events: vec!["end-of-call-report".into()], tools: Vec::<ToolUse>::new() },
        tools: vec![(TURN * 3, "bookAppointment(day: thursday, time: ten)".into())],
        sabotage: Some(Sabotage {
            pid: 7,
            at: TURN * 2 - Duration::from_millis(500),
            replacement: Some(Replacement { pid: 8, after: Duration::from_millis(30) }),
        }),
        wav: Bytes::new(),
        recording: Recording { rate_hz: FORMAT.sample_rate_hz, caller, agent },
    }
}
