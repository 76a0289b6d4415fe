//! What the caller hears besides words, and how closely the call listens.

use serde_json::Value;

use crate::lenient::{self, text};

/// What is heard behind the agent's words (`backgroundSound`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BackgroundSound {
    #[default]
    Off,
    Office,
    /// A WAV file at this address.
    Url(String),
}

/// The settings of an assistant that are about sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    pub background: BackgroundSound,
    /// Noise is taken out of what the caller says before anybody listens to it.
    pub denoise: bool,
    /// Speech that its voice said before may be played again (`voice.cachingEnabled`).
    pub keeps_speech: bool,
    /// A beep is news: voicemails are detected.
    pub listens_for_beep: bool,
    /// What the document asks for and nothing here does, for the log.
    pub notes: Vec<String>,
}

impl Sound {
    pub(crate) fn read(document: &Value) -> Self {
        let mut notes = Vec::new();
        let background = match text(document, "backgroundSound") {
            None | Some("off") => BackgroundSound::Off,
            Some("office") => BackgroundSound::Office,
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
                BackgroundSound::Url(url.to_owned())
            }
            Some(_) => {
                notes.push("backgroundSound is neither `off`, `office` nor an address".into());
                BackgroundSound::Off
            }
        };
        let plan = lenient::get(document, "backgroundSpeechDenoisingPlan").unwrap_or(&Value::Null);
        let stage = |name| lenient::get(plan, name);
        let is_enabled = |stage: &Value, default| {
            stage.get("enabled").and_then(Value::as_bool).unwrap_or(default)
        };
        let denoise = match stage("smartDenoisingPlan") {
            Some(smart) => is_enabled(smart, true),
            None => document.get("backgroundDenoisingEnabled") == Some(&Value::Bool(true)),
        };
        if stage("fourierDenoisingPlan").is_some_and(|fourier| is_enabled(fourier, false)) {
            notes.push(
                "backgroundSpeechDenoisingPlan.fourierDenoisingPlan is not acted on; \
                 smartDenoisingPlan is"
                    .into(),
            );
        }
        let voicemail = lenient::get(document, "voicemailDetection");
        let listens_for_beep = voicemail.is_some_and(|plan| plan != "off");
        let voice = lenient::get(document, "voice").unwrap_or(&Value::Null);
        let keeps_speech = lenient::get(voice, "cachingEnabled") != Some(&Value::Bool(false));
        Self { background, denoise, keeps_speech, listens_for_beep, notes }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_on_by_itself_but_keeping_speech() {
        for document in [
            json!({}),
            json!({"backgroundSound": "off", "backgroundSpeechDenoisingPlan": {},
                "voicemailDetection": "off"}),
            json!({"backgroundSound": null, "voicemailDetection": null,
                "backgroundSpeechDenoisingPlan": {"smartDenoisingPlan": null}}),
        ] {
            assert_eq!(Sound::read(&document), silent());
        }
        let voice = json!({"voice": {"cachingEnabled": false}});
        assert!(!Sound::read(&voice).keeps_speech);
    }

    fn silent() -> Sound {
        Sound {
            background: BackgroundSound::Off,
            denoise: false,
            keeps_speech: true,
            listens_for_beep: false,
            notes: Vec::new(),
        }
    }

    #[test]
    fn background_sounds_are_an_office_or_an_address() {
        let background = |sound| Sound::read(&json!({"backgroundSound": sound})).background;
        assert_eq!(background("office"), BackgroundSound::Office);
        let url = "https://example.com/lounge.wav";
        assert_eq!(background(url), BackgroundSound::Url(url.into()));
        let strange = Sound::read(&json!({"backgroundSound": "file:///etc/passwd"}));
        assert_eq!((strange.background, strange.notes.len()), (BackgroundSound::Off, 1));
    }

    #[test]
    fn noise_is_taken_out_where_either_field_asks_for_it() {
        let denoise = |document| Sound::read(&document).denoise;
        let plan = |plan| json!({"backgroundSpeechDenoisingPlan": {"smartDenoisingPlan": plan}});
        assert!(denoise(plan(json!({}))));
        assert!(denoise(plan(json!({"enabled": true}))));
        assert!(!denoise(plan(json!({"enabled": false}))));
        assert!(denoise(json!({"backgroundDenoisingEnabled": true})));
    }

    #[test]
    fn a_fourier_plan_is_worth_a_note() {
        let fourier = |enabled| {
            let plan = json!({"fourierDenoisingPlan": {"enabled": enabled}});
            Sound::read(&json!({"backgroundSpeechDenoisingPlan": plan}))
        };
        assert_eq!(fourier(true).notes.len(), 1);
        assert_eq!(fourier(false), silent());
    }

    #[test]
    fn voicemail_detection_listens_for_beeps() {
        let plan = json!({"voicemailDetection": {"provider": "vapi"}});
        assert!(Sound::read(&plan).listens_for_beep);
    }
}
