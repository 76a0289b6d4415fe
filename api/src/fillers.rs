//! What a caller hears who waits for an answer.

use offhook_core::Fillers;

/// By language: after the first silence of a turn, and after each further one. English where a
/// language has none of its own.
const TEXTS: &[(&str, &str, &str)] = &[
    ("en", "One moment, please.", "I am still here, just a moment."),
    ("de", "Einen Moment, bitte.", "Ich bin noch da, einen kleinen Moment."),
    ("es", "Un momento, por favor.", "Sigo aquí, un momento."),
    ("fr", "Un instant, s'il vous plaît.", "Je suis toujours là, un petit instant."),
    ("it", "Un momento, per favore.", "Sono ancora qui, un attimo."),
    ("nl", "Een ogenblik, alstublieft.", "Ik ben er nog, een ogenblikje."),
    ("pt", "Um momento, por favor.", "Ainda estou aqui, só um momento."),
];

/// `message` is the document's own line, which is said each time; blank: there is to be none.
pub(crate) fn read(message: Option<&str>, language: &str) -> Option<Fillers> {
    let texts =
        |first: &str, further: &str| Fillers { first: first.into(), further: further.into() };
    match message {
        Some(own) if own.trim().is_empty() => None,
        Some(own) => Some(texts(own, own)),
        None => {
            let tag = language.split(['-', '_']).next().unwrap_or_default();
            let of_language = TEXTS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(tag));
            let (_, first, further) = of_language.unwrap_or(&TEXTS[0]);
            Some(texts(first, further))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_its_own_line_or_none_or_that_of_its_language() {
        let first = |message, language| read(message, language).map(|fillers| fillers.first);
        assert_eq!(first(None, "de-CH").as_deref(), Some("Einen Moment, bitte."));
        assert_eq!(first(None, "multi").as_deref(), Some("One moment, please."));
        assert_eq!(first(Some("Hang on."), "de").as_deref(), Some("Hang on."));
        assert_eq!(first(Some(" "), "en"), None);
    }
}
