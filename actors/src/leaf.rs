//! Tasks that actors own.

use std::{future::Future, sync::Arc};

use tokio::task::JoinHandle;

use crate::Port;

/// A task that ends when its owner drops it.
#[derive(Debug)]
pub struct Leaf(Option<JoinHandle<()>>);

impl Leaf {
    pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(tokio::spawn(task)))
    }

    /// Runs `task` and leaves what came of it in `port`; a panic of it as `None`.
    pub fn watched<T, M>(
        port: Arc<Port<M>>,
        task: impl Future<Output = T> + Send + 'static,
        report: impl FnOnce(Option<T>) -> M + Send + 'static,
    ) -> Self
    where
        T: Send + 'static,
        M: Clone + Send + Sync + 'static,
    {
        // Aborting the outer task drops `inner`, and with it the work.
        let mut inner = AbortOnDrop(tokio::spawn(task));
        Self(Some(tokio::spawn(async move {
            let result = (&mut inner.0).await.ok();
            port.send(report(result));
        })))
    }

    /// Runs `task` and says so when it is over, in order or by a panic.
    pub fn ending(
        task: impl Future<Output = ()> + Send + 'static,
        over: impl FnOnce() + Send + 'static,
    ) -> Self {
        let mut inner = AbortOnDrop(tokio::spawn(task));
        Self(Some(tokio::spawn(async move {
            // A panic was reported by the runtime's hook.
            let _ = (&mut inner.0).await;
            over();
        })))
    }

    /// Lets the task run to its own end.
    pub fn detach(mut self) {
        // Dropping the leaf aborts what its handle points to: point it to nothing.
        self.0 = None;
    }

    pub fn is_finished(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
