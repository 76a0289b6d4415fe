//! The root of the tree.

use offhook_actors::{Outbox, OutboxActor};
use offhook_core::{CallTime, Disposition, Intensity, RestartBudget};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::time::Duration;
use tokio::time::Instant;

use crate::{calls::CallsSupervisor, node::Registry};

/// Starts what a node has once, and starts it again when it dies.
pub(crate) struct RootSupervisor;

pub(crate) struct RootArgs {
    pub outbox: Outbox,
    pub registry: Registry,
}

#[derive(Debug)]
pub(crate) enum RootMsg {
    RestartOutbox,
    RestartCalls,
}

pub(crate) struct RootState {
    args: RootArgs,
    outbox: Option<ActorId>,
    budget: RestartBudget,
    started: Instant,
}

/// What the node's own actors may cost: beyond this the process is better started anew.
const INTENSITY: Intensity = Intensity {
    restarts_max: 10,
    window: Duration::from_secs(60),
    backoff: Duration::from_millis(100),
};

impl Actor for RootSupervisor {
    type Msg = RootMsg;
    type State = RootState;
    type Arguments = RootArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<RootMsg>,
        args: RootArgs,
    ) -> Result<RootState, ActorProcessingErr> {
        let mut state = RootState {
            args,
            outbox: None,
            budget: RestartBudget::new(INTENSITY),
            started: Instant::now(),
        };
        state.start_outbox(&myself).await?;
        state.start_calls(&myself).await?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<RootMsg>,
        message: RootMsg,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RootMsg::RestartOutbox => state.start_outbox(&myself).await,
            RootMsg::RestartCalls => state.start_calls(&myself).await,
        }
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<RootMsg>,
        event: SupervisionEvent,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        let (SupervisionEvent::ActorFailed(actor, _)
        | SupervisionEvent::ActorTerminated(actor, _, _)) = &event
        else {
            return Ok(());
        };
        let is_outbox = state.outbox == Some(actor.get_id());
        tracing::error!(outbox = is_outbox, ?event, "an actor of the node failed");
        let now = CallTime::from_duration(state.started.elapsed());
        match state.budget.on_failure(now) {
            Disposition::RestartAt(at) => {
                myself.send_after(at.after(now), move || match is_outbox {
                    true => RootMsg::RestartOutbox,
                    false => RootMsg::RestartCalls,
                });
                Ok(())
            }
            Disposition::Escalate => Err("the actors of the node keep failing".into()),
        }
    }
}

impl RootState {
    async fn start_outbox(&mut self, myself: &ActorRef<RootMsg>) -> Result<(), ActorProcessingErr> {
        let outbox = self.args.outbox.clone();
        let cell = myself.get_cell();
        let (actor, _) = Actor::spawn_linked(None, OutboxActor, outbox, cell).await?;
        self.outbox = Some(actor.get_id());
        Ok(())
    }

    async fn start_calls(&mut self, myself: &ActorRef<RootMsg>) -> Result<(), ActorProcessingErr> {
        let registry = self.args.registry.clone();
        let cell = myself.get_cell();
        let (actor, _) = Actor::spawn_linked(None, CallsSupervisor, registry.clone(), cell).await?;
        registry.set_supervisor(actor);
        Ok(())
    }
}
