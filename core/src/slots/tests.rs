mod properties;

use super::*;

const LEASE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(30);

fn slots(node: u32, inbound_reserve: u32) -> Slots {
    Slots::new(SlotRules {
        node: Limit { slots: node, inbound_reserve },
        lease_ttl: LEASE,
        queue_max: 100,
    })
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn of(source: Source) -> SlotRequest {
    SlotRequest::new(source, "org".into())
}

fn inbound() -> SlotRequest {
    of(Source::Inbound)
}

fn interactive() -> SlotRequest {
    of(Source::Interactive)
}

fn campaign(name: &str) -> SlotRequest {
    of(Source::Campaign(name.into()))
}

fn granted(answer: Answer) -> LeaseId {
    match answer {
        Answer::Granted(id) => id,
        Answer::Queued(_) | Answer::Refused(_) => panic!("granted nothing, but {answer:?}"),
    }
}

fn queued(answer: Answer) -> LeaseId {
    match answer {
        Answer::Queued(id) => id,
        Answer::Granted(_) | Answer::Refused(_) => panic!("did not wait, but {answer:?}"),
    }
}

/// Frees one slot after the other, and says who got each.
fn drain(slots: &mut Slots, mut held: Vec<LeaseId>) -> Vec<LeaseId> {
    let mut order = Vec::new();
    while let Some(id) = held.pop() {
        assert!(slots.release(id));
        let grants = slots.tick(s(1)).grants;
        held.extend(grants.iter().map(|grant| grant.id));
        order.extend(grants.iter().map(|grant| grant.id));
    }
    order
}

#[test]
fn outbound_calls_leave_the_reserve_to_inbound_ones() {
    let mut slots = slots(3, 1);
    granted(slots.request(s(0), interactive(), WAIT));
    granted(slots.request(s(0), interactive(), WAIT));
    queued(slots.request(s(0), interactive(), WAIT));
    granted(slots.request(s(0), inbound(), WAIT));
    let answer = slots.request(s(0), inbound(), WAIT);
    let full = Refusal::Full { scope: Scope::Node, limit: 3 };
    assert_eq!(full.to_string(), "all 3 concurrency slots of this node are taken");
    assert_eq!(answer, Answer::Refused(full));
    assert_eq!(slots.waiting(), (1, 0), "an inbound call does not wait");
}

#[test]
fn a_slot_that_is_given_back_goes_to_who_waits_and_only_once() {
    let mut slots = slots(1, 0);
    let first = granted(slots.request(s(0), interactive(), WAIT));
    let second = queued(slots.request(s(1), interactive(), WAIT));
    assert!(slots.release(first));
    assert!(!slots.release(first));
    assert_eq!(slots.next_deadline(), Some((s(0), "a slot may be granted")));
    let ticked = slots.tick(s(5));
    assert_eq!(ticked.grants, [Grant { id: second, waited: s(4) }]);
    assert_eq!(slots.usage(&Scope::Node).in_use(), 1);
}

#[test]
fn what_a_crash_left_is_free_after_the_life_of_a_lease() {
    let mut slots = slots(1, 0);
    let kept = granted(slots.request(s(0), interactive(), WAIT));
    assert!(slots.renew(s(50), kept));
    assert_eq!(slots.tick(s(109)), Ticked::default());
    assert_eq!(slots.next_deadline(), Some((s(110), "a lease or a request expires")));
    assert_eq!(slots.tick(s(110)).reaped, [kept]);
    assert!(!slots.renew(s(111), kept));
    assert!(!slots.release(kept));
    assert_eq!(slots.usage(&Scope::Node).in_use(), 0);
}

#[test]
fn whoever_waited_long_enough_is_given_up() {
    let mut slots = slots(1, 0);
    granted(slots.request(s(0), interactive(), WAIT));
    let second = queued(slots.request(s(1), interactive(), WAIT));
    assert_eq!(slots.tick(s(31)).given_up, [second]);
    assert!(!slots.release(second));
    let answer = slots.request(s(31), interactive(), Duration::ZERO);
    assert!(
        matches!(answer, Answer::Refused(Refusal::Full { .. })),
        "who may not wait: {answer:?}"
    );
}

#[test]
fn interactive_calls_go_before_campaigns_which_take_turns() {
    let mut slots = slots(1, 0);
    let held = granted(slots.request(s(0), interactive(), WAIT));
    let a = ["a", "a", "a"].map(|name| queued(slots.request(s(0), campaign(name), WAIT)));
    let b = ["b", "b"].map(|name| queued(slots.request(s(0), campaign(name), WAIT)));
    let now = queued(slots.request(s(1), interactive(), WAIT));
    let order = drain(&mut slots, vec![held]);
    assert_eq!(order, [now, a[0], b[0], a[1], b[1], a[2]]);
}

#[test]
fn a_campaign_gets_on_however_many_interactive_calls_there_are() {
    let mut slots = slots(1, 0);
    let mut held = granted(slots.request(s(0), interactive(), WAIT));
    let patient = queued(slots.request(s(0), campaign("a"), WAIT));
    let mut before = 0;
    loop {
        queued(slots.request(s(1), interactive(), WAIT));
        slots.release(held);
        held = slots.tick(s(1)).grants[0].id;
        if held == patient {
            break;
        }
        before += 1;
        assert!(before <= 16, "{before} interactive calls went before it");
    }
}

#[test]
fn each_scope_has_a_limit_of_its_own_and_holds_nobody_else_up() {
    let mut slots = slots(10, 0);
    let with = |assistant: &str, number: &str| SlotRequest {
        assistant: Some(assistant.into()),
        number: Some(number.into()),
        ..interactive()
    };
    slots.set_limit(Scope::Assistant("ann".into()), Some(Limit::of(1)));
    slots.set_limit(Scope::Number("n1".into()), Some(Limit::of(2)));
    granted(slots.request(s(0), with("ann", "n1"), WAIT));
    let blocked = queued(slots.request(s(0), with("ann", "n2"), WAIT));
    let second = granted(slots.request(s(0), with("bob", "n1"), WAIT));
    queued(slots.request(s(0), with("bob", "n1"), WAIT));
    granted(slots.request(s(0), with("bob", "n2"), WAIT));
    slots.set_limit(Scope::Assistant("ann".into()), None);
    let grants = slots.tick(s(1)).grants;
    assert_eq!(grants.iter().map(|grant| grant.id).collect::<Vec<_>>(), [blocked]);
    slots.release(second);
    assert_eq!(slots.tick(s(1)).grants.len(), 1);
}

#[test]
fn a_source_without_any_slot_is_refused_instead_of_waiting_for_ever() {
    let mut slots = slots(2, 2);
    let answer = slots.request(s(0), interactive(), WAIT);
    assert_eq!(answer, Answer::Refused(Refusal::Never { scope: Scope::Node }));
    granted(slots.request(s(0), inbound(), WAIT));
}

#[test]
fn a_carrier_is_asked_no_faster_than_it_takes_calls() {
    let mut slots = slots(10, 0);
    slots.set_rate("twilio".into(), Some(Rate { calls: 2, per: s(1) }));
    let dial = || SlotRequest { carrier: Some("twilio".into()), ..interactive() };
    let ms = Duration::from_millis;
    granted(slots.request(ms(0), dial(), WAIT));
    granted(slots.request(ms(300), dial(), WAIT));
    let third = queued(slots.request(ms(400), dial(), WAIT));
    let fourth = queued(slots.request(ms(500), dial(), WAIT));
    granted(slots.request(ms(500), interactive(), WAIT));
    assert_eq!(slots.next_deadline(), Some((ms(1_000), "a carrier takes the next call")));
    assert_eq!(slots.tick(ms(1_000)).grants, [Grant { id: third, waited: ms(600) }]);
    assert_eq!(slots.tick(ms(1_299)).grants, []);
    assert_eq!(slots.tick(ms(1_300)).grants, [Grant { id: fourth, waited: ms(800) }]);
}

#[test]
fn a_call_without_a_slot_counts_towards_its_carrier_s_rate() {
    let mut slots = slots(10, 0);
    let carrier = "twilio".into();
    slots.set_rate(Arc::clone(&carrier), Some(Rate { calls: 1, per: s(1) }));
    let dial = || SlotRequest { carrier: Some(carrier.clone()), ..interactive() };
    let ms = Duration::from_millis;
    slots.count_call(ms(0), &carrier);
    let waits = queued(slots.request(ms(100), dial(), WAIT));
    // It is not asked itself, and comes between others.
    slots.count_call(ms(500), &carrier);
    assert_eq!(slots.tick(ms(1_000)).grants, []);
    assert_eq!(slots.tick(ms(1_500)).grants, [Grant { id: waits, waited: ms(1_400) }]);
    assert_eq!(slots.usage(&Scope::Node).in_use(), 1, "only that one has a slot");
    slots.count_call(ms(1_600), &"another".into());
}

#[test]
fn a_long_queue_of_campaigns_leaves_room_for_interactive_calls() {
    let mut slots = slots(1, 0);
    granted(slots.request(s(0), interactive(), WAIT));
    for _ in 0..100 {
        queued(slots.request(s(0), campaign("a"), WAIT));
    }
    let answer = slots.request(s(0), campaign("b"), WAIT);
    assert_eq!(answer, Answer::Refused(Refusal::QueueFull { limit: 100 }));
    queued(slots.request(s(0), interactive(), WAIT));
}

#[test]
fn a_call_that_outlived_a_crash_keeps_its_slot() {
    let mut slots = slots(1, 0);
    let first = slots.restore(s(0), interactive());
    let second = slots.restore(s(0), interactive());
    let waits = queued(slots.request(s(0), interactive(), WAIT));
    slots.release(first);
    assert_eq!(slots.tick(s(1)).grants, [], "one is still one too many");
    slots.release(second);
    assert_eq!(slots.tick(s(1)).grants[0].id, waits);
}

#[test]
fn a_rate_of_less_than_one_a_second_is_one_in_a_while() {
    let rate = |calls_per_second| {
        let Rate { calls, per } = Rate::per_second(calls_per_second);
        (calls, per.as_secs_f64())
    };
    assert_eq!(rate(1.0), (1, 1.0));
    assert_eq!(rate(0.25), (1, 4.0));
    assert_eq!(rate(20.0), (20, 1.0));
    assert_eq!(rate(0.0), (1, 3_600.0));
    let (calls, per) = rate(2.5);
    assert!((f64::from(calls) / per - 2.5).abs() < 1e-9);
}

#[test]
fn limits_of_a_number_are_those_it_has_by_now() {
    let mut slots = slots(10, 0);
    let of = |slots| LineLimits {
        number: Some("n".into()),
        slots,
        number_rate: None,
        carrier: "c".into(),
        carrier_rate: None,
    };
    let request = SlotRequest { number: Some("n".into()), ..interactive() };
    let mut ask = |limit| {
        slots.heed(&of(limit));
        matches!(slots.request(Duration::ZERO, request.clone(), Duration::ZERO), Answer::Granted(_))
    };
    assert!(ask(Some(1)));
    assert!(!ask(Some(1)));
    assert!(ask(Some(2)));
    assert!(ask(None));
}

#[test]
fn a_call_that_changes_over_to_another_line_waits_for_that_line_and_keeps_its_slot() {
    let mut slots = slots(1, 0);
    slots.set_rate("slow".into(), Some(Rate { calls: 1, per: s(1) }));
    slots.set_limit(Scope::Number("first".into()), Some(Limit::of(1)));
    slots.set_limit(Scope::Number("second".into()), Some(Limit::of(1)));
    let from = |number: &str, carrier: &str| SlotRequest {
        number: Some(number.into()),
        carrier: Some(carrier.into()),
        ..interactive()
    };
    let before = granted(slots.request(s(0), from("second", "slow"), WAIT));
    slots.release(before);
    let call = granted(slots.request(s(0), from("first", "quick"), WAIT));
    let left = slots.leave_line(call).unwrap();
    assert_eq!(slots.usage(&Scope::Number("first".into())).in_use(), 0);
    let line = SlotRequest { share: Share::Line, ..from("second", "slow") };
    assert_eq!(SlotRequest { share: Share::Line, number: None, carrier: None, ..line.clone() }, {
        SlotRequest { share: Share::Line, ..left }
    });
    let line = queued(slots.request(s(0), line, WAIT));
    assert_eq!(slots.tick(s(0)).grants, [], "its carrier was asked a moment ago");
    let other = queued(slots.request(s(0), from("second", "slow"), WAIT));
    assert_eq!(slots.tick(s(1)).grants, [Grant { id: line, waited: s(1) }]);
    assert_eq!(slots.usage(&Scope::Node).in_use(), 1, "it is one call");
    assert_eq!(slots.usage(&Scope::Number("second".into())).in_use(), 1);
    slots.release(call);
    assert_eq!(slots.tick(s(9)).grants, [], "the number still has the line's call");
    slots.release(line);
    assert_eq!(slots.tick(s(9)).grants[0].id, other);
}

#[test]
fn whoever_answers_is_counted_once_it_is_known_who() {
    let mut slots = slots(10, 0);
    slots.set_limit(Scope::Assistant("ann".into()), Some(Limit::of(1)));
    let first = granted(slots.request(s(0), inbound(), WAIT));
    let second = granted(slots.request(s(0), inbound(), WAIT));
    assert_eq!(slots.assign(first, "ann".into()), Ok(()));
    assert_eq!(slots.assign(first, "ann".into()), Ok(()), "which is not counted twice");
    let full = Refusal::Full { scope: Scope::Assistant("ann".into()), limit: 1 };
    assert_eq!(slots.assign(second, "ann".into()), Err(full));
    slots.release(first);
    assert_eq!(slots.assign(second, "ann".into()), Ok(()));
    slots.release(second);
    assert_eq!(slots.usage(&Scope::Assistant("ann".into())).in_use(), 0);
}
