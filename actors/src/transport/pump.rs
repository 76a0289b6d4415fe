//! One socket of a leg: what comes in is heard, what is due is sent.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use offhook_core::{EndedReason, Event, SpeechId};
use offhook_media::Backdrop;
use offhook_transports::{LegError, LegEvent, REFUSED, RateLimit, Timeline, Wire, close_code};
use tokio::time::{Instant, sleep, timeout};

use super::{
    LegEnd,
    sockets::{Parting, Seat},
};
use crate::{CallContext, Incoming, LegSocket, Outgoing};

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

/// The media task's own state.
pub(super) struct Pump {
    pub(super) context: Arc<CallContext>,
    pub(super) timeline: Timeline,
    pub(super) limit: RateLimit,
    pub(super) backdrop: Option<Backdrop>,
    /// What the caller hears on hold: the loop, and how far it is.
    pub(super) hold: Option<(Arc<[i16]>, Backdrop)>,
    pub(super) heard_peer: Instant,
    pub(super) pinged: Instant,
    /// The first ping since the last sign of life.
    pub(super) unanswered: Option<Instant>,
    pub(super) looked_for_progress: Instant,
    /// The last progress that was told: the speech and its characters.
    pub(super) told_progress: Option<(SpeechId, u32)>,
    pub(super) looked: Looked,
}

/// When the playout was last looked at, and why.
#[derive(Clone, Copy)]
pub(super) struct Looked {
    pub(super) at: Instant,
    pub(super) for_a_frame: bool,
}

impl Looked {
    /// When the timer is to look, unless something else does before.
    pub(super) fn due(self) -> Instant {
        self.at + if self.for_a_frame { FRAMES_STOPPED } else { TICK }
    }
}

pub(super) type Step = Result<(), Parting>;

impl Pump {
    pub(super) fn new(context: Arc<CallContext>) -> Self {
        let format = context.audio.format();
        let mut timeline = Timeline::new(format);
        // What a predecessor pushed counts; what it missed is silence.
        let _ = timeline.on_audio(Duration::ZERO, context.audio.caller_end());
        Self {
            timeline,
            limit: RateLimit::new(format),
            backdrop: None,
            hold: None,
            context,
            heard_peer: Instant::now(),
            pinged: Instant::now(),
            unanswered: None,
            looked_for_progress: Instant::now(),
            told_progress: None,
            looked: Looked { at: Instant::now(), for_a_frame: false },
        }
    }

    pub(super) fn leg_time(&self) -> Duration {
        self.context.audio.leg_time(self.context.clock.now())
    }

    /// Runs a socket until it is of no use any more.
    pub(super) async fn serve(&mut self, seat: &Seat, socket: &mut LegSocket) -> Parting {
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

    /// A carrier's stream is over, which says nothing of the call.
    fn stream_ended(&self, problem: &str) -> Parting {
        Parting::Lost {
            alive: self.heard_peer,
            reason: EndedReason::CustomerAudioLost,
            problem: format!("the media stream is over: {problem}"),
        }
    }

    fn hung_up_without_a_word(&self, problem: &str) -> Parting {
        Parting::Lost {
            alive: self.heard_peer,
            reason: match self.context.spec.line {
                // Whether the caller is gone is told elsewhere.
                Some(_) => EndedReason::CustomerAudioLost,
                None => EndedReason::CustomerEndedCall,
            },
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
                return Err(match self.context.spec.line {
                    Some(_) => self.stream_ended("the carrier closed it"),
                    None => Parting::Over(LegEnd::HungUp),
                });
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
            LegEvent::Stopped if self.context.spec.line.is_some() => {
                Err(self.stream_ended("the carrier ended it"))
            }
            LegEvent::HungUp | LegEvent::Stopped => {
                // The socket stays for what the end of the call has to say on it.
                self.context.tell(Event::LegClosed { reason: EndedReason::CustomerEndedCall });
                Ok(())
            }
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
