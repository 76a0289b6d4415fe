//! Server events on their way to their receivers: durable, in order per call, retried, and kept for
//! an operator where nobody took them.

mod dead_letters;
mod hosts;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use jiff::Timestamp;
use offhook_api::ServerTarget;
use offhook_core::ServerEvent;
use offhook_store::Store;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore, mpsc, oneshot};
use uuid::Uuid;

use self::hosts::Hosts;
pub use dead_letters::{Failure, Letter, Retried};

use crate::{
    Leaf,
    egress::{Egress, Post},
    retry::{Jitter, Pacing},
};

/// One server event and where it goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutboxItem {
    pub id: Uuid,
    /// The organisation whose call it is.
    #[serde(default)]
    pub org: String,
    pub call: Uuid,
    pub event: String,
    pub target: StoredTarget,
    pub body: Value,
    pub created_ms: i64,
    /// When an operator had it sent again, if one did.
    #[serde(default)]
    queued_ms: Option<i64>,
    /// Why it was given up, if it was.
    #[serde(default)]
    failure: Option<Failure>,
}

/// A receiver as it lies on disk, in the folder that only the server's user may read.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredTarget {
    url: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
    secret: Option<String>,
    /// What it names is looked up for every attempt, and its secrets are not here.
    #[serde(default)]
    credential_id: Option<String>,
}

impl OutboxItem {
    /// What a call publishes once gets an id that follows from the call, so that it is recognised
    /// when a crash has it sent again; everything else a random one.
    pub fn new(
        org: &str,
        call: Uuid,
        event: &ServerEvent,
        target: &ServerTarget,
        body: Value,
    ) -> Self {
        let id = if event.is_of_the_end() { id_of(call, event) } else { Uuid::new_v4() };
        Self::with_id(id, org, call, event.name(), target, body)
    }

    /// What a campaign tells its server. Its events are delivered one after the other, as those of a
    /// call are.
    pub fn of_campaign(
        org: &str,
        campaign: Uuid,
        event: &str,
        target: &ServerTarget,
        body: Value,
    ) -> Self {
        Self::with_id(Uuid::new_v4(), org, campaign, event, target, body)
    }

    fn with_id(
        id: Uuid,
        org: &str,
        call: Uuid,
        event: &str,
        target: &ServerTarget,
        body: Value,
    ) -> Self {
        let created_ms = Timestamp::now().as_millisecond();
        let target = StoredTarget {
            url: target.url.clone(),
            headers: target.headers.clone(),
            timeout: target.timeout,
            secret: target.secret.as_ref().map(|secret| secret.expose_secret().to_owned()),
            credential_id: target.credential_id.clone(),
        };
        let (org, event) = (org.to_owned(), event.to_owned());
        Self { id, org, call, event, target, body, created_ms, queued_ms: None, failure: None }
    }
}

fn id_of(call: Uuid, event: &ServerEvent) -> Uuid {
    let digest = Sha256::digest(format!("{call} {}", event.name()));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl StoredTarget {
    fn to_server(&self) -> ServerTarget {
        let secret = self.secret.clone().map(SecretString::from);
        ServerTarget {
            headers: self.headers.clone(),
            timeout: self.timeout,
            credential_id: self.credential_id.clone(),
            ..ServerTarget::from_url(self.url.clone(), secret)
        }
    }
}

impl fmt::Debug for StoredTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredTarget").field("url", &self.url).finish_non_exhaustive()
    }
}

/// How deliveries are paced and given up.
#[derive(Clone, Copy, Debug)]
pub struct OutboxOptions {
    pub backoff_initial: Duration,
    pub backoff_max: Duration,
    /// An event older than this is given up: logged, counted and kept apart.
    pub max_age: Duration,
    /// How long what was given up is kept.
    pub dead_letter_age: Duration,
    /// Deliveries under way at once.
    pub parallel: usize,
    /// Of these, to one receiver.
    pub parallel_per_host: usize,
}

/// The way into the outbox; cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    queue: mpsc::Sender<Queued>,
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    egress: Egress,
    options: OutboxOptions,
    /// The queue's other end lies here, so that a new actor goes on where the old one died.
    queue: AsyncMutex<mpsc::Receiver<Queued>>,
    lanes: Mutex<HashMap<Uuid, Lane>>,
    slots: Arc<Semaphore>,
    hosts: Hosts,
    waiting: AtomicU64,
    /// Of these, the ones that the disk refused.
    unstored: AtomicU64,
}

struct Queued {
    item: OutboxItem,
    stored: Option<oneshot::Sender<bool>>,
}

/// The events of one call, delivered one after the other.
struct Lane {
    rows: VecDeque<Row>,
    /// The event at hand and why it was not delivered so far.
    trouble: Option<Trouble>,
    /// The next attempt is not to wait.
    hurry: Arc<Notify>,
    _worker: Leaf,
}

#[derive(Clone)]
struct Trouble {
    id: Uuid,
    org: String,
    failure: Failure,
}

#[derive(Clone)]
struct Row {
    /// Where it is stored; `None` when the disk refused it and only memory has it.
    sequence: Option<u64>,
    call: Uuid,
    /// Absent where only the disk has it: a receiver that is down for a day must not fill the
    /// memory with what waits for it.
    item: Option<Arc<OutboxItem>>,
}

/// Events of one call that are kept in memory while they wait; further ones are read back.
const IN_MEMORY_MAX: usize = 16;

/// Events that the disk refused and that are kept in memory alone, over all calls.
const UNSTORED_MAX: u64 = 10_000;

/// Events on their way to the disk. A call makes a dozen a second; beyond this the disk stands still.
const QUEUE_MAX: usize = 20_000;

/// Writes handed to the store at once; it flushes them together.
const STORING_MAX: usize = 512;

/// Longest wait for an event to be on disk before it is sent without.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

impl Outbox {
    pub fn new(store: Store, egress: Egress, options: OutboxOptions) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        let shared = Shared {
            store,
            egress,
            slots: Arc::new(Semaphore::new(options.parallel)),
            hosts: Hosts::new(options.parallel_per_host),
            options,
            queue: AsyncMutex::new(receiver),
            lanes: Mutex::default(),
            waiting: AtomicU64::new(0),
            unstored: AtomicU64::new(0),
        };
        Self { queue, shared: Arc::new(shared) }
    }

    /// Takes an event; never waits. When the queue is full the event is lost, counted and logged.
    pub fn send(&self, item: OutboxItem) {
        self.put(Queued { item, stored: None });
    }

    /// Takes an event and says whether it is on disk, at the latest after a limit.
    pub async fn send_durable(&self, item: OutboxItem) -> bool {
        let (stored, done) = oneshot::channel();
        self.put(Queued { item, stored: Some(stored) });
        matches!(tokio::time::timeout(STORE_TIMEOUT, done).await, Ok(Ok(true)))
    }

    /// Begins no more deliveries and waits for those under way, at most `limit`: an event that was
    /// delivered and not struck off would be delivered again by the next process.
    pub async fn settle(&self, limit: Duration) {
        let slots = &self.shared.slots;
        let all = u32::try_from(self.shared.options.parallel).unwrap_or(u32::MAX);
        let under_way = tokio::time::timeout(limit, slots.acquire_many(all)).await;
        slots.close();
        drop(under_way);
    }

    /// Events not yet acknowledged by their receivers.
    pub fn pending(&self) -> u64 {
        self.shared.waiting.load(Ordering::Acquire)
    }

    /// Age of the oldest event that no receiver has taken; zero when there is none.
    pub fn oldest_age(&self) -> Duration {
        let lanes = self.shared.lanes();
        let first = |lane: &Lane| Some(lane.rows.front()?.item.as_ref()?.created_ms);
        let Some(oldest_ms) = lanes.values().filter_map(first).min() else {
            return Duration::ZERO;
        };
        let age_ms = Timestamp::now().as_millisecond().saturating_sub(oldest_ms);
        Duration::from_millis(u64::try_from(age_ms).unwrap_or_default())
    }

    fn put(&self, queued: Queued) {
        self.shared.count(1);
        if let Err(error) = self.queue.try_send(queued) {
            self.shared.count(-1);
            let (mpsc::error::TrySendError::Full(queued)
            | mpsc::error::TrySendError::Closed(queued)) = error;
            metrics::counter!("offhook_outbox_lost_total").increment(1);
            tracing::error!(call = %queued.item.call, event = queued.item.event,
                "server event lost, the outbox is full");
        }
    }
}

/// Delivers what is in the outbox.
pub struct OutboxActor;

impl Actor for OutboxActor {
    type Msg = ();
    type State = [Leaf; 2];
    type Arguments = Outbox;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        outbox: Outbox,
    ) -> Result<[Leaf; 2], ActorProcessingErr> {
        let shared = outbox.shared;
        shared.restore().await;
        let pruned = shared.clone();
        let pruning = Leaf::spawn(async move { pruned.prune().await });
        // The queue is only closed with the node; after a panic the root starts another actor.
        let taking_in =
            Leaf::ending(async move { shared.take_in().await }, move || myself.stop(None));
        Ok([pruning, taking_in])
    }
}

impl Shared {
    /// Takes up what a former process left, or an actor of this one that died between the disk and
    /// the lanes.
    async fn restore(self: &Arc<Self>) {
        let known: HashSet<u64> = {
            let lanes = self.lanes();
            let rows = lanes.values().flat_map(|lane| &lane.rows);
            rows.filter_map(|row| row.sequence).collect()
        };
        let rows = match self.store.outbox_pending().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "outbox cannot be read, what it held waits for a restart");
                return;
            }
        };
        for row in rows.into_iter().filter(|row| !known.contains(&row.sequence)) {
            match serde_json::from_slice::<OutboxItem>(&row.body) {
                Ok(item) => {
                    self.count(1);
                    let item = Some(Arc::new(item));
                    self.enqueue(Row { sequence: Some(row.sequence), call: row.call, item });
                }
                Err(error) => {
                    tracing::error!(%error, sequence = row.sequence, "outbox row unreadable");
                    let _ = self.store.outbox_ack(row.sequence).await;
                }
            }
        }
    }

    /// Writes events to disk in order, many at a time, and hands them to their lanes.
    async fn take_in(self: &Arc<Self>) {
        let mut queue = self.queue.lock().await;
        let mut storing: FuturesOrdered<BoxFuture<'static, (Row, Option<oneshot::Sender<bool>>)>> =
            FuturesOrdered::new();
        loop {
            tokio::select! {
                biased;
                queued = queue.recv(), if storing.len() < STORING_MAX => match queued {
                    Some(queued) => storing.push_back(self.clone().store(queued)),
                    None => return,
                },
                Some((row, stored)) = storing.next() => {
                    if let Some(stored) = stored {
                        let _ = stored.send(row.sequence.is_some());
                    }
                    self.enqueue(row);
                }
            }
        }
    }

    fn store(
        self: Arc<Self>,
        queued: Queued,
    ) -> BoxFuture<'static, (Row, Option<oneshot::Sender<bool>>)> {
        let Queued { item, stored } = queued;
        let call = item.call;
        let body = serde_json::to_vec(&item).unwrap_or_default();
        // Numbered in the order of the queue: first polled in that order, and without tokio's budget,
        // which would put off the polls of a burst and wake them in another order.
        Box::pin(tokio::task::unconstrained(async move {
            let write = self.store.outbox_add(call, body);
            let sequence = match tokio::time::timeout(STORE_TIMEOUT, write).await {
                Ok(Ok(sequence)) => Some(sequence),
                _ => {
                    metrics::counter!("offhook_outbox_unstored_total").increment(1);
                    tracing::error!(%call, event = item.event,
                        "server event is not on disk, it is sent from memory");
                    None
                }
            };
            (Row { sequence, call, item: Some(Arc::new(item)) }, stored)
        }))
    }

    fn enqueue(self: &Arc<Self>, mut row: Row) {
        let call = row.call;
        if row.sequence.is_none() && self.unstored.fetch_add(1, Ordering::AcqRel) >= UNSTORED_MAX {
            self.unstored.fetch_sub(1, Ordering::AcqRel);
            self.count(-1);
            metrics::counter!("offhook_outbox_lost_total").increment(1);
            tracing::error!(%call, "server event lost, neither disk nor memory has room for it");
            return;
        }
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.get_mut(&call) {
            if row.sequence.is_some() && lane.rows.len() >= IN_MEMORY_MAX {
                row.item = None;
            }
            lane.rows.push_back(row);
            return;
        }
        let worker = Leaf::spawn(self.clone().deliver_lane(call));
        let (rows, hurry) = (VecDeque::from([row]), Arc::default());
        lanes.insert(call, Lane { rows, trouble: None, hurry, _worker: worker });
    }

    /// Delivers the events of one call until there are none.
    async fn deliver_lane(self: Arc<Self>, call: Uuid) {
        loop {
            let Some(row) = self.next_row(call) else { return };
            // One event that cannot be handled must not keep those behind it.
            match AssertUnwindSafe(self.deliver(&row)).catch_unwind().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => self.bury_untried(&row).await,
            }
            self.count(-1);
            if let Some(lane) = self.lanes().get_mut(&call) {
                lane.rows.pop_front();
                lane.trouble = None;
            }
        }
    }

    fn next_row(&self, call: Uuid) -> Option<Row> {
        let mut lanes = self.lanes();
        let next = lanes.get(&call)?.rows.front().cloned();
        if next.is_none()
            && let Some(lane) = lanes.remove(&call)
        {
            // The lane holds this very task; dropping it here would abort it under the lock.
            lane._worker.detach();
        }
        next
    }

    /// Delivers one event and strikes it off, however often it takes, or gives it up when it is too
    /// old. False: the outbox is settled, the event waits for the next process.
    async fn deliver(&self, row: &Row) -> bool {
        let Some(item) = self.item_of(row).await else {
            self.strike_off(row).await;
            return true;
        };
        let jitter = Jitter::of(row.call, &item.event);
        let OutboxOptions { backoff_initial, backoff_max, .. } = self.options;
        let mut pacing = Pacing::new(backoff_initial, backoff_max, jitter);
        let id = item.id.to_string();
        let target = item.target.to_server();
        let post = Post { target: &target, org: &item.org, body: &item.body, event_id: &id };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let problem = {
                let _place = self.hosts.place(&item.target.url).await;
                // Held until the event is struck off: settling waits for that.
                let Ok(_slot) = self.slots.acquire().await else { return false };
                match self.egress.post(post).await {
                    Ok(answer) if (200..300).contains(&answer.status) => {
                        self.strike_off(row).await;
                        break;
                    }
                    Ok(answer) => format!("status {}", answer.status),
                    Err(error) => error.to_string(),
                }
            };
            let now_ms = Timestamp::now().as_millisecond();
            let failure = Failure { attempts, last_error: problem.clone(), at_ms: now_ms };
            let age = now_ms - item.queued_ms.unwrap_or(item.created_ms);
            if age > self.options.max_age.as_millis() as i64 {
                metrics::counter!("offhook_outbox_given_up_total").increment(1);
                tracing::error!(call = %item.call, event = item.event, id, problem,
                    "server event given up, its receiver did not take it in time");
                self.bury(row, &item, failure).await;
                return true;
            }
            let wait = pacing.next();
            let trouble = Trouble { id: item.id, org: item.org.clone(), failure };
            let hurry = self.note_trouble(row.call, trouble);
            tracing::warn!(call = %item.call, event = item.event, problem, ?wait,
                "server event not delivered, again");
            // Told to hurry, it waits no longer.
            let _ = tokio::time::timeout(wait, hurry.notified()).await;
        }
        let age = (Timestamp::now().as_millisecond() - item.created_ms).max(0);
        metrics::histogram!("offhook_outbox_delivery_seconds").record(age as f64 / 1_000.0);
        true
    }

    /// The event itself; `None` when the disk has lost it.
    async fn item_of(&self, row: &Row) -> Option<Arc<OutboxItem>> {
        if let Some(item) = &row.item {
            return Some(item.clone());
        }
        let stored = self.store.outbox_get(row.sequence?).await;
        let read = stored.ok().flatten().and_then(|row| serde_json::from_slice(&row.body).ok());
        if read.is_none() {
            metrics::counter!("offhook_outbox_lost_total").increment(1);
            tracing::error!(call = %row.call, "server event lost, it cannot be read back");
        }
        read.map(Arc::new)
    }

    async fn strike_off(&self, row: &Row) {
        if row.sequence.is_none() {
            self.unstored.fetch_sub(1, Ordering::AcqRel);
        }
        if let Some(sequence) = row.sequence
            && let Err(error) = self.store.outbox_ack(sequence).await
        {
            // It stays on disk and is delivered again after a restart, with the same id.
            tracing::warn!(call = %row.call, %error, "delivered event cannot be struck off");
        }
    }

    /// Keeps what is wrong with the event at hand of a call; returns what ends the wait early.
    fn note_trouble(&self, call: Uuid, trouble: Trouble) -> Arc<Notify> {
        let mut lanes = self.lanes();
        let Some(lane) = lanes.get_mut(&call) else { return Arc::default() };
        lane.trouble = Some(trouble);
        lane.hurry.clone()
    }

    fn count(&self, by: i64) {
        match by {
            0.. => self.waiting.fetch_add(by.unsigned_abs(), Ordering::AcqRel),
            _ => self.waiting.fetch_sub(by.unsigned_abs(), Ordering::AcqRel),
        };
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
