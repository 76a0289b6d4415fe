//! The timeline: one HTML file with the sound in it, which needs nothing else.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use offhook_media::{AudioFormat, Resampler};
use serde_json::{Value, json};

use super::{
    Shown,
    conduct::Conducted,
    recording::{Recording, first_sound, peaks, stretches},
    report::{latency_ms, median, words_lost},
};
use crate::call_command::text;

/// The page; its data goes where [`DATA_MARK`] is.
const PAGE: &str = include_str!("timeline.html");

/// Stands in the page for the data.
const DATA_MARK: &str = "\"OFFHOOK_TIMELINE_DATA\"";

/// The sound in the page is telephone sound: a byte a sample, so that a call of a minute takes 1.3 MB.
const SOUND: AudioFormat = AudioFormat::mulaw();

/// Time that one bar of a waveform stands for.
const PEAK_STEP: Duration = Duration::from_millis(20);

/// Pause after which the agent's next sound is the beginning of another speech.
const SPEECH_PAUSE: Duration = Duration::from_millis(700);

/// Renders the page.
pub fn render(shown: &[Shown]) -> String {
    let waits = shown
        .iter()
        .flat_map(|shown| shown.call.turns())
        .filter_map(|turn| Some(turn.timing?.latency()))
        .collect::<Vec<_>>();
    let data = json!({
        "made": jiff::Zoned::now().strftime("%e %B %Y, %H:%M").to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "answered": waits.len(),
        "medianMs": median(waits).map(|wait| wait.as_millis() as u64),
        "killed": shown.iter().filter(|shown| shown.call.sabotage.is_some()).count(),
        "wordsLost": shown.iter().map(|shown| words_lost(&shown.call)).sum::<usize>(),
        "failures": shown.iter().flat_map(|shown| {
            let name = shown.call.plan.name;
            shown.failures.iter().map(move |failure| format!("{name}: {failure}"))
        }).collect::<Vec<_>>(),
        "calls": shown.iter().map(|shown| call(&shown.call)).collect::<Vec<_>>(),
    });
    // A script element ends at its closing tag, wherever that stands.
    PAGE.replace(DATA_MARK, &data.to_string().replace('<', "\\u003c"))
}

fn call(call: &Conducted) -> Value {
    let clock = Clock::of(call);
    let recording = &call.recording;
    json!({
        "name": call.plan.name,
        "title": call.plan.title,
        "about": call.plan.about,
        "ended": call.ended_reason(),
        "id": text(&call.call, "id").unwrap_or_default(),
        "seconds": recording.duration().as_secs_f64(),
        "sound": {
            "rate": SOUND.sample_rate_hz,
            "caller": sound(&recording.caller, recording.rate_hz),
            "agent": sound(&recording.agent, recording.rate_hz),
        },
        "peaks": {
            "step": PEAK_STEP.as_secs_f64(),
            "caller": track_peaks(&recording.caller, recording.rate_hz),
            "agent": track_peaks(&recording.agent, recording.rate_hz),
        },
        "turns": turns(call, clock),
        "marks": marks(call, clock),
        "transcript": transcript(call, clock),
    })
}

/// Brings the times that the caller measured to those of the recording, which began at another
/// moment: the caller's first sound is the same in both.
#[derive(Clone, Copy)]
struct Clock {
    shift_s: f64,
}

impl Clock {
    fn of(call: &Conducted) -> Self {
        let Recording { caller, rate_hz, .. } = &call.recording;
        let recorded = first_sound(caller, *rate_hz);
        let sent = first_sound(&call.heard.caller, call.heard.sample_rate_hz);
        let shift_s = match (recorded, sent) {
            (Some(recorded), Some(sent)) => recorded.as_secs_f64() - sent.as_secs_f64(),
            (Some(_) | None, _) => 0.0,
        };
        Self { shift_s }
    }

    /// Seconds into the recording, to the millisecond.
    fn at(self, time: Duration) -> f64 {
        let seconds = (time.as_secs_f64() + self.shift_s).max(0.0);
        (seconds * 1_000.0).round() / 1_000.0
    }
}

fn turns(call: &Conducted, clock: Clock) -> Vec<Value> {
    call.turns()
        .iter()
        .map(|turn| {
            let spoken = turn.spoken();
            let latency = |name| latency_ms(turn.latencies, name);
            json!({
                "said": turn.line.text,
                "understood": turn.understood,
                "from": spoken.map(|(from, _)| clock.at(from)),
                "to": spoken.map(|(_, to)| clock.at(to)),
                "answered": turn.timing.map(|timing| clock.at(timing.agent_first_audio)),
                "waitedMs": turn.timing.map(|timing| timing.latency().as_millis() as u64),
                "stages": {
                    "transcriber": latency("transcriberLatency"),
                    "endpointing": latency("endpointingLatency"),
                    "model": latency("modelLatency"),
                    "voice": latency("voiceLatency"),
                },
                "totalMs": latency("turnLatency"),
            })
        })
        .collect()
}

fn marks(call: &Conducted, clock: Clock) -> Vec<Value> {
    let mark = |kind: &str, at, label: &str, detail: String| json!({"kind": kind, "at": clock.at(at), "label": label, "detail": detail});
    let mut marks: Vec<Value> = Vec::new();
    for at in call.interruptions() {
        let detail = "the caller speaks over the assistant, which falls silent";
        marks.push(mark("interruption", at, "barge-in", detail.into()));
    }
    for (at, tool) in &call.tools {
        marks.push(mark("tool", *at, "tool call", tool.clone()));
    }
    if let Some(sabotage) = call.sabotage {
        let detail = match sabotage.replacement {
            Some(replacement) => format!(
                "the transcriber's process was killed; process {} took its place after {} ms",
                replacement.pid,
                replacement.after.as_millis()
            ),
            None => "the transcriber's process was killed, and none took its place".to_owned(),
        };
        let label = format!("kill -9 {}", sabotage.pid);
        marks.push(mark("kill", sabotage.at, &label, detail));
    }
    marks
}

/// What was said, with the time at which it could be heard.
fn transcript(call: &Conducted, clock: Clock) -> Vec<Value> {
    let entry = |who: &str, at: f64, text: &str| json!({"who": who, "at": at, "text": text});
    let mut entries: Vec<Value> = call
        .turns()
        .iter()
        .filter_map(|turn| {
            let (from, _) = turn.spoken()?;
            let understood = turn.understood.unwrap_or(turn.line.text);
            Some(entry("caller", clock.at(from), understood))
        })
        .collect();
    entries.extend(
        agent_speeches(call).into_iter().map(|(at, text)| {
            entry("agent", (at.as_secs_f64() * 1_000.0).round() / 1_000.0, &text)
        }),
    );
    entries.sort_by(|one, other| {
        let at = |entry: &Value| entry["at"].as_f64().unwrap_or_default();
        at(one).total_cmp(&at(other))
    });
    entries
}

/// The agent's messages as filed, at the times when the recording has the agent begin to speak.
fn agent_speeches(call: &Conducted) -> Vec<(Duration, String)> {
    let Recording { agent, rate_hz, .. } = &call.recording;
    let sounds = stretches(agent, *rate_hz, SPEECH_PAUSE);
    let messages = call.call["artifact"]["messages"].as_array();
    messages
        .into_iter()
        .flatten()
        .filter(|message| message["role"] == "bot")
        .filter_map(|message| {
            let filed = Duration::try_from_secs_f64(message["secondsFromStart"].as_f64()?).ok()?;
            let near = |from: &Duration| from.abs_diff(filed);
            let from = sounds.iter().map(|(from, _)| *from).min_by_key(near)?;
            let at = if near(&from) < SPEECH_PAUSE { from } else { filed };
            Some((at, message["message"].as_str()?.trim().to_owned()))
        })
        .collect()
}

fn track_peaks(track: &[i16], rate_hz: u32) -> Vec<u8> {
    peaks(track, (PEAK_STEP.as_millis() as usize * rate_hz as usize) / 1_000)
}

/// A track as base64 of mu-law.
fn sound(track: &[i16], rate_hz: u32) -> String {
    let samples = match rate_hz == SOUND.sample_rate_hz {
        true => track.to_vec(),
        false => {
            let mut resampler = Resampler::new(rate_hz, SOUND.sample_rate_hz);
            let mut samples = resampler.process(track);
            samples.extend(resampler.flush());
            samples
        }
    };
    STANDARD.encode(SOUND.encode(&samples))
}

#[cfg(test)]
mod tests {
    use super::{super::specimen, *};

    fn rendered(failures: Vec<String>) -> (String, Value) {
        let page = render(&[Shown { call: specimen::call(), failures }]);
        let (_, rest) = page.split_once("const DATA = ").unwrap();
        let (data, _) = rest.split_once(";\n").unwrap();
        let data = serde_json::from_str(data).unwrap();
        (page, data)
    }

    #[test]
    fn the_page_needs_nothing_but_itself() {
        let (page, _) = rendered(vec![]);
        for foreign in ["src=", "@import", "fetch(", "<link"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        let addresses = page.matches("http").count();
        assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count());
    }

    #[test]
    fn what_was_said_cannot_end_the_script() {
        let (page, data) = rendered(vec!["</script><b>".into()]);
        assert_eq!(page.matches("</script>").count(), 1);
        assert_eq!(data["failures"][0], "call-2: </script><b>");
    }

    #[test]
    fn everything_lies_on_the_clock_of_the_recording() {
        let mut call = specimen::call();
        // The recording began a second after the caller's clock.
        call.recording.caller.drain(..16_000);
        call.recording.agent.drain(..16_000);
        let data = super::call(&call);
        assert_eq!(data["seconds"], 34.0);
        assert_eq!(
            (&data["turns"][0]["from"], &data["turns"][0]["to"]),
            (&json!(3.0), &json!(4.0))
        );
        assert_eq!(data["turns"][0]["waitedMs"], 500);
        let marks = data["marks"].as_array().unwrap();
        let marks: Vec<_> = marks.iter().map(|mark| (&mark["kind"], &mark["at"])).collect();
        assert_eq!(
            marks,
            [
                (&json!("interruption"), &json!(24.0)),
                (&json!("tool"), &json!(14.0)),
                (&json!("kill"), &json!(8.5)),
            ]
        );
        let first = &data["transcript"][0];
        assert_eq!((&first["who"], &first["at"]), (&json!("caller"), &json!(3.0)));
        // The agent's sound at 4.5 s is the speech that was filed 5.7 s into the call.
        assert_eq!(data["transcript"].as_array().unwrap().len(), 12);
    }
}
