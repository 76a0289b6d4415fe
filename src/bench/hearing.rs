//! The words in what arrives, each with the moment at which it arrived.

use std::{collections::VecDeque, time::Duration};

use offhook_media::AudioFormat;
use offhook_testkit::tones::WireEar;

use super::{answer, clock::Moment};

/// Messages whose arrival is remembered. A word is heard 200 ms after it began, and a message has
/// at least a millisecond of audio.
const ARRIVALS_KEPT: usize = 256;

/// Silence after which the last word is known to be over.
const LAST_WORD: Duration = Duration::from_millis(100);

/// A word that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// None: what was heard is no number.
    pub number: Option<u32>,
    /// When its first sample arrived.
    pub arrived: Moment,
}

pub struct Hearing {
    format: AudioFormat,
    ear: WireEar,
    /// Samples that came so far.
    samples: u64,
    /// The end of each message, in samples, and when it arrived.
    arrivals: VecDeque<(u64, Moment)>,
}

impl Hearing {
    pub fn new(format: AudioFormat) -> Self {
        Self { format, ear: WireEar::new(format), samples: 0, arrivals: VecDeque::new() }
    }

    /// Takes a message of audio; returns the words that it completed.
    pub fn hear(&mut self, now: Moment, audio: &[u8]) -> Vec<Heard> {
        self.samples += self.format.samples_in_bytes(audio.len());
        if self.arrivals.len() == ARRIVALS_KEPT {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back((self.samples, now));
        let words = self.ear.hear(audio);
        words
            .iter()
            .map(|word| {
                let at = self.format.samples_in(word.at);
                let arrived = self.arrivals.iter().find(|(end, _)| *end > at);
                Heard {
                    number: answer::number(&word.text),
                    arrived: arrived.map_or(now, |(_, arrived)| *arrived),
                }
            })
            .collect()
    }

    /// Nothing came for a while: returns the word that was not known to be over.
    pub fn pause(&mut self, now: Moment) -> Vec<Heard> {
        let silence = self.format.silence(self.format.samples_in(LAST_WORD));
        self.hear(now, &silence)
    }
}

#[cfg(test)]
mod tests {
    use offhook_testkit::tones;

    use super::*;

    #[test]
    fn a_word_arrived_with_its_first_sample() {
        let format = AudioFormat::mulaw();
        let mut hearing = Hearing::new(format);
        let audio = format.encode(&tones::speak("117 21 1.", 8_000));
        let mut heard = Vec::new();
        for (nth, frame) in audio.chunks(160).enumerate() {
            heard.extend(hearing.hear(Moment(nth as u64), frame));
        }
        heard.extend(hearing.pause(Moment(100)));
        let word = |number, arrived| Heard { number: Some(number), arrived: Moment(arrived) };
        assert_eq!(heard, [word(117, 0), word(21, 10), word(1, 20)]);
    }
}
