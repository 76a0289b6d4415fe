//! The language of a transcript, where Deepgram listens for several.

use serde::Deserialize;

use crate::stt::SttEvent;

/// A word, as far as its language goes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Word {
    /// Absent in Flux, and where one language is listened for.
    pub language: Option<String>,
    pub confidence: Option<f64>,
}

/// The language of most words; of several with as many, the one that comes first.
///
/// Flux names languages for a turn and not for each word: the first is that of the turn, and of
/// each other one there is a word at least.
pub(super) fn language_of(words: &[Word], languages: &[String]) -> Option<SttEvent> {
    let mut counts: Vec<(&str, u32)> = Vec::new();
    for language in words.iter().filter_map(|word| word.language.as_deref()) {
        match counts.iter_mut().find(|(counted, _)| *counted == language) {
            Some((_, count)) => *count += 1,
            None => counts.push((language, 1)),
        }
    }
    // The first of the greatest.
    let most = counts.into_iter().reduce(|most, next| if next.1 > most.1 { next } else { most });
    let of_all = || {
        let others = languages.len().saturating_sub(1);
        let count = words.len().saturating_sub(others).max(1);
        Some((languages.first()?.as_str(), u32::try_from(count).unwrap_or(u32::MAX)))
    };
    let (language, words) = most.or_else(of_all).filter(|(language, _)| !language.is_empty())?;
    Some(SttEvent::Language { language: language.to_owned(), words })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(languages: &[Option<&str>]) -> Vec<Word> {
        let word = |language: &Option<&str>| Word {
            language: language.map(ToOwned::to_owned),
            confidence: None,
        };
        languages.iter().map(word).collect()
    }

    fn check(heard: &[Option<&str>], languages: &[&str], want: Option<(&str, u32)>) {
        let languages: Vec<String> = languages.iter().map(ToString::to_string).collect();
        let want =
            want.map(|(language, words)| SttEvent::Language { language: language.into(), words });
        assert_eq!(language_of(&words(heard), &languages), want);
    }

    #[test]
    fn the_language_of_most_words_is_that_of_the_transcript() {
        check(&[Some("en"), Some("es"), Some("es")], &["en", "es"], Some(("es", 2)));
        check(&[Some("en"), Some("es")], &["es", "en"], Some(("en", 1)));
        check(&[Some("en"), None, Some("en")], &[], Some(("en", 2)));
    }

    #[test]
    fn languages_of_a_whole_turn_count_for_its_words() {
        check(&[None, None, None], &["fr"], Some(("fr", 3)));
        check(&[None, None, None], &["fr", "en"], Some(("fr", 2)));
        check(&[], &["fr"], Some(("fr", 1)));
    }

    #[test]
    fn where_nothing_is_said_of_languages_there_is_none() {
        check(&[None, None], &[], None);
        check(&[], &[""], None);
    }
}
