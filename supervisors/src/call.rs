//! Supervises the actors of one call.

use std::{collections::BTreeMap, sync::Arc};

use offhook_actors::{CallContext, ROLES, Signal, Spawner};
use offhook_core::{Disposition, EndedReason, Intensity, RestartBudget};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::time::Duration;
use tokio::time::Instant;

use crate::finish::finish_surely;

/// Supervises the actors of one call.
pub(crate) struct CallSupervisor;

/// What a call's supervisor is told.
#[derive(Debug)]
pub(crate) enum CallMsg {
    /// Look for actors that no longer answer, and for a leg that never came.
    Tick,
    Restart(&'static str),
    /// Somebody asked to end the call.
    Ending,
    /// Everything that ends a call was done.
    Finished,
    Fault {
        role: String,
        fault: Fault,
    },
}

/// What chaos does to an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Ends it from outside, in mid-handler.
    Kill,
    /// Panics in its handler.
    Panic,
    /// Its handler never returns.
    Wedge,
}

pub(crate) struct CallState {
    context: Arc<CallContext>,
    /// By name: they are asked in the same order in every run.
    children: BTreeMap<&'static str, Child>,
    intensity: Intensity,
    ending: bool,
    ticked: Instant,
}

struct Child {
    actor: Option<ActorCell>,
    budget: RestartBudget,
    /// Ticks since it last answered.
    silent_ticks: u32,
}

/// How often actors are asked for a sign of life.
const TICK: Duration = Duration::from_millis(500);

/// Wait before a dead actor is started again: long enough not to spin, too short to be heard.
const RESTART_AFTER: Duration = Duration::from_millis(10);

impl Actor for CallSupervisor {
    type Msg = CallMsg;
    type State = CallState;
    type Arguments = Arc<CallContext>;

    async fn pre_start(
        &self,
        myself: ActorRef<CallMsg>,
        context: Arc<CallContext>,
    ) -> Result<CallState, ActorProcessingErr> {
        let calls = &context.settings.calls;
        let intensity = Intensity {
            restarts_max: calls.restarts_max as usize,
            window: calls.restarts_window,
            backoff: RESTART_AFTER,
        };
        let mut state = CallState {
            context,
            children: BTreeMap::new(),
            intensity,
            ending: false,
            ticked: Instant::now(),
        };
        for role in ROLES {
            state.start(*role, &myself).await?;
        }
        myself.send_interval(TICK, || CallMsg::Tick);
        let (watched, told) = (state.context.clone(), myself.clone());
        tokio::spawn(async move {
            watched.wait_for_end().await;
            // A supervisor that is gone has its call ended by the one above it.
            let _ = told.cast(CallMsg::Ending);
        });
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<CallMsg>,
        message: CallMsg,
        state: &mut CallState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CallMsg::Tick => state.tick(),
            CallMsg::Restart(name) => {
                if let Some(role) = ROLES.iter().find(|role| role.name == name)
                    && !state.ending
                    && state.start(*role, &myself).await.is_err()
                {
                    state.failed(name, "start", &myself);
                }
            }
            CallMsg::Ending => state.end(&myself),
            CallMsg::Finished => myself.stop(None),
            CallMsg::Fault { role, fault } => state.inject(&role, fault),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<CallMsg>,
        event: SupervisionEvent,
        state: &mut CallState,
    ) -> Result<(), ActorProcessingErr> {
        let (actor, cause) = match event {
            SupervisionEvent::ActorFailed(actor, error) => {
                tracing::error!(call = %state.context.spec.id, %error, "actor failed");
                (actor, "panic")
            }
            SupervisionEvent::ActorTerminated(actor, _, _) => (actor, "killed"),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {
                return Ok(());
            }
        };
        if let Some(name) = state.name_of(actor.get_id()) {
            state.failed(name, cause, &myself);
        }
        Ok(())
    }
}

impl CallState {
    async fn start(
        &mut self,
        role: Spawner,
        myself: &ActorRef<CallMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let actor = (role.spawn)(self.context.clone(), myself.get_cell()).await?;
        self.context.pulse(role.name).beat();
        let intensity = self.intensity;
        let child = self.children.entry(role.name).or_insert_with(|| Child {
            actor: None,
            budget: RestartBudget::new(intensity),
            silent_ticks: 0,
        });
        child.actor = Some(actor);
        child.silent_ticks = 0;
        Ok(())
    }

    fn name_of(&self, id: ActorId) -> Option<&'static str> {
        self.children
            .iter()
            .find(|(_, child)| child.actor.as_ref().is_some_and(|actor| actor.get_id() == id))
            .map(|(name, _)| *name)
    }

    /// Starts a dead actor again, or gives the call up when it keeps dying.
    fn failed(&mut self, name: &'static str, cause: &'static str, myself: &ActorRef<CallMsg>) {
        let now = self.context.clock.now();
        let Some(child) = self.children.get_mut(name) else { return };
        child.actor = None;
        if self.ending {
            return;
        }
        metrics::counter!("offhook_actor_restarts_total", "actor" => name, "cause" => cause)
            .increment(1);
        match child.budget.on_failure(now) {
            Disposition::RestartAt(at) => {
                tracing::warn!(call = %self.context.spec.id, actor = name, cause, "restarting actor");
                myself.send_after(at.after(now), move || CallMsg::Restart(name));
            }
            Disposition::Escalate => {
                let message = format!("the {name} actor of the call kept failing");
                self.context.end(EndedReason::WorkerDied, Some(message));
            }
        }
    }

    fn tick(&mut self) {
        let last = std::mem::replace(&mut self.ticked, Instant::now());
        if last.elapsed() < TICK / 2 {
            // Made up for after the process stood still: that says nothing about the actors.
            return;
        }
        let context = &self.context;
        let calls = &context.settings.calls;
        if self.ending {
            return;
        }
        let waited = match &context.spec.line {
            Some(line) => line.overdue(),
            None => Some(context.clock.held_for()),
        };
        if !context.leg.was_connected() && waited >= Some(calls.connect_timeout) {
            let message = format!("no media socket connected within {:?}", calls.connect_timeout);
            let rang_out = context.spec.line.as_ref().is_some_and(|line| !line.is_answered());
            let reason =
                match rang_out && context.spec.line.as_ref().is_some_and(|l| l.ring.is_some()) {
                    true => EndedReason::CustomerDidNotAnswer,
                    false => EndedReason::TransportNeverConnected,
                };
            context.end(reason, Some(message));
            return;
        }
        for (name, child) in &mut self.children {
            let Some(actor) = &child.actor else { continue };
            let limit = match *name {
                "call" => calls.call_actor_progress_timeout,
                _ => calls.progress_timeout,
            };
            if context.pulse(name).ask() {
                child.silent_ticks = 0;
            } else {
                child.silent_ticks += 1;
            }
            // It may have fallen silent right after the tick before the first that it missed.
            let is_wedged = child.silent_ticks > 0 && TICK * (child.silent_ticks + 1) >= limit;
            if TICK * child.silent_ticks >= limit * 2 {
                // A handler that never comes to an await cannot be killed.
                let message = format!("the {name} actor of the call does not answer");
                context.end(EndedReason::WorkerDied, Some(message));
            } else if is_wedged {
                tracing::error!(call = %context.spec.id, actor = name, "actor is wedged, killing it");
                actor.kill();
            } else {
                // An actor that is dead is not asked; its end is on its way to us.
                let _ = actor.send_message(Signal::Wake);
            }
        }
    }

    /// Ends the call, once.
    fn end(&mut self, myself: &ActorRef<CallMsg>) {
        if std::mem::replace(&mut self.ending, true) {
            return;
        }
        self.context.silence();
        // The leg's and the recorder's actors are needed to the last.
        for name in ["vad", "transcriber", "model", "voice", "tool_executor"] {
            if let Some(actor) = self.children.get(name).and_then(|child| child.actor.as_ref()) {
                actor.stop(None);
            }
        }
        let (context, myself) = (self.context.clone(), myself.clone());
        tokio::spawn(async move {
            finish_surely(&context).await;
            // A supervisor that is gone has nothing left to stop.
            let _ = myself.cast(CallMsg::Finished);
        });
    }

    fn inject(&mut self, role: &str, fault: Fault) {
        let Some(actor) = self.children.get(role).and_then(|child| child.actor.as_ref()) else {
            return;
        };
        match fault {
            Fault::Kill => actor.kill(),
            // A dead actor needs no fault.
            Fault::Panic => drop(actor.send_message(Signal::Crash)),
            Fault::Wedge => drop(actor.send_message(Signal::Wedge)),
        }
    }
}
