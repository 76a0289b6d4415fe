//! Carriers that are down are asked last, for a while.
//!
//! What counts is the account: whichever of its numbers calls, the same carrier is asked with the
//! same key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use offhook_core::FailureClass;
use offhook_transports::carrier::CarrierError;
use tokio::time::Instant;

use super::Known;

/// Failures in a row after which a carrier counts as down: one may be chance.
const FAILURES_MAX: u32 = 2;

/// How long it is asked last then. After that a call finds out.
const DOWN_FOR: Duration = Duration::from_secs(30);

/// What calls saw of carriers, by account; there are as many as the organisations have.
#[derive(Default)]
pub struct Breaker {
    accounts: Mutex<HashMap<Arc<str>, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    in_a_row: u32,
    last: Instant,
}

impl Breaker {
    /// The numbers in the order in which they are asked.
    pub(super) fn in_order<'a>(&self, numbers: &'a [Known]) -> Vec<&'a Known> {
        let (well, down): (Vec<_>, Vec<_>) =
            numbers.iter().partition(|number| !self.is_down(&number.account.counted_as()));
        well.into_iter().chain(down).collect()
    }

    /// Takes what came of asking one.
    pub(super) fn note(&self, number: &Known, asked: &Result<(), CarrierError>) {
        let has_failed = asked.as_ref().is_err_and(|error| is_outage(error.class));
        self.note_of(number.account.counted_as(), has_failed);
    }

    fn note_of(&self, account: Arc<str>, has_failed: bool) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if !has_failed {
            accounts.remove(&account);
            return;
        }
        let now = Instant::now();
        let failures = accounts.entry(account).or_insert(Failures { in_a_row: 0, last: now });
        failures.in_a_row += 1;
        failures.last = now;
    }

    /// Whether calls have just failed at this account.
    pub fn is_down(&self, account: &str) -> bool {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(account).is_some_and(|failures| {
            failures.in_a_row >= FAILURES_MAX && failures.last.elapsed() < DOWN_FOR
        })
    }
}

/// Whether the next call would fare no better.
fn is_outage(class: FailureClass) -> bool {
    match class {
        FailureClass::Unauthorized
        | FailureClass::Quota
        | FailureClass::RateLimited { .. }
        | FailureClass::Unavailable
        | FailureClass::Timeout
        | FailureClass::Closed
        | FailureClass::Stalled
        | FailureClass::Protocol => true,
        FailureClass::BadRequest | FailureClass::Unsupported => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_carrier_is_down_after_two_failures_and_for_half_a_minute() {
        let (breaker, account) = (Breaker::default(), Arc::<str>::from("twilio account AC1"));
        breaker.note_of(account.clone(), true);
        assert!(!breaker.is_down(&account));
        breaker.note_of(account.clone(), true);
        assert!(breaker.is_down(&account));
        assert!(!breaker.is_down("telnyx account 1"), "another carrier is not");
        tokio::time::advance(DOWN_FOR).await;
        assert!(!breaker.is_down(&account), "a call finds out");
        breaker.note_of(account.clone(), true);
        assert!(breaker.is_down(&account), "it is still down");
        breaker.note_of(account.clone(), false);
        assert!(!breaker.is_down(&account));
    }
}
