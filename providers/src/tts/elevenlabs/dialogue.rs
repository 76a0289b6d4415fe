use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    PEER,
    context::{Alignment, Voiced},
    options::Options,
};
use crate::{
    ProviderError,
    net::{
        refusal::Refusal,
        session::{Dialogue, Outbox},
        status::class_of_close,
    },
    tts::{ContextId, TtsEvent, TtsInput},
};

/// Contexts that ElevenLabs keeps open at once; one more closes the session.
const CONTEXTS_MAX: usize = 5;

/// Inputs that wait for a context to become free: more text than is ever written ahead.
const WAITING_MAX: usize = 256;

/// How often an open context without new text is kept alive. Without our `inactivity_timeout` it
/// would be closed after 20 s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a cancelled context counts as open when nothing reports its end.
const CANCELLED_LIMIT: Duration = Duration::from_secs(5);

/// One session of the multi-context websocket.
pub(super) struct Speaking {
    options: Arc<Options>,
    format: AudioFormat,
    contexts: BTreeMap<ContextId, Context>,
    /// Inputs of contexts that cannot be opened yet, in order.
    waiting: VecDeque<TtsInput>,
    ended: bool,
}

struct Context {
    phase: Phase,
    voiced: Voiced,
}

enum Phase {
    /// More text may come.
    Open { last_sent: Instant },
    /// All text was sent, and the context is closed to more.
    Finishing { since: Instant },
    /// Nothing of it is wanted.
    Cancelled { until: Instant },
}

impl Speaking {
    pub fn new(options: Arc<Options>, format: AudioFormat) -> Self {
        Self { options, format, contexts: BTreeMap::new(), waiting: VecDeque::new(), ended: false }
    }

    fn text(&mut self, now: Instant, context: ContextId, text: &str, out: &mut Outbox<TtsEvent>) {
        // Text must end with one space; an empty one would mean something else.
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let id = wire_id(context);
        let open = self.contexts.entry(context).or_insert_with(|| {
            out.text(&self.options.opening(&id));
            Context { phase: Phase::Open { last_sent: now }, voiced: Voiced::default() }
        });
        let Phase::Open { last_sent } = &mut open.phase else {
            tracing::debug!(context = context.0, "text for a context that is over");
            return;
        };
        *last_sent = now;
        let mut message = json!({"text": format!("{text} "), "context_id": id});
        if self.options.flushes_each_text() {
            message["flush"] = true.into();
        }
        out.text(&message);
    }

    fn finish(&mut self, now: Instant, context: ContextId, out: &mut Outbox<TtsEvent>) {
        let id = wire_id(context);
        match self.contexts.get_mut(&context) {
            Some(Context { phase: phase @ Phase::Open { .. }, .. }) => {
                *phase = Phase::Finishing { since: now };
                out.text(&json!({"text": "", "context_id": id, "flush": true}));
                out.text(&close_context(&id));
            }
            Some(_) => {}
            // It had no text: there is nothing to speak.
            None => out.events.push_back(TtsEvent::Done { context }),
        }
    }

    fn cancel(&mut self, now: Instant, context: ContextId, out: &mut Outbox<TtsEvent>) {
        self.waiting.retain(|input| context_of(input) != context);
        out.events.retain(|event| context_of_event(event) != context);
        let Some(known) = self.contexts.get_mut(&context) else { return };
        if matches!(known.phase, Phase::Open { .. }) {
            out.text(&close_context(&wire_id(context)));
        }
        known.phase = Phase::Cancelled { until: now + CANCELLED_LIMIT };
    }

    /// Whether an input has to wait for another context to end.
    fn must_wait(&self, input: &TtsInput) -> bool {
        let context = context_of(input);
        self.waiting.iter().any(|waiting| context_of(waiting) == context)
            || (matches!(input, TtsInput::Text { .. })
                && !self.contexts.contains_key(&context)
                && self.contexts.len() >= CONTEXTS_MAX)
    }

    fn carry_out(&mut self, now: Instant, input: TtsInput, out: &mut Outbox<TtsEvent>) {
        match input {
            TtsInput::Text { context, text } => self.text(now, context, &text, out),
            TtsInput::Finish { context } => self.finish(now, context, out),
            TtsInput::Cancel { context } => self.cancel(now, context, out),
        }
    }

    /// A context has ended: whoever waited for it goes on.
    fn remove(&mut self, now: Instant, context: ContextId, out: &mut Outbox<TtsEvent>) {
        self.contexts.remove(&context);
        for input in std::mem::take(&mut self.waiting) {
            match self.must_wait(&input) {
                true => self.waiting.push_back(input),
                false => self.carry_out(now, input, out),
            }
        }
        self.end_if_done(now, out);
    }

    /// After the end of input: finishes what is open, and the session after the last of it.
    fn end_if_done(&mut self, now: Instant, out: &mut Outbox<TtsEvent>) {
        if !self.ended {
            return;
        }
        let is_open = |(id, context): (&ContextId, &Context)| {
            matches!(context.phase, Phase::Open { .. }).then_some(*id)
        };
        let open: Vec<ContextId> = self.contexts.iter().filter_map(is_open).collect();
        for context in open {
            self.finish(now, context, out);
        }
        if self.contexts.is_empty() && self.waiting.is_empty() {
            out.text(&json!({"close_socket": true}));
            out.finish();
        }
    }

    fn handle_audio(
        &mut self,
        context: ContextId,
        message: &Message,
        out: &mut Outbox<TtsEvent>,
    ) -> Result<(), ProviderError> {
        let Some(known) = self.contexts.get_mut(&context) else { return Ok(()) };
        if matches!(known.phase, Phase::Cancelled { .. }) {
            return Ok(());
        }
        if let Some(audio) = &message.audio {
            let audio = BASE64_STANDARD
                .decode(audio)
                .map_err(|_| PEER.error(FailureClass::Protocol, "sent audio that is no base64"))?;
            let audio = known.voiced.whole_samples(audio, self.format);
            if !audio.is_empty() {
                out.events.push_back(TtsEvent::Audio { context, audio });
            }
        }
        // The normalised one is of words that ElevenLabs made out of ours: better than none.
        let alignment = message.alignment.as_ref().or(message.normalized_alignment.as_ref());
        if let Some(alignment) = alignment {
            let words = known.voiced.words(alignment);
            if !words.is_empty() {
                out.events.push_back(TtsEvent::Words { context, words });
            }
        }
        Ok(())
    }

    fn handle_final(&mut self, now: Instant, context: ContextId, out: &mut Outbox<TtsEvent>) {
        if let Some(Context { phase: Phase::Finishing { .. }, voiced }) =
            self.contexts.get_mut(&context)
        {
            if let Some(word) = voiced.last_word() {
                out.events.push_back(TtsEvent::Words { context, words: vec![word] });
            }
            out.events.push_back(TtsEvent::Done { context });
        }
        self.remove(now, context, out);
    }
}

impl Dialogue for Speaking {
    type Input = TtsInput;
    type Event = TtsEvent;

    fn handle_input(
        &mut self,
        now: Instant,
        input: TtsInput,
        out: &mut Outbox<TtsEvent>,
    ) -> Result<(), ProviderError> {
        let cancels = matches!(input, TtsInput::Cancel { .. });
        if cancels || !self.must_wait(&input) {
            self.carry_out(now, input, out);
            return Ok(());
        }
        if self.waiting.len() >= WAITING_MAX {
            let detail =
                format!("{WAITING_MAX} texts wait for one of {CONTEXTS_MAX} contexts to end");
            return Err(PEER.error(FailureClass::Stalled, detail));
        }
        self.waiting.push_back(input);
        Ok(())
    }

    fn handle_end_of_input(&mut self, now: Instant, out: &mut Outbox<TtsEvent>) {
        self.ended = true;
        self.end_if_done(now, out);
    }

    fn handle_message(
        &mut self,
        now: Instant,
        text: &str,
        out: &mut Outbox<TtsEvent>,
    ) -> Result<(), ProviderError> {
        let value: Value = serde_json::from_str(text).map_err(|e| PEER.unreadable(&e))?;
        if value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(complaint(&value));
        }
        let message = Message::deserialize(value).map_err(|e| PEER.unreadable(&e))?;
        let id = message.context_id.as_deref().and_then(|id| id.parse().ok());
        let Some(context) = id.map(ContextId) else { return Ok(()) };
        self.handle_audio(context, &message, out)?;
        if message.is_final == Some(true) {
            self.handle_final(now, context, out);
        }
        Ok(())
    }

    fn owed_since(&self) -> Option<Instant> {
        let since = |context: &Context| match context.phase {
            Phase::Finishing { since } => Some(since),
            Phase::Open { .. } | Phase::Cancelled { .. } => None,
        };
        self.contexts.values().filter_map(since).min()
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadline = |context: &Context| match context.phase {
            Phase::Open { last_sent } => Some(last_sent + KEEP_ALIVE),
            Phase::Cancelled { until } => Some(until),
            Phase::Finishing { .. } => None,
        };
        self.contexts.values().filter_map(deadline).min()
    }

    fn handle_deadline(
        &mut self,
        now: Instant,
        out: &mut Outbox<TtsEvent>,
    ) -> Result<(), ProviderError> {
        let mut over = Vec::new();
        for (id, context) in &mut self.contexts {
            match &mut context.phase {
                Phase::Open { last_sent } if *last_sent + KEEP_ALIVE <= now => {
                    *last_sent = now;
                    out.text(&json!({"text": "", "context_id": wire_id(*id)}));
                }
                Phase::Cancelled { until } if *until <= now => over.push(*id),
                Phase::Open { .. } | Phase::Cancelled { .. } | Phase::Finishing { .. } => {}
            }
        }
        for context in over {
            self.remove(now, context, out);
        }
        Ok(())
    }
}

/// What ElevenLabs sends; some of its documents write the context in snake case.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    audio: Option<String>,
    alignment: Option<Alignment>,
    #[serde(alias = "normalized_alignment")]
    normalized_alignment: Option<Alignment>,
    #[serde(alias = "is_final")]
    is_final: Option<bool>,
    #[serde(alias = "context_id")]
    context_id: Option<String>,
}

/// The error that it sends before it closes: `{message, error, code}`.
fn complaint(value: &Value) -> ProviderError {
    let name = value.get("error").and_then(Value::as_str).unwrap_or_default();
    let refusal = Refusal::from_json(value);
    let message = refusal.message.as_deref().unwrap_or_default();
    let code = value.get("code").and_then(Value::as_u64).and_then(|code| code.try_into().ok());
    let by_code = class_of_close(code.unwrap_or_default());
    let class = PEER.class_of(name, PEER.class_of(message, by_code));
    let said = Refusal { code: Some(name.into()), ..refusal }.describe(class);
    PEER.error(class, format!("sent an error: {said}"))
}

fn close_context(id: &str) -> Value {
    json!({"context_id": id, "close_context": true})
}

fn wire_id(context: ContextId) -> String {
    context.0.to_string()
}

fn context_of(input: &TtsInput) -> ContextId {
    match input {
        TtsInput::Text { context, .. }
        | TtsInput::Finish { context }
        | TtsInput::Cancel { context } => *context,
    }
}

fn context_of_event(event: &TtsEvent) -> ContextId {
    match event {
        TtsEvent::Audio { context, .. }
        | TtsEvent::Words { context, .. }
        | TtsEvent::Done { context } => *context,
    }
}
