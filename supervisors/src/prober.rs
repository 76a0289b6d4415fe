//! Asks the providers that are believed to be down, so that no caller has to.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use offhook_actors::{HealthKey, Leaf, ProviderHealth, provider_health::Probe};
use offhook_core::FailureClass;
use offhook_providers::ProviderError;
use offhook_store::{Document, Kind, Store};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::json;
use tokio::time::{interval, timeout};
use uuid::Uuid;

/// One per node: probes, and keeps what is known of outages for the next process.
pub(crate) struct ProberActor;

/// How often it is looked whose probe is due: a provider is used again at most this late.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Probes at once: an outage of many providers is no reason to use them all at the same instant.
const PROBES_MAX: usize = 8;

/// Longest probe; its own steps are bounded by less, one by one.
const PROBE_TIMEOUT: Duration = Duration::from_secs(25);

/// Owner of the one document in which outages are kept: organisations have names.
const NODE: &str = "";

impl Actor for ProberActor {
    type Msg = ();
    type State = Leaf;
    type Arguments = (ProviderHealth, Store);

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        (health, store): (ProviderHealth, Store),
    ) -> Result<Leaf, ActorProcessingErr> {
        restore(&health, &store).await;
        // Dropped with the actor. A task that panics ends, and the root starts another.
        let task = tokio::spawn(probe_all(health, store));
        Ok(Leaf::spawn(async move {
            let aborting = AbortOnDrop(task);
            aborting.finished().await;
            myself.stop(None);
        }))
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl AbortOnDrop {
    async fn finished(mut self) {
        // A panic was reported by the runtime's hook.
        let _ = (&mut self.0).await;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn probe_all(health: ProviderHealth, store: Store) {
    let mut ticks = interval(LOOK_EVERY);
    let mut due = Vec::new();
    let mut running = FuturesUnordered::new();
    let mut known = health.open();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                due.extend(health.due_probes());
                let open = health.open();
                if open != known {
                    known = open;
                    keep(&known, &store).await;
                }
            }
            Some((key, result)) = running.next() => health.probed(&key, result),
        }
        while running.len() < PROBES_MAX
            && let Some((key, probe)) = due.pop()
        {
            running.push(run(key, probe));
        }
    }
}

async fn run(key: HealthKey, probe: Probe) -> (HealthKey, Result<(), ProviderError>) {
    let result = timeout(PROBE_TIMEOUT, probe()).await;
    let late = || {
        let detail = format!("no answer to a probe within {PROBE_TIMEOUT:?}");
        Err(ProviderError::new(FailureClass::Timeout, detail))
    };
    (key, result.unwrap_or_else(|_| late()))
}

/// Takes up what a former process knew; without it, calls find out again.
async fn restore(health: &ProviderHealth, store: &Store) {
    match store.get(NODE, Kind::ProviderHealth, Uuid::nil()).await {
        Ok(Some(document)) => match serde_json::from_value(document.body["open"].clone()) {
            Ok(open) => health.restore(open),
            Err(error) => tracing::warn!(%error, "known outages cannot be read"),
        },
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "known outages cannot be read"),
    }
}

async fn keep(open: &[HealthKey], store: &Store) {
    let document = Document {
        org: NODE.to_owned(),
        kind: Kind::ProviderHealth,
        id: Uuid::nil(),
        created_at_ms: 0,
        updated_at_ms: 0,
        body: json!({ "open": open }),
    };
    if let Err(error) = store.put(document).await {
        tracing::warn!(%error, "known outages cannot be kept for the next process");
    }
}
