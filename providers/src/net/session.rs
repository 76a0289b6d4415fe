//! Drives a websocket session of any provider.
//!
//! A provider writes its protocol as a [`Dialogue`]: messages and inputs in, messages and events
//! out, deadlines as data, no I/O. What every session owes its caller is done here once: bounded
//! queues, bounded sends, liveness of the connection, an end that is in order or an error, and
//! that nothing survives a dropped session.

use std::{collections::VecDeque, future::pending, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use offhook_core::FailureClass;
use serde_json::Value;
use tokio::{
    select,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message},
};

use super::socket::{Peer, Transport, hang_up};
use crate::ProviderError;

#[cfg(test)]
mod tests;

/// Inputs that wait for the socket: 1.3 s of audio in 20 ms pieces.
const INPUT_QUEUE: usize = 64;

/// Events that wait for their reader. A voice sends about half a second of audio in one, so that
/// half a minute of speech fits; then its socket is not read until there is room.
const EVENT_QUEUE: usize = 64;

/// How long the peer may take for one message. One that does not read for that long is gone: the
/// system's own buffers have swallowed seconds of audio by then.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Silence of the peer after which it is pinged. Load balancers forget idle connections after
/// 60 s, and a half-open one should be known before the next reply needs it.
const PING_AFTER: Duration = Duration::from_secs(20);

/// How long anything may take to come after a ping.
const PONG_LIMIT: Duration = Duration::from_secs(10);

/// Silence of a peer that owes us an answer. The stages watch for slow answers much more closely;
/// this is for what they no longer wait for.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Silence of the peer after the end of our input, while it finishes what it has.
const FINISH_LIMIT: Duration = Duration::from_secs(5);

/// What a protocol has to send and to tell.
pub(crate) struct Outbox<E> {
    messages: VecDeque<Message>,
    pub events: VecDeque<E>,
    finished: bool,
}

impl<E> Outbox<E> {
    pub fn new() -> Self {
        Self { messages: VecDeque::new(), events: VecDeque::new(), finished: false }
    }

    pub fn text(&mut self, message: &Value) {
        self.messages.push_back(Message::text(message.to_string()));
    }

    pub fn binary(&mut self, message: Bytes) {
        self.messages.push_back(Message::Binary(message));
    }

    /// What would be sent.
    #[cfg(test)]
    pub fn take_messages(&mut self) -> Vec<Message> {
        self.messages.drain(..).collect()
    }

    /// The session has ended in order once all of this was sent and told.
    pub fn finish(&mut self) {
        self.finished = true;
    }
}

/// A provider's protocol over one websocket, with no I/O in it.
pub(crate) trait Dialogue: Send + 'static {
    type Input: Send + 'static;
    type Event: Send + 'static;

    fn handle_input(
        &mut self,
        now: Instant,
        input: Self::Input,
        out: &mut Outbox<Self::Event>,
    ) -> Result<(), ProviderError>;

    /// No more input will come: finish what was begun.
    fn handle_end_of_input(&mut self, now: Instant, out: &mut Outbox<Self::Event>);

    /// A text message of the peer.
    fn handle_message(
        &mut self,
        now: Instant,
        text: &str,
        out: &mut Outbox<Self::Event>,
    ) -> Result<(), ProviderError>;

    /// Since when the peer owes us something, if it does.
    fn owed_since(&self) -> Option<Instant> {
        None
    }

    fn next_deadline(&self) -> Option<Instant>;

    fn handle_deadline(
        &mut self,
        now: Instant,
        out: &mut Outbox<Self::Event>,
    ) -> Result<(), ProviderError>;
}

/// The caller's two ends of a session.
pub(crate) type Ends<D> = (
    mpsc::Sender<<D as Dialogue>::Input>,
    mpsc::Receiver<Result<<D as Dialogue>::Event, ProviderError>>,
);

/// Starts the task of a session. It ends with the session: after an error, in order, or at once
/// when the receiver is dropped.
pub(crate) fn start<D: Dialogue, T: Transport>(
    socket: WebSocketStream<T>,
    peer: Peer,
    dialogue: D,
) -> Ends<D> {
    let (input_sender, input) = mpsc::channel(INPUT_QUEUE);
    let (events, event_receiver) = mpsc::channel(EVENT_QUEUE);
    let now = Instant::now();
    let session = Session {
        peer,
        dialogue,
        out: Outbox::new(),
        heard: now,
        answered: now,
        pinged: None,
        input_ended: None,
    };
    tokio::spawn(session.run(socket, input, events));
    (input_sender, event_receiver)
}

struct Session<D: Dialogue> {
    peer: Peer,
    dialogue: D,
    out: Outbox<D::Event>,
    /// When the peer last gave a sign of life, and when it last said something.
    heard: Instant,
    answered: Instant,
    pinged: Option<Instant>,
    input_ended: Option<Instant>,
}

type Events<D> = mpsc::Sender<Result<<D as Dialogue>::Event, ProviderError>>;

impl<D: Dialogue> Session<D> {
    async fn run<T: Transport>(
        mut self,
        mut socket: WebSocketStream<T>,
        mut input: mpsc::Receiver<D::Input>,
        events: Events<D>,
    ) {
        let outcome = select! {
            biased; // A session that is dropped whole has not ended its input in order.
            () = events.closed() => Ok(()),
            outcome = self.converse(&mut socket, &mut input, &events) => outcome,
        };
        // Input stops before the error is told: nobody should feed a session that is over.
        drop(input);
        match outcome {
            Ok(()) => {
                drop(events);
                hang_up(socket).await;
            }
            Err(error) => {
                tracing::debug!(%error, "provider session failed");
                tokio::join!(self.tell(error, events), hang_up(socket));
            }
        }
    }

    /// Runs until the session is over. Only the owner's interest bounds it, see `run`.
    async fn converse<T: Transport>(
        &mut self,
        socket: &mut WebSocketStream<T>,
        input: &mut mpsc::Receiver<D::Input>,
        events: &Events<D>,
    ) -> Result<(), ProviderError> {
        loop {
            while let Some(message) = self.out.messages.pop_front() {
                self.send(socket, message).await?;
            }
            let untold = !self.out.events.is_empty();
            if self.out.finished && !untold {
                return Ok(());
            }
            let alarm =
                if untold { self.dialogue.next_deadline() } else { Some(self.next_alarm()) };
            select! {
                permit = events.reserve(), if untold => {
                    if let (Ok(permit), Some(event)) = (permit, self.out.events.pop_front()) {
                        permit.send(Ok(event));
                    }
                    // A socket that we do not read, because our reader is slow, proves nothing.
                    let now = Instant::now();
                    (self.heard, self.answered, self.pinged) = (now, now, None);
                }
                received = input.recv(), if self.input_ended.is_none() => {
                    let now = Instant::now();
                    match received {
                        Some(received) => {
                            self.dialogue.handle_input(now, received, &mut self.out)?;
                        }
                        None => {
                            self.input_ended = Some(now);
                            self.dialogue.handle_end_of_input(now, &mut self.out);
                        }
                    }
                }
                message = socket.next(), if !untold => {
                    let now = Instant::now();
                    (self.heard, self.pinged) = (now, None);
                    self.handle_message(now, message)?;
                }
                () = at(alarm) => self.handle_alarm(untold)?,
            }
        }
    }

    fn handle_message(
        &mut self,
        now: Instant,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<(), ProviderError> {
        match message {
            Some(Ok(Message::Text(text))) => {
                self.answered = now;
                self.dialogue.handle_message(now, text.as_str(), &mut self.out)
            }
            // Tungstenite answers pings; none of the protocols sends binary messages.
            Some(Ok(
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
            )) => Ok(()),
            Some(Ok(Message::Close(frame))) => {
                let (code, reason) = frame
                    .map_or((NO_STATUS, String::new()), |f| (f.code.into(), f.reason.to_string()));
                self.handle_close(code, &reason)
            }
            Some(Err(error)) => Err(self.peer.broken(&error)),
            None => self.handle_close(ABNORMAL, ""),
        }
    }

    /// A peer that closes without complaint after our input ended, and owes nothing, has finished.
    fn handle_close(&mut self, code: u16, reason: &str) -> Result<(), ProviderError> {
        let complete = self.input_ended.is_some() && self.dialogue.owed_since().is_none();
        if complete && matches!(code, NORMAL | NO_STATUS) {
            self.out.finish();
            return Ok(());
        }
        Err(self.peer.closed(code, reason))
    }

    async fn send<T: Transport>(
        &mut self,
        socket: &mut WebSocketStream<T>,
        message: Message,
    ) -> Result<(), ProviderError> {
        match timeout(SEND_LIMIT, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.reason_of(socket, &error).await),
            Err(_) => Err(self.stalled("took no message", SEND_LIMIT)),
        }
    }

    /// Why a send failed: a peer that closed has said so in what is still to be read.
    async fn reason_of<T: Transport>(
        &mut self,
        socket: &mut WebSocketStream<T>,
        error: &tungstenite::Error,
    ) -> ProviderError {
        let farewell = async {
            while let Some(Ok(message)) = socket.next().await {
                if let Err(error) = self.handle_message(Instant::now(), Some(Ok(message))) {
                    return Some(error);
                }
            }
            None
        };
        let farewell = timeout(FAREWELL_LIMIT, farewell).await.ok().flatten();
        farewell.unwrap_or_else(|| self.peer.broken(error))
    }

    /// Tells the error after all that came before it.
    async fn tell(&mut self, error: ProviderError, events: Events<D>) {
        for event in self.out.events.drain(..).map(Ok).chain([Err(error)]) {
            // The reader bounds the wait; when it is gone there is nobody to tell.
            if events.send(event).await.is_err() {
                return;
            }
        }
    }

    fn next_alarm(&self) -> Instant {
        let liveness = match self.pinged {
            Some(at) => at + PONG_LIMIT,
            None => self.heard + PING_AFTER,
        };
        [self.dialogue.next_deadline(), self.answer_deadline(), self.finish_deadline()]
            .into_iter()
            .flatten()
            .fold(liveness, Instant::min)
    }

    fn answer_deadline(&self) -> Option<Instant> {
        self.dialogue.owed_since().map(|since| since.max(self.answered) + ANSWER_LIMIT)
    }

    fn finish_deadline(&self) -> Option<Instant> {
        self.input_ended.map(|ended| ended.max(self.answered) + FINISH_LIMIT)
    }

    fn handle_alarm(&mut self, untold: bool) -> Result<(), ProviderError> {
        let now = Instant::now();
        if self.dialogue.next_deadline().is_some_and(|at| at <= now) {
            self.dialogue.handle_deadline(now, &mut self.out)?;
        }
        if untold {
            return Ok(());
        }
        if self.answer_deadline().is_some_and(|at| at <= now) {
            return Err(self.stalled("owed an answer and said nothing", ANSWER_LIMIT));
        }
        if self.finish_deadline().is_some_and(|at| at <= now) {
            return Err(self.stalled("did not finish after the end of input", FINISH_LIMIT));
        }
        match self.pinged {
            Some(at) if at + PONG_LIMIT <= now => Err(self.stalled("answered no ping", PONG_LIMIT)),
            None if self.heard + PING_AFTER <= now => {
                self.pinged = Some(now);
                self.out.messages.push_back(Message::Ping(Bytes::new()));
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn stalled(&self, what: &str, limit: Duration) -> ProviderError {
        self.peer.error(FailureClass::Stalled, format!("{what} for {limit:?}"))
    }
}

/// Waits until then, or for ever.
async fn at(alarm: Option<Instant>) {
    match alarm {
        Some(alarm) => sleep_until(alarm).await,
        None => pending().await,
    }
}

/// How long the last words of a peer that hung up are looked for.
const FAREWELL_LIMIT: Duration = Duration::from_millis(250);

/// Close codes of RFC 6455, section 7.4.1; the last two are never sent.
const NORMAL: u16 = 1000;
const NO_STATUS: u16 = 1005;
const ABNORMAL: u16 = 1006;
