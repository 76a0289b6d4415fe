//! What carriers have told already: they tell things twice, and somebody may do so for them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OnceCell, oneshot},
    time::Instant,
};

use super::{arrival::Greeting, outbound::Breaker};

/// How long a webhook is remembered: twice the window in which its signature is believed (300 s), and
/// longer than carriers try again.
const MEMORY: Duration = Duration::from_secs(600);

/// Webhooks that are remembered: 20 calls a second with a few webhooks each, for as long. The oldest
/// is forgotten first.
const SEEN_MAX: usize = 100_000;

/// What was told, and what was decided on each call that came in; which carriers are down.
#[derive(Default)]
pub struct Desk {
    pub breaker: Breaker,
    seen: Mutex<Memory<()>>,
    greetings: Mutex<Memory<Arc<OnceCell<Greeting>>>>,
    /// Who waits for the end of what a carrier speaks, by its call.
    speeches: Mutex<HashMap<String, oneshot::Sender<()>>>,
}

struct Memory<T> {
    known: HashMap<String, T>,
    order: VecDeque<(Instant, String)>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), order: VecDeque::new() }
    }
}

impl Desk {
    /// Whether a webhook of this id comes for the first time.
    pub(super) fn is_new(&self, id: &str) -> bool {
        let mut seen = lock(&self.seen);
        seen.forget();
        !seen.known.contains_key(id) && {
            seen.remember(id, ());
            true
        }
    }

    /// Forgets a webhook that was not dealt with: it is welcome again.
    pub(super) fn forget(&self, id: &str) {
        lock(&self.seen).known.remove(id);
    }

    /// Waits until a carrier has spoken; begin before it does.
    pub(super) fn await_speech(&self, call: &str) -> oneshot::Receiver<()> {
        let (over, waiting) = oneshot::channel();
        let mut speeches = self.speeches.lock().unwrap_or_else(PoisonError::into_inner);
        speeches.retain(|_, over| !over.is_closed());
        speeches.insert(call.to_owned(), over);
        waiting
    }

    pub(super) fn speech_over(&self, call: &str) {
        let mut speeches = self.speeches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(over) = speeches.remove(call) {
            // Whoever waited may be gone.
            let _ = over.send(());
        }
    }

    /// The place of what is decided on a call: made once, however often it is asked for.
    pub(super) fn greeting(&self, call: &str) -> Arc<OnceCell<Greeting>> {
        let mut greetings = lock(&self.greetings);
        greetings.forget();
        if let Some(known) = greetings.known.get(call) {
            return known.clone();
        }
        let new = Arc::<OnceCell<Greeting>>::default();
        greetings.remember(call, new.clone());
        new
    }
}

impl<T> Memory<T> {
    fn remember(&mut self, id: &str, what: T) {
        self.known.insert(id.to_owned(), what);
        self.order.push_back((Instant::now(), id.to_owned()));
    }

    fn forget(&mut self) {
        while let Some((at, _)) = self.order.front() {
            if at.elapsed() < MEMORY && self.order.len() < SEEN_MAX {
                return;
            }
            if let Some((_, id)) = self.order.pop_front() {
                self.known.remove(&id);
            }
        }
    }
}

fn lock<T>(memory: &Mutex<T>) -> MutexGuard<'_, T> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_webhook_is_new_once_in_ten_minutes() {
        let desk = Desk::default();
        assert!(desk.is_new("a") && !desk.is_new("a") && desk.is_new("b"));
        tokio::time::advance(MEMORY).await;
        assert!(desk.is_new("a"));
    }
}
