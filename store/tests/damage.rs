//! Damaged files are an error or a shorter past, never a panic.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use offhook_store::{Document, Kind, Store, StoreOptions};
use serde_json::json;
use uuid::Uuid;

const DOCUMENTS: u128 = 200;

#[tokio::test]
async fn a_torn_tail_costs_the_tail_at_most() {
    for torn_bytes in [1, 17, 511, 4_096, 30_000] {
        let folder = filled().await;
        let log = OpenOptions::new().write(true).open(folder.path().join("db")).unwrap();
        let used = used_bytes(folder.path());
        log.set_len(used - torn_bytes).unwrap();
        let found = readable(folder.path()).await.expect("a torn tail is what a crash leaves");
        assert!(found > 0, "{torn_bytes} bytes torn off, nothing is left");
    }
}

#[tokio::test]
async fn garbage_at_the_tail_does_no_harm() {
    let folder = filled().await;
    let mut log = OpenOptions::new().append(true).open(folder.path().join("db")).unwrap();
    log.write_all(&[0xa5; 10_000]).unwrap();
    assert_eq!(readable(folder.path()).await, Ok(DOCUMENTS as usize));
}

#[tokio::test]
async fn damage_anywhere_never_panics() {
    for part in 0..24 {
        let folder = filled().await;
        let path = folder.path().join("db");
        let mut bytes = fs::read(&path).unwrap();
        let at = used_bytes(folder.path()) as usize * part / 24;
        bytes[at..at + 64].fill(0x5a);
        fs::write(&path, bytes).unwrap();
        if let Err(error) = readable(folder.path()).await {
            assert!(error.contains("backup") || error.contains("store in"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_folder_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("db"), "not ours\n".repeat(100_000)).unwrap();
    fs::write(folder.path().join("conf"), "listen = 80").unwrap();
    let error = readable(folder.path()).await.unwrap_err();
    assert!(error.contains("`store.path`"), "{error}");
}

async fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..DOCUMENTS {
        let store = store.clone();
        puts.spawn(async move {
            let document = Document {
                org: "org".into(),
                kind: Kind::Assistant,
                id: Uuid::from_u128(number),
                created_at_ms: number as i64,
                updated_at_ms: number as i64,
                body: json!({"name": format!("assistant {number}")}),
            };
            store.put(document).await
        });
    }
    for put in puts.join_all().await {
        put.unwrap();
    }
    store.close().await.unwrap();
    folder
}

/// How many documents can still be read, or why the store cannot be used.
async fn readable(path: &Path) -> Result<usize, String> {
    let store = Store::open(path, StoreOptions::default()).map_err(|error| error.to_string())?;
    let mut found = 0;
    for number in 0..DOCUMENTS {
        let id = Uuid::from_u128(number);
        let document = store.get("org", Kind::Assistant, id).await;
        found += usize::from(document.map_err(|error| error.to_string())?.is_some());
    }
    store.close().await.map_err(|error| error.to_string())?;
    Ok(found)
}

/// Length of the log without the zeros that it was extended by.
fn used_bytes(path: &Path) -> u64 {
    let bytes = fs::read(path.join("db")).unwrap();
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1)
}
