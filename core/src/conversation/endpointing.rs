//! How long a silence must be before the caller's turn is over.

use std::time::Duration;

use super::{Conversation, Floor, utterance::Patience};
use crate::{Command, Cues, EndOfTurnEstimator, StartSpeaking, TurnJudge, WAIT_MAX, WaitFunction};

/// From this probability on, the model is asked before the turn is over.
const LIKELY: f64 = 0.7;

/// Pauses at which the estimate is made: finer than anybody hears.
const STEP: Duration = Duration::from_millis(50);

/// What there is to judge an utterance by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judging<'a> {
    pub plan: &'a StartSpeaking,
    pub estimator: &'a dyn EndOfTurnEstimator,
    /// What the assistant said last.
    pub asked: &'a str,
}

/// Who estimates whether a turn is over. It is no part of a conversation's state: two with the
/// same state are equal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimator(pub &'static dyn EndOfTurnEstimator);

impl PartialEq for Estimator {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Conversation {
    /// Judges what the caller has said so far.
    pub(super) fn judge_utterance(&mut self) {
        let judging = Judging {
            plan: &self.options.start_speaking,
            estimator: self.estimator.0,
            asked: self.history.last_said(),
        };
        let patience = judging.patience(&self.utterance.text());
        self.utterance.judge(patience, self.native_end_of_turn);
    }

    /// Asks the document's server about new words of the caller, where there is one.
    pub(super) fn ask_endpointing(&mut self) {
        let is_asked = match self.options.start_speaking.judge {
            TurnJudge::Server { .. } => true,
            TurnJudge::Ending | TurnJudge::Estimate { .. } => false,
        };
        if is_asked && self.floor == Floor::Caller && self.utterance.wants_server() {
            self.endpointing_requests += 1;
            let request = self.endpointing_requests;
            self.utterance.server_asked(request, self.now);
            self.command(Command::AskEndpointing { request });
        }
    }
}

impl Judging<'_> {
    /// How long a silence ends the turn after `said`.
    ///
    /// The plan's `wait` is the least it can be, however sure anybody is.
    pub(super) fn patience(&self, said: &str) -> Patience {
        let plan = self.plan;
        let rule = plan.rules.iter().find(|rule| rule.matches(self.asked, said));
        let estimate = self.estimate(said);
        let silence = match (rule, &plan.judge) {
            (Some(rule), _) => rule.timeout,
            (None, TurnJudge::Ending) => self.by_ending(said),
            (None, TurnJudge::Estimate { wait } | TurnJudge::Server { until_answered: wait }) => {
                self.by_estimate(wait, estimate)
            }
        };
        let silence = silence.max(plan.wait);
        Patience {
            silence,
            by_rule: rule.is_some(),
            likely_after: self.likely_after(estimate, silence),
        }
    }

    fn by_ending(&self, said: &str) -> Duration {
        let text = said.trim_end();
        let bare = text.trim_end_matches(|c: char| !c.is_alphanumeric());
        // Transcribers punctuate every piece of a number that is read out in pieces, so that a
        // number weighs more than the mark behind it.
        if bare.ends_with(char::is_numeric) {
            self.plan.on_number
        } else if text.ends_with(['.', '!', '?', '…', '。', '！', '？', '؟', '।']) {
            self.plan.on_punctuation
        } else {
            self.plan.on_no_punctuation
        }
    }

    /// The first pause that is as long as the function wants it, given that it lasted so long.
    fn by_estimate(&self, wait: &WaitFunction, estimate: f64) -> Duration {
        let mut pause = self.plan.wait;
        while pause < WAIT_MAX {
            let wanted = wait.wait(1.0 - self.after(estimate, pause));
            if wanted <= pause {
                return pause;
            }
            // It may want less once the pause is longer, so that it is asked at each step.
            pause = wanted.min(pause + STEP);
        }
        WAIT_MAX
    }

    /// The pause from which on it is likely enough that the turn is over, if that is shorter than
    /// `silence`.
    fn likely_after(&self, estimate: f64, silence: Duration) -> Option<Duration> {
        let mut pause = Duration::ZERO;
        while pause < silence {
            if self.after(estimate, pause) >= LIKELY {
                return Some(pause);
            }
            pause += STEP;
        }
        None
    }

    fn estimate(&self, said: &str) -> f64 {
        let language = &self.plan.language;
        let cues = Cues { said, asked: self.asked, language, fall_db: None };
        probability(self.estimator.estimate(&cues))
    }

    fn after(&self, estimate: f64, pause: Duration) -> f64 {
        probability(self.estimator.after(estimate, pause))
    }
}

/// Somebody else's arithmetic may come to no number.
fn probability(given: f64) -> f64 {
    if given.is_nan() { 0.0 } else { given.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EndpointingRule, PatternOptions, TextEstimator, TextPattern};

    fn silence(plan: &StartSpeaking, asked: &str, said: &str) -> Duration {
        Judging { plan, estimator: &TextEstimator, asked }.patience(said).silence
    }

    fn estimate(wait: &str) -> StartSpeaking {
        let judge = TurnJudge::Estimate { wait: WaitFunction::parse(wait).unwrap() };
        StartSpeaking { judge, ..StartSpeaking::default() }
    }

    fn found(pattern: &str) -> Option<TextPattern> {
        Some(TextPattern::new(pattern, PatternOptions::default()).unwrap())
    }

    #[test]
    fn a_turn_ends_sooner_the_surer_the_text_is() {
        let plan = StartSpeaking::default();
        let cases = [
            ("I would like to cancel.", 400),
            ("I would like to cancel", 1_500),
            ("Well,", 1_500),
            ("It is 555", 500),
            ("It is 555.", 500),
            ("予約したいです。", 400),
            ("", 1_500),
        ];
        for (text, want_ms) in cases {
            assert_eq!(silence(&plan, "", text), Duration::from_millis(want_ms), "{text}");
        }
    }

    #[test]
    fn the_wait_is_the_least_there_is() {
        let wait = Duration::from_secs(3);
        for plan in [StartSpeaking::default(), estimate("0")] {
            let plan = StartSpeaking { wait, ..plan };
            assert_eq!(silence(&plan, "", "Yes."), wait);
            assert_eq!(silence(&plan, "", "Yes"), wait);
        }
    }

    #[test]
    fn the_estimate_waits_short_for_sentences_and_long_for_halves_of_them() {
        let plan = estimate("20 + 500 * sqrt(x) + 2500 * x^3");
        let ms = |asked: &str, said: &str| silence(&plan, asked, said).as_millis();
        assert_eq!(ms("", "I would like to cancel."), 400);
        assert_eq!(ms("Is that right?", "yes"), 400);
        assert!((450..900).contains(&ms("", "thursday morning")), "{}", ms("", "thursday morning"));
        assert!((1_400..2_600).contains(&ms("", "I would like to")));
        assert!((1_800..2_900).contains(&ms("What is your phone number?", "555 01.")));
    }

    #[test]
    fn a_function_that_wants_more_the_longer_it_waits_ends_at_its_limit() {
        assert_eq!(silence(&estimate("1e9"), "", "Yes."), WAIT_MAX);
        assert_eq!(silence(&estimate("5000 - 4000 * x"), "", "Yes.").as_secs(), 4);
    }

    #[test]
    fn the_first_rule_that_matches_comes_before_everything_else() {
        let rule = |assistant, customer, secs| EndpointingRule {
            assistant,
            customer,
            timeout: Duration::from_secs(secs),
        };
        let rules = vec![
            rule(found("number"), found(r"\d"), 5),
            rule(found("number"), None, 4),
            rule(None, found("^hm"), 3),
        ];
        let plan = StartSpeaking { rules, ..estimate("0") };
        let secs = |asked: &str, said: &str| silence(&plan, asked, said).as_secs();
        assert_eq!(secs("Your number?", "it is 5"), 5);
        assert_eq!(secs("Your number?", "it is"), 4);
        assert_eq!(secs("", "hm"), 3);
        assert_eq!(secs("Your name?", "Ann"), 0);
    }

    #[test]
    fn a_turn_is_likely_over_at_once_later_or_never() {
        let plan = StartSpeaking::default();
        let judging = Judging { plan: &plan, estimator: &TextEstimator, asked: "" };
        assert_eq!(judging.patience("Cancel it.").likely_after, Some(Duration::ZERO));
        let later = judging.patience("thursday morning").likely_after.unwrap();
        assert!(later > Duration::from_secs(1), "{later:?}");
        assert_eq!(judging.patience("I would like to").likely_after, None);
    }
}
