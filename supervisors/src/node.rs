//! The front door to the tree of calls.

mod registry;
mod start;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use offhook_actors::{
    CallContext, CallKeys, LegSocket, NodeParts, Outbox, PhoneLine, ProviderHealth, Vault,
    VoiceCache,
    egress::{Egress, Receiver},
    outbox::OutboxOptions,
    transport::TransportInput,
};
use offhook_api::{
    AssistantView, CallDocument, Credentials, ServerTarget, artifact::RecordingUrls,
};
use offhook_config::Settings;
use offhook_core::{EndedReason, Event};
use offhook_media::{AudioFormat, Hearing};
use offhook_providers::Net;
use offhook_store::Store;
use ractor::{Actor, ActorRef};
use serde_json::Value;
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use crate::{
    Campaigns, Fault, Lease, SlotLimits, Slots,
    calls::CallsMsg,
    campaigns::Clock,
    recover::{self},
    resumption::Resumption,
    root::{RootArgs, RootSupervisor},
    schedule::Schedule,
};

/// A running node; cheap to clone.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Arc<Settings>,
    store: Store,
    vault: Vault,
    net: Net,
    outbox: Outbox,
    egress: Egress,
    voice_cache: VoiceCache,
    health: ProviderHealth,
    slots: Slots,
    campaigns: Campaigns,
    schedule: Schedule,
    registry: Registry,
    draining: AtomicBool,
    root: ActorRef<crate::root::RootMsg>,
    /// The root supervisor is gone.
    died: watch::Sender<bool>,
}

/// A call that the front door wants started.
pub struct StartCall {
    pub id: Uuid,
    pub org: String,
    /// The call's document as it is stored.
    pub record: CallDocument,
    /// The assistant, overrides and variables applied.
    pub assistant: AssistantView,
    pub variable_values: Value,
    /// What its providers are reached with before what the settings have.
    pub credentials: Credentials,
    /// Where those come from; the node fills it in.
    pub keys: CallKeys,
    /// The carrier's end, where the leg is a carrier's.
    pub line: Option<Arc<PhoneLine>>,
    /// Where server events go when the assistant names nobody: the phone number's server.
    pub server: Option<ServerTarget>,
    /// Format of the leg's audio, both ways.
    pub format: AudioFormat,
    pub hearing: Hearing,
    /// What whoever brings the leg's socket must show; compared by the front door.
    pub leg_token: String,
    /// Where the recording will be found.
    pub recording_urls: RecordingUrls,
    /// The slot that the call occupies.
    pub lease: Lease,
    /// Wall time, in milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// What a call is let in with.
pub struct Admission {
    /// The call's document as it is stored.
    pub record: CallDocument,
    pub leg_token: String,
    pub lease: Lease,
    /// Wall time, in milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// What became of a call that was to be started.
#[derive(Debug)]
pub enum Started {
    Running,
    /// It ended before it began; its record says why.
    Ended {
        reason: EndedReason,
        message: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("{0}")]
    SecretKey(String),
    #[error("cannot set up outgoing requests: {0}")]
    Egress(String),
    #[error("cannot start the supervisors: {0}")]
    Supervisors(String),
}

pub(crate) use registry::Registry;
pub use start::Prepared;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    #[error("there is no such call, or it is over")]
    NoSuchCall,
    #[error("the token does not belong to this call")]
    WrongToken,
}

/// How long calls that outlived the drain are given to say goodbye.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

impl Node {
    /// Starts the supervisors, takes up what a former process left in the store.
    pub async fn start(settings: Arc<Settings>, store: Store, net: Net) -> Result<Self, NodeError> {
        Self::start_posting_to(None, settings, store, net).await
    }

    /// The same with a receiver of webhooks and tool calls in the place of the network.
    pub async fn start_posting_to(
        receiver: Option<Arc<dyn Receiver>>,
        settings: Arc<Settings>,
        store: Store,
        net: Net,
    ) -> Result<Self, NodeError> {
        let webhooks = &settings.webhooks;
        let vault = Vault::new(store.clone(), settings.store.secret_key.as_ref())
            .map_err(NodeError::SecretKey)?;
        let allow_private = webhooks.allow_private_addresses;
        let voice_cache = VoiceCache::new(settings.calls.voice_cache);
        let egress = Egress::new(allow_private, webhooks.secret.clone(), vault.clone())
            .map_err(NodeError::Egress)?
            .posting_to(receiver);
        let options = OutboxOptions {
            backoff_initial: webhooks.backoff_initial,
            backoff_max: webhooks.backoff_max,
            max_age: webhooks.max_age,
            dead_letter_age: webhooks.dead_letter_age,
            parallel: webhooks.parallel as usize,
            parallel_per_host: webhooks.parallel_per_host as usize,
        };
        let outbox = Outbox::new(store.clone(), egress.clone(), options);
        let registry = Registry::new();
        let health = ProviderHealth::default();
        let slots = Slots::new(&settings.calls);
        let campaigns = Campaigns::new(
            store.clone(),
            slots.clone(),
            egress.clone(),
            outbox.clone(),
            Clock::Wall,
        );
        let schedule = Schedule::new(Clock::Wall);
        let args = RootArgs {
            campaigns: campaigns.clone(),
            schedule: schedule.clone(),
            outbox: outbox.clone(),
            registry: registry.clone(),
            health: health.clone(),
            store: store.clone(),
        };
        let (root, running) = Actor::spawn(None, RootSupervisor, args)
            .await
            .map_err(|error| NodeError::Supervisors(error.to_string()))?;
        let died = watch::Sender::new(false);
        let told = died.clone();
        tokio::spawn(async move {
            let _ = running.await;
            told.send_replace(true);
        });
        let inner = Inner {
            settings,
            store,
            vault,
            net,
            outbox,
            egress,
            voice_cache,
            health,
            slots,
            campaigns,
            schedule,
            registry,
            draining: AtomicBool::new(false),
            root,
            died,
        };
        let node = Self { inner: Arc::new(inner) };
        recover::take_up_calls(&node).await;
        Ok(node)
    }

    pub fn settings(&self) -> &Arc<Settings> {
        &self.inner.settings
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Where the secrets of documents are sealed and opened.
    pub fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    /// How providers are doing, for all calls together.
    pub fn health(&self) -> &ProviderHealth {
        &self.inner.health
    }

    pub fn outbox(&self) -> &Outbox {
        &self.inner.outbox
    }

    /// Takes a slot for a call; `None` when all are taken.
    pub fn take_slot(&self) -> Option<Lease> {
        self.inner.slots.take()
    }

    /// The slots of all calls, for those that name what they are for or wait.
    pub fn slots(&self) -> &Slots {
        &self.inner.slots
    }

    /// The campaigns; none is carried out before [`Campaigns::run`].
    pub fn campaigns(&self) -> &Campaigns {
        &self.inner.campaigns
    }

    /// The calls that are to be placed later; none is before [`Schedule::run`].
    pub fn schedule(&self) -> &Schedule {
        &self.inner.schedule
    }

    pub fn slot_limits(&self) -> SlotLimits {
        self.inner.slots.limits()
    }

    fn parts(&self) -> NodeParts {
        let inner = &self.inner;
        NodeParts {
            settings: inner.settings.clone(),
            outbox: inner.outbox.clone(),
            egress: inner.egress.clone(),
            store: inner.store.clone(),
            voice_cache: inner.voice_cache.clone(),
            health: inner.health.clone(),
        }
    }

    /// The running call of this id.
    pub fn call(&self, id: Uuid) -> Option<Arc<CallContext>> {
        self.inner.registry.read(id, |handle| handle.context.clone())
    }

    /// Gives a call's leg its socket, or gives it back with the reason. `same` compares tokens in
    /// constant time.
    pub fn attach_leg(
        &self,
        id: Uuid,
        token: &str,
        same: fn(&str, &str) -> bool,
        socket: LegSocket,
    ) -> Result<(), (AttachError, LegSocket)> {
        if let Err(error) = self.check_leg(id, token, same) {
            return Err((error, socket));
        }
        let Some(context) = self.call(id) else { return Err((AttachError::NoSuchCall, socket)) };
        context.leg.put(socket);
        context.ports.transport.send(TransportInput::Connected);
        Ok(())
    }

    /// Gives a carrier's leg its socket, whose token is good for one; or gives it back.
    pub fn attach_carrier(
        &self,
        id: Uuid,
        token: &str,
        same: fn(&str, &str) -> bool,
        socket: LegSocket,
    ) -> Result<(), (AttachError, LegSocket)> {
        let Some(context) = self.call(id).filter(|context| context.ending().is_none()) else {
            return Err((AttachError::NoSuchCall, socket));
        };
        let line = context.spec.line.as_ref();
        if !line.is_some_and(|line| line.redeem(token, same)) {
            return Err((AttachError::WrongToken, socket));
        }
        context.leg.put(socket);
        context.ports.transport.send(TransportInput::Connected);
        Ok(())
    }

    /// Whether a socket would be admitted, before it is upgraded.
    pub fn check_leg(
        &self,
        id: Uuid,
        token: &str,
        same: fn(&str, &str) -> bool,
    ) -> Result<(), AttachError> {
        self.inner
            .registry
            .read(id, |handle| {
                if !same(token, &handle.leg_token) {
                    Err(AttachError::WrongToken)
                } else if handle.context.ending().is_some() {
                    Err(AttachError::NoSuchCall)
                } else {
                    Ok(())
                }
            })
            .unwrap_or(Err(AttachError::NoSuchCall))
    }

    /// Ends a running call; false when there is none of this id.
    pub fn end_call(&self, id: Uuid, reason: EndedReason) -> bool {
        let context = self.call(id);
        if let Some(context) = &context {
            context.tell(Event::EndRequested { reason });
        }
        context.is_some()
    }

    /// Waits until a call is over and its record written.
    pub async fn wait_ended(&self, id: Uuid) {
        self.inner.registry.wait_until(|calls| !calls.contains_key(&id)).await;
    }

    /// Waits until the supervisors gave up: the process is better started anew.
    pub async fn died(&self) {
        // The sender lives in `self`.
        let _ = self.inner.died.subscribe().wait_for(|died| *died).await;
    }

    /// The running calls.
    pub fn calls(&self) -> Vec<Arc<CallContext>> {
        self.inner.registry.all()
    }

    /// Where requests of documents go out.
    pub fn egress(&self) -> &Egress {
        &self.inner.egress
    }

    pub fn active_calls(&self) -> usize {
        self.inner.registry.len()
    }

    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Acquire)
    }

    /// Takes no new calls and waits for the running ones, up to the drain's limit.
    pub async fn drain(&self) {
        self.inner.draining.store(true, Ordering::Release);
        self.inner.campaigns.drain();
        self.inner.schedule.drain();
        let limit = self.inner.settings.calls.drain_timeout;
        let _ = timeout(limit, self.inner.registry.wait_until(HashMap::is_empty)).await;
    }

    /// Leaves the calls that still run to the next process: their clients are told to connect again.
    /// Calls that cannot go on there are ended in order.
    pub async fn hand_over(&self) {
        let registry = &self.inner.registry;
        let may_return = !self.inner.settings.calls.leg_reconnect.is_zero();
        let (left, ended): (Vec<_>, Vec<_>) = registry.all().into_iter().partition(|context| {
            let leg = Resumption::of(&context.record());
            let returns = match leg {
                Resumption::ClientReturns { .. } | Resumption::CarrierReturns { .. } => true,
                Resumption::Never(_) => false,
            };
            may_return && returns
        });
        for context in &ended {
            context.tell(Event::EndRequested { reason: EndedReason::WorkerShutdown });
        }
        for context in &left {
            context.suspend();
        }
        tracing::info!(left = left.len(), ended = ended.len(), "calls left to the next process");
        let goodbyes = join_all(left.iter().map(|context| context.leg.said_goodbye()));
        let over = registry.wait_until(|calls| calls.len() <= left.len());
        let _ = timeout(SHUTDOWN_GRACE, async { tokio::join!(goodbyes, over) }).await;
    }

    /// Stops everything; calls that still run are taken up by the next process.
    pub async fn stop(&self) {
        self.inner.outbox.settle(SHUTDOWN_GRACE).await;
        self.inner.root.stop(None);
    }

    /// Injects a fault into an actor of a call: the chaos suite's way in.
    pub fn inject(&self, call: Uuid, role: &str, fault: Fault) {
        if let Some(calls) = self.inner.registry.supervisor() {
            let _ = calls.cast(CallsMsg::Fault { call, role: role.into(), fault });
        }
    }
}
