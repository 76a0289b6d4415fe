use std::time::Duration;

use offhook_media::AudioFormat;

/// How long a leg may be late before its silence is taken for silence.
///
/// Above the jitter of a bad mobile network (300 ms in the chaos suite, and a frame), below the pause
/// in speech at which turns are decided: a frame that comes after its silence was put in is half a
/// word that nobody understands.
const GAP: Duration = Duration::from_millis(350);

/// Keeps the caller's audio abreast of the clock on the wall.
///
/// Clients stop sending while they have nothing to say (muted, voice detection of their own), and
/// networks stall; a transcriber and a recording still need the time to pass. When nothing came for
/// longer than 350 ms, silence is due up to the present moment. Audio that was only late is pushed
/// after it, so nothing is dropped: the ring is then ahead of the wall by what was late, and the
/// next gap is filled by so much less.
pub struct Timeline {
    format: AudioFormat,
    /// Samples pushed so far, audio and silence.
    pushed: u64,
    /// When the next audio would be on time.
    expected: Duration,
    /// Silence was due since the last audio, and is due on.
    in_gap: bool,
}

impl Timeline {
    /// Begins when the leg connects, which is the zero of the times given.
    pub fn new(format: AudioFormat) -> Self {
        Self { format, pushed: 0, expected: Duration::ZERO, in_gap: false }
    }

    /// Counts audio that came, in samples, and says how much silence to push before it.
    #[must_use = "the silence goes before the audio"]
    pub fn on_audio(&mut self, now: Duration, samples: u64) -> u64 {
        let pad = self.pad_due(now);
        self.pushed += samples;
        self.expected = now + self.format.duration_of(samples);
        self.in_gap = false;
        pad
    }

    /// Says how many samples of silence to push; to be asked at every tick of the leg.
    #[must_use = "the silence counts as pushed"]
    pub fn pad_due(&mut self, now: Duration) -> u64 {
        let missing = self.format.samples_in(now).saturating_sub(self.pushed);
        if !self.in_gap {
            let late = now.saturating_sub(self.expected) > GAP;
            self.in_gap = late && self.format.duration_of(missing) > GAP;
        }
        if !self.in_gap {
            return 0;
        }
        self.pushed += missing;
        missing
    }

    /// How far what was pushed is ahead of the wall: a position in the audio less this is the
    /// moment at which it came.
    pub fn ahead(&self, now: Duration) -> Duration {
        self.format.duration_of(self.pushed.saturating_sub(self.format.samples_in(now)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMAT: AudioFormat = AudioFormat::pcm16(16_000);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn samples(ms: u64) -> u64 {
        ms * 16
    }

    #[test]
    fn a_leg_that_never_sends_is_silent_in_real_time() {
        let mut timeline = Timeline::new(FORMAT);
        assert_eq!(timeline.pad_due(ms(350)), 0);
        assert_eq!(timeline.pad_due(ms(370)), samples(370));
        assert_eq!(timeline.pad_due(ms(390)), samples(20));
        assert_eq!(timeline.pad_due(ms(390)), 0);
        assert_eq!(timeline.ahead(ms(390)), ms(0));
    }

    #[test]
    fn audio_after_a_pause_takes_its_place_in_time() {
        let mut timeline = Timeline::new(FORMAT);
        assert_eq!(timeline.on_audio(ms(20), samples(20)), 0);
        assert_eq!(timeline.on_audio(ms(1_020), samples(20)), samples(1_000));
    }

    #[test]
    fn a_late_burst_is_kept_and_the_next_gap_is_shorter_for_it() {
        let mut timeline = Timeline::new(FORMAT);
        assert_eq!(timeline.on_audio(ms(20), samples(20)), 0);
        assert_eq!(timeline.pad_due(ms(520)), samples(500));
        assert_eq!(timeline.on_audio(ms(520), samples(500)), 0);
        assert_eq!(timeline.ahead(ms(520)), ms(500));
        assert_eq!(timeline.pad_due(ms(1_020)), 0);
        assert_eq!(timeline.pad_due(ms(1_520)), samples(500));
    }

    #[test]
    fn large_messages_at_the_pace_of_speech_get_no_silence_between() {
        let mut timeline = Timeline::new(FORMAT);
        for second in 0..60 {
            for late in [0, 50, 190, 340] {
                assert_eq!(timeline.pad_due(ms(second * 1_000 + late)), 0);
            }
            assert_eq!(timeline.on_audio(ms(second * 1_000 + 340), samples(1_000)), 0);
        }
    }

    #[test]
    fn a_slow_clock_of_the_client_is_made_up_for_in_its_pauses_only() {
        let mut timeline = Timeline::new(FORMAT);
        let mut now = Duration::ZERO;
        for _ in 0..3_000 {
            now += Duration::from_micros(20_100);
            assert_eq!(timeline.on_audio(now, samples(20)), 0);
        }
        now += ms(470);
        assert_eq!(timeline.pad_due(now), samples(300 + 470));
    }

    proptest! {
        #[test]
        fn jitter_below_the_gap_never_makes_silence_within_speech(
            first in 0u64..2_000,
            jitters in prop::collection::vec(0u64..350, 1..300),
            offset in 0u64..20,
        ) {
            let mut timeline = Timeline::new(FORMAT);
            let before = timeline.on_audio(ms(first + 20), samples(20));
            prop_assert!(before <= samples(first + 20));
            let mut last = first + 20;
            for (index, jitter) in jitters.into_iter().enumerate() {
                let sent = first + (index as u64 + 2) * 20;
                let arrived = last.max(sent + jitter);
                for tick in (last + offset..arrived).step_by(20) {
                    prop_assert_eq!(timeline.pad_due(ms(tick)), 0);
                }
                prop_assert_eq!(timeline.on_audio(ms(arrived), samples(20)), 0);
                last = arrived;
            }
        }

        #[test]
        fn silence_reaches_up_to_the_wall_and_never_beyond(
            steps in prop::collection::vec((0u64..2_000, 0u64..2_000, any::<bool>()), 1..200),
        ) {
            let mut timeline = Timeline::new(FORMAT);
            let (mut now, mut audio, mut padded) = (0, 0, 0);
            for (wait, length, sends) in steps {
                now += wait;
                let length = if sends { samples(length) } else { 0 };
                let pad =
                    if sends { timeline.on_audio(ms(now), length) } else { timeline.pad_due(ms(now)) };
                if pad > 0 {
                    prop_assert_eq!(audio + padded + pad, samples(now));
                }
                (audio, padded) = (audio + length, padded + pad);
                prop_assert_eq!(timeline.pushed, audio + padded);
                if ms(now).saturating_sub(timeline.expected) > GAP {
                    prop_assert!(timeline.pushed + samples(350) >= samples(now));
                }
            }
        }
    }
}
