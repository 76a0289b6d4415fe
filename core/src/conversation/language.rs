//! Which language the caller speaks, and that it is another one now.

use super::Conversation;
use crate::ServerEvent;

/// Words in a row in one language before the caller is taken to speak it: a name, a "gracias" or a
/// word that the transcriber misjudged is no change.
const WORDS_MIN: u32 = 3;

/// What is known of the caller's language.
///
/// The first language to be heard for [`WORDS_MIN`] words is where the call begins, and no change.
/// Words in another one count together, over several transcripts, until one in the caller's language comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Languages {
    /// As the transcriber writes it.
    current: Option<String>,
    /// Another that was heard, and for how many words.
    other: Option<(String, u32)>,
    /// The last transcript was the assistant's own voice: its language is nobody's.
    echoed: bool,
}

impl Languages {
    /// Takes what the latest final transcript was said in; returns the language if it is a change.
    fn hear(&mut self, language: &str, words: u32) -> Option<String> {
        if self.current.as_deref().is_some_and(|current| is_same(current, language)) {
            self.other = None;
            return None;
        }
        let before = match &self.other {
            Some((other, words)) if is_same(other, language) => *words,
            Some(_) | None => 0,
        };
        let words = before.saturating_add(words);
        if words < WORDS_MIN {
            self.other = Some((language.to_owned(), words));
            return None;
        }
        self.other = None;
        let is_change = self.current.is_some();
        self.current = Some(language.to_owned());
        is_change.then(|| language.to_owned())
    }
}

/// Whether two tags (BCP 47) name one language, whatever the region.
fn is_same(one: &str, other: &str) -> bool {
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    primary(one) == primary(other)
}

impl Conversation {
    /// A final transcript was taken, or passed over as an echo.
    pub(super) fn note_echo(&mut self, was_echo: bool) {
        self.languages.echoed = was_echo;
    }

    /// The transcriber says what language the final transcript before was in.
    pub(super) fn language_heard(&mut self, language: &str, words: u32) {
        if self.languages.echoed {
            return;
        }
        if let Some(language) = self.languages.hear(language, words) {
            self.publish(ServerEvent::LanguageChangeDetected { language });
        }
    }
}
