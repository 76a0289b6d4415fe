use super::*;
use crate::{
    Faults,
    store::tests::{GatedEngine, on_each_store},
};

fn call(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn entry(number: usize) -> Vec<u8> {
    number.to_string().into_bytes()
}

#[tokio::test]
async fn entries_are_read_in_order_also_before_they_are_on_disk() {
    on_each_store(async |store| {
        let journal = store.journal(call(1));
        for number in 0..300 {
            journal.append(entry(number));
        }
        journal.append_durable(entry(300)).await.unwrap();
        store.journal(call(1)).append(entry(301));
        store.journal(call(2)).append(entry(0));
        let read = store.read_journal(call(1)).await.unwrap();
        assert_eq!(read, (0..302).map(entry).collect::<Vec<_>>());
        assert_eq!(journal.lost(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_journal_goes_on_where_an_earlier_writer_left_it() {
    on_each_store(async |store| {
        for number in 0..3 {
            // Each writer is gone before the next one comes.
            store.journal(call(1)).append_durable(entry(number)).await.unwrap();
        }
        assert!(store.journals().live().is_empty());
        let read = store.read_journal(call(1)).await.unwrap();
        assert_eq!(read, (0..3).map(entry).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn calls_with_a_journal_are_listed_once_until_it_is_dropped() {
    on_each_store(async |store| {
        for number in [3, 1, 2] {
            store.journal(call(number)).append(entry(0));
            store.journal(call(number)).append(entry(1));
        }
        assert_eq!(store.journaled_calls().await.unwrap(), [call(1), call(2), call(3)]);
        store.drop_journal(call(2)).await.unwrap();
        assert_eq!(store.journaled_calls().await.unwrap(), [call(1), call(3)]);
        assert_eq!(store.read_journal(call(2)).await.unwrap(), Vec::<Vec<u8>>::new());
    })
    .await;
}

#[tokio::test]
async fn a_late_entry_does_not_bring_a_dropped_journal_back() {
    on_each_store(async |store| {
        let journal = store.journal(call(1));
        journal.append(entry(0));
        store.drop_journal(call(1)).await.unwrap();
        journal.append(entry(1));
        let error = journal.append_durable(entry(2)).await.unwrap_err();
        assert_eq!(error, StoreError::JournalDropped { call: call(1) });
        assert_eq!(store.journaled_calls().await.unwrap(), Vec::<Uuid>::new());
        assert_eq!(journal.lost(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_the_queue_cannot_hold_is_counted_and_nothing_waits() {
    let engine = GatedEngine::closed();
    let options = StoreOptions {
        journal_queue_entries: 10,
        journal_queue_bytes: 100,
        ..StoreOptions::default()
    };
    let store = Store::on_threads(engine.clone(), &options).unwrap();
    let flush = tokio::spawn({
        let store = store.clone();
        async move { store.flush().await }
    });
    tokio::task::yield_now().await;
    engine.wait_for_flush();

    let many = store.journal(call(1));
    for number in 0..25 {
        many.append(entry(number));
    }
    assert_eq!(many.lost(), 15);
    let large = store.journal(call(2));
    large.append(vec![0; 100]);
    assert_eq!(large.lost(), 1);

    engine.open();
    flush.await.unwrap().unwrap();
    let read = store.read_journal(call(1)).await.unwrap();
    assert_eq!(read, (0..10).map(entry).collect::<Vec<_>>());
    large.append(vec![0; 100]);
    assert_eq!(store.read_journal(call(2)).await.unwrap(), [vec![0; 100]]);
    assert_eq!(large.lost(), 1);
}

#[tokio::test]
async fn a_failing_disk_is_counted_and_the_journal_goes_on_afterwards() {
    let faults = Faults::default();
    let store = Store::in_memory(faults.clone());
    let journal = store.journal(call(1));

    faults.fail_writes(Some("disk full"));
    journal.append(entry(0));
    assert_eq!(journal.lost(), 1);
    assert!(journal.append_durable(entry(1)).await.is_err());
    faults.fail_writes(None);

    journal.append(entry(2));
    faults.fail_flushes(Some("disk gone"));
    assert!(store.flush().await.is_err());
    assert_eq!(journal.lost(), 2);
    faults.fail_flushes(None);

    journal.append_durable(entry(3)).await.unwrap();
    let read = store.read_journal(call(1)).await.unwrap();
    assert_eq!(read.last(), Some(&entry(3)));
    assert_eq!(journal.lost(), 2);
}
