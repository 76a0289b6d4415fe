//! What a slot costs: granted and given back on a node of thousands, with others waiting.

use std::{
    collections::VecDeque,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use offhook_core::slots::{Answer, LeaseId, Limit, Scope, SlotRequest, SlotRules, Slots, Source};

const NODE: u32 = 5_000;
const ORGS: usize = 200;
/// Longer than a bench.
const FOREVER: Duration = Duration::from_secs(1_000_000);

fn direct(c: &mut Criterion) {
    let mut slots = node();
    fill(&mut slots, NODE - 10);
    c.bench_function("slots: one granted and given back on a busy node", |b| {
        b.iter(|| {
            let answer = slots.request(Duration::ZERO, request(black_box(7)), FOREVER);
            let Answer::Granted(id) = answer else { panic!("full: {answer:?}") };
            slots.release(id);
            slots.tick(Duration::ZERO)
        });
    });
}

fn waiting(c: &mut Criterion) {
    let mut crowd = Crowd::new();
    c.bench_function("slots: one given back goes to one of 2,000 that wait in 200 lines", |b| {
        b.iter(|| crowd.pass_one_on());
    });
    c.bench_function("slots: the same, the slowest in a hundred", |b| {
        b.iter_custom(|iterations| {
            let mut took: Vec<_> = (0..iterations.max(1_000))
                .map(|_| {
                    let since = Instant::now();
                    crowd.pass_one_on();
                    since.elapsed()
                })
                .collect();
            took.sort_unstable();
            let p99 = took[took.len() * 99 / 100];
            p99 * u32::try_from(iterations).unwrap_or(u32::MAX)
        });
    });
}

/// A full node, and those who wait.
struct Crowd {
    slots: Slots,
    held: VecDeque<LeaseId>,
    next: usize,
}

impl Crowd {
    fn new() -> Self {
        let mut slots = node();
        let held = fill(&mut slots, NODE).into();
        for index in 0..2_000 {
            slots.request(Duration::ZERO, request(index), FOREVER);
        }
        Self { slots, held, next: 0 }
    }

    fn pass_one_on(&mut self) -> Answer {
        let id = self.held.pop_front().expect("each one given back is granted again");
        self.slots.release(id);
        let grants = self.slots.tick(Duration::ZERO).grants;
        self.held.extend(grants.iter().map(|grant| grant.id));
        self.next += 1;
        self.slots.request(Duration::ZERO, request(self.next), FOREVER)
    }
}

fn node() -> Slots {
    let mut slots = Slots::new(SlotRules {
        node: Limit { slots: NODE, inbound_reserve: 0 },
        lease_ttl: FOREVER,
        queue_max: 10_000,
    });
    for org in 0..ORGS {
        slots.set_limit(Scope::Org(name(org)), Some(Limit::of(NODE)));
    }
    slots
}

fn fill(slots: &mut Slots, count: u32) -> Vec<LeaseId> {
    (0..count as usize)
        .map(|index| match slots.request(Duration::ZERO, request(index), FOREVER) {
            Answer::Granted(id) => id,
            answer @ (Answer::Queued(_) | Answer::Refused(_)) => panic!("full: {answer:?}"),
        })
        .collect()
}

fn request(index: usize) -> SlotRequest {
    SlotRequest {
        assistant: Some(name(index % ORGS)),
        number: Some(name(index % ORGS)),
        carrier: Some("twilio".into()),
        ..SlotRequest::new(Source::Interactive, name(index % ORGS))
    }
}

fn name(index: usize) -> Arc<str> {
    format!("018f2d7e-0000-7000-8000-{index:012}").into()
}

criterion_group!(benches, direct, waiting);
criterion_main!(benches);
