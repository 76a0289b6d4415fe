use std::time::Duration;

use offhook_media::Converter;
use offhook_providers::{Access, Net, stt, tts};
use serde_json::{Value, json};

use super::*;

fn net() -> Net {
    Net::new(Duration::from_secs(1), "offhook".into(), true).unwrap()
}

/// Nobody is connected to: formats are known before.
fn access() -> Access {
    Access { api_key: None, base_url: Some("http://127.0.0.1:1".into()) }
}

fn heard_by(document: Value, leg: AudioFormat) -> AudioFormat {
    let stt = stt::build(&document, &access(), &net()).unwrap();
    choose_format(&stt.capabilities().formats, leg)
}

fn spoken_by(document: Value, leg: AudioFormat) -> AudioFormat {
    let tts = tts::build(&document, &access(), &net()).unwrap();
    choose_format(&tts.capabilities().formats, leg)
}

#[test]
fn a_phone_leg_is_converted_by_nobody_who_can_take_it_as_it_is() {
    let wide = AudioFormat::pcm16(16_000);
    for leg in [AudioFormat::mulaw(), wide] {
        for model in ["nova-3", "flux-general-en"] {
            assert_eq!(heard_by(json!({"provider": "deepgram", "model": model}), leg), leg);
        }
        for provider in ["11labs", "cartesia"] {
            assert_eq!(spoken_by(json!({"provider": provider, "voiceId": "v"}), leg), leg);
        }
    }
    // What speaks and hears in one format only is converted once.
    let openai = json!({"provider": "openai", "voiceId": "alloy"});
    assert_eq!(spoken_by(openai, AudioFormat::mulaw()), AudioFormat::pcm16(24_000));
    let custom = json!({"provider": "custom-transcriber", "server": {"url": "wss://a.example"}});
    assert_eq!(heard_by(custom, AudioFormat::mulaw()), wide);
    // No resampling, at least.
    let custom = json!({"provider": "custom-voice", "server": {"url": "https://a.example"}});
    assert_eq!(spoken_by(custom, AudioFormat::mulaw()), AudioFormat::pcm16(8_000));
}

#[test]
fn audio_in_the_leg_s_own_format_is_passed_on_and_not_copied() {
    let mut converter = Converter::new(AudioFormat::mulaw(), AudioFormat::mulaw());
    let audio = bytes::Bytes::from(vec![0x55; 160]);
    assert_eq!(converter.convert_bytes(audio.clone()).as_ptr(), audio.as_ptr());
}
