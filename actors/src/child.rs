//! The one shape of a call's actors.
//!
//! Each actor of a call is a [`Role`]: state that is built from the call's slots whenever the actor
//! (re)starts, and a handler that never waits. [`CallChild`] carries a role on ractor.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};

use crate::{CallContext, Port, Signal};

/// One actor of a call.
pub trait Role: Send + Sync + Sized + 'static {
    const NAME: &'static str;
    type Input: Clone + Send + Sync + 'static;

    fn port(context: &CallContext) -> &Port<Self::Input>;

    /// Builds the state from the call's slots: at the start of the call, and after a crash.
    fn start(context: Arc<CallContext>) -> Result<Self, ActorProcessingErr>;

    /// Takes one input; never waits. An error is a crash.
    fn handle(&mut self, input: Self::Input) -> Result<(), ActorProcessingErr>;
}

/// Carries a role as a ractor actor.
pub struct CallChild<R>(PhantomData<fn() -> R>);

/// State of a [`CallChild`]: the role and what it belongs to.
pub struct Running<R> {
    role: R,
    context: Arc<CallContext>,
}

impl<R: Role> Actor for CallChild<R> {
    type Msg = Signal;
    type State = Running<R>;
    type Arguments = Arc<CallContext>;

    async fn pre_start(
        &self,
        myself: ActorRef<Signal>,
        context: Arc<CallContext>,
    ) -> Result<Running<R>, ActorProcessingErr> {
        let role = R::start(context.clone())?;
        R::port(&context).attach(myself);
        Ok(Running { role, context })
    }

    async fn handle(
        &self,
        _: ActorRef<Signal>,
        signal: Signal,
        running: &mut Running<R>,
    ) -> Result<(), ActorProcessingErr> {
        match signal {
            Signal::Wake => {}
            Signal::Crash => panic!("told to crash"),
            Signal::Wedge => std::future::pending().await,
        }
        let context = running.context.clone();
        let (port, pulse) = (R::port(&context), context.pulse(R::NAME));
        pulse.beat();
        while let Some(input) = port.take() {
            running.role.handle(input)?;
            port.done();
            pulse.beat();
            // A backlog does not keep the thread, and can be killed.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// How the supervisor starts a role, without knowing its type.
#[derive(Clone, Copy)]
pub struct Spawner {
    pub name: &'static str,
    pub spawn: fn(Arc<CallContext>, ActorCell) -> BoxFuture<'static, Result<ActorCell, SpawnErr>>,
}

impl Spawner {
    pub const fn of<R: Role>() -> Self {
        Self { name: R::NAME, spawn: spawn::<R> }
    }
}

fn spawn<R: Role>(
    context: Arc<CallContext>,
    supervisor: ActorCell,
) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> {
    Box::pin(async move {
        let child = CallChild::<R>(PhantomData);
        let (actor, _) = Actor::spawn_linked(None, child, context, supervisor).await?;
        Ok(actor.get_cell())
    })
}

/// Whether an actor still answers.
#[derive(Debug, Default)]
pub struct Pulse {
    asked: AtomicBool,
}

impl Pulse {
    /// Notes that the actor was asked for a sign of life; true when it answered the one before.
    pub fn ask(&self) -> bool {
        !self.asked.swap(true, Ordering::AcqRel)
    }

    pub fn beat(&self) {
        self.asked.store(false, Ordering::Release);
    }
}
