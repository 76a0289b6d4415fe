//! Supervises the supervisors of all calls.

use std::{collections::HashMap, sync::Arc};

use offhook_actors::CallContext;
use offhook_core::EndedReason;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use uuid::Uuid;

use crate::{
    call::{CallMsg, CallSupervisor, Fault},
    finish::finish_surely,
    node::Registry,
};

/// Starts calls and sees to it that each of them ends.
pub(crate) struct CallsSupervisor;

pub(crate) enum CallsMsg {
    Start(Arc<CallContext>, RpcReplyPort<bool>),
    Fault { call: Uuid, role: String, fault: Fault },
}

pub(crate) struct CallsState {
    registry: Registry,
    calls: HashMap<ActorId, (ActorRef<CallMsg>, Arc<CallContext>)>,
}

impl Actor for CallsSupervisor {
    type Msg = CallsMsg;
    type State = CallsState;
    type Arguments = Registry;

    async fn pre_start(
        &self,
        _: ActorRef<CallsMsg>,
        registry: Registry,
    ) -> Result<CallsState, ActorProcessingErr> {
        for context in registry.all() {
            // Their supervisors died with our predecessor.
            let reason = "the supervisor of all calls failed".to_owned();
            context.end(EndedReason::WorkerDied, Some(reason));
            tokio::spawn(end_without_supervisor(context, registry.clone()));
        }
        Ok(CallsState { registry, calls: HashMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<CallsMsg>,
        message: CallsMsg,
        state: &mut CallsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CallsMsg::Start(context, reply) => {
                let cell = myself.get_cell();
                let spawned =
                    Actor::spawn_linked(None, CallSupervisor, context.clone(), cell).await;
                let started = match spawned {
                    Ok((actor, _)) => {
                        state.calls.insert(actor.get_id(), (actor, context));
                        true
                    }
                    Err(error) => {
                        tracing::error!(call = %context.spec.id, %error, "call cannot be started");
                        false
                    }
                };
                // A front door that no longer waits has its own answer.
                let _ = reply.send(started);
            }
            CallsMsg::Fault { call, role, fault } => {
                let found = state.calls.values().find(|(_, context)| context.spec.id == call);
                if let Some((actor, _)) = found {
                    let _ = actor.cast(CallMsg::Fault { role, fault });
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<CallsMsg>,
        event: SupervisionEvent,
        state: &mut CallsState,
    ) -> Result<(), ActorProcessingErr> {
        let actor = match event {
            SupervisionEvent::ActorFailed(actor, error) => {
                tracing::error!(%error, "call supervisor failed");
                actor
            }
            SupervisionEvent::ActorTerminated(actor, _, _) => actor,
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {
                return Ok(());
            }
        };
        let Some((_, context)) = state.calls.remove(&actor.get_id()) else { return Ok(()) };
        let registry = state.registry.clone();
        // Does nothing when the call ended in order.
        context.end(EndedReason::WorkerDied, Some("the call's supervisor failed".into()));
        tokio::spawn(end_without_supervisor(context, registry));
        Ok(())
    }
}

/// Ends what is left of a call whose supervisor is gone; does little when it ended in order.
async fn end_without_supervisor(context: Arc<CallContext>, registry: Registry) {
    context.silence();
    finish_surely(&context).await;
    registry.remove(context.spec.id);
}
