//! Deepgram's time and the session's: silence that we put in counts in the one only.

use std::{collections::VecDeque, time::Duration};

use offhook_media::AudioFormat;

/// Stretches of put-in silence that are told apart. Those before the last final text are
/// forgotten; more than this many pauses in one turn lose a little of their exactness.
const GAPS_MAX: usize = 64;

/// Keeps account of what was sent.
#[derive(Debug)]
pub(super) struct Clock {
    format: AudioFormat,
    /// Samples sent, silence included.
    sent: u64,
    /// Silence put in before all of `gaps`.
    forgotten: u64,
    gaps: VecDeque<Gap>,
}

/// Silence from `at`, in samples of Deepgram's time.
#[derive(Debug)]
struct Gap {
    at: u64,
    length: u64,
}

impl Clock {
    pub fn new(format: AudioFormat) -> Self {
        Self { format, sent: 0, forgotten: 0, gaps: VecDeque::new() }
    }

    pub fn audio_sent(&mut self, bytes: usize) {
        self.sent += self.format.samples_in_bytes(bytes);
    }

    pub fn silence_sent(&mut self, samples: u64) {
        let at = self.sent;
        self.sent += samples;
        match self.gaps.back_mut() {
            Some(last) if last.at + last.length == at => last.length += samples,
            Some(_) | None => self.gaps.push_back(Gap { at, length: samples }),
        }
        if self.gaps.len() > GAPS_MAX {
            self.forget_first();
        }
    }

    /// A time of Deepgram's, in the session's audio.
    pub fn in_session(&self, time: Duration) -> Duration {
        let time = self.format.samples_in(time);
        let silence: u64 =
            self.gaps.iter().map(|gap| time.saturating_sub(gap.at).min(gap.length)).sum();
        self.format.duration_of(time.saturating_sub(self.forgotten + silence))
    }

    /// No time before this one will be asked for.
    pub fn forget(&mut self, before: Duration) {
        let before = self.format.samples_in(before);
        while self.gaps.front().is_some_and(|gap| gap.at + gap.length <= before) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        self.forgotten += self.gaps.pop_front().map_or(0, |gap| gap.length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_session(clock: &Clock, ms: u64) -> u128 {
        clock.in_session(Duration::from_millis(ms)).as_millis()
    }

    #[test]
    fn silence_that_was_put_in_does_not_count() {
        let mut clock = Clock::new(AudioFormat::pcm16(8_000));
        clock.audio_sent(16_000); // 1 s
        clock.silence_sent(4_000); // 0.5 s, twice
        clock.silence_sent(4_000);
        clock.audio_sent(16_000);
        clock.silence_sent(8_000);
        let times = [500, 1_000, 1_700, 2_000, 2_500, 3_000, 3_500, 5_000];
        let expected = [500, 1_000, 1_000, 1_000, 1_500, 2_000, 2_000, 3_000];
        assert_eq!(times.map(|time| in_session(&clock, time)), expected);

        clock.forget(Duration::from_millis(2_200));
        assert_eq!(clock.gaps.len(), 1);
        assert_eq!([2_500, 3_500, 5_000].map(|t| in_session(&clock, t)), [1_500, 2_000, 3_000]);
    }

    #[test]
    fn many_pauses_are_not_hoarded() {
        let mut clock = Clock::new(AudioFormat::mulaw());
        for _ in 0..1_000 {
            clock.audio_sent(800);
            clock.silence_sent(800);
        }
        assert_eq!(clock.gaps.len(), GAPS_MAX);
        assert_eq!(in_session(&clock, 200_000), 100_000);
    }
}
