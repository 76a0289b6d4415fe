//! A full house: the campaign's actor, its journal and the node's slots, on a carrier of ours, in virtual
//! time.

use offhook_config::Calls;
use offhook_core::slots::{LineLimits, Rate, Scope, SlotRequest, Source};

use super::*;

/// Slots that a campaign may use, and those that are kept for callers beside them.
const SLOTS: u32 = 200;
const RESERVE: u32 = 20;

/// Of a hundred, those who pick up.
const ANSWERING: u64 = 60;

/// When dialling is at its full rate, and every slot has been filled.
const RAMPED: Duration = Duration::from_secs(60);

/// SplitMix64.
fn roll(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A carrier whose people pick up or do not, as their numbers have it.
#[derive(Clone, Default)]
struct Town {
    /// When calls were placed.
    dials: Arc<Lock<Vec<Duration>>>,
    limits: Option<LineLimits>,
    began: Option<tokio::time::Instant>,
}

impl Dialer for Town {
    fn place(&self, order: DialOrder, slot: Lease) -> BoxFuture<'static, Result<Live, DialError>> {
        let at = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        self.dials.lock().unwrap().push(at);
        let dice = roll(order.intent.as_u128() as u64);
        let (outcome, seconds) = match dice % 100 {
            0..ANSWERING => (Outcome::Answered, 30 + dice / 100 % 61),
            ANSWERING..80 => (Outcome::NoAnswer, 25),
            _ => (Outcome::Busy, 3),
        };
        let over = async move {
            sleep(Duration::from_secs(seconds)).await;
            drop(slot);
            Ending { outcome, reason: "over".into() }
        };
        async move { Ok(Live { over: over.boxed() }) }.boxed()
    }

    fn line(
        &self,
        _: Arc<str>,
        number: Arc<str>,
        _: Vec<Arc<str>>,
    ) -> BoxFuture<'static, Option<LineLimits>> {
        let limits = self.limits.clone();
        async move { Some(LineLimits { number: Some(number), ..limits? }) }.boxed()
    }

    fn look_up(&self, _: DialOrder) -> BoxFuture<'static, Found> {
        async move { Found::Unreachable }.boxed()
    }
}

fn slots_of(limit: u32, inbound_reserve: u32) -> Slots {
    let calls = Settings::default().calls;
    Slots::new(&Calls { concurrency_limit: limit, inbound_reserve, ..calls })
}

/// People who call us, one every two seconds, for twenty; nobody ever waits or is turned away.
async fn callers(slots: Slots) {
    loop {
        let request = SlotRequest::new(Source::Inbound, "org".into());
        let lease = slots.take_now(request).expect("a caller is never refused");
        tokio::spawn(async move {
            sleep(Duration::from_secs(20)).await;
            drop(lease);
        });
        sleep(Duration::from_secs(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn slots_stay_nine_tenths_full_and_never_overfull_and_callers_never_wait() {
    let store = Store::in_memory(Faults::default());
    let slots = slots_of(SLOTS + RESERVE, RESERVE);
    let campaigns = node_of(&store, clock(), slots.clone()).await;
    campaigns.run(Arc::new(Town::default())).await.unwrap();
    let calling = tokio::spawn(callers(slots.clone()));
    let mut whole = document(false);
    whole.body["dialingPlan"]["callsPerSecond"] = 50.into();
    whole.body["maxConcurrency"] = 1_000.into();
    campaigns.create(whole.clone(), &contacts(0..2_500)).await.unwrap();
    sleep(RAMPED).await;
    let (mut used, mut looks, mut least) = (0, 0, SLOTS);
    loop {
        let usage = slots.usage(&Scope::Node);
        assert!(usage.outbound <= SLOTS, "{usage:?}");
        // Who is left does not fill the house any more.
        if campaigns.glance(&whole).await.unwrap().counters.pending < SLOTS {
            break;
        }
        used += usage.outbound;
        least = least.min(usage.outbound);
        looks += 1;
        sleep(Duration::from_secs(1)).await;
    }
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled(), "a caller was refused");
    let share = f64::from(used) / f64::from(looks * SLOTS);
    eprintln!("slots in use: {:.1} % on average, {least} of {SLOTS} at least", share * 100.0);
    assert!(looks > 120, "it was over too soon: {looks} s");
    assert!(share >= 0.9 && least * 10 >= SLOTS * 8, "{share:.3}, {least} at least");
}

#[tokio::test(start_paused = true)]
async fn calls_keep_to_the_limits_of_each_number_and_to_the_rate_of_their_carrier() {
    let store = Store::in_memory(Faults::default());
    let slots = slots_of(100, 0);
    let campaigns = node_of(&store, clock(), slots.clone()).await;
    let town = Town {
        limits: Some(LineLimits {
            number: None,
            slots: Some(10),
            number_rate: None,
            carrier: "carrier".into(),
            carrier_rate: Some(Rate::per_second(2.0)),
        }),
        began: Some(tokio::time::Instant::now()),
        ..Town::default()
    };
    campaigns.run(Arc::new(town.clone())).await.unwrap();
    let mut whole = document(false);
    whole.body["dialingPlan"]["phoneNumberIds"] = json!(["q", "r"]);
    whole.body["maxConcurrency"] = 1_000.into();
    campaigns.create(whole.clone(), &contacts(0..150)).await.unwrap();
    let number = |id: &str| Scope::Number(id.into());
    let mut most = [0; 3];
    while slots.limits().in_use > 0 || campaigns.glance(&whole).await.unwrap().counters.pending > 0
    {
        for (most, id) in most.iter_mut().zip(["p", "q", "r"]) {
            *most = (*most).max(slots.usage(&number(id)).outbound);
        }
        sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(most, [10, 10, 10], "each number is used to its limit and no further");
    let dials = town.dials.lock().unwrap();
    assert_eq!(dials.len(), 150);
    for pair in dials.windows(3) {
        let span = pair[2] - pair[0];
        assert!(span >= Duration::from_millis(990), "three calls within {span:?}");
    }
}
