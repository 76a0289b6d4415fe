//! Text as the engines can speak it.

/// Longest sentence given to an engine, in characters; a longer one is cut between words. Ten
/// seconds of speech: what is cancelled has cost no more than that.
const SENTENCE_MAX: usize = 200;

/// Abbreviations whose full stop ends no sentence.
const ABBREVIATIONS: [&str; 12] =
    ["dr.", "mr.", "mrs.", "ms.", "prof.", "st.", "no.", "vs.", "etc.", "e.g.", "i.e.", "approx."];

/// Cuts text after each sentence; pieces that nobody can pronounce are left out.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut sentence = String::new();
    for word in text.split_whitespace() {
        if sentence.len() + word.len() > SENTENCE_MAX {
            sentences.push(std::mem::take(&mut sentence));
        }
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence += word;
        if ends_sentence(word) {
            sentences.push(std::mem::take(&mut sentence));
        }
    }
    sentences.push(sentence);
    sentences.retain(|sentence| sentence.chars().any(char::is_alphanumeric));
    sentences
}

/// The words of a sentence, each with what it is in ASCII, which is all that flite reads.
pub(super) fn ascii_words(sentence: &str) -> Vec<(String, String)> {
    let mut words: Vec<(String, String)> = Vec::new();
    let spaced = sentence.replace(['\u{2014}', '\u{2013}'], " \u{2014} ");
    for word in spaced.split_whitespace() {
        let ascii: String = word.chars().map(ascii).collect();
        if ascii.chars().any(|c| c.is_ascii_alphanumeric()) {
            words.push((word.to_owned(), ascii));
        } else if let Some((_, before)) = words.last_mut()
            && before.ends_with(|c: char| c.is_ascii_alphanumeric())
        {
            before.push(',');
        }
    }
    words
}

fn ends_sentence(word: &str) -> bool {
    let bare = word.trim_end_matches(['"', '\'', ')', '\u{201D}', '\u{2019}']);
    match bare.chars().next_back() {
        Some('?' | '!' | ':' | ';' | '\u{2026}') => true,
        Some('.') => {
            let is_initial = bare.len() == 2 && bare.starts_with(char::is_uppercase);
            !is_initial && !ABBREVIATIONS.contains(&bare.to_lowercase().as_str())
        }
        _ => false,
    }
}

fn ascii(c: char) -> &'static str {
    const PRINTABLE: &str = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ\
                             [\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
    match c {
        '\u{2018}' | '\u{2019}' => "'",
        '\u{201C}' | '\u{201D}' => "\"",
        '\u{2026}' => "...",
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'À'..='Å' => "A",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'è'..='ë' | 'ē' | 'ę' | 'ě' => "e",
        'È'..='Ë' => "E",
        'ì'..='ï' => "i",
        'ñ' | 'ń' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => "o",
        'Ò'..='Ö' | 'Ø' => "O",
        'œ' => "oe",
        'ù'..='ü' | 'ū' | 'ů' | 'ű' => "u",
        'Ù'..='Ü' => "U",
        'ý' | 'ÿ' => "y",
        'ß' => "ss",
        'š' | 'ś' => "s",
        'ž' | 'ź' | 'ż' => "z",
        'ł' => "l",
        '€' => "euro",
        '£' => "pound",
        ' '..='~' => {
            let at = c as usize - ' ' as usize;
            &PRINTABLE[at..=at]
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_after_sentences_but_not_after_abbreviations() {
        assert_eq!(
            sentences("Hello! Dr. Smith is in at 9.30 a day. \"Shall I?\" he asked: ... fine"),
            ["Hello!", "Dr. Smith is in at 9.30 a day.", "\"Shall I?\"", "he asked:", "fine"]
        );
        assert_eq!(sentences(" \n ... - "), Vec::<String>::new());
    }

    #[test]
    fn a_sentence_without_end_is_cut_between_words() {
        let cut = sentences(&"word ".repeat(100));

        assert!(cut.iter().all(|sentence| sentence.len() <= SENTENCE_MAX));
        assert_eq!(cut.join(" "), "word ".repeat(100).trim_end());
    }

    #[test]
    fn every_printable_ascii_character_stands_for_itself() {
        assert!((' '..='~').all(|c| ascii(c) == c.to_string()));
    }

    #[test]
    fn words_are_ascii_and_keep_their_spelling_beside_it() {
        let words = ascii_words("It\u{2019}s Zoë\u{2014}at the café 東京 \u{2026}");

        let ascii: Vec<&str> = words.iter().map(|(_, ascii)| ascii.as_str()).collect();
        assert_eq!(ascii, ["It's", "Zoe,", "at", "the", "cafe,"]);
        assert_eq!(words[1].0, "Zoë");
    }
}
