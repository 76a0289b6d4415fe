//! Concurrency slots: how many calls this node takes.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// The node's slots; cheap to clone.
#[derive(Clone)]
pub struct Slots {
    limit: u32,
    in_use: Arc<AtomicU32>,
}

/// What a client is told about slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLimits {
    pub limit: u32,
    pub in_use: u32,
}

/// A slot in use; dropping it gives it back.
pub struct Lease {
    in_use: Arc<AtomicU32>,
}

impl Slots {
    pub fn new(limit: u32) -> Self {
        metrics::gauge!("offhook_slots_limit").set(limit);
        metrics::gauge!("offhook_slots_in_use").set(0);
        Self { limit, in_use: Arc::new(AtomicU32::new(0)) }
    }

    /// Takes a slot, or says that there is none.
    pub fn take(&self) -> Option<Lease> {
        let limit = self.limit;
        let before = self
            .in_use
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                (used < limit).then_some(used + 1)
            })
            .ok()?;
        metrics::gauge!("offhook_slots_in_use").set(before + 1);
        Some(Lease { in_use: self.in_use.clone() })
    }

    /// Takes a slot for a call that had one before the process was started anew, whatever the limit
    /// is by now.
    pub(crate) fn take_again(&self) -> Lease {
        let before = self.in_use.fetch_add(1, Ordering::AcqRel);
        metrics::gauge!("offhook_slots_in_use").set(before + 1);
        Lease { in_use: self.in_use.clone() }
    }

    pub fn limits(&self) -> SlotLimits {
        SlotLimits { limit: self.limit, in_use: self.in_use.load(Ordering::Acquire) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let before = self.in_use.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!("offhook_slots_in_use").set(before - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_again_when_its_lease_is_dropped() {
        let slots = Slots::new(1);
        let lease = slots.take().unwrap();
        assert!(slots.take().is_none());
        assert_eq!(slots.limits(), SlotLimits { limit: 1, in_use: 1 });
        drop(lease);
        assert!(slots.take().is_some());
    }
}
