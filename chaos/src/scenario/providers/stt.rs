use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use offhook_providers::stt::{
    Opening, Replay, Stt, SttCapabilities, SttEvent, SttInput, SttRequest, SttSession,
};
use offhook_testkit::fakes::FakeStt;
use tokio::{sync::mpsc, time::Instant};

use super::{
    Switch,
    relay::{self, CHANNEL, Check},
};
use crate::scenario::plan::Cast;

/// A transcriber that can be broken.
#[derive(Clone)]
pub struct BreakableStt {
    fake: FakeStt,
    switch: Switch,
    is_rate_capped: bool,
}

/// How fast audio may come, against real time: Deepgram's documented limit for streams.
const RATE_MAX: f32 = 1.25;

/// Audio that may come ahead of it: what a client buffers while it connects.
const RATE_HEAD_START: Duration = Duration::from_millis(500);

impl BreakableStt {
    pub fn new(cast: &Cast, switch: Switch) -> Self {
        let mut fake = FakeStt::default();
        fake.final_after = cast.stt_final;
        Self { fake, switch, is_rate_capped: cast.stt_rate_capped }
    }
}

impl Stt for BreakableStt {
    fn capabilities(&self) -> SttCapabilities {
        let replay = match self.is_rate_capped {
            true => Replay::Rate(RATE_MAX),
            false => Replay::Burst,
        };
        SttCapabilities { replay, ..self.fake.capabilities() }
    }

    fn open(&self, request: SttRequest) -> Opening<SttSession> {
        let this = self.clone();
        let format = request.format;
        Box::pin(async move {
            let (life, session) = this.switch.admit(this.fake.open(request)).await?;
            let life = Arc::new(Mutex::new(life));
            let (audio, input) = mpsc::channel(CHANNEL);
            let (output, events) = mpsc::channel(CHANNEL);
            let (opened, mut came) = (Instant::now(), Duration::ZERO);
            let check = move |input: &SttInput| {
                let SttInput::Audio(bytes) = input else { return Check::Takes };
                came += format.duration_of(format.samples_in_bytes(bytes.len()));
                let allowed = opened.elapsed().mul_f32(RATE_MAX) + RATE_HEAD_START;
                match this.is_rate_capped && came > allowed {
                    true => Check::Closes,
                    false => Check::Feeds,
                }
            };
            tokio::spawn(relay::hear(life.clone(), input, session.audio, check));
            let mut counted = 0;
            let pieces = move |event: SttEvent| {
                let words = new_words(&event, &mut counted);
                vec![(event, words)]
            };
            tokio::spawn(relay::say(life, session.events, output, pieces));
            Ok(SttSession { audio, events })
        })
    }
}

/// How many words an event has that those before it had not.
fn new_words(event: &SttEvent, counted: &mut usize) -> f32 {
    let words = |text: &str| text.split_whitespace().count();
    let (all, is_final) = match event {
        SttEvent::Partial { text } => (words(text), false),
        SttEvent::Final { text, .. } => (words(text), true),
        SttEvent::SpeechStarted { .. }
        | SttEvent::Language { .. }
        | SttEvent::EagerEndOfTurn
        | SttEvent::TurnResumed
        | SttEvent::EndOfTurn
        | SttEvent::WordsPaused => return 0.0,
    };
    let new = all.saturating_sub(*counted);
    *counted = if is_final { 0 } else { all };
    new as f32
}
