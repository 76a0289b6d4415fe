//! What callers say, told beforehand: for transcribers that are to hear real speech.
//!
//! No recogniser is to be had offline, so that a bench that built the audio of its callers tells the
//! fake transcribers which word lies where in it (`POST /fakes/scripts`). A session whose first
//! `keyterm` begins with `script-` knows the words of the script of that name, and each only once its
//! audio has come: a word is known [`LAG`] after its end, as recognisers need to hear what follows.
//!
//! Places are those of the audio in the leg. A session that is not the first of its script has not
//! heard it from the beginning: it goes by the clock of the last line that was posted, and knows at once
//! what no session before it told for good, as if that had been sent again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use offhook_media::AudioFormat;
use serde::Deserialize;

use super::{App, report::monotonic_ns};

/// How the name of a script begins.
const PREFIX: &str = "script-";

/// How long after its end a word is known.
pub const LAG: Duration = Duration::from_millis(150);

/// How often a partial text comes while the caller speaks, in audio.
pub const PARTIAL_EVERY: Duration = Duration::from_millis(250);

/// Silence after a word before the mark behind it is known: a recogniser that has just heard a word
/// does not know that the sentence ends with it.
const MARK_AFTER: Duration = Duration::from_millis(300);

/// Calls whose words are kept; a bench has some thousands.
const SCRIPTS_MAX: usize = 20_000;

/// Words of one call.
const WORDS_MAX: usize = 1_000;

/// A word, as the transcriber writes it, and where in the audio it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub start: Duration,
    pub end: Duration,
}

/// One line of a script, as it is posted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    script: String,
    /// Where in the audio of the leg the line begins, in ms.
    at_ms: u64,
    /// When that audio is sent, in ns of `CLOCK_MONOTONIC`.
    at_ns: u64,
    words: Vec<LineWord>,
}

/// Times are from the beginning of the line, in ms.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineWord {
    text: String,
    start_ms: u64,
    end_ms: u64,
}

/// The scripts of all calls.
#[derive(Debug, Default)]
pub struct Scripts(Mutex<HashMap<String, Script>>);

#[derive(Debug, Default)]
struct Script {
    words: Vec<Word>,
    sessions: u32,
    /// Words that a session told for good: none tells them again.
    told: usize,
    /// A place in the leg's audio, and when it was sent.
    clock: (Duration, u64),
}

impl Scripts {
    /// Takes another line of a script; lines come in the order in which they are spoken.
    pub fn add(&self, line: Line) -> Result<(), String> {
        let mut scripts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if scripts.len() >= SCRIPTS_MAX && !scripts.contains_key(&line.script) {
            return Err(format!("there are {SCRIPTS_MAX} scripts already"));
        }
        let script = scripts.entry(line.script).or_default();
        if script.words.len() + line.words.len() > WORDS_MAX {
            return Err(format!("the script is longer than {WORDS_MAX} words"));
        }
        let at = Duration::from_millis(line.at_ms);
        script.clock = (at, line.at_ns);
        script.words.extend(line.words.into_iter().map(|word| Word {
            text: word.text,
            start: at + Duration::from_millis(word.start_ms),
            end: at + Duration::from_millis(word.end_ms),
        }));
        Ok(())
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(&mut Script) -> T) -> T {
        let mut scripts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if scripts.len() >= SCRIPTS_MAX && !scripts.contains_key(name) {
            return read(&mut Script::default());
        }
        read(scripts.entry(name.to_owned()).or_default())
    }
}

/// The script that a session's terms name.
pub fn named(query: &[(String, String)]) -> Option<String> {
    let (_, term) = query.iter().find(|(name, _)| name == "keyterm")?;
    term.starts_with(PREFIX).then(|| term.clone())
}

/// Reads a script along with the audio that comes.
pub struct Reader {
    app: App,
    name: String,
    format: AudioFormat,
    samples: u64,
    /// The first session of a script hears all of the leg's audio.
    is_first: bool,
    position: Duration,
    words: Vec<Word>,
    /// Words that were told for good.
    told: usize,
}

impl Reader {
    pub fn new(app: &App, name: String, format: AudioFormat) -> Self {
        let (sessions, told) = app.scripts.read(&name, |script| {
            script.sessions += 1;
            (script.sessions, script.told)
        });
        let is_first = sessions == 1;
        Self {
            app: app.clone(),
            name,
            format,
            samples: 0,
            is_first,
            position: Duration::ZERO,
            words: Vec::new(),
            told,
        }
    }

    /// Takes audio.
    pub fn hear(&mut self, audio: &[u8]) {
        self.samples += self.format.samples_in_bytes(audio.len());
        let counted = self.format.duration_of(self.samples);
        let (known, is_first) = (self.words.len(), self.is_first);
        let (news, position) = self.app.scripts.read(&self.name, |script| {
            let (at, at_ns) = script.clock;
            let since = Duration::from_nanos(monotonic_ns().saturating_sub(at_ns));
            let news: Vec<Word> = script.words.iter().skip(known).cloned().collect();
            (news, if is_first { counted } else { at + since })
        });
        self.words.extend(news);
        self.position = position;
    }

    /// Where in the session's own audio it is.
    pub fn heard(&self) -> Duration {
        self.format.duration_of(self.samples)
    }

    /// A place of the script, in the session's own audio.
    pub fn in_session(&self, place: Duration) -> Duration {
        (place + self.heard()).saturating_sub(self.position)
    }

    /// How many of the words that were not told for good have begun.
    pub fn begun(&self) -> usize {
        self.open().iter().take_while(|word| word.start < self.position).count()
    }

    /// How many of them are known.
    pub fn known(&self) -> usize {
        self.open().iter().take_while(|word| word.end + LAG <= self.position).count()
    }

    /// How many of them are over.
    pub fn over(&self) -> usize {
        self.open().iter().take_while(|word| word.end <= self.position).count()
    }

    /// The first words that were not told for good.
    pub fn words(&self, count: usize) -> &[Word] {
        &self.open()[..count]
    }

    /// How long it has been silent after the last word that began; none while one sounds, or where
    /// all were told.
    pub fn silence(&self) -> Option<Duration> {
        let last = self.open()[..self.begun()].last()?;
        self.position.checked_sub(last.end)
    }

    /// Whether a word has begun since a place in the script.
    pub fn has_begun_since(&self, place: Duration) -> bool {
        self.words.iter().any(|word| (place..self.position).contains(&word.start))
    }

    pub fn position(&self) -> Duration {
        self.position
    }

    /// Tells the first words for good.
    pub fn tell(&mut self, count: usize) -> Vec<Word> {
        let words = self.words(count).to_vec();
        self.told += count;
        let told = self.told;
        self.app.scripts.read(&self.name, |script| script.told = script.told.max(told));
        words
    }

    /// Words as a partial text: without the mark behind the last where it is too early for it.
    pub fn partial(&self, count: usize) -> String {
        let words = self.words(count);
        let text = text_of(words);
        let is_early = words.last().is_some_and(|word| self.position < word.end + MARK_AFTER);
        match is_early {
            true => text.trim_end_matches(['.', '?', '!', ',']).to_owned(),
            false => text,
        }
    }

    fn open(&self) -> &[Word] {
        &self.words[self.told.min(self.words.len())..]
    }
}

/// Words as a text.
pub fn text_of(words: &[Word]) -> String {
    let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    words.join(" ")
}

#[cfg(test)]
pub mod testing {
    use serde_json::json;

    use super::*;

    /// A script whose words are written `text@start-end`, in ms.
    pub fn add(app: &App, name: &str, words: &str) {
        let words: Vec<_> = words
            .split_whitespace()
            .map(|word| {
                let (text, times) = word.split_once('@').unwrap();
                let (start, end) = times.split_once('-').unwrap();
                let ms = |text: &str| text.parse::<u64>().unwrap();
                json!({"text": text, "start_ms": ms(start), "end_ms": ms(end)})
            })
            .collect();
        let line = json!({"script": name, "at_ms": 0, "at_ns": 0, "words": words});
        app.scripts.add(serde_json::from_value(line).unwrap()).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::testing, testing::add, *};

    #[test]
    fn a_word_is_known_a_little_after_its_audio_came() {
        let app = testing::app(&json!({}));
        let mut reader = Reader::new(&app, "script-1".into(), AudioFormat::mulaw());
        add(&app, "script-1", "I@100-200 would@200-400 Thursday.@1000-1500");
        let mut at = |ms: usize| {
            let missing = ms * 8 - reader.samples as usize;
            reader.hear(&vec![0xFF; missing]);
            (reader.begun(), reader.over(), reader.known(), reader.silence().map(|s| s.as_millis()))
        };
        assert_eq!(at(100), (0, 0, 0, None));
        assert_eq!(at(300), (2, 1, 0, None));
        assert_eq!(at(360), (2, 1, 1, None));
        assert_eq!(at(600), (2, 2, 2, Some(200)));
        assert_eq!(at(1_200), (3, 2, 2, None));
        assert_eq!(at(1_700), (3, 3, 3, Some(200)));
        assert_eq!(reader.partial(3), "I would Thursday");
        assert_eq!(text_of(&reader.tell(2)), "I would");
        reader.hear(&vec![0xFF; 1_600]);
        assert_eq!((reader.known(), reader.partial(1)), (1, "Thursday.".to_owned()));
    }

    #[test]
    fn a_second_session_goes_on_by_the_clock() {
        let app = testing::app(&json!({}));
        let words = [("one", 0, 100), ("two", 500_000, 500_100)]
            .map(|(text, start, end)| json!({"text": text, "start_ms": start, "end_ms": end}));
        let line = json!({"script": "script-1", "at_ms": 0, "at_ns": monotonic_ns() - 400_000_000_000,
            "words": words});
        app.scripts.add(serde_json::from_value(line).unwrap()).unwrap();
        let mut first = Reader::new(&app, "script-1".into(), AudioFormat::mulaw());
        first.hear(&[0xFF; 160]);
        first.tell(1);
        let mut second = Reader::new(&app, "script-1".into(), AudioFormat::mulaw());
        second.hear(&[0xFF; 160]);
        assert_eq!((second.begun(), second.silence()), (0, None));
        assert!(second.position() >= Duration::from_secs(400));
    }

    #[test]
    fn only_terms_that_name_a_script_do() {
        let query = |term: &str| vec![("keyterm".to_owned(), term.to_owned())];
        assert_eq!(named(&query("script-7")), Some("script-7".into()));
        assert_eq!((named(&query("offhook")), named(&[])), (None, None));
    }
}
