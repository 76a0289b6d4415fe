//! A caller's loudspeaker: plays what arrives at once and in real time, and runs dry when nothing
//! does.

use std::time::Duration;

use offhook_media::AudioFormat;

use super::{clock::Moment, samples::Samples};

/// The longest silence in an answer that a jitter buffer or a pause of speech hides.
pub const GAP: Duration = Duration::from_millis(60);

/// Amplitude from which a sample is heard: noise of an idle line stays below 100, the first
/// consonant of a quiet voice is above.
const AUDIBLE: u16 = 400;

/// What is with the caller and was not played yet.
#[derive(Debug)]
pub struct Playback {
    format: AudioFormat,
    plays_until: Moment,
    audible_until: Moment,
    /// Something of an answer was heard since the caller last spoke.
    in_answer: bool,
    /// Silence since the answer's last audible sample that came of running dry.
    dry: Duration,
    /// Silences longer than [`GAP`] in answers.
    pub gaps: Vec<Duration>,
    /// How much of what had come was still to be played, each time that audio came.
    pub ahead: Samples,
}

impl Playback {
    pub fn new(format: AudioFormat, now: Moment) -> Self {
        Self {
            format,
            plays_until: now,
            audible_until: now,
            in_answer: false,
            dry: Duration::ZERO,
            gaps: Vec::new(),
            ahead: Samples::default(),
        }
    }

    /// Takes one message of audio. Returns whether there is anything to hear in it.
    pub fn receive(&mut self, now: Moment, samples: &[i16]) -> bool {
        if self.in_answer {
            self.dry += now.since(self.plays_until);
        }
        let starts = self.plays_until.max(now);
        self.plays_until = starts + self.format.duration_of(samples.len() as u64);
        self.ahead.add_coarse(self.plays_until.since(now));
        let Some(last) = samples.iter().rposition(|sample| sample.unsigned_abs() >= AUDIBLE) else {
            return false;
        };
        if self.dry > GAP {
            self.gaps.push(self.dry);
        }
        self.dry = Duration::ZERO;
        self.in_answer = true;
        self.audible_until = starts + self.format.duration_of(last as u64 + 1);
        true
    }

    /// What came and was not played is forgotten.
    pub fn clear(&mut self, now: Moment) {
        self.plays_until = self.plays_until.min(now);
        self.audible_until = self.audible_until.min(now);
    }

    /// The caller speaks: what comes next is another answer, and no gap lies before it.
    pub fn caller_speaks(&mut self) {
        self.in_answer = false;
        self.dry = Duration::ZERO;
    }

    /// When all that came will have been played.
    pub fn plays_until(&self) -> Moment {
        self.plays_until
    }

    /// When the last audible sample that came will have been played.
    pub fn audible_until(&self) -> Moment {
        self.audible_until
    }
}

/// Where a recording is first and last heard, in samples.
pub fn audible_part(samples: &[i16]) -> Option<(usize, usize)> {
    let is_audible = |sample: &i16| sample.unsigned_abs() >= AUDIBLE;
    Some((samples.iter().position(is_audible)?, samples.iter().rposition(is_audible)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Moment {
        Moment(ms * MS)
    }

    fn playback() -> Playback {
        Playback::new(AudioFormat::mulaw(), at(0))
    }

    /// 20 ms of sound.
    const SOUND: [i16; 160] = [1_000; 160];
    const SILENCE: [i16; 160] = [0; 160];

    #[test]
    fn audio_in_time_leaves_no_gap() {
        let mut playback = playback();
        for frame in 0..50 {
            assert!(playback.receive(at(100 + frame * 20), &SOUND));
        }
        assert!(playback.gaps.is_empty());
        assert_eq!(playback.plays_until(), at(1_100));
        assert_eq!(playback.ahead.max_ms(), Some(20.0));
    }

    #[test]
    fn a_buffer_that_ran_dry_in_an_answer_is_a_gap_of_the_time_it_was_dry() {
        let mut playback = playback();
        playback.receive(at(0), &SOUND);
        playback.receive(at(100), &SOUND);
        assert_eq!(playback.gaps, [Duration::from_millis(80)]);
        // 60 ms late: hidden.
        playback.receive(at(180), &SOUND);
        assert_eq!(playback.gaps.len(), 1);
    }

    #[test]
    fn a_gap_is_counted_once_though_silence_comes_in_it() {
        let mut playback = playback();
        playback.receive(at(0), &SOUND);
        playback.receive(at(70), &SILENCE);
        playback.receive(at(130), &SILENCE);
        playback.receive(at(150), &SOUND);
        assert_eq!(playback.gaps, [Duration::from_millis(90)]);
    }

    #[test]
    fn silence_that_was_sent_is_a_pause_and_no_gap() {
        let mut playback = playback();
        for frame in 0..20 {
            let samples = if (5..15).contains(&frame) { SILENCE } else { SOUND };
            playback.receive(at(frame * 20), &samples);
        }
        assert!(playback.gaps.is_empty());
    }

    #[test]
    fn silence_after_an_answer_is_no_gap() {
        let mut playback = playback();
        playback.receive(at(0), &SOUND);
        playback.caller_speaks();
        playback.receive(at(3_000), &SOUND);
        assert!(playback.gaps.is_empty());
    }

    #[test]
    fn what_came_early_is_heard_in_real_time() {
        let mut playback = playback();
        for _ in 0..10 {
            playback.receive(at(0), &SOUND);
        }
        playback.receive(at(0), &SILENCE);
        assert_eq!(playback.audible_until(), at(200));
        assert_eq!(playback.plays_until(), at(220));
        assert_eq!(playback.ahead.max_ms(), Some(220.0));
    }

    #[test]
    fn what_is_forgotten_is_not_heard() {
        let mut playback = playback();
        for _ in 0..10 {
            playback.receive(at(0), &SOUND);
        }
        playback.clear(at(70));
        assert_eq!((playback.audible_until(), playback.plays_until()), (at(70), at(70)));
        playback.clear(at(500));
        assert_eq!(playback.audible_until(), at(70), "nothing was left to forget");
    }
}
