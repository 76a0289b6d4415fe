//! The actor that hears when the caller speaks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use offhook_core::Event;
use offhook_media::{Beep, Vad, VadEdge, VadOptions};
use ractor::ActorProcessingErr;

use crate::{
    CallContext, Leaf, Port, Role, model::ModelInput, transcriber::TranscriberInput,
    voice::VoiceInput,
};

/// The caller's speech edges.
pub struct VadActor {
    _media: Leaf,
}

/// What the VAD is told.
#[derive(Clone, Debug)]
pub enum VadInput {
    /// The media task ended; `None`: it panicked.
    MediaEnded(Option<()>),
}

/// What a successor goes on from.
#[derive(Default)]
pub struct VadSlot {
    cursor: AtomicU64,
    in_speech: AtomicBool,
    /// Position in the caller's audio at which they last began to speak.
    onset: AtomicU64,
    /// And at which they last fell silent.
    end: AtomicU64,
}

impl VadSlot {
    /// Begins at a later position than zero.
    pub(crate) fn begin_at(&self, position: u64) {
        self.cursor.store(position, Ordering::Release);
        self.onset.store(position, Ordering::Release);
        self.end.store(position, Ordering::Release);
    }
}

/// Most audio looked at in one step, so that a backlog does not hold up a worker thread.
const STEP_MAX: Duration = Duration::from_millis(500);

/// A successor that hears no onset for this long tells that a speech begun before it is over.
const ORPHANED_SPEECH: Duration = Duration::from_millis(600);

impl Role for VadActor {
    const NAME: &'static str = "vad";
    type Input = VadInput;

    fn port(context: &CallContext) -> &Port<VadInput> {
        &context.ports.vad
    }

    fn start(context: Arc<CallContext>) -> Result<Self, ActorProcessingErr> {
        let port = context.ports.vad.clone();
        Ok(Self { _media: Leaf::watched(port, listen(context), VadInput::MediaEnded) })
    }

    fn handle(&mut self, input: VadInput) -> Result<(), ActorProcessingErr> {
        match input {
            VadInput::MediaEnded(Some(())) => Ok(()),
            VadInput::MediaEnded(None) => Err("the media task of the VAD panicked".into()),
        }
    }
}

impl CallContext {
    /// Whether the caller is speaking, as the VAD hears it.
    pub fn caller_speaks(&self) -> bool {
        self.slots.vad.in_speech.load(Ordering::Acquire)
    }

    /// Position in the caller's audio at which they last began to speak.
    pub(crate) fn caller_onset(&self) -> u64 {
        self.slots.vad.onset.load(Ordering::Acquire)
    }

    /// Position in the caller's audio at which they last fell silent.
    pub(crate) fn caller_fell_silent(&self) -> u64 {
        self.slots.vad.end.load(Ordering::Acquire)
    }
}

async fn listen(context: Arc<CallContext>) {
    let slot = &context.slots.vad;
    let format = context.audio.format();
    let mut news = context.audio.speech_news();
    let start = slot.cursor.load(Ordering::Acquire);
    let mut vad = Vad::new(format.sample_rate_hz, VadOptions::default());
    let listens_for_beep = context.spec.assistant.sound().listens_for_beep;
    let mut beep = listens_for_beep.then(|| Beep::new(format.sample_rate_hz));
    // The VAD counts from its own first sample.
    let origin = format.duration_of(start);
    let mut orphaned = slot.in_speech.load(Ordering::Acquire);
    let mut cursor = start;
    loop {
        let read = context.audio.read_speech(cursor, STEP_MAX);
        if read.audio.is_empty() {
            news.changed().await;
            continue;
        }
        if read.skipped > 0 {
            // Lost audio is silence to the VAD: its clock stays that of the leg.
            let silence = vec![0; read.skipped as usize];
            vad.push(&silence);
            beep.as_mut().map(|beep| beep.push(&silence));
        }
        let samples = format.decode(&read.audio);
        cursor = read.at + samples.len() as u64;
        if let Some(at) = beep.as_mut().and_then(|beep| beep.push(&samples)) {
            context.tell(Event::Beep { at: context.audio.call_time(origin + at) });
        }
        for edge in vad.push(&samples) {
            orphaned = false;
            match edge {
                VadEdge::Started { at } => {
                    slot.onset.store(format.samples_in(origin + at), Ordering::Release);
                    slot.in_speech.store(true, Ordering::Release);
                    let at = context.audio.call_time(origin + at);
                    context.tell(Event::SpeechStarted { at });
                    // They connect, if they have to, while the caller speaks.
                    context.ports.model.send(ModelInput::Prepare);
                    context.ports.voice.send(VoiceInput::Prepare);
                }
                VadEdge::Stopped { at } => {
                    slot.end.store(format.samples_in(origin + at), Ordering::Release);
                    slot.in_speech.store(false, Ordering::Release);
                    let at = context.audio.call_time(origin + at);
                    context.tell(Event::SpeechStopped { at });
                    context.ports.transcriber.send(TranscriberInput::CallerPaused);
                }
            }
        }
        slot.cursor.store(cursor, Ordering::Release);
        if orphaned && format.duration_of(cursor - start) >= ORPHANED_SPEECH {
            orphaned = false;
            slot.in_speech.store(false, Ordering::Release);
            context.tell(Event::SpeechStopped { at: context.audio.call_time(origin) });
        }
    }
}
