//! One reply told in pieces, whatever streams it comes from.
//!
//! A stream may end in the middle of a word, and the next one may repeat the end of what was told,
//! or all of it, before it goes on. What is told is whole words, each once.

use crate::speech_ledger::is_unspaced;

/// What was told of a reply so far, and what is held back.
#[derive(Clone, Debug, Default)]
pub struct Continuation {
    told: String,
    /// The beginning of a word that may go on.
    held: String,
    /// The beginning of a stream that may repeat what was told.
    seam: Option<String>,
}

/// Longest beginning of a word that is held: what is longer is no word.
const HELD_BYTES_MAX: usize = 64;

/// Words of what was told that a repetition may begin with: more than a reply has.
const WORDS_MAX: usize = 2_000;

/// Words that are said twice in a row, one digit after the other.
const DIGITS: &[&str] = &[
    "zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "double",
];

impl Continuation {
    /// Takes a piece of the stream; returns what may be told now, which may be nothing.
    pub fn push(&mut self, piece: &str) -> String {
        match &mut self.seam {
            Some(opening) => {
                opening.push_str(piece);
                let Some(repeated) = repeated(&self.told, opening, false) else {
                    return String::new();
                };
                self.close_seam(repeated);
            }
            None => self.held.push_str(piece),
        }
        let end = whole_words(&self.held);
        self.tell(end)
    }

    /// The stream ended in order: what is left to be told.
    pub fn finish(&mut self) -> String {
        if let Some(opening) = &self.seam {
            let repeated = repeated(&self.told, opening, true);
            self.close_seam(repeated.unwrap_or_default());
        }
        self.tell(self.held.len())
    }

    /// The stream was cut off; another will go on.
    pub fn cut(&mut self) {
        self.held.clear();
        self.seam = self.has_told().then(String::new);
    }

    /// Whether there is anything to go on from.
    pub fn has_told(&self) -> bool {
        !self.told.trim().is_empty()
    }

    pub fn told(&self) -> &str {
        &self.told
    }

    /// Drops what the stream repeated; the rest of its opening follows what was told.
    fn close_seam(&mut self, repeated: usize) {
        let Some(opening) = self.seam.take() else { return };
        let rest = opening[repeated..].trim_start();
        let (Some(last), Some(first)) = (self.told.chars().next_back(), rest.chars().next()) else {
            self.held = rest.to_owned();
            return;
        };
        let is_spaced = last.is_whitespace() || is_unspaced(last) || is_unspaced(first);
        let needs_space = !is_spaced && !matches!(first, '.' | ',' | '!' | '?' | ';' | ':' | ')');
        self.held = if needs_space { format!(" {rest}") } else { rest.to_owned() };
    }

    fn tell(&mut self, end: usize) -> String {
        // Space alone is told with the word that follows it.
        if self.held[..end].trim().is_empty() {
            return String::new();
        }
        let rest = self.held.split_off(end);
        let told = std::mem::replace(&mut self.held, rest);
        self.told.push_str(&told);
        told
    }
}

/// The end of the last word that cannot go on.
fn whole_words(text: &str) -> usize {
    let Some(last) = text.chars().next_back() else { return 0 };
    if last.is_whitespace() || is_unspaced(last) || ends_clause(text) {
        return text.len();
    }
    let stop = text.char_indices().rev().find(|&(_, c)| c.is_whitespace() || is_unspaced(c));
    let start = stop.map_or(0, |(at, c)| at + c.len_utf8());
    if text.len() - start > HELD_BYTES_MAX { text.len() } else { start }
}

/// Whether a mark ends the text, other than one that may stand within a number ("3.5").
fn ends_clause(text: &str) -> bool {
    let mut last = text.chars().rev();
    let (mark, before) = (last.next(), last.next());
    let is_number = before.is_some_and(char::is_numeric);
    match mark {
        Some('!' | '?' | ';' | '…' | '。' | '，' | '、' | '！' | '？') => true,
        Some('.' | ',' | ':') => !is_number,
        Some(_) | None => false,
    }
}

/// How many bytes of a stream's opening repeat what was told; `None`: that is not to be known yet.
fn repeated(told: &str, opening: &str, is_all: bool) -> Option<usize> {
    let told = words(told);
    let told = &told[told.len().saturating_sub(WORDS_MAX)..];
    let mut new = words(opening);
    if !is_all && !opening.ends_with(|c: char| c.is_whitespace() || is_unspaced(c)) {
        // The last word may go on.
        new.pop();
        if new.is_empty() {
            return None;
        }
    }
    let is_same = |(told, new): (&Word, &Word)| told.plain == new.plain;
    let follows = |from: usize| told[from..].iter().zip(&new).all(is_same);
    let goes_on = |from: &usize| told.len() - from > new.len() && follows(*from);
    let ends = |from: &usize| told.len() - from <= new.len() && follows(*from);

    // What began further back is the longer repetition.
    if (0..told.len()).any(|from| goes_on(&from)) {
        let says_nothing_new = is_all && counts(&told[..0], &new);
        return match is_all {
            true if says_nothing_new => Some(opening.len()),
            true => Some(0),
            false => None,
        };
    }
    let from = (0..told.len()).find(|from| ends(from) && counts(&told[..*from], &told[*from..]));
    Some(from.map_or(0, |from| new[told.len() - from - 1].end))
}

/// Whether words that are there twice are a repetition: digits are said twice in a row, and so may
/// be a word that was doubled before.
fn counts(before: &[Word], words: &[Word]) -> bool {
    let is_doubled =
        words.len() == 1 && before.last().is_some_and(|before| before.plain == words[0].plain);
    !is_doubled && words.iter().any(|word| !word.is_digit())
}

/// A word without its marks and its case, and where it ends.
struct Word {
    plain: String,
    end: usize,
}

impl Word {
    fn is_digit(&self) -> bool {
        let has_digit = self.plain.chars().any(char::is_numeric);
        let is_letter = self.plain.chars().nth(1).is_none() && self.plain.is_ascii();
        has_digit || is_letter || DIGITS.contains(&self.plain.as_str())
    }
}

fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut is_open = false;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        if c.is_whitespace() {
            is_open = false;
        } else if !c.is_alphanumeric() {
            // Marks belong to the word before them.
            if let Some(last) = words.last_mut().filter(|_| is_open) {
                last.end = end;
            }
        } else if let Some(last) = words.last_mut().filter(|_| is_open && !is_unspaced(c)) {
            last.plain.extend(c.to_lowercase());
            last.end = end;
        } else {
            words.push(Word { plain: c.to_lowercase().collect(), end });
            is_open = !is_unspaced(c);
        }
    }
    words
}

#[cfg(test)]
mod tests;
