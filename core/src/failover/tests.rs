use proptest::prelude::*;

use super::*;

fn of(candidates: usize) -> Failover {
    let intensity = Intensity {
        restarts_max: 5,
        window: Duration::from_secs(60),
        backoff: Duration::from_millis(50),
    };
    Failover::new(candidates, 0, intensity)
}

fn at(ms: u64) -> CallTime {
    CallTime::from_millis(ms)
}

const CLOSED: FailureClass = FailureClass::Closed;
const REFUSED: FailureClass = FailureClass::Unavailable;
const STALLED: FailureClass = FailureClass::Stalled;

fn lose(failover: &mut Failover, ms: u64, loss: Loss, class: FailureClass) -> Next {
    failover.on_lost(at(ms), loss, class, |_| true, true)
}

const fn promote(to: usize) -> Next {
    Next::Promote { to, pace: Pace::AtOnce }
}

/// The wait that grows, within what is left.
fn paced(left_ms: u64) -> Pace {
    Pace::Paced(Duration::from_millis(left_ms))
}

#[test]
fn a_session_that_was_cut_gets_one_more_and_then_the_next_provider_serves() {
    let mut failover = of(2);
    assert_eq!(lose(&mut failover, 0, Loss::Broken, CLOSED), Next::Again(Pace::AtOnce));
    assert_eq!(lose(&mut failover, 900, Loss::Broken, CLOSED), promote(1));
    assert_eq!(failover.current(), 1);
}

#[test]
fn sessions_cut_far_apart_are_each_opened_again() {
    let mut failover = of(2);
    for ms in [0, 20_000, 40_000] {
        assert_eq!(lose(&mut failover, ms, Loss::Broken, CLOSED), Next::Again(Pace::AtOnce));
    }
}

#[test]
fn an_error_that_no_retry_cures_promotes_at_once_and_for_good() {
    for class in [FailureClass::Unauthorized, FailureClass::Quota, FailureClass::BadRequest] {
        let mut failover = of(2);
        assert_eq!(lose(&mut failover, 0, Loss::Refused, class), promote(1));
        let next = lose(&mut failover, 100, Loss::Refused, REFUSED);
        assert_eq!(next, Next::Again(paced(1_400)), "never back to the first: {class:?}");
    }
}

#[test]
fn a_provider_that_refuses_or_is_slow_is_not_waited_for() {
    for class in [REFUSED, FailureClass::Timeout, FailureClass::RateLimited { retry_after: None }] {
        assert_eq!(lose(&mut of(3), 0, Loss::Refused, class), promote(1));
    }
}

#[test]
fn who_falls_silent_is_replaced_at_once_and_back_where_nobody_finds_words() {
    let stalled = FailureClass::Stalled;
    assert_eq!(lose(&mut of(2), 0, Loss::Broken, stalled), promote(1));
    let mut failover = of(2);
    assert_eq!(lose(&mut failover, 0, Loss::Suspected, stalled), promote(1));
    assert_eq!(lose(&mut failover, 1_300, Loss::Suspected, stalled), promote(0));
    let mut alone = of(1);
    assert_eq!(lose(&mut alone, 0, Loss::Suspected, stalled), Next::Again(Pace::AtOnce));
}

#[test]
fn a_provider_that_says_when_it_will_is_waited_for_once_where_that_is_soon() {
    let limited = |ms| FailureClass::RateLimited { retry_after: Some(Duration::from_millis(ms)) };
    let patient = || of(2).waiting(Duration::from_secs(1));
    let mut failover = patient();
    let wait = Next::Again(Pace::After(Duration::from_millis(900)));
    assert_eq!(lose(&mut failover, 0, Loss::Refused, limited(900)), wait);
    assert_eq!(lose(&mut failover, 1_000, Loss::Refused, limited(900)), promote(1));
    assert_eq!(lose(&mut patient(), 0, Loss::Refused, limited(1_100)), promote(1));
    assert_eq!(lose(&mut of(2), 0, Loss::Refused, limited(1)), promote(1));
}

#[test]
fn an_answer_ends_the_time_in_which_all_refused() {
    let mut failover = of(1);
    assert_eq!(lose(&mut failover, 0, Loss::Refused, REFUSED), Next::Again(paced(1_500)));
    failover.on_served();
    assert_eq!(lose(&mut failover, 60_000, Loss::Refused, REFUSED), Next::Again(paced(1_500)));
    assert_eq!(lose(&mut failover, 64_500, Loss::Refused, REFUSED), Next::GiveUp);
}

#[test]
fn who_failed_beside_the_one_that_serves_is_not_promoted_next() {
    let mut failover = of(3);
    assert_eq!(failover.next_fresh(at(0), |_| true), Some(1));
    failover.on_other_failed(1, at(0), REFUSED);
    assert_eq!(lose(&mut failover, 10, Loss::Refused, REFUSED), promote(2));
}

#[test]
fn a_candidate_whose_breaker_is_open_is_passed_over() {
    let mut failover = of(3);
    let next = failover.on_lost(at(0), Loss::Refused, REFUSED, |it| it != 1, true);
    assert_eq!(next, promote(2));
}

#[test]
fn who_may_have_had_nothing_to_say_is_asked_again_where_all_others_are_given_up() {
    let mut failover = of(2);
    failover.on_other_failed(1, at(0), REFUSED);
    let next = failover.on_lost(at(1_000), Loss::Suspected, STALLED, |it| it != 1, true);
    assert_eq!(next, Next::Again(Pace::AtOnce));
    let next = failover.on_lost(at(2_000), Loss::Refused, REFUSED, |it| it != 1, true);
    assert!(matches!(next, Next::Again(Pace::Paced(_))), "{next:?}");
}

#[test]
fn without_attempts_left_on_the_node_the_next_provider_serves_at_once() {
    let mut failover = of(2);
    assert_eq!(failover.on_lost(at(0), Loss::Broken, CLOSED, |_| true, false), promote(1));
    let mut alone = of(1);
    let next = alone.on_lost(at(0), Loss::Broken, CLOSED, |_| true, false);
    assert_eq!(next, Next::Again(paced(1_500)), "alone, it waits its turn");
}

#[test]
fn where_all_refuse_each_is_tried_again_until_the_caller_has_waited_long_enough() {
    let mut failover = of(2);
    assert_eq!(lose(&mut failover, 0, Loss::Refused, REFUSED), promote(1));
    let back = Next::Promote { to: 0, pace: paced(1_400) };
    assert_eq!(lose(&mut failover, 100, Loss::Refused, REFUSED), back);
    let again = Next::Promote { to: 1, pace: paced(1_100) };
    assert_eq!(lose(&mut failover, 400, Loss::Refused, REFUSED), again);
    assert_eq!(lose(&mut failover, 1_500, Loss::Refused, REFUSED), Next::GiveUp);
}

#[test]
fn a_provider_that_says_when_to_come_back_is_believed_if_the_caller_can_wait_so_long() {
    let limited = |s| FailureClass::RateLimited { retry_after: Some(Duration::from_secs(s)) };
    let wait = Pace::After(Duration::from_secs(1));
    assert_eq!(lose(&mut of(1), 0, Loss::Refused, limited(1)), Next::Again(wait));
    assert_eq!(lose(&mut of(1), 0, Loss::Refused, limited(9)), Next::GiveUp);
}

#[test]
fn a_provider_alone_that_keeps_breaking_is_given_up_when_the_budget_is_spent() {
    let mut failover = of(1);
    let nexts: Vec<_> =
        (0..6).map(|it| lose(&mut failover, it * 1_000, Loss::Broken, CLOSED)).collect();
    assert!(nexts[..5].iter().all(|next| matches!(next, Next::Again(_))), "{nexts:?}");
    assert_eq!(nexts[5], Next::GiveUp);
}

fn losses() -> impl Strategy<Value = Vec<(u64, Loss, FailureClass)>> {
    let loss = prop::sample::select(vec![Loss::Broken, Loss::Suspected, Loss::Refused]);
    let class = prop::sample::select(vec![
        FailureClass::Unauthorized,
        FailureClass::Closed,
        FailureClass::Stalled,
        FailureClass::Timeout,
        FailureClass::RateLimited { retry_after: Some(Duration::from_secs(1)) },
    ]);
    prop::collection::vec((0..3_000_u64, loss, class), 1..40)
}

proptest! {
    #[test]
    fn who_can_never_serve_is_never_promoted_again_and_refusals_end(losses in losses(), n in 1..5_usize) {
        let mut failover = of(n);
        let mut excluded = vec![false; n];
        let mut now = 0;
        let mut refused_since = None;
        for (wait, loss, class) in losses {
            now += wait;
            excluded[failover.current()] |= !class.is_transient();
            match loss {
                Loss::Refused => { refused_since.get_or_insert(now); }
                Loss::Broken | Loss::Suspected => refused_since = None,
            }
            match lose(&mut failover, now, loss, class) {
                Next::GiveUp => break,
                Next::Again(_) => prop_assert!(!excluded[failover.current()]),
                Next::Promote { to, .. } => {
                    prop_assert_eq!(to, failover.current());
                    prop_assert!(!excluded[to]);
                }
            }
            if n == 1 && let Some(since) = refused_since {
                prop_assert!(now - since < 1_500, "refused for too long");
            }
        }
    }
}
