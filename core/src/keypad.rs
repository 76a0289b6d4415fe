//! Keys that the caller presses, collected into entries.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::CallTime;

/// When pressed keys are an entry (`keypadInputPlan`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeypadPlan {
    /// Time after the last key; `None`: only the delimiter ends an entry, and where there is none
    /// each key is one.
    pub timeout: Option<Duration>,
    /// The key that ends an entry and is no part of it.
    pub delimiter: Option<char>,
}

impl Default for KeypadPlan {
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(2)), delimiter: None }
    }
}

/// Keys of one entry. The longest numbers that people type are IBANs (34) and card numbers with
/// their dates (about 30); more than this is a stuck key.
const KEYS_MAX: usize = 64;

/// The keys that were pressed and are no entry yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keypad {
    keys: String,
    began_at: CallTime,
    /// When the entry is over if no other key comes.
    due: Option<CallTime>,
}

/// An entry that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeypadEntry {
    pub keys: String,
    pub began_at: CallTime,
}

impl Keypad {
    /// Takes a key; returns the entry that it ends. What is no key of a telephone is passed over.
    pub fn press(&mut self, now: CallTime, key: char, plan: &KeypadPlan) -> Option<KeypadEntry> {
        if !is_key(key) {
            return None;
        }
        if plan.delimiter == Some(key) {
            return self.take();
        }
        if self.keys.is_empty() {
            self.began_at = now;
        }
        self.keys.push(key);
        self.due = plan.timeout.map(|timeout| now + timeout);
        let is_immediate = plan.timeout.is_none() && plan.delimiter.is_none();
        let is_over = is_immediate || self.keys.len() >= KEYS_MAX;
        is_over.then(|| self.take()).flatten()
    }

    /// When an entry is over without another key.
    pub fn due(&self) -> Option<CallTime> {
        self.due
    }

    /// Ends the entry; none where no key was pressed.
    pub fn take(&mut self) -> Option<KeypadEntry> {
        let Self { keys, began_at, .. } = std::mem::take(self);
        (!keys.is_empty()).then_some(KeypadEntry { keys, began_at })
    }
}

impl KeypadEntry {
    /// The entry as the model reads it (VapiAI/docs, page "Keypad input settings").
    pub fn text(&self) -> String {
        format!("User's Keypad Entry: {}", self.keys)
    }
}

/// Whether a telephone can have this key (ITU-T Q.23).
fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | 'A'..='D' | '*' | '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: KeypadPlan =
        KeypadPlan { timeout: Some(Duration::from_secs(2)), delimiter: Some('#') };

    fn press(keypad: &mut Keypad, plan: &KeypadPlan, keys: &str) -> Vec<String> {
        let entries = keys.chars().enumerate().filter_map(|(index, key)| {
            keypad.press(CallTime::from_millis(1_000 + 100 * index as u64), key, plan)
        });
        entries.map(|entry| entry.keys).collect()
    }

    #[test]
    fn the_delimiter_ends_an_entry_and_is_no_part_of_it() {
        let mut keypad = Keypad::default();
        assert_eq!(press(&mut keypad, &HASH, "12*3#45#6"), ["12*3", "45"]);
        assert_eq!(keypad.take().map(|entry| entry.keys), Some("6".into()));
    }

    #[test]
    fn a_delimiter_without_keys_is_no_entry() {
        assert_eq!(press(&mut Keypad::default(), &HASH, "##"), [""; 0]);
    }

    #[test]
    fn the_timeout_counts_from_the_last_key() {
        let mut keypad = Keypad::default();
        press(&mut keypad, &HASH, "12");
        assert_eq!(keypad.due(), Some(CallTime::from_millis(3_100)));
        let entry = keypad.take().unwrap();
        assert_eq!(entry.text(), "User's Keypad Entry: 12");
        assert_eq!(entry.began_at, CallTime::from_millis(1_000));
        assert_eq!(keypad.due(), None);
    }

    #[test]
    fn without_a_timeout_the_delimiter_is_waited_for() {
        let plan = KeypadPlan { timeout: None, ..HASH };
        let mut keypad = Keypad::default();
        assert_eq!(press(&mut keypad, &plan, "12"), [""; 0]);
        assert_eq!(keypad.due(), None);
        assert_eq!(press(&mut keypad, &plan, "#"), ["12"]);
    }

    #[test]
    fn without_either_each_key_is_an_entry() {
        let plan = KeypadPlan { timeout: None, delimiter: None };
        assert_eq!(press(&mut Keypad::default(), &plan, "12#"), ["1", "2", "#"]);
    }

    #[test]
    fn a_stuck_key_and_rubbish_are_bounded() {
        let mut keypad = Keypad::default();
        assert_eq!(press(&mut keypad, &HASH, &"7".repeat(100)).len(), 1);
        assert_eq!(press(&mut keypad, &HASH, "é7 x"), [""; 0]);
        assert_eq!(keypad.take().unwrap().keys.len(), 100 - KEYS_MAX + 1);
    }
}
