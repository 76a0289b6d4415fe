//! The root of the tree.

use offhook_actors::{Outbox, OutboxActor, ProviderHealth};
use offhook_core::{CallTime, Disposition, Intensity, RestartBudget};
use offhook_store::Store;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::time::Duration;
use tokio::time::Instant;

use crate::{
    calls::CallsSupervisor,
    campaigns::{Campaigns, CampaignsSupervisor},
    node::Registry,
    prober::ProberActor,
    schedule::{Schedule, ScheduleActor},
};

/// Starts what a node has once, and starts it again when it dies.
pub(crate) struct RootSupervisor;

pub(crate) struct RootArgs {
    pub outbox: Outbox,
    pub registry: Registry,
    pub health: ProviderHealth,
    pub store: Store,
    pub campaigns: Campaigns,
    pub schedule: Schedule,
}

/// What a node has once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Outbox,
    Prober,
    Calls,
    Campaigns,
    Schedule,
}

#[derive(Debug)]
pub(crate) enum RootMsg {
    Restart(Part),
}

pub(crate) struct RootState {
    args: RootArgs,
    parts: Vec<(ActorId, Part)>,
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
            parts: Vec::new(),
            budget: RestartBudget::new(INTENSITY),
            started: Instant::now(),
        };
        for part in [Part::Outbox, Part::Prober, Part::Calls, Part::Campaigns, Part::Schedule] {
            state.start(part, &myself).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<RootMsg>,
        message: RootMsg,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RootMsg::Restart(part) => state.start(part, &myself).await,
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
        let id = actor.get_id();
        let Some(place) = state.parts.iter().position(|(known, _)| *known == id) else {
            return Ok(());
        };
        let (_, part) = state.parts.swap_remove(place);
        tracing::error!(?part, ?event, "an actor of the node failed");
        let now = CallTime::from_duration(state.started.elapsed());
        match state.budget.on_failure(now) {
            Disposition::RestartAt(at) => {
                myself.send_after(at.after(now), move || RootMsg::Restart(part));
                Ok(())
            }
            Disposition::Escalate => Err("the actors of the node keep failing".into()),
        }
    }
}

impl RootState {
    async fn start(
        &mut self,
        part: Part,
        myself: &ActorRef<RootMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let cell = myself.get_cell();
        let RootArgs { outbox, registry, health, store, campaigns, schedule } = &self.args;
        let id = match part {
            Part::Outbox => {
                let (actor, _) =
                    Actor::spawn_linked(None, OutboxActor, outbox.clone(), cell).await?;
                actor.get_id()
            }
            Part::Prober => {
                let args = (health.clone(), store.clone());
                let (actor, _) = Actor::spawn_linked(None, ProberActor, args, cell).await?;
                actor.get_id()
            }
            Part::Calls => {
                let args = registry.clone();
                let (actor, _) = Actor::spawn_linked(None, CallsSupervisor, args, cell).await?;
                let id = actor.get_id();
                registry.set_supervisor(actor);
                id
            }
            Part::Campaigns => {
                let args = campaigns.clone();
                let (actor, _) = Actor::spawn_linked(None, CampaignsSupervisor, args, cell).await?;
                let id = actor.get_id();
                campaigns.set_supervisor(actor);
                id
            }
            Part::Schedule => {
                let args = schedule.clone();
                let (actor, _) = Actor::spawn_linked(None, ScheduleActor, args, cell).await?;
                let id = actor.get_id();
                schedule.set_actor(actor);
                id
            }
        };
        self.parts.push((id, part));
        Ok(())
    }
}
