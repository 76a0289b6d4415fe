//! Any order of requests, releases, crashes and expiries, against a count of our own.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NODE: Limit = Limit { slots: 6, inbound_reserve: 2 };
const ORG: Limit = Limit { slots: 4, inbound_reserve: 1 };
const SMALL: Limit = Limit::of(2);
const SLOW: Rate = Rate { calls: 1, per: Duration::from_millis(300) };
const RATE: Rate = Rate { calls: 3, per: Duration::from_millis(500) };

#[derive(Clone, Debug)]
enum Step {
    Request {
        source: u8,
        org: u8,
        assistant: u8,
        number: u8,
        has_carrier: bool,
        ttl_ms: u64,
    },
    /// The owner of one of the leases or waiting requests is done with it.
    Release(usize),
    /// It crashes: nobody will ever release or renew.
    Crash(usize),
    RenewAll,
    /// A call that was granted leaves its line, and asks for another one.
    ChangeLine {
        which: usize,
        number: u8,
        ttl_ms: u64,
    },
    /// It is found out whose assistant's call it is.
    Assign {
        which: usize,
        assistant: u8,
    },
    Pass(u64),
    OnDeadline,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4u8, 0..2u8, 0..3u8, 0..2u8, any::<bool>(), 0..40_000u64).prop_map(
            |(source, org, assistant, number, has_carrier, ttl_ms)| Step::Request {
                source, org, assistant, number, has_carrier, ttl_ms
            }
        ),
        4 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Crash),
        1 => Just(Step::RenewAll),
        2 => (any::<usize>(), 0..2u8, 0..40_000u64).prop_map(|(which, number, ttl_ms)| {
            Step::ChangeLine { which, number, ttl_ms }
        }),
        2 => (any::<usize>(), 0..2u8).prop_map(|(which, assistant)| Step::Assign { which, assistant }),
        2 => (0..30_000u64).prop_map(Step::Pass),
        2 => (0..300u64).prop_map(Step::Pass),
        2 => Just(Step::OnDeadline),
    ]
}

/// What ought to be so, counted the plain way.
#[derive(Default)]
struct Model {
    now: Duration,
    held: BTreeMap<LeaseId, SlotRequest>,
    waiting: BTreeMap<LeaseId, SlotRequest>,
    crashed: Vec<LeaseId>,
    dialled: Vec<Duration>,
    dialled_from_one: Vec<Duration>,
}

impl Model {
    fn grant(&mut self, id: LeaseId, request: SlotRequest) {
        if request.carrier.is_some() && request.source != Source::Inbound {
            self.dialled.push(self.now);
        }
        if request.number.as_deref() == Some("1") && request.source != Source::Inbound {
            self.dialled_from_one.push(self.now);
        }
        assert!(self.held.insert(id, request).is_none(), "granted twice");
        self.check();
    }

    fn check(&self) {
        let is_call = |request: &SlotRequest| request.share == Share::Call;
        self.check_limit(NODE, is_call);
        for org in ["0", "1"] {
            self.check_limit(ORG, |request| is_call(request) && *request.org == *org);
        }
        self.check_limit(SMALL, |request| request.assistant.as_deref() == Some("1"));
        self.check_limit(SMALL, |request| request.number.as_deref() == Some("1"));
        let campaign = Source::Campaign("3".into());
        self.check_limit(SMALL, |request| is_call(request) && request.source == campaign);
        for (rate, dialled) in [(RATE, &self.dialled), (SLOW, &self.dialled_from_one)] {
            for window in dialled.windows(rate.calls as usize + 1) {
                let span = window[rate.calls as usize] - window[0];
                assert!(span >= rate.per, "{} calls within {span:?}", window.len());
            }
        }
    }

    fn check_limit(&self, limit: Limit, is_of: impl Fn(&SlotRequest) -> bool) {
        let of_it = || self.held.values().filter(|request| is_of(request));
        let outbound = of_it().filter(|request| request.source != Source::Inbound).count() as u32;
        assert!(of_it().count() as u32 <= limit.slots, "over the limit");
        assert!(outbound <= limit.slots - limit.inbound_reserve, "the reserve is taken");
    }

    fn told(&mut self, ticked: Ticked) {
        for id in ticked.reaped {
            assert!(self.held.remove(&id).is_some(), "reaped what was not held");
        }
        for id in ticked.given_up {
            assert!(self.waiting.remove(&id).is_some(), "gave up what did not wait");
        }
        for grant in ticked.grants {
            let request = self.waiting.remove(&grant.id).expect("only who waits is granted later");
            self.grant(grant.id, request);
        }
    }
}

fn limited() -> Slots {
    let mut slots = Slots::new(SlotRules { node: NODE, lease_ttl: LEASE, queue_max: 20 });
    for org in ["0", "1"] {
        slots.set_limit(Scope::Org(org.into()), Some(ORG));
    }
    slots.set_limit(Scope::Assistant("1".into()), Some(SMALL));
    slots.set_limit(Scope::Campaign("3".into()), Some(SMALL));
    slots.heed(&LineLimits {
        number: Some("1".into()),
        slots: Some(SMALL.slots),
        number_rate: Some(SLOW),
        carrier: "carrier".into(),
        carrier_rate: Some(RATE),
    });
    slots
}

fn take_step(slots: &mut Slots, model: &mut Model, step: &Step) {
    match step {
        Step::Request { source, org, assistant, number, has_carrier, ttl_ms } => {
            let source = match source {
                0 => Source::Inbound,
                1 => Source::Interactive,
                name => Source::Campaign(name.to_string().into()),
            };
            let request = SlotRequest {
                // A third of the calls that come in tell later who answers them.
                assistant: (*assistant < 2).then(|| assistant.to_string().into()),
                number: Some(number.to_string().into()),
                carrier: has_carrier.then(|| "carrier".into()),
                ..SlotRequest::new(source, org.to_string().into())
            };
            ask(slots, model, request, *ttl_ms);
        }
        Step::ChangeLine { which, number, ttl_ms } => {
            let calls: Vec<_> = model
                .held
                .iter()
                .filter(|(_, it)| it.share == Share::Call && it.source != Source::Inbound)
                .map(|(id, _)| *id)
                .collect();
            let Some(id) = calls.get(which % calls.len().max(1)) else { return };
            let left = slots.leave_line(*id).expect("what is held has a slot");
            assert!(left.number.is_none() && left.carrier.is_none());
            model.held.insert(*id, left.clone());
            let line = SlotRequest {
                share: Share::Line,
                assistant: None,
                number: Some(number.to_string().into()),
                carrier: Some("carrier".into()),
                ..left
            };
            ask(slots, model, line, *ttl_ms);
        }
        Step::Assign { which, assistant } => {
            let held: Vec<_> = model.held.keys().copied().collect();
            let Some(id) = held.get(which % held.len().max(1)) else { return };
            let request = &model.held[id];
            if request.share == Share::Line || request.assistant.is_some() {
                return;
            }
            let name: Arc<str> = assistant.to_string().into();
            if slots.assign(*id, name.clone()).is_ok() {
                model.held.get_mut(id).unwrap().assistant = Some(name);
                model.check();
            }
        }
        Step::Release(which) => {
            let owned: Vec<_> = model
                .held
                .keys()
                .chain(model.waiting.keys())
                .copied()
                .filter(|id| !model.crashed.contains(id))
                .collect();
            if let Some(id) = owned.get(which % owned.len().max(1)) {
                assert!(slots.release(*id), "what is owned can be released");
                assert!(!slots.release(*id), "released twice");
                model.held.remove(id);
                model.waiting.remove(id);
            }
        }
        Step::Crash(which) => {
            let held: Vec<_> = model.held.keys().copied().collect();
            model.crashed.extend(held.get(which % held.len().max(1)));
        }
        Step::RenewAll => {
            for id in model.held.keys().filter(|id| !model.crashed.contains(id)) {
                slots.renew(model.now, *id);
            }
        }
        Step::Pass(ms) => model.now += Duration::from_millis(*ms),
        Step::OnDeadline => {
            if let Some((due, _)) = slots.next_deadline() {
                model.now = model.now.max(due);
            }
        }
    }
    let ticked = slots.tick(model.now);
    model.told(ticked);
    let in_use = slots.usage(&Scope::Node).in_use();
    let calls = model.held.values().filter(|request| request.share == Share::Call).count();
    assert_eq!(in_use as usize, calls, "a leak, or one released for nothing");
    let (interactive, campaigns) = slots.waiting();
    assert_eq!(interactive + campaigns, model.waiting.len());
    if let Some((due, why)) = slots.next_deadline() {
        assert!(due > model.now, "still due: {why}");
    }
}

fn ask(slots: &mut Slots, model: &mut Model, request: SlotRequest, ttl_ms: u64) {
    match slots.request(model.now, request.clone(), Duration::from_millis(ttl_ms)) {
        Answer::Granted(id) => {
            // Whoever was served before it is counted before it.
            let ticked = slots.tick(model.now);
            model.told(ticked);
            model.grant(id, request);
        }
        Answer::Queued(id) => {
            assert_ne!(request.source, Source::Inbound, "an inbound call waits");
            model.waiting.insert(id, request);
        }
        Answer::Refused(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn limits_reserve_and_rates_hold_whatever_happens_and_nothing_leaks(
        steps in proptest::collection::vec(step(), 1..200)
    ) {
        let mut slots = limited();
        let mut model = Model::default();
        for step in &steps {
            take_step(&mut slots, &mut model, step);
        }
        // Everybody ends or crashed: whoever waits is served or given up, and all slots are free.
        for _ in 0..1_000 {
            let Some((due, _)) = slots.next_deadline() else { break };
            model.now = model.now.max(due);
            let ticked = slots.tick(model.now);
            model.told(ticked);
        }
        prop_assert!(model.held.is_empty() && model.waiting.is_empty());
        prop_assert_eq!(slots.usages.scopes_in_use(), 0);
        prop_assert!(slots.expiries.is_empty() && slots.leases.is_empty());
    }

    /// Campaigns, and organisations with single calls, that share the node, two campaigns also a number of
    /// theirs, always have more to do.
    #[test]
    fn nobody_starves_while_slots_come_free(
        picks in proptest::collection::vec(any::<usize>(), 1_500),
        parties in 2..6usize,
        organisations in 0..3usize,
    ) {
        let campaigns = parties;
        let parties = campaigns + organisations;
        let mut slots = slots(3, 0);
        slots.set_limit(Scope::Number("n".into()), Some(Limit::of(1)));
        let request = |party: usize| match party < campaigns {
            true => SlotRequest {
                number: (party < 2).then(|| "n".into()),
                ..campaign(&party.to_string())
            },
            false => SlotRequest::new(Source::Interactive, party.to_string().into()),
        };
        // Single calls go first, seventeen in a row at most.
        let patience = 12 * parties * if organisations > 0 { 17 } else { 1 };
        let mut owner = BTreeMap::new();
        let mut held = Vec::new();
        let mut last_served = vec![0; parties];
        for party in 0..parties {
            for _ in 0..3 {
                match slots.request(s(0), request(party), WAIT) {
                    Answer::Granted(id) => { owner.insert(id, party); held.push(id); }
                    Answer::Queued(id) => { owner.insert(id, party); }
                    Answer::Refused(why) => panic!("{why}"),
                }
            }
        }
        for (turn, pick) in picks.iter().enumerate() {
            // Oldest first, with some disorder, so that every lease ends in the end.
            let index = pick % held.len().min(2);
            slots.release(held.remove(index));
            for grant in slots.tick(s(0)).grants {
                let party = owner[&grant.id];
                last_served[party] = turn;
                held.push(grant.id);
                let id = queued_or(slots.request(s(0), request(party), WAIT));
                owner.insert(id, party);
            }
            for (party, last) in last_served.iter().enumerate() {
                prop_assert!(turn - last <= patience, "party {} waits since {}", party, last);
            }
        }
    }
}

fn queued_or(answer: Answer) -> LeaseId {
    match answer {
        Answer::Granted(id) | Answer::Queued(id) => id,
        Answer::Refused(why) => panic!("{why}"),
    }
}
