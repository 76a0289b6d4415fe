//! The actor of a call's leg: socket in, playout out, marks.
//!
//! Its media task is the only one that touches the socket. The socket lies in the call's
//! [`LegSlot`](crate::LegSlot), so that it survives this actor. A socket that is lost may come
//! back: until then the task keeps the caller's time line going, and nobody's audio is sent.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use offhook_core::{EndedReason, Event, SpeechId};
use offhook_media::{Backdrop, Notice, PlayoutAction};
use offhook_transports::{LegError, LegEvent, REFUSED, RateLimit, Timeline, Wire, close_code};
use ractor::ActorProcessingErr;
use serde_json::Value;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
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
}

/// Why a socket is of no use any more.
enum Parting {
    /// The leg is over.
    Over(LegEnd),
    /// The peer is gone without a goodbye, and was last known to live then.
    Lost { alive: Instant, reason: EndedReason, problem: String },
    /// Another socket has come for the leg.
    Replaced,
}

const TOO_MANY_CONTROLS: &str = "too many requests for this call: at most 5 a second";

/// How often the playout is looked at: one frame of 20 ms.
const TICK: Duration = Duration::from_millis(20);

/// While the caller's frames come, they are what makes us look: a timer beside them would double
/// the wake-ups of a call. It steps in when none has come for this long, which every lead but the
/// very shortest covers.
const FRAMES_STOPPED: Duration = Duration::from_millis(60);

/// A peer that takes no byte for this long is gone; it counts from the last that came from it, and a
/// tenth of it is given in any case.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// A ping is sent this often to a peer that speaks, for the sake of proxies in between.
const PING_EVERY: Duration = Duration::from_secs(10);

/// A peer that has sent nothing for this long is pinged as often, so that one that only listens
/// shows that it lives.
const PING_SILENT_AFTER: Duration = Duration::from_millis(500);

/// A peer that leaves a ping without an answer for this long is gone: with the wait before the ping
/// five seconds of silence, as no network in order has them.
const UNANSWERED_MAX: Duration = Duration::from_millis(4_500);

/// What was sent counts as heard no longer than this after the last sign of life: a ping, its way
/// there and back, and some.
const HEARING_TRUST: Duration = Duration::from_secs(1);

/// How often the time line goes on while no socket is there.
const AWAY_TICK: Duration = Duration::from_millis(100);

/// How often the conversation is told how far a speech was heard, which is what a process that takes
/// the call up knows of it.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Wait for a socket that is there already, where the settings have none.
const REPLACED_WAIT: Duration = Duration::from_secs(5);

/// Told to the client's older socket.
const REPLACED: &str = "another media socket of the call has taken over";

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
        self.media = Some(Leaf::watched(port, run(context), TransportInput::MediaEnded));
    }
}

/// Runs the leg's sockets, one after the other, until the leg is over.
async fn run(context: Arc<CallContext>) -> LegEnd {
    let mut pump = Pump::new(context.clone());
    loop {
        let Some(seat) = pump.wait_for_socket().await else { return LegEnd::Closed };
        // A predecessor that is being torn down lets go of the socket within a poll.
        let mut socket = seat.clone().lock_owned().await;
        pump.welcome();
        match pump.serve(&seat, &mut socket).await {
            Parting::Over(end) => {
                context.leg.note_goodbye();
                // Bounded by its own limit; the call does not wait for it.
                tokio::spawn(timeout(PARTING_MAX, part(socket)));
                return end;
            }
            Parting::Lost { alive, reason, problem } => {
                let wait = context.settings.calls.leg_reconnect;
                tracing::info!(call = %context.spec.id, problem, ?wait, "media socket lost");
                context.leg.give_up(&seat);
                if wait.is_zero() {
                    context.explain_end(problem);
                    context.tell(Event::LegClosed { reason });
                    return LegEnd::HungUp;
                }
                context.explain_end(format!(
                    "{problem}; the media socket did not come back within {wait:?}"
                ));
                pump.lose(alive, reason, wait);
            }
            Parting::Replaced => {
                tracing::info!(call = %context.spec.id, "media socket replaced by a newer one");
                let wait = context.settings.calls.leg_reconnect.max(REPLACED_WAIT);
                pump.lose(pump.heard_peer, EndedReason::CustomerEndedCall, wait);
                tokio::spawn(dismiss(socket));
            }
        }
    }
}

/// Tells a socket that another one has taken its place.
pub(crate) async fn dismiss(mut socket: OwnedMutexGuard<LegSocket>) {
    socket.queue(Outgoing::Close { code: close_code::POLICY, reason: REPLACED.to_owned() });
    let parting = async {
        if socket.flush().await.is_ok() {
            part(socket).await;
        }
    };
    // A peer that does not close is left.
    let _ = timeout(PARTING_MAX, parting).await;
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
    /// The first ping since the last sign of life.
    unanswered: Option<Instant>,
    told_progress: Instant,
    looked: Looked,
}

type Seat = Arc<Mutex<LegSocket>>;

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

type Step = Result<(), Parting>;

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
            unanswered: None,
            told_progress: Instant::now(),
            looked: Looked { at: Instant::now(), for_a_frame: false },
        }
    }

    fn leg_time(&self) -> Duration {
        self.context.audio.leg_time(self.context.clock.now())
    }

    /// Waits for a socket, at once where there is one; `None` when the call ends without. The time
    /// line goes on meanwhile.
    async fn wait_for_socket(&mut self) -> Option<Seat> {
        let context = self.context.clone();
        loop {
            if let Some(seat) = context.leg.get() {
                return Some(seat);
            }
            if context.leg.has_farewell() {
                return None;
            }
            tokio::select! {
                () = context.leg.arrived() => {}
                () = context.leg.message_left() => {}
                () = sleep(AWAY_TICK) => {
                    self.pad();
                    let now = self.leg_time();
                    let played = self.context.audio.drain_playout(|playout| playout.played(now));
                    self.context.audio.spoke(played);
                }
            }
        }
    }

    /// Begins with a socket: that of a successor, or one that has just come.
    fn welcome(&mut self) {
        let context = self.context.clone();
        let now = Instant::now();
        (self.heard_peer, self.pinged, self.unanswered) = (now, now, None);
        self.looked = Looked { at: now, for_a_frame: false };
        let is_new = context.leg.greet();
        if context.audio.connect(context.clock.now()) {
            context.tell(Event::LegConnected);
        } else if is_new {
            self.limit = RateLimit::new(context.audio.format());
            self.backdrop = None;
            metrics::counter!("offhook_legs_resumed_total").increment(1);
            tracing::info!(call = %context.spec.id, "media socket is back");
            context.forget_explanation();
            context.tell(Event::LegBack { bridge: context.take_bridge() });
        }
    }

    /// What was sent and not heard is not with anybody any more.
    fn lose(&mut self, alive: Instant, reason: EndedReason, wait: Duration) {
        let now = self.leg_time();
        let alive = now.saturating_sub(alive.elapsed());
        let notices = self.context.audio.with_playout(|playout| {
            playout.lost(now, alive);
            playout.take_notices()
        });
        self.tell_notices(notices);
        self.context.tell(Event::LegLost { reason, wait });
    }

    /// Runs a socket until it is of no use any more.
    async fn serve(&mut self, seat: &Seat, socket: &mut LegSocket) -> Parting {
        let tick = sleep(TICK);
        tokio::pin!(tick);
        loop {
            // No step waits for anything, so that a task that is replaced leaves none half done.
            let step = tokio::select! {
                biased;
                () = self.context.leg.message_left() => self.tell_client(socket),
                incoming = socket.reader.next() => self.receive(socket, incoming),
                () = self.context.audio.playout_changed() => {
                    self.play(socket);
                    Ok(())
                }
                () = self.context.leg.arrived() => match self.context.leg.has_newer(seat) {
                    true => Err(Parting::Replaced),
                    false => Ok(()),
                },
                () = &mut tick => {
                    let now = Instant::now();
                    let step = match now < self.looked.due() {
                        true => Ok(()),
                        false => self.tick(socket),
                    };
                    tick.as_mut().reset(self.looked.due());
                    step
                }
            };
            let limit =
                SEND_TIMEOUT.saturating_sub(self.heard_peer.elapsed()).max(SEND_TIMEOUT / 10);
            let sent = match timeout(limit, socket.flush()).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(problem)) => Err(self.hung_up_without_a_word(&problem)),
                Err(_) => Err(Parting::Lost {
                    alive: self.heard_peer,
                    reason: EndedReason::CustomerAudioLost,
                    problem: "the peer stopped reading".into(),
                }),
            };
            if let Err(parting) = step.and(sent) {
                return parting;
            }
        }
    }

    fn hung_up_without_a_word(&self, problem: &str) -> Parting {
        Parting::Lost {
            alive: self.heard_peer,
            reason: EndedReason::CustomerEndedCall,
            problem: format!("the connection of the media socket was lost ({problem})"),
        }
    }

    fn receive(
        &mut self,
        socket: &mut LegSocket,
        incoming: Option<Result<Incoming, String>>,
    ) -> Step {
        if let Some(Ok(_)) = incoming {
            (self.heard_peer, self.unanswered) = (Instant::now(), None);
        }
        let wire = match incoming {
            Some(Ok(Incoming::Wire(wire))) => wire,
            // Pings are answered by the socket itself; a flood of them is a flood all the same.
            Some(Ok(Incoming::Alive)) => Wire::Binary(bytes::Bytes::new()),
            Some(Ok(Incoming::Broken { close_code, message })) => {
                return refuse(socket, &LegError { close_code, message });
            }
            Some(Ok(Incoming::Closed { code: None | Some(close_code::NORMAL) })) => {
                return Err(Parting::Over(LegEnd::HungUp));
            }
            Some(Ok(Incoming::Closed { code: Some(code) })) => {
                return Err(self.hung_up_without_a_word(&format!("close code {code}")));
            }
            None => return Err(self.hung_up_without_a_word("no close frame")),
            Some(Err(error)) => return Err(self.hung_up_without_a_word(&error)),
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
            // Read by whoever admitted the leg.
            LegEvent::Started(_) => Ok(()),
            LegEvent::Complained(reason) => {
                tracing::warn!(call = %self.context.spec.id, reason, "the leg's peer complains");
                Ok(())
            }
            LegEvent::HungUp | LegEvent::Stopped => {
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
        self.pad();
        if self.unanswered.is_some_and(|since| since.elapsed() > UNANSWERED_MAX) {
            return Err(Parting::Lost {
                alive: self.heard_peer,
                reason: EndedReason::CustomerAudioLost,
                problem: "nothing came from the peer, not even a pong".into(),
            });
        }
        self.keep_alive(socket);
        // What was left while nobody had the socket has no signal any more.
        let told = self.tell_client(socket);
        self.play(socket);
        told
    }

    /// Silence takes the place of what did not come.
    fn pad(&mut self) {
        let missing = self.timeline.pad_due(self.leg_time());
        if missing > 0 {
            self.hear(self.context.audio.format().silence(missing));
        }
    }

    fn keep_alive(&mut self, socket: &mut LegSocket) {
        let now = Instant::now();
        let is_silent = now - self.heard_peer > PING_SILENT_AFTER;
        let every = if is_silent { PING_SILENT_AFTER } else { PING_EVERY };
        if now - self.pinged > every {
            self.pinged = now;
            if is_silent {
                self.unanswered.get_or_insert(now);
            }
            socket.queue(Outgoing::Ping);
        }
    }

    /// Tells now and then how far the speech that sounds was heard.
    fn tell_progress(&mut self, sounding: Option<(u32, u64)>) {
        let Some((speech, samples)) = sounding else { return };
        if self.told_progress.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.told_progress = Instant::now();
        let heard = self.context.audio.format().duration_of(samples);
        if let Some(chars) = self.context.chars_heard(SpeechId(speech), heard) {
            self.context.tell(Event::SpeechProgress { speech: SpeechId(speech), chars });
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
        let trusted = now.saturating_sub(self.heard_peer.elapsed()) + HEARING_TRUST;
        let (actions, notices, played, sounding) = self.context.audio.drain_playout(|playout| {
            playout.trust_until(trusted);
            let actions = playout.poll(now);
            let played = playout.played(now);
            (actions, playout.take_notices(), played, playout.sounding())
        });
        self.tell_progress(sounding);
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
        self.tell_notices(notices);
    }

    /// Tells the conversation what became of the speeches.
    fn tell_notices(&self, notices: Vec<Notice>) {
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
                    return Err(Parting::Over(LegEnd::Closed));
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
    Err(Parting::Over(LegEnd::Refused(error.message.clone())))
}
