//! How turns were taken, by category and noise.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    super::samples::Samples,
    PROVIDERS_TAKE,
    call::Outcome,
    cases::{Case, Snr, snr_name},
    category::{Category, Over},
    verdict::{Answer, Verdict, judge},
};

/// Misses that are kept one by one.
const MISSES_MAX: usize = 500;

/// Lateness of the bench's own timers, p99, from which figures say more about the machine than about
/// the server, in ms: a frame.
const LATE_MS: f64 = 20.0;

/// What became of the calls of one category and noise, or of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub calls: u32,
    /// Lines that were said, and that were cut off.
    pub lines: u32,
    pub cut_off: u32,
    pub unanswered: u32,
    pub response: Samples,
    /// The response without what providers took.
    pub endpointing: Samples,
    /// Noises over the agent, and what they did.
    pub noises: u32,
    pub resumed_in_time: u32,
    pub resumed_late: u32,
    pub broken: u32,
    /// How long those that went on had been silent.
    pub silence: Samples,
    /// Words over the agent, and what they did.
    pub interruptions: u32,
    pub missed: u32,
    pub stop: Samples,
    /// The agent was not speaking when it was to be disturbed.
    pub void: u32,
}

/// Something that the agent took wrongly.
#[derive(Clone, Debug)]
pub struct Miss {
    pub nth: u32,
    pub category: Category,
    pub snr: Snr,
    pub what: String,
    /// What was said, with its pauses, in whose voice, to what noise.
    pub said: String,
    pub voice: String,
    pub noise: &'static str,
    pub words: Value,
}

#[derive(Default)]
pub struct Results {
    pub rows: BTreeMap<(Category, Snr), Row>,
    pub misses: Vec<Miss>,
    /// Every call, for the JSON.
    calls: Vec<Value>,
    pub failures: Vec<(u32, String)>,
    pub lateness: Samples,
    pub took: Duration,
}

impl Results {
    /// Takes a call that is over.
    pub fn add(&mut self, case: &Case, outcome: Outcome, answer_words: u32) {
        self.lateness.merge(&outcome.lateness);
        if let Some(reason) = outcome.failure {
            self.failures.push((case.nth, reason));
            return;
        }
        let over = case.category.over();
        let verdict = judge(&outcome.timeline, over, answer_words);
        self.rows.entry((case.category, case.snr)).or_default().add(over, &verdict);
        self.calls.push(call(case, &verdict));
        for what in misses(&verdict) {
            if self.misses.len() < MISSES_MAX {
                self.misses.push(Miss {
                    nth: case.nth,
                    category: case.category,
                    snr: case.snr,
                    what,
                    said: case.tested().text(),
                    voice: case.voice.clone(),
                    noise: case.noise_name,
                    words: case.tested().json(),
                });
            }
        }
    }

    /// All calls of some categories.
    pub fn sum(&self, of: impl Fn(Category) -> bool) -> Row {
        let mut sum = Row::default();
        for ((category, _), row) in &self.rows {
            if of(*category) {
                sum.merge(row);
            }
        }
        sum
    }

    /// What keeps the figures from being trusted.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let late = self.lateness.percentile_ms(0.99).unwrap_or_default();
        if late > LATE_MS {
            warnings.push(format!(
                "the callers were late themselves (p99 {late:.1} ms): hold fewer calls --at-once"
            ));
        }
        let void = self.sum(|_| true).void;
        if void > 0 {
            warnings.push(format!(
                "{void} times the agent was not speaking when it was to be disturbed"
            ));
        }
        warnings
    }

    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|((category, snr), row)| {
            let mut json = row.json();
            json["category"] = name(*category).into();
            json["snr"] = snr_name(*snr).into();
            json
        });
        let misses = self.misses.iter().map(|miss| {
            json!({
                "case": miss.nth,
                "category": name(miss.category),
                "snr": snr_name(miss.snr),
                "what": miss.what,
                "said": miss.said,
                "voice": miss.voice,
                "noise": miss.noise,
                "words": miss.words,
            })
        });
        let failures =
            self.failures.iter().map(|(nth, reason)| json!({"case": nth, "reason": reason}));
        json!({
            "took_seconds": self.took.as_secs_f64(),
            "providers_take_ms": PROVIDERS_TAKE.as_millis() as u64,
            "rows": rows.collect::<Vec<_>>(),
            "all": self.sum(|_| true).json(),
            "misses": misses.collect::<Vec<_>>(),
            "calls": self.calls,
            "failures": failures.collect::<Vec<_>>(),
            "late_ms": self.lateness.json(),
            "warnings": self.warnings(),
        })
    }
}

pub fn name(category: Category) -> String {
    super::super::options::name(category)
}

impl Row {
    fn add(&mut self, over: Option<Over>, verdict: &Verdict) {
        self.calls += 1;
        self.lines += if over == Some(Over::Words) { 2 } else { 1 };
        // A line is cut off once, however often the agent tries.
        self.cut_off += u32::from(!verdict.cut_offs.is_empty());
        self.unanswered += verdict.unanswered;
        for response in &verdict.responses {
            self.response.add(*response);
            let less = response.as_micros() as i64 - PROVIDERS_TAKE.as_micros() as i64;
            self.endpointing.add_us(less);
        }
        match (verdict.answers.first(), over) {
            (None, _) => {}
            (Some(Answer::NotSpeaking), _) => self.void += 1,
            (Some(_), Some(Over::Words)) => self.interruptions += 1,
            (Some(_), Some(Over::Noise) | None) => self.noises += 1,
        }
        for answer in &verdict.answers {
            self.add_answer(*answer);
        }
    }

    fn add_answer(&mut self, answer: Answer) {
        match answer {
            Answer::NotSpeaking | Answer::Whole => {}
            Answer::Resumed { silence, .. } => {
                self.silence.add(silence);
                match answer.resumed_in_time() {
                    true => self.resumed_in_time += 1,
                    false => self.resumed_late += 1,
                }
            }
            Answer::Broken { .. } => self.broken += 1,
            Answer::Stopped { after } => self.stop.add(after),
            Answer::Missed { .. } => self.missed += 1,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.lines += other.lines;
        self.cut_off += other.cut_off;
        self.unanswered += other.unanswered;
        self.response.merge(&other.response);
        self.endpointing.merge(&other.endpointing);
        self.noises += other.noises;
        self.resumed_in_time += other.resumed_in_time;
        self.resumed_late += other.resumed_late;
        self.broken += other.broken;
        self.silence.merge(&other.silence);
        self.interruptions += other.interruptions;
        self.missed += other.missed;
        self.stop.merge(&other.stop);
        self.void += other.void;
    }

    /// Noises that silenced the agent.
    pub fn false_interruptions(&self) -> u32 {
        self.resumed_in_time + self.resumed_late + self.broken
    }

    /// Noises that silenced it for longer than they should.
    pub fn not_resumed(&self) -> u32 {
        self.resumed_late + self.broken
    }

    fn json(&self) -> Value {
        json!({
            "calls": self.calls,
            "lines": self.lines,
            "cut_off": self.cut_off,
            "unanswered": self.unanswered,
            "response_ms": self.response.json(),
            "endpointing_ms": self.endpointing.json(),
            "noises": self.noises,
            "false_interruptions": self.false_interruptions(),
            "resumed_in_time": self.resumed_in_time,
            "resumed_late": self.resumed_late,
            "not_resumed": self.broken,
            "silence_ms": self.silence.json(),
            "interruptions": self.interruptions,
            "missed_interruptions": self.missed,
            "stop_ms": self.stop.json(),
            "void": self.void,
        })
    }
}

/// One call, times in ms.
fn call(case: &Case, verdict: &Verdict) -> Value {
    let ms = |times: &[Duration]| -> Vec<u64> {
        times.iter().map(|time| time.as_millis() as u64).collect()
    };
    json!({
        "case": case.nth,
        "category": name(case.category),
        "snr": snr_name(case.snr),
        "noise": case.noise_name,
        "voice": case.voice,
        "asked": case.ask.text(),
        "responses_ms": ms(&verdict.responses),
        "cut_offs_ms": ms(&verdict.cut_offs),
        "unanswered": verdict.unanswered,
    })
}

/// What was wrong with a call, in words.
fn misses(verdict: &Verdict) -> Vec<String> {
    let ms = |time: Duration| time.as_millis();
    let mut misses: Vec<String> = verdict
        .cut_offs
        .first()
        .map(|after| format!("cut off {} ms after it began", ms(*after)))
        .into_iter()
        .collect();
    if verdict.unanswered > 0 {
        misses.push("no answer".into());
    }
    misses.extend(verdict.answers.iter().filter_map(|answer| wrong_answer(*answer)));
    misses
}

fn wrong_answer(answer: Answer) -> Option<String> {
    let ms = |time: Duration| time.as_millis();
    match answer {
        Answer::Resumed { after, silence } => Some(format!(
            "silenced {} ms after the onset, resumed after {} ms",
            ms(after),
            ms(silence)
        )),
        Answer::Broken { after } => {
            Some(format!("silenced {} ms after the onset, not resumed", ms(after)))
        }
        Answer::Missed { resumed: true } => {
            Some("interrupted, and went on as if nothing had been said".into())
        }
        Answer::Missed { resumed: false } => Some("not interrupted".into()),
        Answer::NotSpeaking | Answer::Whole | Answer::Stopped { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_line_that_is_cut_off_twice_counts_once() {
        let mut row = Row::default();
        let verdict = Verdict {
            cut_offs: vec![MS(900), MS(1_700)],
            responses: vec![MS(700)],
            ..Verdict::default()
        };
        row.add(None, &verdict);
        assert_eq!((row.lines, row.cut_off), (1, 1));
        assert_eq!(row.endpointing.percentile_ms(0.5), Some(400.0));
        assert_eq!(misses(&verdict), ["cut off 900 ms after it began"]);
    }

    #[test]
    fn a_silence_after_noise_is_false_whether_or_not_the_agent_goes_on() {
        let mut row = Row::default();
        let resumed = |silence| Answer::Resumed { after: MS(200), silence: MS(silence) };
        let answers =
            [Answer::Whole, resumed(900), resumed(2_100), Answer::Broken { after: MS(200) }];
        for answer in answers {
            row.add(Some(Over::Noise), &Verdict { answers: vec![answer], ..Verdict::default() });
        }
        assert_eq!((row.noises, row.false_interruptions(), row.not_resumed()), (4, 3, 2));
        let twice = Verdict { answers: vec![resumed(900), resumed(900)], ..Verdict::default() };
        row.add(Some(Over::Noise), &twice);
        assert_eq!((row.noises, row.false_interruptions(), row.not_resumed()), (5, 5, 2));
    }
}
