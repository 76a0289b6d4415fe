use std::collections::VecDeque;
use std::time::Duration;

use offhook_media::AudioFormat;

/// Agent audio waiting to be played. A server that sends a whole reply at once stays below it; one
/// that never stops sending must not fill the memory.
const CAPACITY: Duration = Duration::from_secs(300);

/// Plays what arrives, in real time: it is asked for as much as time has passed.
pub struct Loudspeaker {
    queue: VecDeque<i16>,
    capacity: usize,
}

impl Loudspeaker {
    pub fn new(format: AudioFormat) -> Self {
        Self { queue: VecDeque::new(), capacity: format.samples_in(CAPACITY) as usize }
    }

    /// Queues audio, and says how many samples of it did not fit.
    pub fn push(&mut self, samples: &[i16]) -> usize {
        let fits = samples.len().min(self.capacity - self.queue.len());
        self.queue.extend(&samples[..fits]);
        samples.len() - fits
    }

    /// Plays the next `samples` samples, silence where nothing is queued.
    pub fn play(&mut self, samples: usize) -> Vec<i16> {
        let queued = samples.min(self.queue.len());
        let mut played: Vec<i16> = self.queue.drain(..queued).collect();
        played.resize(samples, 0);
        played
    }

    pub fn clear(&mut self) {
        self.queue.clear();
    }

    /// How many samples wait to be played.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_is_played_in_order_with_silence_after_it() {
        let mut loudspeaker = Loudspeaker::new(AudioFormat::mulaw());
        assert_eq!(loudspeaker.push(&[1, 2, 3]), 0);
        assert_eq!(loudspeaker.play(2), [1, 2]);
        assert_eq!(loudspeaker.play(2), [3, 0]);
        loudspeaker.push(&[4]);
        loudspeaker.clear();
        assert_eq!(loudspeaker.play(1), [0]);
    }

    #[test]
    fn a_flood_is_cut_off_and_counted() {
        let mut loudspeaker = Loudspeaker::new(AudioFormat::mulaw());
        assert_eq!(loudspeaker.push(&vec![1; 8_000 * 300 + 5]), 5);
        assert_eq!(loudspeaker.queued(), 8_000 * 300);
    }
}
