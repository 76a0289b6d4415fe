//! The real server, and the world around it: a client, a receiver of webhooks, fakes of the
//! providers.
//!
//! Every test starts a server of its own on a free port with a store of its own, so that tests
//! share nothing and run side by side. The providers are fakes that speak the real protocols
//! ([`Providers`]), so no test needs a key, a network or a Debian package.
#![allow(dead_code, reason = "each test file uses its part of these helpers")]
#![allow(unused_imports, reason = "each test file uses its part of these helpers")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod calls;
mod http;
mod leg;
pub mod numbers;
mod providers;
mod receiver;
mod server;

use std::time::Duration;

pub use calls::{Calls, assistant};
pub use http::{Answer, Client};
pub use leg::{Frame, Leg};
pub use providers::Providers;
pub use receiver::{Delivery, Receiver};
pub use server::{KEY, OTHER_KEY, Options, Server};

/// Longest wait for anything a test expects. Expected are milliseconds; the rest is for a machine
/// that builds something else at the same time.
pub const LIMIT: Duration = Duration::from_secs(20);

/// How often a condition is looked at that nothing reports.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for what must happen, and says what it was when it does not.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("within {LIMIT:?} there was no {what}"),
    }
}

/// Asks again until there is an answer.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    })
    .await
}
