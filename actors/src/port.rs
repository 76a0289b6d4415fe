//! An actor's inbox that outlives the actor.
//!
//! What is sent to an actor of a call while it is dead waits here for its next incarnation, and
//! what it was handling when it died is handed to it once more. The mailbox of the actor itself
//! carries nothing but [`Signal`]s.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ractor::ActorRef;

/// Inputs that may wait for one actor.
///
/// A call makes tens of inputs a second and an actor is replaced within two seconds; what goes
/// beyond this is a flood, and the newest is dropped and counted.
const WAITING_MAX: usize = 4_096;

/// How often one input is handed out before it is taken for the cause of the crash.
const ATTEMPTS_MAX: u8 = 2;

/// The only thing in the mailboxes of a call's actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// There is something in the port, or the supervisor asks for a sign of life.
    Wake,
    /// Panic now: how chaos tests kill an actor from within.
    Crash,
    /// Never return from the handler: how chaos tests wedge an actor.
    Wedge,
}

/// The inbox of one actor of one call.
pub struct Port<M> {
    name: &'static str,
    inner: Mutex<Inner<M>>,
}

struct Inner<M> {
    waiting: VecDeque<M>,
    in_hand: Option<(M, u8)>,
    actor: Option<ActorRef<Signal>>,
}

impl<M: Clone> Port<M> {
    pub fn new(name: &'static str) -> Self {
        let inner = Inner { waiting: VecDeque::new(), in_hand: None, actor: None };
        Self { name, inner: Mutex::new(inner) }
    }

    /// Leaves an input for the actor, whether it is alive or not.
    pub fn send(&self, input: M) {
        let mut inner = self.lock();
        if inner.waiting.len() >= WAITING_MAX {
            metrics::counter!("offhook_port_dropped_total", "actor" => self.name).increment(1);
            return;
        }
        inner.leave(input);
    }

    /// Leaves an input that no flood may drop. For what comes a few times in a call at most.
    pub fn send_surely(&self, input: M) {
        self.lock().leave(input);
    }

    /// Connects the port to a new incarnation of its actor.
    pub fn attach(&self, actor: ActorRef<Signal>) {
        let mut inner = self.lock();
        inner.actor = Some(actor);
        if inner.in_hand.is_some() || !inner.waiting.is_empty() {
            inner.wake();
        }
    }

    /// The next input; the one that a dead incarnation was handling comes first, once.
    pub(crate) fn take(&self) -> Option<M> {
        let mut inner = self.lock();
        if let Some((input, attempts)) = inner.in_hand.take() {
            if attempts < ATTEMPTS_MAX {
                inner.in_hand = Some((input.clone(), attempts + 1));
                return Some(input);
            }
            tracing::error!(actor = self.name, "input dropped, it crashed the actor twice");
        }
        let input = inner.waiting.pop_front()?;
        inner.in_hand = Some((input.clone(), 1));
        Some(input)
    }

    /// The input taken last needs no second attempt.
    pub(crate) fn done(&self) {
        self.lock().in_hand = None;
    }

    /// A bug in one actor must not take the port from the others: the state is valid at every step.
    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Inner<M> {
    fn leave(&mut self, input: M) {
        self.waiting.push_back(input);
        self.wake();
    }

    fn wake(&self) {
        if let Some(actor) = &self.actor {
            // A send to a dead actor fails; its successor is woken when it attaches.
            let _ = actor.cast(Signal::Wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_actor_died_of_is_handed_out_twice_and_then_dropped() {
        let port = Port::new("test");
        port.send("poison");
        port.send("next");

        assert_eq!(port.take(), Some("poison"));
        assert_eq!(port.take(), Some("poison"), "its successor tries once more");
        assert_eq!(port.take(), Some("next"));
        port.done();
        assert_eq!(port.take(), None);
    }

    #[test]
    fn a_flood_is_bounded() {
        let port = Port::new("test");
        for n in 0..2 * WAITING_MAX {
            port.send(n);
        }
        let mut taken = 0;
        while port.take().is_some() {
            port.done();
            taken += 1;
        }
        assert_eq!(taken, WAITING_MAX);
    }
}
