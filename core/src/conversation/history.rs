//! What was said and done, in the order in which it began.

use crate::{CallTime, Entry, Message};

/// A place in the history.
///
/// What the caller heard of a speech is known only when it is over, and a tool's result only when
/// it comes; each keeps the place that it took when it began. Results stand right behind the
/// calls they answer, as models insist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    place: u64,
    within: usize,
}

impl Key {
    /// The place behind this one for the result of call number `index`.
    pub(super) const fn result(self, index: usize) -> Self {
        Self { place: self.place, within: index + 1 }
    }
}

/// The entries so far, sorted by their places.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct History {
    entries: Vec<Entry>,
    /// The place of the entry with the same index.
    keys: Vec<Key>,
    next: u64,
    /// Counts what was written or corrected.
    revision: u64,
}

impl History {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn keyed(&self) -> impl Iterator<Item = (Key, &Entry)> {
        self.keys.iter().copied().zip(&self.entries)
    }

    /// The place of what was recorded latest in the conversation's order.
    pub(super) fn last_key(&self) -> Option<Key> {
        self.keys.last().copied()
    }

    /// Changes whenever an entry does.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// What the assistant said last.
    pub(super) fn last_said(&self) -> &str {
        let said = self.entries.iter().rev().find_map(|entry| match &entry.message {
            Message::Assistant { content, .. } => Some(content.as_str()),
            Message::System { .. }
            | Message::User { .. }
            | Message::ToolCalls { .. }
            | Message::ToolResult { .. } => None,
        });
        said.unwrap_or_default()
    }

    /// Takes the next place, for an entry that may come later or never.
    pub(super) fn reserve(&mut self) -> Key {
        let key = Key { place: self.next, within: 0 };
        self.next += 1;
        key
    }

    pub(super) fn push(&mut self, entry: Entry) -> Key {
        let key = self.reserve();
        self.insert(key, entry);
        key
    }

    /// Fills a place; an entry that is there already is replaced.
    pub(super) fn insert(&mut self, key: Key, entry: Entry) {
        self.revision += 1;
        match self.keys.binary_search(&key) {
            Ok(index) => self.entries[index] = entry,
            Err(index) => {
                self.keys.insert(index, key);
                self.entries.insert(index, entry);
            }
        }
    }

    /// What the caller said there, or nothing where the caller said nothing.
    pub(super) fn user_text(&self, key: Key) -> Option<&str> {
        let index = self.keys.binary_search(&key).ok()?;
        match &self.entries[index].message {
            Message::User { content } => Some(content),
            Message::System { .. }
            | Message::Assistant { .. }
            | Message::ToolCalls { .. }
            | Message::ToolResult { .. } => None,
        }
    }

    /// Corrects what the caller said, and until when.
    pub(super) fn set_user_text(&mut self, key: Key, text: String, until: CallTime) {
        if self.user_text(key).is_none() {
            return;
        }
        if let Ok(index) = self.keys.binary_search(&key) {
            self.revision += 1;
            let entry = &mut self.entries[index];
            entry.until = entry.until.max(until);
            entry.message = Message::User { content: text };
        }
    }
}

/// Puts one space between what two finals said; either may be empty.
pub(super) fn join(before: &str, after: &str) -> String {
    let (before, after) = (before.trim_end(), after.trim_start());
    if before.is_empty() || after.is_empty() {
        return format!("{before}{after}");
    }
    format!("{before} {after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content: &str) -> Entry {
        let message = Message::User { content: content.into() };
        Entry { at: CallTime::ZERO, until: CallTime::ZERO, message }
    }

    #[test]
    fn an_entry_that_comes_late_keeps_the_place_it_took() {
        let mut history = History::default();
        history.push(said("a"));
        let speech = history.reserve();
        let calls = history.push(said("calls"));
        history.push(said("d"));
        history.insert(calls.result(1), said("second result"));
        history.insert(calls.result(0), said("first result"));
        history.insert(speech, said("speech"));

        let texts: Vec<_> = history.keyed().filter_map(|(key, _)| history.user_text(key)).collect();
        assert_eq!(texts, ["a", "speech", "calls", "first result", "second result", "d"]);
    }
}
