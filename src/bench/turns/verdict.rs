//! What a call's time line says about its agent.

use std::time::Duration;

use super::{
    super::clock::Moment,
    caller::{Said, Timeline},
    category::Over,
    ears::Span,
};

/// An interruption that silences later than this after its onset, and half a second after its last word,
/// was missed.
const MISSED_AFTER: Duration = Duration::from_secs(2);
const MISSED_AFTER_WORDS: Duration = Duration::from_millis(500);

/// How soon an agent that was silenced by nothing goes on.
pub const RESUMES_WITHIN: Duration = Duration::from_secs(2);

/// What became of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The agent began to speak so long after the caller began, and before the caller was done.
    pub cut_offs: Vec<Duration>,
    /// From the end of a line to the answer.
    pub responses: Vec<Duration>,
    /// A line had no answer.
    pub unanswered: u32,
    /// What became of the answer over which something was said or done; each time that noise silenced
    /// it is one more.
    pub answers: Vec<Answer>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The agent was not speaking when it was to be disturbed.
    NotSpeaking,
    /// It was heard to its end without a pause.
    Whole,
    /// The agent fell silent so long after the onset and went on where it was, after such a silence.
    Resumed { after: Duration, silence: Duration },
    /// It fell silent, and did not go on, or began another answer.
    Broken { after: Duration },
    /// It fell silent as it should, so long after the onset.
    Stopped { after: Duration },
    /// It spoke on, or went on as if nothing had been said.
    Missed { resumed: bool },
}

impl Answer {
    /// Whether it came back in time, and where it was.
    pub fn resumed_in_time(self) -> bool {
        match self {
            Self::Resumed { silence, .. } => silence <= RESUMES_WITHIN,
            Self::NotSpeaking
            | Self::Whole
            | Self::Broken { .. }
            | Self::Stopped { .. }
            | Self::Missed { .. } => false,
        }
    }
}

/// Judges a call. `over`: what was done over the answer; an echo is over all of it.
pub fn judge(timeline: &Timeline, over: Option<Over>, answer_words: u32) -> Verdict {
    let mut verdict = Verdict::default();
    let Some(ask) = timeline.ask else {
        verdict.unanswered = 1;
        return verdict;
    };
    judge_line(timeline, ask, &mut verdict);
    let Some(over) = over else { return verdict };
    let Some(done) = ask.done else { return verdict };
    let first = timeline.spans.iter().find(|span| span.from >= done);
    let disturbed = timeline.over;
    // An echo begins with the answer.
    let onset = disturbed.map_or(first.map(|span| span.from), |said| Some(said.onset));
    let sounding = onset.and_then(|onset| Some((onset, sounding_at(&timeline.spans, onset)?)));
    verdict.answers = match (sounding, over) {
        (None, _) => vec![Answer::NotSpeaking],
        (Some((onset, span)), Over::Noise) => noise(timeline, onset, span, answer_words),
        (Some((onset, span)), Over::Words) => {
            if let Some(said) = disturbed {
                judge_line_over(timeline, said, span, &mut verdict);
            }
            vec![words(timeline, onset, span, answer_words)]
        }
    };
    verdict
}

/// Cut-offs and the answer of a line that was said while nobody spoke.
fn judge_line(timeline: &Timeline, said: Said, verdict: &mut Verdict) {
    let Some(done) = said.done else {
        verdict.unanswered += 1;
        return;
    };
    let cut = |span: &&Span| span.from > said.onset && span.from < done;
    let cuts = timeline.spans.iter().filter(cut);
    verdict.cut_offs.extend(cuts.map(|span| span.from.since(said.onset)));
    match timeline.spans.iter().find(|span| span.to > done) {
        Some(answer) if answer.from >= done => verdict.responses.push(answer.from.since(done)),
        // It began before the caller was done, and is counted as that.
        Some(_) => {}
        None => verdict.unanswered += 1,
    }
}

/// The same of one that was said over `span`.
fn judge_line_over(timeline: &Timeline, said: Said, span: Span, verdict: &mut Verdict) {
    let Some(done) = said.done else { return };
    let later = || timeline.spans.iter().filter(|later| later.from > span.from);
    let cuts = later().filter(|later| later.from < done);
    verdict.cut_offs.extend(cuts.map(|later| later.from.since(said.onset)));
    match later().find(|later| later.from >= done) {
        Some(answer) => verdict.responses.push(answer.from.since(done)),
        None => verdict.unanswered += 1,
    }
}

fn sounding_at(spans: &[Span], at: Moment) -> Option<Span> {
    spans.iter().copied().find(|span| span.from <= at && at < span.to)
}

/// The last number that was heard before a moment, and the first after it.
fn words_around(timeline: &Timeline, at: Moment) -> (Option<u32>, Option<u32>) {
    let before = timeline.words.iter().rfind(|(word, _)| *word < at);
    let after = timeline.words.iter().find(|(word, _)| *word >= at);
    (before.map(|(_, number)| *number), after.map(|(_, number)| *number))
}

/// Words by which the agent may go on before or behind the last that came: what was cut may have been
/// heard as good as whole, and the last that came may not have been played.
const WORDS_APART: u32 = 2;

/// Whether the agent went on where it was.
fn goes_on(before: Option<u32>, after: Option<u32>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => after > 1 && before.abs_diff(after) <= WORDS_APART,
        (_, _) => false,
    }
}

/// Follows an answer from silence to silence, until it was heard to its end or broken off.
fn noise(timeline: &Timeline, onset: Moment, first: Span, answer_words: u32) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut span = first;
    loop {
        let (before, after) = words_around(timeline, span.to);
        if before == Some(answer_words) {
            break;
        }
        let silenced = span.to.since(onset);
        let next = timeline.spans.iter().find(|next| next.from >= span.to);
        let Some(next) = next.filter(|_| goes_on(before, after)) else {
            answers.push(Answer::Broken { after: silenced });
            break;
        };
        answers.push(Answer::Resumed { after: silenced, silence: next.from.since(span.to) });
        span = *next;
    }
    if answers.is_empty() {
        answers.push(Answer::Whole);
    }
    answers
}

fn words(timeline: &Timeline, onset: Moment, span: Span, answer_words: u32) -> Answer {
    let stopped = span.to.since(onset);
    let (before, after) = words_around(timeline, span.to);
    let done = timeline.over.and_then(|over| over.done);
    let late = done.is_none_or(|done| span.to > done + MISSED_AFTER_WORDS);
    if before == Some(answer_words) || (stopped > MISSED_AFTER && late) {
        return Answer::Missed { resumed: false };
    }
    // Another answer begins with 1.
    if after != Some(1) && goes_on(before, after) {
        return Answer::Missed { resumed: true };
    }
    Answer::Stopped { after: stopped }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Moment {
        Moment(ms * MS)
    }

    fn said(onset: u64, done: u64) -> Option<Said> {
        Some(Said { onset: at(onset), done: Some(at(done)) })
    }

    fn spans(times: &[(u64, u64)]) -> Vec<Span> {
        times.iter().map(|(from, to)| Span { from: at(*from), to: at(*to) }).collect()
    }

    /// The numbers from one on, every 200 ms from a time on.
    fn count(from: u64, first: u32, last: u32) -> Vec<(Moment, u32)> {
        (first..=last).zip(0..).map(|(number, nth)| (at(from + nth * 200), number)).collect()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_answer_before_the_caller_is_done_is_a_cut_off() {
        let mut timeline = Timeline {
            ask: said(1_000, 4_000),
            spans: spans(&[(0, 500), (4_500, 6_000)]),
            ..Timeline::default()
        };
        let verdict = judge(&timeline, None, 25);
        assert_eq!(verdict, Verdict { responses: vec![ms(500)], ..Verdict::default() });
        timeline.spans = spans(&[(0, 500), (2_500, 2_900), (4_500, 6_000)]);
        let verdict = judge(&timeline, None, 25);
        assert_eq!((verdict.cut_offs, verdict.responses), (vec![ms(1_500)], vec![ms(500)]));
        timeline.spans = spans(&[(2_500, 6_000)]);
        let verdict = judge(&timeline, None, 25);
        assert_eq!((verdict.cut_offs, verdict.responses), (vec![ms(1_500)], vec![]));
        timeline.spans.clear();
        assert_eq!(judge(&timeline, None, 25).unanswered, 1);
    }

    #[test]
    fn noise_over_an_answer_leaves_it_whole_or_is_survived_or_breaks_it() {
        let mut timeline = Timeline {
            ask: said(0, 1_000),
            over: said(3_000, 3_300),
            spans: spans(&[(2_000, 7_000)]),
            words: count(2_000, 1, 25),
            ..Timeline::default()
        };
        let answer = |timeline: &Timeline| judge(timeline, Some(Over::Noise), 25).answers[0];
        assert_eq!(answer(&timeline), Answer::Whole);
        timeline.spans = spans(&[(2_000, 3_250), (4_250, 8_000)]);
        timeline.words = [count(2_000, 1, 6), count(4_250, 7, 25)].concat();
        let resumed = answer(&timeline);
        assert_eq!(resumed, Answer::Resumed { after: ms(250), silence: ms(1_000) });
        assert!(resumed.resumed_in_time());
        timeline.words = [count(2_000, 1, 6), count(4_250, 1, 25)].concat();
        assert_eq!(answer(&timeline), Answer::Broken { after: ms(250) });
        timeline.spans.pop();
        timeline.words = count(2_000, 1, 6);
        assert_eq!(answer(&timeline), Answer::Broken { after: ms(250) });
        timeline.over = said(9_000, 9_300);
        assert_eq!(answer(&timeline), Answer::NotSpeaking);
    }

    #[test]
    fn words_over_an_answer_stop_it_and_are_answered() {
        let mut timeline = Timeline {
            ask: said(0, 1_000),
            over: said(3_000, 4_500),
            spans: spans(&[(2_000, 3_250), (5_000, 8_000)]),
            words: [count(2_000, 1, 6), count(5_000, 1, 15)].concat(),
            ..Timeline::default()
        };
        let verdict = judge(&timeline, Some(Over::Words), 25);
        assert_eq!(verdict.answers, [Answer::Stopped { after: ms(250) }]);
        assert_eq!(verdict.responses, [ms(1_000), ms(500)]);
        let missed = |timeline: &Timeline| judge(timeline, Some(Over::Words), 25).answers[0];
        timeline.words = [count(2_000, 1, 6), count(5_000, 7, 20)].concat();
        assert_eq!(missed(&timeline), Answer::Missed { resumed: true });
        timeline.spans = spans(&[(2_000, 7_000)]);
        timeline.words = count(2_000, 1, 25);
        assert_eq!(missed(&timeline), Answer::Missed { resumed: false });
    }

    #[test]
    fn an_echo_is_over_all_of_the_answer() {
        let timeline = Timeline {
            ask: said(0, 1_000),
            spans: spans(&[(2_000, 2_600), (3_600, 8_000)]),
            words: [count(2_000, 1, 3), count(3_600, 4, 25)].concat(),
            ..Timeline::default()
        };
        let answers = judge(&timeline, Some(Over::Noise), 25).answers;
        assert_eq!(answers, [Answer::Resumed { after: ms(600), silence: ms(1_000) }]);
    }

    #[test]
    fn each_time_that_noise_silences_an_answer_counts() {
        let mut timeline = Timeline {
            ask: said(0, 1_000),
            over: said(2_300, 2_500),
            spans: spans(&[(2_000, 2_600), (3_600, 4_200), (5_000, 9_400)]),
            words: [count(2_000, 1, 3), count(3_600, 4, 6), count(5_000, 7, 25)].concat(),
            ..Timeline::default()
        };
        let resumed = |after, silence| Answer::Resumed { after: ms(after), silence: ms(silence) };
        let answers = judge(&timeline, Some(Over::Noise), 25).answers;
        assert_eq!(answers, [resumed(300, 1_000), resumed(1_900, 800)]);
        timeline.spans.pop();
        timeline.words.truncate(6);
        let answers = judge(&timeline, Some(Over::Noise), 25).answers;
        assert_eq!(answers, [resumed(300, 1_000), Answer::Broken { after: ms(1_900) }]);
    }
}
