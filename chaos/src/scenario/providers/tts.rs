use std::sync::{Arc, Mutex};

use offhook_media::AudioFormat;
use offhook_providers::{
    stt::Opening,
    tts::{Tts, TtsCapabilities, TtsEvent, TtsInput, TtsRequest, TtsSession},
};
use offhook_testkit::{fakes::FakeTts, tones};
use tokio::sync::mpsc;

use super::{
    Switch,
    relay::{self, CHANNEL, Check},
};
use crate::scenario::plan::Cast;

/// A voice that can be broken, in the middle of a word too.
#[derive(Clone)]
pub struct BreakableTts {
    fake: FakeTts,
    switch: Switch,
}

/// Pieces in which the audio of a word arrives: 50 ms each.
const PIECES: u32 = 4;

impl BreakableTts {
    pub fn new(cast: &Cast, switch: Switch) -> Self {
        let mut fake = FakeTts::default();
        fake.connect = cast.tts_connect;
        fake.first_audio = cast.tts_first_audio;
        fake.speed = cast.tts_speed;
        Self { fake, switch }
    }
}

impl Tts for BreakableTts {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities {
            formats: vec![AudioFormat::mulaw(), AudioFormat::pcm16(16_000)],
            ..self.fake.capabilities()
        }
    }

    fn open(&self, request: TtsRequest) -> Opening<TtsSession> {
        let this = self.clone();
        let format = request.format;
        Box::pin(async move {
            let (life, session) = this.switch.admit(this.fake.open(request)).await?;
            let life = Arc::new(Mutex::new(life));
            let (input, texts) = mpsc::channel(CHANNEL);
            let (output, events) = mpsc::channel(CHANNEL);
            let check = |input: &TtsInput| match input {
                TtsInput::Text { .. } => Check::Feeds,
                TtsInput::Finish { .. } | TtsInput::Cancel { .. } => Check::Takes,
            };
            tokio::spawn(relay::hear(life.clone(), texts, session.input, check));
            let pieces = move |event: TtsEvent| pieces(event, format);
            tokio::spawn(relay::say(life, session.events, output, pieces));
            Ok(TtsSession { input, events })
        })
    }
}

/// The audio of a word in pieces; everything else as it is.
fn pieces(event: TtsEvent, format: AudioFormat) -> Vec<(TtsEvent, f32)> {
    let TtsEvent::Audio { context, audio } = event else { return vec![(event, 0.0)] };
    let samples = format.samples_in(tones::WORD / PIECES) as usize;
    let bytes = (samples * format.bytes_per_sample()).max(1);
    let starts = (0..audio.len()).step_by(bytes);
    let piece = |at: usize| {
        let audio = audio.slice(at..(at + bytes).min(audio.len()));
        (TtsEvent::Audio { context, audio }, 1.0 / PIECES as f32)
    };
    starts.map(piece).collect()
}
