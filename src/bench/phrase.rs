//! What callers say, ready to be sent: encoded, cut into frames.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use offhook_media::AudioFormat;
use offhook_testkit::{caller::read_wav, tones};

use super::{playback::audible_part, vowel};

/// What a caller sends at once: what phones and browsers do.
pub const FRAME: Duration = Duration::from_millis(20);

/// What a caller says after its two numbers, to speak for a second as people do: nobody is called
/// that, and to the fake model it means nothing.
const REST: &str = "1901 1902 1903";

/// The voice that comes before the first word: what people begin with takes no longer to notice.
const VOICE_BEFORE_WORDS: Duration = Duration::from_millis(200);

/// What is said is not longer: five words of 200 ms, and the voice before them.
const UTTERANCE_MAX: Duration = Duration::from_millis(1_200);

/// One utterance.
#[derive(Clone, Debug)]
pub struct Phrase {
    audio: Bytes,
    frame_bytes: usize,
    /// The frame of the first audible sample.
    pub first_audible: usize,
    /// The frame of the last one.
    pub last_audible: usize,
}

impl Phrase {
    /// The audio up to its last sound, in whole frames; none of what is silent.
    fn new(mut audio: BytesMut, format: AudioFormat) -> Option<Self> {
        let (first, last) = audible_part(&format.decode(&audio))?;
        let (frame, frame_bytes) = (format.samples_in(FRAME) as usize, format.bytes_in(FRAME));
        let last_audible = last / frame;
        let whole = (last_audible + 1) * frame_bytes;
        let missing = whole.saturating_sub(audio.len());
        audio.extend_from_slice(&format.silence(format.samples_in_bytes(missing)));
        audio.truncate(whole);
        Some(Self {
            audio: audio.freeze(),
            frame_bytes,
            first_audible: first / frame,
            last_audible,
        })
    }

    /// The frame at this place; there is one up to the last audible.
    pub fn frame(&self, at: usize) -> Bytes {
        self.audio.slice(at * self.frame_bytes..(at + 1) * self.frame_bytes)
    }
}

/// Where callers have their utterances from.
#[derive(Clone, Debug)]
pub enum Speech {
    /// Numbers in tones, which the fakes understand and answer with the same numbers, over a vowel,
    /// which makes speech of them to whoever listens for a voice.
    Tones { vowel: Arc<[i16]> },
    /// Recordings, one a turn, and from the first again.
    Recordings(Arc<[Phrase]>),
}

impl Speech {
    /// Tones, unless there are recordings.
    pub fn read(wav: &[impl AsRef<Path>], format: AudioFormat) -> Result<Self, String> {
        if wav.is_empty() {
            return Ok(Self::tones(format));
        }
        let phrases = wav.iter().map(|path| {
            let path = path.as_ref();
            let samples =
                read_wav(path, format.sample_rate_hz).map_err(|error| error.to_string())?;
            Phrase::new(BytesMut::from(&format.encode(&samples)[..]), format)
                .ok_or_else(|| format!("{} is silent, expected speech", path.display()))
        });
        Ok(Self::Recordings(phrases.collect::<Result<_, _>>()?))
    }

    /// Numbers in tones.
    pub fn tones(format: AudioFormat) -> Self {
        Self::Tones { vowel: vowel::sing(UTTERANCE_MAX, format.sample_rate_hz).into() }
    }

    /// What a caller says in a turn: the `nth` of its call.
    pub fn phrase(&self, caller: u32, turn: u32, nth: u32, format: AudioFormat) -> Phrase {
        match self {
            Self::Tones { vowel } => {
                let text = format!("{caller} {turn} {REST}");
                let words: BytesMut =
                    text.split(' ').flat_map(|word| tones::spoken(word, format)).collect();
                let mut samples = vec![0; format.samples_in(VOICE_BEFORE_WORDS) as usize];
                samples.extend(format.decode(&words));
                let (_, last) = audible_part(&samples).expect("tones are audible");
                samples.truncate(last + 1);
                for (sample, vowel) in samples.iter_mut().zip(&**vowel) {
                    *sample = vowel::under(*sample, *vowel);
                }
                Phrase::new(BytesMut::from(&format.encode(&samples)[..]), format)
                    .expect("tones are audible")
            }
            Self::Recordings(phrases) => phrases[nth as usize % phrases.len()].clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use offhook_media::{Vad, VadEdge, VadOptions};
    use offhook_testkit::tones::WireEar;

    use super::*;

    /// Real speech is noticed after 160 ms.
    const NOTICED: Duration = Duration::from_millis(160);

    #[test]
    fn a_phrase_ends_with_its_last_sound() {
        let format = AudioFormat::mulaw();
        let mut samples = vec![0; 300];
        samples.extend([5_000; 1_000]);
        for silence in [0, 5_000] {
            samples.extend(vec![0; silence]);
            let phrase = Phrase::new(format.encode(&samples).into(), format).unwrap();
            assert_eq!((phrase.first_audible, phrase.last_audible), (1, 8));
            assert_eq!(phrase.audio.len(), 9 * 160);
            assert_eq!(phrase.frame(8).len(), 160);
        }
        assert!(Phrase::new(format.silence(1_000).into(), format).is_none());
    }

    #[test]
    fn voice_activity_detection_hears_an_utterance_from_its_onset_to_its_end() {
        for format in [AudioFormat::mulaw(), AudioFormat::pcm16(16_000)] {
            let speech = Speech::tones(format);
            for caller in (100..1_900).step_by(45) {
                let phrase = speech.phrase(caller, 20 + caller % 80, 0, format);
                let mut vad = Vad::new(format.sample_rate_hz, VadOptions::default());
                let second = format.samples_in(Duration::from_secs(1)) as usize;
                let mut edges = vad.push(&vec![0; second]);
                let audio = format.decode(&phrase.audio);
                let (onset, rest) = audio.split_at(format.samples_in(NOTICED) as usize);
                edges.extend(vad.push(onset));
                assert_eq!(edges.len(), 1, "{caller} is not noticed within {NOTICED:?}");
                edges.extend(vad.push(rest));
                edges.extend(vad.push(&vec![0; second]));
                assert!(
                    matches!(edges[..], [VadEdge::Started { .. }, VadEdge::Stopped { .. }]),
                    "{caller}: {edges:?}"
                );
            }
        }
    }

    #[test]
    fn the_vowel_under_an_utterance_is_in_no_words_way() {
        for format in [AudioFormat::mulaw(), AudioFormat::pcm16(16_000)] {
            let speech = Speech::tones(format);
            for caller in (100..1_900).step_by(18) {
                let phrase = speech.phrase(caller, 21, 0, format);
                let mut ear = WireEar::new(format);
                let mut words = ear.hear(&phrase.audio);
                words.extend(ear.hear(&format.silence(2_000)));
                assert_eq!(tones::text_of(&words), format!("{caller} 21 {REST}"));
                let end = format.duration_of(format.samples_in_bytes(phrase.audio.len()));
                assert_eq!(ear.voiced_until(), end, "speech ends with its last word");
            }
        }
    }
}
