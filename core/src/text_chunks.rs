//! Cuts a stream of text into pieces that a voice can speak.
//!
//! A voice that is given half a sentence gets its melody wrong, one that is given whole
//! paragraphs starts late. So the first chunks end as early as they can, later ones, once there is
//! something to be heard, hold whole sentences.

mod plan;

use std::sync::Arc;

pub use plan::{ChunkPlan, Chunking};

/// Shortest early chunk that is cut off at the end of a sentence; shorter ones ("Yes.") join the
/// next.
const EARLY_SENTENCE_CHARS_MIN: usize = 10;

/// Shortest early chunk that is cut off in the middle of a sentence, after a comma.
///
/// More than a second of speech: models write some ten times faster than voices speak, so the rest
/// is there before it has been heard.
const EARLY_CLAUSE_CHARS_MIN: usize = 20;

/// Chunks are early until this many characters were handed over: two to three seconds of speech.
const EARLY_CHARS: usize = 40;

/// Shortest later chunk: a sentence or two, so that the voice knows where it is going.
const LATER_CHARS_MIN: usize = 60;

/// Words before a full stop that does not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "approx", "apt", "ave", "bzw", "ca", "dept", "dr", "e.g", "est", "etc", "ext", "fig", "gen",
    "hon", "i.e", "inc", "jr", "lt", "ltd", "mr", "mrs", "ms", "mt", "prof", "rev", "sgt", "sr",
    "sra", "st", "vs", "z.b",
];

/// Words that are abbreviations only before a number ("no. 5").
const NUMBER_ABBREVIATIONS: &[&str] = &["art", "chap", "no", "nos", "nr", "p", "pp", "vol"];

/// The chunker of one speech.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextChunker {
    plan: Arc<ChunkPlan>,
    buffer: String,
    /// Characters handed over, counted while they matter.
    handed_over: usize,
    /// What ended with the last chunk.
    ended: Ended,
}

/// What ends where a text ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ended {
    Sentence,
    Clause,
    #[default]
    Nothing,
}

impl TextChunker {
    pub fn new(plan: Arc<ChunkPlan>) -> Self {
        Self { plan, ..Self::default() }
    }

    /// Takes a piece of text and returns the chunks that it completed.
    ///
    /// All chunks together are the text as it came, white space included.
    pub fn push(&mut self, piece: &str) -> Vec<String> {
        self.buffer.push_str(piece);
        let mut chunks = Vec::new();
        while let Some(end) = self.next_cut() {
            let rest = self.buffer.split_off(end);
            let chunk = std::mem::replace(&mut self.buffer, rest);
            if self.is_early() {
                self.handed_over += chunk.chars().count();
            }
            self.ended = what_ends(&chunk);
            chunks.push(chunk);
        }
        chunks
    }

    /// Returns what is left once no more text will come; white space alone is not.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.buffer);
        self.handed_over = 0;
        self.ended = Ended::Nothing;
        (!rest.trim().is_empty()).then_some(rest)
    }

    /// Drops the end of a text that was cut off: back to the last end of a sentence, else to that of
    /// a clause. A text in which nothing has ended is kept: half a sentence is more than none.
    pub fn trim(&mut self) {
        // With a space behind it, the end of the text may be that of a sentence.
        let probe = Self { buffer: format!("{} ", self.buffer), ..self.clone() };
        let (sentence, clause) = probe.last_stops();
        let start = |ended| (self.ended == ended).then_some(0);
        let kept = sentence
            .or(start(Ended::Sentence))
            .or(clause)
            .or(start(Ended::Clause))
            .unwrap_or(self.buffer.len());
        self.buffer.truncate(kept);
    }

    /// The text that is in no chunk yet.
    pub fn held(&self) -> &str {
        &self.buffer
    }

    /// Behind the last sentence and behind the last clause that have ended.
    fn last_stops(&self) -> (Option<usize>, Option<usize>) {
        let (mut sentence, mut clause) = (None, None);
        for (at, c) in self.buffer.char_indices() {
            match self.stop_at(at, c, sentence.unwrap_or_default()) {
                Some(Stop::Sentence { end }) => sentence = Some(end),
                Some(Stop::Clause { end }) => clause = Some(end),
                Some(Stop::Mark { .. }) | None => {}
            }
        }
        (sentence, clause)
    }

    fn is_early(&self) -> bool {
        self.handed_over < EARLY_CHARS
    }

    fn next_cut(&self) -> Option<usize> {
        if self.plan.chunking == Chunking::Words {
            return self.after_last_word();
        }
        let chars_max = self.plan.chars_max.max(1);
        let mut forced = Forced::default();
        let mut chars = 0;
        let mut sentence_start = 0;
        for (at, c) in self.buffer.char_indices() {
            chars += 1;
            if chars > chars_max {
                return Some(forced.cut().unwrap_or(at));
            }
            let end = at + c.len_utf8();
            if c.is_whitespace() {
                forced.after_word = Some(end);
            }
            if c == '<'
                && self.plan.has_flush_tokens()
                && let Some(cut) = plan::flush_token(&self.buffer[at..])
            {
                return Some(self.end_of_space(at + cut));
            }
            let Some(stop) = self.stop_at(at, c, sentence_start) else { continue };
            let cut = stop.end();
            let length = chars + self.buffer[end..cut].chars().count();
            if length > chars_max {
                continue;
            }
            if self.shortest(c, stop).is_some_and(|shortest| length >= shortest) {
                return Some(cut);
            }
            if !matches!(stop, Stop::Mark { .. }) {
                forced.after_clause = Some(cut);
            }
            if let Stop::Sentence { .. } = stop {
                sentence_start = cut;
            }
        }
        None
    }

    /// How long a chunk must be to end at this stop; `None`: none ends there.
    fn shortest(&self, c: char, stop: Stop) -> Option<usize> {
        let (chars_min, boundaries) = match &self.plan.chunking {
            Chunking::Words => return None,
            Chunking::Sentences => {
                let is_sentence = matches!(stop, Stop::Sentence { .. });
                return is_sentence.then_some(EARLY_SENTENCE_CHARS_MIN);
            }
            Chunking::Planned { chars_min, boundaries } => (*chars_min, boundaries),
        };
        let is_early = self.is_early();
        if let Some(boundaries) = boundaries {
            let default = if is_early { EARLY_SENTENCE_CHARS_MIN } else { LATER_CHARS_MIN };
            let is_boundary = plan::is_boundary(boundaries, c);
            return is_boundary.then_some(chars_min.unwrap_or(default));
        }
        match stop {
            Stop::Sentence { .. } if is_early => {
                Some(chars_min.unwrap_or(EARLY_SENTENCE_CHARS_MIN))
            }
            Stop::Clause { .. } if is_early => Some(chars_min.unwrap_or(EARLY_CLAUSE_CHARS_MIN)),
            Stop::Sentence { .. } => Some(chars_min.unwrap_or(LATER_CHARS_MIN)),
            Stop::Clause { .. } | Stop::Mark { .. } => None,
        }
    }

    /// Behind the last word that is whole, and the space after it.
    fn after_last_word(&self) -> Option<usize> {
        let last = self.buffer.rfind(char::is_whitespace)?;
        let end = self.end_of_space(last);
        (!self.buffer[..end].trim().is_empty()).then_some(end)
    }

    /// What ends with the character at `at`, if that can be told from the text so far.
    fn stop_at(&self, at: usize, c: char, sentence_start: usize) -> Option<Stop> {
        let after = at + c.len_utf8();
        match c {
            '\n' => Some(Stop::Sentence { end: self.end_of_space(after) }),
            '。' | '！' | '？' | '｡' | '۔' | '।' | '॥' => {
                Some(Stop::Sentence { end: self.end_of_space(self.end_of_closers(after)) })
            }
            '，' | '、' | '；' | '：' | '،' => Some(Stop::Clause { end: after }),
            '.' | '!' | '?' | '…' => {
                let closed = self.end_of_closers(after);
                let end = self.end_of_space(closed);
                let is_followed_by_space = end > closed;
                let ends = is_followed_by_space
                    && (c != '.' || !self.is_abbreviation(sentence_start, at, end));
                ends.then_some(Stop::Sentence { end })
            }
            ',' | ';' | ':' | '–' | '—' => {
                let end = self.end_of_space(after);
                (end > after).then_some(Stop::Clause { end })
            }
            // Ends of sentences in some transliterations, and ends of insertions.
            '|' | ')' => {
                let end = self.end_of_space(after);
                (end > after).then_some(Stop::Mark { end })
            }
            _ => None,
        }
    }

    /// Whether the full stop at `at` belongs to the word before it, seen what follows at `next`.
    fn is_abbreviation(&self, sentence_start: usize, at: usize, next: usize) -> bool {
        let before = &self.buffer[..at];
        let word = before.rsplit(char::is_whitespace).next().unwrap_or(before);
        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        let lower = word.to_lowercase();
        // "1. First, 2. Second": a number alone numbers what follows.
        let is_alone = self.buffer[sentence_start..at].trim() == word;
        if is_alone && !word.is_empty() && word.chars().all(char::is_numeric) {
            return true;
        }
        let mut letters = word.chars();
        let is_initial = letters.next().is_some_and(|c| c.is_uppercase() && c != 'I')
            && letters.next().is_none();
        if is_initial || ABBREVIATIONS.contains(&lower.as_str()) {
            return true;
        }
        // Unless something follows that is no number, it may still come.
        NUMBER_ABBREVIATIONS.contains(&lower.as_str())
            && self.buffer[next..].chars().next().is_none_or(char::is_numeric)
    }

    fn end_of_closers(&self, from: usize) -> usize {
        self.skip(from, is_closer)
    }

    fn end_of_space(&self, from: usize) -> usize {
        self.skip(from, char::is_whitespace)
    }

    fn skip(&self, from: usize, is_skipped: impl Fn(char) -> bool) -> usize {
        let rest = &self.buffer[from..];
        self.buffer.len() - rest.trim_start_matches(is_skipped).len()
    }
}

fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | ')' | ']' | '»' | '”' | '’' | '」' | '』' | '）')
}

/// What ends with a chunk; one that grew too long ends between two words.
fn what_ends(chunk: &str) -> Ended {
    if chunk.ends_with('\n') {
        return Ended::Sentence;
    }
    match chunk.trim_end().trim_end_matches(is_closer).chars().next_back() {
        Some('.' | '!' | '?' | '…' | '。' | '！' | '？' | '｡' | '۔' | '।' | '॥') => {
            Ended::Sentence
        }
        Some(',' | ';' | ':' | '–' | '—' | '，' | '、' | '；' | '：' | '،') => {
            Ended::Clause
        }
        Some(_) | None => Ended::Nothing,
    }
}

/// Where a chunk may end; `end` is the byte behind the white space that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Sentence {
        end: usize,
    },
    Clause {
        end: usize,
    },
    /// A stop only where a document says so.
    Mark {
        end: usize,
    },
}

impl Stop {
    const fn end(self) -> usize {
        match self {
            Self::Sentence { end } | Self::Clause { end } | Self::Mark { end } => end,
        }
    }
}

/// The best places so far to cut a text that grows too long, as bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Forced {
    after_clause: Option<usize>,
    after_word: Option<usize>,
}

impl Forced {
    fn cut(self) -> Option<usize> {
        self.after_clause.or(self.after_word)
    }
}

#[cfg(test)]
mod tests;
