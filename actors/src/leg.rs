//! The socket of a leg, and the place where it survives its actor.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{Sink, Stream};
use offhook_transports::{LegCodec, Wire};
use tokio::sync::{Mutex as AsyncMutex, watch};

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
}

impl fmt::Debug for LegSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegSocket").field("format", &self.codec.format()).finish_non_exhaustive()
    }
}

/// Where the socket of a leg lies, so that a new transport actor finds what the old one had.
#[derive(Default)]
pub struct LegSlot {
    socket: Mutex<Option<Arc<AsyncMutex<LegSocket>>>>,
    /// Nothing more is sent.
    goodbye: watch::Sender<bool>,
}

impl LegSlot {
    /// Gives the leg its socket; gives it back when the leg has one.
    pub fn put(&self, socket: LegSocket) -> Result<(), LegSocket> {
        let mut slot = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() {
            return Err(socket);
        }
        *slot = Some(Arc::new(AsyncMutex::new(socket)));
        Ok(())
    }

    pub(crate) fn get(&self) -> Option<Arc<AsyncMutex<LegSocket>>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the leg ever connected.
    pub fn is_connected(&self) -> bool {
        self.get().is_some()
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
