//! One session of the voice's provider: text in, audio to the playout.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use offhook_core::{FailureClass, Stage};
use offhook_media::{AudioFormat, Converter};
use offhook_providers::{
    ProviderError,
    tts::{ContextId, Tts, TtsEvent, TtsInput, TtsRequest, TtsSession},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{clips::Clips, kept};
use crate::{CallContext, Staged, transcriber::choose_format};

/// A provider that takes no text for this long has stopped reading.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a full playout is waited for before the session is looked at again.
const ROOM_WAIT: Duration = Duration::from_millis(100);

/// Runs one session until it fails.
pub(super) async fn speak(
    context: Arc<CallContext>,
    mut texts: mpsc::Receiver<TtsInput>,
) -> ProviderError {
    let stage = context.speaker().clone();
    let opened = context.succession(Stage::Voice).opened.clone();
    let leg = context.audio.format();
    let format = choose_format(&stage.provider.capabilities().formats, leg);
    let limit = context.patience(Stage::Voice, context.settings.calls.provider_connect_timeout);
    let session = match timeout(limit, stage.provider.open(TtsRequest { format })).await {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return error,
        Err(_) => {
            let detail = format!("no voice session within {limit:?}");
            return ProviderError::new(FailureClass::Timeout, detail);
        }
    };
    opened.store(true, Ordering::Release);
    context.succession(Stage::Voice).failover().on_served();
    let mut run = Run {
        format,
        converters: BTreeMap::new(),
        waiting: BTreeMap::new(),
        finishing: BTreeSet::new(),
        held: None,
        clips: Clips::new(&context),
        stage,
        context,
    };
    run.run(session, &mut texts).await
}

/// Hands input to a session; the session's own error is in its events.
async fn send(session: &TtsSession, input: TtsInput) -> Result<(), ProviderError> {
    let sending = timeout(SEND_TIMEOUT, session.input.send(input)).await;
    sending.map(|_| ()).map_err(|_| {
        let detail = format!("the voice took no text for {SEND_TIMEOUT:?}");
        ProviderError::new(FailureClass::Stalled, detail)
    })
}

/// One session's work.
struct Run {
    context: Arc<CallContext>,
    stage: Staged<dyn Tts>,
    format: AudioFormat,
    /// Each context resamples on its own: a reset in mid-word would be heard.
    converters: BTreeMap<ContextId, Converter>,
    /// Contexts that owe a sound, since when: given text and silent so far, or finished and not done.
    waiting: BTreeMap<ContextId, Instant>,
    finishing: BTreeSet<ContextId>,
    /// Audio that the playout has no room for.
    held: Option<(ContextId, Bytes)>,
    clips: Clips,
}

impl Run {
    async fn run(
        &mut self,
        mut session: TtsSession,
        texts: &mut mpsc::Receiver<TtsInput>,
    ) -> ProviderError {
        loop {
            let limit = self.context.settings.calls.tts_first_audio_timeout;
            let limit = self.context.patience(Stage::Voice, limit);
            let late = self.waiting.values().min().map(|since| *since + limit);
            let far = Instant::now() + Duration::from_secs(3_600);
            let step = tokio::select! {
                biased;
                input = texts.recv() => match input {
                    Some(input) => self.hand_over(&session, input).await,
                    None => return ProviderError::new(FailureClass::Closed, "abandoned"),
                },
                () = self.context.audio.playout_room(ROOM_WAIT), if self.held.is_some() => Ok(()),
                event = session.events.recv(), if self.held.is_none() => match event {
                    Some(Ok(event)) => {
                        self.on_event(event);
                        Ok(())
                    }
                    Some(Err(error)) => return error,
                    None => {
                        let detail = "the voice ended its session";
                        return ProviderError::new(FailureClass::Closed, detail);
                    }
                },
                () = sleep_until(late.unwrap_or(far)), if late.is_some() && self.held.is_none() => {
                    return ProviderError::new(
                        FailureClass::Stalled,
                        format!("the voice was given text and made no sound for {limit:?}"),
                    );
                }
            };
            if let Err(error) = step {
                return error;
            }
            if let Some((context, audio)) = self.held.take() {
                // While we do not listen, the provider owes nothing.
                self.waiting.values_mut().for_each(|since| *since = Instant::now());
                self.queue(context, audio);
            }
            let is_idle = self.waiting.is_empty() && self.held.is_none() && texts.is_empty();
            if is_idle && let Err(error) = self.make_clip(&session).await {
                return error;
            }
        }
    }

    /// Has a clip made while there is nothing to say.
    async fn make_clip(&mut self, session: &TtsSession) -> Result<(), ProviderError> {
        let (format, leg) = (self.format, self.context.audio.format());
        let context = &self.context;
        let inputs = self.clips.next(
            || Converter::new(format, leg),
            |text| {
                let text = context.spec.assistant.voice_text().format.format(text).into_owned();
                let candidate = context.succession(Stage::Voice).current();
                (context.voice().new_context(candidate, &text), text)
            },
        );
        for input in inputs.into_iter().flatten() {
            send(session, input).await?;
        }
        Ok(())
    }

    async fn hand_over(
        &mut self,
        session: &TtsSession,
        input: TtsInput,
    ) -> Result<(), ProviderError> {
        match &input {
            TtsInput::Text { context, .. } => {
                if let Some(cancel) = self.clips.give_way() {
                    send(session, cancel).await?;
                }
                self.waiting.entry(*context).or_insert_with(Instant::now);
            }
            TtsInput::Finish { context } => {
                self.finishing.insert(*context);
                self.waiting.entry(*context).or_insert_with(Instant::now);
            }
            TtsInput::Cancel { context } => {
                self.waiting.remove(context);
                self.finishing.remove(context);
                self.converters.remove(context);
                if self.held.as_ref().is_some_and(|(held, _)| held == context) {
                    self.held = None;
                }
            }
        }
        send(session, input).await
    }

    fn on_event(&mut self, event: TtsEvent) {
        let Some(event) = self.clips.take(&self.context, event) else { return };
        match event {
            TtsEvent::Audio { context, audio } => {
                if let Some(since) = self.waiting.remove(&context)
                    && !self.converters.contains_key(&context)
                {
                    self.first_audio(since);
                }
                if self.finishing.contains(&context) {
                    self.waiting.insert(context, Instant::now());
                }
                let leg = self.context.audio.format();
                let converter = self
                    .converters
                    .entry(context)
                    .or_insert_with(|| Converter::new(self.format, leg));
                let audio = converter.convert_bytes(audio);
                if audio.is_empty() {
                    return;
                }
                let known = {
                    let mut voice = self.context.voice();
                    voice.of_context(context).map(|(_, speech)| {
                        speech.ledger.audio(leg.duration_of(leg.samples_in_bytes(audio.len())));
                        speech.record_audio(&audio);
                    })
                };
                // Audio of a context that was cut meanwhile has no speech any more.
                if known.is_some() {
                    self.queue(context, audio);
                }
            }
            TtsEvent::Words { context, words } => {
                let mut timed = None;
                if let Some((id, speech)) = self.context.voice().of_context(context) {
                    let origin = speech.origin;
                    let words: Vec<_> = words
                        .into_iter()
                        .map(|it| (it.word, origin + it.start, origin + it.end))
                        .collect();
                    speech.record_words(&words);
                    speech.ledger.words(words);
                    timed = Some((id, speech.ledger.newly_timed()));
                }
                if let Some((id, words)) = timed {
                    self.context.words_timed(id, words);
                }
            }
            TtsEvent::Done { context } => {
                self.waiting.remove(&context);
                self.finishing.remove(&context);
                self.converters.remove(&context);
                self.clips.has_spoken();
                let finished = self.context.voice().of_context(context).map(|(id, speech)| {
                    speech.complete = true;
                    speech.ledger.audio_done();
                    kept::keep(&self.context, speech);
                    id
                });
                if let Some(id) = finished {
                    self.context.audio.with_playout(|playout| playout.finish(id.0));
                }
            }
        }
    }

    /// Queues audio for the leg, or holds it until there is room.
    fn queue(&mut self, context: ContextId, audio: Bytes) {
        let Some(id) = self.context.voice().of_context(context).map(|(id, _)| id) else { return };
        let leg = self.context.audio.format();
        let length = leg.duration_of(leg.samples_in_bytes(audio.len()));
        let full = self.context.audio.with_playout(|playout| {
            if playout.room() < length {
                return true;
            }
            playout.queue(id.0, audio.clone());
            false
        });
        if full {
            self.held = Some((context, audio));
        }
    }

    fn first_audio(&self, since: Instant) {
        self.context.turns().first_audio(self.context.clock.now());
        self.context.answered(Stage::Voice);
        self.context.health.succeeded(&self.stage.health, Some(since.elapsed()));
        let provider = self.stage.name.clone();
        metrics::histogram!("offhook_provider_ttfb_seconds", "kind" => "voice",
            "provider" => provider.clone())
        .record(since.elapsed().as_secs_f64());
        metrics::counter!("offhook_provider_requests_total", "kind" => "voice",
            "provider" => provider, "outcome" => "ok")
        .increment(1);
    }
}
