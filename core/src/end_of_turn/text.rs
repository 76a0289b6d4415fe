use super::{
    Cues, EndOfTurnEstimator, dictation,
    question::Asked,
    shift,
    words::{
        ANSWERS, ASKING, AUXILIARIES, DANGLING, FILLERS, GREETINGS, LOOSE, OPENERS, PRONOUNS,
        QUESTION_OPENERS,
    },
};
use crate::conversation::phrases;

/// Rules on what was said and what was asked.
///
/// The numbers are judgements, not measurements of a corpus: each rule says about how often a
/// speaker who pauses there is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextEstimator;

/// A fall of the voice that is as clear as one gets, in dB.
const CLEAR_FALL_DB: f64 = 12.0;

/// What such a fall adds to the log-odds, and a held voice takes away.
const LOG_ODDS_OF_FALL: f64 = 1.0;

impl EndOfTurnEstimator for TextEstimator {
    fn estimate(&self, cues: &Cues<'_>) -> f64 {
        let by_text = match is_english(cues.language) {
            true => english(cues.said, cues.asked),
            false => Ending::of(cues.said).in_any_language(),
        };
        let fall = cues.fall_db.map_or(0.0, |fall| f64::from(fall) / CLEAR_FALL_DB);
        shift(by_text, fall.clamp(-1.0, 1.0) * LOG_ODDS_OF_FALL)
    }
}

/// How a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Question,
    Sentence,
    /// A mark inside a sentence, or three dots.
    Open,
    None,
}

impl Ending {
    fn of(text: &str) -> Self {
        let text = text.trim_end().trim_end_matches(['"', '\'', '”', '’', ')']);
        if text.ends_with("...") || text.ends_with(['…', ',', ';', ':', '-', '–', '—', '、', '،'])
        {
            Self::Open
        } else if text.ends_with(['?', '？', '؟']) {
            Self::Question
        } else if text.ends_with(['.', '!', '。', '！', '।']) {
            Self::Sentence
        } else {
            Self::None
        }
    }

    fn in_any_language(self) -> f64 {
        match self {
            Self::Question => 0.97,
            Self::Sentence => 0.93,
            Self::Open => 0.15,
            Self::None => 0.3,
        }
    }
}

fn is_english(language: &str) -> bool {
    language.split(['-', '_']).next().is_some_and(|tag| tag.eq_ignore_ascii_case("en"))
}

fn english(said: &str, asked: &str) -> f64 {
    let words = phrases::words(said);
    let Some(last) = words.last().map(String::as_str) else { return 0.3 };
    let ending = Ending::of(said);
    let asked = Asked::of(asked);
    let whole = words.join(" ");
    if FILLERS.iter().any(|filler| ends_in(&whole, filler)) || OPENERS.contains(&whole.as_str()) {
        return 0.05;
    }
    if let Some(estimate) = dictation::estimate(&words, said, asked) {
        return estimate;
    }
    if ANSWERS.contains(&whole.as_str()) {
        return if asked == Asked::YesNo { 0.97 } else { 0.9 };
    }
    if GREETINGS.contains(&whole.as_str()) {
        return 0.88;
    }
    let is_question = ending == Ending::Question;
    if dangles(&words, last) {
        // "Where are you from?" is a sentence, and transcribers put marks behind half of one.
        return if is_question { 0.75 } else { 0.05 };
    }
    if LOOSE.contains(&last) {
        return match ending {
            Ending::Question => 0.9,
            Ending::Sentence => 0.7,
            Ending::Open | Ending::None => 0.05,
        };
    }
    let begins_as_question = words.len() >= 3 && QUESTION_OPENERS.contains(&words[0].as_str());
    match ending {
        Ending::Question => 0.97,
        // A name may have a second part.
        Ending::Sentence if asked == Asked::Spelling && words.len() == 1 => 0.6,
        Ending::Sentence => 0.94,
        Ending::Open => 0.12,
        Ending::None if begins_as_question => 0.65,
        Ending::None if asked == Asked::Spelling => 0.3,
        Ending::None => 0.5,
    }
}

fn ends_in(words: &str, phrase: &str) -> bool {
    words.strip_suffix(phrase).is_some_and(|before| before.is_empty() || before.ends_with(' '))
}

fn dangles(words: &[String], last: &str) -> bool {
    if AUXILIARIES.contains(&last) {
        let before = words.len().checked_sub(2).map(|at| words[at].as_str());
        return !before.is_some_and(|word| PRONOUNS.contains(&word));
    }
    let before = words.len().checked_sub(2).map(|at| words[at].as_str());
    if PRONOUNS.contains(&last) && before.is_some_and(|word| ASKING.contains(&word)) {
        return true;
    }
    // "So do I": a pronoun alone begins more often than it ends.
    let is_subject = matches!(last, "i" | "we" | "they" | "he" | "she");
    DANGLING.contains(&last) || is_subject
}

#[cfg(test)]
mod tests;
