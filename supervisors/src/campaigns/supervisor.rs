//! Starts the actors of campaigns, and starts them again when they die.

use std::{collections::HashMap, time::Duration};

use offhook_actors::campaign::{CampaignActor, CampaignArgs};
use offhook_core::{CallTime, Disposition, Intensity, RestartBudget};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Campaigns, desk::NodeDesk};

pub(crate) struct CampaignsSupervisor;

pub(crate) enum CampaignsMsg {
    Start(Uuid),
    /// Has a campaign's actor go, for good; answered when it is told.
    Withdraw(Uuid, RpcReplyPort<()>),
}

pub(crate) struct CampaignsState {
    campaigns: Campaigns,
    actors: HashMap<ActorId, Uuid>,
    budgets: HashMap<Uuid, RestartBudget>,
    started: Instant,
}

/// What one campaign's actor may cost before it is left alone for a while.
const INTENSITY: Intensity = Intensity {
    restarts_max: 5,
    window: Duration::from_secs(60),
    backoff: Duration::from_millis(100),
};

/// How long a campaign rests whose actor keeps dying: others go on meanwhile.
const REST: Duration = Duration::from_secs(60);

impl Actor for CampaignsSupervisor {
    type Msg = CampaignsMsg;
    type State = CampaignsState;
    type Arguments = Campaigns;

    async fn pre_start(
        &self,
        myself: ActorRef<CampaignsMsg>,
        campaigns: Campaigns,
    ) -> Result<CampaignsState, ActorProcessingErr> {
        // Their actors die with our predecessor.
        for id in campaigns.shared.take_over() {
            myself.cast(CampaignsMsg::Start(id))?;
        }
        Ok(CampaignsState {
            campaigns,
            actors: HashMap::new(),
            budgets: HashMap::new(),
            started: Instant::now(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<CampaignsMsg>,
        message: CampaignsMsg,
        state: &mut CampaignsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CampaignsMsg::Start(id) => state.start(id, &myself).await,
            CampaignsMsg::Withdraw(id, reply) => {
                if let Some(actor) = state.campaigns.shared.close(id) {
                    state.actors.remove(&actor.get_id());
                    actor.kill();
                }
                state.budgets.remove(&id);
                // Whoever asked may have given up.
                let _ = reply.send(());
                Ok(())
            }
        }
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<CampaignsMsg>,
        event: SupervisionEvent,
        state: &mut CampaignsState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(actor, error) => {
                if let Some(id) = state.actors.remove(&actor.get_id()) {
                    tracing::error!(campaign = %id, %error, "the actor of a campaign failed");
                    state.start_later(id, &myself);
                }
            }
            SupervisionEvent::ActorTerminated(actor, _, reason) => {
                let Some(id) = state.actors.remove(&actor.get_id()) else { return Ok(()) };
                if state.campaigns.shared.is_filed(id) {
                    state.campaigns.shared.close(id);
                    state.budgets.remove(&id);
                } else {
                    tracing::error!(campaign = %id, ?reason, "the actor of a campaign was killed");
                    state.start_later(id, &myself);
                }
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl CampaignsState {
    async fn start(
        &mut self,
        id: Uuid,
        myself: &ActorRef<CampaignsMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let shared = &self.campaigns.shared;
        // It was withdrawn meanwhile, or runs already.
        let Some((spec, ownership)) = shared.waiting(id) else { return Ok(()) };
        let Some(dialer) = shared.dialer() else { return Ok(()) };
        let args = CampaignArgs {
            spec,
            desk: NodeDesk { shared: shared.clone(), dialer }.into(),
            store: shared.store.clone(),
            numbers: shared.numbers.clone(),
            ownership,
        };
        let actor = CampaignActor::<NodeDesk>::default();
        let (actor, _) = Actor::spawn_linked(None, actor, args, myself.get_cell()).await?;
        self.actors.insert(actor.get_id(), id);
        shared.set_actor(id, actor);
        Ok(())
    }

    fn start_later(&mut self, id: Uuid, myself: &ActorRef<CampaignsMsg>) {
        self.campaigns.shared.forget_actor(id);
        let now = CallTime::from_duration(self.started.elapsed());
        let budget = self.budgets.entry(id).or_insert_with(|| RestartBudget::new(INTENSITY));
        let wait = match budget.on_failure(now) {
            Disposition::RestartAt(at) => at.after(now),
            Disposition::Escalate => {
                self.budgets.remove(&id);
                REST
            }
        };
        myself.send_after(wait, move || CampaignsMsg::Start(id));
    }
}
