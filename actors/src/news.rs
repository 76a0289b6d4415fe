//! A signal that something has changed, for several who wait for it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// Tells its readers of changes, as tokio's `watch` without a value does, and wakes them in the
/// order in which they began to wait: that of `watch` is a matter of chance, which no seed repeats.
#[derive(Clone, Debug, Default)]
pub struct News(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    changes: AtomicU64,
    changed: Notify,
}

/// Waits for changes; it has seen those before it began.
#[derive(Debug)]
pub struct NewsReader {
    inner: Arc<Inner>,
    seen: u64,
}

impl News {
    /// Something has changed.
    pub fn tell(&self) {
        self.0.changes.fetch_add(1, Ordering::AcqRel);
        self.0.changed.notify_waiters();
    }

    pub fn reader(&self) -> NewsReader {
        NewsReader { inner: self.0.clone(), seen: self.0.changes.load(Ordering::Acquire) }
    }
}

impl NewsReader {
    /// Waits for a change that was not seen, several being one; bounded by whoever waits.
    pub async fn changed(&mut self) {
        loop {
            // It counts from here, so that nothing told from now on is missed.
            let told = self.inner.changed.notified();
            let changes = self.inner.changes.load(Ordering::Acquire);
            if changes != self.seen {
                self.seen = changes;
                return;
            }
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_told_before_anybody_waited_is_seen_once() {
        let news = News::default();
        news.tell();
        let mut reader = news.reader();
        news.tell();
        news.tell();
        reader.changed().await;
        assert!(timeout(Duration::from_secs(1), reader.changed()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_woken_in_the_order_in_which_they_began_to() {
        let (news, woken) = (News::default(), Arc::<Mutex<Vec<u32>>>::default());
        for nth in 0..20 {
            let (mut reader, woken) = (news.reader(), woken.clone());
            tokio::spawn(async move {
                reader.changed().await;
                woken.lock().unwrap().push(nth);
            });
        }
        sleep(Duration::from_millis(1)).await;
        news.tell();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(*woken.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }
}
