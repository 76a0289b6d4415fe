//! The callers of a bench, on threads of their own: what the bench itself has to do does not make
//! them late.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::LocalSet,
    time::{Instant, sleep_until},
};

use super::{
    call::{self, Outcome},
    caller::{Caller, Conduct},
};
use crate::client::Client;

/// Calls that one thread holds: a third of a core.
const CALLS_PER_THREAD: u32 = 200;

/// News that may wait to be counted; callers wait where it is more, which nobody has seen.
pub const NEWS_MAX: usize = 4_096;

/// How many calls, and when.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Calls at the same time.
    pub calls: u32,
    /// Time between the first calls.
    pub ramp: Duration,
    /// Calls in all; as one ends the next is placed.
    pub total: u32,
}

/// Where the calls go.
#[derive(Clone)]
pub struct Target {
    pub url: String,
    pub key: String,
    /// The body of `POST /call`.
    pub request: Arc<Value>,
}

/// What happens to the calls.
#[derive(Debug)]
pub enum News {
    /// A call's socket is open.
    Up,
    /// A call is over; `more`: another takes its place.
    Ended { outcome: Box<Outcome>, more: bool },
}

struct Fleet {
    load: Load,
    target: Target,
    conduct: Arc<Conduct>,
    /// The next call that takes the place of one that ended.
    next: AtomicU32,
    began: Instant,
}

/// Starts the callers. The news ends with the last call.
pub fn start(load: Load, target: Target, conduct: Arc<Conduct>) -> Result<Receiver<News>, String> {
    let (sender, news) = mpsc::channel(NEWS_MAX);
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let threads = load.calls.div_ceil(CALLS_PER_THREAD).clamp(1, cores);
    let fleet = Arc::new(Fleet {
        next: AtomicU32::new(load.calls),
        began: Instant::now(),
        load,
        target,
        conduct,
    });
    for thread in 0..threads {
        let (fleet, sender) = (Arc::clone(&fleet), sender.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start the callers: {error}"))?;
        let callers = move || {
            // A client of this thread: connections belong to the thread they were made on.
            let Ok(client) = Client::new(&fleet.target.url, &fleet.target.key) else { return };
            let local = LocalSet::new();
            let slots = (thread..fleet.load.calls).step_by(threads as usize);
            for slot in slots {
                local.spawn_local(Arc::clone(&fleet).hold_slot(
                    slot,
                    client.clone(),
                    sender.clone(),
                ));
            }
            drop(sender);
            runtime.block_on(local);
        };
        thread::Builder::new()
            .name(format!("callers-{thread}"))
            .spawn(callers)
            .map_err(|error| format!("cannot start the callers: {error}"))?;
    }
    Ok(news)
}

impl Fleet {
    /// Holds one call after another, as long as there are any to place.
    async fn hold_slot(self: Arc<Self>, slot: u32, client: Client, news: Sender<News>) {
        sleep_until(self.began + self.load.ramp * slot).await;
        let mut nth = slot;
        loop {
            let caller = |now| Caller::new(Arc::clone(&self.conduct), nth, now);
            let up = || {
                // Full: the count of calls that are up is late, and nothing else.
                let _ = news.try_send(News::Up);
            };
            let outcome = call::hold(&client, &self.target.request, nth, caller, up).await;
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let more = next < self.load.total;
            let told = news.send(News::Ended { outcome: Box::new(outcome), more }).await;
            if !more || told.is_err() {
                return;
            }
            nth = next;
        }
    }
}
