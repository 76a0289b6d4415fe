use proptest::{prelude::*, test_runner::Config};
use serde_json::json;

use super::*;
use crate::{
    Faults, StoreOptions,
    engine::MemoryEngine,
    store::tests::{document, on_each_store},
};

fn numbered(id: u128) -> Uuid {
    Uuid::from_u128(id)
}

#[tokio::test]
async fn a_document_comes_back_as_it_was_stored() {
    on_each_store(async |store| {
        store.put(document(1, -5)).await.unwrap();
        let found = store.get("org", Kind::Call, numbered(1)).await.unwrap();
        assert_eq!(found, Some(document(1, -5)));
        assert_eq!(store.get("org", Kind::Call, numbered(2)).await.unwrap(), None);
        assert_eq!(store.get("org", Kind::Assistant, numbered(1)).await.unwrap(), None);
        assert_eq!(store.get("or", Kind::Call, numbered(1)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_second_insert_of_an_id_changes_nothing() {
    on_each_store(async |store| {
        assert!(store.insert(document(1, 1)).await.unwrap());
        assert!(!store.insert(document(1, 2)).await.unwrap());
        let found = store.get("org", Kind::Call, numbered(1)).await.unwrap().unwrap();
        assert_eq!(found.created_at_ms, 1);
    })
    .await;
}

#[tokio::test]
async fn a_deleted_document_is_answered_once_and_listed_no_more() {
    on_each_store(async |store| {
        store.put(document(1, 1)).await.unwrap();
        let deleted = store.delete("org", Kind::Call, numbered(1)).await.unwrap();
        assert_eq!(deleted, Some(document(1, 1)));
        assert_eq!(store.delete("org", Kind::Call, numbered(1)).await.unwrap(), None);
        let listed = store.list("org", Kind::Call, ListFilter::default(), None).await.unwrap();
        assert_eq!(listed, []);
    })
    .await;
}

#[tokio::test]
async fn concurrent_updates_all_count() {
    on_each_store(async |store| {
        let body = json!({"count": 0});
        store.put(Document { body, ..document(1, 1) }).await.unwrap();
        let updates: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let add = |document: &mut Document| {
                        let count = document.body["count"].as_u64().unwrap();
                        document.body["count"] = json!(count + 1);
                    };
                    store.update("org", Kind::Call, numbered(1), add).await
                })
            })
            .collect();
        for update in updates {
            update.await.unwrap().unwrap().unwrap();
        }
        let found = store.get("org", Kind::Call, numbered(1)).await.unwrap().unwrap();
        assert_eq!(found.body["count"], 50);
    })
    .await;
}

#[tokio::test]
async fn an_update_keeps_the_identity_and_moves_the_document_in_lists() {
    on_each_store(async |store| {
        store.put(document(1, 1)).await.unwrap();
        store.put(document(2, 2)).await.unwrap();
        let updated = store
            .update("org", Kind::Call, numbered(1), |document| {
                document.org = "thief".into();
                document.id = numbered(9);
                document.created_at_ms = 3;
            })
            .await
            .unwrap();
        assert_eq!(updated.unwrap().id, numbered(1));
        let listed = store.list("org", Kind::Call, ListFilter::default(), None).await.unwrap();
        assert_eq!(listed.iter().map(|it| it.created_at_ms).collect::<Vec<_>>(), [3, 2]);
        let missing = store.update("org", Kind::Call, numbered(7), |_| {}).await.unwrap();
        assert_eq!(missing, None);
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_an_update_reaches_its_caller_alone() {
    on_each_store(async |store| {
        store.put(document(1, 1)).await.unwrap();
        let update = store.update("org", Kind::Call, numbered(1), |_| panic!("on purpose"));
        assert_eq!(update.await, Err(StoreError::Panicked));
        let found = store.get("org", Kind::Call, numbered(1)).await.unwrap();
        assert_eq!(found, Some(document(1, 1)));
    })
    .await;
}

#[tokio::test]
async fn a_list_is_as_long_as_asked_however_few_documents_pass() {
    on_each_store(async |store| {
        // Not one after the other, since each would wait for the disk.
        let mut puts = tokio::task::JoinSet::new();
        for id in 0..600_u128 {
            let store = store.clone();
            puts.spawn(async move { store.put(document(id, (id / 2) as i64)).await });
        }
        for put in puts.join_all().await {
            put.unwrap();
        }
        let filter = ListFilter { limit: 3, ..ListFilter::default() };
        let every_hundredth: Predicate =
            Box::new(|document| document.body["number"].as_u64().unwrap() % 100 == 99);
        let listed = store.list("org", Kind::Call, filter, Some(every_hundredth)).await.unwrap();
        let ids: Vec<u128> = listed.iter().map(|document| document.id.as_u128()).collect();
        assert_eq!(ids, [599, 499, 399]);
    })
    .await;
}

#[tokio::test]
async fn a_damaged_document_is_an_error_by_itself_and_hides_no_other() {
    let engine = std::sync::Arc::new(MemoryEngine::new(Faults::default()));
    let store = Store::on_threads(engine.clone(), &StoreOptions::default()).unwrap();
    store.put(document(1, 1)).await.unwrap();
    store.put(document(2, 2)).await.unwrap();
    let key = Scope::new("org", Kind::Call).unwrap().document(numbered(2));
    engine.write(Table::Documents, vec![Change::Put(key, b"damaged in some way".into())]).unwrap();

    let error = store.get("org", Kind::Call, numbered(2)).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    let listed = store.list("org", Kind::Call, ListFilter::default(), None).await.unwrap();
    assert_eq!(listed, [document(1, 1)]);
}

#[tokio::test]
async fn a_failing_disk_is_an_error_of_the_write_and_passes() {
    let faults = Faults::default();
    let store = Store::in_memory(faults.clone());
    for fail in [Faults::fail_writes, Faults::fail_flushes] {
        fail(&faults, Some("no space left on device"));
        let error = store.put(document(1, 1)).await.unwrap_err().to_string();
        assert!(error.contains("no space left on device"), "{error}");
        fail(&faults, None);
        store.put(document(1, 1)).await.unwrap();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u128, i64, i64),
    Insert(u128, i64),
    Touch(u128, i64),
    Delete(u128),
    List(ListFilter),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || 0..6_u128;
    let time = || -4..5_i64;
    let bounds = || {
        let limit = || prop::option::weighted(0.25, -4..5_i64);
        (limit(), limit(), limit(), limit()).prop_map(|(gt, lt, ge, le)| Bounds { gt, lt, ge, le })
    };
    let filter = (0..8_usize, bounds(), bounds())
        .prop_map(|(limit, created, updated)| ListFilter { limit, created, updated });
    let step = prop_oneof![
        3 => (id(), time(), time()).prop_map(|(id, created, updated)| Step::Put(id, created, updated)),
        1 => (id(), time()).prop_map(|(id, created)| Step::Insert(id, created)),
        1 => (id(), time()).prop_map(|(id, updated)| Step::Touch(id, updated)),
        1 => id().prop_map(Step::Delete),
        4 => filter.prop_map(Step::List),
    ];
    prop::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(Config { cases: 48, ..Config::default() })]
    #[test]
    fn lists_are_those_of_a_naive_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(on_each_store(async |store| agree_with_model(store, &steps).await));
    }
}

async fn agree_with_model(store: Store, steps: &[Step]) {
    let mut model: Vec<Document> = Vec::new();
    let position = |model: &[Document], id| model.iter().position(|it| it.id == numbered(id));
    for step in steps.iter().cloned() {
        match step {
            Step::Put(id, created, updated_at_ms) => {
                let new = Document { updated_at_ms, ..document(id, created) };
                store.put(new.clone()).await.unwrap();
                model.retain(|it| it.id != new.id);
                model.push(new);
            }
            Step::Insert(id, created) => {
                let is_new = position(&model, id).is_none();
                assert_eq!(store.insert(document(id, created)).await.unwrap(), is_new);
                model.extend(is_new.then(|| document(id, created)));
            }
            Step::Touch(id, updated) => {
                let change = move |document: &mut Document| document.updated_at_ms = updated;
                let touched = store.update("org", Kind::Call, numbered(id), change).await.unwrap();
                let expected = position(&model, id).map(|at| &mut model[at]);
                if let Some(expected) = expected {
                    expected.updated_at_ms = updated;
                    assert_eq!(touched.as_ref(), Some(&*expected));
                } else {
                    assert_eq!(touched, None);
                }
            }
            Step::Delete(id) => {
                let deleted = store.delete("org", Kind::Call, numbered(id)).await.unwrap();
                assert_eq!(deleted, position(&model, id).map(|at| model.remove(at)));
            }
            Step::List(filter) => {
                let listed = store.list("org", Kind::Call, filter, None).await.unwrap();
                let mut expected: Vec<_> = model
                    .iter()
                    .filter(|it| filter.created.contain(it.created_at_ms))
                    .filter(|it| filter.updated.contain(it.updated_at_ms))
                    .cloned()
                    .collect();
                expected.sort_by_key(|it| std::cmp::Reverse((it.created_at_ms, it.id)));
                expected.truncate(filter.limit);
                assert_eq!(listed, expected);
            }
        }
    }
}
