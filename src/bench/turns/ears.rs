//! What a caller hears of the agent: when it is audible, and the numbers that it says.

use std::time::Duration;

use offhook_media::AudioFormat;

use super::super::{clock::Moment, hearing::Hearing};

/// Amplitude from which a sample is heard.
const AUDIBLE: u16 = 400;

/// Silences shorter than this belong to speech: the fake voice pauses for 40 ms between words, and
/// packets may be late.
const SPEECH_GAP: Duration = Duration::from_millis(200);

/// What is looked at at once.
const STEP: Duration = Duration::from_millis(10);

/// From when until when the agent was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Moment,
    pub to: Moment,
}

pub struct Ears {
    format: AudioFormat,
    hearing: Hearing,
    plays_until: Moment,
    /// The last word was told to be over.
    paused: bool,
    pub spans: Vec<Span>,
    /// The numbers that were heard, and when each began to arrive.
    pub words: Vec<(Moment, u32)>,
}

impl Ears {
    pub fn new(format: AudioFormat, now: Moment) -> Self {
        Self {
            format,
            hearing: Hearing::new(format),
            plays_until: now,
            paused: true,
            spans: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Takes audio; returns the numbers that ended in it.
    pub fn hear(&mut self, now: Moment, audio: &[u8]) -> Vec<u32> {
        let samples = self.format.decode(audio);
        let mut at = self.plays_until.max(now);
        for step in samples.chunks(self.format.samples_in(STEP) as usize) {
            let ends = at + self.format.duration_of(step.len() as u64);
            if step.iter().any(|sample| sample.unsigned_abs() >= AUDIBLE) {
                self.note(Span { from: at, to: ends });
            }
            at = ends;
        }
        self.plays_until = at;
        self.paused = false;
        let words = self.hearing.hear(now, audio);
        self.take(words)
    }

    /// Called now and then: a word after which nothing came is over too.
    pub fn listen(&mut self, now: Moment) -> Vec<u32> {
        if self.paused || now.since(self.plays_until) < SPEECH_GAP {
            return Vec::new();
        }
        self.paused = true;
        let words = self.hearing.pause(now);
        self.take(words)
    }

    /// What came and was not played is not to be heard.
    pub fn clear(&mut self, now: Moment) {
        self.plays_until = self.plays_until.min(now);
        self.spans.retain(|span| span.from < now);
        if let Some(last) = self.spans.last_mut() {
            last.to = last.to.min(now);
        }
    }

    /// How long nothing has been heard; none before anything was.
    pub fn quiet(&self, now: Moment) -> Option<Duration> {
        self.spans.last().map(|span| now.since(span.to))
    }

    fn note(&mut self, heard: Span) {
        match self.spans.last_mut() {
            Some(last) if heard.from.since(last.to) < SPEECH_GAP => last.to = heard.to,
            Some(_) | None => self.spans.push(heard),
        }
    }

    fn take(&mut self, words: Vec<super::super::hearing::Heard>) -> Vec<u32> {
        let numbers = words.into_iter().filter_map(|word| Some((word.arrived, word.number?)));
        let from = self.words.len();
        self.words.extend(numbers);
        self.words[from..].iter().map(|(_, number)| *number).collect()
    }
}

#[cfg(test)]
mod tests {
    use offhook_testkit::tones;

    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn words_make_one_span_until_a_silence_or_a_clearance() {
        let format = AudioFormat::mulaw();
        let mut ears = Ears::new(format, Moment(0));
        // Without the silence behind the last word.
        let audio = format.encode(&tones::speak("1 2 3", 8_000)[..560 * 8]);
        for (nth, frame) in audio.chunks(160).enumerate() {
            ears.hear(Moment(nth as u64 * 20 * MS), frame);
        }
        assert_eq!(ears.listen(Moment(600 * MS)), [] as [u32; 0]);
        assert_eq!(ears.listen(Moment(900 * MS)), [3]);
        assert_eq!(ears.spans, [Span { from: Moment(0), to: Moment(560 * MS) }]);
        ears.hear(Moment(1_000 * MS), &audio);
        ears.clear(Moment(1_100 * MS));
        assert_eq!(ears.spans[1], Span { from: Moment(1_000 * MS), to: Moment(1_100 * MS) });
        assert_eq!(ears.quiet(Moment(1_150 * MS)), Some(Duration::from_millis(50)));
        let numbers: Vec<u32> = ears.words.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers[..3], [1, 2, 3]);
    }
}
