mod pacing;

use std::{collections::HashMap, sync::Mutex as Lock};

use futures_util::{FutureExt, future::BoxFuture};
use offhook_actors::{
    Vault,
    campaign::{DialError, DialOrder, Ending, Found, Live},
    outbox::OutboxOptions,
};
use offhook_config::Settings;
use offhook_core::{campaign::Outcome, slots::LineLimits};
use offhook_store::Faults;
use ractor::Actor;
use tokio::time::{sleep, timeout};

use super::*;

/// A carrier that everybody answers at, for a second.
#[derive(Clone, Default)]
struct Carrier {
    dials: Arc<Lock<HashMap<String, u32>>>,
}

impl Dialer for Carrier {
    fn place(&self, order: DialOrder, slot: Lease) -> BoxFuture<'static, Result<Live, DialError>> {
        let number = order.customer["number"].as_str().unwrap().to_owned();
        *self.dials.lock().unwrap().entry(number).or_default() += 1;
        let over = async move {
            sleep(Duration::from_secs(1)).await;
            drop(slot);
            Ending { outcome: Outcome::Answered, reason: "customer-ended-call".into() }
        };
        async move { Ok(Live { over: over.boxed() }) }.boxed()
    }

    fn line(
        &self,
        _: Arc<str>,
        _: Arc<str>,
        _: Vec<Arc<str>>,
    ) -> BoxFuture<'static, Option<LineLimits>> {
        async move { None }.boxed()
    }

    fn look_up(&self, order: DialOrder) -> BoxFuture<'static, Found> {
        let number = order.customer["number"].as_str().unwrap().to_owned();
        let was_dialled = self.dials.lock().unwrap().contains_key(&number);
        let ending = Ending { outcome: Outcome::Answered, reason: "customer-ended-call".into() };
        let found = if was_dialled { Found::Over(ending) } else { Found::NeverDialled };
        async move { found }.boxed()
    }
}

/// A process: it may be started several times on one store.
async fn node(store: &Store, clock: Clock) -> Campaigns {
    node_of(store, clock, Slots::new(&Settings::default().calls)).await
}

async fn node_of(store: &Store, clock: Clock, slots: Slots) -> Campaigns {
    let vault = Vault::new(store.clone(), None).unwrap();
    // The one TLS provider of the process; a second installation is refused and harmless.
    let _ = offhook_providers::Net::new(Duration::from_secs(1), "/nonexistent".into(), false);
    let egress = Egress::new(false, None, vault).unwrap();
    let options = OutboxOptions {
        backoff_initial: Duration::from_secs(1),
        backoff_max: Duration::from_secs(1),
        max_age: Duration::from_secs(1),
        dead_letter_age: Duration::from_secs(1),
        parallel: 1,
        parallel_per_host: 1,
    };
    let outbox = Outbox::new(store.clone(), egress.clone(), options);
    let campaigns = Campaigns::new(store.clone(), slots, egress, outbox, clock);
    start_supervisor(&campaigns).await;
    campaigns
}

async fn start_supervisor(campaigns: &Campaigns) -> ActorRef<CampaignsMsg> {
    let spawned = Actor::spawn(None, CampaignsSupervisor, campaigns.clone()).await;
    let (supervisor, _) = spawned.unwrap();
    campaigns.set_supervisor(supervisor.clone());
    supervisor
}

fn clock() -> Clock {
    Clock::Since(WallTime::from_millis(1_795_435_200_000), tokio::time::Instant::now())
}

const ID: Uuid = Uuid::from_u128(9);

fn document(is_draft: bool) -> Document {
    let body = json!({
        "id": ID, "name": "reminders", "assistantId": "a", "phoneNumberId": "p",
        "status": "scheduled", "paused": is_draft, "dialingPlan": {"callsPerSecond": 100},
    });
    let (org, kind) = ("org".to_owned(), Kind::Campaign);
    Document { org, kind, id: ID, created_at_ms: 1, updated_at_ms: 1, body }
}

fn contacts(range: std::ops::Range<u32>) -> Vec<ContactRow> {
    range
        .map(|index| json!({"number": format!("+1415555{index:04}")}))
        .map(|customer| ContactRow::read(&customer, 0).unwrap())
        .collect()
}

async fn filed(store: &Store) -> Document {
    let waiting = async {
        loop {
            let found = store.get("org", Kind::Campaign, ID).await.unwrap().unwrap();
            if is_over(&found.body) {
                return found;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(10 * 60), waiting).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_campaign_is_carried_out_and_what_became_of_it_stays() {
    let store = Store::in_memory(Faults::default());
    let (campaigns, carrier) = (node(&store, clock()).await, Carrier::default());
    campaigns.run(Arc::new(carrier.clone())).await.unwrap();
    campaigns.create(document(false), &contacts(0..12)).await.unwrap();
    let filed = filed(&store).await;
    assert_eq!(filed.body["status"], "ended");
    assert_eq!(filed.body["endedReason"], "campaign.ended.success");
    assert_eq!(filed.body["filed"]["connected"], 12);
    assert!(carrier.dials.lock().unwrap().values().all(|&count| count == 1));
    sleep(Duration::from_secs(1)).await;
    assert!(!campaigns.is_running(ID));
    let glance = campaigns.glance(&filed).await.unwrap();
    assert_eq!((glance.counters.completed, glance.pace), (12, None));
    let ask = ContactsAsk { skip: 10, max: 5, ..ContactsAsk::default() };
    let (total, page) = campaigns.contacts(&filed, ask).await.unwrap();
    assert_eq!((total, page.len()), (12, 2));
    assert_eq!(page[1].1.customer["number"], "+14155550011");
    assert_eq!(page[1].0.reason.as_deref(), Some("customer-ended-call"));
    assert_eq!(campaigns.shared.slots.limits().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_filled_before_it_is_begun_and_a_number_is_on_it_once() {
    let store = Store::in_memory(Faults::default());
    let (campaigns, carrier) = (node(&store, clock()).await, Carrier::default());
    campaigns.run(Arc::new(carrier.clone())).await.unwrap();
    let draft = document(true);
    campaigns.create(draft.clone(), &contacts(0..3)).await.unwrap();
    let added = campaigns.add_contacts(&draft, contacts(2..6)).await.unwrap();
    assert_eq!(added, Added { added: 3, duplicates: vec![0] });
    let mut twice = contacts(6..8);
    twice.extend(contacts(6..8));
    let added = campaigns.add_contacts(&draft, twice).await.unwrap();
    assert_eq!(added, Added { added: 2, duplicates: vec![2, 3] });
    sleep(Duration::from_secs(60)).await;
    assert!(carrier.dials.lock().unwrap().is_empty());
    campaigns.replace_contacts(ID, &contacts(10..15)).await.unwrap();
    let begun = document(false);
    store.put(begun.clone()).await.unwrap();
    campaigns.start(&begun).await.unwrap();
    filed(&store).await;
    assert_eq!(carrier.dials.lock().unwrap().len(), 5);
    let late = campaigns.add_contacts(&begun, contacts(20..21)).await;
    assert!(matches!(late, Err(CampaignError::HasBegun)));
}

#[tokio::test(start_paused = true)]
async fn a_campaign_outlives_its_supervisor_and_its_process() {
    let store = Store::in_memory(Faults::default());
    let clock = clock();
    let (campaigns, carrier) = (node(&store, clock).await, Carrier::default());
    campaigns.run(Arc::new(carrier.clone())).await.unwrap();
    campaigns.create(document(false), &contacts(0..60)).await.unwrap();
    let mut killed = campaigns.supervisor().unwrap();
    for _ in 0..3 {
        sleep(Duration::from_millis(700)).await;
        killed.kill();
        sleep(Duration::from_millis(10)).await;
        killed = start_supervisor(&campaigns).await;
    }
    // The next process has the store alone.
    killed.kill();
    campaigns.shared.close(ID);
    let next = node(&store, clock).await;
    next.run(Arc::new(carrier.clone())).await.unwrap();
    let filed = filed(&store).await;
    assert_eq!(filed.body["filed"]["connected"], 60);
    let dials = carrier.dials.lock().unwrap();
    assert_eq!((dials.len(), dials.values().max()), (60, Some(&1)));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_on_the_do_not_call_list_is_skipped() {
    let store = Store::in_memory(Faults::default());
    let barred = Document {
        org: "org".into(),
        kind: Kind::DoNotCall,
        id: Uuid::from_u128(1),
        created_at_ms: 1,
        updated_at_ms: 1,
        body: json!({"number": "+14155550001"}),
    };
    store.put(barred).await.unwrap();
    let (campaigns, carrier) = (node(&store, clock()).await, Carrier::default());
    campaigns.run(Arc::new(carrier.clone())).await.unwrap();
    campaigns.create(document(false), &contacts(0..3)).await.unwrap();
    let filed = filed(&store).await;
    assert_eq!(
        (&filed.body["filed"]["skipped"], &filed.body["filed"]["completed"]),
        (&json!(1), &json!(2))
    );
    assert!(!carrier.dials.lock().unwrap().contains_key("+14155550001"));
}
