//! Phrases, compared as they sound: without case and punctuation.

/// From here on in Unicode lie the scripts that put no spaces between words (Thai, Lao, Chinese,
/// Japanese ...). Korean is among them too and comes to no harm.
const UNSPACED_SCRIPTS: char = '\u{0E00}';

/// The words of `text` in lower case, without punctuation.
///
/// An apostrophe vanishes (`don't` is `dont`), any other punctuation separates words.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.chars()
        .filter(|c| !matches!(c, '\'' | '\u{2019}'))
        .flat_map(char::to_lowercase)
        .collect::<String>()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether two texts are the same words.
pub(super) fn are_same(one: &str, other: &str) -> bool {
    one == other || words(one) == words(other)
}

/// Whether `text` as a whole is one of `phrases`.
pub(super) fn is_one_of(text: &str, phrases: &[String]) -> bool {
    let text = words(text);
    !text.is_empty() && phrases.iter().any(|phrase| words(phrase) == text)
}

/// Whether one of `phrases` occurs in `text`, at word boundaries where the script has them.
pub(crate) fn contains_any(text: &str, phrases: &[String]) -> bool {
    let text = words(text);
    phrases.iter().any(|phrase| contains(&text, &words(phrase)))
}

fn contains(text: &[String], phrase: &[String]) -> bool {
    if phrase.is_empty() {
        return false;
    }
    if phrase.iter().flat_map(|word| word.chars()).any(|c| c >= UNSPACED_SCRIPTS) {
        return text.concat().contains(&phrase.concat());
    }
    text.windows(phrase.len()).any(|window| window == phrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(phrases: &[&str]) -> Vec<String> {
        phrases.iter().map(|&phrase| phrase.into()).collect()
    }

    #[test]
    fn a_phrase_is_compared_without_case_and_punctuation() {
        assert!(is_one_of("Uh-huh.", &list(&["uh-huh"])));
        assert!(is_one_of("I'm listening!", &list(&["im listening"])));
        assert!(!is_one_of("Okay, but no", &list(&["okay"])));
        assert!(!is_one_of("...", &list(&["", "okay"])));
    }

    #[test]
    fn a_phrase_is_found_at_word_boundaries_only() {
        assert!(contains_any("Well then: good bye, Ann", &list(&["Good bye"])));
        assert!(!contains_any("It is unstoppable", &list(&["stop"])));
        assert!(!contains_any("anything", &list(&["", "!"])));
    }

    #[test]
    fn a_phrase_in_an_unspaced_script_is_found_anywhere() {
        assert!(contains_any("好的，再见。", &list(&["再见"])));
    }
}
