use offhook_config::Settings;
use tokio::{
    task::{JoinHandle, yield_now},
    time::sleep,
};

use super::*;

fn slots(limit: u32, inbound_reserve: u32) -> Slots {
    let calls = Settings::default().calls;
    let queue_ttl = Duration::from_secs(60);
    Slots::new(&Calls { concurrency_limit: limit, inbound_reserve, queue_ttl, ..calls })
}

fn of(source: Source) -> SlotRequest {
    SlotRequest::new(source, "org".into())
}

async fn waits(slots: &Slots, request: SlotRequest) -> JoinHandle<Result<Lease, NoSlot>> {
    let slots = slots.clone();
    let waiting = tokio::spawn(async move { slots.take_in_turn(request).await });
    yield_now().await;
    waiting
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_again_when_its_lease_is_dropped() {
    let slots = slots(1, 0);
    let lease = slots.take().unwrap();
    assert!(slots.take().is_none());
    assert_eq!(slots.limits(), SlotLimits { limit: 1, in_use: 1 });
    drop(lease);
    assert!(slots.take().is_some());
    assert_eq!(slots.limits(), SlotLimits { limit: 1, in_use: 0 });
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_gets_the_slot_that_comes_free() {
    let slots = slots(1, 0);
    let lease = slots.take().unwrap();
    let waiting = waits(&slots, of(Source::Interactive)).await;
    sleep(Duration::from_secs(5)).await;
    assert!(!waiting.is_finished());
    drop(lease);
    let lease = waiting.await.unwrap().unwrap();
    assert!(slots.take().is_none());
    drop(lease);
    assert_eq!(slots.limits().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_leaves_nothing_behind() {
    let slots = slots(1, 0);
    let lease = slots.take().unwrap();
    let waiting = waits(&slots, of(Source::Interactive)).await;
    waiting.abort();
    assert!(waiting.await.is_err());
    drop(lease);
    assert_eq!(slots.limits().in_use, 0);
    assert!(slots.shared.lock().waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_granted_to_somebody_gone_is_free() {
    let slots = slots(1, 0);
    let lease = slots.take().unwrap();
    let waiting = waits(&slots, of(Source::Interactive)).await;
    drop(lease);
    waiting.abort();
    drop(waiting.await);
    assert_eq!(slots.limits().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_its_time() {
    let slots = slots(1, 0);
    let _lease = slots.take().unwrap();
    let waiting = waits(&slots, of(Source::Interactive)).await;
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no concurrency slot was free within 60s");
    assert!(slots.shared.lock().waiting.is_empty());
    assert_eq!(slots.shared.lock().table.waiting(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_reserve_is_for_inbound_calls_which_never_wait() {
    let slots = slots(2, 1);
    let _first = slots.take().unwrap();
    assert!(slots.take().is_none());
    let _second = slots.take_now(of(Source::Inbound)).unwrap();
    let refused = slots.take_in_turn(of(Source::Inbound)).await.unwrap_err();
    assert_eq!(refused.to_string(), "all 2 concurrency slots of this node are taken");
}

#[tokio::test(start_paused = true)]
async fn a_carriers_rate_lets_the_next_one_go_on_without_anybodys_doing() {
    let slots = slots(10, 0);
    let rate = Rate { calls: 1, per: Duration::from_secs(1) };
    slots.set_rate("twilio".into(), Some(rate));
    let dial = || SlotRequest { carrier: Some("twilio".into()), ..of(Source::Interactive) };
    let since = Instant::now();
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(slots.take_in_turn(dial()).await.unwrap());
    }
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_millis(3_100), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlived_the_process_has_its_slot_even_above_the_limit() {
    let slots = slots(1, 0);
    let leases = [of(Source::Inbound), of(Source::Interactive)].map(|it| slots.take_again(it));
    assert_eq!(slots.limits(), SlotLimits { limit: 1, in_use: 2 });
    assert!(slots.take().is_none());
    drop(leases);
    assert!(slots.take().is_some());
}

#[tokio::test(start_paused = true)]
async fn interactive_calls_go_before_campaigns() {
    let slots = slots(1, 0);
    let lease = slots.take().unwrap();
    let campaign = waits(&slots, of(Source::Campaign("a".into()))).await;
    let interactive = waits(&slots, of(Source::Interactive)).await;
    drop(lease);
    let lease = interactive.await.unwrap().unwrap();
    assert!(!campaign.is_finished());
    drop(lease);
    campaign.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_several_lines_the_one_that_comes_free_first_is_taken_and_the_others_are_left() {
    let slots = slots(10, 0);
    let line = |name: &str| SlotRequest { number: Some(name.into()), ..of_a_client() };
    let limits = |name: &str| LineLimits {
        number: Some(name.into()),
        slots: Some(1),
        number_rate: None,
        carrier: "carrier".into(),
        carrier_rate: None,
    };
    slots.heed(&limits("a"));
    slots.heed(&limits("b"));
    let (a, b) = (slots.take_now(line("a")).unwrap(), slots.take_now(line("b")).unwrap());
    let waiting = slots.clone();
    let asked = vec![line("a"), line("b")];
    let waiting = tokio::spawn(async move { waiting.take_any_in_turn(asked).await });
    sleep(Duration::from_secs(1)).await;
    drop(b);
    let (index, lease) = waiting.await.unwrap().unwrap();
    assert_eq!((index, slots.limits().in_use), (1, 2));
    drop(a);
    assert!(slots.take_now(line("a")).is_ok(), "nobody waits for it any more");
    drop(lease);
    assert_eq!(slots.limits().in_use, 0);
}
