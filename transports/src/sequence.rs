use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use offhook_media::AudioFormat;

/// The longest hole that is filled with silence here.
///
/// A longer one is a stall, and the timeline has filled it by the clock already.
const FILL_MAX: Duration = Duration::from_millis(200);

/// Late frames in a row after which the carrier has begun to count anew: half a second of audio.
/// Dropping on would leave the agent deaf.
const LATE_MAX: u32 = 25;

/// Puts audio that the carrier numbered into order, and silence where a frame is missing.
pub(crate) struct Sequence {
    format: AudioFormat,
    /// Frames that may wait for one that is missing.
    window: usize,
    next: Option<u64>,
    held: BTreeMap<u64, Bytes>,
    /// Late frames since the last that was not.
    late: u32,
}

impl Sequence {
    /// With a window of 0 for a carrier that keeps the order.
    pub fn new(format: AudioFormat, window: usize) -> Self {
        Self { format, window, next: None, held: BTreeMap::new(), late: 0 }
    }

    /// Takes a frame; returns what can be heard now, in order.
    pub fn push(&mut self, number: u64, audio: Bytes) -> Vec<Bytes> {
        let next = *self.next.get_or_insert(number);
        if number < next {
            self.late += 1;
            if self.late < LATE_MAX {
                return Vec::new();
            }
            let mut ready = self.flush();
            self.next = Some(number.saturating_add(1));
            self.late = 0;
            ready.push(audio);
            return ready;
        }
        self.late = 0;
        self.held.insert(number, audio);
        self.ready()
    }

    /// What still waits, when nothing more will come.
    pub fn flush(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.held).into_values().collect()
    }

    fn ready(&mut self) -> Vec<Bytes> {
        let mut ready = Vec::new();
        while let Some(first) = self.held.first_entry() {
            let next = self.next.unwrap_or(*first.key());
            let missing = first.key().saturating_sub(next);
            if missing > 0 && self.held.len() <= self.window {
                break;
            }
            let Some((number, audio)) = self.held.pop_first() else { break };
            ready.extend(self.silence(missing, audio.len()));
            self.next = Some(number.saturating_add(1));
            ready.push(audio);
        }
        ready
    }

    fn silence(&self, frames: u64, frame_bytes: usize) -> Option<Bytes> {
        let samples = frames.saturating_mul(self.format.samples_in_bytes(frame_bytes));
        let fits = samples > 0 && samples <= self.format.samples_in(FILL_MAX);
        fits.then(|| self.format.silence(samples))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: usize = 160;

    fn frame(number: u64) -> Bytes {
        Bytes::from(vec![number as u8; FRAME])
    }

    /// The numbers of the frames that came out, 255 for silence.
    fn run(window: usize, numbers: &[u64]) -> Vec<u8> {
        let mut sequence = Sequence::new(AudioFormat::mulaw(), window);
        let mut out: Vec<Bytes> =
            numbers.iter().flat_map(|&number| sequence.push(number, frame(number))).collect();
        out.extend(sequence.flush());
        out.concat().chunks(FRAME).map(|frame| frame[0]).collect()
    }

    #[test]
    fn frames_out_of_order_are_heard_in_order() {
        assert_eq!(run(5, &[1, 3, 2, 4, 7, 6, 5, 8]), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_frame_that_never_comes_is_silence_and_one_that_comes_twice_is_heard_once() {
        assert_eq!(run(0, &[1, 2, 2, 4, 5]), [1, 2, 255, 4, 5]);
        assert_eq!(run(2, &[1, 3, 4, 5, 2, 6]), [1, 255, 3, 4, 5, 6]);
    }

    #[test]
    fn a_long_hole_is_left_to_the_clock() {
        assert_eq!(run(0, &[1, 12, 13]).len(), 13);
        assert_eq!(run(0, &[1, 13, 14]), [1, 13, 14]);
    }

    #[test]
    fn a_carrier_that_counts_anew_is_heard_again_within_half_a_second() {
        let numbers: Vec<u64> = (1_000..1_010).chain(1..=50).collect();
        let heard = run(5, &numbers);
        assert_eq!(heard[10..], (25..=50).collect::<Vec<u8>>());
    }

    proptest! {
        #[test]
        fn order_within_the_window_loses_nothing(
            order in Just((0u64..60).collect::<Vec<_>>()).prop_flat_map(|numbers| {
                // Each run of four is shuffled.
                numbers.chunks(4).map(|run| Just(run.to_vec()).prop_shuffle()).collect::<Vec<_>>()
            })
        ) {
            let mut numbers: Vec<u64> = order.concat();
            // The first number that comes is where the count begins.
            numbers.insert(0, 0);
            let expected: Vec<u8> = (0..60).collect();
            prop_assert_eq!(run(5, &numbers), expected);
        }
    }
}
