//! Calls that are to be placed later: the node's agenda, and who sees to whoever's turn it is.
//!
//! [`offhook_core::schedule`] decides. What lies on disk is the caller's business; the agenda holds names
//! and times alone, and outlives its actor.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use offhook_actors::Leaf;
use offhook_api::{AssistantView, CallDocument, ServerTarget};
use offhook_core::{
    EndedReason,
    campaign::WallTime,
    schedule::{Agenda, AgendaFull, AgendaRules, Appointment, Holding, Turn},
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};
use uuid::Uuid;

use crate::{Node, campaigns::Clock, plan, recover::Treeless};

/// Scheduled calls of a node: a few hundred bytes of memory each. Whoever has more has campaigns.
const CALLS_MAX: usize = 100_000;

/// Calls that look for a slot at the same time; the others that are due wait for these.
const TURNS_MAX: usize = 64;

/// The longest sleep: the wall's clock may be set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// When a call is tried again whose turn ended in a panic.
const PANIC_WAIT: Duration = Duration::from_secs(5);

/// Names a scheduled call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduledCall {
    pub id: Uuid,
    pub org: Arc<str>,
}

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnOutcome {
    /// The call was dialled, or ended: nothing is left to be done.
    Over,
    /// Nobody was dialled: it has another turn after this.
    Again(Duration),
}

/// Who places scheduled calls.
pub trait Caller: Send + Sync {
    /// Dials or ends a call, which nobody else touches meanwhile.
    fn take_turn(&self, call: ScheduledCall, turn: Turn) -> BoxFuture<'static, TurnOutcome>;
}

/// The scheduled calls of a node; cheap to clone.
#[derive(Clone)]
pub struct Schedule {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    agenda: Mutex<Agenda<ScheduledCall>>,
    caller: OnceLock<Arc<dyn Caller>>,
    actor: RwLock<Option<ActorRef<ScheduleMsg>>>,
    /// Somebody let go of a call.
    released: Notify,
    is_draining: AtomicBool,
}

/// A scheduled call that nobody else touches; dropping it puts it back.
pub struct Held {
    shared: Arc<Shared>,
    call: ScheduledCall,
    /// When its turn comes again, where that is not when it would have been.
    not_before: Option<WallTime>,
    is_over: bool,
}

impl Schedule {
    pub(crate) fn new(clock: Clock) -> Self {
        let rules = AgendaRules { calls_max: CALLS_MAX, turns_max: TURNS_MAX };
        let shared = Shared {
            clock,
            agenda: Mutex::new(Agenda::new(rules)),
            caller: OnceLock::new(),
            actor: RwLock::new(None),
            released: Notify::new(),
            is_draining: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Has calls placed from here on when they are due.
    pub fn run(&self, caller: Arc<dyn Caller>) {
        // A second caller is not needed.
        let _ = self.shared.caller.set(caller);
        self.shared.wake();
    }

    pub fn now(&self) -> WallTime {
        self.shared.clock.now()
    }

    /// Takes a call in. It has no turn before what this answers is dropped.
    pub fn add(&self, call: ScheduledCall, appointment: Appointment) -> Result<Held, AgendaFull> {
        let now = self.now();
        self.shared.agenda().add(now, call.clone(), appointment)?;
        Ok(self.shared.held(call))
    }

    /// Takes a call out of everybody's reach; `None`: it is not scheduled (any more), or whoever has it
    /// does not let go of it in time.
    pub async fn hold(&self, call: ScheduledCall, within: Duration) -> Option<Held> {
        let due = Instant::now() + within;
        loop {
            let released = self.shared.released.notified();
            tokio::pin!(released);
            // From here on no release is missed.
            released.as_mut().enable();
            let holding = self.shared.agenda().hold(&call);
            match holding {
                Holding::Yes => return Some(self.shared.held(call)),
                Holding::Unknown => return None,
                Holding::Busy => timeout_at(due, released).await.ok()?,
            }
        }
    }

    /// Dials nobody any more.
    pub(crate) fn drain(&self) {
        self.shared.is_draining.store(true, Ordering::Release);
    }

    pub(crate) fn set_actor(&self, actor: ActorRef<ScheduleMsg>) {
        *self.shared.actor.write().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }
}

impl Held {
    /// Gives it a new appointment.
    pub fn move_to(&self, appointment: Appointment) {
        self.shared.agenda().move_to(&self.call, appointment);
    }

    /// Puts it back; its turn comes no sooner than `at`.
    fn again(mut self, at: WallTime) {
        self.not_before = Some(at);
    }

    /// Takes it off the agenda.
    pub fn forget(mut self) {
        self.is_over = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut agenda = self.shared.agenda();
        if self.is_over {
            agenda.forget(&self.call);
        } else {
            agenda.put_back(&self.call, self.not_before);
        }
        metrics::gauge!("offhook_scheduled_calls").set(agenda.len() as f64);
        drop(agenda);
        self.shared.released.notify_waiters();
        self.shared.wake();
    }
}

impl Shared {
    fn agenda(&self) -> MutexGuard<'_, Agenda<ScheduledCall>> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(self: &Arc<Self>, call: ScheduledCall) -> Held {
        Held { shared: self.clone(), call, not_before: None, is_over: false }
    }

    fn wake(&self) {
        let actor = self.actor.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(actor) = &*actor {
            // An actor that is gone has a successor, which looks by itself.
            let _ = actor.cast(ScheduleMsg::Look);
        }
    }

    /// Has everybody seen to whose turn it is; answers with how long there is nothing to do. `None`:
    /// there is nothing until somebody wakes the actor.
    fn look(self: &Arc<Self>) -> Option<Duration> {
        let caller = self.caller.get().filter(|_| !self.is_draining.load(Ordering::Acquire))?;
        loop {
            let now = self.clock.now();
            let mut agenda = self.agenda();
            let Some((call, turn)) = agenda.next_turn(now) else {
                let (at, _) = agenda.next_deadline()?;
                return Some(at.after(now).min(SLEEP_MAX));
            };
            drop(agenda);
            let mut held = self.held(call.clone());
            held.not_before = Some(now + PANIC_WAIT);
            let taking = caller.take_turn(call, turn);
            let shared = self.clone();
            // A turn is taken to its end, whoever dies.
            tokio::spawn(async move {
                match taking.await {
                    TurnOutcome::Over => held.forget(),
                    TurnOutcome::Again(wait) => held.again(shared.clock.now() + wait),
                }
            });
        }
    }
}

/// Wakes up when somebody's turn comes.
pub(crate) struct ScheduleActor;

#[derive(Debug)]
pub(crate) enum ScheduleMsg {
    Look,
}

pub(crate) struct ScheduleState {
    schedule: Schedule,
    alarm: Option<Leaf>,
}

impl Actor for ScheduleActor {
    type Msg = ScheduleMsg;
    type State = ScheduleState;
    type Arguments = Schedule;

    async fn pre_start(
        &self,
        myself: ActorRef<ScheduleMsg>,
        schedule: Schedule,
    ) -> Result<ScheduleState, ActorProcessingErr> {
        myself.cast(ScheduleMsg::Look)?;
        Ok(ScheduleState { schedule, alarm: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<ScheduleMsg>,
        message: ScheduleMsg,
        state: &mut ScheduleState,
    ) -> Result<(), ActorProcessingErr> {
        let ScheduleMsg::Look = message;
        state.alarm = state.schedule.shared.look().map(|wait| {
            Leaf::spawn(async move {
                sleep(wait).await;
                // An actor that is gone has a successor, which looks by itself.
                let _ = myself.cast(ScheduleMsg::Look);
            })
        });
        Ok(())
    }
}

/// A scheduled call that ends undialled.
pub struct EndUndialled<'a> {
    pub org: &'a str,
    pub record: CallDocument,
    /// Who would have talked, as far as that can be told.
    pub assistant: Option<AssistantView>,
    /// The phone number's server.
    pub server: Option<ServerTarget>,
    pub reason: &'a EndedReason,
    pub message: &'a str,
}

impl Node {
    /// Writes down that a stored call ended before anybody was dialled, and reports it.
    pub async fn end_undialled(&self, it: EndUndialled<'_>) {
        let Some(assistant) = it.assistant.or_else(|| AssistantView::new(json!({})).ok()) else {
            return;
        };
        let call = Treeless {
            org: it.org,
            server: plan::server(&assistant, it.server.as_ref(), self.settings()),
            assistant: &assistant,
            preamble: &[],
            history: &[],
            created_ms: it.record.created_at_ms(),
            reason: it.reason,
            message: it.message,
        };
        call.end(self.store(), self.outbox(), it.record).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes when calls have their turns; the first turn of each finds no slot.
    struct Notes {
        began: Instant,
        seen: Mutex<Vec<(u64, u128, Turn)>>,
    }

    impl Caller for Notes {
        fn take_turn(&self, call: ScheduledCall, turn: Turn) -> BoxFuture<'static, TurnOutcome> {
            let at = self.began.elapsed().as_secs();
            let mut seen = self.seen.lock().unwrap();
            let is_first = seen.iter().all(|(_, other, _)| *other != call.id.as_u128());
            seen.push((at, call.id.as_u128(), turn));
            Box::pin(async move {
                match turn {
                    Turn::Dial { .. } if is_first => TurnOutcome::Again(Duration::from_secs(7)),
                    Turn::Dial { .. } | Turn::Lapsed { .. } => TurnOutcome::Over,
                }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_have_their_turns_whoever_dies_and_not_while_their_client_holds_them() {
        let began = Instant::now();
        let schedule = Schedule::new(Clock::Since(WallTime::ZERO, began));
        let at = |seconds: u64| WallTime::from_millis(seconds * 1_000);
        let call = |id| ScheduledCall { id: Uuid::from_u128(id), org: "org".into() };
        let add = |id, earliest, latest| {
            let appointment = Appointment { earliest: at(earliest), latest: at(latest) };
            drop(schedule.add(call(id), appointment).unwrap());
        };
        let notes = Arc::new(Notes { began, seen: Mutex::default() });
        schedule.run(notes.clone());
        let (actor, _) = Actor::spawn(None, ScheduleActor, schedule.clone()).await.unwrap();
        schedule.set_actor(actor.clone());
        add(1, 10, 100);
        add(2, 20, 25);
        add(3, 30, 100);
        sleep(Duration::from_secs(5)).await;
        let held = schedule.hold(call(3), Duration::ZERO).await.unwrap();
        assert!(schedule.hold(call(3), Duration::from_secs(1)).await.is_none());
        actor.kill();
        let (actor, _) = Actor::spawn(None, ScheduleActor, schedule.clone()).await.unwrap();
        schedule.set_actor(actor);
        sleep(Duration::from_secs(54)).await;
        held.forget();
        assert!(schedule.hold(call(3), Duration::ZERO).await.is_none());
        sleep(Duration::from_secs(60)).await;
        let dial = |latest| Turn::Dial { latest: at(latest) };
        let expected = [
            (10, 1, dial(100)),
            (17, 1, dial(100)),
            (20, 2, dial(25)),
            (25, 2, Turn::Lapsed { was_there: true }),
        ];
        assert_eq!(*notes.seen.lock().unwrap(), expected);
    }
}
