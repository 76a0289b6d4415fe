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

/// Whether `text` is nothing but some of `phrases`, one behind the other.
pub(super) fn are_all_of(text: &str, phrases: &[String]) -> bool {
    let text = words(text);
    let phrases: Vec<_> = phrases.iter().map(|phrase| words(phrase)).collect();
    // Whether the words up to each place are: a word may belong to several phrases.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for at in 0..text.len() {
        if reached[at] {
            for phrase in phrases.iter().filter(|phrase| text[at..].starts_with(phrase)) {
                reached[at + phrase.len()] = true;
            }
        }
    }
    !text.is_empty() && reached[text.len()]
}

/// Whether one of `phrases` begins with `text` and goes on.
pub(super) fn begins_one_of(text: &str, phrases: &[String]) -> bool {
    let text = words(text);
    let goes_on = |phrase: Vec<String>| phrase.len() > text.len() && phrase.starts_with(&text);
    !text.is_empty() && phrases.iter().any(|phrase| goes_on(words(phrase)))
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
        assert!(are_all_of("Uh-huh.", &list(&["uh-huh"])));
        assert!(are_all_of("I'm listening!", &list(&["im listening"])));
        assert!(!are_all_of("Okay, but no", &list(&["okay"])));
        assert!(!are_all_of("...", &list(&["", "okay"])));
    }

    #[test]
    fn phrases_may_follow_each_other_and_share_their_beginnings() {
        let known = list(&["yeah", "yeah okay", "okay sure"]);
        assert!(are_all_of("Yeah. Yeah, okay, sure!", &known));
        assert!(!are_all_of("Yeah, sure", &known));
        assert!(begins_one_of("okay", &known) && begins_one_of("Yeah", &known));
        assert!(!begins_one_of("sure", &known) && !begins_one_of("", &known));
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
