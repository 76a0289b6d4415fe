//! Keeps a model's thoughts from being spoken: open models write them in front of the answer, as
//! `<think>..</think>`, where their server does not take them out.

const BEGIN: &str = "<think>";
const END: &str = "</think>";

#[derive(Debug)]
pub(super) enum Thoughts {
    /// Nothing but blanks, or a part of the mark, has come: it waits here.
    Waiting(String),
    /// Thinking; the last bytes wait, for they may be a part of the mark that ends it.
    Thinking(String),
    /// The thoughts are over, and blanks in front of the answer are left out.
    Thought,
    Answering,
}

impl Default for Thoughts {
    fn default() -> Self {
        Self::Waiting(String::new())
    }
}

impl Thoughts {
    /// What of a piece of the reply is to be spoken.
    pub fn strip(&mut self, piece: &str) -> String {
        match self {
            Self::Answering => piece.to_owned(),
            Self::Thought => {
                let answer = piece.trim_start();
                if !answer.is_empty() {
                    *self = Self::Answering;
                }
                answer.to_owned()
            }
            Self::Waiting(waiting) => {
                let waiting = format!("{waiting}{piece}");
                self.decide(waiting)
            }
            Self::Thinking(waiting) => {
                let waiting = format!("{waiting}{piece}");
                self.think(&waiting)
            }
        }
    }

    /// What waited for a mark that did not come.
    pub fn finish(&mut self) -> Option<String> {
        match std::mem::replace(self, Self::Answering) {
            Self::Waiting(waiting) => (!waiting.is_empty()).then_some(waiting),
            Self::Thinking(_) | Self::Thought | Self::Answering => None,
        }
    }

    fn decide(&mut self, text: String) -> String {
        let start = text.trim_start();
        if let Some(thoughts) = start.strip_prefix(BEGIN) {
            return self.think(thoughts);
        }
        if BEGIN.starts_with(start) {
            *self = Self::Waiting(text);
            return String::new();
        }
        *self = Self::Answering;
        text
    }

    fn think(&mut self, text: &str) -> String {
        if let Some((_, answer)) = text.split_once(END) {
            *self = Self::Thought;
            return self.strip(answer);
        }
        let kept = (1..END.len()).rev().find(|length| text.ends_with(&END[..*length]));
        *self = Self::Thinking(END[..kept.unwrap_or_default()].to_owned());
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is spoken of a reply, however it is cut into pieces of that many characters.
    fn spoken(reply: &str) -> String {
        let characters: Vec<char> = reply.chars().collect();
        let mut outcomes = (1..=characters.len().max(1)).map(|length| {
            let mut thoughts = Thoughts::default();
            let pieces = characters.chunks(length).map(String::from_iter);
            let mut spoken: String = pieces.map(|piece| thoughts.strip(&piece)).collect();
            spoken.extend(thoughts.finish());
            spoken
        });
        let first = outcomes.next().unwrap();
        assert!(outcomes.all(|outcome| outcome == first), "it does not matter where it is cut");
        first
    }

    #[test]
    fn thoughts_in_front_of_the_answer_are_not_spoken() {
        assert_eq!(spoken("<think>\nHm. 2 < 3 </thin </think>\n\nYes, please."), "Yes, please.");
        assert_eq!(spoken("\n <think></think>Yes."), "Yes.");
        assert_eq!(spoken("<think>never ending é"), "");
    }

    #[test]
    fn an_answer_without_thoughts_is_spoken_as_it_stands() {
        for answer in ["Yes.", " Yes.", "<thin ice>", "<", "", "I <think> so</think>.", "é"] {
            assert_eq!(spoken(answer), answer);
        }
    }
}
