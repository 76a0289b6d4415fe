use std::sync::atomic::AtomicUsize;

use offhook_store::Faults;
use serde_json::json;

use super::*;
use crate::{
    Vault,
    egress::{Answer, Receiver, Request},
};

/// Notes the numbers of what it is sent; of some, it panics.
#[derive(Default)]
struct Postbox {
    taken: Mutex<Vec<u64>>,
    panics_at: Option<u64>,
    panics: AtomicUsize,
}

impl Receiver for Postbox {
    fn receive(&self, request: Request) -> BoxFuture<'static, Result<Answer, String>> {
        let body = request.body().and_then(|body| body.as_bytes()).unwrap();
        let number = serde_json::from_slice::<Value>(body).unwrap()["number"].as_u64().unwrap();
        if self.panics_at == Some(number) {
            self.panics.fetch_add(1, Ordering::AcqRel);
            panic!("a receiver that panics on purpose");
        }
        self.taken.lock().unwrap().push(number);
        Box::pin(std::future::ready(Ok(Answer { status: 200, body: Vec::new() })))
    }
}

const OPTIONS: OutboxOptions = OutboxOptions {
    backoff_initial: Duration::from_secs(1),
    backoff_max: Duration::from_secs(60),
    max_age: Duration::from_secs(3_600),
    dead_letter_age: Duration::from_secs(3_600),
    parallel: 4,
    parallel_per_host: 4,
};

fn outbox(store: &Store, postbox: &Arc<Postbox>) -> Outbox {
    let vault = Vault::new(store.clone(), None).unwrap();
    let egress = Egress::new(true, None, vault).unwrap().posting_to(Some(postbox.clone()));
    Outbox::new(store.clone(), egress, OPTIONS)
}

fn item(number: u64) -> OutboxItem {
    let target = ServerTarget::from_url("http://127.0.0.1:9/events".to_owned(), None);
    let body = json!({"number": number});
    OutboxItem::of_campaign("org", Uuid::from_u128(1), "event", &target, body)
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_delivery_panics_is_given_up_and_those_behind_it_are_delivered() {
    let store = Store::in_memory(Faults::default());
    let postbox = Arc::new(Postbox { panics_at: Some(2), ..Postbox::default() });
    let outbox = outbox(&store, &postbox);
    let (actor, _) = Actor::spawn(None, OutboxActor, outbox.clone()).await.unwrap();
    for number in 1..=3 {
        outbox.send(item(number));
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(*postbox.taken.lock().unwrap(), [1, 3]);
    assert_eq!((outbox.pending(), postbox.panics.load(Ordering::Acquire)), (0, 1));
    let letters = outbox.letters("org").await.unwrap();
    assert_eq!(letters.len(), 1);
    let failure = letters[0].failure.as_ref().unwrap();
    assert!(letters[0].is_dead && failure.last_error == "its delivery panicked", "{failure:?}");
    actor.stop(None);
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_took_while_its_actor_died_is_found_by_the_next_beside_what_waits() {
    let store = Store::in_memory(Faults::default());
    let postbox = Arc::<Postbox>::default();
    let outbox = outbox(&store, &postbox);
    // A call whose event waits in its lane, as the disk has it.
    let first = item(1);
    let sequence = store.outbox_add(first.call, serde_json::to_vec(&first).unwrap()).await.unwrap();
    let row = Row { sequence: Some(sequence), call: first.call, item: Some(Arc::new(first)) };
    outbox.shared.count(1);
    outbox.shared.enqueue(row);
    // An actor died with this one on its way from the disk to the lane.
    let lost = item(2);
    store.outbox_add(lost.call, serde_json::to_vec(&lost).unwrap()).await.unwrap();

    let (actor, _) = Actor::spawn(None, OutboxActor, outbox.clone()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(*postbox.taken.lock().unwrap(), [1, 2]);
    assert!(store.outbox_pending().await.unwrap().is_empty());
    actor.stop(None);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_its_owner_hurries_no_event() {
    let store = Store::in_memory(Faults::default());
    let outbox = outbox(&store, &Arc::default());
    let waiting = item(1);
    let id = waiting.id;
    let failure = Failure { attempts: 1, last_error: "status 503".into(), at_ms: 0 };
    let (call, item) = (waiting.call, Some(Arc::new(waiting)));
    outbox.shared.enqueue(Row { sequence: Some(1), call, item });
    outbox.shared.note_trouble(call, Trouble { id, org: "org".into(), failure });
    assert_eq!(outbox.retry("stranger", id).await.unwrap(), Retried::Unknown);
    assert_eq!(outbox.retry("org", id).await.unwrap(), Retried::Hurried);
}
