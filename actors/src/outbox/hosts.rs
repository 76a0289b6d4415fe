//! How much of the outbox one receiver may take up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

/// Places for deliveries, by receiver: one that hangs must leave the others theirs.
pub(super) struct Hosts {
    places: usize,
    /// Those with a delivery under way or waiting.
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Receivers remembered before those that nobody uses are forgotten.
const HOSTS_KEPT: usize = 256;

impl Hosts {
    pub(super) fn new(places: usize) -> Self {
        Self { places: places.max(1), hosts: Mutex::default() }
    }

    /// Waits for a place at the receiver of this URL.
    pub(super) async fn place(&self, url: &str) -> Option<OwnedSemaphorePermit> {
        let host = self.host(url);
        // Never closed.
        host.acquire_owned().await.ok()
    }

    fn host(&self, url: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_KEPT {
            hosts.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let places =
            hosts.entry(name_of(url)).or_insert_with(|| Semaphore::new(self.places).into());
        places.clone()
    }
}

/// Host and port; what is no URL is a receiver of its own.
fn name_of(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let name = parsed.as_ref().and_then(|url| {
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default().unwrap_or_default()))
    });
    name.unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_hangs_leaves_the_others_their_places() {
        let hosts = Hosts::new(2);
        let slow = "http://slow.test/a";
        let _taken = (hosts.place(slow).await, hosts.place("http://slow.test:80/b").await);
        let third = tokio::time::timeout(Duration::from_secs(60), hosts.place(slow));
        assert!(third.await.is_err());
        assert!(hosts.place("http://other.test/").await.is_some());
        assert!(hosts.place("https://slow.test/").await.is_some());
    }
}
