//! The audio format of a websocket leg (`transport.audioFormat`).

use serde_json::{Value, json};

use crate::lenient;

/// The formats of a websocket leg; both are mono and raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireAudio {
    /// Signed 16-bit linear, little-endian, at this many samples a second.
    PcmS16le { sample_rate_hz: u32 },
    /// G.711 mu-law at 8 kHz.
    Mulaw,
}

/// Rates of linear audio that a leg may have.
const PCM_RATE_MIN_HZ: u32 = 8_000;
const PCM_RATE_MAX_HZ: u32 = 48_000;
/// G.711 has no other.
const MULAW_RATE_HZ: u32 = 8_000;

impl Default for WireAudio {
    fn default() -> Self {
        Self::PcmS16le { sample_rate_hz: 16_000 }
    }
}

impl WireAudio {
    /// Reads an `audioFormat`, which may be absent in whole or in part.
    ///
    /// # Errors
    ///
    /// One message for each field that is out of range.
    pub fn read(format: Option<&Value>) -> Result<Self, Vec<String>> {
        const PATH: &str = "transport.audioFormat";
        let Some(format) = format.filter(|format| !format.is_null()) else {
            return Ok(Self::default());
        };
        if !format.is_object() {
            return Err(vec![format!("{PATH} must be an object")]);
        }
        let mut messages = Vec::new();
        if lenient::get(format, "container").is_some_and(|container| container != "raw") {
            messages.push(format!("{PATH}.container must be one of the following values: raw"));
        }
        let rate = match lenient::get(format, "sampleRate") {
            None => None,
            Some(rate) => match rate.as_f64() {
                Some(rate) if rate.fract() == 0.0 => Some(rate),
                _ => {
                    messages.push(format!("{PATH}.sampleRate must be an integer number"));
                    None
                }
            },
        };
        let is_mulaw = match lenient::get(format, "format").map(|format| format.as_str()) {
            None | Some(Some("pcm_s16le")) => false,
            Some(Some("mulaw")) => true,
            Some(_) => {
                messages.push(format!(
                    "{PATH}.format must be one of the following values: pcm_s16le, mulaw"
                ));
                return Err(messages);
            }
        };
        if let Some(rate) = rate {
            if is_mulaw && rate != f64::from(MULAW_RATE_HZ) {
                messages.push(format!("{PATH}.sampleRate must be {MULAW_RATE_HZ} for mulaw"));
            } else if rate < f64::from(PCM_RATE_MIN_HZ) {
                messages.push(format!("{PATH}.sampleRate must not be less than {PCM_RATE_MIN_HZ}"));
            } else if rate > f64::from(PCM_RATE_MAX_HZ) {
                messages
                    .push(format!("{PATH}.sampleRate must not be greater than {PCM_RATE_MAX_HZ}"));
            }
        }
        if !messages.is_empty() {
            return Err(messages);
        }
        Ok(match (is_mulaw, rate) {
            (true, _) => Self::Mulaw,
            (false, Some(rate)) => Self::PcmS16le { sample_rate_hz: rate as u32 },
            (false, None) => Self::default(),
        })
    }

    pub const fn sample_rate_hz(self) -> u32 {
        match self {
            Self::PcmS16le { sample_rate_hz } => sample_rate_hz,
            Self::Mulaw => MULAW_RATE_HZ,
        }
    }

    /// The format with every field spelled out.
    pub fn to_json(self) -> Value {
        let name = match self {
            Self::PcmS16le { .. } => "pcm_s16le",
            Self::Mulaw => "mulaw",
        };
        json!({"format": name, "container": "raw", "sampleRate": self.sample_rate_hz()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Value) -> Result<WireAudio, String> {
        WireAudio::read(Some(&format)).map_err(|messages| messages.join("; "))
    }

    #[test]
    fn what_is_absent_has_a_default() {
        assert_eq!(WireAudio::read(None), Ok(WireAudio::PcmS16le { sample_rate_hz: 16_000 }));
        assert_eq!(read(json!({})), Ok(WireAudio::default()));
        assert_eq!(read(json!({"format": "mulaw"})), Ok(WireAudio::Mulaw));
        assert_eq!(
            read(json!({"sampleRate": 24_000.0})).unwrap().to_json(),
            json!({"format": "pcm_s16le", "container": "raw", "sampleRate": 24_000})
        );
    }

    #[test]
    fn formats_that_no_leg_has_are_refused() {
        let refusal = |format| read(format).unwrap_err();
        assert_eq!(
            refusal(json!({"format": "mulaw", "sampleRate": 16_000})),
            "transport.audioFormat.sampleRate must be 8000 for mulaw"
        );
        assert_eq!(
            refusal(json!({"sampleRate": 4_000, "container": "wav"})),
            "transport.audioFormat.container must be one of the following values: raw; \
             transport.audioFormat.sampleRate must not be less than 8000"
        );
        assert_eq!(
            refusal(json!({"sampleRate": 96_000})),
            "transport.audioFormat.sampleRate must not be greater than 48000"
        );
        assert_eq!(
            refusal(json!({"sampleRate": "16000"})),
            "transport.audioFormat.sampleRate must be an integer number"
        );
        assert_eq!(
            refusal(json!({"format": "opus"})),
            "transport.audioFormat.format must be one of the following values: pcm_s16le, mulaw"
        );
        assert_eq!(refusal(json!("pcm")), "transport.audioFormat must be an object");
    }
}
