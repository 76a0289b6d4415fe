mod world;

use std::env;

use offhook_api::campaign as wire;
use offhook_core::campaign::{ContactStatus, Outcome, Phase, Predial};
use offhook_store::{CampaignPart, Faults, StoreOptions};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use self::world::{Dice, Subject, World, number};
use super::*;

/// Longer than anything that these campaigns do.
const LONG: Duration = Duration::from_secs(2 * 60 * 60);

fn fast() -> Value {
    json!({"dialingPlan": {"callsPerSecond": 20}})
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so().await {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_is_called_once_and_the_server_hears_of_it() {
    let (world, store) = (World::new(1, 10), Store::in_memory(Faults::default()));
    world.state().outcome = |number| match number.ends_with('3') {
        true => Outcome::Failed,
        false => Outcome::Answered,
    };
    let subject = Subject::start(&world, &store, 25, fast()).await;
    let filing = timeout(LONG, world.filed()).await.unwrap();
    let counters = filing.counters;
    assert_eq!((counters.completed, counters.failed, counters.connected), (22, 3, 22));
    assert!(world.dials_of_each().values().all(|&count| count == 1));
    assert_eq!(world.dials_of_each().len(), 25);
    assert!(world.state().most_at_once <= 6, "maxConcurrency");
    assert_eq!(world.slots_in_use(), 0);
    for (event, count) in [
        ("campaign.started", 1),
        ("contact.dispatched", 25),
        ("contact.completed", 22),
        ("contact.failed", 3),
        ("campaign.ended", 1),
    ] {
        assert_eq!(world.told(event), count, "{event}");
    }
    let completed =
        world.state().told.iter().find(|it| it["message"]["type"] == "contact.completed").cloned();
    assert_eq!(completed.unwrap()["message"]["endedReason"], "answered");
    until("it needs no actor", async || subject.actor.get_status() == ractor::ActorStatus::Stopped)
        .await;
}

#[tokio::test(start_paused = true)]
async fn whenever_the_dialler_is_killed_each_contact_is_dialled_exactly_once() {
    let only = env::var("OFFHOOK_SEED").ok().and_then(|seed| seed.parse().ok());
    let count = env::var("OFFHOOK_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200);
    for seed in only.map_or(0..count, |seed: u64| seed..seed + 1) {
        let (world, store) = (World::new(seed, 4), Store::in_memory(Faults::default()));
        let mut subject = Subject::start(&world, &store, 20, fast()).await;
        let mut dice = Dice(!seed);
        for _ in 0..=dice.roll(5) {
            sleep(Duration::from_millis(dice.roll(12_000))).await;
            subject.kill(Duration::from_millis(dice.roll(40_000))).await;
        }
        let filing = timeout(LONG, world.filed()).await;
        let filing = filing.unwrap_or_else(|_| panic!("seed {seed}: it never ended"));
        let each = world.dials_of_each();
        for index in 0..20 {
            assert_eq!(each.get(&number(index)), Some(&1), "seed {seed}: contact {index}");
        }
        let counters = filing.counters;
        assert_eq!((counters.completed, counters.dialled), (20, 20), "seed {seed}");
        assert_eq!((counters.pending, counters.dispatched), (0, 0), "seed {seed}");
        assert_eq!(world.slots_in_use(), 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn whom_the_carrier_cannot_tell_of_is_left_to_a_human() {
    let (world, store) = (World::new(3, 4), Store::in_memory(Faults::default()));
    let mut subject = Subject::start(&world, &store, 3, fast()).await;
    until("somebody is dialled", async || !world.state().dials.is_empty()).await;
    world.state().is_blind = true;
    subject.kill(Duration::ZERO).await;
    let filing = timeout(LONG, world.filed()).await.unwrap();
    assert!(filing.counters.unclear > 0);
    assert!(world.dials_of_each().values().all(|&count| count == 1));
    let spec = &subject.args.spec;
    let Loaded { book, reasons, .. } = load(&store, spec.id, &spec.view).await.unwrap();
    let failed = vec![ContactStatus::Failed];
    let ask = ContactsAsk { statuses: failed, max: 9, ..ContactsAsk::default() };
    let (total, contacts) = page(spec.id, &book, &reasons, &ask);
    assert_eq!(total, filing.counters.unclear as usize);
    assert!(contacts[0].is_unclear);
    assert_eq!(contacts[0].reason.as_deref(), Some(UNCLEAR));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_dialled_within_a_second_of_a_pause_or_a_stop_and_a_restart_keeps_it() {
    let (world, store) = (World::new(4, 4), Store::in_memory(Faults::default()));
    let mut subject = Subject::start(&world, &store, 200, fast()).await;
    until("some are dialled", async || world.state().dials.len() > 5).await;
    subject.told_to(Event::Pause).await;
    sleep(Duration::from_secs(1)).await;
    let before = world.state().dials.len();
    subject.kill(Duration::from_secs(1)).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.state().dials.len(), before);
    assert_eq!(subject.glance().await.phase, Phase::Paused);
    subject.told_to(Event::Resume).await;
    until("it goes on", async || world.state().dials.len() > before + 5).await;
    subject.told_to(Event::Stop).await;
    sleep(Duration::from_secs(1)).await;
    let before = world.state().dials.len();
    let filing = timeout(LONG, world.filed()).await.unwrap();
    assert_eq!(world.state().dials.len(), before);
    assert_eq!(filing.counters.dialled as usize, before, "calls come to their own end");
    assert_eq!((world.told("campaign.cancelled"), world.slots_in_use()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_disk_nobody_is_dialled() {
    let faults = Faults::default();
    let (world, store) = (World::new(5, 4), Store::in_memory(faults.clone()));
    let subject = Subject::start(&world, &store, 5, fast()).await;
    faults.fail_flushes(Some("no space left on device"));
    sleep(Duration::from_secs(120)).await;
    assert_eq!(world.state().dials.len(), 0);
    faults.fail_flushes(None);
    timeout(LONG, world.filed()).await.unwrap();
    assert_eq!(world.dials_of_each().len(), 5);
    drop(subject);
}

#[tokio::test(start_paused = true)]
async fn the_client_s_server_decides_who_is_called() {
    let (world, store) = (World::new(6, 4), Store::in_memory(Faults::default()));
    world.state().eligible = |contact| match contact["number"].as_str().unwrap() {
        "+14155550001" => Predial::NotEligible,
        "+14155550002" => Predial::Failed,
        _ => Predial::Eligible,
    };
    let _subject = Subject::start(&world, &store, 4, json!({"predialPlan": {}})).await;
    let filing = timeout(LONG, world.filed()).await.unwrap();
    let counters = filing.counters;
    assert_eq!((counters.completed, counters.skipped, counters.predial_failed), (2, 1, 1));
    assert_eq!((world.told("contact.skipped"), world.told("contact.predial-failed")), (1, 1));
    assert_eq!(world.state().asked.len(), 4);
    assert_eq!(world.dials_of_each().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_opts_out_before_the_call_is_not_called() {
    let (world, store) = (World::new(7, 1), Store::in_memory(Faults::default()));
    let subject = Subject::start(&world, &store, 4, fast()).await;
    until("the first is dialled", async || world.state().dials.len() == 1).await;
    let barred = NumberKey(14_155_550_003);
    subject.args.numbers.bar("org", barred);
    subject.actor.cast(CampaignMsg::Barred(barred)).unwrap();
    let filing = timeout(LONG, world.filed()).await.unwrap();
    assert_eq!((filing.counters.completed, filing.counters.skipped), (3, 1));
    assert!(!world.dials_of_each().contains_key(&number(3)));
}

/// How long a restart takes with 100,000 contacts left, and what they take on disk: run it in the
/// release profile with `--ignored --nocapture`.
#[tokio::test]
#[ignore = "it measures, and takes seconds"]
async fn a_hundred_thousand_contacts_are_taken_up_within_two_seconds() {
    const CONTACTS: u32 = 9_999;
    const ROUNDS: u32 = 10;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let (world, id) = (World::new(8, 50), Uuid::from_u128(42));
    for round in 1..=ROUNDS {
        let rows: Vec<_> = (0..CONTACTS)
            .map(|index| {
                let number = format!("+141{:02}55{index:04}", 50 + round);
                let customer = json!({"number": number, "name": "Ada Lovelace", "assistantOverrides": {
                    "variableValues": {"name": "Ada", "appointment": "tomorrow at nine"}}});
                wire::ContactRow::read(&customer, 0).unwrap().encode()
            })
            .collect();
        for rows in rows.chunks(offhook_store::CAMPAIGN_ROWS_MAX) {
            let part = CampaignPart::Contacts;
            let durable = offhook_store::Append::Durable;
            store.campaign_append(id, part, rows.to_vec(), durable, || true).await.unwrap();
        }
    }
    store.close().await.unwrap();
    drop(store);
    let began = std::time::Instant::now();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let opened = began.elapsed();
    let subject = Subject::start(&world, &store, 0, fast()).await;
    while world.state().dials.is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    let contacts = f64::from(CONTACTS * ROUNDS);
    eprintln!(
        "contacts {contacts}, store opened {opened:?}, first dial {took:?}, bytes a contact {:.0}",
        store.size_on_disk() as f64 / contacts
    );
    assert!(took < Duration::from_secs(2), "{took:?}");
    subject.actor.kill();
}
