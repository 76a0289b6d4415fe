//! The assistant's own voice, come back over the line.

use std::time::Duration;

use super::{Conversation, Floor, phrases, speeches::Speech};
use crate::CallTime;

/// How long after a speech fell silent a transcript of its echo may come: the line's delay, and
/// what a transcriber takes for a final. A caller who answers with three words takes longer.
const ECHO_DUE: Duration = Duration::from_secs(1);

/// Words that must be the assistant's before a transcript is taken for an echo.
///
/// Fewer may be the caller's: "Monday or Tuesday?" - "Tuesday.", "Hello." - "Hello?"
const ECHO_WORDS_MIN: usize = 3;

/// The part of a transcript's words that must be the assistant's, in their order, as percent:
/// transcribers mishear a word of a faint echo here and there.
const ECHO_PERCENT: usize = 80;

/// Words of the assistant that may be missing between two words of an echo.
const ECHO_GAP: usize = 2;

/// How fast the fastest voice speaks: what it cannot have said yet is no echo.
const CHARS_PER_SECOND_MAX: u64 = 25;

/// Characters of a word that has only begun.
const CHARS_AHEAD: usize = 10;

/// A speech that fell silent a moment ago.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sounded {
    text: String,
    began: CallTime,
    until: CallTime,
}

impl Sounded {
    pub(super) fn of(speech: &Speech, until: CallTime) -> Option<Self> {
        let began = speech.began_at?;
        Some(Self { text: speech.text.clone(), began, until })
    }

    /// The words that can have been heard of it.
    fn words(&self) -> Vec<String> {
        let ms = self.until.after(self.began).as_millis();
        let chars = u64::try_from(ms).unwrap_or(u64::MAX).saturating_mul(CHARS_PER_SECOND_MAX);
        let chars = usize::try_from(chars / 1_000).unwrap_or(usize::MAX);
        let end = self.text.char_indices().nth(chars.saturating_add(CHARS_AHEAD));
        phrases::words(&self.text[..end.map_or(self.text.len(), |(at, _)| at)])
    }
}

impl Conversation {
    /// Whether a transcript says what the assistant is saying, or has just said.
    pub(super) fn is_echo(&self, text: &str) -> bool {
        let heard = phrases::words(text);
        heard.len() >= ECHO_WORDS_MIN
            && self.sounding().any(|said| is_echo_of(&heard, &said.words()))
    }

    /// Whether a transcript that is too short to tell may be the beginning of an echo.
    pub(super) fn may_become_echo(&self, text: &str) -> bool {
        let heard = phrases::words(text);
        heard.len() < ECHO_WORDS_MIN
            && self.sounding().any(|said| is_echo_of(&heard, &said.words()))
    }

    /// What an echo may come of.
    fn sounding(&self) -> impl Iterator<Item = Sounded> {
        let may_talk = match &self.floor {
            Floor::Ringing | Floor::Ended => false,
            Floor::Idle { .. }
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Paused(_)
            | Floor::Away(_)
            | Floor::Closing(_) => true,
        };
        let voice = self.utterance.voiced_since();
        let lately = self.sounded.clone().filter(|said| {
            // A voice that began in the silence after it is the caller's.
            self.now <= said.until + ECHO_DUE && voice.is_none_or(|since| since <= said.until)
        });
        let playing = self.speeches.playing().iter().filter_map(|s| Sounded::of(s, self.now));
        playing.chain(lately).filter(move |_| may_talk)
    }
}

/// Whether most words of `heard` are in `said`, one behind the other.
fn is_echo_of(heard: &[String], said: &[String]) -> bool {
    (0..said.len()).any(|start| {
        let mut at = start;
        let alike = heard.iter().filter(|word| {
            let ahead = &said[at..said.len().min(at + 1 + ECHO_GAP)];
            let found = ahead.iter().position(|said| said == *word);
            at += found.map_or(0, |gap| gap + 1);
            found.is_some()
        });
        alike.count() * 100 >= heard.len() * ECHO_PERCENT
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_echo(heard: &str, said: &str) -> bool {
        is_echo_of(&phrases::words(heard), &phrases::words(said))
    }

    #[test]
    fn an_echo_says_the_same_in_the_same_order() {
        let said = "We are open from nine to five, Monday to Friday.";
        assert!(is_echo("open from nine to five", said));
        assert!(is_echo("are open from line to five", said), "one word in five misheard");
        assert!(is_echo("open nine to five", said), "one word missed");
        assert!(!is_echo("five to nine from open", said));
        assert!(!is_echo("are you open on saturday", said));
        assert!(!is_echo("Friday to Friday or when", said));
    }

    #[test]
    fn what_was_not_said_yet_has_no_echo() {
        let text = "We are open from nine to five, Monday to Friday.".to_owned();
        let said = |ms| Sounded {
            text: text.clone(),
            began: CallTime::ZERO,
            until: CallTime::from_millis(ms),
        };
        assert_eq!(said(0).words(), ["we", "are", "ope"]);
        assert_eq!(said(60_000).words().len(), 10);
    }
}
