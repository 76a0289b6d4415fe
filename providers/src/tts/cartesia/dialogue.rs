use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    PEER,
    context::{Context, Phase, WordTimestamps},
    options::Options,
};
use crate::{
    ProviderError,
    net::{
        refusal::{Refusal, shortened},
        session::{Dialogue, Outbox},
        status::class_of_status,
    },
    tts::{ContextId, TtsEvent, TtsInput},
};

/// Contexts that may be begun and not done at once. A call has two or three; accounts are allowed
/// 2 to 15 over all their calls.
const CONTEXTS_MAX: usize = 32;

/// An end of a context that comes sooner than this after its last text is not of that text's
/// making: Cartesia waits for more text for a few seconds.
const EXPIRY_MIN: Duration = Duration::from_secs(1);

/// One session of the websocket.
pub(super) struct Speaking {
    format: AudioFormat,
    /// What every message repeats.
    generation: Map<String, Value>,
    contexts: BTreeMap<ContextId, Context>,
    ended: bool,
}

impl Speaking {
    pub fn new(options: Arc<Options>, format: AudioFormat) -> Self {
        let generation = options.generation(format);
        Self { format, generation, contexts: BTreeMap::new(), ended: false }
    }

    fn text(
        &mut self,
        now: Instant,
        context: ContextId,
        text: &str,
        out: &mut Outbox<TtsEvent>,
    ) -> Result<(), ProviderError> {
        if text.trim().is_empty() {
            return Ok(());
        }
        if !self.contexts.contains_key(&context) && self.contexts.len() >= CONTEXTS_MAX {
            let detail = format!("{CONTEXTS_MAX} contexts were begun and none of them is done");
            return Err(PEER.error(FailureClass::Stalled, detail));
        }
        let known = self.contexts.entry(context).or_insert_with(|| Context::new(now));
        match &mut known.phase {
            Phase::Open { last_text } => *last_text = now,
            Phase::Expired => known.reopen(now),
            Phase::Finishing { .. } => {
                tracing::debug!(context = context.0, "text for a context that is over");
                return Ok(());
            }
        }
        // The texts of a context are joined as they are: their white space is theirs.
        let message = message(&self.generation, &wire_id(context, known.generation), text, true);
        out.text(&message);
        Ok(())
    }

    fn finish(&mut self, now: Instant, context: ContextId, out: &mut Outbox<TtsEvent>) {
        match self.contexts.get_mut(&context) {
            Some(known @ Context { phase: Phase::Open { .. }, .. }) => {
                known.phase = Phase::Finishing { since: now };
                let id = wire_id(context, known.generation);
                out.text(&message(&self.generation, &id, "", false));
            }
            Some(Context { phase: Phase::Finishing { .. }, .. }) => {}
            // There is nothing to speak, or all of it was spoken.
            Some(Context { phase: Phase::Expired, .. }) | None => self.done(context, out),
        }
    }

    fn cancel(&mut self, context: ContextId, out: &mut Outbox<TtsEvent>) {
        out.events.retain(|event| context_of(event) != context);
        // What still comes of it is of a context that is not known.
        let Some(known) = self.contexts.remove(&context) else { return };
        if known.phase != Phase::Expired {
            let id = wire_id(context, known.generation);
            out.text(&json!({"context_id": id, "cancel": true}));
        }
        self.end_if_done(out);
    }

    fn done(&mut self, context: ContextId, out: &mut Outbox<TtsEvent>) {
        self.contexts.remove(&context);
        out.events.push_back(TtsEvent::Done { context });
        self.end_if_done(out);
    }

    fn end_if_done(&mut self, out: &mut Outbox<TtsEvent>) {
        if self.ended && self.contexts.is_empty() {
            out.finish();
        }
    }

    fn handle_news(
        &mut self,
        now: Instant,
        id: ContextId,
        news: News,
        out: &mut Outbox<TtsEvent>,
    ) -> Result<(), ProviderError> {
        let Some(context) = self.contexts.get_mut(&id) else { return Ok(()) };
        match news {
            News::Chunk { data } => {
                let audio = BASE64_STANDARD.decode(data).map_err(|_| {
                    PEER.error(FailureClass::Protocol, "sent audio that is no base64")
                })?;
                let audio = context.audio(&audio, self.format);
                if !audio.is_empty() {
                    out.events.push_back(TtsEvent::Audio { context: id, audio });
                }
            }
            News::Timestamps { word_timestamps } => {
                let words = context.words(word_timestamps, self.format);
                if !words.is_empty() {
                    out.events.push_back(TtsEvent::Words { context: id, words });
                }
            }
            News::Done => match context.phase {
                Phase::Finishing { .. } => self.done(id, out),
                // Its end crossed with the text, which begins it anew under the same id.
                Phase::Open { last_text } if now - last_text < EXPIRY_MIN => {}
                Phase::Open { .. } | Phase::Expired => context.phase = Phase::Expired,
            },
            News::Error(complaint) => return Err(complaint.classify()),
            News::Other => {}
        }
        Ok(())
    }

    /// The context whose id on the wire this is, unless it was cancelled or is done.
    fn known(&self, wire: &str) -> Option<ContextId> {
        let (id, generation) = wire.split_once('-')?;
        let (id, generation) = (ContextId(id.parse().ok()?), generation.parse::<u32>().ok()?);
        self.contexts.get(&id).filter(|known| known.generation == generation).map(|_| id)
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
        match input {
            TtsInput::Text { context, text } => self.text(now, context, &text, out)?,
            TtsInput::Finish { context } => self.finish(now, context, out),
            TtsInput::Cancel { context } => self.cancel(context, out),
        }
        Ok(())
    }

    fn handle_end_of_input(&mut self, now: Instant, out: &mut Outbox<TtsEvent>) {
        self.ended = true;
        let contexts: Vec<ContextId> = self.contexts.keys().copied().collect();
        for context in contexts {
            self.finish(now, context, out);
        }
        self.end_if_done(out);
    }

    fn handle_message(
        &mut self,
        now: Instant,
        text: &str,
        out: &mut Outbox<TtsEvent>,
    ) -> Result<(), ProviderError> {
        let message: Message = serde_json::from_str(text).map_err(|e| PEER.unreadable(&e))?;
        match (message.context_id, message.news) {
            (None, News::Error(complaint)) => Err(complaint.classify()),
            (None, _) => Ok(()),
            (Some(wire), news) => match self.known(&wire) {
                Some(id) => self.handle_news(now, id, news, out),
                // Of a context that was cancelled or is done: nobody waits for it.
                None => Ok(()),
            },
        }
    }

    fn owed_since(&self) -> Option<Instant> {
        let since = |context: &Context| match context.phase {
            Phase::Finishing { since } => Some(since),
            Phase::Open { .. } | Phase::Expired => None,
        };
        self.contexts.values().filter_map(since).min()
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn handle_deadline(
        &mut self,
        _now: Instant,
        _out: &mut Outbox<TtsEvent>,
    ) -> Result<(), ProviderError> {
        Ok(())
    }
}

/// What Cartesia sends, as far as it is acted on.
#[derive(Deserialize)]
struct Message {
    context_id: Option<String>,
    #[serde(flatten)]
    news: News,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum News {
    Chunk {
        data: String,
    },
    Timestamps {
        #[serde(default)]
        word_timestamps: WordTimestamps,
    },
    Done,
    Error(Complaint),
    #[serde(other)]
    Other,
}

/// An error; versions of the API before ours write `error` for `title` and `message`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Complaint {
    error_code: Option<String>,
    status_code: Option<u16>,
    title: Option<String>,
    message: Option<String>,
    error: Option<String>,
}

impl Complaint {
    fn classify(self) -> ProviderError {
        let text: Vec<String> =
            [self.title, self.message, self.error].into_iter().flatten().collect();
        let message = shortened(&text.join(": "));
        let by_status =
            self.status_code.map_or(FailureClass::Unavailable, |code| class_of_status(code, None));
        let reason = self.error_code.as_deref().or(message.as_deref()).unwrap_or_default();
        let class = PEER.class_of(reason, by_status);
        let status = self.status_code.map(|status| format!(" {status}")).unwrap_or_default();
        let code = self.error_code.as_deref().and_then(shortened);
        let said = Refusal { code, message, param: None }.describe(class);
        PEER.error(class, format!("sent an error{status}: {said}"))
    }
}

/// A piece of text for a context, or with `goes_on` false and no text its end.
fn message(generation: &Map<String, Value>, id: &str, text: &str, goes_on: bool) -> Value {
    let mut message = generation.clone();
    message.insert("context_id".into(), id.into());
    message.insert("transcript".into(), text.into());
    message.insert("continue".into(), goes_on.into());
    message.into()
}

fn wire_id(context: ContextId, generation: u32) -> String {
    format!("{}-{generation}", context.0)
}

fn context_of(event: &TtsEvent) -> ContextId {
    match event {
        TtsEvent::Audio { context, .. }
        | TtsEvent::Words { context, .. }
        | TtsEvent::Done { context } => *context,
    }
}
