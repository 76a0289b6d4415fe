//! The sockets of a leg, one after the other, until the leg is over.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use offhook_core::{EndedReason, Event};
use offhook_transports::{RateLimit, close_code};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, sleep, timeout},
};

use super::{
    LegEnd,
    pump::{Looked, Pump},
};
use crate::{CallContext, Leaf, LegSocket, Outgoing, PhoneLine, phone_line, transfer};

pub(super) type Seat = Arc<Mutex<LegSocket>>;

/// Why a socket is of no use any more.
pub(super) enum Parting {
    /// The leg is over.
    Over(LegEnd),
    /// The peer is gone without a goodbye, and was last known to live then.
    Lost { alive: Instant, reason: EndedReason, problem: String },
    /// Another socket has come for the leg.
    Replaced,
}

/// How often the time line goes on while no socket is there.
const AWAY_TICK: Duration = Duration::from_millis(100);

/// Wait for a socket that is there already, where the settings have none.
const REPLACED_WAIT: Duration = Duration::from_secs(5);

/// Told to the client's older socket.
const REPLACED: &str = "another media socket of the call has taken over";

/// How long a peer may take to close its end after we closed ours: a round trip, and what it had
/// written already.
const PARTING_MAX: Duration = Duration::from_secs(2);

/// Runs the leg's sockets, one after the other, until the leg is over.
pub(super) async fn run(context: Arc<CallContext>) -> LegEnd {
    let mut pump = Pump::new(context.clone());
    let seek = |context: &Arc<CallContext>| {
        let line = context.spec.line.clone()?;
        Some(Leaf::spawn(phone_line::seek(context.clone(), line)))
    };
    // Of a former process there is none, and nobody may have told the carrier.
    let mut seeking = if context.leg.is_connected() { None } else { seek(&context) };
    loop {
        let Some(seat) = pump.wait_for_socket().await else { return LegEnd::Closed };
        drop(seeking.take());
        // A predecessor that is being torn down lets go of the socket within a poll; one that has
        // been replaced by now is being told so.
        let mut socket = tokio::select! {
            biased;
            socket = seat.clone().lock_owned() => socket,
            () = context.leg.arrived() => continue,
        };
        if context.leg.has_newer(&seat) {
            continue;
        }
        pump.welcome(&seat);
        match pump.serve(&seat, &mut socket).await {
            Parting::Over(end) => {
                context.leg.note_goodbye();
                // Bounded by its own limit; the call does not wait for it.
                tokio::spawn(timeout(PARTING_MAX, part(socket)));
                return end;
            }
            Parting::Lost { alive, reason, problem } => {
                let wait = reconnect_wait(&context);
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
                seeking = seek(&context);
            }
            Parting::Replaced => {
                tracing::info!(call = %context.spec.id, "media socket replaced by a newer one");
                let wait = context.settings.calls.leg_reconnect.max(REPLACED_WAIT);
                pump.lose(pump.heard_peer, EndedReason::CustomerEndedCall, wait);
            }
        }
    }
}

/// How long a leg that is gone may stay away: as the settings say, unless the carrier is calling
/// somebody for the caller.
fn reconnect_wait(context: &CallContext) -> Duration {
    let wait = context.settings.calls.leg_reconnect;
    let keys = context.spec.line.as_ref().map(|line| line.pressing()).unwrap_or_default();
    // Where a socket that drops ends the call, one that the carrier put aside does not.
    let wait = if keys.is_zero() { wait } else { wait.max(REPLACED_WAIT) + keys };
    let is_away = |line: &Arc<PhoneLine>| line.is_away() || line.is_handed_over();
    match context.spec.line.as_ref().is_some_and(is_away) {
        true => wait.max(transfer::AWAY_MAX),
        false => wait,
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

impl Pump {
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
                biased;
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
    fn welcome(&mut self, seat: &Seat) {
        let context = self.context.clone();
        let now = Instant::now();
        (self.heard_peer, self.pinged, self.unanswered) = (now, now, None);
        self.looked = Looked { at: now, for_a_frame: false };
        let is_new = context.leg.greet(seat);
        if context.audio.connect(context.clock.now()) {
            context.tell(Event::LegConnected);
            context.tell_answerer();
        } else if is_new {
            self.limit = RateLimit::new(context.audio.format());
            self.backdrop = None;
            self.hold = None;
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
}
