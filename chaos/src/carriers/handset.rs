//! A person with a telephone: hears frames, and answers each with one of its own.

use std::{collections::VecDeque, time::Duration};

use offhook_media::AudioFormat;
use offhook_testkit::{
    caller::{
        CallerOptions, Line, Spoken, TurnTiming, read_wav,
        script::{FRAME, Mic, Script},
    },
    tones::{WireEar, speak},
};
use serde_json::{Value, json};

use super::{
    guest::Guest,
    options::{Persona, Saying},
};
use crate::fakes::monotonic_ns;

/// The format of a telephone line, decoded.
pub const FORMAT: AudioFormat = AudioFormat::pcm16(8_000);

/// Samples of a frame of 20 ms.
pub const FRAME_SAMPLES: usize = 160;

/// Stretches of sound and words that are kept of a call.
const KEPT_MAX: usize = 20_000;

/// Silence that ends a stretch of sound, in frames.
const STRETCH_GAP: u32 = 3;

/// The RMS above which there is sound.
const SOUND_RMS: f64 = 150.0;

pub struct Handset {
    persona: Persona,
    /// Whoever has it in place of the persona; nothing of what is heard is kept then.
    guest: Option<Box<dyn Guest>>,
    parts: VecDeque<Part>,
    /// Keys that are pressed next, one every [`KEY_FRAMES`].
    keys: VecDeque<char>,
    key_wait: u32,
    /// Speech that somebody asked for meanwhile.
    aloud: VecDeque<i16>,
    /// The answers to what was said, where that is over.
    turns: Vec<TurnTiming>,
    pub heard: Heard,
}

/// Frames from one key to the next: people press two a second.
const KEY_FRAMES: u32 = 12;

/// How long a person who has nothing more to say waits after pressing the last key.
const LAST_KEY_WAIT: Duration = Duration::from_secs(1);

enum Part {
    Talk(Box<Script>),
    Keys(String),
}

/// What a person did in a frame.
pub enum Deed {
    Spoke(Vec<i16>),
    HungUp(&'static str),
}

impl Handset {
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn new(persona: &Persona, recorded_seconds: u32) -> Result<Self, String> {
        Ok(Self {
            persona: persona.clone(),
            guest: None,
            parts: parts(persona)?,
            keys: VecDeque::new(),
            key_wait: 0,
            aloud: VecDeque::new(),
            turns: Vec::new(),
            heard: Heard::new(recorded_seconds),
        })
    }

    pub fn hand_to(&mut self, guest: Box<dyn Guest>) {
        self.guest = Some(guest);
    }

    pub fn take_back(&mut self) -> Option<Box<dyn Guest>> {
        self.guest.take()
    }

    /// Audio has come, which is played later; `None`: what was not played is forgotten.
    pub fn receive(&mut self, samples: Option<&[i16]>) {
        match (&mut self.guest, samples) {
            (Some(guest), Some(samples)) => guest.receive(samples),
            (Some(guest), None) => guest.clear(),
            (None, _) => {}
        }
    }

    /// One frame, which began so long after the person was connected.
    pub fn frame(&mut self, at: Duration, heard: &[i16]) -> (Deed, Option<char>) {
        if let Some(guest) = &mut self.guest {
            let deed = guest.speak().map_or(Deed::HungUp("the person hung up"), Deed::Spoke);
            return (deed, None);
        }
        self.heard.take(at, heard);
        let key = self.key();
        let mut spoken = match self.talk(at, heard) {
            Deed::Spoke(spoken) => spoken,
            over @ Deed::HungUp(_) => return (over, key),
        };
        for sample in &mut spoken {
            let Some(aloud) = self.aloud.pop_front() else { break };
            *sample = sample.saturating_add(aloud);
        }
        (Deed::Spoke(spoken), key)
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.extend(keys.chars());
    }

    pub fn say(&mut self, text: &str) {
        self.aloud.extend(speak(text, FORMAT.sample_rate_hz));
    }

    /// The answers so far, with their times since the person was connected.
    pub fn turns(&self) -> Vec<TurnTiming> {
        self.turns.clone()
    }

    fn finish_talk(&mut self) {
        if let Some(Part::Talk(script)) = self.parts.pop_front() {
            self.turns.extend(script.into_turns());
        }
    }

    fn key(&mut self) -> Option<char> {
        self.key_wait = self.key_wait.saturating_sub(1);
        if self.key_wait > 0 {
            return None;
        }
        let key = self.keys.pop_front()?;
        self.key_wait = KEY_FRAMES;
        Some(key)
    }

    fn talk(&mut self, at: Duration, heard: &[i16]) -> Deed {
        let silence = || Deed::Spoke(vec![0; heard.len()]);
        match self.parts.front_mut() {
            Some(Part::Keys(keys)) => {
                let keys = std::mem::take(keys);
                self.press(&keys);
                self.parts.pop_front();
                silence()
            }
            Some(Part::Talk(script)) => match script.frame(at, heard) {
                Mic::Frame(spoken) => Deed::Spoke(spoken),
                Mic::GiveUp => {
                    self.finish_talk();
                    Deed::HungUp("out of patience")
                }
                Mic::HangUp => {
                    self.finish_talk();
                    if self.parts.is_empty() && !self.persona.stays {
                        return Deed::HungUp("the script is over");
                    }
                    silence()
                }
            },
            None => silence(),
        }
    }
}

/// Keys are pressed between two parts of a conversation.
fn parts(persona: &Persona) -> Result<VecDeque<Part>, String> {
    let words = |text: &str| Spoken::new(text, speak(text, FORMAT.sample_rate_hz));
    let ms = Duration::from_millis;
    let mut parts = VecDeque::new();
    let mut lines = Vec::new();
    let talk = |lines: Vec<Line>, is_first: bool| {
        let mut options = CallerOptions::new("", FORMAT, lines);
        options.speaks_first = persona.speaks_first && is_first;
        options.patience = ms(persona.patience_ms);
        options.turn_gap = ms(persona.turn_gap_ms);
        Part::Talk(Box::new(Script::new(&mut options)))
    };
    for saying in &persona.lines {
        match saying {
            Saying::Say(text) => lines.push(Line::Say(words(text))),
            Saying::Wav(path) => {
                let samples = read_wav(path, FORMAT.sample_rate_hz).map_err(|e| e.to_string())?;
                lines.push(Line::Say(Spoken::new(path.display().to_string(), samples)));
            }
            Saying::Interrupt { after_ms, say } => {
                lines.push(Line::Interrupt { after: ms(*after_ms), spoken: words(say) });
            }
            Saying::WaitMs(wait) => lines.push(Line::Wait(ms(*wait))),
            Saying::HangUp => lines.push(Line::HangUp),
            Saying::Keys(keys) => {
                let before = std::mem::take(&mut lines);
                parts.push_back(talk(before, parts.is_empty()));
                parts.push_back(Part::Keys(keys.clone()));
            }
        }
    }
    if lines.is_empty() && !parts.is_empty() && !persona.stays {
        // Nothing is to be heard after the last key.
        lines.extend([Line::Wait(LAST_KEY_WAIT), Line::HangUp]);
    }
    if !(persona.stays && lines.is_empty()) {
        parts.push_back(talk(lines, parts.is_empty()));
    }
    Ok(parts)
}

/// What a person heard; times are in milliseconds since the person was connected.
pub struct Heard {
    ear: WireEar,
    words: Vec<(u64, String)>,
    /// From and to of each stretch of sound.
    sounds: Vec<(u64, u64)>,
    /// Keys that the other party sent.
    pub keys: String,
    quiet_frames: u32,
    first_ns: Option<u64>,
    audio: Vec<u8>,
    audio_max: usize,
}

impl Heard {
    fn new(recorded_seconds: u32) -> Self {
        Self {
            ear: WireEar::new(FORMAT),
            words: Vec::new(),
            sounds: Vec::new(),
            keys: String::new(),
            quiet_frames: STRETCH_GAP,
            first_ns: None,
            audio: Vec::new(),
            audio_max: recorded_seconds as usize * FORMAT.sample_rate_hz as usize,
        }
    }

    fn take(&mut self, at: Duration, frame: &[i16]) {
        if self.words.len() < KEPT_MAX {
            let words = self.ear.hear(&FORMAT.encode(frame));
            self.words.extend(words.into_iter().map(|w| (w.at.as_millis() as u64, w.text)));
        }
        let at = at.as_millis() as u64;
        let power: f64 = frame.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let is_sound = (power / frame.len().max(1) as f64).sqrt() > SOUND_RMS;
        if is_sound && self.quiet_frames >= STRETCH_GAP && self.sounds.len() < KEPT_MAX {
            self.sounds.push((at, at + 20));
        } else if is_sound && let Some((_, to)) = self.sounds.last_mut() {
            *to = at + 20;
        }
        self.quiet_frames = if is_sound { 0 } else { self.quiet_frames.saturating_add(1) };
        if is_sound {
            self.first_ns.get_or_insert_with(monotonic_ns);
        }
        if self.audio.len() < self.audio_max {
            self.audio.extend_from_slice(&AudioFormat::mulaw().encode(frame));
        }
    }

    pub fn text(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|(_, word)| word.as_str()).collect();
        words.join(" ")
    }

    /// `text`, `words` and `sounds` with their times, `keys`, `first_ns` of `CLOCK_MONOTONIC`.
    pub fn document(&self) -> Value {
        let words = self.words.iter().map(|(at, text)| json!({"at_ms": at, "text": text}));
        let sounds = self.sounds.iter().map(|(from, to)| json!([from, to]));
        json!({
            "text": self.text(),
            "words": words.collect::<Vec<_>>(),
            "sounds": sounds.collect::<Vec<_>>(),
            "keys": self.keys,
            "first_ns": self.first_ns,
        })
    }

    /// What was heard, as far as it is kept.
    pub fn samples(&self) -> Vec<i16> {
        AudioFormat::mulaw().decode(&self.audio)
    }

    /// What was heard, as a file.
    pub fn wav(&self) -> Vec<u8> {
        wav_of(&self.samples())
    }
}

/// A mono file of 16 bits at 8 kHz (RIFF, "WAVE" of Microsoft and IBM).
fn wav_of(samples: &[i16]) -> Vec<u8> {
    let bytes = FORMAT.encode(samples);
    let rate = FORMAT.sample_rate_hz;
    let mut file = Vec::with_capacity(44 + bytes.len());
    let mut put = |part: &[u8]| file.extend_from_slice(part);
    put(b"RIFF");
    put(&(36 + bytes.len() as u32).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&rate.to_le_bytes());
    put(&(rate * 2).to_le_bytes());
    put(&2_u16.to_le_bytes());
    put(&16_u16.to_le_bytes());
    put(b"data");
    put(&(bytes.len() as u32).to_le_bytes());
    put(&bytes);
    file
}

/// The length of a frame.
pub const FRAME_TIME: Duration = FRAME;

#[cfg(test)]
mod tests {
    use super::*;

    fn handset(persona: Value) -> Handset {
        Handset::new(&serde_json::from_value(persona).unwrap(), 10).unwrap()
    }

    /// Plays sound of the agent at these frames; what was said and pressed, and the end.
    fn run(handset: &mut Handset, agent: &[(u64, u64)]) -> (String, String, Option<&'static str>) {
        let mut ear = WireEar::new(FORMAT);
        let (mut said, mut keys) = (Vec::new(), String::new());
        for frame in 0..1_500_u64 {
            let at = Duration::from_millis(frame * 20);
            let voiced = agent.iter().any(|(from, to)| (*from..*to).contains(&(frame * 20)));
            let heard = vec![if voiced { 3_000 } else { 0 }; FRAME_SAMPLES];
            let (deed, key) = handset.frame(at, &heard);
            keys.extend(key);
            match deed {
                Deed::Spoke(frame) => {
                    said.extend(ear.hear(&FORMAT.encode(&frame)).into_iter().map(|w| w.text));
                }
                Deed::HungUp(why) => return (said.join(" "), keys, Some(why)),
            }
        }
        (said.join(" "), keys, None)
    }

    #[test]
    fn a_person_answers_presses_keys_and_hangs_up_after_the_last_answer() {
        let lines = json!([{"say": "1 2"}, {"keys": "7#"}, {"say": "3"}]);
        let mut handset = handset(json!({"lines": lines}));
        let agent = [(0, 500), (3_000, 3_500), (6_000, 6_500), (9_000, 9_500)];
        let (said, keys, end) = run(&mut handset, &agent);
        assert_eq!((said.as_str(), keys.as_str()), ("1 2 3", "7#"));
        assert_eq!(end, Some("the script is over"));
    }

    #[test]
    fn a_person_who_stays_is_asked_to_speak_and_remembers_what_was_heard() {
        let mut handset = handset(json!({"stays": true}));
        handset.say("5 6");
        let (said, _, end) = run(&mut handset, &[(100, 400), (420, 600), (2_000, 2_100)]);
        assert_eq!((said.as_str(), end), ("5 6", None));
        let heard = handset.heard.document();
        assert_eq!(heard["sounds"], json!([[100, 600], [2_000, 2_100]]));
        assert_eq!(&handset.heard.wav()[..4], b"RIFF");
    }

    #[test]
    fn a_person_without_patience_hangs_up_on_silence() {
        let mut handset = handset(json!({"lines": [{"say": "1"}], "patience_ms": 1_000}));
        assert_eq!(run(&mut handset, &[]).2, Some("out of patience"));
    }
}
