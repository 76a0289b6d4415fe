//! How each row is put to the test over sockets: what breaks, and when.

use std::time::Duration;

use offhook_chaos::scenario::{Bound, Measure, Row, plan::Ending};
use offhook_core::Stage;
use serde_json::{Value, json};

use crate::fake_carriers::Carrier;

/// A run over sockets.
pub struct Recipe {
    pub steps: Vec<(Duration, Step)>,
    pub ending: Ending,
    /// Words that may be heard twice where the leg was lost.
    pub seam_words: usize,
    /// Silence of the agent that hands the floor to the caller: longer than any gap that is allowed.
    pub turn_gap: Duration,
    /// Calls at the same time, unless the user says how many.
    pub calls: u32,
    /// Whether the model has a fallback of another provider.
    pub fallback: bool,
    /// Settings of the server's besides the usual.
    pub settings: &'static [&'static str],
    /// The caller's first question has a tool run, which takes so long.
    pub tool: Option<Duration>,
}

/// What happens to a run.
pub enum Step {
    /// A fake provider breaks, as `POST /fakes/fault` takes it.
    Fault(Value),
    /// The receiver of events answers with this status.
    Receiver(u16),
    /// The server is killed, and started again after a while.
    KillAndRestart { down: Duration },
    /// The server is told to stop.
    Terminate,
    /// The server is told to stop, and another takes over when it has.
    Replace,
    /// The media sockets of the fake carriers break, as `POST /carriers/fault` takes it.
    Media(Value),
}

/// When the caller's first question is being asked, and the agent's first answer being given, at any
/// speed of the machine: some way behind their beginnings.
const ASKING_MS: (u64, u64) = (3_200, 4_600);
const ANSWERING_MS: (u64, u64) = (6_200, 7_200);

/// While the agent answers a caller that waits longer: what is said without a socket is lost with it.
const KILLED_MS: (u64, u64) = (10_500, 11_800);

/// The same over a carrier, whose callers wait as long; and where they wait for a socket that is half
/// open to be given up.
const LINE_LOST_MS: (u64, u64) = (11_000, 12_200);
const HALF_OPEN_MS: (u64, u64) = (14_000, 15_200);

/// The time that callers wait whose line is to be lost, and where it takes five seconds to notice.
const LOST_GAP: Duration = Duration::from_secs(6);
const HALF_OPEN_GAP: Duration = Duration::from_secs(9);

/// A tool that runs when the process is killed.
const SLOW_TOOL: Duration = Duration::from_secs(2);

const TURN_GAP: Duration = Duration::from_millis(1_800);

/// Longer than any run.
const FOR_GOOD_S: u64 = 600;

const ROWS: &[&str] = &[
    "stt_drop_mid_utterance",
    "stt_silent_half_open",
    "stt_refuses_all",
    "stt_rate_capped_replay",
    "tts_dies_mid_sentence",
    "tts_accepts_and_says_nothing",
    "llm_dies_mid_stream",
    "llm_slow",
    "llm_5xx",
    "llm_429",
    "webhook_down",
    "process_killed",
    "deploy",
    "thundering_herd",
];

/// Rows whose line is lost: a carrier has means to bring it back.
const LINE_ROWS: &[&str] = &["leg_half_open", "leg_reconnects", "process_killed", "deploy"];

/// The bounds of a row, as far as a carrier has others. Whoever is half-way through a word when the
/// line goes hears it once more, and of a socket that fell silent it is not known what it played.
const CARRIED: &[Bound] = &[
    Bound { measure: Measure::WordsLost, at_most: 0.0 },
    Bound { measure: Measure::WordsRepeated, at_most: 2.0 },
    Bound { measure: Measure::CallerWordsLost, at_most: 0.0 },
    Bound { measure: Measure::CallerWordsRepeated, at_most: 0.0 },
    Bound { measure: Measure::ToolsTwice, at_most: 0.0 },
    Bound { measure: Measure::End, at_most: 36_000.0 },
];

/// What a row is judged by.
pub fn bounds_of(row: &'static Row, carrier: Option<Carrier>) -> &'static [Bound] {
    match (row.name, carrier) {
        ("leg_half_open" | "deploy", Some(_)) => CARRIED,
        (_, Some(_) | None) => row.bounds,
    }
}

pub fn has_recipe(name: &str, carrier: Option<Carrier>) -> bool {
    ROWS.contains(&name) || carrier.is_some() && LINE_ROWS.contains(&name)
}

impl Recipe {
    /// Says what will break and when, on standard error.
    pub fn print(&self) {
        for (at, step) in &self.steps {
            let at = at.as_secs_f64();
            match step {
                Step::Fault(fault) => eprintln!("  fault      at {at:.1} s: {fault}"),
                Step::Receiver(status) => {
                    eprintln!("  fault      at {at:.1} s: the receiver answers with {status}");
                }
                Step::KillAndRestart { down } => {
                    eprintln!("  fault      at {at:.1} s: kill -9, started again after {down:?}");
                }
                Step::Terminate => eprintln!("  fault      at {at:.1} s: SIGTERM"),
                Step::Replace => {
                    eprintln!("  fault      at {at:.1} s: SIGTERM, and then the next server");
                }
                Step::Media(fault) => {
                    eprintln!("  fault      at {at:.1} s: media sockets: {fault}")
                }
            }
        }
    }

    /// # Panics
    ///
    /// When there is none for this row.
    pub fn of(name: &str, seed: u64, carrier: Option<Carrier>) -> Self {
        match carrier {
            Some(_) if LINE_ROWS.contains(&name) => Self::over_a_carrier(name, seed),
            Some(_) | None => Self::usual(name, seed),
        }
    }

    /// A line that is lost while the agent answers, and comes back by the carrier's own means.
    fn over_a_carrier(name: &str, seed: u64) -> Self {
        let mut recipe = Self {
            steps: Vec::new(),
            ending: Ending::Answered,
            seam_words: 2,
            turn_gap: LOST_GAP,
            calls: 1,
            fallback: false,
            settings: &[],
            tool: Some(Duration::ZERO),
        };
        let at = within(LINE_LOST_MS, seed);
        recipe.steps = match name {
            "leg_half_open" => {
                recipe.turn_gap = HALF_OPEN_GAP;
                let fault = json!({"fault": "half_open"});
                vec![(within(HALF_OPEN_MS, seed), Step::Media(fault))]
            }
            "leg_reconnects" => {
                let fault = match seed % 3 {
                    0 => json!({"fault": "close", "code": 1_011}),
                    1 => json!({"fault": "drop"}),
                    _ => json!({"fault": "close", "code": 1_000}),
                };
                vec![(at, Step::Media(fault))]
            }
            "process_killed" => {
                // Of some, in the middle of a tool.
                recipe.tool = Some(if seed.is_multiple_of(3) { SLOW_TOOL } else { Duration::ZERO });
                vec![(at, Step::KillAndRestart { down: Duration::from_millis(500) })]
            }
            // Calls that are handed over, and calls that may finish.
            "deploy" if !seed.is_multiple_of(3) => {
                recipe.settings = &["calls.drain_timeout=0s"];
                vec![(at, Step::Replace)]
            }
            _ => {
                recipe.turn_gap = TURN_GAP;
                recipe.seam_words = 0;
                vec![(within((2_000, 9_000), seed), Step::Terminate)]
            }
        };
        recipe
    }

    fn usual(name: &str, seed: u64) -> Self {
        let within = |stretch| within(stretch, seed);
        let asking = within(ASKING_MS);
        let mut steps = match name {
            "stt_drop_mid_utterance" => gone(asking, "deepgram"),
            "stt_silent_half_open" => vec![(asking, lasting("deepgram", "half_open", json!({})))],
            "stt_refuses_all" => {
                let mut both = gone(asking, "deepgram");
                both.extend(gone(asking, "custom-transcriber"));
                both
            }
            "stt_rate_capped_replay" => {
                let cap = json!({"bytes_per_second": MULAW_BYTES});
                let refuses = json!({"provider": "deepgram", "fault": "refuse", "seconds": 2});
                vec![
                    (Duration::ZERO, lasting("deepgram", "rate_cap", cap)),
                    (asking, Step::Fault(refuses)),
                    (asking, dropped("deepgram")),
                ]
            }
            "tts_dies_mid_sentence" => gone(within(ANSWERING_MS), "elevenlabs"),
            "tts_accepts_and_says_nothing" => {
                vec![(Duration::ZERO, lasting("elevenlabs", "stall", json!({})))]
            }
            "llm_dies_mid_stream" => {
                let cut = json!({"messages": 3 + seed % 5});
                vec![(Duration::ZERO, lasting("openai", "drop_after", cut))]
            }
            "llm_slow" => {
                let late = json!({"delay": {"fixed": 3_000 + seed % 5 * 1_000}});
                vec![(asking, lasting("openai", "late", late))]
            }
            "llm_5xx" => {
                let status = json!({"status": if seed.is_multiple_of(2) { 500 } else { 503 }});
                vec![(Duration::ZERO, lasting("openai", "refuse", status))]
            }
            "llm_429" => {
                let status = json!({"status": 429, "retry_after": 1 + seed % 30});
                vec![(Duration::ZERO, lasting("openai", "refuse", status))]
            }
            "webhook_down" => vec![
                (Duration::from_secs(1), Step::Receiver(503)),
                (Duration::from_secs(12), Step::Receiver(200)),
            ],
            "process_killed" => {
                vec![(within(KILLED_MS), Step::KillAndRestart { down: Duration::from_millis(500) })]
            }
            "deploy" => vec![(within((500, 9_000)), Step::Terminate)],
            "thundering_herd" => gone(within((5_000, 7_000)), "deepgram"),
            other => panic!("there is no recipe for `{other}`"),
        };
        steps.sort_by_key(|(at, _)| *at);
        let is_killed = name == "process_killed";
        let ending = match name {
            "stt_refuses_all" => Ending::Apology(Stage::Transcriber),
            _ => Ending::Answered,
        };
        Self {
            steps,
            ending,
            seam_words: if is_killed { 2 } else { 0 },
            turn_gap: if is_killed { Duration::from_secs(6) } else { TURN_GAP },
            calls: if name == "thundering_herd" { 50 } else { 1 },
            fallback: name.starts_with("llm"),
            settings: &[],
            tool: None,
        }
    }
}

/// A moment of a stretch: the seeds of twenty runs lie 5 % of it apart.
fn within((from, to): (u64, u64), seed: u64) -> Duration {
    Duration::from_millis(from + (to - from) * (seed * 7 % 20) / 20)
}

/// Bytes of a second of the legs' audio.
const MULAW_BYTES: u32 = 8_000;

/// A provider ends its sessions and takes no more.
fn gone(at: Duration, provider: &str) -> Vec<(Duration, Step)> {
    vec![(at, lasting(provider, "refuse", json!({}))), (at, dropped(provider))]
}

fn dropped(provider: &str) -> Step {
    Step::Fault(json!({"provider": provider, "fault": "drop"}))
}

fn lasting(provider: &str, fault: &str, more: Value) -> Step {
    let mut fault = json!({"provider": provider, "fault": fault, "seconds": FOR_GOOD_S});
    if let (Some(fault), Value::Object(more)) = (fault.as_object_mut(), more) {
        fault.extend(more);
    }
    Step::Fault(fault)
}

#[cfg(test)]
mod tests {
    use offhook_chaos::scenario::rows;

    use super::*;

    #[test]
    fn every_recipe_is_of_a_row_that_can_be_run_over_sockets() {
        for name in ROWS {
            let row = rows::find(name).unwrap();
            assert!(row.form.has_sockets(), "{name}");
            assert!(!Recipe::of(name, 1, None).steps.is_empty());
        }
        for name in LINE_ROWS {
            assert!(rows::find(name).unwrap().form.has_sockets(), "{name}");
            assert!(!Recipe::of(name, 1, Some(Carrier::Twilio)).steps.is_empty());
        }
    }
}
