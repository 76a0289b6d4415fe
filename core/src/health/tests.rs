use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const CLOSED: FailureClass = FailureClass::Closed;

#[test]
fn one_call_that_gave_a_provider_up_spares_all_others_the_wait() {
    let mut breaker = Breaker::default();
    assert!(breaker.allows());
    assert!(breaker.on_abandoned(s(1), CLOSED));
    assert!(!breaker.allows());
    assert!(!breaker.on_abandoned(s(1), CLOSED), "it is open already");
}

#[test]
fn single_lost_sessions_open_nothing_and_three_in_a_row_do() {
    let mut breaker = Breaker::default();
    assert!(!breaker.on_failure(s(1), CLOSED));
    assert!(!breaker.on_failure(s(2), CLOSED));
    breaker.on_success();
    assert!(!breaker.on_failure(s(3), CLOSED));
    assert!(!breaker.on_failure(s(40), CLOSED), "the one before is long ago");
    assert!(!breaker.on_failure(s(41), CLOSED));
    assert!(breaker.on_failure(s(42), CLOSED));
}

#[test]
fn a_request_that_can_never_succeed_says_nothing_of_the_provider() {
    let mut breaker = Breaker::default();
    for class in [FailureClass::BadRequest, FailureClass::Unsupported] {
        assert!(!breaker.on_abandoned(s(1), class));
    }
    assert!(breaker.allows());
}

#[test]
fn only_a_probe_closes_it_and_each_that_fails_doubles_the_wait_for_the_next() {
    let mut breaker = Breaker::default();
    breaker.on_abandoned(s(10), CLOSED);
    assert!(!breaker.begin_probe(s(10)));
    assert!(breaker.begin_probe(s(11)));
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(!breaker.begin_probe(s(11)), "one probe at a time");
    assert!(!breaker.allows(), "no caller is the guinea pig");
    breaker.on_probe(s(12), false);
    assert!(!breaker.begin_probe(s(13)));
    assert!(breaker.begin_probe(s(14)));
    breaker.on_probe(s(15), false);
    assert!(!breaker.begin_probe(s(18)));
    assert!(breaker.begin_probe(s(19)));
    breaker.on_probe(s(20), true);
    assert!(breaker.allows());
}

#[test]
fn a_provider_that_says_when_to_come_back_is_not_probed_before() {
    let mut breaker = Breaker::default();
    breaker.on_failure(s(0), FailureClass::RateLimited { retry_after: Some(s(7)) });
    assert!(!breaker.begin_probe(s(6)));
    assert!(breaker.begin_probe(s(7)));
}

#[test]
fn what_a_former_process_knew_is_probed_at_once() {
    let mut breaker = Breaker::default();
    breaker.restore_open(s(3));
    assert!(!breaker.allows());
    assert!(breaker.begin_probe(s(3)));
}

#[test]
fn usual_times_are_known_from_ten_and_follow_the_latest() {
    let mut latencies = Latencies::default();
    latencies.extend((1..=9).map(Duration::from_millis));
    assert_eq!(latencies.quantile(0.5), None);
    latencies.extend((10..=100).map(Duration::from_millis));
    assert_eq!(latencies.quantile(0.95), Some(Duration::from_millis(96)));
    latencies.extend([s(1); LATENCIES_MAX]);
    assert_eq!(latencies.quantile(0.0), Some(s(1)));
}

#[test]
fn five_hundred_calls_that_lose_a_provider_at_once_make_few_attempts() {
    let mut budget = RetryBudget::default();
    let attempts = (0..500).filter(|_| budget.take(s(1))).count();
    assert_eq!(attempts, 20);
    assert_eq!((0..500).filter(|_| budget.take(s(3))).count(), 10);
}

#[test]
fn a_provider_that_is_well_again_is_back_for_everybody_soon() {
    let mut budget = RetryBudget::default();
    let mut waiting = 500;
    let mut seconds = 0;
    while waiting > 0 {
        let mut answered = 0;
        while waiting > 0 && budget.take(Duration::from_millis(seconds * 1_000)) {
            waiting -= 1;
            answered += 1;
            budget.on_success();
        }
        assert!(answered > 0 || waiting == 0);
        seconds += 1;
    }
    assert!(seconds <= 2, "{seconds} s");
}

proptest! {
    #[test]
    fn a_breaker_is_open_only_after_failures_and_always_comes_to_a_probe(
        steps in prop::collection::vec((0..4_u8, 0..5_000_u64), 1..60),
    ) {
        let mut breaker = Breaker::default();
        let mut now = Duration::ZERO;
        for (step, wait) in steps {
            now += Duration::from_millis(wait);
            match step {
                0 => breaker.on_success(),
                1 => { breaker.on_failure(now, CLOSED); }
                2 => { breaker.on_abandoned(now, FailureClass::Quota); }
                _ => {
                    let was = breaker.state();
                    if breaker.begin_probe(now) {
                        prop_assert_eq!(was, BreakerState::Open);
                        breaker.on_probe(now, wait % 2 == 0);
                    }
                }
            }
        }
        if !breaker.allows() {
            prop_assert!(breaker.begin_probe(now + PROBE_MAX + PROBE_HOPELESS));
        }
    }
}

#[test]
fn a_probe_whose_result_will_not_come_is_made_again_and_nobody_waits_for_it_in_vain() {
    let mut breaker = Breaker::default();
    breaker.on_probe_lost(s(1));
    assert!(breaker.allows(), "there was none");
    breaker.on_abandoned(s(10), CLOSED);
    breaker.on_probe_lost(s(10));
    assert!(breaker.begin_probe(s(11)), "it was not begun");
    breaker.on_probe_lost(s(12));
    assert!(!breaker.begin_probe(s(12)));
    assert!(breaker.begin_probe(s(14)));
}
