use std::time::Duration;

use bytes::Bytes;
use offhook_core::FailureClass;
use tokio::{select, sync::mpsc, time::timeout};

use super::{
    errors::{Errors, causes},
    reply::Reply,
};
use crate::{
    ProviderError,
    llm::{LlmEvent, LlmStream},
    net::sse::SseDecoder,
};

/// Events that wait for their reader: a token each, so about a second of a fast model.
const EVENT_QUEUE: usize = 128;

/// Silence of a stream, comments included, after which it is given up. The model stage hedges
/// after about a second; a model that thinks at the document's wish may be silent for long.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// How long a stream that said why it finished may take to count its tokens and to end: the count
/// follows at once or never, and the last words wait for it.
const END_LIMIT: Duration = Duration::from_millis(300);

/// Reads the body of an accepted request until it ends or nobody listens.
pub(super) fn start(answer: reqwest::Response, errors: Errors) -> LlmStream {
    let (sender, events) = mpsc::channel(EVENT_QUEUE);
    let (decoder, reply) = (SseDecoder::default(), Reply::new(errors));
    let mut reader = Reader { answer, errors, decoder, reply };
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

struct Reader {
    answer: reqwest::Response,
    errors: Errors,
    decoder: SseDecoder,
    reply: Reply,
}

type Sender = mpsc::Sender<Result<LlmEvent, ProviderError>>;

impl Reader {
    async fn read(&mut self, sender: &Sender) -> Result<(), ProviderError> {
        while !self.reply.is_complete() {
            let Some(part) = self.next_part().await? else { break };
            let events = self.decoder.push(&part).map_err(|error| {
                self.errors.error(FailureClass::Protocol, format!("sent {error}"))
            })?;
            for event in events {
                tell(sender, self.reply.handle(&event)?).await;
            }
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

    /// The next bytes of the body; nothing at its end, or where nothing more is needed of it.
    async fn next_part(&mut self) -> Result<Option<Bytes>, ProviderError> {
        let finished = self.reply.has_finish_reason();
        let limit = if finished { END_LIMIT } else { SILENCE_LIMIT };
        match timeout(limit, self.answer.chunk()).await {
            Ok(Ok(part)) => Ok(part),
            Ok(Err(_)) | Err(_) if finished => Ok(None),
            Ok(Err(error)) => {
                let detail = format!("the reply was cut off: {}", causes(&error));
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
