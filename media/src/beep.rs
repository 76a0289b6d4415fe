//! The beep after which a voicemail records.
//!
//! A beep is one tone that stays as it is for a while and is followed by silence. Beeps have no
//! standard; those of carriers and machines lie between 440 and 2,100 Hz and last 0.15 to 2 s.
//!
//! Told apart from it are: speech (its level and pitch move), keys of a telephone (two tones), special
//! information tones (three in a row, ITU-T E.180), and ring-back and busy tones (E.180: 400 to 480 Hz),
//! which no greeting comes before. A fax that calls (1,100 Hz for half a second, T.30) is not.

use std::{f32::consts::PI, time::Duration};

use crate::{Resampler, dtmf::power_at};

/// What the detector listens to.
const RATE_HZ: u32 = 8_000;
const FRAME: Duration = Duration::from_millis(20);
const FRAME_SAMPLES: usize = 160;

/// Width of a step between frequencies that are looked at, in Hz: one over the length of a frame.
const STEP_HZ: u32 = 50;

/// Lowest and highest frequency of a beep, in steps: 400 to 2,100 Hz.
const STEPS: std::ops::RangeInclusive<u32> = 400 / STEP_HZ..=2_100 / STEP_HZ;

/// Frequencies at which networks ring and are busy, in steps: up to 500 Hz.
const NETWORK_STEP_MAX: u32 = 500 / STEP_HZ;

/// Share of a frame's power that lies around one frequency where it is a tone. The rest is the noise
/// of the line, at 10 dB below and less.
const TONE_SHARE: f32 = 0.88;

/// Frames of a beep: 160 ms (that is, 150 ms and more) to 5 s.
const TONE_FRAMES: std::ops::RangeInclusive<u32> = 7..=250;

/// Frames of silence that make sure that it is over: 200 ms. The words of a greeting come sooner.
const SILENT_FRAMES: u32 = 10;

/// What is quieter is silence.
const SILENCE_DB: f32 = -48.0;

/// What is this much quieter than the beep is silence, too.
const BELOW_BEEP_DB: f32 = 18.0;

/// How far the level of one frame of a beep may be from that of the first whole one.
const LEVEL_DB: f32 = 5.0;

/// Frames of sound without a tone that are a greeting: half a second.
const GREETING_FRAMES: u32 = 25;

/// The most that is remembered of it; one frame is forgotten in this many without a sound, so that
/// a second of greeting counts for eight.
const GREETING_FRAMES_MAX: u32 = 50;
const FORGET_EVERY: u32 = 16;

/// Listens to one stream of audio for beeps.
pub struct Beep {
    resampler: Resampler,
    pending: Vec<f32>,
    /// Frames heard.
    frames: u32,
    /// Frames of greeting that are remembered.
    greeting: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waiting,
    /// A tone sounds. `after_tone`: another one came right before it.
    Tone {
        since: u32,
        step: u32,
        level_db: f32,
        after_tone: bool,
    },
    /// A tone that may have been a beep is over, in this frame; nothing was heard since.
    Over {
        at: u32,
        level_db: f32,
    },
}

#[derive(Clone, Copy)]
enum Heard {
    Silence,
    Tone(u32),
    Sound,
}

impl Beep {
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            resampler: Resampler::new(sample_rate_hz, RATE_HZ),
            pending: Vec::with_capacity(FRAME_SAMPLES),
            frames: 0,
            greeting: 0,
            state: State::Waiting,
        }
    }

    /// Listens to samples, any number of them. Returns where a beep ended; times are from the first
    /// sample ever pushed.
    pub fn push(&mut self, samples: &[i16]) -> Option<Duration> {
        let mut ended = None;
        for sample in self.resampler.process(samples) {
            self.pending.push(f32::from(sample));
            if self.pending.len() == FRAME_SAMPLES {
                ended = self.hear_frame().or(ended);
                self.pending.clear();
            }
        }
        ended
    }

    fn hear_frame(&mut self) -> Option<Duration> {
        let energy: f32 = self.pending.iter().map(|sample| sample * sample).sum();
        let power = energy / FRAME_SAMPLES as f32 / 32_768.0f32.powi(2);
        let level_db = 10.0 * power.max(1e-12).log10();
        let heard = match tone_of(&mut self.pending) {
            _ if level_db < SILENCE_DB => Heard::Silence,
            Some(step) => Heard::Tone(step),
            None => Heard::Sound,
        };
        let number = self.frames;
        self.frames += 1;
        self.remember_greeting(heard);
        let was_tone = match self.state {
            State::Tone { .. } => true,
            State::Over { at, .. } => number - at <= 2,
            State::Waiting => false,
        };
        let begun = |step| State::Tone { since: number, step, level_db, after_tone: was_tone };
        self.state = match (self.state, heard) {
            (State::Tone { since, step, level_db: first, after_tone }, Heard::Tone(now))
                if now.abs_diff(step) <= 1 && (level_db - first).abs() <= LEVEL_DB =>
            {
                State::Tone { since, step, level_db: first, after_tone }
            }
            // The first frame may hold only a part of it.
            (State::Tone { since, step, after_tone, .. }, Heard::Tone(now))
                if now.abs_diff(step) <= 1 && number - since == 1 =>
            {
                State::Tone { since, step, level_db, after_tone }
            }
            (State::Tone { since, step, level_db: first, after_tone }, heard) => {
                let greeted = step > NETWORK_STEP_MAX || self.greeting >= GREETING_FRAMES;
                let is_beep = TONE_FRAMES.contains(&(number - since)) && !after_tone && greeted;
                match heard {
                    Heard::Tone(other) if other.abs_diff(step) > 1 => begun(other),
                    Heard::Tone(_) | Heard::Sound | Heard::Silence if is_beep => {
                        State::Over { at: number, level_db: first }
                    }
                    Heard::Tone(_) | Heard::Sound | Heard::Silence => State::Waiting,
                }
            }
            // Its last frame holds a part of it.
            (State::Over { at, level_db: first }, _)
                if number - at == 1 || level_db < first - BELOW_BEEP_DB =>
            {
                State::Over { at, level_db: first }
            }
            (State::Over { .. }, Heard::Silence) => self.state,
            (State::Over { .. } | State::Waiting, Heard::Tone(step)) => begun(step),
            (State::Over { .. } | State::Waiting, Heard::Sound | Heard::Silence) => State::Waiting,
        };
        match self.state {
            State::Over { at, .. } if number - at + 1 >= SILENT_FRAMES => {
                self.state = State::Waiting;
                Some(FRAME * at)
            }
            State::Over { .. } | State::Tone { .. } | State::Waiting => None,
        }
    }

    fn remember_greeting(&mut self, heard: Heard) {
        match heard {
            Heard::Sound => self.greeting = (self.greeting + 1).min(GREETING_FRAMES_MAX),
            Heard::Silence | Heard::Tone(_) if self.frames.is_multiple_of(FORGET_EVERY) => {
                self.greeting = self.greeting.saturating_sub(1);
            }
            Heard::Silence | Heard::Tone(_) => {}
        }
    }
}

/// The frequency, in steps, that a frame is a tone of. The frame is faded in and out on the way, so
/// that a tone between two steps is seen at both and hardly elsewhere.
fn tone_of(frame: &mut [f32]) -> Option<u32> {
    let length = frame.len() as f32;
    for (index, sample) in frame.iter_mut().enumerate() {
        *sample *= (PI * (index as f32 + 0.5) / length).sin().powi(2);
    }
    let energy: f32 = frame.iter().map(|sample| sample * sample).sum();
    let power = |step: u32| power_at(frame, (step * STEP_HZ) as f32 / RATE_HZ as f32);
    let powers: Vec<f32> = (STEPS.start() - 1..=STEPS.end() + 1).map(power).collect();
    let around = powers.windows(3).map(|near| near.iter().sum::<f32>());
    let (index, share) = around.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (share / energy.max(1.0) >= TONE_SHARE).then_some(STEPS.start() + index as u32)
}

#[cfg(test)]
mod tests;
