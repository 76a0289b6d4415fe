//! How providers are doing, for all calls of the node together.
//!
//! Calls report what they saw and ask whom they may use; the node's prober asks those that are
//! believed to be down, so that no caller has to.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use offhook_core::{
    Breaker, BreakerState, FailureClass, HedgeBudget, Latencies, RetryBudget, Stage,
};
use offhook_providers::ProviderError;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Whose health it is: a provider as it is reached with one key at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HealthKey {
    /// `transcriber`, `model` or `voice`.
    pub stage: String,
    pub provider: String,
    /// Tells keys apart without telling what they are; empty where there is but one.
    pub key: String,
    /// The host, where a document names it.
    pub host: String,
    /// Whose key or document it is; `None`: the operator's.
    pub org: Option<String>,
}

impl HealthKey {
    pub fn new(stage: Stage, provider: &str) -> Self {
        Self {
            stage: stage.name().to_owned(),
            provider: provider.to_owned(),
            key: String::new(),
            host: String::new(),
            org: None,
        }
    }
}

pub type Probing = Pin<Box<dyn Future<Output = Result<(), ProviderError>> + Send>>;

/// Uses a provider once, off any call's path.
pub type Probe = Arc<dyn Fn() -> Probing + Send + Sync>;

/// How all providers are doing; cheap to clone.
#[derive(Clone)]
pub struct ProviderHealth {
    started: Instant,
    entries: Arc<Mutex<BTreeMap<HealthKey, Entry>>>,
}

#[derive(Default)]
struct Entry {
    breaker: Breaker,
    latencies: Latencies,
    retries: RetryBudget,
    hedges: HedgeBudget,
    probe: Option<Probe>,
    successes: u64,
    failures: u64,
    last_failure: Option<(FailureClass, Duration)>,
    /// When a call last used it, for whoever must forget one.
    used: Duration,
}

/// One provider's health, as operators see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthRow {
    #[serde(flatten)]
    pub key: HealthKey,
    pub state: BreakerState,
    pub successes: u64,
    pub failures: u64,
    /// To the first answer; absent until enough are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttfb_p50_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttfb_p95_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastFailure {
    pub class: &'static str,
    pub seconds_ago: u64,
}

/// Providers, keys and hosts that are known at once: documents may name any number of hosts.
const ENTRIES_MAX: usize = 1_024;

impl Default for ProviderHealth {
    fn default() -> Self {
        Self { started: Instant::now(), entries: Arc::default() }
    }
}

impl ProviderHealth {
    /// Makes a provider known with the way to probe it. Whoever is known keeps its state.
    pub fn register(&self, key: &HealthKey, probe: Probe) {
        self.with(key, |entry, now| {
            entry.probe = Some(probe);
            entry.used = now;
        });
    }

    /// Whether calls may ask it.
    pub fn allows(&self, key: &HealthKey) -> bool {
        self.lock().get(key).is_none_or(|entry| entry.breaker.allows())
    }

    /// A session or request was answered, after `ttfb` where that was measured.
    pub fn succeeded(&self, key: &HealthKey, ttfb: Option<Duration>) {
        self.with(key, |entry, _| {
            entry.successes += 1;
            entry.breaker.on_success();
            entry.retries.on_success();
            entry.latencies.extend(ttfb);
        });
    }

    /// A session or request failed.
    pub fn failed(&self, key: &HealthKey, class: FailureClass) {
        self.with(key, |entry, now| {
            entry.failed(now, class);
            let has_opened = entry.breaker.on_failure(now, class);
            log_opened(key, class, has_opened);
        });
    }

    /// A call gave it up for another.
    pub fn abandoned(&self, key: &HealthKey, class: FailureClass) {
        self.with(key, |entry, now| {
            let has_opened = entry.breaker.on_abandoned(now, class);
            log_opened(key, class, has_opened);
        });
    }

    /// Takes one of the attempts that may be made at a provider that failed; false: none is left.
    pub fn take_retry(&self, key: &HealthKey) -> bool {
        self.with(key, |entry, now| entry.retries.take(now))
    }

    /// The time within which this share of answers begins; `None`: too few are known.
    pub fn ttfb(&self, key: &HealthKey, share: f64) -> Option<Duration> {
        self.lock().get(key)?.latencies.quantile(share)
    }

    /// A request was made that may be raced if it is slow.
    pub fn requested(&self, key: &HealthKey) {
        self.with(key, |entry, _| entry.hedges.on_request());
    }

    /// Takes one of the races that may be run against a provider that is slow; false: none is left.
    pub fn take_hedge(&self, key: &HealthKey) -> bool {
        self.with(key, |entry, _| entry.hedges.take())
    }

    /// Another was quicker: it would have taken longer than this.
    pub fn outrun(&self, key: &HealthKey, waited: Duration) {
        self.with(key, |entry, _| entry.latencies.extend([waited]));
    }

    /// Those whose probe is due, each once: whoever asks reports with [`Self::probed`].
    pub fn due_probes(&self) -> Vec<(HealthKey, Probe)> {
        let now = self.now();
        let mut entries = self.lock();
        let due = entries.iter_mut().filter_map(|(key, entry)| {
            let probe = entry.probe.clone()?;
            entry.breaker.begin_probe(now).then(|| (key.clone(), probe))
        });
        due.collect()
    }

    /// Whoever carried out probes is gone, and no result of theirs will come.
    pub fn forget_probes(&self) {
        let now = self.now();
        self.lock().values_mut().for_each(|entry| entry.breaker.on_probe_lost(now));
    }

    /// What came of a probe.
    pub fn probed(&self, key: &HealthKey, result: Result<(), ProviderError>) {
        self.with(key, |entry, now| {
            entry.breaker.on_probe(now, result.is_ok());
            match result {
                Ok(()) => tracing::info!(?key, "provider is well again, calls use it"),
                Err(error) => {
                    entry.failed(now, error.class);
                    tracing::warn!(?key, %error, "provider is still down");
                }
            }
        });
    }

    /// Those that calls do not ask now, for the next process.
    pub fn open(&self) -> Vec<HealthKey> {
        let entries = self.lock();
        let open = entries.iter().filter(|(_, entry)| !entry.breaker.allows());
        open.map(|(key, _)| key.clone()).collect()
    }

    /// Takes up what a former process knew: they are probed before a call asks them.
    pub fn restore(&self, open: Vec<HealthKey>) {
        for key in open {
            self.with(&key, |entry, now| entry.breaker.restore_open(now));
        }
    }

    /// All that an organisation may see: the operator's and its own.
    pub fn rows(&self, org: &str) -> Vec<HealthRow> {
        let now = self.now();
        let entries = self.lock();
        let seen =
            entries.iter().filter(|(key, _)| key.org.as_deref().is_none_or(|owner| owner == org));
        seen.map(|(key, entry)| entry.row(key, now)).collect()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<HealthKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, key: &HealthKey, act: impl FnOnce(&mut Entry, Duration) -> T) -> T {
        let now = self.now();
        let mut entries = self.lock();
        if !entries.contains_key(key) {
            make_room(&mut entries);
            entries.insert(key.clone(), Entry::default());
        }
        let entry = entries.get_mut(key).expect("it was put in above");
        let before = entry.breaker.state();
        let done = act(entry, now);
        let state = entry.breaker.state();
        if state != before {
            // Keys of one provider share a series: it says whether any of them is down.
            let same = |it: &HealthKey| it.stage == key.stage && it.provider == key.provider;
            let worst = entries
                .iter()
                .filter(|(it, _)| same(it))
                .map(|(_, entry)| level(entry.breaker.state()))
                .fold(0.0, f64::max);
            metrics::gauge!("offhook_provider_breaker_state", "kind" => key.stage.clone(),
                "provider" => key.provider.clone())
            .set(worst);
        }
        done
    }
}

/// The gauge's value of a state.
const fn level(state: BreakerState) -> f64 {
    match state {
        BreakerState::Closed => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open => 2.0,
    }
}

fn log_opened(key: &HealthKey, class: FailureClass, has_opened: bool) {
    if has_opened {
        tracing::warn!(?key, class = class.name(), "provider is down, calls pass over it");
    }
}

/// Forgets whom nobody used for longest, those that are down last.
fn make_room(entries: &mut BTreeMap<HealthKey, Entry>) {
    if entries.len() < ENTRIES_MAX {
        return;
    }
    let oldest = entries
        .iter()
        .min_by_key(|(_, entry)| (!entry.breaker.allows(), entry.used))
        .map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        entries.remove(&oldest);
    }
}

impl Entry {
    fn failed(&mut self, now: Duration, class: FailureClass) {
        self.failures += 1;
        self.last_failure = Some((class, now));
    }

    fn row(&self, key: &HealthKey, now: Duration) -> HealthRow {
        let ms = |share| self.latencies.quantile(share).map(|it| it.as_millis() as u64);
        HealthRow {
            key: key.clone(),
            state: self.breaker.state(),
            successes: self.successes,
            failures: self.failures,
            ttfb_p50_ms: ms(0.5),
            ttfb_p95_ms: ms(0.95),
            last_failure: self.last_failure.map(|(class, at)| LastFailure {
                class: class.name(),
                seconds_ago: now.saturating_sub(at).as_secs(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(provider: &str) -> HealthKey {
        HealthKey::new(Stage::Voice, provider)
    }

    fn probe(is_well: bool) -> Probe {
        Arc::new(move || {
            let result = match is_well {
                true => Ok(()),
                false => Err(ProviderError::new(FailureClass::Closed, "still down")),
            };
            Box::pin(std::future::ready(result))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_call_saw_all_calls_know_until_a_probe_was_answered() {
        let health = ProviderHealth::default();
        health.register(&key("a"), probe(true));
        health.abandoned(&key("a"), FailureClass::Unavailable);
        assert!(!health.clone().allows(&key("a")) && health.allows(&key("b")));
        assert!(health.due_probes().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        let due = health.due_probes();
        assert_eq!(due.len(), 1);
        assert!(health.due_probes().is_empty(), "one probe at a time");
        health.probed(&due[0].0, (due[0].1)().await);
        assert!(health.allows(&key("a")));
    }

    #[test]
    fn organisations_see_the_operator_s_providers_and_their_own() {
        let health = ProviderHealth::default();
        health.succeeded(&key("shared"), None);
        for org in ["mine", "yours"] {
            let own = HealthKey { org: Some(org.into()), ..key("own") };
            health.succeeded(&own, Some(Duration::from_millis(5)));
        }
        let orgs: Vec<_> = health.rows("mine").into_iter().map(|row| row.key.org).collect();
        assert_eq!(orgs, [Some("mine".into()), None]);
    }

    #[test]
    fn documents_that_name_ever_new_hosts_fill_no_memory_and_hide_no_outage() {
        let health = ProviderHealth::default();
        health.abandoned(&key("down"), FailureClass::Closed);
        for host in 0..2 * ENTRIES_MAX {
            health.succeeded(&HealthKey { host: host.to_string(), ..key("custom") }, None);
        }
        assert_eq!(health.lock().len(), ENTRIES_MAX);
        assert!(!health.allows(&key("down")));
    }

    #[test]
    fn the_next_process_knows_who_was_down() {
        let health = ProviderHealth::default();
        health.abandoned(&key("down"), FailureClass::Closed);
        health.succeeded(&key("well"), None);
        let next = ProviderHealth::default();
        next.register(&key("down"), probe(true));
        next.restore(health.open());
        assert!(!next.allows(&key("down")) && next.allows(&key("well")));
        assert_eq!(next.due_probes().len(), 1);
    }
}
