//! The socket of a leg, and the place where it survives its actor.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{Sink, SinkExt, Stream};
use offhook_transports::{LegCodec, Wire};
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};

use crate::transport::dismiss;

/// What comes from a leg's socket.
#[derive(Debug)]
pub enum Incoming {
    Wire(Wire),
    /// A ping or pong: the peer is alive.
    Alive,
    /// The peer closed, with its code when it gave one.
    Closed {
        code: Option<u16>,
    },
    /// The peer broke the websocket's rules; it is told why and closed with this code.
    Broken {
        close_code: u16,
        message: String,
    },
}

/// What goes to a leg's socket.
#[derive(Debug)]
pub enum Outgoing {
    Wire(Wire),
    Ping,
    Close { code: u16, reason: String },
}

type Reader = Pin<Box<dyn Stream<Item = Result<Incoming, String>> + Send>>;
type Writer = Pin<Box<dyn Sink<Outgoing, Error = String> + Send>>;

/// A connected media socket.
pub struct LegSocket {
    pub reader: Reader,
    pub writer: Writer,
    pub codec: Box<dyn LegCodec>,
    /// What is to be sent and has not been handed to the writer: a task that is replaced in
    /// mid-send leaves it to its successor.
    unsent: VecDeque<Outgoing>,
    /// Something was queued since the writer was last seen empty.
    is_dirty: bool,
}

impl LegSocket {
    pub fn new(reader: Reader, writer: Writer, codec: Box<dyn LegCodec>) -> Self {
        Self { reader, writer, codec, unsent: VecDeque::new(), is_dirty: false }
    }

    /// Leaves something to be sent with the next [`LegSocket::flush`].
    pub(crate) fn queue(&mut self, message: Outgoing) {
        self.unsent.push_back(message);
        self.is_dirty = true;
    }

    /// Sends what was queued. Whenever it is dropped, each message was either handed to the writer
    /// or is still queued. Answers to pings leave with the next read.
    pub(crate) async fn flush(&mut self) -> Result<(), String> {
        if !self.is_dirty {
            return Ok(());
        }
        while !self.unsent.is_empty() {
            poll_fn(|cx| self.writer.as_mut().poll_ready(cx)).await?;
            if let Some(message) = self.unsent.pop_front() {
                self.writer.as_mut().start_send(message)?;
            }
        }
        self.writer.flush().await?;
        self.is_dirty = false;
        Ok(())
    }
}

impl fmt::Debug for LegSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegSocket").field("format", &self.codec.format()).finish_non_exhaustive()
    }
}

/// Where the socket of a leg lies, so that a new transport actor finds what the old one had.
#[derive(Default)]
pub struct LegSlot {
    seat: Mutex<Seat>,
    /// A socket was put.
    arrived: Notify,
    /// What others have to say on the socket.
    messages: Mutex<VecDeque<ToLeg>>,
    message_left: Notify,
    /// Nothing more is sent.
    goodbye: watch::Sender<bool>,
}

#[derive(Default)]
struct Seat {
    socket: Option<Arc<AsyncMutex<LegSocket>>>,
    /// Nobody has greeted whoever came with it.
    is_new: bool,
    /// There was one before, be it in another process.
    was_taken: bool,
}

/// What others have to say on the socket.
#[derive(Clone, Debug)]
pub(crate) enum ToLeg {
    Message(Arc<Value>),
    Close { code: u16, reason: String },
}

/// Client messages waiting for the socket; beyond this the client does not read, and misses some.
const MESSAGES_MAX: usize = 256;

impl LegSlot {
    /// Gives the leg its socket, in place of one that it may have: a client that comes back notices
    /// the end of its old connection before we do.
    pub fn put(&self, socket: LegSocket) {
        let socket = Some(Arc::new(AsyncMutex::new(socket)));
        let seat = Seat { socket, is_new: true, was_taken: true };
        let before = std::mem::replace(&mut *self.seat(), seat);
        if let Some(old) = before.socket {
            // Whoever uses it lets go of it once it sees the new one.
            tokio::spawn(async move { dismiss(old.lock_owned().await).await });
        }
        self.arrived.notify_one();
    }

    /// The leg of a call that another process began, and that had a socket there.
    pub(crate) fn resume(&self) {
        self.seat().was_taken = true;
    }

    pub(crate) fn get(&self) -> Option<Arc<AsyncMutex<LegSocket>>> {
        self.seat().socket.clone()
    }

    /// Whether nobody has greeted this socket yet; true once a socket. One that another has replaced
    /// is not greeted, and takes nothing from its successor's greeting.
    pub(crate) fn greet(&self, socket: &Arc<AsyncMutex<LegSocket>>) -> bool {
        let mut seat = self.seat();
        let is_present = seat.socket.as_ref().is_some_and(|present| Arc::ptr_eq(present, socket));
        is_present && std::mem::take(&mut seat.is_new)
    }

    /// Gives up a socket that is of no use any more; does nothing when another lies here by now.
    pub(crate) fn give_up(&self, socket: &Arc<AsyncMutex<LegSocket>>) {
        self.seat().socket.take_if(|present| Arc::ptr_eq(present, socket));
    }

    /// Whether another socket lies here by now.
    pub(crate) fn has_newer(&self, than: &Arc<AsyncMutex<LegSocket>>) -> bool {
        self.seat().socket.as_ref().is_some_and(|present| !Arc::ptr_eq(present, than))
    }

    /// Waits until a socket is put; it may be the one that is known.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Whether the leg has a socket.
    pub fn is_connected(&self) -> bool {
        self.seat().socket.is_some()
    }

    /// Whether the leg ever had one.
    pub fn was_connected(&self) -> bool {
        self.seat().was_taken
    }

    /// Whether the last that is to be said waits for a socket.
    pub(crate) fn has_farewell(&self) -> bool {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().any(|message| matches!(message, ToLeg::Close { .. }))
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a message for whoever has the socket, now or later. A farewell always finds room.
    pub(crate) fn leave(&self, message: ToLeg) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let is_farewell = matches!(message, ToLeg::Close { .. });
        if messages.len() >= MESSAGES_MAX && !is_farewell {
            metrics::counter!("offhook_leg_messages_dropped_total").increment(1);
            return;
        }
        messages.push_back(message);
        self.message_left.notify_one();
    }

    pub(crate) fn take_message(&self) -> Option<ToLeg> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Waits until a message was left.
    pub(crate) async fn message_left(&self) {
        self.message_left.notified().await;
    }

    /// Waits until the peer was sent the last it gets; at once when there is no peer.
    pub async fn said_goodbye(&self) {
        if self.is_connected() {
            // The sender lives in `self`.
            let _ = self.goodbye.subscribe().wait_for(|said| *said).await;
        }
    }

    pub(crate) fn note_goodbye(&self) {
        self.goodbye.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{sink, stream};
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;

    /// A socket on which nothing comes, and what is sent on it.
    fn socket() -> (LegSocket, mpsc::Receiver<Outgoing>) {
        let (sender, sent) = mpsc::channel(8);
        let writer = sink::unfold(sender, |sender, message| async move {
            sender.send(message).await.map_err(|error| error.to_string())?;
            Ok(sender)
        });
        let codec = offhook_transports::build(&json!({ "provider": "vapi.websocket" })).unwrap();
        (LegSocket::new(Box::pin(stream::pending()), Box::pin(writer), codec), sent)
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_was_replaced_before_it_was_greeted_takes_nothing_from_the_next() {
        let slot = LegSlot::default();
        let (first, mut told) = socket();
        slot.put(first);
        // The pump has it in its hands, and has not begun.
        let seat = slot.get().unwrap();
        slot.put(socket().0);
        assert!(matches!(told.recv().await, Some(Outgoing::Close { code: 1008, .. })));
        assert!(slot.has_newer(&seat));
        assert!(!slot.greet(&seat));
        let newer = slot.get().unwrap();
        assert!(slot.greet(&newer));
        assert!(!slot.greet(&newer));
    }
}
