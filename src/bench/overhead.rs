//! Where the time of a turn went: what the providers took, what the assistant's plan waits, and what
//! is left, which is the runtime's.

use std::time::Duration;

use offhook_api::AssistantView;
use offhook_media::VadOptions;
use serde_json::Value;

use super::{caller::Turn, clock::Moment, fakes::Passage, samples::Samples};

/// The silence that a server waits for before a turn is over, whatever its providers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeastSilence {
    /// Counted from the end of speech, which the server hears itself.
    AfterSpeech(Duration),
    /// Counted from the transcriber's end of turn.
    AfterEndOfTurn(Duration),
}

impl LeastSilence {
    /// What an assistant's plan asks for after an utterance that ends with a number.
    pub fn of(assistant: &Value) -> Result<Self, String> {
        let plan = AssistantView::new(assistant.clone())?.call_options().start_speaking;
        let model = assistant["transcriber"]["model"].as_str().unwrap_or_default();
        Ok(match model.starts_with("flux") {
            true => Self::AfterEndOfTurn(plan.wait),
            // The server knows that speech has ended when it has heard this much silence.
            false => {
                Self::AfterSpeech(plan.wait.max(plan.on_number).max(VadOptions::default().hang))
            }
        })
    }

    /// How much longer than for the final text the server had to wait, in µs.
    fn wait_us(self, speech_end: Moment, passage: &Passage) -> i64 {
        let until = match self {
            Self::AfterSpeech(silence) => speech_end + silence,
            Self::AfterEndOfTurn(silence) => passage.final_sent + silence,
        };
        let waited = passage.request.minus_us(passage.final_sent).max(0);
        until.minus_us(passage.final_sent).clamp(0, waited)
    }
}

/// The stretches of a turn in their order, by their names in JSON: what is a provider's, and what is
/// the runtime's.
pub const SEGMENTS: [(&str, bool); 7] = [
    ("leg_to_transcriber", true),
    ("transcriber", false),
    ("transcriber_to_model", true),
    ("model", false),
    ("model_to_voice", true),
    ("voice", false),
    ("voice_to_leg", true),
];

/// The place of the stretch in which a plan waits.
const WAITS: usize = 2;

/// One turn, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    pub segments_us: [i64; SEGMENTS.len()],
    pub waited_us: i64,
    pub overhead_us: i64,
}

/// The token that the voice's first text waited for. A voice that is given sentences has to wait for
/// the last where the reply is one sentence; which one it was otherwise is unknown, and the wait
/// counts as the runtime's.
fn awaited_token(passage: &Passage) -> Moment {
    let end = passage.reply_end.filter(|end| *end <= passage.text);
    end.unwrap_or(passage.first_token)
}

/// Splits a turn; none that was not answered.
pub fn split(turn: &Turn, passage: &Passage, least: LeastSilence) -> Option<Split> {
    let (speech_end, answered) = (turn.speech_end?, turn.answered?);
    let moments = [
        speech_end,
        passage.speech_end,
        passage.final_sent,
        passage.request,
        awaited_token(passage),
        passage.text,
        passage.first_audio,
        answered,
    ];
    let mut segments_us = [0; SEGMENTS.len()];
    for (segment, pair) in segments_us.iter_mut().zip(moments.windows(2)) {
        *segment = pair[1].minus_us(pair[0]);
    }
    let waited_us = least.wait_us(speech_end, passage);
    segments_us[WAITS] -= waited_us;
    let ours = segments_us.iter().zip(SEGMENTS).filter(|(_, (_, is_ours))| *is_ours);
    Some(Split { segments_us, waited_us, overhead_us: ours.map(|(us, _)| us).sum() })
}

/// The turns of a bench.
#[derive(Debug, Default)]
pub struct Overhead {
    pub total: Samples,
    pub waited: Samples,
    pub segments: [Samples; SEGMENTS.len()],
    /// Answered turns that the fakes did not see in full.
    pub unknown: u64,
}

impl Overhead {
    pub fn add(&mut self, split: Option<Split>) {
        let Some(split) = split else {
            self.unknown += 1;
            return;
        };
        self.total.add_us(split.overhead_us);
        self.waited.add_us(split.waited_us);
        for (samples, us) in self.segments.iter_mut().zip(split.segments_us) {
            samples.add_us(us);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Moment {
        Moment(ms * MS)
    }

    /// A turn that takes the runtime 1, 2, 3 and 4 ms between its providers.
    fn turn_after(final_text: u64) -> (Turn, Passage) {
        let passage = Passage {
            speech_end: at(1_001),
            final_sent: at(1_001 + final_text),
            request: at(1_003 + final_text),
            first_token: at(1_203 + final_text),
            reply_end: None,
            text: at(1_206 + final_text),
            first_audio: at(1_306 + final_text),
        };
        let turn = Turn {
            caller: 100,
            number: 20,
            onset: at(0),
            speech_end: Some(at(1_000)),
            answered: Some(at(1_310 + final_text)),
            lost: false,
        };
        (turn, passage)
    }

    #[test]
    fn overhead_is_what_no_provider_took() {
        let (turn, passage) = turn_after(300);
        let least = LeastSilence::AfterSpeech(Duration::from_millis(200));
        let split = split(&turn, &passage, least).unwrap();
        assert_eq!(
            split.segments_us.map(|us| us / 1_000),
            [1, 300, 2, 200, 3, 100, 4],
            "{split:?}"
        );
        assert_eq!((split.overhead_us, split.waited_us), (10_000, 0));
    }

    #[test]
    fn a_first_text_that_is_the_whole_reply_waits_for_the_model_to_its_end() {
        let (turn, mut passage) = turn_after(300);
        let least = LeastSilence::AfterSpeech(Duration::ZERO);
        let overhead = |passage: &Passage| split(&turn, passage, least).unwrap().overhead_us;
        passage.reply_end = Some(at(1_505));
        assert_eq!(overhead(&passage), 8_000);
        passage.reply_end = Some(at(1_507));
        assert_eq!(overhead(&passage), 10_000, "the voice was given the beginning of the reply");
    }

    #[test]
    fn silence_that_the_plan_asks_for_is_no_overhead() {
        // The text is final after 150 ms; the server waited for 152 of the 400 ms it may.
        let (turn, mut passage) = turn_after(150);
        let least = LeastSilence::AfterSpeech(Duration::from_millis(400));
        let split_now = split(&turn, &passage, least).unwrap();
        assert_eq!((split_now.waited_us, split_now.overhead_us), (2_000, 8_000));

        passage.request = at(1_405);
        let split = split(&turn, &passage, least).unwrap();
        assert_eq!(split.waited_us, 249_000);
        assert_eq!(split.segments_us[WAITS], 5_000);
    }

    #[test]
    fn a_transcriber_that_ends_turns_itself_is_waited_after() {
        let (turn, passage) = turn_after(150);
        let least = LeastSilence::AfterEndOfTurn(Duration::from_millis(1));
        let split = split(&turn, &passage, least).unwrap();
        assert_eq!((split.waited_us, split.overhead_us), (1_000, 9_000));
    }

    #[test]
    fn the_least_silence_is_read_from_the_assistant() {
        let nova = json!({"transcriber": {"provider": "deepgram", "model": "nova-3"}});
        let of = |assistant: &Value| LeastSilence::of(assistant).unwrap();
        assert_eq!(of(&nova), LeastSilence::AfterSpeech(Duration::from_millis(500)));
        let mut quick = nova.clone();
        quick["startSpeakingPlan"] = json!({
            "waitSeconds": 0, "transcriptionEndpointingPlan": {"onNumberSeconds": 0}
        });
        assert_eq!(of(&quick), LeastSilence::AfterSpeech(Duration::from_millis(200)));
        quick["transcriber"]["model"] = json!("flux-general-en");
        assert_eq!(of(&quick), LeastSilence::AfterEndOfTurn(Duration::ZERO));
    }
}
