//! What a word is.

/// From here on in Unicode, but for Korean, a letter is a word of its own.
const UNSPACED_LETTERS: char = '\u{2E80}';

/// Letters and digits in lower case, each with the bytes that it stands in.
pub(super) fn bare(text: &str) -> impl Iterator<Item = (usize, usize, char)> {
    text.char_indices()
        .filter(|(_, c)| c.is_alphanumeric())
        .flat_map(|(at, c)| c.to_lowercase().map(move |lower| (at, at + c.len_utf8(), lower)))
}

/// Cuts text into words and the white space between them, each with the byte behind it.
pub(super) fn words_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let boundary = rest
            .char_indices()
            .zip(rest.chars().skip(1))
            .find_map(|((at, c), next)| is_boundary(c, next).then_some(at + c.len_utf8()));
        if rest.is_empty() {
            return None;
        }
        let end = boundary.unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some((text.len() - after.len(), word))
    })
}

/// Whether a word ends between two characters.
pub(super) fn is_boundary(before: char, after: char) -> bool {
    before.is_whitespace() != after.is_whitespace()
        || is_unspaced(after)
        || (is_unspaced(before) && after.is_alphanumeric())
}

/// Whether it belongs to a language that is written without spaces.
pub(crate) fn is_unspaced(c: char) -> bool {
    let is_korean = matches!(c, '\u{AC00}'..='\u{D7FF}' | '\u{3130}'..='\u{318F}');
    c >= UNSPACED_LETTERS && c.is_alphanumeric() && !is_korean
}
