use super::*;
use crate::{StoreOptions, store::tests::on_each_store};

#[tokio::test]
async fn pending_events_are_those_added_and_not_acknowledged_in_order() {
    on_each_store(async |store| {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut sequences = Vec::new();
        for (call, body) in [(one, "a"), (two, "b"), (one, "c")] {
            sequences.push(store.outbox_add(call, body.into()).await.unwrap());
        }
        assert!(sequences.is_sorted_by(|a, b| a < b));
        store.outbox_ack(sequences[1]).await.unwrap();
        store.outbox_ack(sequences[1]).await.unwrap();
        store.outbox_ack(u64::MAX).await.unwrap();
        let row = |sequence, body: &str| OutboxRow { sequence, call: one, body: body.into() };
        let pending = store.outbox_pending().await.unwrap();
        assert_eq!(pending, [row(sequences[0], "a"), row(sequences[2], "c")]);
    })
    .await;
}

#[tokio::test]
async fn sequences_are_not_used_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        assert_eq!(store.outbox_pending().await.unwrap(), []);
        let sequence = store.outbox_add(Uuid::nil(), b"event".to_vec()).await.unwrap();
        assert!(sequence > last);
        store.outbox_ack(sequence).await.unwrap();
        store.close().await.unwrap();
        last = sequence;
    }
}

#[tokio::test]
async fn what_was_given_up_lies_apart_until_it_is_forgotten() {
    on_each_store(async |store| {
        let call = Uuid::from_u128(1);
        let first = store.outbox_add(call, b"a".to_vec()).await.unwrap();
        let second = store.outbox_add(call, b"b".to_vec()).await.unwrap();
        store.outbox_bury(first, call, b"a, refused".to_vec()).await.unwrap();
        let row = |sequence, body: &str| OutboxRow { sequence, call, body: body.into() };
        assert_eq!(store.outbox_pending().await.unwrap(), [row(second, "b")]);
        assert_eq!(store.outbox_dead().await.unwrap(), [row(first, "a, refused")]);
        store.outbox_forget(first).await.unwrap();
        assert_eq!(store.outbox_dead().await.unwrap(), []);
    })
    .await;
}
