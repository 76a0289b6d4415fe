//! What the voice says once for all calls of the node, so that it can be heard when no voice is
//! alive: that the caller is to wait, and that something went wrong.
//!
//! A session that has nothing to say says them for the cache; whatever is to be spoken comes first.

use std::{collections::VecDeque, time::Duration};

use bytes::BytesMut;
use offhook_core::Stage;
use offhook_media::Converter;
use offhook_providers::tts::{ContextId, TtsEvent, TtsInput};

use super::kept;
use crate::{
    CallContext,
    voice_cache::{AUDIO_MAX, Claim, KeptSpeech},
};

/// The clips that a session makes.
pub(super) struct Clips {
    wanted: VecDeque<(Claim, String)>,
    making: Option<Making>,
    /// The session has said something: it works, and the caller does not wait for its first word.
    has_spoken: bool,
}

struct Making {
    context: ContextId,
    claim: Claim,
    converter: Converter,
    audio: BytesMut,
    words: Vec<(String, Duration, Duration)>,
}

impl Clips {
    /// Those that nobody made yet, and nobody else is about to.
    pub fn new(context: &CallContext) -> Self {
        let candidate = context.succession(Stage::Voice).current();
        let wanted = texts(context).into_iter().filter_map(|text| {
            let key = kept::key(context, candidate, &text)?;
            Some((context.voice_cache.claim(key)?, text))
        });
        Self { wanted: wanted.collect(), making: None, has_spoken: false }
    }

    /// The session has said something to its end.
    pub fn has_spoken(&mut self) {
        self.has_spoken = true;
    }

    /// What to hand to a session that is idle, to have the next clip made. `open` names it, and
    /// writes it for the voice.
    pub fn next(
        &mut self,
        converter: impl FnOnce() -> Converter,
        open: impl FnOnce(&str) -> (ContextId, String),
    ) -> Option<[TtsInput; 2]> {
        if self.making.is_some() || !self.has_spoken {
            return None;
        }
        let (claim, text) = self.wanted.pop_front()?;
        let (context, text) = open(&text);
        let (audio, words) = (BytesMut::new(), Vec::new());
        self.making = Some(Making { context, claim, converter: converter(), audio, words });
        Some([TtsInput::Text { context, text }, TtsInput::Finish { context }])
    }

    /// Gives up the clip at hand: something is to be spoken. Another session makes it.
    pub fn give_way(&mut self) -> Option<TtsInput> {
        let context = self.making.take()?.context;
        Some(TtsInput::Cancel { context })
    }

    /// Takes what comes of a clip; anything else is given back.
    pub fn take(&mut self, context: &CallContext, event: TtsEvent) -> Option<TtsEvent> {
        let of = match &event {
            TtsEvent::Audio { context, .. }
            | TtsEvent::Words { context, .. }
            | TtsEvent::Done { context } => *context,
        };
        let Some(making) = self.making.as_mut().filter(|making| making.context == of) else {
            return Some(event);
        };
        match event {
            TtsEvent::Audio { audio, .. } => {
                making.audio.extend_from_slice(&making.converter.convert_bytes(audio));
                if making.audio.len() > AUDIO_MAX {
                    self.making = None;
                }
            }
            TtsEvent::Words { words, .. } => {
                making.words.extend(words.into_iter().map(|it| (it.word, it.start, it.end)));
            }
            TtsEvent::Done { .. } => {
                if let Some(Making { claim, audio, words, .. }) = self.making.take()
                    && !audio.is_empty()
                {
                    let speech = KeptSpeech { audio: audio.freeze(), words };
                    context.voice_cache.keep(claim.key(), speech);
                }
            }
        }
        None
    }
}

/// What is said where no voice may be alive.
fn texts(context: &CallContext) -> Vec<String> {
    let options = &context.spec.options;
    let Some(fillers) = &options.fillers else { return Vec::new() };
    let mut texts = vec![fillers.first.clone()];
    for text in [&fillers.further, &options.apology] {
        if !texts.contains(text) {
            texts.push(text.clone());
        }
    }
    texts
}
