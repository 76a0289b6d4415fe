//! Who the callers are: voices of the synthesizers that are installed, at several paces.

use std::collections::HashMap;

use offhook_testkit::caller::synth::{self, Voice};

use super::{
    super::playback::audible_part,
    noise::{SPEECH_RMS, levelled},
};

/// Voices and paces: women and men, slow and quick.
const CAST: &[(&str, f32)] = &[
    ("espeak:en-us", 0.9),
    ("flite:slt", 1.0),
    ("espeak:en-us+f3", 1.1),
    ("flite:rms", 1.1),
    ("espeak:en-gb-scotland", 1.0),
    ("flite:awb", 0.9),
    ("espeak:en-us+m7", 1.25),
];

/// Tells whether a synthesizer is there.
const TRIAL: &str = "hello";

pub struct Voices {
    sample_rate_hz: u32,
    cast: Vec<(&'static str, Voice, f32)>,
    spoken: HashMap<(usize, String), Vec<i16>>,
}

impl Voices {
    /// The voices whose synthesizers are installed.
    pub async fn installed(sample_rate_hz: u32) -> Result<Self, String> {
        let mut cast = Vec::new();
        let mut missing = String::new();
        for (name, pace) in CAST {
            let voice: Voice = name.parse().map_err(|error| format!("{error}"))?;
            match synth::speak_at_pace(TRIAL, &voice, *pace, sample_rate_hz).await {
                Ok(_) => cast.push((*name, voice, *pace)),
                Err(error) => missing = error.to_string(),
            }
        }
        if cast.is_empty() {
            return Err(format!(
                "no synthesizer to speak for the callers, expected espeak-ng or flite \
                 (apt-get install espeak-ng flite): {missing}"
            ));
        }
        Ok(Self { sample_rate_hz, cast, spoken: HashMap::new() })
    }

    pub fn count(&self) -> usize {
        self.cast.len()
    }

    pub fn name(&self, voice: usize) -> String {
        let (name, _, pace) = &self.cast[voice % self.cast.len()];
        format!("{name} at {pace}")
    }

    /// A text in a voice, as loud as all others, from its first sound to its last.
    pub async fn speak(&mut self, voice: usize, text: &str) -> Result<Vec<i16>, String> {
        let voice = voice % self.cast.len();
        let key = (voice, text.to_owned());
        if let Some(samples) = self.spoken.get(&key) {
            return Ok(samples.clone());
        }
        let (name, by, pace) = &self.cast[voice];
        let spoken = synth::speak_at_pace(text, by, *pace, self.sample_rate_hz)
            .await
            .map_err(|error| error.to_string())?;
        let samples: Vec<f32> = spoken.iter().map(|sample| f32::from(*sample)).collect();
        let mut samples = levelled(&samples, SPEECH_RMS);
        let (first, last) =
            audible_part(&samples).ok_or_else(|| format!("{name} said nothing for `{text}`"))?;
        samples.truncate(last + 1);
        samples.drain(..first);
        self.spoken.insert(key, samples.clone());
        Ok(samples)
    }
}
