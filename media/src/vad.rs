//! When the caller speaks.

mod noise_floor;
mod texture;
mod voice_level;

use std::{collections::VecDeque, time::Duration};

use earshot::Detector;

use self::{
    noise_floor::NoiseFloor,
    texture::{STEADY_FRAMES, Texture},
    voice_level::VoiceLevel,
};
use crate::{Resampler, dtmf::is_key_tone};

/// What the detector listens to: frames of 256 samples at 16 kHz.
const DETECTOR_HZ: u32 = 16_000;
const FRAME_SAMPLES: usize = 256;
const FRAME: Duration = Duration::from_millis(16);

/// Quietest level that counts as speech whatever the floor is: a whisper on a bad line is at -45 dB,
/// noise of an idle line below -60 dB.
const SILENCE_DB: f32 = -55.0;

/// How far above the noise floor speech begins, and how far it must stay: the second is lower, as words
/// fade out. Both are above what the level of steady noise varies by from frame to frame.
const START_ABOVE_FLOOR_DB: f32 = 8.0;
const STAY_ABOVE_FLOOR_DB: f32 = 6.0;

/// How far below the loud syllables of the voice its beginning may be, and what it fades to. What is
/// quieter than that is another voice: of somebody behind the caller, or the assistant's own, which
/// comes back over the line.
const START_BELOW_VOICE_DB: f32 = 8.0;
const STAY_BELOW_VOICE_DB: f32 = 12.0;

/// How far above the noise floor a crowd of voices gets in addition, as its floor is what is heard while
/// most of them pause; and how far below the voice that stays, so that a crowd as loud as the caller
/// does not drown it.
const CROWD_DB: f32 = 6.0;
const CROWD_BELOW_VOICE_DB: f32 = 5.0;

/// How far before the first frame that was surely speech its beginning is looked for: the detector hears
/// a soft consonant only with the vowel behind it.
const ONSET_SEARCH: Duration = Duration::from_millis(160);

/// Frames that are kept to look for it: the search, and the longest that sounds like speech may go
/// on before it is taken for it.
const RECENT_FRAMES: usize = 32;

const SILENT: State = State::Silent { run: 0, pitched: false };

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VadOptions {
    /// Score, between 0 and 1, from which on a frame can begin speech.
    pub start: f32,
    /// Score below which a frame is no longer speech.
    pub stop: f32,
    /// Speech shorter than this is a click.
    pub min_speech: Duration,
    /// A silence shorter than this is a gap between words.
    pub hang: Duration,
}

impl Default for VadOptions {
    fn default() -> Self {
        Self {
            start: 0.6,
            stop: 0.4,
            min_speech: Duration::from_millis(60),
            hang: Duration::from_millis(200),
        }
    }
}

/// A beginning or an end of speech, where it was in the audio, a little before it was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VadEdge {
    Started { at: Duration },
    Stopped { at: Duration },
}

/// Finds speech in one stream of audio.
pub struct Vad {
    options: VadOptions,
    detector: Box<Detector>,
    resampler: Resampler,
    /// Samples at the detector's rate that do not make a whole frame yet.
    pending: Vec<i16>,
    /// Frames seen.
    frames: u32,
    floor: NoiseFloor,
    texture: Texture,
    /// The level of whoever speaks into the phone.
    voice: VoiceLevel,
    /// Their level since they last began to speak: nobody is equally loud all the time.
    utterance: VoiceLevel,
    /// The newest frames, as many as the search for a beginning may look at.
    recent: VecDeque<Frame>,
    state: State,
}

enum State {
    /// Frames in a row that sound like speech, and whether one of them had a pitch.
    Silent { run: u32, pitched: bool },
    /// Frame behind the last that was speech.
    Speaking { until: u32 },
}

#[derive(Clone, Copy)]
struct Frame {
    score: f32,
    level_db: f32,
}

impl Vad {
    pub fn new(sample_rate_hz: u32, options: VadOptions) -> Self {
        Self {
            options,
            detector: Detector::default_boxed(),
            resampler: Resampler::new(sample_rate_hz, DETECTOR_HZ),
            pending: Vec::with_capacity(FRAME_SAMPLES),
            frames: 0,
            floor: NoiseFloor::default(),
            texture: Texture::default(),
            voice: VoiceLevel::default(),
            utterance: VoiceLevel::default(),
            recent: VecDeque::new(),
            state: SILENT,
        }
    }

    /// Listens to samples, any number of them. Times are from the first sample ever pushed.
    pub fn push(&mut self, samples: &[i16]) -> Vec<VadEdge> {
        let resampled = self.resampler.process(samples);
        let mut edges = Vec::new();
        let mut rest = &resampled[..];
        while !rest.is_empty() {
            let missing = rest.len().min(FRAME_SAMPLES - self.pending.len());
            self.pending.extend_from_slice(&rest[..missing]);
            rest = &rest[missing..];
            if self.pending.len() == FRAME_SAMPLES {
                let frame = self.look_at_pending();
                self.pending.clear();
                edges.extend(self.handle_frame(frame));
            }
        }
        edges
    }

    fn look_at_pending(&mut self) -> Frame {
        let score = self.detector.predict_i16(&self.pending);
        let mut frame = Frame { score, level_db: level_db(&self.pending) };
        self.floor.follow(frame.level_db);
        let is_audible = self.is_audible(frame);
        let narrow = at_half_rate(&self.pending);
        self.texture.follow(&narrow, is_audible);
        if is_audible && is_key_tone(&narrow) {
            frame.score = 0.0;
        }
        let is_voice = frame.score >= self.options.start && is_audible && self.texture.is_voiced();
        self.voice.follow(self.floor.smoothed_db(), is_voice);
        self.utterance.follow(self.floor.smoothed_db(), is_voice);
        frame
    }

    fn handle_frame(&mut self, frame: Frame) -> Option<VadEdge> {
        self.frames += 1;
        if self.texture.is_steady_noise() {
            self.floor.rise_to(frame.level_db);
        }
        if self.recent.len() >= RECENT_FRAMES {
            self.recent.pop_front();
        }
        self.recent.push_back(frame);
        match self.state {
            State::Silent { run, pitched } if self.begins(frame) => {
                let run = run + 1;
                let pitched = pitched || self.texture.is_voiced();
                // A noise of which it is not yet known whether it is steady has no pitch.
                let is_sure = pitched
                    || run > STEADY_FRAMES as u32
                    || !self.floor.is_far_below(frame.level_db);
                if is_sure && run >= frames_in(self.options.min_speech) {
                    self.state = State::Speaking { until: self.frames };
                    self.utterance = VoiceLevel::default();
                    self.utterance.follow(self.floor.smoothed_db(), true);
                    Some(VadEdge::Started { at: FRAME * self.onset(run) })
                } else {
                    self.state = State::Silent { run, pitched };
                    None
                }
            }
            State::Silent { .. } => {
                self.state = SILENT;
                None
            }
            State::Speaking { .. } if self.stays(frame) => {
                self.state = State::Speaking { until: self.frames };
                None
            }
            State::Speaking { until } if self.frames - until >= frames_in(self.options.hang) => {
                self.state = SILENT;
                Some(VadEdge::Stopped { at: FRAME * until })
            }
            State::Speaking { .. } => None,
        }
    }

    fn begins(&self, frame: Frame) -> bool {
        frame.score >= self.options.start
            && frame.level_db >= self.least_db(START_ABOVE_FLOOR_DB, START_BELOW_VOICE_DB)
    }

    fn stays(&self, frame: Frame) -> bool {
        frame.score >= self.options.stop && self.is_audible(frame)
    }

    fn is_audible(&self, frame: Frame) -> bool {
        frame.level_db >= self.least_db(STAY_ABOVE_FLOOR_DB, STAY_BELOW_VOICE_DB)
    }

    /// The least level that can be the caller's.
    fn least_db(&self, above_floor_db: f32, below_voice_db: f32) -> f32 {
        let voice = match self.state {
            State::Silent { .. } => self.voice.db(),
            State::Speaking { .. } => self.utterance.db(),
        };
        let floor = self.floor.db();
        let crowd = (floor + above_floor_db + CROWD_DB).min(voice - CROWD_BELOW_VOICE_DB);
        SILENCE_DB.max(floor + above_floor_db).max(voice - below_voice_db).max(crowd)
    }

    /// The frame that speech began with, when the newest `run` are surely speech.
    fn onset(&self, run: u32) -> u32 {
        let before = self.recent.iter().rev().skip(run as usize);
        let searched = before.take(frames_in(ONSET_SEARCH) as usize);
        let audible = searched.take_while(|&&frame| self.is_audible(frame)).count() as u32;
        self.frames - run - audible
    }
}

/// A frame at 8 kHz, where pitch and tones are looked for.
fn at_half_rate(frame: &[i16]) -> [f32; texture::FRAME_SAMPLES] {
    let mut halved = [0.0; texture::FRAME_SAMPLES];
    let (pairs, _) = frame.as_chunks::<2>();
    for (sample, [a, b]) in halved.iter_mut().zip(pairs) {
        *sample = (f32::from(*a) + f32::from(*b)) / 2.0;
    }
    halved
}

fn frames_in(time: Duration) -> u32 {
    time.as_millis().div_ceil(FRAME.as_millis()) as u32
}

/// Mean power relative to the loudest square wave; digital silence is at -120 dB.
fn level_db(samples: &[i16]) -> f32 {
    let energy: f32 = samples.iter().map(|&sample| (f32::from(sample) / 32_768.0).powi(2)).sum();
    10.0 * (energy / samples.len() as f32).max(1e-12).log10()
}

#[cfg(test)]
mod tests;
