//! The way between a provider's session and its user, where it is broken.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use offhook_providers::ProviderError;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::switch::Life;

/// Messages between a session and its user.
pub const CHANNEL: usize = 64;

/// A wait that is never reached.
const FAR: Duration = Duration::from_secs(86_400);

pub type Said<E> = Result<E, ProviderError>;

/// A session's life, which both directions look at.
pub type Shared = Arc<Mutex<Life>>;

/// Carries what a session says to its user, as long as both are there. `pieces` cuts an event
/// into what arrives apart, and says how many words each piece is.
pub async fn say<E>(
    life: Shared,
    from: mpsc::Receiver<Said<E>>,
    to: mpsc::Sender<Said<E>>,
    pieces: impl FnMut(E) -> Vec<(E, f32)>,
) {
    carry(&life, from, to, pieces).await;
    lock(&life).fall_silent();
}

async fn carry<E>(
    life: &Shared,
    mut from: mpsc::Receiver<Said<E>>,
    to: mpsc::Sender<Said<E>>,
    mut pieces: impl FnMut(E) -> Vec<(E, f32)>,
) {
    let mut changes = lock(life).changes();
    let mut waiting: VecDeque<(Instant, Said<(E, f32)>)> = VecDeque::new();
    let mut is_over = false;
    loop {
        let fatal = lock(life).fatal();
        if let Some(error) = fatal {
            // A user that is gone needs no error.
            let _ = to.try_send(Err(error));
            return;
        }
        if is_over && waiting.is_empty() {
            return;
        }
        let is_muted = lock(life).is_muted();
        let due = waiting.front().map_or_else(|| Instant::now() + FAR, |(due, _)| *due);
        tokio::select! {
            biased;
            () = changes.changed() => {}
            () = to.closed() => return,
            () = sleep_until(due), if !is_muted && !waiting.is_empty() => {
                let Some((_, said)) = waiting.pop_front() else { continue };
                let (said, words) = match said {
                    Ok((event, words)) => (Ok(event), words),
                    Err(error) => (Err(error), 0.0),
                };
                if to.send(said).await.is_err() {
                    return;
                }
                lock(life).says(words);
            }
            said = from.recv(), if !is_over => match said {
                None => is_over = true,
                Some(_) if is_muted => {}
                Some(said) => {
                    let due = Instant::now() + lock(life).late_by();
                    match said {
                        Ok(event) => {
                            waiting.extend(pieces(event).into_iter().map(|piece| (due, Ok(piece))));
                        }
                        Err(error) => waiting.push_back((due, Err(error))),
                    }
                }
            },
        }
    }
}

/// Carries what a user says into a session. `check` may find that the session closes on it.
pub async fn hear<I>(
    life: Shared,
    mut from: mpsc::Receiver<I>,
    to: mpsc::Sender<I>,
    mut check: impl FnMut(&I) -> Check,
) {
    let mut changes = lock(&life).changes();
    let mut is_fed = false;
    loop {
        if lock(&life).is_over() {
            return;
        }
        let reads = lock(&life).reads();
        let input = tokio::select! {
            biased;
            () = to.closed() => return,
            () = changes.changed() => continue,
            input = from.recv(), if reads => input,
        };
        let Some(input) = input else { return };
        match check(&input) {
            Check::Closes => return lock(&life).close(),
            Check::Feeds if !is_fed => {
                is_fed = true;
                lock(&life).fed();
            }
            Check::Feeds | Check::Takes => {}
        }
        if to.send(input).await.is_err() {
            return;
        }
    }
}

/// What an input means to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Audio or text to work on.
    Feeds,
    Takes,
    /// More than the provider allows: it closes.
    Closes,
}

pub fn lock(life: &Shared) -> std::sync::MutexGuard<'_, Life> {
    life.lock().unwrap_or_else(PoisonError::into_inner)
}
