//! The actor of a call's leg: socket in, playout out, marks.
//!
//! Its media task is the only one that touches the socket. The socket lies in the call's
//! [`LegSlot`](crate::LegSlot), so that it survives this actor.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use offhook_core::{EndedReason, Event, SpeechId};
use offhook_media::{Backdrop, Notice, PlayoutAction};
use offhook_transports::{LegError, LegEvent, REFUSED, RateLimit, Timeline, Wire};
use ractor::ActorProcessingErr;
use serde_json::Value;
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, sleep, timeout},
};

use crate::{CallContext, Incoming, Leaf, LegSocket, Outgoing, Port, Role, backdrop, leg::ToLeg};

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
    /// The peer stopped reading or answering.
    Dead(&'static str),
}

const TOO_MANY_CONTROLS: &str = "too many requests for this call: at most 5 a second";

/// How often the playout is looked at: one frame of 20 ms.
const TICK: Duration = Duration::from_millis(20);

/// While the caller's frames come, they are what makes us look: a timer beside them would double
/// the wake-ups of a call. It steps in when none has come for this long, which every lead but the
/// very shortest covers.
const FRAMES_STOPPED: Duration = Duration::from_millis(60);

/// A peer that takes no byte for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// A ping is sent this often, so that a peer that only listens shows that it lives.
const PING_EVERY: Duration = Duration::from_secs(10);

/// A peer that sent nothing, not even a pong, for this long is gone: two pings and some.
const PEER_SILENCE_MAX: Duration = Duration::from_secs(25);

/// How long a peer may take to close its end after we closed ours: a round trip, and what it had
/// written already.
const PARTING_MAX: Duration = Duration::from_secs(2);

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
                    LegEnd::Dead(message) => {
                        (EndedReason::CustomerAudioLost, Some(message.to_owned()))
                    }
                };
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
        if self.media.is_some() || !self.context.leg.is_connected() {
            return;
        }
        let context = self.context.clone();
        let port = self.context.ports.transport.clone();
        self.media = Some(Leaf::watched(port, run(context), TransportInput::MediaEnded));
    }
}

/// Runs the socket until the leg is over.
async fn run(context: Arc<CallContext>) -> LegEnd {
    let Some(slot) = context.leg.get() else { return LegEnd::Closed };
    // A predecessor that is being torn down lets go of the socket within a poll.
    let mut socket = slot.lock_owned().await;
    let now = context.clock.now();
    if context.audio.connect(now) {
        context.tell(Event::LegConnected);
    }
    let mut pump = Pump::new(context);
    let tick = sleep(TICK);
    tokio::pin!(tick);
    loop {
        // No step waits for anything, so that a task that is replaced leaves none half done.
        let step = tokio::select! {
            biased;
            () = pump.context.leg.message_left() => pump.tell_client(&mut socket),
            incoming = socket.reader.next() => pump.receive(&mut socket, incoming),
            () = pump.context.audio.playout_changed() => {
                pump.play(&mut socket);
                Ok(())
            }
            () = &mut tick => {
                let now = Instant::now();
                let step = match now < pump.looked.due() {
                    true => Ok(()),
                    false => pump.tick(&mut socket),
                };
                tick.as_mut().reset(pump.looked.due());
                step
            }
        };
        let sent = match timeout(SEND_TIMEOUT, socket.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(LegEnd::HungUp),
            Err(_) => Err(LegEnd::Dead("the peer stopped reading")),
        };
        if let Err(end) = step.and(sent) {
            pump.context.leg.note_goodbye();
            // Bounded by its own limit; the call does not wait for it.
            tokio::spawn(timeout(PARTING_MAX, part(socket)));
            return end;
        }
    }
}

/// Reads what the peer had under way until it closes too. A socket that is dropped with unread
/// bytes resets the connection, and the peer never sees why.
async fn part(mut socket: OwnedMutexGuard<LegSocket>) {
    while let Some(Ok(incoming)) = socket.reader.next().await {
        drop(incoming);
    }
}

/// The media task's own state.
struct Pump {
    context: Arc<CallContext>,
    timeline: Timeline,
    limit: RateLimit,
    backdrop: Option<Backdrop>,
    heard_peer: Instant,
    pinged: Instant,
    looked: Looked,
}

/// When the playout was last looked at, and why.
#[derive(Clone, Copy)]
struct Looked {
    at: Instant,
    for_a_frame: bool,
}

impl Looked {
    /// When the timer is to look, unless something else does before.
    fn due(self) -> Instant {
        self.at + if self.for_a_frame { FRAMES_STOPPED } else { TICK }
    }
}

type Step = Result<(), LegEnd>;

impl Pump {
    fn new(context: Arc<CallContext>) -> Self {
        let format = context.audio.format();
        let mut timeline = Timeline::new(format);
        // What a predecessor pushed counts; what it missed is silence.
        let _ = timeline.on_audio(Duration::ZERO, context.audio.caller_end());
        Self {
            timeline,
            limit: RateLimit::new(format),
            backdrop: None,
            context,
            heard_peer: Instant::now(),
            pinged: Instant::now(),
            looked: Looked { at: Instant::now(), for_a_frame: false },
        }
    }

    fn leg_time(&self) -> Duration {
        self.context.audio.leg_time(self.context.clock.now())
    }

    fn receive(
        &mut self,
        socket: &mut LegSocket,
        incoming: Option<Result<Incoming, String>>,
    ) -> Step {
        self.heard_peer = Instant::now();
        let wire = match incoming {
            Some(Ok(Incoming::Wire(wire))) => wire,
            // Pings are answered by the socket itself; a flood of them is a flood all the same.
            Some(Ok(Incoming::Alive)) => Wire::Binary(bytes::Bytes::new()),
            Some(Ok(Incoming::Broken { close_code, message })) => {
                return refuse(socket, &LegError { close_code, message });
            }
            Some(Ok(Incoming::Closed { .. })) | None => return Err(LegEnd::HungUp),
            Some(Err(error)) => {
                tracing::info!(call = %self.context.spec.id, error, "leg socket failed");
                return Err(LegEnd::HungUp);
            }
        };
        let now = self.leg_time();
        if let Err(error) = self.limit.admit(now, &wire) {
            return refuse(socket, &error);
        }
        if wire.is_empty() {
            return Ok(());
        }
        match socket.codec.decode(wire) {
            Ok(events) => {
                for event in events {
                    self.handle(socket, now, event)?;
                }
                Ok(())
            }
            Err(error) => refuse(socket, &error),
        }
    }

    fn handle(&mut self, socket: &mut LegSocket, now: Duration, event: LegEvent) -> Step {
        match event {
            LegEvent::Audio(audio) => {
                if let Err(error) = self.limit.admit_audio(now, audio.len()) {
                    return refuse(socket, &error);
                }
                let format = self.context.audio.format();
                let missing = self.timeline.on_audio(now, format.samples_in_bytes(audio.len()));
                if missing > 0 {
                    self.hear(format.silence(missing));
                }
                self.hear(audio);
                self.context.audio.set_ahead(self.timeline.ahead(now));
                self.play(socket);
                self.looked.for_a_frame = true;
                self.keep_alive(socket);
                Ok(())
            }
            LegEvent::MarkPlayed(name) => {
                self.context.audio.with_playout(|playout| playout.mark_played(now, &name));
                Ok(())
            }
            LegEvent::Dtmf(digit) => {
                self.context.tell(Event::KeyPressed { key: digit });
                Ok(())
            }
            LegEvent::Client(message) => match offhook_api::control::parse(&message) {
                Ok(control) => {
                    if !self.context.control(control) {
                        complain(socket, REFUSED, TOO_MANY_CONTROLS);
                    }
                    Ok(())
                }
                Err(errors) => {
                    complain(socket, REFUSED, &errors.join("; "));
                    Ok(())
                }
            },
            LegEvent::Refused(message) => {
                complain(socket, REFUSED, &message);
                Ok(())
            }
            LegEvent::HungUp => {
                // The socket stays for what the end of the call has to say on it.
                self.context.tell(Event::LegClosed { reason: EndedReason::CustomerEndedCall });
                Ok(())
            }
        }
    }

    fn hear(&self, audio: bytes::Bytes) {
        let lost = self.context.audio.hear(audio);
        if !lost.is_zero() {
            metrics::counter!("offhook_audio_ring_overflow_milliseconds_total")
                .increment(lost.as_millis() as u64);
        }
    }

    fn tick(&mut self, socket: &mut LegSocket) -> Step {
        let now = self.leg_time();
        let missing = self.timeline.pad_due(now);
        if missing > 0 {
            self.hear(self.context.audio.format().silence(missing));
        }
        if self.heard_peer.elapsed() > PEER_SILENCE_MAX {
            return Err(LegEnd::Dead("nothing came from the peer, not even a pong"));
        }
        self.keep_alive(socket);
        // What was left while nobody had the socket has no signal any more.
        let told = self.tell_client(socket);
        self.play(socket);
        told
    }

    fn keep_alive(&mut self, socket: &mut LegSocket) {
        if self.pinged.elapsed() > PING_EVERY {
            self.pinged = Instant::now();
            socket.queue(Outgoing::Ping);
        }
    }

    /// Sends what is due, notes what was heard.
    fn play(&mut self, socket: &mut LegSocket) {
        self.looked = Looked { at: Instant::now(), for_a_frame: false };
        let now = self.leg_time();
        if self.backdrop.is_none()
            && let Some(sound) = self.context.slots.backdrop.sound()
        {
            self.backdrop = Some(Backdrop::new(self.context.audio.format(), sound.clone()));
        }
        let (actions, notices, played) = self.context.audio.drain_playout(|playout| {
            let actions = playout.poll(now);
            let played = playout.played(now);
            (actions, playout.take_notices(), played)
        });
        self.context.audio.spoke(played);
        for action in actions {
            let wire = match action {
                PlayoutAction::Send(audio) => {
                    let mixed = self.backdrop.as_mut().map(|backdrop| backdrop.mix(now, &audio));
                    Some(socket.codec.audio(mixed.unwrap_or(audio)))
                }
                PlayoutAction::Mark(name) => socket.codec.mark(&name),
                PlayoutAction::Clear => {
                    self.context.turns().cleared(self.context.clock.now());
                    let clear = socket.codec.clear();
                    if let (Some(_), Some(backdrop)) = (&clear, &mut self.backdrop) {
                        backdrop.cleared(now);
                    }
                    clear
                }
            };
            if let Some(wire) = wire {
                socket.queue(Outgoing::Wire(wire));
            }
        }
        if let Some(backdrop) = &mut self.backdrop {
            for audio in backdrop.fill(now) {
                let wire = socket.codec.audio(audio);
                socket.queue(Outgoing::Wire(wire));
            }
        }
        for notice in notices {
            match notice {
                Notice::Began { speech, .. } => {
                    self.context.tell(Event::SpeechBegan { speech: SpeechId(speech) });
                }
                Notice::Heard { speech, .. } => {
                    self.context.tell(Event::SpeechHeard { speech: SpeechId(speech) });
                }
                Notice::Underrun { .. } => {
                    metrics::counter!("offhook_playout_underruns_total").increment(1);
                }
            }
        }
    }

    fn tell_client(&mut self, socket: &mut LegSocket) -> Step {
        while let Some(message) = self.context.leg.take_message() {
            match message {
                ToLeg::Message(message) => {
                    if let Some(wire) = socket.codec.event(&message) {
                        socket.queue(Outgoing::Wire(wire));
                    }
                }
                ToLeg::Close { code, reason } => {
                    socket.queue(Outgoing::Close { code, reason });
                    return Err(LegEnd::Closed);
                }
            }
        }
        Ok(())
    }
}

/// Tells the peer what was wrong with its message; the call goes on.
fn complain(socket: &mut LegSocket, name: &str, message: &str) {
    if let Some(wire) = socket.codec.error(name, message) {
        socket.queue(Outgoing::Wire(wire));
    }
}

/// Tells the peer what it did wrong, and closes.
fn refuse(socket: &mut LegSocket, error: &LegError) -> Step {
    complain(socket, error.name(), &error.message);
    let reason = error.close_reason().to_owned();
    socket.queue(Outgoing::Close { code: error.close_code, reason });
    Err(LegEnd::Refused(error.message.clone()))
}
