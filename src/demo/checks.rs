//! What must be true of a call of the demo.

use std::time::Duration;

use offhook_testkit::caller::ClosedBy;

use super::{
    conduct::{Conducted, Sabotage},
    recording::sounding,
};

/// How the assistant hangs up: the model calls its `endCall` tool.
const ENDED_REASON: &str = "assistant-ended-call";

/// The tool call that the conversation leads to.
const TOOL_CALL: &str = "bookAppointment(day: thursday, time: ten)";

/// Difference between what was recorded of a voice and what was heard of it: what an interruption
/// takes back on its way to the caller, and the soft ends of words.
const SOUND_TOLERANCE: Duration = Duration::from_millis(500);

/// What is not as it should be, one line each.
pub fn failures(call: &Conducted) -> Vec<String> {
    let mut failures = misunderstood(call);
    failures.extend(unanswered(call));
    let tools: Vec<&str> = call.tools.iter().map(|(_, text)| text.as_str()).collect();
    if tools != [TOOL_CALL] {
        failures.push(format!("expected one tool call, {TOOL_CALL}, the webhook got {tools:?}"));
    }
    if call.interruptions().next().is_none() {
        failures.push("the caller interrupted, and the server did not notice".into());
    }
    if call.ended_reason() != ENDED_REASON {
        let reason = call.ended_reason();
        failures.push(format!("the call ended with `{reason}`, expected `{ENDED_REASON}`"));
    }
    if call.heard.closed.by != ClosedBy::Agent {
        let closed = &call.heard.closed;
        failures.push(format!("{:?} ended the call, not the agent: {}", closed.by, closed.reason));
    }
    if !call.seen.events.iter().any(|event| event == "end-of-call-report") {
        failures.push("no end-of-call-report came to the webhook".into());
    }
    failures.extend(incomplete(call));
    failures.extend(call.heard.complaints.iter().map(|it| format!("the caller complains: {it}")));
    failures.extend(unbroken(call));
    failures
}

/// A sentence as its words: recognisers know neither capitals nor punctuation.
pub fn words(sentence: &str) -> Vec<String> {
    sentence
        .split(|letter: char| !letter.is_alphanumeric() && letter != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn misunderstood(call: &Conducted) -> Vec<String> {
    let understood = call.understood();
    if understood.len() != call.lines.len() {
        return vec![format!(
            "the caller said {} sentences, the server understood {}: {understood:?}",
            call.lines.len(),
            understood.len()
        )];
    }
    call.turns()
        .iter()
        .filter_map(|turn| {
            let understood = turn.understood.unwrap_or_default();
            let is_right = words(understood) == words(turn.line.text);
            (!is_right).then(|| format!("`{}` was understood as `{understood}`", turn.line.text))
        })
        .collect()
}

fn unanswered(call: &Conducted) -> Vec<String> {
    let turns = call.turns();
    let mut failures: Vec<String> = turns
        .iter()
        .filter(|turn| turn.timing.is_none())
        .map(|turn| format!("`{}` was not answered", turn.line.text))
        .collect();
    if turns.iter().any(|turn| turn.latencies.is_none()) {
        failures.push(format!(
            "the server reports latencies of {} turns, the caller took {}",
            call.latencies().len(),
            turns.len()
        ));
    }
    failures
}

fn incomplete(call: &Conducted) -> Vec<String> {
    let (recording, heard) = (&call.recording, &call.heard);
    let tracks =
        [("caller", &recording.caller, &heard.caller), ("agent", &recording.agent, &heard.agent)];
    tracks
        .iter()
        .filter_map(|(who, recorded, heard_track)| {
            let recorded = sounding(recorded, recording.rate_hz);
            let heard = sounding(heard_track, heard.sample_rate_hz);
            let is_complete = recorded.abs_diff(heard) <= SOUND_TOLERANCE && !heard.is_zero();
            (!is_complete).then(|| {
                format!(
                    "the recording has {:.1} s of the {who}'s voice, the call had {:.1} s",
                    recorded.as_secs_f64(),
                    heard.as_secs_f64()
                )
            })
        })
        .collect()
}

/// What should have been broken and was not, or not put right.
fn unbroken(call: &Conducted) -> Vec<String> {
    if call.plan.kill_during.is_none() {
        return Vec::new();
    }
    let Some(Sabotage { at, pid, replacement }) = call.sabotage else {
        return vec!["the transcriber was not killed: the sentence never began".into()];
    };
    let mut failures = Vec::new();
    if sentence_at(call, at).is_none() {
        failures.push(format!(
            "the transcriber was killed {:.2} s into the call, between two sentences",
            at.as_secs_f64()
        ));
    }
    if replacement.is_none() {
        failures.push(format!("no process took the place of {pid}, which was killed"));
    }
    failures
}

/// What the caller was saying at a moment.
pub fn sentence_at(call: &Conducted, at: Duration) -> Option<&'static str> {
    call.turns().iter().find_map(|turn| {
        let (from, to) = turn.spoken()?;
        (from..to).contains(&at).then_some(turn.line.text)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::specimen, *};

    type Spoil = fn(&mut Conducted);

    /// What is found wrong once something was made wrong.
    fn found(spoil: Spoil) -> Vec<String> {
        let mut call = specimen::call();
        spoil(&mut call);
        failures(&call)
    }

    #[test]
    fn a_call_as_it_should_be_passes() {
        assert_eq!(found(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn whatever_goes_wrong_is_one_line() {
        let cases: &[(Spoil, &str)] = &[
            (
                |call| call.call["artifact"]["messages"][0]["message"] = json!("what"),
                "`what are your opening hours` was understood as `what`",
            ),
            (
                |call| call.call["artifact"]["messages"][0]["role"] = json!("system"),
                "the caller said 6 sentences, the server understood 5: ",
            ),
            (|call| drop(call.heard.turns.remove(2)), "`Thursday at ten please` was not answered"),
            (
                |call| call.call["artifact"]["performanceMetrics"] = json!({}),
                "the server reports latencies of 0 turns, the caller took 6",
            ),
            (|call| call.tools.clear(), "expected one tool call, "),
            (|call| call.tools.push(call.tools[0].clone()), "expected one tool call, "),
            (|call| call.heard.events.clear(), "the caller interrupted, and "),
            (
                |call| call.call["endedReason"] = json!("silence-timed-out"),
                "the call ended with `silence-timed-out`, expected `assistant-ended-call`",
            ),
            (|call| call.heard.closed.by = ClosedBy::Lost, "Lost ended the call, not the agent: "),
            (|call| call.seen.events.clear(), "no end-of-call-report came to the webhook"),
            (|call| call.recording.agent.fill(0), "the recording has 0.0 s of the agent's voice"),
            (|call| call.heard.complaints.push("half".into()), "the caller complains: half"),
            (|call| call.sabotage = None, "the transcriber was not killed"),
            (
                |call| {
                    if let Some(sabotage) = &mut call.sabotage {
                        sabotage.at = Duration::from_secs(1);
                    }
                },
                "the transcriber was killed 1.00 s into the call, between two sentences",
            ),
            (
                |call| {
                    if let Some(sabotage) = &mut call.sabotage {
                        sabotage.replacement = None;
                    }
                },
                "no process took the place of 7, which was killed",
            ),
        ];
        for (spoil, expected) in cases {
            let found = found(*spoil);
            assert_eq!(found.len(), 1, "{expected}: {found:?}");
            assert!(found[0].starts_with(expected), "{expected}: {found:?}");
        }
    }

    #[test]
    fn sentences_are_compared_by_their_words() {
        assert_eq!(words("Thursday, at TEN; please!"), ["thursday", "at", "ten", "please"]);
        assert_eq!(words("that's it"), ["that's", "it"]);
        assert_ne!(words("thursday at ten"), words("thursday at two"));
    }
}
