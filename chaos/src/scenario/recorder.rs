//! What the runtime counts during a run, with the time: restarts for the measures, losses for the
//! invariants.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use super::trace::{Trace, What};

/// Counts by the name of the metric.
#[derive(Clone)]
pub struct Counts {
    trace: Trace,
    counts: Arc<Mutex<HashMap<String, u64>>>,
}

struct Counting {
    name: String,
    labels: String,
    counts: Counts,
}

const RESTARTS: &str = "offhook_actor_restarts_total";

impl Counts {
    pub fn new(trace: Trace) -> Self {
        Self { trace, counts: Arc::default() }
    }

    pub fn of(&self, name: &str) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(name).copied().unwrap_or_default()
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<_> = key.labels().map(|label| label.value()).collect();
        Counter::from_arc(Arc::new(Counting {
            name: key.name().to_owned(),
            labels: labels.join(" "),
            counts: self.clone(),
        }))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl CounterFn for Counting {
    fn increment(&self, value: u64) {
        let mut counts = self.counts.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(self.name.clone()).or_default() += value;
        drop(counts);
        if self.name == RESTARTS {
            self.counts.trace.note(0, What::Restarted(self.labels.clone()));
        }
    }

    fn absolute(&self, value: u64) {
        let mut counts = self.counts.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.insert(self.name.clone(), value);
    }
}
