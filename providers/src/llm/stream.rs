//! The body of a reply: server-sent events, read until it ends or nobody listens.

use std::time::Duration;

use bytes::Bytes;
use offhook_core::{FailureClass, Finish};
use tokio::{select, sync::mpsc, time::timeout};

use super::{
    LlmEvent, LlmStream,
    errors::{BODY_BYTES_MAX, Errors},
};
use crate::{
    ProviderError,
    net::{
        http,
        sse::{SseDecoder, SseEvent},
    },
};

/// Events that wait for their reader: a token each, so about a second of a fast model.
const EVENT_QUEUE: usize = 128;

/// Silence of a stream, comments included, after which it is given up. The model stage hedges
/// after about a second; a model that thinks at the document's wish may be silent for long.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// How long a stream that said why it finished may take to count its tokens and to end: the count
/// follows at once or never, and the last words wait for it.
const END_LIMIT: Duration = Duration::from_millis(300);

/// What puts a reply together from its events: pure, one for each protocol.
pub(super) trait Assemble: Send + 'static {
    fn handle(&mut self, event: &SseEvent) -> Result<Vec<LlmEvent>, ProviderError>;

    /// Nothing that follows would add anything.
    fn is_complete(&self) -> bool;

    /// It is known why the reply ended; only formalities follow.
    fn has_finish_reason(&self) -> bool;

    /// What is left to tell at the end of the body.
    fn finish(&mut self) -> Result<Vec<LlmEvent>, ProviderError>;
}

/// Reads the body of an accepted request until it ends or nobody listens.
pub(super) fn start(answer: reqwest::Response, errors: Errors, reply: impl Assemble) -> LlmStream {
    let (sender, events) = mpsc::channel(EVENT_QUEUE);
    let decoder = SseDecoder::default();
    let mut reader = Reader { answer, errors, decoder, reply, opening: Some(Vec::new()) };
    tokio::spawn(async move {
        let outcome = select! {
            // With the reader goes the connection, or its HTTP/2 stream: that cancels the reply.
            () = sender.closed() => return,
            outcome = reader.read(&sender) => outcome,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "reply failed");
            // Nobody is left to be told when this fails.
            let _ = sender.send(Err(error)).await;
            return;
        }
        drop(sender);
        reader.drain().await;
    });
    LlmStream { events }
}

/// A reply that a filter stopped before its first word.
pub(super) fn filtered() -> LlmStream {
    let (sender, events) = mpsc::channel(1);
    // There is room for one event in a new channel.
    let _ = sender.try_send(Ok(LlmEvent::Finished(Finish::ContentFilter)));
    LlmStream { events }
}

struct Reader<A> {
    answer: reqwest::Response,
    errors: Errors,
    decoder: SseDecoder,
    reply: A,
    /// The body as long as it has no event in it: it may be an error in plain JSON.
    opening: Option<Vec<u8>>,
}

type Sender = mpsc::Sender<Result<LlmEvent, ProviderError>>;

impl<A: Assemble> Reader<A> {
    async fn read(&mut self, sender: &Sender) -> Result<(), ProviderError> {
        while !self.reply.is_complete() {
            let Some(part) = self.next_part().await? else { break };
            let events = self.decoder.push(&part).map_err(|error| {
                self.errors.error(FailureClass::Protocol, format!("sent {error}"))
            })?;
            self.note_opening(&part, events.is_empty());
            for event in events {
                tell(sender, self.reply.handle(&event)?).await;
            }
        }
        let opening = self.opening.take().unwrap_or_default();
        if let Ok(answer @ serde_json::Value::Object(_)) = serde_json::from_slice(&opening) {
            if self.errors.is_filtered(&answer) {
                tell(sender, vec![LlmEvent::Finished(Finish::ContentFilter)]).await;
                return Ok(());
            }
            return Err(self.errors.instead_of_stream(&answer));
        }
        if !self.reply.has_finish_reason()
            && let Some(event) = self.decoder.finish()
        {
            match self.reply.handle(&event) {
                Ok(events) => tell(sender, events).await,
                // Half an event: the reply was cut off, which `finish` says.
                Err(error) if error.class == FailureClass::Protocol => {}
                Err(error) => return Err(error),
            }
        }
        tell(sender, self.reply.finish()?).await;
        Ok(())
    }

    fn note_opening(&mut self, part: &[u8], has_no_event: bool) {
        self.opening = self
            .opening
            .take()
            .filter(|opening| has_no_event && opening.len() + part.len() <= BODY_BYTES_MAX)
            .map(|mut opening| {
                opening.extend_from_slice(part);
                opening
            });
    }

    /// The next bytes of the body; nothing at its end, or where nothing more is needed of it.
    async fn next_part(&mut self) -> Result<Option<Bytes>, ProviderError> {
        let finished = self.reply.has_finish_reason();
        let limit = if finished { END_LIMIT } else { SILENCE_LIMIT };
        match timeout(limit, self.answer.chunk()).await {
            Ok(Ok(part)) => Ok(part),
            Ok(Err(_)) | Err(_) if finished => Ok(None),
            Ok(Err(error)) => {
                let detail = format!("the reply was cut off: {}", http::causes(&error));
                Err(self.errors.error(FailureClass::Closed, detail))
            }
            Err(_) => {
                let detail = format!("the reply was silent for {limit:?}");
                Err(self.errors.error(FailureClass::Stalled, detail))
            }
        }
    }

    /// Reads what is left, so that the connection can serve the next request.
    async fn drain(&mut self) {
        let rest = async { while let Ok(Some(_)) = self.answer.chunk().await {} };
        // A body that does not end costs its connection and nothing else.
        let _ = timeout(END_LIMIT, rest).await;
    }
}

async fn tell(sender: &Sender, events: Vec<LlmEvent>) {
    for event in events {
        // A receiver that is gone ends the task; it need not be told.
        let _ = sender.send(Ok(event)).await;
    }
}
