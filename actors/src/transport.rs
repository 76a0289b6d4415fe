//! The actor of a call's leg: socket in, playout out, marks.
//!
//! Its media task is the only one that touches the socket. The socket lies in the call's
//! [`LegSlot`](crate::LegSlot), so that it survives this actor. A socket that is lost may come
//! back: until then the task keeps the caller's time line going, and nobody's audio is sent.

mod playing;
mod pump;
mod sockets;

use std::sync::Arc;

use offhook_core::{EndedReason, Event};
use ractor::ActorProcessingErr;
use serde_json::Value;

use crate::{CallContext, Leaf, Port, Role, backdrop, leg::ToLeg};

pub(crate) use sockets::dismiss;

/// The leg's actor.
pub struct TransportActor {
    context: Arc<CallContext>,
    media: Option<Leaf>,
    _backdrop: Option<Leaf>,
}

/// What the transport is told.
#[derive(Clone, Debug)]
pub enum TransportInput {
    /// The socket lies in the leg's slot.
    Connected,
    /// A message for the client at the other end.
    Message(Arc<Value>),
    /// Say goodbye on the socket: a websocket close code and words for the peer.
    Close { code: u16, reason: String },
    /// The media task ended; `None`: it panicked.
    MediaEnded(Option<LegEnd>),
}

/// How a leg ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegEnd {
    /// The peer hung up or closed.
    HungUp,
    /// We closed it.
    Closed,
    /// The peer broke the rules; it was told so.
    Refused(String),
}

impl Role for TransportActor {
    const NAME: &'static str = "transport";
    type Input = TransportInput;

    fn port(context: &CallContext) -> &Port<TransportInput> {
        &context.ports.transport
    }

    fn start(context: Arc<CallContext>) -> Result<Self, ActorProcessingErr> {
        let backdrop = backdrop::prepare(&context);
        let mut actor = Self { context, media: None, _backdrop: backdrop };
        actor.start_media();
        Ok(actor)
    }

    fn handle(&mut self, input: TransportInput) -> Result<(), ActorProcessingErr> {
        match input {
            TransportInput::Connected => {
                self.start_media();
                Ok(())
            }
            TransportInput::Message(message) => {
                self.context.leg.leave(ToLeg::Message(message));
                Ok(())
            }
            TransportInput::Close { code, reason } => {
                self.context.leg.leave(ToLeg::Close { code, reason });
                Ok(())
            }
            TransportInput::MediaEnded(Some(end)) => {
                self.media = None;
                tracing::info!(call = %self.context.spec.id, ?end, "leg closed");
                let (reason, message) = match end {
                    LegEnd::HungUp | LegEnd::Closed => (EndedReason::CustomerEndedCall, None),
                    LegEnd::Refused(message) => (EndedReason::CustomerAudioLost, Some(message)),
                };
                if self.context.is_suspended() {
                    return Ok(());
                }
                if let Some(message) = message {
                    self.context.explain_end(message);
                }
                self.context.tell(Event::LegClosed { reason });
                Ok(())
            }
            TransportInput::MediaEnded(None) => Err("the media task of the leg panicked".into()),
        }
    }
}

impl TransportActor {
    fn start_media(&mut self) {
        if self.media.is_some() || !self.context.leg.was_connected() {
            return;
        }
        let context = self.context.clone();
        let port = self.context.ports.transport.clone();
        self.media = Some(Leaf::watched(port, sockets::run(context), TransportInput::MediaEnded));
    }
}
