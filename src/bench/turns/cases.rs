//! The calls of a bench of turns: who says what, to which noise. The same for the same seed.

use std::{collections::HashMap, sync::Arc, time::Duration};

use offhook_media::AudioFormat;

use super::{
    super::dice::Dice,
    category::{Category, Over},
    noise, phrases,
    utterance::Utterance,
    voices::Voices,
};

/// Loudness of the voice that comes back as echo, 20 dB below that of the fake voice's tones.
const ECHO_RMS: f32 = 600.0;

/// The agent's voice as its echo has it.
const AGENT: usize = 0;

/// Numbers that the agent says before the caller does something: a second of speech, and more.
const AFTER_WORDS: (u32, u32) = (4, 9);

/// Different crowds and other noises.
const NOISES: usize = 4;

/// Talkers of a crowd.
const TALKERS: usize = 5;

/// How loud noise is, in dB below speech; none: a silent line.
pub type Snr = Option<u32>;

/// One call.
#[derive(Debug)]
pub struct Case {
    pub nth: u32,
    pub category: Category,
    pub snr: Snr,
    pub voice: String,
    pub noise_name: &'static str,
    pub noise: Arc<[i16]>,
    /// Where in the noise the call begins.
    pub noise_from: usize,
    pub noise_gain: f32,
    pub ask: Arc<Utterance>,
    pub over: Option<OverAnswer>,
    /// The agent's voice comes back.
    pub echoes: bool,
    /// How long the caller thinks before it speaks.
    pub thinks: Duration,
}

/// What is done over the agent's answer.
#[derive(Debug)]
pub struct OverAnswer {
    pub utterance: Arc<Utterance>,
    pub kind: Over,
    /// It begins once the agent has said so many numbers.
    pub after_words: u32,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Selection {
    pub categories: Vec<Category>,
    pub snrs: Vec<Snr>,
    /// Calls of each category and noise.
    pub calls: u32,
    pub seed: u64,
    /// Only this one.
    pub only: Option<u32>,
}

/// All calls, and the numbers as the agent's echo has them.
pub struct Cases {
    pub cases: Vec<Arc<Case>>,
    pub echoes: Arc<[Vec<i16>]>,
}

/// How the caller sounds when nothing is to be heard but its speech.
struct Studio {
    format: AudioFormat,
    voices: Voices,
    noises: Vec<(&'static str, Arc<[i16]>)>,
    built: HashMap<(Category, usize, usize), Arc<Utterance>>,
    seed: u64,
}

impl Cases {
    pub async fn build(
        selection: &Selection,
        format: AudioFormat,
        answer_words: u32,
    ) -> Result<Self, String> {
        let mut studio = Studio::open(format, selection.seed).await?;
        let mut cases = Vec::new();
        let wanted = selection
            .snrs
            .iter()
            .flat_map(|snr| selection.categories.iter().map(move |category| (*snr, *category)));
        let each = (0..selection.calls)
            .flat_map(|turn| wanted.clone().map(move |(snr, category)| (turn, snr, category)));
        for (nth, (turn, snr, category)) in (0..).zip(each) {
            if selection.only.is_none_or(|only| only == nth) {
                cases.push(Arc::new(studio.case(nth, turn, category, snr).await?));
            }
        }
        if cases.is_empty() {
            return Err("--case names none of the calls".into());
        }
        let mut echoes = Vec::new();
        if cases.iter().any(|case| case.echoes) {
            for number in 1..=answer_words {
                let spoken = studio.voices.speak(AGENT, &number.to_string()).await?;
                let samples: Vec<f32> = spoken.iter().map(|sample| f32::from(*sample)).collect();
                echoes.push(noise::levelled(&samples, ECHO_RMS));
            }
        }
        Ok(Self { cases, echoes: echoes.into() })
    }
}

impl Studio {
    async fn open(format: AudioFormat, seed: u64) -> Result<Self, String> {
        let rate = format.sample_rate_hz;
        let mut voices = Voices::installed(rate).await?;
        let mut noises = Vec::new();
        for nth in 0..NOISES {
            let mut dice = Dice::of(seed, nth as u64 + 1_000_000);
            if nth % 2 == 0 {
                noises.push(("pink noise", noise::pink(&mut dice, rate).into()));
                continue;
            }
            let mut lines = Vec::new();
            for talker in 0..TALKERS {
                let line = phrases::PLAIN[(nth + talker) % phrases::PLAIN.len()];
                let built =
                    Utterance::build(line, nth + talker, &mut voices, &mut dice, format).await?;
                lines.push(built.samples);
            }
            noises.push(("babble", noise::babble(&mut dice, &lines, rate).into()));
        }
        Ok(Self { format, voices, noises, built: HashMap::new(), seed })
    }

    async fn case(
        &mut self,
        nth: u32,
        turn: u32,
        category: Category,
        snr: Snr,
    ) -> Result<Case, String> {
        let mut dice = Dice::of(self.seed, u64::from(nth));
        let voice = (turn as usize + nth as usize) % self.voices.count();
        let lines = category.lines();
        let line = turn as usize % lines.len();
        let tested = self.utterance(category, line, voice).await?;
        let plain = Category::Plain;
        let question = match category.over() {
            None => tested.clone(),
            Some(_) => {
                let line = (dice.share() * plain.lines().len() as f64) as usize;
                self.utterance(plain, line, voice).await?
            }
        };
        let (least, most) = AFTER_WORDS;
        let after_words = least + (dice.share() * f64::from(most - least)) as u32;
        let echoes = category == Category::Echo;
        let over = category.over().filter(|_| !echoes);
        let (noise_name, noise) = &self.noises[(dice.share() * NOISES as f64) as usize];
        Ok(Case {
            nth,
            category,
            snr,
            voice: self.voices.name(voice),
            noise_name: if snr.is_some() { noise_name } else { "silence" },
            noise: noise.clone(),
            noise_from: (dice.share() * noise.len() as f64) as usize,
            // Both have the same loudness before.
            noise_gain: snr.map_or(0.0, |snr| 10f32.powf(-(snr as f32) / 20.0)),
            ask: question,
            over: over.map(|kind| OverAnswer { utterance: tested, kind, after_words }),
            echoes,
            thinks: dice.between(Duration::from_millis(300), Duration::from_millis(900)),
        })
    }

    async fn utterance(
        &mut self,
        category: Category,
        line: usize,
        voice: usize,
    ) -> Result<Arc<Utterance>, String> {
        // An echo is asked for by the same sentences.
        let category = if category == Category::Echo { Category::Plain } else { category };
        let key = (category, line, voice);
        if let Some(built) = self.built.get(&key) {
            return Ok(built.clone());
        }
        let mut dice = Dice::of(self.seed, (line * 100 + voice) as u64 + 2_000_000);
        let pieces = category.lines()[line];
        let built =
            Utterance::build(pieces, voice, &mut self.voices, &mut dice, self.format).await?;
        let built = Arc::new(built);
        self.built.insert(key, built.clone());
        Ok(built)
    }
}

impl Case {
    /// The name of its script, which its transcriber is told as a `keyterm`.
    pub fn script(&self) -> String {
        format!("script-{}", self.nth)
    }

    /// What is tested of it.
    pub fn tested(&self) -> &Utterance {
        self.over.as_ref().map_or(&self.ask, |over| &over.utterance)
    }
}

/// How loud a noise is, as it is written on the command line.
pub fn snr_name(snr: Snr) -> String {
    snr.map_or_else(|| "clean".into(), |snr| format!("{snr} dB"))
}
