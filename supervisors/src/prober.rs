//! Asks the providers that are believed to be down, so that no caller has to.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use offhook_actors::{HealthKey, Leaf, ProviderHealth, provider_health::Probe};
use offhook_core::FailureClass;
use offhook_providers::ProviderError;
use offhook_store::{Document, Kind, Store};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::json;
use tokio::time::{interval, sleep, timeout};
use uuid::Uuid;

/// One per node: probes, and keeps what is known of outages for the next process.
pub(crate) struct ProberActor;

/// How often it is looked whose probe is due: a provider is used again at most this late.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Probes at once: an outage of many providers is no reason to use them all at the same instant.
const PROBES_MAX: usize = 8;

/// Longest probe; its own steps are bounded by less, one by one.
const PROBE_TIMEOUT: Duration = Duration::from_secs(25);

/// Longest wait for the disk to take what is known of outages.
const KEEP_TIMEOUT: Duration = Duration::from_secs(5);

/// Before it is asked again when it did not.
const KEEP_RETRY: Duration = Duration::from_secs(5);

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
        // Those that a predecessor died of, or with.
        health.forget_probes();
        // Dropped with the actor. When it panics, the root starts another.
        Ok(Leaf::ending(probe_all(health, store), move || myself.stop(None)))
    }
}

async fn probe_all(health: ProviderHealth, store: Store) {
    let mut ticks = interval(LOOK_EVERY);
    let mut due = Vec::new();
    let mut running = FuturesUnordered::new();
    // What the disk knows; it is told beside the probes, which no disk may hold up.
    let mut known = Some(health.open());
    let mut keeping = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some((key, result)) = running.next() => health.probed(&key, result),
            Some(kept) = keeping.next() => known = kept,
            _ = ticks.tick() => {
                due.extend(health.due_probes());
                let open = health.open();
                if known.as_ref() != Some(&open) && keeping.is_empty() {
                    keeping.push(keep(open, &store));
                }
            }
        }
        while running.len() < PROBES_MAX
            && let Some((key, probe)) = due.pop()
        {
            running.push(run(key, probe));
        }
    }
}

async fn run(key: HealthKey, probe: Probe) -> (HealthKey, Result<(), ProviderError>) {
    let asked = AssertUnwindSafe(async { timeout(PROBE_TIMEOUT, probe()).await });
    let result = match asked.catch_unwind().await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => {
            let detail = format!("no answer to a probe within {PROBE_TIMEOUT:?}");
            Err(ProviderError::new(FailureClass::Timeout, detail))
        }
        // The others' probes go on.
        Err(_) => Err(ProviderError::new(FailureClass::Protocol, "the probe panicked")),
    };
    (key, result)
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

/// Returns what the disk knows now; `None`: that cannot be told, and it is told again.
async fn keep(open: Vec<HealthKey>, store: &Store) -> Option<Vec<HealthKey>> {
    let document = Document {
        org: NODE.to_owned(),
        kind: Kind::ProviderHealth,
        id: Uuid::nil(),
        created_at_ms: 0,
        updated_at_ms: 0,
        body: json!({ "open": open }),
    };
    match timeout(KEEP_TIMEOUT, store.put(document)).await {
        Ok(Ok(())) => return Some(open),
        Ok(Err(error)) => {
            tracing::warn!(%error, "known outages cannot be kept for the next process");
        }
        Err(_) => {
            tracing::warn!("known outages are not on disk within {KEEP_TIMEOUT:?}");
        }
    }
    // A disk that is full is not asked with every look.
    sleep(KEEP_RETRY).await;
    None
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
    };

    use offhook_core::Stage;
    use offhook_store::Faults;

    use super::*;

    fn key(provider: &str) -> HealthKey {
        HealthKey::new(Stage::Voice, provider)
    }

    /// A provider that was given up, with what its probes do, by their number.
    fn down(
        health: &ProviderHealth,
        provider: &str,
        probe: impl Fn(u32) -> bool + Send + Sync + 'static,
    ) {
        let probes = AtomicU32::new(0);
        let probe: Probe = Arc::new(move || match probe(probes.fetch_add(1, Ordering::Relaxed)) {
            true => Box::pin(std::future::ready(Ok(()))),
            false => Box::pin(pending()),
        });
        health.register(&key(provider), probe);
        health.abandoned(&key(provider), FailureClass::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_died_with_its_prober_is_made_again_by_the_next() {
        let (health, store) = (ProviderHealth::default(), Store::in_memory(Faults::default()));
        down(&health, "voice", |nth| nth > 0);
        let args = (health.clone(), store);
        let (prober, over) = Actor::spawn(None, ProberActor, args.clone()).await.unwrap();
        sleep(Duration::from_millis(1_500)).await;
        assert!(!health.allows(&key("voice")), "its probe is under way");
        prober.kill();
        over.await.unwrap();

        let (prober, _) = Actor::spawn(None, ProberActor, args).await.unwrap();
        sleep(Duration::from_secs(3)).await;
        assert!(health.allows(&key("voice")));
        prober.stop(None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_panics_has_failed_and_another_is_made() {
        let (health, store) = (ProviderHealth::default(), Store::in_memory(Faults::default()));
        down(&health, "voice", |nth| {
            assert!(nth > 0, "the first of its probes panics");
            true
        });
        let (prober, _) = Actor::spawn(None, ProberActor, (health.clone(), store)).await.unwrap();
        sleep(Duration::from_secs(4)).await;
        assert!(health.allows(&key("voice")));
        prober.stop(None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_stands_still_holds_up_no_probe_and_is_told_when_it_is_back() {
        let (health, store) = (ProviderHealth::default(), Store::in_memory(Faults::default()));
        let args = (health.clone(), store.clone());
        let (prober, _) = Actor::spawn(None, ProberActor, args).await.unwrap();
        store.stall(true);
        down(&health, "well again", |_| true);
        down(&health, "gone", |_| false);
        sleep(Duration::from_secs(2)).await;
        assert!(health.allows(&key("well again")));

        store.stall(false);
        sleep(Duration::from_secs(12)).await;
        let next = ProviderHealth::default();
        restore(&next, &store).await;
        assert!(!next.allows(&key("gone")) && next.allows(&key("well again")));
        prober.stop(None);
    }
}
